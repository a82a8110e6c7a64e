//! Following a live server: its events extend the trace, and the position may follow the end.

use std::rc::Rc;

use leasehold_core::id::{LogIndex, Name};
use leasehold_core::time::Time;
use leasehold_sim::{Config, Run, Scenario, VirtualTime};

use super::Workspace;
use crate::model::intervals::Intervals;
use crate::model::live_trace::{LiveRecording, LiveTrace, MessageOutcome};
use crate::model::quiz::Quiz;
use crate::model::time_display::TimeReading;
use crate::model::timeline::Timeline;

/// The length of the part that timelines show, in microseconds.
const SHOWN_US: u64 = 30_000_000;

impl Workspace {
    /// Opens a live server of which nothing is known yet.
    pub(crate) fn for_server(&self) -> Self {
        let mut workspace =
            self.with_live_trace("live", "A live server", LiveTrace::new(), Intervals::default());
        (workspace.is_live, workspace.is_following) = (true, true);
        workspace
    }

    /// Opens a recording at its beginning.
    ///
    /// # Errors
    /// If the text is not a valid recording.
    pub(crate) fn for_recording(&self, text: &str) -> Result<Self, String> {
        let (live_trace, intervals) = LiveTrace::from_recording(LiveRecording::read(text)?)?;
        let mut workspace = self.with_live_trace("recording", "A recording", live_trace, intervals);
        workspace.recording_json = Some(text.into());
        Ok(workspace)
    }

    fn with_live_trace(
        &self,
        name: &str,
        title: &str,
        live_trace: LiveTrace,
        intervals: Intervals,
    ) -> Self {
        let run = Run { config: Config::default(), ..live_trace.run().clone() };
        let scenario = Scenario { title: title.to_owned(), ..Scenario::from_run(name, &run) };
        let mut timeline = Timeline::from_live_trace(live_trace, intervals);
        timeline.copy_time_reading(self.timeline());
        let quiz = Quiz::new(&scenario, &timeline, false);
        let mut workspace = Self::with_timeline(Rc::clone(&self.library), scenario, timeline, quiz);
        workspace.refresh();
        workspace
    }

    /// Returns the index of the last event received, and when the server was started that sent it,
    /// in milliseconds since 1970.
    pub(crate) fn last_event(&self) -> Option<(LogIndex, Option<u64>)> {
        let live_trace = self.timeline().live_trace()?;
        let started_unix_ms = live_trace.server_start().map(|start| start.unix_ms);
        Some((live_trace.last_log_index()?, started_unix_ms))
    }

    /// Applies a message of the event stream that arrived at `now`.
    ///
    /// # Errors
    /// If the message is not valid, or does not continue the trace.
    pub(crate) fn apply_message(
        &mut self,
        message: &str,
        now: VirtualTime,
    ) -> Result<MessageOutcome, String> {
        let generation = |timeline: &Timeline| timeline.live_trace().map(LiveTrace::generation);
        let before = generation(self.timeline());
        let outcome = self.timeline_mut().update_live_trace(|live_trace, intervals| {
            live_trace.apply_message(message, now, intervals)
        });
        if generation(self.timeline()) != before {
            // Records, clients and locks have been renumbered.
            self.revision += 1;
            self.selected = None;
            (self.filter.node, self.filter.lock) = (None, None);
        }
        outcome.unwrap_or_else(|| Err("this trace is not from a live server".to_owned()))
    }

    /// Returns the files whose contents from before the page connected must be fetched. Each is
    /// returned once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        let files =
            self.timeline_mut().update_live_trace(|live_trace, _| live_trace.files_to_fetch());
        files.unwrap_or_default()
    }

    /// Stores the fetched contents of a file.
    pub(crate) fn store_fetched_file(&mut self, name: &Name, bytes: &[u8]) {
        self.timeline_mut()
            .update_live_trace(|live_trace, _| live_trace.store_fetched_file(name, bytes));
        self.revision += 1;
    }

    /// Advances the end of the trace to a reading of the server's clock.
    pub(crate) fn advance_to(&mut self, time: Time) {
        self.timeline_mut().update_live_trace(|live_trace, _| live_trace.advance_to(time));
    }

    /// Sets how times are displayed. `utc_offset_minutes` is how far local time is ahead of UTC.
    pub(crate) fn set_time_reading(&mut self, reading: TimeReading, utc_offset_minutes: i32) {
        for branch in &mut self.branches {
            branch.timeline.set_time_reading(reading, utc_offset_minutes);
        }
        self.revision += 1;
    }

    /// Goes to the end of the trace, and follows it.
    pub(crate) fn follow_live(&mut self) {
        (self.is_following, self.player.is_playing, self.zoomed_range) = (true, false, None);
        self.go_to_end();
    }

    pub(super) fn go_to_end(&mut self) {
        let end = self.timeline().end();
        self.move_timeline(|timeline| timeline.go_to(end));
    }

    /// Returns the number of events after the current position.
    pub(crate) fn events_behind(&self) -> u32 {
        self.timeline().last_position() - self.timeline().position()
    }

    /// Returns the part of a live trace that timelines show: the last 30 s, with some space for
    /// what follows.
    pub(super) fn live_range(&self) -> (VirtualTime, VirtualTime) {
        let timeline = self.timeline();
        let lookahead_us = if self.is_following { SHOWN_US / 6 } else { SHOWN_US / 3 };
        let to = (timeline.now().as_micros() + lookahead_us)
            .max(timeline.start().as_micros() + SHOWN_US);
        (VirtualTime::from_micros(to - SHOWN_US), VirtualTime::from_micros(to))
    }
}
