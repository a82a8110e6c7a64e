//! How a record violates an invariant, in one sentence about the participants of the run.

use leasehold_core::event::ReleaseCause;

use super::Explainer;
use crate::check::Invariant;
use crate::trace::{LockId, NodeId, Number, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;
use crate::wait_graph::WaitGraph;

/// How a witness violates an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The explanation, as a sentence without a full stop.
    pub text: String,
    /// The records that the explanation rests on, besides the witness.
    pub evidence: Vec<RecordId>,
}

/// A belief: client, lock, and the end of the belief.
type Belief = (NodeId, LockId, VirtualTime);

/// A client in a wait queue.
#[derive(Clone, Copy)]
pub(super) struct Waiter {
    lock: LockId,
    pub(super) client: NodeId,
    session: Number,
    last_request: RecordId,
}

impl Explainer<'_> {
    /// Explains how a record violates an invariant; `None` if the trace does not contain the
    /// record.
    pub fn violation(&self, invariant: Invariant, witness: RecordId) -> Option<Violation> {
        let record = self.record(witness)?;
        let before = &self.trace[..witness.index()?];
        let specific = match invariant {
            Invariant::S1 | Invariant::S6 | Invariant::L1 => None,
            Invariant::S2 => self.decreasing_token(record, before),
            Invariant::S3 => self.explain_s3(record, before),
            Invariant::S4 => self.append_without_tenure(record, before),
            Invariant::S5 => self.lost_promise(record, before),
            Invariant::S7 => self.false_belief(record, before),
            Invariant::S8 => {
                self.granted_out_of_order(record, before).or_else(|| self.left_idle(record, before))
            }
            Invariant::L2 => Some(self.unfinished_clients(before)),
        };
        let generic = || Violation { text: self.generic(invariant, record), evidence: Vec::new() };
        Some(specific.unwrap_or_else(generic))
    }

    fn generic(&self, invariant: Invariant, record: &Record) -> String {
        if invariant == Invariant::S1
            && let RecordKind::LockGranted { lock, .. } = record.kind
        {
            return format!("{} is granted during another live tenure", self.lock_name(lock));
        }
        if invariant == Invariant::S6
            && let RecordKind::LockReleased { client, origin, .. } = record.kind
        {
            let (origin, client) = (self.node_name(origin), self.node_name(client));
            return format!("{origin}'s release ends the tenure of {client}");
        }
        if invariant == Invariant::L1 {
            return "a lease has expired, but its lock is still held".to_owned();
        }
        invariant.sentence().to_owned()
    }

    fn decreasing_token(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::FileAppended { lock, token, .. } = record.kind else { return None };
        let (id, higher, at) = find_last(before, |it| {
            let RecordKind::FileAppended { lock: file, token, .. } = it.kind else { return None };
            (file == lock).then_some(token)
        })?;
        let at = self.time_label(at);
        let text = format!("token {token} follows token {higher}, which was written at {at}");
        Some(Violation { text, evidence: vec![id] })
    }

    fn append_without_tenure(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::FileAppended { lock, client, token, .. } = record.kind else { return None };
        let (writer, name) = (self.node_name(client), self.lock_name(lock));
        let last_change = find_last(before, |it| changes_tenure(it, lock).then_some(it.kind));
        let Some((id, kind, at)) = last_change else {
            let text = format!("{writer} appends, but no client has ever held {name}");
            return Some(Violation { text, evidence: Vec::new() });
        };
        let holder = if let RecordKind::LockGranted { client, token, .. } = kind {
            Some((client, token))
        } else {
            None
        };
        let text = match holder {
            Some((holder, current)) if (holder, current) != (client, token) => {
                let holder = self.node_name(holder);
                let held = format!("{holder} holds {name} (token {current})");
                format!("{writer} appends under token {token} while {held}")
            }
            Some(_) => format!("{writer}'s lease had expired when its line was written"),
            None => {
                let at = self.time_label(at);
                format!("{writer} appends, but no client has held {name} since {at}")
            }
        };
        Some(Violation { text, evidence: vec![id] })
    }

    fn lost_promise(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::Recovered { through, .. } = record.kind else { return None };
        let (id, client, _) = find_last(before, |it| {
            let (RecordKind::SessionOpened { client, index, .. }
            | RecordKind::SessionClosed { client, index, .. }
            | RecordKind::SessionExpired { client, index, .. }
            | RecordKind::LockQueued { client, index, .. }
            | RecordKind::LockGranted { client, index, .. }
            | RecordKind::LockReleased { client, index, .. }
            | RecordKind::WaitEnded { client, index, .. }
            | RecordKind::FileAppended { client, index, .. }) = it.kind
            else {
                return None;
            };
            (index > through).then_some(client)
        })?;
        let client = self.node_name(client);
        let text = format!("the server has lost what it had acknowledged to {client}");
        Some(Violation { text, evidence: vec![id] })
    }

    fn false_belief(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let (evidence, (client, lock, until)) = find_belief(record, before)?;
        let (client, name) = (self.node_name(client), self.lock_name(lock));
        let until = self.time_label(until);
        let is_expiry = matches!(
            record.kind,
            RecordKind::LockReleased { cause: ReleaseCause::LeaseExpired, .. }
        );
        let text = if is_expiry {
            format!("{name} is released while {client} believes until {until} that it holds it")
        } else {
            format!("{client} believes until {until} that it holds {name}, but it does not")
        };
        Some(Violation { text, evidence })
    }

    fn granted_out_of_order(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::LockGranted { lock, client, .. } = record.kind else { return None };
        let first = first_waiter(lock, client, before)?;
        let (first_name, client) = (self.node_name(first.client), self.node_name(client));
        let text = format!("{first_name} was queued before {client}");
        Some(Violation { text, evidence: vec![first.last_request] })
    }

    /// A lock is free although a client waits for it.
    fn left_idle(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let mut free_since: Vec<(LockId, RecordId)> = Vec::new();
        let mut waiters: Vec<Waiter> = Vec::new();
        for (id, it) in (0_u32..).zip(before.iter().filter(|it| it.at < record.at)) {
            let id = RecordId(id);
            self.track_free_locks(&mut free_since, id, it.kind);
            track_waiters(&mut waiters, id, it.kind);
        }
        let since = |lock| free_since.iter().find(|(it, _)| *it == lock).map(|(_, since)| *since);
        waiters.retain(|waiter| since(waiter.lock).is_some());
        let waiter = waiters.into_iter().max_by_key(|waiter| waiter.last_request)?;
        let (name, client) = (self.lock_name(waiter.lock), self.node_name(waiter.client));
        let since = since(waiter.lock)?;
        let text = format!("{name} stays free although {client} waits for it and is not silent");
        Some(Violation { text, evidence: vec![since, waiter.last_request] })
    }

    fn track_free_locks(
        &self,
        free_since: &mut Vec<(LockId, RecordId)>,
        id: RecordId,
        kind: RecordKind,
    ) {
        if let RecordKind::LockReleased { lock, .. } = kind {
            free_since.retain(|(it, _)| *it != lock);
            free_since.push((lock, id));
        }
        if let RecordKind::LockGranted { lock, .. } | RecordKind::TenureRecovered { lock, .. } =
            kind
        {
            free_since.retain(|(it, _)| *it != lock);
        }
        if matches!(kind, RecordKind::Recovered { .. }) {
            let locks = (0_u8..).map(LockId).take(self.run.config.locks.len());
            free_since.clear();
            free_since.extend(locks.map(|lock| (lock, id)));
        }
    }

    fn unfinished_clients(&self, before: &[Record]) -> Violation {
        let unfinished: Vec<String> =
            self.unfinished(before).map(|node| self.node_name(node)).collect();
        let names = unfinished.join(", ");
        let text = if self.run.has_faults() {
            format!("all faults have ended, but not finished: {names}")
        } else {
            format!("there are no faults, but not finished: {names}")
        };
        let Some(deadlock) = self.deadlock(before) else {
            return Violation { text, evidence: Vec::new() };
        };
        Violation { text: format!("{text}; {}", deadlock.text), ..deadlock }
    }

    /// Returns which clients wait for each other, and since which records, if some do.
    fn deadlock(&self, before: &[Record]) -> Option<Violation> {
        let mut graph = WaitGraph::default();
        before.iter().for_each(|record| graph.observe(&record.kind));
        let cycle = graph.cycles().into_iter().next()?;
        let holders = cycle.iter().cycle().skip(1);
        let waits = cycle.iter().zip(holders).map(|(edge, next)| {
            let (waiter, holder) = (self.node_name(edge.waiter), self.node_name(next.waiter));
            format!("{waiter} waits for {}, which {holder} holds", self.lock_name(edge.lock))
        });
        let text = waits.collect::<Vec<_>>().join("; ");
        let queued = cycle.iter().filter_map(|edge| {
            find_last(before, |it| {
                let RecordKind::LockQueued { lock, client, .. } = it.kind else { return None };
                ((client, lock) == (edge.waiter, edge.lock)).then_some(())
            })
        });
        Some(Violation { text, evidence: queued.map(|(id, ..)| id).collect() })
    }

    /// Returns the clients that have not completed their scripts.
    pub(super) fn unfinished(&self, before: &[Record]) -> impl Iterator<Item = NodeId> {
        let clients = (1_u8..).take(self.run.config.clients.len()).map(NodeId);
        clients.filter(|node| {
            !before.iter().any(|it| it.node == *node && matches!(it.kind, RecordKind::Finished))
        })
    }
}

/// Returns the first client in the wait queue of a lock, other than `client`.
pub(super) fn first_waiter(lock: LockId, client: NodeId, before: &[Record]) -> Option<Waiter> {
    let mut queue: Vec<Waiter> = Vec::new();
    for (id, it) in (0_u32..).zip(before) {
        if let RecordKind::LockQueued { lock: queued_lock, client, session, .. } = it.kind
            && queued_lock == lock
        {
            queue.push(Waiter { lock, client, session, last_request: RecordId(id) });
        }
        if let RecordKind::WaitEnded { lock: queued_lock, session, .. }
        | RecordKind::LockGranted { lock: queued_lock, session, .. } = it.kind
            && queued_lock == lock
        {
            queue.retain(|waiter| waiter.session != session);
        }
    }
    queue.into_iter().find(|first| first.client != client)
}

/// Returns the client whose belief a record violates.
pub(super) fn believer(record: &Record, before: &[Record]) -> Option<NodeId> {
    find_belief(record, before).map(|(_, (client, ..))| client)
}

fn changes_tenure(record: &Record, wanted: LockId) -> bool {
    matches!(record.kind,
        RecordKind::LockGranted { lock, .. } | RecordKind::LockReleased { lock, .. }
        if lock == wanted)
}

fn track_waiters(waiters: &mut Vec<Waiter>, id: RecordId, kind: RecordKind) {
    if matches!(kind, RecordKind::Recovered { .. }) {
        waiters.clear();
    }
    if let RecordKind::LockQueued { lock, client, session, .. }
    | RecordKind::WaitRecovered { lock, client, session, .. } = kind
    {
        waiters.push(Waiter { lock, client, session, last_request: id });
    }
    if let RecordKind::DuplicateAnswered { session, .. } = kind {
        let retries = waiters.iter_mut().filter(|waiter| waiter.session == session);
        retries.for_each(|waiter| waiter.last_request = id);
    }
    if let RecordKind::LockGranted { lock, session, .. }
    | RecordKind::WaitEnded { lock, session, .. } = kind
    {
        waiters.retain(|waiter| (waiter.lock, waiter.session) != (lock, session));
    }
}

/// Returns the belief that a record violates or begins, and the earlier record that began it.
fn find_belief(record: &Record, before: &[Record]) -> Option<(Vec<RecordId>, Belief)> {
    let wanted =
        if let RecordKind::LockReleased { lock, .. } = record.kind { Some(lock) } else { None };
    if let RecordKind::Believed { lock, until, .. } = record.kind {
        return Some((Vec::new(), (record.node, lock, until)));
    }
    let (id, belief, _) = find_last(before, |it| {
        let RecordKind::Believed { lock, until, .. } = it.kind else { return None };
        let is_active = until > record.at && wanted.is_none_or(|wanted| wanted == lock);
        is_active.then_some((it.node, lock, until))
    })?;
    Some((vec![id], belief))
}

/// Returns the last record for which `select` returns a value, with its id and time.
pub(super) fn find_last<T>(
    records: &[Record],
    select: impl Fn(&Record) -> Option<T>,
) -> Option<(RecordId, T, VirtualTime)> {
    let mut numbered = records.iter().enumerate().rev();
    numbered.find_map(|(id, record)| {
        let id = RecordId(u32::try_from(id).ok()?);
        Some((id, select(record)?, record.at))
    })
}
