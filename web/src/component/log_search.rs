//! The field to search in the log.

use std::rc::Rc;

use wasm_bindgen::JsCast as _;
use web_sys::{HtmlInputElement, InputEvent, KeyboardEvent};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::icon::drawn;
use crate::model::log_search::LogMatches;
use crate::picture::icon::Icon;

/// What the user does with the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SearchAction {
    Open,
    Close,
    SetText(String),
    /// Goes to the next older match, or to the next newer one.
    GoTo {
        older: bool,
    },
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LogSearchFieldProps {
    pub(crate) text: AttrValue,
    pub(crate) matches: Rc<LogMatches>,
    pub(crate) onsearch: Callback<SearchAction>,
}

#[component]
pub(crate) fn LogSearchField(props: &LogSearchFieldProps) -> Html {
    let onsearch = &props.onsearch;
    let oninput = onsearch.reform(|event: InputEvent| {
        let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        SearchAction::SetText(field.map(|field| field.value()).unwrap_or_default())
    });
    let search = onsearch.clone();
    let onkeydown = move |event: KeyboardEvent| {
        let action = match event.key().as_str() {
            "Enter" => SearchAction::GoTo { older: !event.shift_key() },
            "ArrowDown" => SearchAction::GoTo { older: true },
            "ArrowUp" => SearchAction::GoTo { older: false },
            "Escape" => SearchAction::Close,
            _ => return,
        };
        event.prevent_default();
        // The page has other uses for these keys.
        event.stop_propagation();
        search.emit(action);
    };
    let button = |icon: Icon, label: &'static str, test_id: &'static str, action: SearchAction| {
        let onclick = onsearch.reform(move |_| action.clone());
        html! {
            <button class="quiet" aria-label={label} title={label} data-testid={test_id} {onclick}>
                { drawn(icon) }
            </button>
        }
    };
    let is_searching = !props.text.trim().is_empty();
    html! {
        <div class="log-search" role="search">
            { drawn(Icon::Search) }
            <input type="text" value={props.text.clone()} {oninput} {onkeydown}
                placeholder="Search in the log" aria-label="Search in the log"
                data-testid="log-search" autocomplete="off" spellcheck="false"
                enterkeyhint="search" />
            <output class="count" data-testid="log-search-count" role="status">
                if is_searching { { props.matches.count_text() } }
            </output>
            { button(
                Icon::ChevronDown, "Next older match", "log-search-next",
                SearchAction::GoTo { older: true },
            ) }
            { button(
                Icon::ChevronUp, "Next newer match", "log-search-previous",
                SearchAction::GoTo { older: false },
            ) }
            { button(Icon::Close, "Close the search", "log-search-close", SearchAction::Close) }
        </div>
    }
}
