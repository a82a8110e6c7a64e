//! The icons of buttons.

use yew::{Html, html};

use super::figure::shape_view;
use crate::picture::icon::Icon;

/// Returns the icon with this name. Icons are drawn, so that they look the same in every font.
pub(crate) fn icon(name: &str) -> Html {
    drawn(match name {
        "play" => Icon::Play,
        "pause" => Icon::Pause,
        "step" => Icon::Step,
        "back" => Icon::StepBack,
        "start" => Icon::PreviousKeyEvent,
        "next" => Icon::NextKeyEvent,
        "menu" => Icon::Menu,
        _ => Icon::Close,
    })
}

/// Draws an icon beside text, which says what it means.
pub(crate) fn drawn(icon: Icon) -> Html {
    html! {
        <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
            { shape_view(&icon.shape()) }
        </svg>
    }
}
