//! The log as a list: what has happened, and because of what.

use std::rc::Rc;

use leasehold_sim::{Interest, RecordNo};
use yew::{Callback, Html, Properties, classes, component, html};

use crate::model::log::Row;

/// What one can choose to see: how much it has to matter, and how that is called.
const LEVELS: [(Interest, &str); 3] = [
    (Interest::Release, "What matters"),
    (Interest::Step, "Every step"),
    (Interest::Inner, "All, also heartbeats"),
];

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LogProps {
    pub(crate) rows: Rc<Vec<Row>>,
    pub(crate) has_more: bool,
    /// Whether anything has happened at all.
    pub(crate) has_past: bool,
    pub(crate) least: Interest,
    /// Whose events alone are shown, by name.
    pub(crate) only: Option<String>,
    pub(crate) selected: Option<RecordNo>,
    pub(crate) onrecord: Callback<RecordNo>,
    pub(crate) onleast: Callback<Interest>,
    pub(crate) onall: Callback<()>,
    pub(crate) onmore: Callback<()>,
}

#[component]
pub(crate) fn Log(props: &LogProps) -> Html {
    let LogProps { rows, has_more, least, only, selected, .. } = props.clone();
    let level = |(interest, title): (Interest, &'static str)| {
        let onclick = props.onleast.reform(move |_| interest);
        html! {
            <button key={title} class="tab" aria-pressed={(least == interest).to_string()}
                {onclick}>
                { title }
            </button>
        }
    };
    // All of them have keys, so that a new row at the top leaves the others alone.
    let mut items: Vec<Html> =
        rows.iter().map(|row| log_row(row, selected, &props.onrecord)).collect();
    if rows.is_empty() {
        items.push(html! {
            <li key="nothing" class="nothing">
                if props.has_past {
                    { "Nothing of that kind so far." }
                } else {
                    { "Nothing has happened yet. Play (Space), or go one step (→)." }
                }
            </li>
        });
    }
    if has_more {
        items.push(html! {
            <li key="more" class="more-rows">
                <button class="quiet" onclick={props.onmore.reform(|_| ())}>
                    { "Earlier events" }
                </button>
            </li>
        });
    }
    html! { <>
        <header class="panel-head">
            <h2>{ "Log" }</h2>
            <div class="tabs" role="group" aria-label="What to show">
                { for LEVELS.into_iter().map(level) }
                if let Some(only) = only {
                    <button class="tab only" aria-pressed="true" title="Show all again"
                        onclick={props.onall.reform(|_| ())}>{ format!("only {only} ✕") }</button>
                }
            </div>
        </header>
        <ol class="log-rows" tabindex="0" aria-label="Log, newest first">
            { for items }
        </ol>
    </> }
}

fn log_row(row: &Row, selected: Option<RecordNo>, onrecord: &Callback<RecordNo>) -> Html {
    let record = row.record;
    let go = |to: RecordNo| onrecord.reform(move |_| to);
    let class = classes!(
        row.sign.class(),
        row.is_current.then_some("current"),
        (selected == Some(record)).then_some("selected"),
        (!row.violates.is_empty()).then_some("broken"),
    );
    html! {
        <li key={record.0} data-testid="log-row" {class}>
            <button class="event" onclick={go(record)} title="Go to this moment">
                <span class="at">{ row.at.clone() }</span>
                <svg class="picture glyph" viewBox="0 0 16 16" width="16" height="16"
                    aria-hidden="true">
                    { for row.sign.shapes((8.0, 8.0), 5.4).iter().map(super::draw::shape) }
                </svg>
                <span class="what">
                    if !row.who.is_empty() { <b>{ row.who.clone() }</b>{ " " } }
                    { row.what.clone() }
                </span>
            </button>
            { for row.violates.iter().map(|(invariant, how)| html! {
                <p class="violates">{ format!("✕ {invariant} is violated: {how}") }</p>
            }) }
            if let Some(because) = &row.because {
                <p class="because">
                    { format!("because {because}") }
                    { for row.causes.iter().map(|(cause, at)| html! {
                        <button key={cause.0} class="cause" onclick={go(*cause)}
                            title="Go to what this rests on">{ format!("↩ {at}") }</button>
                    }) }
                </p>
            }
        </li>
    }
}
