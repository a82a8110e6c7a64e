//! The messages of the server's event stream.

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use serde::Deserialize;

use super::clock::ServerStart;

/// A message as received. It is not an internally tagged enum, because serde would buffer the state
/// in a form in which map keys are strings, and session ids are numbers.
#[derive(Deserialize)]
pub(crate) struct StreamMessage {
    #[serde(rename = "type")]
    kind: String,
    /// The server's clock when the message was sent.
    #[serde(rename = "at_ms")]
    pub(super) server_time: Option<Time>,
    started_at_ms: Option<Time>,
    started_unix_ms: Option<u64>,
    #[serde(rename = "missed")]
    missed_events: Option<u64>,
    #[serde(rename = "recovered")]
    recovered_through: Option<LogIndex>,
    state: Option<Box<State>>,
    #[serde(default)]
    events: Vec<Event>,
}

/// The contents of a message.
pub(super) enum StreamUpdate {
    /// Start again from a state.
    Snapshot(Box<Snapshot>),
    Events(Vec<Event>),
    /// A heartbeat, or a message that a later version added.
    Ignored,
}

/// A state of the server.
pub(super) struct Snapshot {
    pub(super) state: State,
    /// The number of log indices since the last event that was received.
    pub(super) missed_indices: u64,
    /// The last event that the server recovered at its start.
    pub(super) recovered_through: Option<LogIndex>,
    /// When the server was started; `None` for an older server.
    pub(super) server_start: Option<ServerStart>,
}

impl StreamMessage {
    /// # Errors
    /// If the text is not a message of the stream.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn into_update(self) -> StreamUpdate {
        match (self.kind.as_str(), self.state) {
            ("snapshot", Some(state)) => StreamUpdate::Snapshot(Box::new(Snapshot {
                state: *state,
                missed_indices: self.missed_events.unwrap_or(0),
                recovered_through: self.recovered_through,
                server_start: ServerStart::from_fields(self.started_at_ms, self.started_unix_ms),
            })),
            ("events", None) => StreamUpdate::Events(self.events),
            _ => StreamUpdate::Ignored,
        }
    }
}
