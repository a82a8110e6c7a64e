//! Measures: the value of a run that answers a question, as a number or a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Invariant;
use crate::file_lines::Lines;
use crate::message::Message;
use crate::run::Run;
use crate::trace::{LockId, LossCause, NodeId, Number, Record, RecordId, RecordKind};
use crate::world::World;

/// A value to compute from a run and the record after which the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// The name of the client that is granted a lock next, or `nobody`.
    NextHolder {
        /// The lock.
        lock: LockId,
    },
    /// The time from the question until the tenure of a lock ends, in milliseconds.
    FreedAfterMs {
        /// The lock.
        lock: LockId,
    },
    /// The outcome of a client's first append that the server decides after the question:
    /// `written`, `refused`, `answered_again`, or `nothing`.
    NextAppend {
        /// The client.
        client: NodeId,
    },
    /// The number of lines of a file at the end of the run.
    Lines {
        /// The lock of the file.
        lock: LockId,
    },
    /// The number of clients that believe at the question that they hold a lock.
    Believers {
        /// The lock.
        lock: LockId,
    },
    /// The maximum number of clients that believe at the same time that they hold a lock, from the
    /// question on.
    #[serde(rename = "believers_most")]
    MaxBelievers {
        /// The lock.
        lock: LockId,
    },
    /// The number of messages of a type that are sent after the question.
    Sent {
        /// The type of message.
        message: Message,
    },
    /// The token of the next grant of a lock; 0 if there is none.
    NextToken {
        /// The lock.
        lock: LockId,
    },
    /// Whether the run violates an invariant: `yes` or `no`.
    Violated {
        /// The invariant.
        invariant: Invariant,
    },
}

/// The value of a measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a non-negative integer or a string")]
pub enum Value {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Measure {
    /// Computes the value in a run, for a question after the record `start`.
    pub fn evaluate(&self, run: &Run, start: RecordId) -> Value {
        let mut world = World::new(run.clone());
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        self.evaluate_trace(&world, &trace, start)
    }

    /// Computes the value from the final world and the trace of a run.
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
                let grant = after.iter().find_map(|record| grant_of(record, lock));
                Value::Number(grant.and_then(|(_, token)| token.get()).unwrap_or(0))
            }
            Self::Violated { invariant } => {
                let violated = world.checkers().status(invariant).witness().is_some();
                Value::text(if violated { "yes" } else { "no" })
            }
        }
    }

    /// Returns the record that determines the value: later records do not change it.
    pub fn determined_at(&self, world: &World, trace: &[Record], start: RecordId) -> RecordId {
        let from = start.index().map_or(0, |index| index + 1).min(trace.len());
        let after = &trace[from..];
        let index = match *self {
            Self::NextHolder { lock } | Self::NextToken { lock } => {
                after.iter().position(|it| grant_of(it, lock).is_some())
            }
            Self::FreedAfterMs { lock } => after.iter().position(|it| ends_tenure(it, lock)),
            Self::NextAppend { client } => {
                (0..after.len()).find(|until| next_append(&after[..=*until], client) != "nothing")
            }
            Self::Lines { lock: file } => after.iter().rposition(
                |it| matches!(it.kind, RecordKind::FileAppended { lock, .. } if lock == file),
            ),
            Self::Believers { .. } => None,
            Self::MaxBelievers { lock } => {
                let count = |until: &usize| believers(trace, from + until, lock);
                let max = (0..=after.len()).map(|until| count(&until)).max().unwrap_or(0);
                (0..=after.len()).find(|until| count(until) == max).map(|it| it.saturating_sub(1))
            }
            Self::Sent { message } => after
                .iter()
                .rposition(|it| matches!(it.kind, RecordKind::Sent(it) if it.message == message)),
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
    let grant = after.iter().find_map(|record| grant_of(record, lock));
    let index = grant.and_then(|(client, _)| usize::from(client.0).checked_sub(1));
    let client = index.and_then(|index| run.config.clients.get(index));
    client.map_or_else(|| "nobody".to_owned(), |client| client.name.to_string())
}

/// Returns client and token if a record grants this lock.
fn grant_of(record: &Record, wanted: LockId) -> Option<(NodeId, Number)> {
    let RecordKind::LockGranted { lock, client, token, .. } = record.kind else { return None };
    (lock == wanted).then_some((client, token))
}

fn ends_tenure(record: &Record, wanted: LockId) -> bool {
    matches!(
        record.kind,
        RecordKind::LockReleased { lock, .. } | RecordKind::LockGranted { lock, .. }
            if lock == wanted
    )
}

fn next_append(after: &[Record], wanted: NodeId) -> &'static str {
    after.iter().find_map(|record| append_outcome(record, wanted)).unwrap_or("nothing")
}

/// Returns the outcome if a record decides an append of this client.
fn append_outcome(record: &Record, wanted: NodeId) -> Option<&'static str> {
    let (client, outcome) = if let RecordKind::FileAppended { client, .. } = record.kind {
        (client, "written")
    } else if let RecordKind::RequestRefused { client, message: Message::AppendFile, .. } =
        record.kind
    {
        (client, "refused")
    } else if let RecordKind::DuplicateAnswered { client, message: Message::AppendFile, .. } =
        record.kind
    {
        (client, "answered_again")
    } else if let RecordKind::Lost { packet, cause: LossCause::NodeDown } = record.kind
        && packet.message == Message::AppendFile
    {
        (packet.peer, "nothing")
    } else {
        return None;
    };
    (client == wanted).then_some(outcome)
}

/// Returns how many clients believe, after the first `until` records, that they hold a lock.
fn believers(trace: &[Record], until: usize, wanted: LockId) -> u64 {
    let Some(now) = until.checked_sub(1).and_then(|last| trace.get(last)).map(|it| it.at) else {
        return 0;
    };
    let mut believed_until = BTreeMap::new();
    for record in &trace[..until] {
        if let RecordKind::Believed { lock, until, .. } = record.kind
            && lock == wanted
        {
            believed_until.insert(record.node, until);
        }
        if matches!(record.kind, RecordKind::Crashed { .. })
            || matches!(record.kind, RecordKind::BeliefEnded { lock, .. } if lock == wanted)
        {
            believed_until.remove(&record.node);
        }
    }
    believed_until.values().filter(|until| **until > now).count() as u64
}
