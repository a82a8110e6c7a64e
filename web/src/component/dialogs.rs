//! The dialogs: scenarios, the menu of faults, keys, signs, and what can be taken along.

use std::rc::Rc;

use leasehold_sim::{Invariant, Scenario};
use wasm_bindgen::JsCast as _;
use web_sys::{Event, File, HtmlInputElement};
use yew::{AttrValue, Callback, Html, classes, html};

use super::dialog::Dialog;
use super::panels::key_name;
use crate::model::faults::Fault;
use crate::model::keys::LIST;
use crate::picture::glyph::Sign;
use crate::picture::shape::Picture;

#[derive(Clone)]
pub(crate) struct ScenariosProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) current: AttrValue,
    pub(crate) onchoose: Callback<usize>,
    pub(crate) onclose: Callback<()>,
}

/// The library: what each scenario teaches, and asks.
pub(crate) fn scenarios(props: &ScenariosProps) -> Html {
    let ScenariosProps { library, current, onchoose, onclose } = props.clone();
    let card = |(no, scenario): (usize, &Scenario)| {
        let is_current = current == scenario.name;
        let onclick = onchoose.reform(move |_| no);
        let switches: Vec<&str> = scenario.switches.iter().map(|it| it.name()).collect();
        html! {
            <li key={scenario.name.clone()}>
                <button class={classes!("card", is_current.then_some("current"))} {onclick}
                    autofocus={is_current}
                    data-testid={format!("scenario-item-{}", scenario.name)}
                    aria-current={is_current.then_some("true")}>
                    <span class="number">{ no + 1 }</span>
                    <span class="title">{ scenario.title.clone() }</span>
                    <span class="point">{ scenario.point.clone() }</span>
                    <span class="ask">{ scenario.question.ask.clone() }</span>
                    if !switches.is_empty() {
                        <span class="switches">{ format!("try without: {}", switches.join(", ")) }
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
    pub(crate) faults: Rc<Vec<Fault>>,
    pub(crate) onfault: Callback<Fault>,
    pub(crate) onclose: Callback<()>,
}

/// All that can be done to one thing.
pub(crate) fn menu(props: &MenuProps) -> Html {
    let MenuProps { title, faults, onfault, onclose } = props.clone();
    let entry = |(no, fault): (usize, &Fault)| {
        let whole = fault.clone();
        let onclick = onfault.reform(move |_| whole.clone());
        let barred = fault.barred.clone();
        html! {
            <li key={fault.text.clone()}>
                <button {onclick} autofocus={no == 0} aria-disabled={barred.is_some().to_string()}>
                    <span>{ fault.text.clone() }</span>
                    if let Some(why) = barred {
                        <small>{ why }</small>
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
                    { "Nothing can be done to this. Choose a node, a link or a packet." }</p>
            }
            <ul>{ for faults.iter().enumerate().map(entry) }</ul>
        </Dialog>
    }
}

#[derive(Clone)]
pub(crate) struct HelpProps {
    /// Whether single letters do anything.
    pub(crate) is_quiet: bool,
    pub(crate) onquiet: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

/// The keys.
pub(crate) fn help(props: &HelpProps) -> Html {
    let HelpProps { is_quiet, onquiet, onclose } = props.clone();
    html! {
        <Dialog title="Keys" class="help" {onclose}>
            <div class="keys">
                { for LIST.iter().map(|(title, keys)| html! {
                    <section key={*title}>
                        <h3>{ *title }</h3>
                        <dl>{ for keys.iter().map(|(key, what)| html! {
                            <div><dt>{ *key }</dt><dd>{ *what }</dd></div>
                        }) }</dl>
                    </section>
                }) }
            </div>
            <label class="switch">
                <input type="checkbox" checked={!is_quiet} onchange={onquiet.reform(|_| ())} />
                { "Single letters do something" }
            </label>
        </Dialog>
    }
}

#[derive(Clone)]
pub(crate) struct LegendProps {
    pub(crate) onclose: Callback<()>,
}

/// What is no packet's sign.
const LINES: [(&str, &str); 10] = [
    ("outer arc", "what the server still gives the client of its lease"),
    ("inner arc", "for how long the client believes that it holds the lock"),
    ("red, dashed", "it believes for longer than it may"),
    ("blue, dashed", "live: what a client may believe, inferred from what it was told"),
    ("#7", "a fencing token: each grant has a larger one"),
    ("outline", "promised from now on, if nothing more is heard"),
    ("blue stretch", "a client stands still"),
    ("small lines", "on a tenure: its holder was heard of; red: its lease ran out"),
    ("pale band", "many of them, too close together to be told apart"),
    ("time", "a teaching network: a packet takes 0.1 to 0.2 s, unless a scenario says otherwise"),
];

/// What the signs mean.
pub(crate) fn legend(props: &LegendProps) -> Html {
    let sign = |sign: Sign| {
        html! {
            <li key={sign.class()}>
                <svg class="picture" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
                    { for sign.shapes((14.0, 14.0), 9.0).iter().map(super::draw::shape) }
                </svg>
                <b>{ sign.letter() }</b>
                <span>{ sign.meaning() }</span>
            </li>
        }
    };
    let line = |(sign, meaning): &(&'static str, &'static str)| {
        html! { <div><dt>{ *sign }</dt><dd>{ *meaning }</dd></div> }
    };
    html! {
        <Dialog title="What the signs mean" class="legend" onclose={props.onclose.clone()}>
            <ul>{ for Sign::ALL.into_iter().map(sign) }</ul>
            <dl class="fields">
                { for LINES.iter().map(line) }
                { for Invariant::ALL.iter().map(|it| line(&(it.name(), it.sentence()))) }
            </dl>
        </Dialog>
    }
}

/// What can be taken along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    Link,
    Svg(usize),
    Png(usize, u8),
    Json,
    ShiViz,
    Mermaid,
    Test,
    /// The run that a search has found, as a test.
    Found,
    Steps(usize),
    /// The notes, in a window of their own.
    Notes,
}

#[derive(Clone)]
pub(crate) struct ExportsProps {
    pub(crate) address: AttrValue,
    pub(crate) is_too_long: bool,
    /// The pictures that there are, by name.
    pub(crate) pictures: Rc<Vec<(&'static str, Rc<Picture>)>>,
    pub(crate) onexport: Callback<Export>,
    pub(crate) onimport: Callback<File>,
    /// What was said last, such as what came of an import: elsewhere it is behind the dialog.
    pub(crate) word: Option<AttrValue>,
    pub(crate) onclose: Callback<()>,
}

pub(crate) fn exports(props: &ExportsProps) -> Html {
    let ExportsProps { address, is_too_long, pictures, onexport, word, onclose, .. } =
        props.clone();
    let button = |export: Export, text: &'static str, hook: &'static str| {
        let onclick = onexport.reform(move |_| export);
        html! { <button class="small-button" data-testid={hook} {onclick}>{ text }</button> }
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
            if let Some(word) = word {
                <p class="word" role="status">{ word }</p>
            }
            <section>
                <h3>{ "A link to this moment" }</h3>
                <div class="row">
                    <input readonly=true value={address} aria-label="The link" data-testid="link" />
                    { button(Export::Link, "Copy", "copy-link") }
                </div>
                if is_too_long {
                    <p class="nothing">
                        { "It is longer than some programs let pass: send the trace as a file." }
                    </p>
                }
            </section>
            <section>
                <h3>{ "Pictures, as they are on the screen" }</h3>
                { for pictures.iter().enumerate().map(|(no, (name, _))| html! {
                    <div class="row" key={*name}>
                        <span class="name">{ *name }</span>
                        { button(Export::Svg(no), "SVG", "export-svg") }
                        { button(Export::Png(no, 1), "PNG", "export-png") }
                        { button(Export::Png(no, 2), "PNG 2×", "export-png-2") }
                        { button(Export::Steps(no), "SVG of each stop", "export-steps") }
                    </div>
                }) }
            </section>
            <section>
                <h3>{ "The run" }</h3>
                <div class="row">
                    { button(Export::Json, "Trace (JSON)", "export-json") }
                    { button(Export::ShiViz, "ShiViz log", "export-shiviz") }
                    { button(Export::Mermaid, "Mermaid", "export-mermaid") }
                    { button(Export::Test, "Rust test", "export-test") }
                </div>
            </section>
            <section>
                <h3>{ "For the one who talks" }</h3>
                <div class="row">
                    { button(Export::Notes, "Notes in a second window (J)", "open-notes") }
                </div>
            </section>
            <section>
                <h3>{ "Open a trace or a recording" }</h3>
                <input type="file" accept=".json,application/json" {onchange} data-testid="import"
                    aria-label="A file with a trace, a run or a scenario" />
            </section>
        </Dialog>
    }
}
