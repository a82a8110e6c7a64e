//! What is pressed, pointed at, and heard: each leads to something on the page.

#![allow(clippy::wildcard_enum_match_arm, reason = "each takes its group, and passes on the rest")]

use gloo_timers::callback::Timeout;
use leasehold_sim::{Importance, RecordId, Scenario, VirtualTime};
use yew::Context;

use super::app::{App, Msg, OpenDialog};
use super::dialogs::ExportKind;
use super::export;
use super::figure::PointerAction;
use super::question::VoteTimer;
use crate::browser;
use crate::model::link::LINK_LEN_MAX;
use crate::model::log_rows::ROWS_PER_PAGE;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::View;
use crate::model::stop_condition::StopCondition;
use crate::model::workspace::ToastAction;
use crate::picture::axis::Axis;
use crate::picture::gantt::label_width;
use crate::picture::shape::Target;

/// How long a finger rests on something before its menu opens, in milliseconds.
const LONG_PRESS_MS: u32 = 500;

/// Where the page has room for one panel alone, as its style has it.
const NARROW_SCREEN: &str = "(max-width: 860px)";

/// How long what is written stays the same at least while something plays, in milliseconds.
const PANEL_INTERVAL_MS: f64 = 90.0;

/// How long the first frame is taken to have lasted.
const FIRST_FRAME_MS: f64 = 16.0;

/// A live server is shown 30 times a second: more would only cost.
const LIVE_FRAME_MS: f64 = 32.0;

impl App {
    /// Takes in whatever it is. Says whether the page is to be drawn anew.
    pub(super) fn handle(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Command(command) => return self.run_command(ctx, command),
            Msg::Frame(frame_time) => return self.on_frame(frame_time),
            Msg::Resized => self.must_measure = true,
            Msg::Measure => {
                self.measure(ctx);
                return false;
            }
            Msg::SizesMeasured(sizes) => self.sizes = sizes,
            Msg::Pointed(view, pointing) => self.on_pointed(view, pointing),
            Msg::PressStarted(target) => {
                self.long_press = target.map(|target| {
                    let link = ctx.link().clone();
                    let pressed = move || link.send_message(Msg::LongPressed(target));
                    Timeout::new(LONG_PRESS_MS, pressed)
                });
                return false;
            }
            Msg::LongPressed(target) => self.open_fault_menu(target),
            Msg::GoToTime(time) => self.workspace.go_to(time),
            Msg::PlayUntil(name) => {
                if let Some(until) = StopCondition::from_name(&name) {
                    self.workspace.play_until(until);
                }
            }
            Msg::GoToRecord(record) => self.workspace.go_to_record(record),
            Msg::InjectFault(fault) => {
                self.ui.open_dialog = None;
                match fault.unavailable_reason {
                    None => self.workspace.inject_fault(fault.action, &fault.text),
                    Some(reason) => {
                        self.workspace.show_toast(&format!("{}: {reason}", fault.text), Vec::new())
                    }
                }
            }
            Msg::ToggleProtection(protection) => {
                self.workspace.toggle_protection(protection);
                self.update_address();
            }
            Msg::SetSeed(seed) => {
                self.workspace.reseed(seed);
                self.update_address();
            }
            Msg::OpenScenario(index) => {
                let scenario = self.workspace.library.get(index).cloned();
                self.ui.open_dialog = None;
                if let Some(scenario) = scenario {
                    self.open_scenario(scenario);
                }
            }
            Msg::CloseDialog => self.ui.open_dialog = None,
            Msg::Vote(option) => self.workspace.quiz.vote(option, !self.ui.is_presenting),
            Msg::Reveal => self.workspace.reveal_answer(),
            Msg::ShowExplanation => self.show_explanation(),
            Msg::CloseAnswer => {
                self.workspace.quiz.close_answer();
            }
            other_msg => return self.handle_view(ctx, other_msg),
        }
        true
    }

    /// Time has passed. Says whether the page is to be drawn anew: the pictures are painted here.
    fn on_frame(&mut self, frame_time: f64) -> bool {
        let elapsed_ms = self.last_frame.map(|last| frame_time - last);
        // A page that takes long to draw must leave time for what comes in.
        let frame_interval_ms = LIVE_FRAME_MS.max(self.draw_ms * 3.0);
        if self.ui.is_live && elapsed_ms.is_some_and(|elapsed_ms| elapsed_ms < frame_interval_ms) {
            return false;
        }
        self.advance_live();
        let must_draw = self.workspace.advance_frame(elapsed_ms.unwrap_or(FIRST_FRAME_MS));
        let is_animating = self.workspace.player.is_playing || self.workspace.is_following;
        self.last_frame = is_animating.then_some(frame_time);
        if !must_draw || !is_animating || self.must_draw_panels(frame_time) {
            return must_draw;
        }
        self.paint();
        false
    }

    /// Whether what is written beside the pictures is to be written anew in this frame: it changes
    /// less often than they do, since nobody could read it.
    fn must_draw_panels(&mut self, frame_time: f64) -> bool {
        let (version, since) = self.last_panel_draw;
        // Of what is selected, some fields run down.
        let has_changed = version != self.workspace.revision || self.workspace.selected.is_some();
        if !has_changed || frame_time - since < PANEL_INTERVAL_MS {
            return false;
        }
        self.last_panel_draw = (self.workspace.revision, frame_time);
        true
    }

    fn handle_view(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::SetMinImportance(min_importance) => {
                self.workspace.filter.min_importance = min_importance
            }
            Msg::FilterBySelection => self.workspace.filter_by_selection(),
            Msg::ClearFilter => {
                (self.workspace.filter.node, self.workspace.filter.lock) = (None, None)
            }
            Msg::MoreRows => self.workspace.row_limit += ROWS_PER_PAGE,
            Msg::SelectTab(view) => {
                self.ui.selected_tab = view;
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower_view = view;
                }
                self.must_measure = true;
            }
            Msg::SelectLowerView(view) => self.ui.lower_view = view,
            Msg::HideSelectedLane => self.workspace.hide_lane(),
            Msg::ShowAllLanes => self.workspace.hidden_lanes.clear(),
            Msg::ToggleTimeScale => self.ui.is_to_scale = !self.ui.is_to_scale,
            Msg::ToggleFileComparison => self.ui.compares_files = !self.ui.compares_files,
            Msg::SetComparisonMode(mode) => {
                if let Some(compare) = &mut self.workspace.comparison {
                    compare.mode = mode;
                }
            }
            Msg::ToastAction(action) => self.run_toast_action(ctx, action),
            Msg::ToastExpired => self.workspace.toast = None,
            Msg::ToggleShortcuts => self.ui.shortcuts_disabled = !self.ui.shortcuts_disabled,
            Msg::CycleTheme => self.cycle_theme(),
            Msg::Export(export) => export::run_export(self, ctx, export),
            Msg::ImportFile(file) => {
                let imported = ctx.link().callback(Msg::FileRead);
                browser::read_file(&file, imported);
                return false;
            }
            Msg::FileRead(text) => self.import_text(text.as_deref()),
            Msg::LinkCopied(done) => {
                let text = if done {
                    "Link copied"
                } else {
                    self.ui.open_dialog = Some(OpenDialog::Exports);
                    "The browser denied access to the clipboard. Copy the link from here."
                };
                self.workspace.show_toast(text, Vec::new());
            }
            Msg::SetLive { is_live } => self.set_live(ctx, is_live),
            Msg::Live(news) => return self.handle_live(ctx, news),
            other_msg => return self.handle_quiz(ctx, other_msg),
        }
        true
    }

    /// What a search, a second window, or a limit of time has to say.
    fn handle_quiz(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::NotesMessage(text) => {
                if let Some(notes) = &mut self.notes_channel {
                    notes.message_received(&text);
                }
                return false;
            }
            Msg::StartVoteTimer => {
                self.vote_timer =
                    Some(VoteTimer::start(ctx.link().callback(|()| Msg::VoteTimerTick)));
                // Enter and Space are for the answer now, not for more time.
                self.focus_after_draw = Some("[data-testid=reveal]");
            }
            Msg::VoteTimerTick => {
                if self.workspace.quiz.phase != QuizPhase::Open {
                    self.vote_timer = None;
                }
            }
            other_msg => return self.handle_search(ctx, other_msg),
        }
        true
    }

    fn on_pointed(&mut self, view: View, pointing: PointerAction) {
        self.long_press = None;
        match (pointing.target, pointing.menu) {
            (Some(target), Some(_)) => self.open_fault_menu(target),
            (Some(Target::Record(record)), None) => self.workspace.go_to_record(record),
            (Some(target), None) => {
                let is_same = self.workspace.selected == Some(target);
                self.workspace.selected = (!is_same).then_some(target);
                // Where one panel is shown at a time, the one with what can be done to it.
                if !is_same && view == View::Stage && browser::matches_media(NARROW_SCREEN) {
                    self.ui.selected_tab = View::Inspector;
                }
            }
            (None, _) => match self.axis_of(view) {
                Some(axis) if pointing.x >= axis.left => {
                    self.workspace.go_to(axis.time_at(pointing.x));
                }
                Some(_) | None => self.workspace.selected = None,
            },
        }
    }

    fn axis_of(&self, view: View) -> Option<Axis> {
        let area = self.area(self.sizes.lower);
        let (from, to) = self.workspace.visible_range();
        let left = label_width(area);
        (view == View::Gantt).then_some(Axis { from, to, left, right: area.width - area.em })
    }

    pub(super) fn open_fault_menu(&mut self, target: Target) {
        if matches!(target, Target::Lock(_) | Target::Record(_)) {
            self.workspace.selected = Some(target);
            return;
        }
        self.workspace.player.is_playing = false;
        self.workspace.selected = Some(target);
        self.ui.open_dialog = Some(OpenDialog::Menu);
    }

    fn run_toast_action(&mut self, ctx: &Context<Self>, action: ToastAction) {
        self.workspace.toast = None;
        match action {
            ToastAction::Undo => self.workspace.undo(),
            ToastAction::SaveRecording => export::run_export(self, ctx, ExportKind::Trace),
            ToastAction::Compare => {
                self.workspace.comparison = None;
                self.workspace.toggle_comparison();
            }
            ToastAction::PlayFromStart => {
                self.workspace.go_to(VirtualTime::START);
                self.workspace.player.is_playing = !self.ui.reduced_motion;
            }
        }
        self.update_address();
    }

    /// Goes to what the answer rests on.
    fn show_explanation(&mut self) {
        if browser::matches_media(NARROW_SCREEN) {
            // There it is the log, or the answer.
            self.workspace.quiz.close_answer();
            self.ui.selected_tab = View::Log;
        }
        if let Some(position) = self.workspace.quiz.answer_position() {
            let timeline = self.workspace.timeline();
            let records = timeline.step_records(position);
            let last =
                records.iter().rposition(|it| Importance::from_record(it) >= Importance::Release);
            let first = timeline.first_record_of_step(position);
            let record = RecordId(first + u32::try_from(last.unwrap_or(0)).unwrap_or(0));
            self.workspace.go_to_record(record);
        }
    }

    pub(super) fn open_scenario(&mut self, scenario: Scenario) {
        self.leave_live();
        self.workspace.open_scenario(scenario);
        self.workspace.player.is_playing = !self.ui.reduced_motion;
        self.must_measure = true;
        self.update_address();
    }

    /// The address says which run this is, so that it is the same one when the page is loaded anew.
    pub(super) fn update_address(&self) {
        if self.workspace.timeline().live_trace().is_some() {
            return;
        }
        let mut link = self.workspace.link_to_now();
        (link.time, link.digest) = (None, None);
        let query = link.to_query();
        if query.len() <= LINK_LEN_MAX {
            browser::set_query(&query);
        }
    }
}
