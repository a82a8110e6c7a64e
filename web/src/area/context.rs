//! What an area sees while it handles a message.

use std::collections::VecDeque;

use super::address::Address;
use super::effect::Effect;
use super::message::Msg;
use crate::model::workspace::Workspace;
use crate::picture::workspace_pictures::PictureSettings;

/// A part of the page with state of its own.
pub(crate) trait PageArea {
    /// The messages that the area handles.
    type Msg;

    /// Handles a message, and returns what must be drawn again.
    fn update(&mut self, msg: Self::Msg, cx: &mut Context<'_>) -> Redraw;
}

/// What must be drawn again after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Redraw {
    Nothing,
    /// The pictures and the clock, but no panel.
    Pictures,
    Page,
}

/// What the browser can be asked at any time.
#[derive(Clone, Copy)]
pub(crate) struct Environment {
    /// Returns the reading of the monotonic clock, in milliseconds.
    pub(crate) clock: fn() -> f64,
    /// Returns a random number from 0 (inclusive) to 1 (exclusive).
    pub(crate) random: fn() -> f64,
    /// Returns how far local time is ahead of UTC.
    pub(crate) utc_offset_minutes: fn() -> i32,
    /// Returns whether the screen has space for only one panel at a time.
    pub(crate) is_narrow: fn() -> bool,
    /// Whether the user prefers reduced motion.
    pub(crate) reduced_motion: bool,
    /// Returns the user's progress that was stored last, if the browser keeps it.
    pub(crate) load_progress: fn() -> Option<String>,
    /// Whether the user points with fingers, and has no keyboard at hand.
    pub(crate) is_touch: bool,
    /// Whether a lock server has served the page.
    pub(crate) is_server_available: bool,
}

/// The shared state, and the queues for what follows from a message.
pub(crate) struct Context<'a> {
    pub(crate) workspace: &'a mut Workspace,
    pub(crate) environment: &'a Environment,
    /// Whether the start screen covers the run.
    pub(crate) is_start_shown: bool,
    /// What the pictures show, according to the areas that decide it.
    pub(crate) settings: PictureSettings,
    pub(super) messages: &'a mut VecDeque<Msg>,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    /// Sends a message to another area. It is handled after this one.
    pub(crate) fn send(&mut self, msg: impl Into<Msg>) {
        self.messages.push_back(msg.into());
    }

    /// Requests an effect. Effects happen in order, after all messages have been handled.
    pub(crate) fn request(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn now(&self) -> f64 {
        (self.environment.clock)()
    }

    pub(crate) fn show_toast(&mut self, text: &str) {
        self.workspace.show_toast(text, Vec::new());
    }

    /// Updates the address, so that reloading the page shows the same moment of the same run.
    pub(crate) fn update_address(&mut self) {
        let address = Address::of(self.workspace, false);
        self.request(Effect::SetAddress(address));
    }

    /// Adds the address to the browser's history, because another run is shown.
    pub(crate) fn push_address(&mut self) {
        let address = Address::of(self.workspace, true);
        self.request(Effect::SetAddress(address));
    }
}
