//! The dialogs. Each is a modal dialog of the browser, which keeps the focus inside, restores it
//! afterwards, and closes with Esc.

mod exports;
mod fault_menu;
mod help;
mod legend;
mod scenarios;
mod search;

use wasm_bindgen::JsCast as _;
use web_sys::{Event, HtmlDialogElement, MouseEvent};
use yew::{
    AttrValue, Callback, Children, Html, Properties, component, html, use_effect_with, use_node_ref,
};

pub(super) use exports::ExportsDialog;
pub(super) use fault_menu::FaultMenu;
pub(super) use help::HelpDialog;
pub(super) use legend::LegendDialog;
pub(super) use scenarios::ScenariosDialog;
pub(super) use search::SearchDialog;

use super::icon::icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct DialogProps {
    pub(crate) title: AttrValue,
    pub(crate) class: AttrValue,
    pub(crate) onclose: Callback<()>,
    pub(crate) children: Children,
}

#[component]
pub(crate) fn Dialog(props: &DialogProps) -> Html {
    let DialogProps { title, class, onclose, children } = props.clone();
    let node = use_node_ref();
    let mounted = node.clone();
    use_effect_with((), move |()| {
        if let Some(dialog) = mounted.cast::<HtmlDialogElement>() {
            // Fails only if the dialog is already open.
            dialog.show_modal().ok();
        }
    });
    let close_on_cancel = onclose.clone();
    let oncancel = move |event: Event| {
        event.prevent_default();
        close_on_cancel.emit(());
    };
    let close_outside = onclose.clone();
    let onclick = move |event: MouseEvent| {
        // A click targets the dialog itself only on the backdrop, outside its content.
        let is_outside =
            event.target().is_some_and(|it| it.dyn_ref::<HtmlDialogElement>().is_some());
        if is_outside {
            close_outside.emit(());
        }
    };
    html! {
        <dialog ref={node} {class} {oncancel} {onclick} aria-label={title.clone()}>
            <div class="dialog-body">
                <header>
                    <h2>{ title }</h2>
                    <button class="quiet close" aria-label="Close (Esc)" title="Close (Esc)"
                        onclick={onclose.reform(|_| ())}>{ icon("close") }</button>
                </header>
                { children }
            </div>
        </dialog>
    }
}
