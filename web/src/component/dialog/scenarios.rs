//! The library of scenarios by groups, with the point of each. The questions stay hidden.

use std::rc::Rc;

use leasehold_sim::{Scenario, ScenarioGroup, groups_of};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::Dialog;
use crate::component::scenario_card::Cards;
use crate::model::progress::Progress;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ScenariosProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) current: AttrValue,
    pub(crate) progress: Progress,
    pub(crate) onchoose: Callback<usize>,
    pub(crate) onreset: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn ScenariosDialog(props: &ScenariosProps) -> Html {
    let ScenariosProps { library, current, progress, onchoose, onclose, .. } = props.clone();
    let section = |group: ScenarioGroup| {
        html! {
            <section key={group.title()} class="scenario-group" aria-label={group.title()}>
                <h3>{ group.title() }</h3>
                <Cards library={Rc::clone(&library)} {group} progress={progress.clone()}
                    current={Some(current.to_string())} onchoose={onchoose.clone()} />
            </section>
        }
    };
    let groups = groups_of(&library);
    html! {
        <Dialog title="Scenarios" class="scenarios" {onclose}>
            { for groups.into_iter().map(|(group, _)| section(group)) }
            <ProgressLine {progress} count={library.len()} onreset={props.onreset.clone()} />
        </Dialog>
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ProgressLineProps {
    pub(crate) progress: Progress,
    /// The number of scenarios.
    pub(crate) count: usize,
    pub(crate) onreset: Callback<()>,
}

/// How many scenarios the user has seen, and a button that resets this.
#[component]
pub(crate) fn ProgressLine(props: &ProgressLineProps) -> Html {
    if props.progress.is_empty() {
        return html! {
            <p class="progress-line">
                { "What you have seen, predicted and solved is remembered on this machine only." }
            </p>
        };
    }
    html! {
        <p class="progress-line" data-testid="progress">
            { format!("{} of {} scenarios seen. This is remembered on this machine only.",
                props.progress.len(), props.count) }
            <button class="quiet" data-testid="progress-reset"
                onclick={props.onreset.reform(|_| ())}>{ "Reset progress" }</button>
        </p>
    }
}
