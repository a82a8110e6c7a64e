//! Presenting to an audience: the large layout, the blank screen, the pointer's halo, and the notes
//! in a second window.

use super::context::{Context, PageArea, Redraw};
use super::effect::Effect;
use super::layout::{LayoutMsg, Theme};
use crate::model::notes::Notes;
use crate::model::workspace::Workspace;

/// The message that the notes window sends when it opens.
pub(crate) const NOTES_HELLO: &str = "hello";

pub(crate) enum PresentMsg {
    Toggle,
    ToggleBlank,
    TogglePointerHalo,
    ToggleFullScreen,
    /// Closes the topmost thing that is open: what shows "Esc" first, then what covers the page.
    Escape,
    OpenNotes,
    /// The notes window has sent this message.
    NotesWindow(String),
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub(crate) struct PresentArea {
    pub(crate) is_presenting: bool,
    pub(crate) is_blank: bool,
    pub(crate) has_pointer_halo: bool,
    /// Whether a notes window has announced itself.
    has_notes_window: bool,
    /// The notes that the window shows.
    last_notes: String,
}

impl PageArea for PresentArea {
    type Msg = PresentMsg;

    fn update(&mut self, msg: PresentMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            PresentMsg::Toggle => self.toggle(cx),
            PresentMsg::ToggleBlank => self.is_blank = !self.is_blank,
            PresentMsg::TogglePointerHalo => self.has_pointer_halo = !self.has_pointer_halo,
            PresentMsg::ToggleFullScreen => cx.request(Effect::ToggleFullScreen),
            PresentMsg::Escape => self.escape(cx),
            PresentMsg::OpenNotes => cx.request(Effect::OpenNotesWindow),
            PresentMsg::NotesWindow(text) => {
                if text == NOTES_HELLO {
                    self.has_notes_window = true;
                    self.last_notes.clear();
                }
                return Redraw::Nothing;
            }
        }
        Redraw::Page
    }
}

impl PresentArea {
    fn toggle(&mut self, cx: &mut Context<'_>) {
        self.is_presenting = !self.is_presenting;
        if self.is_presenting {
            // A light background is easier to read on a projector.
            cx.send(LayoutMsg::SetTheme(Theme::Light));
            cx.request(Effect::KeepAwake);
        } else {
            cx.send(LayoutMsg::SetTheme(Theme::System));
        }
    }

    fn escape(&mut self, cx: &mut Context<'_>) {
        if self.is_blank {
            self.is_blank = false;
            return;
        }
        let workspace = &mut *cx.workspace;
        let has_closed = workspace.quiz.close_answer()
            || workspace.comparison.take().is_some()
            || workspace.selected.take().is_some()
            || workspace.toast.take().is_some();
        if !has_closed && self.is_presenting {
            self.toggle(cx);
        }
    }

    /// Returns the notes for the second window, if there is one and they have changed.
    pub(super) fn changed_notes(
        &mut self,
        workspace: &Workspace,
        seconds_left: Option<u32>,
    ) -> Option<String> {
        if !self.has_notes_window {
            return None;
        }
        let notes = Notes::from_workspace(workspace, seconds_left).encode();
        if notes == self.last_notes {
            return None;
        }
        self.last_notes.clone_from(&notes);
        Some(notes)
    }
}
