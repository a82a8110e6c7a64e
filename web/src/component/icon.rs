//! The icons of buttons.

use yew::{Html, html};

/// Returns an icon. Icons are drawn, so that they look the same in every font.
pub(crate) fn icon(name: &str) -> Html {
    let d = match name {
        "play" => "M5 3l12 7-12 7z",
        "pause" => "M5 3h3.6v14H5zM11.4 3H15v14h-3.6z",
        "step" => "M4 4l8 6-8 6zM13.5 4H16v12h-2.5z",
        "back" => "M16 4l-8 6 8 6zM6.5 4H4v12h2.5z",
        "start" => "M17 4l-6.5 6 6.5 6zM10 4l-6.5 6L10 16z",
        "next" => "M3 4l6.5 6L3 16zM10 4l6.5 6-6.5 6z",
        "menu" => "M3 5h14v2H3zM3 9h14v2H3zM3 13h14v2H3z",
        _ => "M5 5l10 10M15 5L5 15",
    };
    html! {
        <svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <path d={d} />
        </svg>
    }
}
