//! The notification about the last operation.

use yew::{Callback, Html, Properties, component, html};

use super::icon::icon;
use super::key_hint::with_key;
use crate::model::workspace::{Toast, ToastAction};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ToastsProps {
    pub(crate) toast: Option<Toast>,
    /// Whether the comparison is open, so that a toast need not offer it.
    pub(crate) is_comparing: bool,
    pub(crate) onaction: Callback<ToastAction>,
    pub(crate) ondismiss: Callback<()>,
}

#[component]
pub(crate) fn Toasts(props: &ToastsProps) -> Html {
    let button = |action: ToastAction| {
        let text = match action {
            ToastAction::Undo => with_key("Undo", "U"),
            ToastAction::Compare => with_key("Compare", "M"),
            ToastAction::PlayFromStart => html! { "Play from start" },
            ToastAction::SaveRecording => html! { "Save" },
        };
        let onclick = props.onaction.reform(move |_| action);
        html! { <button class="small-button" {onclick}>{ text }</button> }
    };
    let toast = |toast: &Toast| {
        let is_offered = |it: &ToastAction| *it != ToastAction::Compare || !props.is_comparing;
        let actions = toast.actions.iter().copied().filter(is_offered);
        html! {
            <div class="toast" data-testid="toast">
                <span>{ toast.text.clone() }</span>
                { for actions.map(button) }
                <button class="quiet close" aria-label="Close"
                    onclick={props.ondismiss.reform(|_| ())}>
                    { icon("close") }
                </button>
            </div>
        }
    };
    html! {
        <div class="toasts" role="status" aria-live="polite">
            { for props.toast.as_ref().map(toast) }
        </div>
    }
}
