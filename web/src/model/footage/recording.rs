//! What a server said, kept as a file: the state at first, and every message with the time at which
//! it came. Whoever opens it goes through it as the page did.

use std::fmt::Write as _;

use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::Moment;
use serde::Deserialize;

use super::Footage;
use super::piece::{Clock, Gap};
use super::stream::{Said, Told};
use crate::model::bars::Bars;

/// What a file of this kind says of itself.
const FORMAT: &str = "leasehold-recording";

/// The version of the format.
const VERSION: u32 = 1;

/// How long a recording may become, in bytes.
const LEN_MAX: usize = 64 << 20;

/// Writes down what a server says.
#[derive(Debug)]
pub(crate) struct Recorder {
    since: Moment,
    /// What the server's clock showed then, as far as it was known.
    at: Option<Time>,
    /// What was so at first, once it was told.
    first: Option<String>,
    messages: String,
}

/// A recording, as it is read.
#[derive(Deserialize)]
pub(crate) struct Recording {
    format: String,
    version: u32,
    /// What the server's clock showed when it was begun, as far as it was known.
    #[serde(rename = "at_ms")]
    at: Option<Time>,
    first: First,
    messages: Vec<Message>,
}

/// What was so at first, as the server tells it beside its stream.
#[derive(Deserialize)]
struct First {
    state: Box<State>,
}

#[derive(Deserialize)]
struct Message {
    seen_ms: u64,
    said: Said,
}

impl Recorder {
    /// Begins at this moment, at which the server's clock shows this.
    pub(crate) const fn new(since: Moment, at: Option<Time>) -> Self {
        Self { since, at, first: None, messages: String::new() }
    }

    pub(crate) const fn since(&self) -> Moment {
        self.since
    }

    /// What was so at first, as the server tells it.
    pub(crate) fn begin_with(&mut self, first: String) {
        self.first = Some(first);
    }

    /// A message that came at this moment.
    pub(crate) fn keep(&mut self, message: &str, now: Moment) {
        let seen = now.as_millis().saturating_sub(self.since.as_millis());
        let join = if self.messages.is_empty() { "" } else { ",\n" };
        // Writing to a string can't fail.
        write!(self.messages, "{join}{{\"seen_ms\":{seen},\"said\":{message}}}").ok();
    }

    /// Whether it has become as long as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= LEN_MAX
    }

    /// The file; nothing where it was never told what was so at first.
    pub(crate) fn finish(self) -> Option<String> {
        let (first, messages) = (self.first?, self.messages);
        let at = self.at.map_or_else(String::new, |at| format!("\"at_ms\":{},", at.as_millis()));
        Some(format!(
            "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},{at}\"first\":{},\n\"messages\":[{messages}]}}\n",
            first.trim()
        ))
    }
}

impl Recording {
    /// Whether a text says of itself that it is one.
    pub(crate) fn is_one(text: &str) -> bool {
        text.len() < 4 * LEN_MAX && text.get(..80).unwrap_or(text).contains(FORMAT)
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
    fn began_at(&self) -> Time {
        let known = self.first.state.index();
        let mut events = self.messages.iter().flat_map(|message| message.said.events());
        let next = events.find(|event| event.index > known).map(|event| event.at);
        let before = next.map(|at| Time::from_millis(at.as_millis().saturating_sub(1)));
        let at = self.at.unwrap_or_else(|| self.first.state.now());
        before.map_or(at, |before| at.min(before))
    }
}

impl Footage {
    /// What was recorded, to its end.
    ///
    /// # Errors
    /// Where its messages don't follow upon each other.
    pub(crate) fn replay(recording: Recording) -> Result<(Self, Bars), String> {
        let (mut footage, mut bars) = (Self::new(), Bars::default());
        footage.events_max = usize::MAX;
        let clock = Clock { time: recording.began_at(), moment: Moment::START };
        let state = *recording.first.state;
        footage.open(state, clock, Gap::before_all(0), &mut bars);
        for Message { seen_ms, said } in recording.messages {
            let now = Moment::from_millis(seen_ms);
            let at = said.at;
            match said.understood() {
                // What came while the state was on its way is in the state.
                Told::Events(events) => {
                    for event in events {
                        if event.index > footage.head.index() {
                            footage.event(event, &mut bars)?;
                        }
                    }
                }
                told @ (Told::Snapshot { .. } | Told::Nothing) => {
                    footage.hear(told, at, now, &mut bars)?;
                }
            }
            footage.end = footage.end.max(now);
        }
        Ok((footage, bars))
    }
}
