//! What a server says over its stream, message by message.

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use serde::Deserialize;

/// A message as it stands there. Not an enum with a tag: serde would read the state by way of a
/// form in which the keys of maps are text alone, and sessions have numbers.
#[derive(Deserialize)]
pub(crate) struct Said {
    #[serde(rename = "type")]
    kind: String,
    /// What the server's clock shows.
    #[serde(rename = "at_ms")]
    pub(super) at: Option<Time>,
    missed: Option<u64>,
    recovered: Option<Index>,
    state: Option<Box<State>>,
    #[serde(default)]
    events: Vec<Event>,
}

/// The same, understood.
pub(super) enum Told {
    /// Begin with this.
    Snapshot {
        state: Box<State>,
        missed: u64,
        /// The last event of the life of the server before this one.
        recovered: Option<Index>,
    },
    Events(Vec<Event>),
    /// Nothing, or what a later version adds.
    Nothing,
}

impl Said {
    /// # Errors
    /// Where it isn't a message of the stream.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What it says has happened.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn understood(self) -> Told {
        match (self.kind.as_str(), self.state) {
            ("snapshot", Some(state)) => Told::Snapshot {
                state,
                missed: self.missed.unwrap_or(0),
                recovered: self.recovered,
            },
            ("events", None) => Told::Events(self.events),
            _ => Told::Nothing,
        }
    }
}
