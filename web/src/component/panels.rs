//! The panels beside the pictures: inspector, invariants, files.

use std::rc::Rc;

use leasehold_sim::{Invariant, RecordNo, Status};
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::header::capital;
use crate::model::faults::Fault;
use crate::model::fields::Field;
use crate::model::files::{FileView, LineView, lines_text};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InspectorProps {
    pub(crate) title: AttrValue,
    /// Each row, and what it was before, where that differs.
    pub(crate) fields: Rc<Vec<(Field, Option<String>)>>,
    pub(crate) faults: Rc<Vec<Fault>>,
    pub(crate) is_empty: bool,
    pub(crate) onfault: Callback<Fault>,
    pub(crate) onmenu: Callback<()>,
    pub(crate) ononly: Callback<()>,
}

/// What there is to say of the selected thing, and what can be done to it.
#[component]
pub(crate) fn Inspector(props: &InspectorProps) -> Html {
    let InspectorProps { title, fields, faults, is_empty, onmenu, .. } = props.clone();
    let few = faults.iter().filter(|fault| fault.key.is_some());
    html! { <>
        <header class="panel-head">
            <h2>{ title }</h2>
            if is_empty {
                <p class="nothing">{ "select a node, link, packet or lock" }</p>
            }
            if !is_empty {
                <button class="quiet" onclick={props.ononly.reform(|_| ())}
                    title="Show in the log what concerns this alone">{ "In the log" }</button>
            }
            if !faults.is_empty() {
                <button class="quiet" onclick={onmenu.reform(|_| ())}
                    title="All that can be done to it (Enter)">
                    { "More ▾" }
                </button>
            }
        </header>
        <div class="scrolls" hidden={is_empty} tabindex="0" role="region" aria-label="What is so">
            if !faults.is_empty() {
                <div class="actions" role="group" aria-label="Do to it">
                    { for few.map(|fault| action(fault, &props.onfault)) }
                </div>
            }
            <dl class="fields">
                { for fields.iter().map(|(field, was)| html! {
                    <div key={field.name} class={classes!(was.is_some().then_some("changed"))}>
                        <dt>{ field.name }</dt>
                        <dd>
                            if let Some(was) = was { <s>{ was.clone() }</s>{ " " } }
                            { field.value.clone() }
                        </dd>
                    </div>
                }) }
            </dl>
        </div>
    </> }
}

fn action(fault: &Fault, onfault: &Callback<Fault>) -> Html {
    let whole = fault.clone();
    let onclick = onfault.reform(move |_| whole.clone());
    let why = fault.barred.clone();
    let title = why.as_ref().map(|why| format!("Not now: {why}"));
    html! {
        <button class="small-button" {onclick} {title} aria-disabled={why.is_some().to_string()}>
            { fault.text.clone() }
            if let Some(key) = fault.key { <kbd aria-hidden="true">{ key_name(key) }</kbd> }
        </button>
    }
}

/// A key as it is written.
pub(crate) fn key_name(key: char) -> String {
    if key == 'D' { "⇧D".to_owned() } else { key.to_string() }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InvariantsProps {
    /// What is said here, and of the whole run.
    pub(crate) statuses: Rc<Vec<(Invariant, Status, Status)>>,
    /// Whether the whole may be told.
    pub(crate) tells_whole: bool,
    pub(crate) onwitness: Callback<RecordNo>,
}

/// The invariants at the play-head.
#[component]
pub(crate) fn Invariants(props: &InvariantsProps) -> Html {
    let row = |(invariant, here, whole): &(Invariant, Status, Status)| {
        let word = if *here == Status::NotYet { Status::Unchecked.word() } else { here.word() };
        let (sign, said) = match here {
            Status::Ok => ("✓", "holds"),
            Status::Violated { .. } => ("✕", "violated"),
            Status::NotYet => ("·", "nothing to judge yet"),
            Status::Unchecked => ("–", "not checked in this run"),
        };
        let later = props.tells_whole && here.witness().is_none() && whole.witness().is_some();
        let witness = here.witness().or(whole.witness().filter(|_| props.tells_whole));
        let sentence = capital(invariant.sentence());
        let more = if later { ", violated later" } else { "" };
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
                <button class={classes!("invariant", word, later.then_some("later"))} {onclick}
                    data-testid={format!("invariant-{invariant}")} data-status={word}
                    aria-disabled={witness.is_none().to_string()}
                    title={format!("{invariant}: {sentence}. {}{more}.", capital(said))}
                    aria-label={format!("{invariant}, {sentence}: {said}{more}")}>
                    <b>{ invariant.name() }</b>
                    <span aria-hidden="true">{ sign }</span>
                    <span class="means" aria-hidden="true">{ sentence }</span>
                    if later { <span class="then" aria-hidden="true">{ "→ ✕" }</span> }
                </button>
            </li>
        }
    };
    html! { <ul class="invariants">{ for props.statuses.iter().map(row) }</ul> }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FilesProps {
    pub(crate) files: Rc<Vec<FileView>>,
    pub(crate) compares: bool,
    /// Whether there is a correct run to compare with.
    pub(crate) can_compare: bool,
    pub(crate) oncompare: Callback<()>,
    pub(crate) onrecord: Callback<RecordNo>,
    pub(crate) onmore: Callback<()>,
}

/// What is in the files, line by line.
#[component]
pub(crate) fn Files(props: &FilesProps) -> Html {
    let FilesProps { files, compares, can_compare, oncompare, onrecord, onmore } = props.clone();
    html! { <>
        <header class="panel-head">
            <h2>{ "Files" }</h2>
            if can_compare {
                <button class="quiet" aria-pressed={compares.to_string()}
                    onclick={oncompare.reform(|_| ())}
                    title="Mark what a run with all protections would not have, and what it would">
                    { "against a correct run" }
                </button>
            }
        </header>
        if files.is_empty() {
            <p class="nothing">{ "Nothing is written yet." }</p>
        }
        <div class="sheets">
            { for files.iter().map(|file| sheet(file, &onrecord, &onmore)) }
        </div>
    </> }
}

fn sheet(file: &FileView, onrecord: &Callback<RecordNo>, onmore: &Callback<()>) -> Html {
    let mut lines: Vec<Html> = Vec::new();
    if file.has_more {
        lines.push(html! {
            <li key="more" class="more-rows">
                <button class="quiet" onclick={onmore.reform(|_| ())}>{ "Earlier lines" }</button>
            </li>
        });
    }
    lines.extend(file.lines.iter().map(|line| written(line, onrecord)));
    if lines.is_empty() {
        lines.push(html! { <li key="nothing" class="unseen">{ "nothing written yet" }</li> });
    }
    html! {
        <article key={file.name.clone()} class="sheet" data-testid={format!("file-{}", file.name)}>
            <h3>{ file.name.clone() }<small>
                { lines_text(file.count, file.is_since) }</small></h3>
            <div class="end" tabindex="0" role="region"
                aria-label={format!("the lines of {}", file.name)}>
                <ol>
                    { for lines }
                </ol>
            </div>
        </article>
    }
}

fn written(line: &LineView, onrecord: &Callback<RecordNo>) -> Html {
    let record = line.record;
    let onclick = onrecord.reform(move |_| record);
    let signs = line.signs();
    html! {
        <li key={line.key.clone()} class={classes!(line.class())}>
            <button class="line" {onclick} title={line.hint()}>
                <span class="token">{ line.token_text() }</span>
                <span class="text">{ line.text.clone() }</span>
                if !signs.is_empty() { <span class="signs">{ signs }</span> }
            </button>
        </li>
    }
}
