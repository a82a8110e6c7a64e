//! Recordings of a live server: a file with the initial state, and every message with its arrival
//! time. Opening it applies the messages as the page did.
//!
//! The format is stable: see the names in the `serde` attributes.

use std::fmt::Write as _;

use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;
use serde::Deserialize;

use super::LiveTrace;
use super::clock::{ServerClock, ServerStart};
use super::segment::{Gap, SegmentStart};
use super::stream::{StreamMessage, StreamUpdate};
use crate::model::intervals::Intervals;

/// The value of `format` in each file.
const FORMAT: &str = "leasehold-recording";

const VERSION: u32 = 1;

/// The size limit of a recording, in bytes.
const BYTES_MAX: usize = 64 << 20;

/// Records the messages of a server.
#[derive(Debug)]
pub(crate) struct StreamRecorder {
    started_at: VirtualTime,
    /// The server's clock at that time, if it was known.
    server_time: Option<Time>,
    /// The initial state, after it has been fetched.
    initial_state: Option<String>,
    messages: String,
}

/// A recording that was read from a file.
#[derive(Deserialize)]
pub(crate) struct LiveRecording {
    format: String,
    version: u32,
    /// The server's clock at the beginning, if it was known.
    #[serde(rename = "at_ms")]
    server_time: Option<Time>,
    #[serde(rename = "first")]
    initial_state: InitialState,
    messages: Vec<RecordedMessage>,
}

/// The reply to `GET api/state`.
#[derive(Deserialize)]
struct InitialState {
    started_at_ms: Option<Time>,
    started_unix_ms: Option<u64>,
    state: Box<State>,
}

#[derive(Deserialize)]
struct RecordedMessage {
    seen_ms: u64,
    #[serde(rename = "said")]
    message: StreamMessage,
}

impl StreamRecorder {
    /// Starts a recording. `server_time` is the server's clock at `started_at`, if it is known.
    pub(crate) const fn new(started_at: VirtualTime, server_time: Option<Time>) -> Self {
        Self { started_at, server_time, initial_state: None, messages: String::new() }
    }

    pub(crate) const fn started_at(&self) -> VirtualTime {
        self.started_at
    }

    /// Sets the initial state: the reply to `GET api/state`.
    pub(crate) fn set_initial_state(&mut self, initial_state: String) {
        self.initial_state = Some(initial_state);
    }

    /// Records a message that arrived at `now`.
    pub(crate) fn record_message(&mut self, message: &str, now: VirtualTime) {
        let seen_ms = now.as_millis().saturating_sub(self.started_at.as_millis());
        let separator = if self.messages.is_empty() { "" } else { ",\n" };
        // Writing to a string can't fail.
        write!(self.messages, "{separator}{{\"seen_ms\":{seen_ms},\"said\":{message}}}").ok();
    }

    /// Returns whether the size limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= BYTES_MAX
    }

    /// Returns the file, or `None` if the initial state was never set.
    pub(crate) fn finish(self) -> Option<String> {
        let (initial_state, messages) = (self.initial_state?, self.messages);
        let server_time = self
            .server_time
            .map_or_else(String::new, |at| format!("\"at_ms\":{},", at.as_millis()));
        Some(format!(
            "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},{server_time}\"first\":{},\n\"messages\":[{messages}]}}\n",
            initial_state.trim()
        ))
    }
}

impl LiveRecording {
    /// Returns whether a text claims to be a recording.
    pub(crate) fn matches(text: &str) -> bool {
        text.len() < 4 * BYTES_MAX && text.get(..80).unwrap_or(text).contains(FORMAT)
    }

    /// Parses a recording.
    ///
    /// # Errors
    /// If the text is not valid, or has an unsupported version.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let recording: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if recording.format != FORMAT || recording.version != VERSION {
            return Err(format!(
                "recording has unsupported version {}; expected {VERSION}",
                recording.version
            ));
        }
        Ok(recording)
    }

    /// Returns the server's clock at the beginning. It is earlier than every event after the
    /// initial state.
    fn initial_server_time(&self) -> Time {
        let last_index = self.initial_state.state.applied_index();
        let mut events = self.messages.iter().flat_map(|message| message.message.events());
        let next_event_at = events.find(|event| event.index > last_index).map(|event| event.at);
        let before = next_event_at
            .map(|server_time| Time::from_millis(server_time.as_millis().saturating_sub(1)));
        let server_time =
            self.server_time.unwrap_or_else(|| self.initial_state.state.last_event_at());
        before.map_or(server_time, |before| server_time.min(before))
    }
}

impl LiveTrace {
    /// Replays a recording to its end.
    ///
    /// # Errors
    /// If a message does not continue the trace.
    pub(crate) fn from_recording(recording: LiveRecording) -> Result<(Self, Intervals), String> {
        let (mut live_trace, mut intervals) = (Self::new(), Intervals::default());
        live_trace.events_max = usize::MAX;
        let server_time = recording.initial_server_time();
        let InitialState { started_at_ms, started_unix_ms, state } = recording.initial_state;
        let server_start = ServerStart::from_fields(started_at_ms, started_unix_ms);
        let clock = ServerClock::first(server_start, (server_time, VirtualTime::START));
        let from = clock.to_virtual_time(server_time);
        let start = SegmentStart { state: *state, clock, from, gap: Gap::initial(0) };
        live_trace.begin_segment(start, &mut intervals);
        for RecordedMessage { seen_ms, message } in recording.messages {
            let now = from + seen_ms.saturating_mul(1_000);
            let server_time = message.server_time;
            match message.into_update() {
                // Events that happened before the initial state was sent are part of it.
                StreamUpdate::Events(events) => {
                    for event in events {
                        if event.index > live_trace.latest_state.applied_index() {
                            live_trace.apply_event(event, &mut intervals)?;
                        }
                    }
                }
                update @ (StreamUpdate::Snapshot(_) | StreamUpdate::Ignored) => {
                    live_trace.apply_update(update, server_time, now, &mut intervals)?;
                }
            }
            live_trace.end = live_trace.end.max(now);
        }
        Ok((live_trace, intervals))
    }
}
