//! The invariants: whether each holds at the current position.

use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, RecordId};
use yew::{Callback, Html, Properties, classes, component, html};

use super::scenario_bar::capitalized;

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
    html! {
        <section class="panel invariants-panel" id="panel-invariants" data-testid="invariants"
            aria-label="Invariants">
            <ul class="invariants">{ for props.statuses.iter().map(row) }</ul>
        </section>
    }
}
