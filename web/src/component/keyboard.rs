//! Parses key presses into messages.

use std::cell::Cell;
use std::rc::Rc;

use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast as _;
use web_sys::KeyboardEvent;
use yew::html::Scope;

use super::app::App;
use crate::area::message::Msg;
use crate::area::page_state::PageState;
use crate::browser;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{KeyContext, KeyPress, command_for};
use crate::model::target::Target;

/// Elements that Enter and Space press if they have the keyboard focus.
const PRESSABLE: &str = ":is(button, a, label, summary):focus-visible";

/// What the meaning of a key depends on, apart from the focus.
#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent conditions")]
pub(super) struct PageKeys {
    is_dialog_open: bool,
    is_question_open: bool,
    is_presenting: bool,
    shortcuts_disabled: bool,
}

impl PageKeys {
    pub(super) fn from_state(state: &PageState) -> Self {
        Self {
            is_dialog_open: state.layout.open_dialog.is_some(),
            is_question_open: state.workspace.quiz.is_enabled
                && state.workspace.quiz.phase == QuizPhase::Open,
            is_presenting: state.present.is_presenting,
            shortcuts_disabled: state.layout.shortcuts_disabled,
        }
    }
}

/// Registers the listeners. They are removed when they are dropped.
pub(super) fn listeners(link: &Scope<App>, page_keys: &Rc<Cell<PageKeys>>) -> Vec<EventListener> {
    let Some(window) = browser::window() else { return Vec::new() };
    let (link, page_keys) = (link.clone(), Rc::clone(page_keys));
    let on_key = move |event: &web_sys::Event| {
        if let Some(event) = event.dyn_ref::<KeyboardEvent>()
            && let Some(msg) = parse_key(event, page_keys.get())
        {
            link.send_message(msg);
        }
    };
    let options = EventListenerOptions::enable_prevent_default();
    vec![EventListener::new_with_options(&window, "keydown", options, on_key)]
}

/// Returns the message of a key. Prevents the browser's default action if it is a shortcut of the
/// page.
fn parse_key(event: &KeyboardEvent, page: PageKeys) -> Option<Msg> {
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
        is_question_open: page.is_question_open,
        is_presenting: page.is_presenting,
        shortcuts_disabled: page.shortcuts_disabled,
    };
    // A dialog handles its own keys: those of the browser, and arrows between items.
    if page.is_dialog_open {
        let forward = matches!(key_press.key, "ArrowDown" | "ArrowRight");
        let backward = matches!(key_press.key, "ArrowUp" | "ArrowLeft");
        if (forward || backward)
            && !context.in_text_field
            && browser::focus_next_in_list(forward).is_some()
        {
            event.prevent_default();
        }
        return None;
    }
    let command = command_for(key_press, context)?;
    event.prevent_default();
    Some(Msg::from_command(command, focused_target()))
}

/// Returns the target with the keyboard focus.
pub(super) fn focused_target() -> Option<Target> {
    let focused = browser::document()?.active_element()?;
    Target::from_key(&focused.get_attribute("data-target")?)
}
