//! The lines below the pictures: the caption and the goal.

use std::rc::Rc;

use yew::{AttrValue, Html, Properties, classes, component, html};

use super::who::text_with_clients;
use crate::model::client_names::ClientNames;
use crate::picture::presented_text::caption_size;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct CaptionProps {
    pub(crate) text: AttrValue,
    pub(crate) clients: Rc<ClientNames>,
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
        <p class={classes!("caption", caption_size(&props.text),
            props.is_warning.then_some("alarm"))} data-testid="caption"
            role="status" aria-live={live}>
            { text_with_clients(&props.text, &props.clients) }
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
