//! Runs the commands of keys and buttons.

use leasehold_sim::Protection;
use yew::Context;

use super::app::{App, OpenDialog, Theme};
use super::dialogs::ExportKind;
use super::export;
use super::notes_window;
use super::search_handlers::START_BUTTON;
use crate::browser;
use crate::model::player::Speed;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;

impl App {
    /// Runs the command of a key or a button.
    pub(super) fn run_command(&mut self, ctx: &Context<Self>, command: Command) {
        let (workspace, ui) = (&mut self.workspace, &mut self.ui);
        match command {
            Command::PlayPause => workspace.toggle_playback(),
            Command::Step { forward } => workspace.step(forward),
            Command::StepImportant { forward } => workspace.go_to_important(forward),
            Command::StepOfNode { forward } => workspace.go_to_selected_node(forward),
            Command::GoToStart => workspace.go_to_start(),
            Command::GoToEnd => self.go_to_end(),
            Command::Slower => workspace.player.slow_down(),
            Command::Faster => workspace.player.speed_up(),
            Command::AutoPace => workspace.player.speed = Speed::Auto,
            Command::Nudge { forward } => workspace.nudge(forward),
            Command::GoToStop { forward } => workspace.go_to_stop(forward),
            Command::Vote(option) => workspace.quiz.vote(option, !ui.is_presenting),
            Command::RetractVote => workspace.quiz.retract_vote(),
            Command::InjectFault(key) => workspace.inject_fault_by_key(key),
            Command::NextViolation => workspace.go_to_next_violation(),
            Command::ToggleProtection(index) => self.toggle_protection(index),
            Command::ToggleComparison => workspace.toggle_comparison(),
            Command::Undo => workspace.undo(),
            Command::Redo => workspace.redo(),
            Command::Zoom { zoom_in } => workspace.zoom(zoom_in),
            Command::Pan { forward } => workspace.pan(forward),
            Command::FitTime => workspace.zoomed_range = None,
            Command::ToggleQuiz => workspace.toggle_quiz(),
            Command::Enter => self.enter(),
            Command::Escape => self.escape(),
            Command::ShowView(view) => self.show_view(view),
            Command::FocusItem { forward } => self.focus_item(forward),
            Command::Scenarios => ui.open_dialog = Some(OpenDialog::Scenarios),
            Command::Search => {
                ui.open_dialog = Some(OpenDialog::Search);
                self.focus_after_draw = Some(START_BUTTON);
            }
            Command::Help => ui.open_dialog = Some(OpenDialog::Help),
            Command::Legend => ui.open_dialog = Some(OpenDialog::Legend),
            Command::Export => ui.open_dialog = Some(OpenDialog::Exports),
            Command::CopyLink => export::run_export(self, ctx, ExportKind::Link),
            Command::TogglePresenting => self.toggle_presenting(),
            Command::Notes => notes_window::open_window(),
            Command::FullScreen => browser::toggle_full_screen(),
            Command::ToggleBlankScreen => ui.is_blank = !ui.is_blank,
            Command::TogglePointerHalo => ui.has_pointer_halo = !ui.has_pointer_halo,
            // A paused live view first returns to the present.
            Command::ToggleLive if ui.is_live && !workspace.is_following => workspace.follow_live(),
            Command::ToggleLive => self.set_live(ctx, !self.ui.is_live),
        }
        if matches!(command, Command::Undo | Command::Redo | Command::ToggleComparison) {
            self.update_address();
        }
    }

    fn go_to_end(&mut self) {
        let end = self.workspace.timeline().end();
        self.workspace.go_to(end);
        self.workspace.is_following = self.workspace.is_live;
    }

    fn toggle_protection(&mut self, index: usize) {
        if let Some(protection) = Protection::ALL.get(index) {
            self.workspace.toggle_protection(*protection);
            self.update_address();
        }
    }

    fn enter(&mut self) {
        if self.workspace.quiz.phase == QuizPhase::Open {
            self.workspace.reveal_answer();
        } else if let Some(target) = focused_target().or(self.workspace.selected) {
            self.open_fault_menu(target);
        }
    }

    /// Closes the topmost thing that is open: what shows "Esc" first, then what covers the page.
    fn escape(&mut self) {
        let workspace = &mut self.workspace;
        if self.ui.is_blank {
            self.ui.is_blank = false;
            return;
        }
        let has_closed = workspace.quiz.close_answer()
            || workspace.comparison.take().is_some()
            || workspace.selected.take().is_some()
            || workspace.toast.take().is_some();
        if !has_closed && self.ui.is_presenting {
            self.toggle_presenting();
        }
    }

    fn show_view(&mut self, view: View) {
        if matches!(view, View::Gantt | View::SpaceTime) {
            self.ui.lower_view = view;
        }
        self.ui.selected_tab = view;
        self.must_measure = true;
        let inside = "[tabindex='0'], button";
        browser::focus(&format!("#panel-{} :is({inside})", view.test_id()));
    }

    fn focus_item(&mut self, forward: bool) {
        browser::focus_neighbour(forward);
        self.workspace.selected = focused_target().or(self.workspace.selected);
    }

    fn toggle_presenting(&mut self) {
        self.ui.is_presenting = !self.ui.is_presenting;
        self.must_measure = true;
        if self.ui.is_presenting {
            // A light background is easier to read on a projector.
            self.ui.theme = Theme::Light;
            browser::keep_awake();
        } else {
            self.ui.theme = Theme::System;
        }
        set_theme(self.ui.theme);
    }

    pub(super) fn cycle_theme(&mut self) {
        self.ui.theme = match self.ui.theme {
            Theme::System => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::System,
        };
        set_theme(self.ui.theme);
    }
}

/// Returns the target of the focused item.
fn focused_target() -> Option<Target> {
    let focused = browser::document()?.active_element()?;
    Target::from_key(&focused.get_attribute("data-target")?)
}

fn set_theme(theme: Theme) {
    let Some(root) = browser::document().and_then(|document| document.document_element()) else {
        return;
    };
    // Cannot fail: the attribute's name is well formed.
    match theme {
        Theme::System => root.remove_attribute("data-theme").ok(),
        Theme::Light => root.set_attribute("data-theme", "light").ok(),
        Theme::Dark => root.set_attribute("data-theme", "dark").ok(),
    };
}
