//! The panels beside the pictures: inspector, invariants, files.

use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, RecordId};
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::header::capitalized;
use crate::model::fault_options::FaultOption;
use crate::model::file_views::{FileView, LineView, line_count_text};
use crate::model::inspector::Field;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InspectorProps {
    pub(crate) title: AttrValue,
    /// The fields, each with its previous value if that differs.
    pub(crate) fields: Rc<Vec<(Field, Option<String>)>>,
    pub(crate) faults: Rc<Vec<FaultOption>>,
    pub(crate) is_empty: bool,
    pub(crate) onfault: Callback<FaultOption>,
    pub(crate) onmenu: Callback<()>,
    pub(crate) onfilter: Callback<()>,
}

/// The fields and faults of the selected target.
#[component]
pub(crate) fn Inspector(props: &InspectorProps) -> Html {
    let InspectorProps { title, fields, faults, is_empty, onmenu, .. } = props.clone();
    let keyed_faults = faults.iter().filter(|fault| fault.key.is_some());
    html! { <>
        <header class="panel-header">
            <h2>{ title }</h2>
            if is_empty {
                <p class="nothing">{ "Select a node, link, packet or lock" }</p>
            }
            if !is_empty {
                <button class="quiet" onclick={props.onfilter.reform(|_| ())}
                    title="Show only related events in the log">{ "Filter log" }</button>
            }
            if !faults.is_empty() {
                <button class="quiet" onclick={onmenu.reform(|_| ())}
                    title="All faults (Enter)">
                    { "More ▾" }
                </button>
            }
        </header>
        <div class="scroll-area" hidden={is_empty} tabindex="0" role="region" aria-label="Details">
            if !faults.is_empty() {
                <div class="actions" role="group" aria-label="Faults">
                    { for keyed_faults.map(|fault| fault_button(fault, &props.onfault)) }
                </div>
            }
            <dl class="fields">
                { for fields.iter().map(|(field, previous)| html! {
                    <div key={field.name} class={classes!(previous.is_some().then_some("changed"))}>
                        <dt>{ field.name }</dt>
                        <dd>
                            if let Some(previous) = previous { <s>{ previous.clone() }</s>{ " " } }
                            { field.value.clone() }
                        </dd>
                    </div>
                }) }
            </dl>
        </div>
    </> }
}

fn fault_button(fault: &FaultOption, onfault: &Callback<FaultOption>) -> Html {
    let fault_clicked = fault.clone();
    let onclick = onfault.reform(move |_| fault_clicked.clone());
    let reason = fault.unavailable_reason.clone();
    let title = reason.as_ref().map(|reason| format!("Unavailable: {reason}"));
    html! {
        <button class="small-button" {onclick} {title} aria-disabled={reason.is_some().to_string()}>
            { fault.text.clone() }
            if let Some(key) = fault.key { <kbd aria-hidden="true">{ key_name(key) }</kbd> }
        </button>
    }
}

/// Returns the label of a key.
pub(crate) fn key_name(key: char) -> String {
    if key == 'D' { "⇧D".to_owned() } else { key.to_string() }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InvariantsProps {
    /// For each invariant, its status at the current position and at the end of the run.
    pub(crate) statuses: Rc<Vec<(Invariant, InvariantStatus, InvariantStatus)>>,
    /// Whether the status at the end may be shown.
    pub(crate) shows_whole_run: bool,
    pub(crate) onwitness: Callback<RecordId>,
}

/// The status of each invariant at the current position.
#[component]
pub(crate) fn Invariants(props: &InvariantsProps) -> Html {
    let row = |(invariant, current_status, final_status): &(
        Invariant,
        InvariantStatus,
        InvariantStatus,
    )| {
        let code = if *current_status == InvariantStatus::NotYet {
            InvariantStatus::Unchecked.code()
        } else {
            current_status.code()
        };
        let (mark, text) = match current_status {
            InvariantStatus::Ok => ("✓", "holds"),
            InvariantStatus::Violated { .. } => ("✕", "violated"),
            InvariantStatus::NotYet => ("·", "nothing to check yet"),
            InvariantStatus::Unchecked => ("–", "not checked in this run"),
        };
        let is_violated_later = props.shows_whole_run
            && current_status.witness().is_none()
            && final_status.witness().is_some();
        let witness =
            current_status.witness().or(final_status.witness().filter(|_| props.shows_whole_run));
        let sentence = capitalized(invariant.sentence());
        let suffix = if is_violated_later { ", violated later" } else { "" };
        let onclick = {
            let onwitness = props.onwitness.clone();
            move |_| {
                if let Some(witness) = witness {
                    onwitness.emit(witness);
                }
            }
        };
        html! {
            <li key={invariant.name()}>
                <button {onclick}
                    class={classes!("invariant", code, is_violated_later.then_some("later"))}
                    data-testid={format!("invariant-{invariant}")} data-status={code}
                    aria-disabled={witness.is_none().to_string()}
                    title={format!("{invariant}: {sentence}. {}{suffix}.", capitalized(text))}
                    aria-label={format!("{invariant}, {sentence}: {text}{suffix}")}>
                    <b>{ invariant.name() }</b>
                    <span aria-hidden="true">{ mark }</span>
                    <span class="description" aria-hidden="true">{ sentence }</span>
                    if is_violated_later {
                        <span class="violated-later" aria-hidden="true">{ "→ ✕" }</span>
                    }
                </button>
            </li>
        }
    };
    html! { <ul class="invariants">{ for props.statuses.iter().map(row) }</ul> }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FilesProps {
    pub(crate) files: Rc<Vec<FileView>>,
    pub(crate) is_comparing: bool,
    /// Whether there is a correct run to compare with.
    pub(crate) can_compare: bool,
    pub(crate) oncompare: Callback<()>,
    pub(crate) onrecord: Callback<RecordId>,
    pub(crate) onmore: Callback<()>,
}

/// The lines of the files.
#[component]
pub(crate) fn Files(props: &FilesProps) -> Html {
    let FilesProps { files, is_comparing, can_compare, oncompare, onrecord, onmore } =
        props.clone();
    html! { <>
        <header class="panel-header">
            <h2>{ "Files" }</h2>
            if can_compare {
                <button class="quiet" aria-pressed={is_comparing.to_string()}
                    onclick={oncompare.reform(|_| ())}
                    title="Mark the differences to a run with all protections">
                    { "Compare with correct run" }
                </button>
            }
        </header>
        if files.is_empty() {
            <p class="nothing">{ "No files yet" }</p>
        }
        <div class="sheets">
            { for files.iter().map(|file| file_sheet(file, &onrecord, &onmore)) }
        </div>
    </> }
}

fn file_sheet(file: &FileView, onrecord: &Callback<RecordId>, onmore: &Callback<()>) -> Html {
    let mut lines: Vec<Html> = Vec::new();
    if file.has_more {
        lines.push(html! {
            <li key="more" class="more-rows">
                <button class="quiet" onclick={onmore.reform(|_| ())}>{ "Earlier lines" }</button>
            </li>
        });
    }
    lines.extend(file.lines.iter().map(|line| line_item(line, onrecord)));
    if lines.is_empty() {
        lines.push(html! { <li key="nothing" class="unobserved">{ "No lines yet" }</li> });
    }
    html! {
        <article key={file.name.clone()} class="sheet" data-testid={format!("file-{}", file.name)}>
            <h3>{ file.name.clone() }<small>
                { line_count_text(file.line_count, file.is_partial_count) }</small></h3>
            <div class="end" tabindex="0" role="region"
                aria-label={format!("Lines of {}", file.name)}>
                <ol>
                    { for lines }
                </ol>
            </div>
        </article>
    }
}

fn line_item(line: &LineView, onrecord: &Callback<RecordId>) -> Html {
    let record = line.record;
    let onclick = onrecord.reform(move |_| record);
    let badges = line.badges();
    html! {
        <li key={line.key.clone()} class={classes!(line.css_class())}>
            <button class="line" {onclick} title={line.hint()}>
                <span class="token">{ line.token_text() }</span>
                <span class="text">{ line.text.clone() }</span>
                if !badges.is_empty() { <span class="badges">{ badges }</span> }
            </button>
        </li>
    }
}
