//! The lines below the pictures: the source of the trace, the caption, and the goal.

use yew::{AttrValue, Html, Properties, classes, component, html};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct CaptionProps {
    pub(crate) text: AttrValue,
    /// Whether the caption is a warning.
    pub(crate) is_warning: bool,
    /// Whether screen readers announce the caption: at a stop, but not during playback.
    pub(crate) is_announced: bool,
}

/// The caption of the current step.
#[component]
pub(crate) fn Caption(props: &CaptionProps) -> Html {
    let live = if props.is_announced { "polite" } else { "off" };
    html! {
        <p class={classes!("caption", props.is_warning.then_some("alarm"))} data-testid="caption"
            role="status" aria-live={live}>
            { props.text.clone() }
        </p>
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct GoalProps {
    pub(crate) text: AttrValue,
    pub(crate) is_reached: bool,
}

/// The progress towards the goal of the scenario.
#[component]
pub(crate) fn Goal(props: &GoalProps) -> Html {
    html! {
        <p class={classes!("goal", props.is_reached.then_some("reached"))} data-testid="goal">
            { props.text.clone() }
        </p>
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct SourceBadgeProps {
    pub(crate) code: &'static str,
    pub(crate) text: AttrValue,
}

/// The source of the trace, for presentations, which hide the header.
#[component]
pub(crate) fn SourceBadge(props: &SourceBadgeProps) -> Html {
    html! {
        <p class="status source" data-status={props.code} data-testid="from">
            { props.text.clone() }
        </p>
    }
}
