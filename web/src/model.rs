//! What the page knows: the server's state, folded from its stream by the very function that the
//! server uses, and the last events. Pure, so it is tested natively.

use std::collections::VecDeque;

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::state::State;
use serde::Deserialize;

/// How many events are kept to be shown.
const RECENT: usize = 500;

/// One message of the stream.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message {
    Snapshot { state: Box<State> },
    Events { events: Vec<Event> },
    Heartbeat {},
}

/// What is known of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    /// What is so, as far as the stream has told.
    pub(crate) state: State,
    /// The last events, newest first.
    pub(crate) recent: VecDeque<Event>,
}

impl Model {
    /// Takes in a message of the stream.
    ///
    /// # Errors
    /// Where it isn't one, or doesn't follow what was told before: then the stream has to be
    /// opened anew.
    pub(crate) fn take(&mut self, message: &str) -> Result<(), String> {
        let message = serde_json::from_str(message).map_err(|error| error.to_string())?;
        match message {
            Message::Snapshot { state } => self.state = *state,
            Message::Events { events } => {
                for event in events {
                    self.take_event(event)?;
                }
            }
            Message::Heartbeat {} => {}
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event) -> Result<(), String> {
        let expected = self.state.index().next();
        if event.index != expected {
            return Err(format!("event {} came where {expected} was due", event.index));
        }
        self.state.apply(&event);
        self.recent.push_front(event);
        self.recent.truncate(RECENT);
        Ok(())
    }

    /// The last event that is known.
    pub(crate) fn index(&self) -> Index {
        self.state.index()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &str = r#"{"type":"events","events":[{"index":1,"at_ms":5,
        "type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}]}"#;

    #[test]
    fn events_are_folded_as_the_server_folds_them() {
        let mut model = Model::default();
        model.take(OPENED).unwrap();
        assert_eq!(model.index(), Index::new(1));
        assert_eq!(model.state.sessions().len(), 1);
        assert_eq!(model.recent.len(), 1);
    }

    #[test]
    fn a_gap_is_noticed() {
        let mut model = Model::default();
        assert!(model.take(&OPENED.replace("\"index\":1", "\"index\":2")).is_err());
        assert!(model.take("nonsense").is_err());
    }
}
