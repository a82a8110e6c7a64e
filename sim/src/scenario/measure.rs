//! Measures: the value of a run that answers a question, as a number or a text.

use std::collections::BTreeSet;

use leasehold_core::deserialize_from_fields;
use leasehold_core::event::ReleaseCause;
use leasehold_core::fields::{Error, Fields, FromFields, unknown_variant};
use serde::{Deserialize, Serialize};

use crate::check::Invariant;
use crate::importance::Importance;
use crate::message::Message;
use crate::run::Run;
use crate::trace::{LockId, LossCause, NodeId, Number, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;
use crate::wait_graph::WaitGraph;
use crate::world::World;

/// A value to compute from a run and the record after which the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
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
    /// The outcome of a client's first release that the server decides after the question:
    /// `released`, `refused`, or `nothing`.
    NextRelease {
        /// The client.
        client: NodeId,
    },
    /// What a client sees at its first read after the question: `complete`, `torn`, or `nothing`.
    NextRead {
        /// The client.
        client: NodeId,
    },
    /// The maximum number of clients that wait for each other in a cycle, from the question on.
    WaitingInCycle,
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

deserialize_from_fields!(Measure);

impl FromFields for Measure {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("of")?;
        let measure = match &*tag {
            "next_holder" => Self::NextHolder { lock: fields.take("lock")? },
            "freed_after_ms" => Self::FreedAfterMs { lock: fields.take("lock")? },
            "next_append" => Self::NextAppend { client: fields.take("client")? },
            "next_release" => Self::NextRelease { client: fields.take("client")? },
            "next_read" => Self::NextRead { client: fields.take("client")? },
            // Unknown fields of a variant without fields were always ignored.
            "waiting_in_cycle" => return Ok(Self::WaitingInCycle),
            "lines" => Self::Lines { lock: fields.take("lock")? },
            "believers" => Self::Believers { lock: fields.take("lock")? },
            "believers_most" => Self::MaxBelievers { lock: fields.take("lock")? },
            "sent" => Self::Sent { message: fields.take("message")? },
            "next_token" => Self::NextToken { lock: fields.take("lock")? },
            "violated" => Self::Violated { invariant: fields.take("invariant")? },
            _ => return Err(unknown_variant(&tag)),
        };
        fields.deny_unknown()?;
        Ok(measure)
    }
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
            Self::NextRelease { client } => Value::text(next_release(after, client)),
            Self::NextRead { client } => Value::text(next_read(after, client)),
            Self::WaitingInCycle => {
                let max = cycle_sizes(before, after).max();
                Value::Number(max.unwrap_or(0) as u64)
            }
            Self::Lines { lock } => Value::Number(line_count(trace, lock)),
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
                let witness = world.checkers().status(invariant).witness();
                let witness = witness.and_then(RecordId::index);
                let is_violated = witness.is_some_and(|witness| witness < trace.len());
                Value::text(if is_violated { "yes" } else { "no" })
            }
        }
    }

    /// Returns the record that determines the value: later records do not change it.
    pub fn determined_at(&self, world: &World, trace: &[Record], start: RecordId) -> RecordId {
        let from = start.index().map_or(0, |index| index + 1).min(trace.len());
        let (before, after) = trace.split_at(from);
        let index = match *self {
            Self::NextHolder { lock } | Self::NextToken { lock } => {
                after.iter().position(|it| grant_of(it, lock).is_some())
            }
            Self::FreedAfterMs { lock } => after.iter().position(|it| ends_tenure(it, lock)),
            Self::NextAppend { client } => {
                (0..after.len()).find(|until| next_append(&after[..=*until], client) != "nothing")
            }
            Self::NextRelease { client } => {
                after.iter().position(|it| release_outcome(it, client).is_some())
            }
            Self::NextRead { client } => {
                after.iter().position(|it| read_outcome(it, client).is_some())
            }
            Self::WaitingInCycle => {
                let max = cycle_sizes(before, after).max().unwrap_or(0);
                cycle_sizes(before, after).position(|size| size == max).filter(|_| max > 0)
            }
            Self::Lines { lock } => {
                let mut counter = LineCounter::new(lock);
                for record in before {
                    counter.observe(record);
                }
                let changes = after.iter().map(|record| counter.observe(record));
                changes.enumerate().filter(|(_, changes)| *changes).map(|(index, _)| index).last()
            }
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
                witness.map(|it| it - from).or_else(|| last_test(after, invariant))
            }
        };
        let index = index.map(|index| from + index).and_then(|index| u32::try_from(index).ok());
        index.map_or(start, RecordId)
    }

    /// Returns the record that shows the value to a viewer, for a question after the record
    /// `start`; the last record if no earlier one does.
    ///
    /// The value can be determined long before: that a client never believes that it holds a lock,
    /// for example, is seen when another client does.
    pub fn shown_at(&self, trace: &[Record], start: RecordId) -> RecordId {
        let from = start.index().map_or(0, |index| index + 1).min(trace.len());
        let (before, after) = trace.split_at(from);
        let index = match *self {
            Self::NextHolder { lock } | Self::NextToken { lock } => {
                after.iter().position(|it| grant_of(it, lock).is_some())
            }
            // The next holder shows that the lock was released.
            Self::FreedAfterMs { lock } => after
                .iter()
                .position(|it| grant_of(it, lock).is_some())
                .or_else(|| after.iter().position(|it| ends_tenure(it, lock))),
            Self::NextAppend { client } => {
                after.iter().position(|it| append_outcome(it, client).is_some())
            }
            Self::NextRelease { client } => {
                after.iter().position(|it| release_outcome(it, client).is_some())
            }
            Self::NextRead { client } => {
                after.iter().position(|it| read_outcome(it, client).is_some())
            }
            // Without a cycle, the last grant shows that every client was served.
            Self::WaitingInCycle => cycle_sizes(before, after)
                .position(|size| size > 0)
                .or_else(|| after.iter().rposition(grants_a_lock)),
            Self::Lines { lock } => after.iter().rposition(|it| decides_lines(it, lock)),
            Self::Believers { lock } | Self::MaxBelievers { lock } => {
                let known = believing_clients(before, lock);
                after.iter().position(|it| {
                    let is_of_lock =
                        matches!(it.kind, RecordKind::Believed { lock: it, .. } if it == lock);
                    is_of_lock && !known.contains(&it.node)
                })
            }
            Self::Sent { message } => after
                .iter()
                .rposition(|it| matches!(it.kind, RecordKind::Sent(it) if it.message == message)),
            Self::Violated { invariant } => last_test(after, invariant),
        };
        let last = trace.len().saturating_sub(1);
        let index = index.map_or(last, |index| from + index);
        u32::try_from(index).map_or(start, RecordId)
    }
}

/// Returns the last record that could violate an invariant: after it, only heartbeats follow.
fn last_test(after: &[Record], invariant: Invariant) -> Option<usize> {
    match invariant {
        // Checked at the end of the run.
        Invariant::L1 | Invariant::L2 => after.len().checked_sub(1),
        Invariant::S1
        | Invariant::S2
        | Invariant::S3
        | Invariant::S4
        | Invariant::S5
        | Invariant::S6
        | Invariant::S7
        | Invariant::S8 => {
            after.iter().rposition(|it| Importance::from_record(it) >= Importance::Release)
        }
    }
}

/// Whether a record decides how many lines a file has.
fn decides_lines(record: &Record, wanted: LockId) -> bool {
    if let RecordKind::FileAppended { lock, .. }
    | RecordKind::RequestRefused { lock, message: Message::AppendFile, .. } = record.kind
    {
        return lock == wanted;
    }
    matches!(
        record.kind,
        RecordKind::DuplicateAnswered { message: Message::AppendFile, .. }
            | RecordKind::Recovered { .. }
    )
}

/// Counts the lines of a file, without those that the server has lost.
struct LineCounter {
    lock: LockId,
    /// The log indices of the lines.
    indices: Vec<Number>,
}

impl LineCounter {
    const fn new(lock: LockId) -> Self {
        Self { lock, indices: Vec::new() }
    }

    /// Applies a record, and returns whether it changes the number of lines.
    fn observe(&mut self, record: &Record) -> bool {
        let before = self.indices.len();
        if let RecordKind::FileAppended { lock, index, .. } = record.kind
            && lock == self.lock
        {
            self.indices.push(index);
        }
        if let RecordKind::Recovered { through, .. } = record.kind {
            self.indices.retain(|index| *index <= through);
        }
        self.indices.len() != before
    }
}

/// Returns the number of lines of a file after these records.
fn line_count(trace: &[Record], lock: LockId) -> u64 {
    let mut counter = LineCounter::new(lock);
    for record in trace {
        counter.observe(record);
    }
    counter.indices.len() as u64
}

const fn grants_a_lock(record: &Record) -> bool {
    matches!(record.kind, RecordKind::LockGranted { .. })
}

/// Returns the number of clients in the largest cycle of waits, after each record of `after`.
fn cycle_sizes<'a>(before: &[Record], after: &'a [Record]) -> impl Iterator<Item = usize> + 'a {
    let mut graph = WaitGraph::default();
    before.iter().for_each(|record| graph.observe(&record.kind));
    after.iter().map(move |record| {
        graph.observe(&record.kind);
        // Only a new waiter can close a cycle.
        if matches!(record.kind, RecordKind::LockQueued { .. }) {
            graph.cycles().iter().map(Vec::len).max().unwrap_or(0)
        } else {
            0
        }
    })
}

fn next_release(after: &[Record], wanted: NodeId) -> &'static str {
    after.iter().find_map(|record| release_outcome(record, wanted)).unwrap_or("nothing")
}

/// Returns the outcome if a record decides a release by this client.
fn release_outcome(record: &Record, wanted: NodeId) -> Option<&'static str> {
    if let RecordKind::LockReleased { origin, cause: ReleaseCause::Released, .. } = record.kind {
        return (origin == wanted).then_some("released");
    }
    let RecordKind::RequestRefused { client, message: Message::ReleaseLock, .. } = record.kind
    else {
        return None;
    };
    (client == wanted).then_some("refused")
}

fn next_read(after: &[Record], wanted: NodeId) -> &'static str {
    after.iter().find_map(|record| read_outcome(record, wanted)).unwrap_or("nothing")
}

fn read_outcome(record: &Record, wanted: NodeId) -> Option<&'static str> {
    let RecordKind::FileRead { is_torn, .. } = record.kind else { return None };
    (record.node == wanted).then_some(if is_torn { "torn" } else { "complete" })
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
    believing_clients(&trace[..until], wanted).len() as u64
}

/// Returns the clients that believe after all these records that they hold a lock.
fn believing_clients(past: &[Record], wanted: LockId) -> BTreeSet<NodeId> {
    let Some(now) = past.last().map(|it| it.at) else { return BTreeSet::new() };
    let mut believed_until: Vec<(NodeId, VirtualTime)> = Vec::new();
    for record in past {
        if let RecordKind::Believed { lock, until, .. } = record.kind
            && lock == wanted
        {
            believed_until.retain(|(node, _)| *node != record.node);
            believed_until.push((record.node, until));
        }
        if matches!(record.kind, RecordKind::Crashed { .. })
            || matches!(record.kind, RecordKind::BeliefEnded { lock, .. } if lock == wanted)
        {
            believed_until.retain(|(node, _)| *node != record.node);
        }
    }
    let mut clients = BTreeSet::new();
    clients.extend(believed_until.iter().filter(|(_, until)| *until > now).map(|(node, _)| *node));
    clients
}
