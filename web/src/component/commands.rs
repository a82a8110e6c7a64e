//! What the keys ask for, and the buttons that stand for them.

#![allow(clippy::wildcard_enum_match_arm, reason = "each takes its group, and passes on the rest")]

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
    /// What a key or a button asks for.
    pub(super) fn run_command(&mut self, ctx: &Context<Self>, command: Command) -> bool {
        let workspace = &mut self.workspace;
        match command {
            Command::PlayPause => workspace.toggle_playback(),
            Command::Step { forward } => workspace.step(forward),
            Command::StepImportant { forward } => workspace.go_to_important(forward),
            Command::StepOfNode { forward } => workspace.go_to_selected_node(forward),
            Command::GoToStart => workspace.go_to_start(),
            Command::GoToEnd => {
                let end = workspace.timeline().end();
                workspace.go_to(end);
                workspace.is_following = workspace.is_live;
            }
            Command::Slower => workspace.player.slow_down(),
            Command::Faster => workspace.player.speed_up(),
            Command::AutoPace => workspace.player.speed = Speed::Auto,
            Command::Nudge { forward } => workspace.nudge(forward),
            Command::GoToStop { forward } => workspace.go_to_stop(forward),
            Command::Vote(option) => workspace.quiz.vote(option, !self.ui.is_presenting),
            Command::RetractVote => workspace.quiz.retract_vote(),
            Command::InjectFault(key) => workspace.inject_fault_by_key(key),
            Command::NextViolation => workspace.go_to_next_violation(),
            Command::ToggleProtection(index) => {
                if let Some(protection) = Protection::ALL.get(index) {
                    workspace.toggle_protection(*protection);
                    self.update_address();
                }
            }
            Command::ToggleComparison => workspace.toggle_comparison(),
            Command::Undo => workspace.undo(),
            Command::Redo => workspace.redo(),
            Command::Zoom { zoom_in: closer } => workspace.zoom(closer),
            Command::Pan { forward } => workspace.pan(forward),
            Command::FitTime => workspace.zoomed_range = None,
            Command::ToggleQuiz => workspace.toggle_quiz(),
            Command::Enter | Command::Escape | Command::ShowView(_) | Command::FocusItem { .. } => {
                self.run_view_command(command)
            }
            other => return self.run_layout_command(ctx, other),
        }
        if matches!(command, Command::Undo | Command::Redo | Command::ToggleComparison) {
            self.update_address();
        }
        true
    }

    /// What changes where one looks.
    fn run_view_command(&mut self, command: Command) {
        match command {
            Command::Enter => {
                if self.workspace.quiz.phase == QuizPhase::Open {
                    self.workspace.reveal_answer();
                } else if let Some(target) = focused_target().or(self.workspace.selected) {
                    self.open_fault_menu(target);
                }
            }
            Command::Escape => {
                let workspace = &mut self.workspace;
                if self.ui.is_blank {
                    self.ui.is_blank = false;
                } else if workspace.quiz.close_answer()
                    || workspace.comparison.take().is_some()
                    || workspace.selected.take().is_some()
                    || workspace.toast.take().is_some()
                {
                    // What says that Esc closes it goes first, then what lies over the page.
                } else if self.ui.is_presenting {
                    self.toggle_presenting();
                }
            }
            Command::ShowView(view) => {
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower_view = view;
                }
                self.ui.selected_tab = view;
                self.must_measure = true;
                let inside = "[tabindex='0'], button";
                browser::focus(&format!("#panel-{} :is({inside})", view.test_id()));
            }
            Command::FocusItem { forward } => {
                browser::focus_neighbour(forward);
                self.workspace.selected = focused_target().or(self.workspace.selected);
            }
            _ => {}
        }
    }

    /// What changes how the page is arranged.
    fn run_layout_command(&mut self, ctx: &Context<Self>, command: Command) -> bool {
        match command {
            Command::Scenarios => self.ui.open_dialog = Some(OpenDialog::Scenarios),
            Command::Search => {
                self.ui.open_dialog = Some(OpenDialog::Search);
                self.focus_after_draw = Some(START_BUTTON);
            }
            Command::Help => self.ui.open_dialog = Some(OpenDialog::Help),
            Command::Legend => self.ui.open_dialog = Some(OpenDialog::Legend),
            Command::Export => self.ui.open_dialog = Some(OpenDialog::Exports),
            Command::CopyLink => export::run_export(self, ctx, ExportKind::Link),
            Command::TogglePresenting => self.toggle_presenting(),
            Command::Notes => notes_window::open_window(),
            Command::FullScreen => browser::toggle_full_screen(),
            Command::ToggleBlankScreen => self.ui.is_blank = !self.ui.is_blank,
            Command::TogglePointerHalo => self.ui.has_pointer_halo = !self.ui.has_pointer_halo,
            // Where one looks back, to what happens now; else to the server, or from it.
            Command::ToggleLive if self.ui.is_live && !self.workspace.is_following => {
                self.workspace.follow_live()
            }
            Command::ToggleLive => self.set_live(ctx, !self.ui.is_live),
            _ => return false,
        }
        true
    }

    fn toggle_presenting(&mut self) {
        self.ui.is_presenting = !self.ui.is_presenting;
        self.must_measure = true;
        if self.ui.is_presenting {
            // Projectors show light grounds better.
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

/// The target of the item that has the focus.
fn focused_target() -> Option<Target> {
    let focused = browser::document()?.active_element()?;
    Target::from_key(&focused.get_attribute("data-target")?)
}

fn set_theme(theme: Theme) {
    let Some(root) = browser::document().and_then(|document| document.document_element()) else {
        return;
    };
    // These can't fail: the names are well formed.
    match theme {
        Theme::System => root.remove_attribute("data-theme").ok(),
        Theme::Light => root.set_attribute("data-theme", "light").ok(),
        Theme::Dark => root.set_attribute("data-theme", "dark").ok(),
    };
}
