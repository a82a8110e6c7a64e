//! What a server said, kept as a file: the state at first, and every message with the time at which
//! it came. Whoever opens it goes through it as the page did.

use std::fmt::Write as _;

use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;
use serde::Deserialize;

use super::LiveTrace;
use super::segment::{ClockReading, Gap};
use super::stream::{StreamMessage, StreamUpdate};
use crate::model::intervals::Intervals;

/// What a file of this kind says of itself.
const FORMAT: &str = "leasehold-recording";

/// The version of the format.
const VERSION: u32 = 1;

/// How long a recording may become, in bytes.
const BYTES_MAX: usize = 64 << 20;

/// Writes down what a server says.
#[derive(Debug)]
pub(crate) struct StreamRecorder {
    started_at: VirtualTime,
    /// What the server's clock showed then, as far as it was known.
    server_time: Option<Time>,
    /// What was so at first, once it was told.
    initial_state: Option<String>,
    messages: String,
}

/// A recording, as it is read.
#[derive(Deserialize)]
pub(crate) struct LiveRecording {
    format: String,
    version: u32,
    /// What the server's clock showed when it was begun, as far as it was known.
    #[serde(rename = "at_ms")]
    server_time: Option<Time>,
    #[serde(rename = "first")]
    initial_state: InitialState,
    messages: Vec<RecordedMessage>,
}

/// What was so at first, as the server tells it beside its stream.
#[derive(Deserialize)]
struct InitialState {
    state: Box<State>,
}

#[derive(Deserialize)]
struct RecordedMessage {
    seen_ms: u64,
    #[serde(rename = "said")]
    message: StreamMessage,
}

impl StreamRecorder {
    /// Begins at this moment, at which the server's clock shows this.
    pub(crate) const fn new(started_at: VirtualTime, server_time: Option<Time>) -> Self {
        Self { started_at, server_time, initial_state: None, messages: String::new() }
    }

    pub(crate) const fn started_at(&self) -> VirtualTime {
        self.started_at
    }

    /// What was so at first, as the server tells it.
    pub(crate) fn set_initial_state(&mut self, initial_state: String) {
        self.initial_state = Some(initial_state);
    }

    /// A message that came at this moment.
    pub(crate) fn record_message(&mut self, message: &str, now: VirtualTime) {
        let seen_ms = now.as_millis().saturating_sub(self.started_at.as_millis());
        let separator = if self.messages.is_empty() { "" } else { ",\n" };
        // Writing to a string can't fail.
        write!(self.messages, "{separator}{{\"seen_ms\":{seen_ms},\"said\":{message}}}").ok();
    }

    /// Whether it has become as long as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= BYTES_MAX
    }

    /// The file; nothing where it was never told what was so at first.
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
    /// Whether a text says of itself that it is one.
    pub(crate) fn matches(text: &str) -> bool {
        text.len() < 4 * BYTES_MAX && text.get(..80).unwrap_or(text).contains(FORMAT)
    }

    /// # Errors
    /// Where it can't be read, or is of a version that isn't known here.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let recording: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if recording.format != FORMAT || recording.version != VERSION {
            return Err(format!("it is of version {}; this is {VERSION}", recording.version));
        }
        Ok(recording)
    }

    /// What the server's clock showed at its beginning: less than at whatever was seen after it.
    fn server_start_time(&self) -> Time {
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
    /// What was recorded, to its end.
    ///
    /// # Errors
    /// Where its messages don't follow upon each other.
    pub(crate) fn from_recording(recording: LiveRecording) -> Result<(Self, Intervals), String> {
        let (mut live_trace, mut intervals) = (Self::new(), Intervals::default());
        live_trace.events_max = usize::MAX;
        let clock = ClockReading {
            server_time: recording.server_start_time(),
            virtual_time: VirtualTime::START,
        };
        let state = *recording.initial_state.state;
        live_trace.begin_segment(state, clock, Gap::initial(0), &mut intervals);
        for RecordedMessage { seen_ms, message } in recording.messages {
            let now = VirtualTime::from_millis(seen_ms);
            let server_time = message.server_time;
            match message.into_update() {
                // What came while the state was on its way is in the state.
                StreamUpdate::Events(events) => {
                    for event in events {
                        if event.index > live_trace.latest_state.applied_index() {
                            live_trace.apply_event(event, &mut intervals)?;
                        }
                    }
                }
                update @ (StreamUpdate::Snapshot { .. } | StreamUpdate::Ignored) => {
                    live_trace.apply_update(update, server_time, now, &mut intervals)?;
                }
            }
            live_trace.end = live_trace.end.max(now);
        }
        Ok((live_trace, intervals))
    }
}
