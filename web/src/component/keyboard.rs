//! Translates key and window events of the browser into messages.

use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast as _;
use web_sys::KeyboardEvent;
use yew::Context;
use yew::html::Scope;

use super::app::App;
use super::messages::{Msg, WindowMsg};
use crate::browser;
use crate::model::shortcuts::{KeyContext, KeyPress, command_for};

/// Elements that Enter and Space press if they have the keyboard focus.
const PRESSABLE: &str = ":is(button, a, label, summary):focus-visible";

/// Registers the listeners. They are removed when they are dropped.
pub(super) fn listeners(ctx: &Context<App>) -> Vec<EventListener> {
    let Some(window) = browser::window() else { return Vec::new() };
    let link = ctx.link().clone();
    let on_key = move |event: &web_sys::Event| {
        if let Some(event) = event.dyn_ref::<KeyboardEvent>() {
            handle_key(&link, event);
        }
    };
    let resized = ctx.link().callback(|()| WindowMsg::Resized);
    let options = EventListenerOptions::enable_prevent_default();
    vec![
        EventListener::new_with_options(&window, "keydown", options, on_key),
        EventListener::new(&window, "resize", move |_| resized.emit(())),
    ]
}

/// Handles a key, and prevents the browser's default action if it is a shortcut of the page.
fn handle_key(link: &Scope<App>, event: &KeyboardEvent) {
    let is_dialog_open = browser::focus_is_in("dialog");
    let is_question_open =
        browser::element("question").is_some_and(|it| it.class_name() == "question-open");
    let (key, code) = (event.key(), event.code());
    let key_press = KeyPress {
        key: &key,
        code: &code,
        shift: event.shift_key(),
        control: event.ctrl_key() || event.meta_key(),
        alt: event.alt_key(),
    };
    let on_range = browser::focus_is_in("input[type=range]");
    let context = KeyContext {
        in_text_field: browser::focus_is_in("input:not([type=range]), textarea, select"),
        // A clicked element also has the focus, but these keys are not meant for it.
        on_button: browser::focus_is_in(PRESSABLE) && !on_range,
        on_time_axis: browser::focus_is_in("[data-time]"),
        in_picture: browser::focus_is_in("svg.picture"),
        is_question_open,
        is_presenting: browser::element("page")
            .is_some_and(|it| it.class_list().contains("presenting")),
        shortcuts_disabled: browser::element("page")
            .is_some_and(|it| it.class_list().contains("shortcuts-off")),
    };
    // A dialog handles its own keys: those of the browser, and arrows between items.
    if is_dialog_open {
        let forward = matches!(key_press.key, "ArrowDown" | "ArrowRight");
        let backward = matches!(key_press.key, "ArrowUp" | "ArrowLeft");
        if (forward || backward)
            && !context.in_text_field
            && browser::focus_next_in_list(forward).is_some()
        {
            event.prevent_default();
        }
        return;
    }
    if let Some(command) = command_for(key_press, context) {
        event.prevent_default();
        link.send_message(Msg::Command(command));
    }
}
