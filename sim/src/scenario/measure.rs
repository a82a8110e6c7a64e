//! What a question is answered by: a number or a word, computed from what the run did.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Invariant;
use crate::file::Lines;
use crate::message::Message;
use crate::run::Run;
use crate::trace::{Kind, LockNo, LossCause, NodeNo, Record, RecordNo};
use crate::world::World;

/// What is to be computed. "Then" is the moment of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// Who is the next to be granted a lock: a client's name, or `nobody`.
    NextHolder {
        /// Which lock.
        lock: LockNo,
    },
    /// After how many milliseconds, counted from then, a lock is free, or another's.
    FreedAfterMs {
        /// Which lock.
        lock: LockNo,
    },
    /// What becomes of a client's first append that the server decides on from then on:
    /// `written`, `refused`, `answered_again`, or `nothing`.
    NextAppend {
        /// Whose.
        client: NodeNo,
    },
    /// How many lines a file has at the end.
    Lines {
        /// Which.
        lock: LockNo,
    },
    /// How many clients believe in the end of then's moment that they hold a lock.
    Believers {
        /// Which lock.
        lock: LockNo,
    },
    /// How many clients believe that they hold a lock when most of them do, from then on.
    BelieversMost {
        /// Which lock.
        lock: LockNo,
    },
    /// How many messages of a kind are sent from then on.
    Sent {
        /// Which.
        message: Message,
    },
    /// Which token a lock is granted under next; 0 for none.
    NextToken {
        /// Which lock.
        lock: LockNo,
    },
    /// Whether something is violated in the run: `yes` or `no`.
    Violated {
        /// What.
        invariant: Invariant,
    },
}

/// What was computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number from 0 on, or a word")]
pub enum Value {
    /// A number.
    Number(u64),
    /// A word.
    Word(String),
}

impl Value {
    fn word(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl Measure {
    /// The value in this run, counted from behind the record `then`.
    pub fn value(&self, run: &Run, then: RecordNo) -> Value {
        let mut world = World::new(run.clone());
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        self.value_in(&world, &trace, then)
    }

    /// The same, of a run that has been gone through.
    pub fn value_in(&self, world: &World, trace: &[Record], then: RecordNo) -> Value {
        let from = then.place().map_or(0, |place| place + 1).min(trace.len());
        let (before, after) = trace.split_at(from);
        let started = before.last().map(|record| record.at).unwrap_or_default();
        match *self {
            Self::NextHolder { lock } => Value::Word(next_holder(world.run(), after, lock)),
            Self::FreedAfterMs { lock } => {
                let freed = after.iter().find(|record| ends_tenure(record, lock));
                let at = freed.or(after.last()).map_or(started, |record| record.at);
                Value::Number(at.as_millis().saturating_sub(started.as_millis()))
            }
            Self::NextAppend { client } => Value::word(next_append(after, client)),
            Self::Lines { lock } => Value::Number(world.file(lock).map_or(0, Lines::len) as u64),
            Self::Believers { lock } => Value::Number(believers(before, before.len(), lock)),
            Self::BelieversMost { lock } => {
                let most = (from..=trace.len()).map(|until| believers(trace, until, lock)).max();
                Value::Number(most.unwrap_or(0))
            }
            Self::Sent { message } => {
                let sent = after
                    .iter()
                    .filter(|it| matches!(it.kind, Kind::Sent(about) if about.message == message));
                Value::Number(sent.count() as u64)
            }
            Self::NextToken { lock } => {
                let token = after.iter().find_map(|record| match record.kind {
                    Kind::LockGranted { lock: granted, token, .. } if granted == lock => {
                        Some(token)
                    }
                    _ => None,
                });
                Value::Number(u64::from(token.unwrap_or(0)))
            }
            Self::Violated { invariant } => {
                let violated = world.checks().status(invariant).witness().is_some();
                Value::word(if violated { "yes" } else { "no" })
            }
        }
    }

    /// The record from which on the value is what it is at the end: by then one has seen it.
    pub fn seen_at(&self, world: &World, trace: &[Record], then: RecordNo) -> RecordNo {
        let from = then.place().map_or(0, |place| place + 1).min(trace.len());
        let after = &trace[from..];
        let place = match *self {
            Self::NextHolder { lock } | Self::NextToken { lock } => after.iter().position(
                |it| matches!(it.kind, Kind::LockGranted { lock: granted, .. } if granted == lock),
            ),
            Self::FreedAfterMs { lock } => after.iter().position(|it| ends_tenure(it, lock)),
            Self::NextAppend { client } => {
                (0..after.len()).find(|until| next_append(&after[..=*until], client) != "nothing")
            }
            Self::Lines { lock } => after.iter().rposition(
                |it| matches!(it.kind, Kind::FileAppended { lock: of, .. } if of == lock),
            ),
            Self::Believers { .. } => None,
            Self::BelieversMost { lock } => {
                let count = |until: &usize| believers(trace, from + until, lock);
                let most = (0..=after.len()).map(|until| count(&until)).max().unwrap_or(0);
                (0..=after.len()).find(|until| count(until) == most).map(|it| it.saturating_sub(1))
            }
            Self::Sent { message } => after
                .iter()
                .rposition(|it| matches!(it.kind, Kind::Sent(about) if about.message == message)),
            Self::Violated { invariant } => {
                let witness = world.checks().status(invariant).witness();
                let witness = witness.and_then(RecordNo::place).filter(|it| *it >= from);
                Some(witness.map_or(after.len().saturating_sub(1), |it| it - from))
            }
        };
        let place = place.map(|place| from + place).and_then(|place| u32::try_from(place).ok());
        place.map_or(then, RecordNo)
    }
}

fn next_holder(run: &Run, after: &[Record], lock: LockNo) -> String {
    let holder = after.iter().find_map(|record| match record.kind {
        Kind::LockGranted { lock: granted, client, .. } if granted == lock => Some(client),
        _ => None,
    });
    let place = holder.and_then(|client| usize::from(client.0).checked_sub(1));
    let client = place.and_then(|place| run.config.clients.get(place));
    client.map_or_else(|| "nobody".to_owned(), |client| client.name.to_string())
}

fn ends_tenure(record: &Record, of: LockNo) -> bool {
    matches!(record.kind,
        Kind::LockReleased { lock, .. } | Kind::LockGranted { lock, .. } if lock == of)
}

fn next_append(after: &[Record], of: NodeNo) -> &'static str {
    let fate = after.iter().find_map(|record| match record.kind {
        Kind::FileAppended { client, .. } if client == of => Some("written"),
        Kind::RequestRefused { client, message: Message::AppendFile, .. } if client == of => {
            Some("refused")
        }
        Kind::DuplicateAnswered { client, message: Message::AppendFile, .. } if client == of => {
            Some("answered_again")
        }
        Kind::Lost { about, why: LossCause::Dead, .. }
            if about.peer == of && about.message == Message::AppendFile =>
        {
            Some("nothing")
        }
        _ => None,
    });
    fate.unwrap_or("nothing")
}

/// How many believe, behind the first `until` records, that they hold a lock.
fn believers(trace: &[Record], until: usize, of: LockNo) -> u64 {
    let Some(now) = until.checked_sub(1).and_then(|last| trace.get(last)).map(|it| it.at) else {
        return 0;
    };
    let mut believing = BTreeMap::new();
    for record in &trace[..until] {
        match record.kind {
            Kind::Believed { lock, until, .. } if lock == of => {
                believing.insert(record.node, until);
            }
            Kind::Disbelieved { lock, .. } if lock == of => {
                believing.remove(&record.node);
            }
            Kind::Crashed { .. } => {
                believing.remove(&record.node);
            }
            _ => {}
        }
    }
    believing.values().filter(|until| **until > now).count() as u64
}
