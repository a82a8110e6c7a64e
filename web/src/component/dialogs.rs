//! The dialogs: scenarios, fault menu, keyboard shortcuts, legend, and exports.

use std::rc::Rc;

use leasehold_sim::{Invariant, Scenario};
use wasm_bindgen::JsCast as _;
use web_sys::{Event, File, HtmlInputElement};
use yew::{AttrValue, Callback, Html, classes, html};

use super::dialog::Dialog;
use super::header::capitalized;
use super::panels::key_name;
use crate::model::event_category::EventCategory;
use crate::model::fault_options::FaultOption;
use crate::model::shortcuts::SHORTCUTS;
use crate::picture::shape::Picture;

#[derive(Clone)]
pub(crate) struct ScenariosProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) current: AttrValue,
    pub(crate) onchoose: Callback<usize>,
    pub(crate) onclose: Callback<()>,
}

/// Returns the library of scenarios, with the point and the question of each.
pub(crate) fn scenario_dialog(props: &ScenariosProps) -> Html {
    let ScenariosProps { library, current, onchoose, onclose } = props.clone();
    let card = |(index, scenario): (usize, &Scenario)| {
        let is_current = current == scenario.name;
        let onclick = onchoose.reform(move |_| index);
        let switches: Vec<&str> = scenario.switches.iter().map(|it| it.name()).collect();
        html! {
            <li key={scenario.name.clone()}>
                <button class={classes!("card", is_current.then_some("current"))} {onclick}
                    autofocus={is_current}
                    data-testid={format!("scenario-item-{}", scenario.name)}
                    aria-current={is_current.then_some("true")}>
                    <span class="number">{ index + 1 }</span>
                    <span class="title">{ scenario.title.clone() }</span>
                    <span class="point">{ scenario.point.clone() }</span>
                    <span class="question-text">{ scenario.question.text.clone() }</span>
                    if !switches.is_empty() {
                        <span class="switches">{ format!("Try without: {}", switches.join(", ")) }
                            </span>
                    }
                </button>
            </li>
        }
    };
    html! {
        <Dialog title="Scenarios" class="scenarios" {onclose}>
            <ol class="cards">{ for library.iter().enumerate().map(card) }</ol>
        </Dialog>
    }
}

#[derive(Clone)]
pub(crate) struct MenuProps {
    pub(crate) title: AttrValue,
    pub(crate) faults: Rc<Vec<FaultOption>>,
    pub(crate) onfault: Callback<FaultOption>,
    pub(crate) onclose: Callback<()>,
}

/// Returns the menu of all faults that apply to one target.
pub(crate) fn fault_menu(props: &MenuProps) -> Html {
    let MenuProps { title, faults, onfault, onclose } = props.clone();
    let entry = |(index, fault): (usize, &FaultOption)| {
        let fault_clicked = fault.clone();
        let onclick = onfault.reform(move |_| fault_clicked.clone());
        let unavailable_reason = fault.unavailable_reason.clone();
        html! {
            <li key={fault.text.clone()}>
                <button {onclick} autofocus={index == 0}
                    aria-disabled={unavailable_reason.is_some().to_string()}>
                    <span>{ fault.text.clone() }</span>
                    if let Some(reason) = unavailable_reason {
                        <small>{ reason }</small>
                    } else if let Some(key) = fault.key {
                        <kbd aria-hidden="true">{ key_name(key) }</kbd>
                    }
                </button>
            </li>
        }
    };
    html! {
        <Dialog {title} class="menu" {onclose}>
            if faults.is_empty() {
                <p class="nothing">
                    { "No faults available. Select a node, link or packet." }</p>
            }
            <ul>{ for faults.iter().enumerate().map(entry) }</ul>
        </Dialog>
    }
}

#[derive(Clone)]
pub(crate) struct HelpProps {
    /// Whether single-letter shortcuts are disabled.
    pub(crate) shortcuts_disabled: bool,
    pub(crate) ontoggle: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

/// Returns the list of keyboard shortcuts.
pub(crate) fn help_dialog(props: &HelpProps) -> Html {
    let HelpProps { shortcuts_disabled, ontoggle, onclose } = props.clone();
    html! {
        <Dialog title="Keyboard shortcuts" class="help" {onclose}>
            <div class="keys">
                { for SHORTCUTS.iter().map(|(title, keys)| html! {
                    <section key={*title}>
                        <h3>{ *title }</h3>
                        <dl>{ for keys.iter().map(|(key, action)| html! {
                            <div><dt>{ *key }</dt><dd>{ *action }</dd></div>
                        }) }</dl>
                    </section>
                }) }
            </div>
            <label class="switch">
                <input type="checkbox" checked={!shortcuts_disabled}
                    onchange={ontoggle.reform(|_| ())} />
                { "Enable single-letter shortcuts" }
            </label>
        </Dialog>
    }
}

#[derive(Clone)]
pub(crate) struct LegendProps {
    pub(crate) onclose: Callback<()>,
}

/// Entries of the legend that are not event categories.
const LEGEND: [(&str, &str); 10] = [
    ("Outer arc", "Remaining lease according to the server"),
    ("Inner arc", "How long the client believes that it holds the lock"),
    ("Red, dashed", "The client's belief outlasts its lease"),
    ("Blue, dashed", "Live view: belief inferred from the server's replies"),
    ("#7", "Fencing token; each grant has a larger one"),
    ("Outline", "Remaining lease if it is not renewed"),
    ("Blue area", "Client paused"),
    ("Short lines", "On a tenure: lease renewed; red: lease expired"),
    ("Pale band", "Several intervals, too close to distinguish"),
    ("Delay", "A packet takes 0.1 to 0.2 s unless the scenario sets another delay"),
];

/// Returns the legend of symbols, arcs and invariants.
pub(crate) fn legend_dialog(props: &LegendProps) -> Html {
    let category_row = |category: EventCategory| {
        html! {
            <li key={category.class()}>
                <svg class="picture" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
                    { for category.shapes((14.0, 14.0), 9.0).iter().map(super::figure::shape_view) }
                </svg>
                <b>{ category.letter() }</b>
                <span>{ category.meaning() }</span>
            </li>
        }
    };
    let legend_row = |symbol: &'static str, meaning: AttrValue| {
        html! { <div><dt>{ symbol }</dt><dd>{ meaning }</dd></div> }
    };
    html! {
        <Dialog title="Legend" class="legend" onclose={props.onclose.clone()}>
            <ul>{ for EventCategory::ALL.into_iter().map(category_row) }</ul>
            <dl class="fields">
                { for LEGEND.iter().map(|(symbol, meaning)| {
                    legend_row(symbol, AttrValue::Static(meaning))
                }) }
                { for Invariant::ALL.iter().map(|it| {
                    legend_row(it.name(), AttrValue::from(capitalized(it.sentence())))
                }) }
            </dl>
        </Dialog>
    }
}

/// Something to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportKind {
    Link,
    Svg(usize),
    Png(usize, u8),
    Trace,
    ShiViz,
    Mermaid,
    RustTest,
    /// A Rust test of the run that the search has found.
    FoundTest,
    StopPictures(usize),
    /// The presenter's notes, in a second window.
    Notes,
}

#[derive(Clone)]
pub(crate) struct ExportsProps {
    pub(crate) address: AttrValue,
    pub(crate) is_too_long: bool,
    /// The pictures, with their names.
    pub(crate) pictures: Rc<Vec<(&'static str, Rc<Picture>)>>,
    pub(crate) onexport: Callback<ExportKind>,
    pub(crate) onimport: Callback<File>,
    /// The latest toast, such as the result of an import; the dialog covers the toast itself.
    pub(crate) notice: Option<AttrValue>,
    pub(crate) onclose: Callback<()>,
}

pub(crate) fn export_dialog(props: &ExportsProps) -> Html {
    let ExportsProps { address, is_too_long, pictures, onexport, notice, onclose, .. } =
        props.clone();
    let button = |export: ExportKind, text: &'static str, test_id: &'static str| {
        let onclick = onexport.reform(move |_| export);
        html! { <button class="small-button" data-testid={test_id} {onclick}>{ text }</button> }
    };
    let import = props.onimport.clone();
    let onchange = move |event: Event| {
        let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        let file = field.and_then(|field| field.files()).and_then(|files| files.get(0));
        if let Some(file) = file {
            import.emit(file);
        }
    };
    html! {
        <Dialog title="Share and export" class="exports" {onclose}>
            if let Some(notice) = notice {
                <p class="notice" role="status">{ notice }</p>
            }
            <section>
                <h3>{ "Link to this time" }</h3>
                <div class="row">
                    <input readonly=true value={address} aria-label="Link" data-testid="link" />
                    { button(ExportKind::Link, "Copy", "copy-link") }
                </div>
                if is_too_long {
                    <p class="nothing">
                        { "Some programs truncate links of this length. \
                        Share the trace as a file instead." }
                    </p>
                }
            </section>
            <section>
                <h3>{ "Pictures as shown on the screen" }</h3>
                { for pictures.iter().enumerate().map(|(index, (name, _))| html! {
                    <div class="row" key={*name}>
                        <span class="name">{ *name }</span>
                        { button(ExportKind::Svg(index), "SVG", "export-svg") }
                        { button(ExportKind::Png(index, 1), "PNG", "export-png") }
                        { button(ExportKind::Png(index, 2), "PNG 2×", "export-png-2") }
                        { button(
                            ExportKind::StopPictures(index), "SVG for each stop", "export-steps",
                        ) }
                    </div>
                }) }
            </section>
            <section>
                <h3>{ "Run" }</h3>
                <div class="row">
                    { button(ExportKind::Trace, "Trace (JSON)", "export-json") }
                    { button(ExportKind::ShiViz, "ShiViz log", "export-shiviz") }
                    { button(ExportKind::Mermaid, "Mermaid", "export-mermaid") }
                    { button(ExportKind::RustTest, "Rust test", "export-test") }
                </div>
            </section>
            <section>
                <h3>{ "Presenter" }</h3>
                <div class="row">
                    { button(ExportKind::Notes, "Open notes in a second window (J)", "open-notes") }
                </div>
            </section>
            <section>
                <h3>{ "Import a trace or recording" }</h3>
                <input type="file" accept=".json,application/json" {onchange} data-testid="import"
                    aria-label="Trace, recording, run or scenario file" />
            </section>
        </Dialog>
    }
}
