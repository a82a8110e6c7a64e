//! What a server says over its stream, message by message.

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use serde::Deserialize;

/// A message as it stands there. Not an enum with a tag: serde would read the state by way of a
/// form in which the keys of maps are text alone, and sessions have numbers.
#[derive(Deserialize)]
pub(crate) struct StreamMessage {
    #[serde(rename = "type")]
    kind: String,
    /// What the server's clock shows.
    #[serde(rename = "at_ms")]
    pub(super) server_time: Option<Time>,
    #[serde(rename = "missed")]
    missed_events: Option<u64>,
    #[serde(rename = "recovered")]
    recovered_through: Option<LogIndex>,
    state: Option<Box<State>>,
    #[serde(default)]
    events: Vec<Event>,
}

/// The same, understood.
pub(super) enum StreamUpdate {
    /// Begin with this.
    Snapshot {
        state: Box<State>,
        missed_events: u64,
        /// The last event of the life of the server before this one.
        recovered_through: Option<LogIndex>,
    },
    Events(Vec<Event>),
    /// Nothing, or what a later version adds.
    Ignored,
}

impl StreamMessage {
    /// # Errors
    /// Where it isn't a message of the stream.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What it says has happened.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn into_update(self) -> StreamUpdate {
        match (self.kind.as_str(), self.state) {
            ("snapshot", Some(state)) => StreamUpdate::Snapshot {
                state,
                missed_events: self.missed_events.unwrap_or(0),
                recovered_through: self.recovered_through,
            },
            ("events", None) => StreamUpdate::Events(self.events),
            _ => StreamUpdate::Ignored,
        }
    }
}
