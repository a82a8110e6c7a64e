//! What the keys ask for, and the buttons that stand for them.

#![allow(clippy::wildcard_enum_match_arm, reason = "each takes its group, and passes on the rest")]

use leasehold_sim::Protection;
use yew::Context;

use super::app::{App, Open, Theme};
use super::dialogs::Export;
use super::exports;
use super::hunting::START;
use super::notes;
use crate::browser;
use crate::model::keys::{Act, View};
use crate::model::lesson::Phase;
use crate::model::player::Speed;
use crate::picture::shape::Target;

impl App {
    /// What a key or a button asks for.
    pub(super) fn act(&mut self, ctx: &Context<Self>, act: Act) -> bool {
        let studio = &mut self.studio;
        match act {
            Act::PlayPause => studio.play_pause(),
            Act::Step { forward } => studio.step(forward),
            Act::Interesting { forward } => studio.interesting(forward),
            Act::OfNode { forward } => studio.of_selected_node(forward),
            Act::Start => studio.start(),
            Act::End => {
                let end = studio.film().end();
                studio.go_to(end);
                studio.follows = studio.is_live;
            }
            Act::Slower => studio.player.slower(),
            Act::Faster => studio.player.faster(),
            Act::AutoPace => studio.player.speed = Speed::Auto,
            Act::Nudge { forward } => studio.nudge(forward),
            Act::Stop { forward } => studio.stop(forward),
            Act::Vote(option) => studio.lesson.vote(option, !self.ui.presents),
            Act::TakeBack => studio.lesson.take_back(),
            Act::Fault(key) => studio.fault_by_key(key),
            Act::NextViolation => studio.next_violation(),
            Act::Protection(no) => {
                if let Some(protection) = Protection::ALL.get(no) {
                    studio.toggle(*protection);
                    self.keep_address();
                }
            }
            Act::Compare => studio.toggle_compare(),
            Act::Undo => studio.undo(),
            Act::Redo => studio.redo(),
            Act::Zoom { closer } => studio.zoom(closer),
            Act::Pan { forward } => studio.pan(forward),
            Act::FitTime => studio.window = None,
            Act::Quiz => studio.toggle_lesson(),
            Act::Enter | Act::Escape | Act::View(_) | Act::Item { .. } => self.look(act),
            other => return self.arrange(ctx, other),
        }
        if matches!(act, Act::Undo | Act::Redo | Act::Compare) {
            self.keep_address();
        }
        true
    }

    /// What changes where one looks.
    fn look(&mut self, act: Act) {
        match act {
            Act::Enter => {
                if self.studio.lesson.phase == Phase::Asked {
                    self.studio.reveal();
                } else if let Some(target) = focused_target().or(self.studio.selected) {
                    self.open_menu(target);
                }
            }
            Act::Escape => {
                let studio = &mut self.studio;
                if self.ui.is_blank {
                    self.ui.is_blank = false;
                } else if studio.lesson.close()
                    || studio.compare.take().is_some()
                    || studio.selected.take().is_some()
                    || studio.toast.take().is_some()
                {
                    // What says that Esc closes it goes first, then what lies over the page.
                } else if self.ui.presents {
                    self.present();
                }
            }
            Act::View(view) => {
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower = view;
                }
                self.ui.tab = view;
                self.must_measure = true;
                let inside = "[tabindex='0'], button";
                browser::focus(&format!("#panel-{} :is({inside})", view.hook()));
            }
            Act::Item { forward } => {
                browser::focus_neighbour(forward);
                self.studio.selected = focused_target().or(self.studio.selected);
            }
            _ => {}
        }
    }

    /// What changes how the page is arranged.
    fn arrange(&mut self, ctx: &Context<Self>, act: Act) -> bool {
        match act {
            Act::Scenarios => self.ui.open = Some(Open::Scenarios),
            Act::Search => {
                self.ui.open = Some(Open::Search);
                self.focus_next = Some(START);
            }
            Act::Help => self.ui.open = Some(Open::Help),
            Act::Legend => self.ui.open = Some(Open::Legend),
            Act::Export => self.ui.open = Some(Open::Exports),
            Act::CopyLink => exports::export(self, ctx, Export::Link),
            Act::Present => self.present(),
            Act::Notes => notes::open_window(),
            Act::FullScreen => browser::toggle_full_screen(),
            Act::Blank => self.ui.is_blank = !self.ui.is_blank,
            Act::Halo => self.ui.has_halo = !self.ui.has_halo,
            // Where one looks back, to what happens now; else to the server, or from it.
            Act::Live if self.ui.is_live && !self.studio.follows => self.studio.follow(),
            Act::Live => self.set_live(ctx, !self.ui.is_live),
            _ => return false,
        }
        true
    }

    fn present(&mut self) {
        self.ui.presents = !self.ui.presents;
        self.must_measure = true;
        if self.ui.presents {
            // Projectors show light grounds better.
            self.ui.theme = Theme::Light;
            browser::keep_awake();
        } else {
            self.ui.theme = Theme::System;
        }
        set_theme(self.ui.theme);
    }

    pub(super) fn next_theme(&mut self) {
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
    Target::of_key(&focused.get_attribute("data-target")?)
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
