//! What to do next: suggestions at the end of a run, and the hints of a puzzle.

use yew::{Callback, Html, Properties, classes, component, html};

use super::icon::drawn;
use crate::model::next_steps::NextStep;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct NextStepsProps {
    /// The suggestions, the best one first.
    pub(crate) steps: Vec<NextStep>,
    pub(crate) onstep: Callback<NextStep>,
}

/// The suggestions at the end of a run.
#[component]
pub(crate) fn NextSteps(props: &NextStepsProps) -> Html {
    let button = |(index, step): (usize, &NextStep)| {
        let (icon, test_id) = match step {
            NextStep::Disable(_) => (Icon::Shield, "next-disable"),
            NextStep::Restore => (Icon::Undo, "next-restore"),
            NextStep::Compare => (Icon::Compare, "next-compare"),
            NextStep::ShowHint { .. } => (Icon::Hint, "next-hint"),
            NextStep::OpenScenario { .. } => (Icon::ArrowRight, "next-scenario"),
        };
        let onclick = {
            let (onstep, step) = (props.onstep.clone(), step.clone());
            move |_| onstep.emit(step.clone())
        };
        let class = if index == 0 { "primary" } else { "small-button" };
        html! {
            <button key={step.label()} class={classes!(class, "next-step")} data-testid={test_id}
                {onclick}>
                { drawn(icon) }<span>{ step.label() }</span>
            </button>
        }
    };
    html! {
        <section class="panel next-steps" data-testid="next-steps" aria-label="What comes next">
            <h2>{ "What comes next" }</h2>
            <div class="next-buttons">
                { for props.steps.iter().enumerate().map(button) }
            </div>
        </section>
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HintsProps {
    /// The hints that are shown, the vaguest first.
    pub(crate) shown: Vec<String>,
    /// The step that shows one more.
    pub(crate) next: Option<NextStep>,
    pub(crate) onstep: Callback<NextStep>,
}

/// The hints of a puzzle, one at a time.
#[component]
pub(crate) fn Hints(props: &HintsProps) -> Html {
    let button = |next: &NextStep| {
        let (onstep, step) = (props.onstep.clone(), next.clone());
        html! {
            <button class="small-button next-step" data-testid="hint"
                onclick={move |_| onstep.emit(step.clone())}>
                { drawn(Icon::Hint) }<span>{ next.label() }</span>
            </button>
        }
    };
    html! {
        <section class="panel hints" data-testid="hints" aria-label="Hints">
            <header class="panel-header">
                <h2>{ "Hints" }</h2>
                { for props.next.as_ref().map(button) }
            </header>
            <ol aria-live="polite">
                { for props.shown.iter().map(|hint| html! { <li>{ hint.clone() }</li> }) }
            </ol>
        </section>
    }
}
