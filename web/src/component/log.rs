//! The log: the events so far, each with its cause.

use std::rc::Rc;

use leasehold_sim::{Importance, RecordId};
use yew::{Callback, Html, Properties, classes, component, html};

use super::figure::shape_view;
use crate::model::log_rows::LogRow;

/// The levels of the log: minimum importance and label.
const LEVELS: [(Importance, &str); 3] = [
    (Importance::Release, "Key events"),
    (Importance::Step, "All steps"),
    (Importance::Internal, "Include heartbeats"),
];

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LogProps {
    pub(crate) rows: Rc<Vec<LogRow>>,
    pub(crate) has_more: bool,
    /// Whether any event has happened.
    pub(crate) has_past: bool,
    pub(crate) min_importance: Importance,
    /// The name of the target whose events are shown; `None` shows all events.
    pub(crate) filtered_to: Option<String>,
    pub(crate) selected: Option<RecordId>,
    pub(crate) onrecord: Callback<RecordId>,
    pub(crate) onminimportance: Callback<Importance>,
    pub(crate) onclearfilter: Callback<()>,
    pub(crate) onmore: Callback<()>,
}

#[component]
pub(crate) fn Log(props: &LogProps) -> Html {
    let LogProps { rows, has_more, min_importance, filtered_to, selected, .. } = props.clone();
    let level = |(importance, title): (Importance, &'static str)| {
        let onclick = props.onminimportance.reform(move |_| importance);
        html! {
            <button key={title} class="tab"
                aria-pressed={(min_importance == importance).to_string()} {onclick}>
                { title }
            </button>
        }
    };
    // All rows have keys, so that a new row at the top does not update the others.
    let mut items: Vec<Html> =
        rows.iter().map(|row| log_row(row, selected, &props.onrecord)).collect();
    if rows.is_empty() {
        items.push(html! {
            <li key="nothing" class="nothing">
                if props.has_past {
                    { "No matching events yet" }
                } else {
                    { "No events yet. Press Space to play or → to step." }
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
    html! {
        <section class="panel log" id="panel-log" data-testid="log" aria-label="Log">
            <header class="panel-header">
                <h2>{ "Log" }</h2>
                <div class="tabs" role="group" aria-label="Events to show">
                    { for LEVELS.into_iter().map(level) }
                    if let Some(filtered_to) = filtered_to {
                        <button class="tab log-filter" aria-pressed="true" title="Clear filter"
                            onclick={props.onclearfilter.reform(|_| ())}>
                            { format!("Only {filtered_to} ✕") }
                        </button>
                    }
                </div>
            </header>
            <ol class="log-rows" tabindex="0" aria-label="Log, newest first">
                { for items }
            </ol>
        </section>
    }
}

fn log_row(row: &LogRow, selected: Option<RecordId>, onrecord: &Callback<RecordId>) -> Html {
    let record = row.record;
    let go_to_record = |to: RecordId| onrecord.reform(move |_| to);
    let class = classes!(
        row.category.class(),
        row.is_current.then_some("current"),
        (selected == Some(record)).then_some("selected"),
        (!row.violations.is_empty()).then_some("violating"),
    );
    html! {
        <li key={record.0} data-testid="log-row" {class}>
            <button class="event" onclick={go_to_record(record)} title="Go to this event">
                <span class="at">{ row.at.clone() }</span>
                <svg class="picture glyph" viewBox="0 0 16 16" width="16" height="16"
                    aria-hidden="true">
                    { for row.category.shapes((8.0, 8.0), 5.4).iter().map(shape_view) }
                </svg>
                <span class="what">
                    if !row.actor.is_empty() { <b>{ row.actor.clone() }</b>{ " " } }
                    { row.action.clone() }
                </span>
            </button>
            { for row.violations.iter().map(|(invariant, explanation)| html! {
                <p class="violation-text">{ format!("✕ {invariant} violated: {explanation}") }</p>
            }) }
            if let Some(reason) = &row.reason {
                <p class="reason">
                    { format!("because {reason}") }
                    { for row.causes.iter().map(|(cause, at)| html! {
                        <button key={cause.0} class="cause" onclick={go_to_record(*cause)}
                            title="Go to cause">{ format!("↩ {at}") }</button>
                    }) }
                </p>
            }
        </li>
    }
}
