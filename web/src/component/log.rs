//! The log: the events so far, each with its cause.

use std::rc::Rc;

use leasehold_sim::{Importance, RecordId};
use yew::{AttrValue, Callback, Html, Properties, classes, component, html, use_effect_with};

use super::figure::shape_view;
use super::icon::drawn;
use super::key_hint::by_pointer;
use super::log_search::{LogSearchField, SearchAction};
use super::terms::TermText;
use super::who::text_with_clients;
use crate::browser;
use crate::model::client_names::ClientNames;
use crate::model::log_rows::LogRow;
use crate::model::log_search::{LogMatches, LogSearch};
use crate::picture::icon::Icon;

/// The levels of the log: minimum importance and label.
const LEVELS: [(Importance, &str); 3] = [
    (Importance::Release, "Key events"),
    (Importance::Step, "All steps"),
    (Importance::Internal, "Include heartbeats"),
];

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LogProps {
    pub(crate) rows: Rc<Vec<LogRow>>,
    pub(crate) clients: Rc<ClientNames>,
    pub(crate) has_more: bool,
    /// Whether any event has happened.
    pub(crate) has_past: bool,
    pub(crate) min_importance: Importance,
    /// The name of the target whose events are shown; `None` shows all events.
    pub(crate) filtered_to: Option<String>,
    pub(crate) selected: Option<RecordId>,
    pub(crate) onrecord: Callback<RecordId>,
    /// Receives the name of a term of the glossary.
    pub(crate) onterm: Callback<&'static str>,
    pub(crate) onwhy: Callback<RecordId>,
    pub(crate) onminimportance: Callback<Importance>,
    pub(crate) onclearfilter: Callback<()>,
    pub(crate) onmore: Callback<()>,
    pub(crate) search: LogSearch,
    pub(crate) matches: Rc<LogMatches>,
    pub(crate) onsearch: Callback<SearchAction>,
}

#[component]
pub(crate) fn Log(props: &LogProps) -> Html {
    let LogProps { rows, has_more, min_importance, filtered_to, selected, .. } = props.clone();
    let search_text = props.search.text.trim().to_ascii_lowercase();
    use_effect_with((Rc::clone(&rows), search_text), |(_, text)| {
        browser::highlight_text("log-search", ".log-rows li.match", text);
    });
    let is_current_match =
        |row: &LogRow| row.is_match && Some(row.record) == props.matches.current();
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
        rows.iter().map(|row| log_row(row, selected, is_current_match(row), props)).collect();
    if rows.is_empty() {
        items.push(no_events(props.has_past));
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
                            { format!("Only {filtered_to}") }{ drawn(Icon::Close) }
                        </button>
                    }
                </div>
                if !props.search.is_open {
                    <button class="quiet search-open" data-testid="log-search-open"
                        aria-label="Search in the log (/)" title="Search in the log (/)"
                        onclick={props.onsearch.reform(|_| SearchAction::Open)}>
                        { drawn(Icon::Search) }
                    </button>
                }
            </header>
            if props.search.is_open {
                <LogSearchField text={AttrValue::from(props.search.text.clone())}
                    matches={Rc::clone(&props.matches)} onsearch={props.onsearch.clone()} />
            }
            <ol class="log-rows" tabindex="0" aria-label="Log, newest first">
                { for items }
            </ol>
        </section>
    }
}

fn no_events(has_past: bool) -> Html {
    html! {
        <li key="nothing" class="nothing">
            if has_past {
                { "No event so far matches the filter. Clear it, or show all steps." }
            } else {
                { by_pointer(
                    "No events yet. Press Space to play, or the right arrow to step.",
                    "No events yet. Tap Play or Step below.",
                ) }
            }
        </li>
    }
}

fn log_row(
    row: &LogRow,
    selected: Option<RecordId>,
    is_current_match: bool,
    props: &LogProps,
) -> Html {
    let record = row.record;
    let with_clients = |text: &str| text_with_clients(text, &props.clients);
    let go_to_record = |to: RecordId| props.onrecord.reform(move |_| to);
    let class = classes!(
        row.category.class(),
        row.is_current.then_some("current"),
        row.is_match.then_some("match"),
        is_current_match.then_some("current-match"),
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
                    if !row.actor.is_empty() { <b>{ with_clients(&row.actor) }</b>{ " " } }
                    { with_clients(&row.action) }
                </span>
            </button>
            { for row.violations.iter().map(|(invariant, explanation)| html! {
                <p class="violation-text">
                    { drawn(Icon::Cross) }
                    { with_clients(&format!("{invariant} violated: {explanation}")) }
                </p>
            }) }
            if let Some(reason) = &row.reason {
                <p class="reason">
                    { "because " }
                    <TermText text={reason.clone()} clients={Rc::clone(&props.clients)}
                        onterm={props.onterm.clone()} />
                    { for row.causes.iter().map(|(cause, at)| html! {
                        <button key={cause.0} class="cause" onclick={go_to_record(*cause)}
                            title="Go to cause">{ drawn(Icon::ArrowLeft) }{ at.clone() }</button>
                    }) }
                    <button class="cause why-button" onclick={props.onwhy.reform(move |_| record)}
                        title="Explain, from the first cause on">{ "Why?" }</button>
                </p>
            }
        </li>
    }
}
