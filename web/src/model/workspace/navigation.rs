//! Navigation in a run: playing, stepping, seeking, zooming, and the quiz.

use std::rc::Rc;

use leasehold_sim::{Importance, RecordId, VirtualTime};

use super::Workspace;
use crate::model::player::{AUTO_PACE_IMPORTANCE, Speed};
use crate::model::quiz::QuizPhase;
use crate::model::step_filter::StepFilter;
use crate::model::stop_condition::StopCondition;
use crate::model::target::Target;
use crate::model::timeline::Timeline;

/// How long before a violation its replay starts, in microseconds of virtual time.
const REPLAY_LEAD_US: u64 = 4_000_000;

impl Workspace {
    pub(crate) fn toggle_playback(&mut self) {
        if self.quiz.phase == QuizPhase::Open && !self.player.is_playing {
            self.reveal_answer();
            return;
        }
        if std::mem::take(&mut self.is_following) {
            return;
        }
        if self.timeline().is_at_end() && !self.is_live {
            self.go_to_start();
        }
        self.player.is_playing = !self.player.is_playing;
    }

    /// Advances the playback by one frame, and the simulation by a slice with a fixed number of
    /// steps. Returns whether the page must be drawn again.
    #[cfg(any(test, not(target_arch = "wasm32")))]
    pub(crate) fn advance_frame(&mut self, frame_ms: f64) -> bool {
        let mut batches = 0..100;
        self.advance_frame_while(frame_ms, &mut || batches.next().is_some())
    }

    /// Advances the playback by one frame. The simulation is extended while `has_time` returns
    /// true. Returns whether the page must be drawn again.
    pub(crate) fn advance_frame_while(
        &mut self,
        frame_ms: f64,
        has_time: &mut dyn FnMut() -> bool,
    ) -> bool {
        if self.is_following {
            self.go_to_end();
            return true;
        }
        let is_on_the_way = self.timeline().is_catching_up();
        let has_grown = self.simulate_while(has_time);
        // A destination that is not simulated yet comes first.
        if is_on_the_way {
            return true;
        }
        if !self.player.is_playing {
            return has_grown;
        }
        let timeline = &self.branches[self.current_branch].timeline;
        let next = [self.quiz.next_pause(timeline.position()), self.play_until_position]
            .into_iter()
            .flatten()
            .min();
        let pause_at =
            next.and_then(|position| Some((position, timeline.step_records(position).first()?.at)));
        let remaining_records = timeline.full_trace()[timeline.past().len()..].iter();
        let mut next_important = remaining_records
            .filter(|record| Importance::from_record(record) >= AUTO_PACE_IMPORTANCE);
        let next_important = next_important.next().map(|record| record.at);
        let (now, world) = (timeline.now(), timeline.world());
        let micros = self.player.advance(frame_ms, now, world, next_important);
        let target = timeline.now() + micros;
        if let Some((position, _)) = pause_at.filter(|(_, at)| *at <= target) {
            self.player.is_playing = false;
            self.player.cancel_fast_forward();
            self.play_until_position =
                self.play_until_position.filter(|stop_position| *stop_position > position);
            self.move_timeline(|timeline| timeline.go_to_position(position));
            self.update_quiz_position(true);
            return true;
        }
        self.move_timeline(|timeline| timeline.go_to(target));
        self.update_quiz_position(false);
        if self.timeline().is_at_end() {
            (self.player.is_playing, self.is_following) = (false, self.is_live);
        }
        true
    }

    /// Whether a simulation is incomplete.
    pub(crate) fn is_simulating(&self) -> bool {
        let comparison = self.comparison.as_ref();
        !self.timeline().is_complete()
            || comparison.is_some_and(|comparison| !comparison.other.is_complete())
            || self.compares_files && self.correct_run.world(self.timeline().run()).is_none()
    }

    /// Extends the simulations by a slice. Returns whether the page must be drawn again.
    fn simulate_while(&mut self, has_time: &mut dyn FnMut() -> bool) -> bool {
        let was_on_the_way = self.timeline().is_catching_up();
        let was_complete = self.timeline().is_complete();
        let mut has_changed = self.timeline_mut().simulate_while(has_time);
        if was_on_the_way {
            self.refresh();
        }
        if self.timeline().is_catching_up() {
            return has_changed;
        }
        if has_changed {
            self.update_quiz();
            // A link to the question opens it, as soon as it is reached.
            if was_on_the_way {
                self.update_quiz_position(true);
            }
        }
        if !was_complete && self.timeline().is_truncated() {
            let end = self.timeline().end();
            self.show_toast(&format!("The run is too long. It is shown up to {end}."), Vec::new());
        }
        if let Some(comparison) = &mut self.comparison {
            let timeline = &self.branches[self.current_branch].timeline;
            has_changed |= comparison.simulate_while(timeline, has_time);
        }
        if self.compares_files
            && self
                .correct_run
                .simulate_while(self.branches[self.current_branch].timeline.run(), has_time)
        {
            self.revision += 1;
            has_changed = true;
        }
        has_changed
    }

    /// Finds the stops and the answer again, after the run has changed or grown.
    pub(super) fn update_quiz(&mut self) {
        self.is_quiz_outdated = false;
        let timeline = &self.branches[self.current_branch].timeline;
        self.quiz.update(&self.scenario, timeline);
        self.apply_horizon();
    }

    /// Updates the state of the question for the current position, and what may be shown.
    fn update_quiz_position(&mut self, by_playing: bool) {
        self.quiz.position_reached(self.timeline().position(), by_playing);
        self.apply_horizon();
    }

    /// Moves the timeline without changing playback or quiz.
    pub(crate) fn move_timeline(&mut self, move_to: impl FnOnce(&mut Timeline)) {
        let before = self.timeline().position();
        move_to(self.timeline_mut());
        if self.timeline().position() != before {
            self.refresh();
        } else if self.timeline().live_trace().is_some() {
            // Decisions and ended clients disappear after a while.
            self.scene = Rc::new(self.timeline().scene());
        } else if let Some(comparison) = &mut self.comparison {
            comparison.other.go_to(self.branches[self.current_branch].timeline.now());
        }
    }

    /// Goes to a position and stops the playback.
    fn jump_to_position(&mut self, position: u32) {
        self.player.stop();
        (self.play_until_position, self.is_following) = (None, false);
        self.move_timeline(|timeline| timeline.go_to_position(position));
        self.position_reached(true);
    }

    /// Updates the question after a jump. `by_stepping` is set if the run may stop at the question
    /// and ask it.
    fn position_reached(&mut self, by_stepping: bool) {
        if self.timeline().is_catching_up() {
            self.is_quiz_outdated = true;
            return;
        }
        if self.is_quiz_outdated {
            self.update_quiz();
        }
        self.update_quiz_position(by_stepping);
    }

    pub(crate) fn go_to(&mut self, time: VirtualTime) {
        self.player.stop();
        (self.play_until_position, self.is_following) = (None, false);
        self.move_timeline(|timeline| timeline.go_to(time));
        self.position_reached(false);
    }

    /// Goes to the beginning and resets the quiz, which undo reverts.
    pub(crate) fn go_to_start(&mut self) {
        self.note_before_start();
        self.go_to(self.timeline().start());
        self.quiz.reset();
        self.apply_horizon();
    }

    /// Plays to a position in a few seconds, however far it is, and pauses there.
    pub(crate) fn fast_forward_to(&mut self, position: u32) {
        let timeline = self.timeline();
        let Some(to) = timeline.step_records(position).first().map(|record| record.at) else {
            return;
        };
        let now = timeline.now();
        self.player.fast_forward(now, to);
        (self.player.is_playing, self.play_until_position) = (true, Some(position));
    }

    /// Goes to a step at this time, which may be between two steps.
    pub(crate) fn go_to_position_at(&mut self, position: u32, time: VirtualTime) {
        self.jump_to_position(position);
        self.move_timeline(|timeline| timeline.go_to_position_at(position, time));
    }

    pub(crate) fn go_to_record(&mut self, record: RecordId) {
        let position = self.timeline().position_of(record);
        self.jump_to_position(position);
        self.selected = Some(Target::Record(record));
    }

    pub(crate) fn step(&mut self, forward: bool) {
        let timeline = self.timeline();
        // Between two steps, going back leads to the step that has just happened.
        let is_between = timeline.now() > timeline.step_time();
        let position = match (forward, is_between) {
            (true, _) => timeline.position() + 1,
            (false, true) => timeline.position(),
            (false, false) => timeline.position().saturating_sub(1),
        };
        self.jump_to_position(position.min(timeline.last_position()));
    }

    pub(crate) fn go_to_next(&mut self, forward: bool, filter: StepFilter) {
        if let Some(position) = self.timeline().find_position(forward, filter) {
            self.jump_to_position(position);
        }
    }

    pub(crate) fn go_to_important(&mut self, forward: bool) {
        self.go_to_next(forward, StepFilter::MinImportance(Importance::Release));
    }

    pub(crate) fn go_to_selected_node(&mut self, forward: bool) {
        match self.selected {
            Some(Target::Node(node) | Target::Link(node)) => {
                self.go_to_next(forward, StepFilter::Node(node));
            }
            Some(Target::Lock(_) | Target::Packet(_) | Target::Record(_)) | None => {
                self.show_toast("Select a node first.", Vec::new());
            }
        }
    }

    pub(crate) fn go_to_next_violation(&mut self) {
        if self.timeline().violated().is_empty() {
            let text = if self.timeline().horizon().is_some() {
                "No invariant is violated up to the question."
            } else {
                "No invariant is violated in this run."
            };
            self.show_toast(text, Vec::new());
        } else if self.timeline().find_position(true, StepFilter::Violation).is_some() {
            self.go_to_next(true, StepFilter::Violation);
        } else {
            self.jump_to_position(0);
            self.go_to_next(true, StepFilter::Violation);
        }
    }

    /// Plays until the condition holds.
    pub(crate) fn play_until(&mut self, condition: StopCondition) {
        self.play_until_position = condition.next_position(self.timeline());
        if self.play_until_position.is_some() {
            self.player.is_playing = true;
        } else if self.timeline().horizon().is_some() {
            self.show_toast("That does not happen before the question is answered.", Vec::new());
        } else {
            self.show_toast("That does not happen in the rest of this run.", Vec::new());
        }
    }

    /// Goes to shortly before the first violation, and plays up to it.
    pub(crate) fn replay_violation(&mut self, starts_playing: bool) {
        let first_violation = self.timeline().violations().into_iter().map(|(_, at, _)| at).min();
        let Some(first_violation) = first_violation else { return };
        self.go_to(VirtualTime::from_micros(
            first_violation.as_micros().saturating_sub(REPLAY_LEAD_US),
        ));
        self.play_until(StopCondition::Violation);
        // Slow enough to follow, and short enough for a class.
        self.player.speed = Speed::Fixed(0.5);
        self.player.is_playing &= starts_playing;
    }

    pub(crate) fn nudge(&mut self, forward: bool) {
        let now = self.timeline().now().as_micros();
        let to = if forward { now + 10_000 } else { now.saturating_sub(10_000) };
        self.go_to(VirtualTime::from_micros(to));
    }

    pub(crate) fn go_to_stop(&mut self, forward: bool) {
        if forward && self.quiz.phase == QuizPhase::Open {
            self.reveal_answer();
            return;
        }
        match self.quiz.next_stop(forward, self.timeline().position()) {
            Some(position) => self.jump_to_position(position),
            None if forward => {
                let end = self.timeline().end();
                self.go_to(end);
            }
            None => self.go_to_start(),
        }
    }

    /// Returns the part of the run that timelines show.
    pub(crate) fn visible_range(&self) -> (VirtualTime, VirtualTime) {
        if let Some(window) = self.zoomed_range {
            return window;
        }
        let timeline = self.timeline();
        if self.is_live {
            return self.live_range();
        }
        (timeline.start(), timeline.end().max(timeline.start() + 1_000_000))
    }

    pub(crate) fn zoom(&mut self, zoom_in: bool) {
        let (from, to) = self.visible_range();
        let (from, to) = (from.as_micros(), to.as_micros());
        let now = self.timeline().now().as_micros();
        // The current time keeps its place on the screen.
        let now = if (from..=to).contains(&now) { now } else { from.midpoint(to) };
        let extra_us = (to - from) / 8;
        let scale = |part: u64| if zoom_in { part * 2 / 3 } else { part * 4 / 3 + extra_us };
        let start = now.saturating_sub(scale(now - from));
        let end = (now + scale(to - now)).min(self.timeline().end().as_micros());
        if end.saturating_sub(start) >= 50_000 {
            self.zoomed_range =
                Some((VirtualTime::from_micros(start), VirtualTime::from_micros(end)));
        }
    }

    pub(crate) fn pan(&mut self, forward: bool) {
        let (from, to) = self.visible_range();
        let length_us = to.as_micros() - from.as_micros();
        let end = self.timeline().end().as_micros();
        let from = if forward {
            (from.as_micros() + length_us / 4).min(end.saturating_sub(length_us))
        } else {
            from.as_micros().saturating_sub(length_us / 4)
        };
        self.zoomed_range =
            Some((VirtualTime::from_micros(from), VirtualTime::from_micros(from + length_us)));
    }

    pub(crate) fn reveal_answer(&mut self) {
        if !self.quiz.start_revealing() {
            return;
        }
        self.player.speed = Speed::Auto;
        match self.quiz.answer_position() {
            Some(position) => self.fast_forward_to(position),
            // The run is still being simulated.
            None => self.player.is_playing = true,
        }
        // The answer may show at the time of the question.
        self.update_quiz_position(false);
    }

    /// Turns stops and question on or off.
    pub(crate) fn set_quiz_enabled(&mut self, is_enabled: bool) {
        self.quiz.is_enabled = is_enabled;
        self.quiz.reset();
        self.update_quiz_position(false);
    }

    /// Goes to the position that shows the answer, instead of playing up to it.
    pub(crate) fn jump_to_answer(&mut self) {
        if let Some(position) = self.quiz.answer_position() {
            self.jump_to_position(position);
        }
    }

    pub(crate) fn toggle_quiz(&mut self) {
        self.set_quiz_enabled(!self.quiz.is_enabled);
        let text =
            if self.quiz.is_enabled { "Stops and question on." } else { "Stops and question off." };
        self.show_toast(text, Vec::new());
    }
}
