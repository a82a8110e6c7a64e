//! Handles the messages of the page, area by area.

#![allow(clippy::needless_pass_by_value, reason = "a message is handled once and then gone")]

use gloo_timers::callback::Timeout;
use leasehold_sim::{Importance, RecordId, Scenario, VirtualTime};
use yew::Context;

use super::app::{App, OpenDialog};
use super::dialogs::ExportKind;
use super::export;
use super::figure::PointerAction;
use super::messages::{ExportMsg, Msg, PointerMsg, QuizMsg, RunMsg, ViewMsg, WindowMsg};
use super::question::VoteTimer;
use crate::browser;
use crate::model::link::LINK_LEN_MAX;
use crate::model::log_rows::ROWS_PER_PAGE;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::View;
use crate::model::stop_condition::StopCondition;
use crate::model::target::Target;
use crate::model::workspace::ToastAction;
use crate::picture::axis::Axis;
use crate::picture::gantt::label_width;

/// How long a touch lasts before it opens the menu of its target, in milliseconds.
const LONG_PRESS_MS: u32 = 500;

/// Matches if the page shows one panel at a time, as in narrow.css.
const NARROW_SCREEN: &str = "(max-width: 860px)";

/// The minimum interval between updates of the panels during playback, in milliseconds.
const PANEL_INTERVAL_MS: f64 = 90.0;

/// The assumed duration of the first frame, in milliseconds.
const FIRST_FRAME_MS: f64 = 16.0;

/// The minimum interval between frames of the live view, in milliseconds: 30 frames a second.
const LIVE_FRAME_MS: f64 = 32.0;

impl App {
    /// Handles a message. Returns whether the page must be drawn again.
    pub(super) fn handle(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Command(command) => {
                self.run_command(ctx, command);
                true
            }
            Msg::Window(msg) => self.handle_window(ctx, msg),
            Msg::Pointer(msg) => self.handle_pointer(ctx, msg),
            Msg::Run(msg) => {
                self.handle_run(msg);
                true
            }
            Msg::Quiz(msg) => {
                self.handle_quiz(ctx, msg);
                true
            }
            Msg::View(msg) => {
                self.handle_view(ctx, msg);
                true
            }
            Msg::Search(msg) => {
                self.handle_search(ctx, msg);
                true
            }
            Msg::Export(msg) => self.handle_export(ctx, msg),
            Msg::SetLive { is_live } => {
                self.set_live(ctx, is_live);
                true
            }
            Msg::Live(msg) => self.handle_live(ctx, msg),
            Msg::NotesMessage(text) => {
                if let Some(notes) = &mut self.notes_channel {
                    notes.message_received(&text);
                }
                false
            }
        }
    }

    fn handle_window(&mut self, ctx: &Context<Self>, msg: WindowMsg) -> bool {
        match msg {
            WindowMsg::Frame(frame_time) => return self.on_frame(frame_time),
            WindowMsg::Resized => self.must_measure = true,
            WindowMsg::Measure => {
                self.measure(ctx);
                return false;
            }
            WindowMsg::SizesMeasured(sizes) => self.sizes = sizes,
        }
        true
    }

    fn handle_pointer(&mut self, ctx: &Context<Self>, msg: PointerMsg) -> bool {
        match msg {
            PointerMsg::Pointed(view, action) => self.on_pointed(view, action),
            PointerMsg::PressStarted(target) => {
                self.long_press = target.map(|target| {
                    let link = ctx.link().clone();
                    let pressed = move || link.send_message(PointerMsg::LongPressed(target));
                    Timeout::new(LONG_PRESS_MS, pressed)
                });
                return false;
            }
            PointerMsg::LongPressed(target) => self.open_fault_menu(target),
        }
        true
    }

    fn handle_run(&mut self, msg: RunMsg) {
        match msg {
            RunMsg::GoToTime(time) => self.workspace.go_to(time),
            RunMsg::PlayUntil(name) => {
                if let Some(until) = StopCondition::from_name(&name) {
                    self.workspace.play_until(until);
                }
            }
            RunMsg::GoToRecord(record) => self.workspace.go_to_record(record),
            RunMsg::InjectFault(fault) => {
                self.ui.open_dialog = None;
                match fault.unavailable_reason {
                    None => self.workspace.inject_fault(fault.action, &fault.text),
                    Some(reason) => {
                        self.workspace.show_toast(&format!("{}: {reason}", fault.text), Vec::new());
                    }
                }
            }
            RunMsg::ToggleProtection(protection) => {
                self.workspace.toggle_protection(protection);
                self.update_address();
            }
            RunMsg::SetSeed(seed) => {
                self.workspace.reseed(seed);
                self.update_address();
            }
            RunMsg::OpenScenario(index) => {
                let scenario = self.workspace.library.get(index).cloned();
                self.ui.open_dialog = None;
                if let Some(scenario) = scenario {
                    self.open_scenario(scenario);
                }
            }
        }
    }

    fn handle_quiz(&mut self, ctx: &Context<Self>, msg: QuizMsg) {
        match msg {
            QuizMsg::Vote(option) => self.workspace.quiz.vote(option, !self.ui.is_presenting),
            QuizMsg::Reveal => self.workspace.reveal_answer(),
            QuizMsg::ShowExplanation => self.show_explanation(),
            QuizMsg::CloseAnswer => {
                self.workspace.quiz.close_answer();
            }
            QuizMsg::StartVoteTimer => {
                let on_tick = ctx.link().callback(|()| QuizMsg::VoteTimerTick);
                self.vote_timer = Some(VoteTimer::start(on_tick));
                // Enter and Space must reveal the answer now, not restart the timer.
                self.focus_after_draw = Some("[data-testid=reveal]");
            }
            QuizMsg::VoteTimerTick => {
                if self.workspace.quiz.phase != QuizPhase::Open {
                    self.vote_timer = None;
                }
            }
        }
    }

    fn handle_view(&mut self, ctx: &Context<Self>, msg: ViewMsg) {
        let (workspace, ui) = (&mut self.workspace, &mut self.ui);
        match msg {
            ViewMsg::SetMinImportance(importance) => workspace.filter.min_importance = importance,
            ViewMsg::FilterBySelection => workspace.filter_by_selection(),
            ViewMsg::ClearFilter => (workspace.filter.node, workspace.filter.lock) = (None, None),
            ViewMsg::MoreRows => workspace.row_limit += ROWS_PER_PAGE,
            ViewMsg::SelectTab(view) => {
                ui.selected_tab = view;
                if matches!(view, View::Gantt | View::SpaceTime) {
                    ui.lower_view = view;
                }
                self.must_measure = true;
            }
            ViewMsg::SelectLowerView(view) => ui.lower_view = view,
            ViewMsg::HideSelectedLane => workspace.hide_lane(),
            ViewMsg::ShowAllLanes => workspace.hidden_lanes.clear(),
            ViewMsg::ToggleTimeScale => ui.is_to_scale = !ui.is_to_scale,
            ViewMsg::ToggleFileComparison => ui.compares_files = !ui.compares_files,
            ViewMsg::SetComparisonMode(mode) => {
                if let Some(comparison) = &mut workspace.comparison {
                    comparison.mode = mode;
                }
            }
            ViewMsg::CloseDialog => ui.open_dialog = None,
            ViewMsg::ToggleShortcuts => ui.shortcuts_disabled = !ui.shortcuts_disabled,
            ViewMsg::CycleTheme => self.cycle_theme(),
            ViewMsg::ToastAction(action) => self.run_toast_action(ctx, action),
            ViewMsg::ToastExpired => workspace.toast = None,
        }
    }

    fn handle_export(&mut self, ctx: &Context<Self>, msg: ExportMsg) -> bool {
        match msg {
            ExportMsg::Export(export) => export::run_export(self, ctx, export),
            ExportMsg::ImportFile(file) => {
                browser::read_file(&file, ctx.link().callback(ExportMsg::FileRead));
                return false;
            }
            ExportMsg::FileRead(text) => self.import_text(text.as_deref()),
            ExportMsg::LinkCopied(done) => {
                let text = if done {
                    "Link copied"
                } else {
                    self.ui.open_dialog = Some(OpenDialog::Exports);
                    "The browser denied access to the clipboard. Copy the link from here."
                };
                self.workspace.show_toast(text, Vec::new());
            }
        }
        true
    }

    /// Advances time. Returns whether the page must be drawn again; the pictures are painted here.
    fn on_frame(&mut self, frame_time: f64) -> bool {
        let elapsed_ms = self.last_frame.map(|last| frame_time - last);
        // A page that is slow to draw must leave time for incoming messages.
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

    /// Whether to draw the panels in this frame. They change less often than the pictures, because
    /// text that changes in every frame cannot be read.
    fn must_draw_panels(&mut self, frame_time: f64) -> bool {
        let (revision, drawn_at) = self.last_panel_draw;
        // Some fields of a selected target count down.
        let has_changed = revision != self.workspace.revision || self.workspace.selected.is_some();
        if !has_changed || frame_time - drawn_at < PANEL_INTERVAL_MS {
            return false;
        }
        self.last_panel_draw = (self.workspace.revision, frame_time);
        true
    }

    fn on_pointed(&mut self, view: View, action: PointerAction) {
        self.long_press = None;
        match (action.target, action.menu) {
            (Some(target), Some(_)) => self.open_fault_menu(target),
            (Some(Target::Record(record)), None) => self.workspace.go_to_record(record),
            (Some(target), None) => {
                let is_same = self.workspace.selected == Some(target);
                self.workspace.selected = (!is_same).then_some(target);
                // If one panel is shown at a time, show the one with the target's faults.
                if !is_same && view == View::Stage && browser::matches_media(NARROW_SCREEN) {
                    self.ui.selected_tab = View::Inspector;
                }
            }
            (None, _) => match self.axis_of(view) {
                Some(axis) if action.x >= axis.left => {
                    self.workspace.go_to(axis.time_at(action.x));
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

    /// Goes to the event that explains the answer.
    fn show_explanation(&mut self) {
        if browser::matches_media(NARROW_SCREEN) {
            // A narrow screen shows either the log or the answer.
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

    /// Updates the query of the URL, so that reloading the page opens the same run.
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
