//! The invariants: whether each holds at the current position, and what each of them means.

use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, RecordId};
use yew::{Callback, Html, Properties, classes, component, html, use_state};

use super::icon::drawn;
use super::terms::TermText;
use crate::model::protection_labels::capitalized;
use crate::picture::icon::Icon;

/// An invariant, with its status at the current position and at the end of the run.
type Status = (Invariant, InvariantStatus, InvariantStatus);

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InvariantsProps {
    pub(crate) statuses: Rc<Vec<Status>>,
    /// Whether the status at the end may be shown.
    pub(crate) shows_whole_run: bool,
    pub(crate) onwitness: Callback<RecordId>,
    /// Receives the name of a term of the glossary.
    pub(crate) onterm: Callback<&'static str>,
}

/// The status of each invariant at the current position. A row expands to its meaning; that of a
/// violated invariant leads to the violation, too.
#[component]
pub(crate) fn Invariants(props: &InvariantsProps) -> Html {
    let expanded = use_state(|| None::<Invariant>);
    let shows_whole_run = props.shows_whole_run;
    let row = |status: &Status| {
        let invariant = status.0;
        let is_expanded = *expanded == Some(invariant);
        let text = RowText::new(status, shows_whole_run);
        let onclick = {
            let (onwitness, expanded, now) = (props.onwitness.clone(), expanded.clone(), status.1);
            move |_| {
                if let Some(witness) = now.witness() {
                    onwitness.emit(witness);
                    expanded.set(Some(invariant));
                } else {
                    expanded.set((!is_expanded).then_some(invariant));
                }
            }
        };
        html! {
            <li key={invariant.name()}>
                <button {onclick} data-testid={format!("invariant-{invariant}")}
                    class={classes!("invariant", text.code,
                        text.is_violated_later.then_some("later"))}
                    data-status={text.code} aria-expanded={is_expanded.to_string()}
                    aria-label={format!("{}: {}", invariant.heading(), text.now)}
                    title={capitalized(invariant.sentence())}>
                    <span class="mark" aria-hidden="true">{ drawn(text.mark) }</span>
                    <b>{ invariant.name() }</b>{ " " }
                    <span class="title">{ invariant.title() }</span>
                    if text.is_violated_later {
                        <span class="violated-later" aria-hidden="true">
                            { drawn(Icon::Cross) }</span>
                    }
                </button>
            </li>
        }
    };
    let meaning = expanded.and_then(|it| props.statuses.iter().find(|(other, ..)| *other == it));
    html! {
        <section class="panel invariants-panel" id="panel-invariants" data-testid="invariants"
            aria-label="Invariants">
            <header class="panel-header">
                <h2>{ "Invariants" }</h2>
                if meaning.is_none() {
                    <p class="nothing">{ "Select one to read what it means" }</p>
                }
            </header>
            <ul class="invariants">{ for props.statuses.iter().map(row) }</ul>
            if let Some(status) = meaning {
                { meaning_view(status, props) }
            }
        </section>
    }
}

/// The texts of a row.
struct RowText {
    code: &'static str,
    mark: Icon,
    now: String,
    is_violated_later: bool,
}

impl RowText {
    fn new((_, now, at_end): &Status, shows_whole_run: bool) -> Self {
        let code = match now {
            InvariantStatus::NotYet => InvariantStatus::Unchecked.code(),
            InvariantStatus::Ok | InvariantStatus::Violated { .. } | InvariantStatus::Unchecked => {
                now.code()
            }
        };
        let mark = match now {
            InvariantStatus::Ok => Icon::Check,
            InvariantStatus::Violated { .. } => Icon::Cross,
            InvariantStatus::NotYet => Icon::More,
            InvariantStatus::Unchecked => Icon::Minus,
        };
        let is_violated_later =
            shows_whole_run && now.witness().is_none() && at_end.witness().is_some();
        let later = if is_violated_later { ", violated later in this run" } else { "" };
        Self { code, mark, now: format!("{}{later}", status_text(*now)), is_violated_later }
    }
}

const fn status_text(status: InvariantStatus) -> &'static str {
    match status {
        InvariantStatus::Ok => "holds so far",
        InvariantStatus::Violated { .. } => "violated",
        InvariantStatus::NotYet => "nothing to check yet",
        InvariantStatus::Unchecked => "not checked in this run",
    }
}

/// What the expanded invariant means, and its status.
fn meaning_view(
    (invariant, now, at_end): &Status,
    InvariantsProps { shows_whole_run, onwitness, onterm, .. }: &InvariantsProps,
) -> Html {
    let shows_whole_run = *shows_whole_run;
    let witness = now.witness().or(at_end.witness().filter(|_| shows_whole_run));
    let whole_run = match at_end {
        InvariantStatus::Ok => "holds",
        InvariantStatus::NotYet => "nothing to check",
        InvariantStatus::Violated { .. } | InvariantStatus::Unchecked => status_text(*at_end),
    };
    html! {
        <div class="invariant-meaning" data-testid="invariant-meaning" role="status">
            <p><b>{ invariant.heading() }</b>{ ": " }
                <TermText text={invariant.sentence()} onterm={onterm.clone()} />{ "." }</p>
            <p class="reason">
                { format!("Now: {}.", status_text(*now)) }
                if shows_whole_run { { format!(" Whole run: {whole_run}.") } }
                if let Some(witness) = witness {
                    <button class="cause" data-testid={format!("witness-{invariant}")}
                        onclick={onwitness.reform(move |_| witness)}>
                        { "Go to the violation" }
                    </button>
                }
            </p>
        </div>
    }
}
