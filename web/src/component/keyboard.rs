//! Parses key presses into messages.

use std::cell::Cell;
use std::rc::Rc;

use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast as _;
use web_sys::{Document, Event, KeyboardEvent};
use yew::html::Scope;

use super::app::App;
use crate::area::message::Msg;
use crate::area::page_state::PageState;
use crate::browser;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{KeyContext, KeyPress, command_for};
use crate::model::target::Target;

/// Elements that Enter and Space press if they have the keyboard focus.
const PRESSABLE: &str = "button, a, label, summary";

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
    let (Some(window), Some(document)) = (browser::window(), browser::document()) else {
        return Vec::new();
    };
    let (link, page_keys) = (link.clone(), Rc::clone(page_keys));
    let focus_by_keyboard = Rc::new(Cell::new(false));
    let is_space_consumed = Rc::new(Cell::new(false));
    let mut listeners = focus_listeners(&document, &focus_by_keyboard);
    let consumed = Rc::clone(&is_space_consumed);
    let on_key_down = move |event: &Event| {
        let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
        let msg = parse_key(event, page_keys.get(), focus_by_keyboard.get());
        if event.key() == " " {
            consumed.set(msg.is_some());
        }
        if let Some(msg) = msg {
            link.send_message(msg);
        }
    };
    let on_key_up = move |event: &Event| {
        // Firefox clicks the focused button when Space is released, whatever became of the press.
        let is_space = event.dyn_ref::<KeyboardEvent>().is_some_and(|event| event.key() == " ");
        if is_space && is_space_consumed.take() {
            event.prevent_default();
        }
    };
    let options = EventListenerOptions::enable_prevent_default;
    listeners.extend([
        EventListener::new_with_options(&window, "keydown", options(), on_key_down),
        EventListener::new_with_options(&window, "keyup", options(), on_key_up),
    ]);
    listeners
}

/// Registers the listeners that find out whether the focus was moved by the keyboard. The browser
/// knows it when the focus moves, but may change its mind at the next key press.
fn focus_listeners(document: &Document, by_keyboard: &Rc<Cell<bool>>) -> Vec<EventListener> {
    let (by_focus, by_pointer) = (Rc::clone(by_keyboard), Rc::clone(by_keyboard));
    let on_focus = move |_: &Event| by_focus.set(browser::focus_matches(":focus-visible"));
    let on_pointer = move |_: &Event| by_pointer.set(false);
    let options = EventListenerOptions::run_in_capture_phase;
    vec![
        EventListener::new_with_options(document, "pointerdown", options(), on_pointer),
        EventListener::new_with_options(document, "focusin", options(), on_focus),
    ]
}

/// Returns the message of a key. Prevents the browser's default action if it is a shortcut of the
/// page.
fn parse_key(event: &KeyboardEvent, page: PageKeys, focus_by_keyboard: bool) -> Option<Msg> {
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
        on_button: focus_by_keyboard && browser::focus_is_in(PRESSABLE) && !on_range,
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
