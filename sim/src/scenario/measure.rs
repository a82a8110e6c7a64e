//! What a question is answered by: a number or a word, computed from what the run did.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Invariant;
use crate::file_lines::Lines;
use crate::message::Message;
use crate::run::Run;
use crate::trace::{LockId, LossCause, NodeId, Record, RecordId, RecordKind};
use crate::world::World;

/// What is to be computed. "Then" is the moment of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// Who is the next to be granted a lock: a client's name, or `nobody`.
    NextHolder {
        /// Which lock.
        lock: LockId,
    },
    /// After how many milliseconds, counted from then, a lock is free, or another's.
    FreedAfterMs {
        /// Which lock.
        lock: LockId,
    },
    /// What becomes of a client's first append that the server decides on from then on:
    /// `written`, `refused`, `answered_again`, or `nothing`.
    NextAppend {
        /// Whose.
        client: NodeId,
    },
    /// How many lines a file has at the end.
    Lines {
        /// Which.
        lock: LockId,
    },
    /// How many clients believe in the end of then's moment that they hold a lock.
    Believers {
        /// Which lock.
        lock: LockId,
    },
    /// How many clients believe that they hold a lock when most of them do, from then on.
    #[serde(rename = "believers_most")]
    MaxBelievers {
        /// Which lock.
        lock: LockId,
    },
    /// How many messages of a kind are sent from then on.
    Sent {
        /// Which.
        message: Message,
    },
    /// Which token a lock is granted under next; 0 for none.
    NextToken {
        /// Which lock.
        lock: LockId,
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
    Text(String),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Measure {
    /// The value in this run, counted from behind the record `then`.
    pub fn evaluate(&self, run: &Run, start: RecordId) -> Value {
        let mut world = World::new(run.clone());
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        self.evaluate_trace(&world, &trace, start)
    }

    /// The same, of a run that has been gone through.
    pub fn evaluate_trace(&self, world: &World, trace: &[Record], start: RecordId) -> Value {
        let from = start.index().map_or(0, |index| index + 1).min(trace.len());
        let (before, after) = trace.split_at(from);
        let started_at = before.last().map(|record| record.at).unwrap_or_default();
        match *self {
            Self::NextHolder { lock } => Value::Text(next_holder(world.run(), after, lock)),
            Self::FreedAfterMs { lock } => {
                let freed = after.iter().find(|record| ends_tenure(record, lock));
                let at = freed.or(after.last()).map_or(started_at, |record| record.at);
                Value::Number(at.as_millis().saturating_sub(started_at.as_millis()))
            }
            Self::NextAppend { client } => Value::text(next_append(after, client)),
            Self::Lines { lock } => Value::Number(world.file(lock).map_or(0, Lines::len) as u64),
            Self::Believers { lock } => Value::Number(believers(before, before.len(), lock)),
            Self::MaxBelievers { lock } => {
                let max = (from..=trace.len()).map(|until| believers(trace, until, lock)).max();
                Value::Number(max.unwrap_or(0))
            }
            Self::Sent { message } => {
                let sent = after.iter().filter(
                    |it| matches!(it.kind, RecordKind::Sent(packet) if packet.message == message),
                );
                Value::Number(sent.count() as u64)
            }
            Self::NextToken { lock } => {
                let token = after.iter().find_map(|record| match record.kind {
                    RecordKind::LockGranted { lock: granted, token, .. } if granted == lock => {
                        Some(token)
                    }
                    _ => None,
                });
                Value::Number(u64::from(token.unwrap_or(0)))
            }
            Self::Violated { invariant } => {
                let violated = world.checkers().status(invariant).witness().is_some();
                Value::text(if violated { "yes" } else { "no" })
            }
        }
    }

    /// The record from which on the value is what it is at the end: by then one has seen it.
    pub fn determined_at(&self, world: &World, trace: &[Record], start: RecordId) -> RecordId {
        let from = start.index().map_or(0, |index| index + 1).min(trace.len());
        let after = &trace[from..];
        let index = match *self {
            Self::NextHolder { lock } | Self::NextToken { lock } => after.iter().position(
                |it| matches!(it.kind, RecordKind::LockGranted { lock: granted, .. } if granted == lock),
            ),
            Self::FreedAfterMs { lock } => after.iter().position(|it| ends_tenure(it, lock)),
            Self::NextAppend { client } => {
                (0..after.len()).find(|until| next_append(&after[..=*until], client) != "nothing")
            }
            Self::Lines { lock } => after.iter().rposition(
                |it| matches!(it.kind, RecordKind::FileAppended { lock: wanted, .. } if wanted == lock),
            ),
            Self::Believers { .. } => None,
            Self::MaxBelievers { lock } => {
                let count = |until: &usize| believers(trace, from + until, lock);
                let max = (0..=after.len()).map(|until| count(&until)).max().unwrap_or(0);
                (0..=after.len()).find(|until| count(until) == max).map(|it| it.saturating_sub(1))
            }
            Self::Sent { message } => after
                .iter()
                .rposition(|it| matches!(it.kind, RecordKind::Sent(packet) if packet.message == message)),
            Self::Violated { invariant } => {
                let witness = world.checkers().status(invariant).witness();
                let witness = witness.and_then(RecordId::index).filter(|it| *it >= from);
                Some(witness.map_or(after.len().saturating_sub(1), |it| it - from))
            }
        };
        let index = index.map(|index| from + index).and_then(|index| u32::try_from(index).ok());
        index.map_or(start, RecordId)
    }
}

fn next_holder(run: &Run, after: &[Record], lock: LockId) -> String {
    let holder = after.iter().find_map(|record| match record.kind {
        RecordKind::LockGranted { lock: granted, client, .. } if granted == lock => Some(client),
        _ => None,
    });
    let index = holder.and_then(|client| usize::from(client.0).checked_sub(1));
    let client = index.and_then(|index| run.config.clients.get(index));
    client.map_or_else(|| "nobody".to_owned(), |client| client.name.to_string())
}

fn ends_tenure(record: &Record, wanted: LockId) -> bool {
    matches!(record.kind,
        RecordKind::LockReleased { lock, .. } | RecordKind::LockGranted { lock, .. } if lock == wanted)
}

fn next_append(after: &[Record], wanted: NodeId) -> &'static str {
    let outcome = after.iter().find_map(|record| match record.kind {
        RecordKind::FileAppended { client, .. } if client == wanted => Some("written"),
        RecordKind::RequestRefused { client, message: Message::AppendFile, .. }
            if client == wanted =>
        {
            Some("refused")
        }
        RecordKind::DuplicateAnswered { client, message: Message::AppendFile, .. }
            if client == wanted =>
        {
            Some("answered_again")
        }
        RecordKind::Lost { packet: packet, cause: LossCause::NodeDown, .. }
            if packet.peer == wanted && packet.message == Message::AppendFile =>
        {
            Some("nothing")
        }
        _ => None,
    });
    outcome.unwrap_or("nothing")
}

/// How many believe, behind the first `until` records, that they hold a lock.
fn believers(trace: &[Record], until: usize, wanted: LockId) -> u64 {
    let Some(now) = until.checked_sub(1).and_then(|last| trace.get(last)).map(|it| it.at) else {
        return 0;
    };
    let mut believed_until = BTreeMap::new();
    for record in &trace[..until] {
        match record.kind {
            RecordKind::Believed { lock, until, .. } if lock == wanted => {
                believed_until.insert(record.node, until);
            }
            RecordKind::BeliefEnded { lock, .. } if lock == wanted => {
                believed_until.remove(&record.node);
            }
            RecordKind::Crashed { .. } => {
                believed_until.remove(&record.node);
            }
            _ => {}
        }
    }
    believed_until.values().filter(|until| **until > now).count() as u64
}
