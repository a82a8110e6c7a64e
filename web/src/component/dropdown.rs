//! A menu below a button of the header: a modal dialog of the browser, which keeps the focus inside
//! and closes with Esc or a click outside. On a phone it is a sheet at the bottom of the screen.

use wasm_bindgen::JsCast as _;
use web_sys::{Event, HtmlDialogElement, MouseEvent};
use yew::{AttrValue, Callback, Children, Html, Properties, component, html, use_node_ref};
use yew::{classes, use_effect_with};

use crate::browser;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct DropdownProps {
    pub(crate) title: AttrValue,
    pub(crate) class: &'static str,
    /// The `data-testid` of the button that opens it.
    pub(crate) anchor: &'static str,
    pub(crate) is_open: bool,
    pub(crate) onclose: Callback<()>,
    pub(crate) children: Children,
}

/// The menu is always in the document, so that its content can be found while it is closed.
#[component]
pub(crate) fn Dropdown(props: &DropdownProps) -> Html {
    let DropdownProps { title, class, anchor, is_open, onclose, children } = props.clone();
    let node = use_node_ref();
    let mounted = node.clone();
    use_effect_with(is_open, move |is_open| {
        let Some(dialog) = mounted.cast::<HtmlDialogElement>() else { return };
        if *is_open {
            browser::place_below(&dialog, anchor);
            // Fails only if the dialog is already open.
            dialog.show_modal().ok();
        } else if dialog.open() {
            dialog.close();
        }
    });
    let close_on_cancel = onclose.clone();
    let oncancel = move |event: Event| {
        event.prevent_default();
        close_on_cancel.emit(());
    };
    let onclick = move |event: MouseEvent| {
        // A click targets the dialog itself only on the backdrop, outside its content.
        let is_outside =
            event.target().is_some_and(|it| it.dyn_ref::<HtmlDialogElement>().is_some());
        if is_outside {
            onclose.emit(());
        }
    };
    html! {
        <dialog ref={node} class={classes!("dropdown", class)} {oncancel} {onclick}
            aria-label={title.clone()}>
            <div class="dropdown-body">
                <h2>{ title }</h2>
                { children }
            </div>
        </dialog>
    }
}
