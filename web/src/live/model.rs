//! What the page knows of a live server: its state, folded from its stream by the very function
//! that the server uses, the last events, and what is in the files. Pure, so it is tested
//! natively.

use std::collections::VecDeque;

use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Index, Name};
use leasehold_core::json;
use leasehold_core::ordered::Map;
use leasehold_core::state::State;
use leasehold_core::time::{Span, Time};
use serde::Deserialize;

use super::file_text::FileText;

/// How many entries of the log are kept.
const RECENT_MAX: usize = 500;

/// A client that has gone is shown for this long.
const GONE_FOR: Span = Span::from_secs(4);

/// Files longer than this are not fetched: what is appended from now on is shown alone.
const FETCHED_LEN_MAX: u64 = 256 * 1024;

/// So many files are fetched at most.
const FETCHED_MAX: usize = 24;

/// A message of the stream as it stands there. Not an enum with a tag: serde would read the state
/// by way of a form in which the keys of maps are text alone, and sessions have numbers.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "at_ms")]
    at: Option<Time>,
    missed: Option<u64>,
    recovered: Option<Index>,
    state: Option<Box<State>>,
    #[serde(default)]
    events: Vec<Event>,
}

/// What is known of the server.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// What is so, as far as the stream has told.
    pub(crate) state: State,
    /// The last entries of the log, newest first.
    pub(crate) recent: VecDeque<Entry>,
    /// What is in the files, as far as it was seen.
    pub(crate) files: Map<Name, FileText>,
    /// Clients whose sessions ended a moment ago.
    pub(crate) gone: Vec<Gone>,
    /// The server's clock less the browser's, in milliseconds.
    ahead: Option<f64>,
    /// How many marks are in the log so far.
    marks: u64,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Happened(Event),
    /// Something was not seen. `mark` tells the gaps apart.
    Gap {
        mark: u64,
        of: Gap,
    },
}

/// What was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The server was started again; its indices jump then.
    Restart,
    /// So many events.
    Events(u64),
    Unknown,
}

/// A client whose session ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gone {
    pub(crate) client: Name,
    pub(crate) at: Time,
    /// Its lease ran out; otherwise it has closed its session.
    pub(crate) expired: bool,
}

impl Model {
    /// Takes in a message of the stream that came at `now` on the browser's clock.
    ///
    /// # Errors
    /// Where it isn't one, or doesn't follow what was told before: then the stream has to be
    /// opened anew.
    pub(crate) fn take(&mut self, message: &str, now: f64) -> Result<(), String> {
        let fields: Fields = json::read(message).map_err(|error| error.to_string())?;
        match (fields.kind.as_str(), fields.state) {
            ("snapshot", Some(state)) => {
                let restarted = fields.recovered.is_some_and(|recovered| {
                    self.state.index() <= recovered || self.state.index() > state.index()
                });
                let gap = match fields.missed {
                    _ if restarted => Gap::Restart,
                    Some(missed) => Gap::Events(missed),
                    None => Gap::Unknown,
                };
                self.begin_anew(*state, gap);
            }
            ("events", None) => {
                for event in fields.events {
                    self.take_event(event, now)?;
                }
            }
            // What a later version adds is no reason to show nothing.
            _ => {}
        }
        if let Some(at) = fields.at {
            self.set_clock(at, now);
        }
        Ok(())
    }

    /// What is the time on the server's clock.
    pub(crate) fn now(&self, now: f64) -> Time {
        let ahead = self.ahead.unwrap_or_else(|| millis(self.state.now()) - now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let estimate = Time::from_millis((now + ahead).max(0.0) as u64);
        estimate.max(self.state.now())
    }

    /// The last event that is known, if any is.
    pub(crate) fn index(&self) -> Option<Index> {
        let index = self.state.index();
        (index > Index::default()).then_some(index)
    }

    /// The files whose beginning is to be fetched. Each is named once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        for (name, file) in self.state.files() {
            let seen = self.files.len();
            if self.files.contains_key(name) || seen >= FETCHED_MAX {
                continue;
            }
            let is_short = file.len() <= FETCHED_LEN_MAX;
            self.files.insert(name.clone(), FileText::new(file.len()));
            if is_short {
                names.push(name.clone());
            }
        }
        names
    }

    /// A file's bytes were fetched, or could not be.
    pub(crate) fn fetched(&mut self, name: &Name, bytes: Option<&[u8]>) {
        if let (Some(text), Some(bytes)) = (self.files.get_mut(name), bytes) {
            text.begins_with(bytes);
        }
    }

    /// Whether anything that is shown changes by time alone.
    pub(crate) fn is_running(&self) -> bool {
        !self.state.sessions().is_empty() || !self.gone.is_empty()
    }

    /// Forgets who has been gone for a while.
    pub(crate) fn forget(&mut self, now: f64) {
        let now = self.now(now);
        self.gone.retain(|gone| now.since(gone.at) < GONE_FOR);
    }

    fn begin_anew(&mut self, state: State, of: Gap) {
        if self.index().is_some() {
            self.marks += 1;
            self.note(Entry::Gap { mark: self.marks, of });
        }
        self.state = state;
        self.ahead = None;
        self.files.clear();
        self.gone.clear();
    }

    fn take_event(&mut self, event: Event, now: f64) -> Result<(), String> {
        let expected = self.state.index().next();
        if event.index != expected {
            return Err(format!("event {} came where {expected} was due", event.index));
        }
        self.state.apply(&event);
        self.set_clock(event.at, now);
        match &event.fact {
            Fact::SessionExpired { client, .. } => self.has_gone(client, event.at, true),
            Fact::SessionClosed { client, .. } => self.has_gone(client, event.at, false),
            Fact::SessionOpened { client, .. } => self.gone.retain(|gone| gone.client != *client),
            Fact::FileAppended { file, client, token, offset, data, .. } => {
                if let Some(text) = self.files.get_mut(file) {
                    text.append(*offset, data, client, *token);
                } else if self.files.len() < FETCHED_MAX {
                    let mut text = FileText::new(*offset);
                    text.append(*offset, data, client, *token);
                    self.files.insert(file.clone(), text);
                }
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => {}
        }
        self.note(Entry::Happened(event));
        Ok(())
    }

    fn has_gone(&mut self, client: &Name, at: Time, expired: bool) {
        self.gone.retain(|gone| gone.client != *client);
        self.gone.push(Gone { client: client.clone(), at, expired });
    }

    fn note(&mut self, entry: Entry) {
        self.recent.push_front(entry);
        self.recent.truncate(RECENT_MAX);
    }

    /// What came with less delay is nearer to the truth.
    fn set_clock(&mut self, at: Time, now: f64) {
        let ahead = millis(at) - now;
        self.ahead = Some(self.ahead.map_or(ahead, |known| known.max(ahead)));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a server's clock stays below 2^53 ms")]
fn millis(time: Time) -> f64 {
    time.as_millis() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &str = r#"{"type":"events","events":[{"index":1,"at_ms":5000,
        "type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}]}"#;

    fn after_opening() -> Model {
        let mut model = Model::default();
        model.take(OPENED, 100.0).unwrap();
        model
    }

    #[test]
    fn events_are_folded_as_the_server_folds_them() {
        let model = after_opening();
        assert_eq!(model.index(), Some(Index::new(1)));
        assert_eq!(model.state.sessions().len(), 1);
        assert_eq!(model.recent.len(), 1);
        assert_eq!(model.now(350.0), Time::from_millis(5250));
    }

    #[test]
    fn a_snapshot_is_read_with_all_that_is_in_it() {
        let state = after_opening().state;
        let json = serde_json::to_string(&state).unwrap();
        let told = |more: &str| {
            format!(r#"{{"type":"snapshot","index":1,"at_ms":6000,{more},"state":{json}}}"#)
        };
        let message = told(r#""missed":3,"recovered":0"#);
        let mut model = Model::default();
        model.take(&message, 0.0).unwrap();
        assert_eq!(model.state, state);
        assert_eq!(model.now(0.0), Time::from_millis(6000));
        assert!(model.recent.is_empty(), "nothing was missed by one who comes first");
        model.take(&message, 0.0).unwrap();
        assert_eq!(model.recent[0], Entry::Gap { mark: 1, of: Gap::Events(3) });
        model.take(&told(r#""missed":1000000,"recovered":1"#), 0.0).unwrap();
        assert_eq!(model.recent[0], Entry::Gap { mark: 2, of: Gap::Restart });
    }

    #[test]
    fn a_hole_in_the_stream_is_noticed() {
        let mut model = Model::default();
        assert!(model.take(&OPENED.replace("\"index\":1", "\"index\":2"), 0.0).is_err());
        assert!(model.take("nonsense", 0.0).is_err());
        assert!(model.take(r#"{"type":"news","of":"a later version"}"#, 0.0).is_ok());
    }

    #[test]
    fn who_has_gone_is_shown_for_a_while() {
        let mut model = after_opening();
        let expired = r#"{"type":"events","events":[{"index":2,"at_ms":10000,
            "type":"session_expired","session_no":1,"client":"ann"}]}"#;
        model.take(expired, 5_100.0).unwrap();
        assert!(model.gone[0].expired && model.is_running());
        model.forget(5_200.0);
        assert_eq!(model.gone.len(), 1);
        model.forget(9_200.0);
        assert!(!model.is_running());
    }
}
