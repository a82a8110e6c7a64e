//! How an invariant was violated, in the words of the case at hand.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use std::collections::BTreeMap;

use leasehold_core::event::ReleaseCause;

use super::Explainer;
use crate::check::Invariant;
use crate::trace::{LockId, NodeId, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

/// What is wrong at a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What, as a sentence without the stop at its end.
    pub text: String,
    /// The records that it rests on, besides the witness.
    pub evidence: Vec<RecordId>,
}

/// A belief: whose, in which lock, and until when.
type Belief = (NodeId, LockId, VirtualTime);

impl Explainer<'_> {
    /// How this record violates this invariant; nothing where there is no such record.
    pub fn violation(&self, invariant: Invariant, witness: RecordId) -> Option<Violation> {
        let record = self.record(witness)?;
        let before = &self.trace[..witness.index()?];
        let specific = match invariant {
            Invariant::S1 | Invariant::S6 | Invariant::L1 => None,
            Invariant::S2 => tokens_decrease(record, before),
            Invariant::S3 => self.explain_s3(record, before),
            Invariant::S4 => self.append_without_tenure(record, before),
            Invariant::S5 => self.lost_promise(record, before),
            Invariant::S7 => self.false_belief(record, before),
            Invariant::S8 => {
                self.granted_out_of_order(record, before).or_else(|| self.left_idle(record, before))
            }
            Invariant::L2 => Some(self.unfinished_clients(before)),
        };
        let generic_text =
            || Violation { text: self.generic(invariant, record), evidence: Vec::new() };
        Some(specific.unwrap_or_else(generic_text))
    }

    fn generic(&self, invariant: Invariant, record: &Record) -> String {
        match (invariant, record.kind) {
            (Invariant::S1, RecordKind::LockGranted { lock, .. }) => {
                format!("{} is granted while another tenure is live", self.lock_name(lock))
            }
            (Invariant::S6, RecordKind::LockReleased { client, origin: by, .. }) => {
                format!("{} ends what {} holds", self.node_name(by), self.node_name(client))
            }
            (Invariant::L1, _) => "a lease is over, and its lock is still held".to_owned(),
            (other, _) => other.sentence().to_owned(),
        }
    }

    fn append_without_tenure(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::FileAppended { lock, client, token, .. } = record.kind else { return None };
        let (writer, name) = (self.node_name(client), self.lock_name(lock));
        let tenure = find_last(before, |it| match it.kind {
            RecordKind::LockGranted { lock: record_lock, client, token, .. }
                if record_lock == lock =>
            {
                Some(Some((client, token)))
            }
            RecordKind::LockReleased { lock: wanted, .. } if wanted == lock => Some(None),
            _ => None,
        });
        let Some((index, holder, at)) = tenure else {
            let text = format!("{writer} writes, and nobody has ever held {name}");
            return Some(Violation { text, evidence: Vec::new() });
        };
        let text = match holder {
            Some((holder, held)) if (holder, held) != (client, token) => {
                let holder = self.node_name(holder);
                format!(
                    "{writer} writes under token {token}, while {holder} holds {name} (token {held})"
                )
            }
            Some(_) => format!("{writer}'s lease was over when its line was written"),
            None => format!("{writer} writes, and nobody has held {name} since {at}"),
        };
        Some(Violation { text, evidence: vec![index] })
    }

    fn lost_promise(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::Recovered { through, .. } = record.kind else { return None };
        let (id, client, _) = find_last(before, |it| match it.kind {
            RecordKind::SessionOpened { client, index, .. }
            | RecordKind::SessionClosed { client, index, .. }
            | RecordKind::SessionExpired { client, index, .. }
            | RecordKind::LockQueued { client, index, .. }
            | RecordKind::LockGranted { client, index, .. }
            | RecordKind::LockReleased { client, index, .. }
            | RecordKind::WaitEnded { client, index, .. }
            | RecordKind::FileAppended { client, index, .. } => (index > through).then_some(client),
            _ => None,
        })?;
        let client = self.node_name(client);
        let text = format!("the server has forgotten what it had told {client} already");
        Some(Violation { text, evidence: vec![id] })
    }

    fn false_belief(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let lock = match record.kind {
            RecordKind::LockReleased { lock, .. } | RecordKind::Believed { lock, .. } => Some(lock),
            _ => None,
        };
        let (evidence, (client, lock, until)) = find_belief(record, before, lock)?;
        let (client, name) = (self.node_name(client), self.lock_name(lock));
        let text = match record.kind {
            RecordKind::LockReleased { cause: ReleaseCause::LeaseExpired, .. } => {
                format!("the server takes {name} from {client}, which counts on it until {until}")
            }
            _ => format!("{client} believes until {until} that it holds {name}, and it does not"),
        };
        Some(Violation { text, evidence })
    }

    fn granted_out_of_order(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let RecordKind::LockGranted { lock, client, .. } = record.kind else { return None };
        let mut queue: Vec<(NodeId, u32, RecordId)> = Vec::new();
        for (id, it) in (0_u32..).zip(before) {
            match it.kind {
                RecordKind::LockQueued { lock: queued_lock, client, session, .. }
                    if queued_lock == lock =>
                {
                    queue.push((client, session, RecordId(id)));
                }
                RecordKind::WaitEnded { lock: queued_lock, session, .. }
                | RecordKind::LockGranted { lock: queued_lock, session, .. }
                    if queued_lock == lock =>
                {
                    queue.retain(|(_, waiting, _)| *waiting != session);
                }
                _ => {}
            }
        }
        let (first, _, id) = queue.into_iter().find(|(first, _, _)| *first != client)?;
        let text = format!("{} came before {}", self.node_name(first), self.node_name(client));
        Some(Violation { text, evidence: vec![id] })
    }

    /// A lock that is free, and somebody who waits for it.
    fn left_idle(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let mut free_since: BTreeMap<LockId, RecordId> = BTreeMap::new();
        let mut waiters: Vec<(LockId, NodeId, u32, RecordId)> = Vec::new();
        for (id, it) in (0_u32..).zip(before.iter().filter(|it| it.at < record.at)) {
            let id = RecordId(id);
            match it.kind {
                RecordKind::LockReleased { lock, .. } => drop(free_since.insert(lock, id)),
                RecordKind::TenureRecovered { lock, .. } => drop(free_since.remove(&lock)),
                RecordKind::Recovered { .. } => {
                    waiters.clear();
                    let locks = (0_u8..).map(LockId).take(self.run.config.locks.len());
                    free_since = locks.map(|lock| (lock, id)).collect();
                }
                RecordKind::LockQueued { lock, client, session, .. }
                | RecordKind::WaitRecovered { lock, client, session, .. } => {
                    waiters.push((lock, client, session, id));
                }
                RecordKind::DuplicateAnswered { session, .. } => {
                    let retries = waiters.iter_mut().filter(|waiter| waiter.2 == session);
                    retries.for_each(|waiter| waiter.3 = id);
                }
                RecordKind::LockGranted { lock, session, .. } => {
                    free_since.remove(&lock);
                    waiters.retain(|waiter| (waiter.0, waiter.2) != (lock, session));
                }
                RecordKind::WaitEnded { lock, session, .. } => {
                    waiters.retain(|waiter| (waiter.0, waiter.2) != (lock, session));
                }
                _ => {}
            }
        }
        waiters.retain(|waiter| free_since.contains_key(&waiter.0));
        let (lock, client, _, last_request) = waiters.into_iter().max_by_key(|waiter| waiter.3)?;
        let (name, client, since) =
            (self.lock_name(lock), self.node_name(client), *free_since.get(&lock)?);
        let text = format!("{name} is left lying, though {client} waits for it and is heard");
        Some(Violation { text, evidence: vec![since, last_request] })
    }

    fn unfinished_clients(&self, before: &[Record]) -> Violation {
        let clients = (1_u8..).take(self.run.config.clients.len()).map(NodeId);
        let finished = |node| {
            before.iter().any(|it| it.node == node && matches!(it.kind, RecordKind::Finished))
        };
        let stuck: Vec<String> =
            clients.filter(|node| !finished(*node)).map(|node| self.node_name(node)).collect();
        let text = format!("nothing fails any more, and {} can't go on", stuck.join(", "));
        Violation { text, evidence: Vec::new() }
    }
}

fn tokens_decrease(record: &Record, before: &[Record]) -> Option<Violation> {
    let RecordKind::FileAppended { lock, token, .. } = record.kind else { return None };
    let (id, higher, at) = find_last(before, |it| match it.kind {
        RecordKind::FileAppended { lock: file, token, .. } if file == lock => Some(token),
        _ => None,
    })?;
    let text = format!("token {token} comes after token {higher}, written at {at}");
    Some(Violation { text, evidence: vec![id] })
}

/// Somebody who believes, and the record that tells of it.
fn find_belief(
    record: &Record,
    before: &[Record],
    record_lock: Option<LockId>,
) -> Option<(Vec<RecordId>, Belief)> {
    if let RecordKind::Believed { lock, until, .. } = record.kind {
        return Some((Vec::new(), (record.node, lock, until)));
    }
    let (id, belief, _) = find_last(before, |it| match it.kind {
        RecordKind::Believed { lock, until, .. }
            if until > record.at && record_lock.is_none_or(|wanted| wanted == lock) =>
        {
            Some((it.node, lock, until))
        }
        _ => None,
    })?;
    Some((vec![id], belief))
}

/// The last record of which this is so, what it says, and when it was.
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
