//! The reason of each record: the rule that decided it, and the records that the rule rests on.

use leasehold_core::event::ReleaseCause;

use super::Explainer;
use super::phrases::{format_duration, format_millis};
use super::violation::find_last;
use crate::message::RefusalCode;
use crate::protection::Protection;
use crate::trace::{
    BeliefEndCause, LockId, LossCause, NodeId, Number, Record, RecordId, RecordKind,
};

/// A reason names the time on a clock if it differs by at least this from the virtual time, in
/// milliseconds.
const CLOCK_ERROR_SHOWN_MS: i64 = 1_000;

/// A reason, as a clause that follows "because", and the records that it refers to.
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) evidence: Vec<RecordId>,
}

impl Reason {
    fn new(text: impl Into<String>) -> Option<Self> {
        Self::with_evidence(text, Vec::new())
    }

    // Every reason is optional, and `Some` at each caller would be noise.
    #[allow(clippy::unnecessary_wraps, reason = "a constructor of the optional reason")]
    fn with_evidence(text: impl Into<String>, evidence: Vec<RecordId>) -> Option<Self> {
        Some(Self { text: text.into(), evidence })
    }
}

/// The tenure that a record refers to: the current one, or the last one if the lock is free.
struct Tenure {
    text: String,
    /// How the tenure before it ended; empty if it is the first one, or has ended itself.
    previous_end: String,
    evidence: Vec<RecordId>,
}

impl Explainer<'_> {
    pub(super) fn reason(&self, record: &Record) -> Option<Reason> {
        match record.kind {
            RecordKind::Lost { cause, packet } => self.loss_reason(record, packet.peer, cause),
            RecordKind::LockGranted { lock, client, token, from_queue, .. } => {
                self.grant_reason(record, (lock, client, token), from_queue)
            }
            RecordKind::LockQueued { .. } => {
                let tenure = self.tenure(record.causes.related())?;
                Reason::with_evidence(tenure.text, tenure.evidence)
            }
            RecordKind::LockReleased { cause, client, origin, .. } => {
                self.release_reason(record, cause, client, origin)
            }
            RecordKind::SessionExpired { client, .. } => self.expiry_reason(record, client),
            RecordKind::FileAppended { token, .. } => self.append_reason(record, token),
            RecordKind::RequestRefused { token, code, .. } => {
                self.refusal_reason(record, token, code)
            }
            RecordKind::DuplicateAnswered { .. } => {
                Reason::new("this request was answered before: the stored reply is sent again")
            }
            RecordKind::Believed { .. } => self.belief_reason(record),
            RecordKind::BeliefEnded { cause, .. } => match cause {
                BeliefEndCause::Expired => {
                    Reason::new("no recent reply proves that the server still keeps the lease")
                }
                BeliefEndCause::Released | BeliefEndCause::Crashed => None,
            },
            RecordKind::Recovered { through, .. } => self.recovery_reason(record, through),
            // Whether leases are measured on this clock is not part of the reason: before the
            // first expiry, nothing shows it.
            RecordKind::ClockJumped { .. } => Reason::new("a fault set it"),
            RecordKind::FileRead { is_torn: true, .. } => self.torn_read_reason(record),
            RecordKind::Started
            | RecordKind::Crashed { .. }
            | RecordKind::Restarted
            | RecordKind::Paused { .. }
            | RecordKind::Resumed
            | RecordKind::ClockDrifted { .. }
            | RecordKind::Cut { .. }
            | RecordKind::Healed { .. }
            | RecordKind::Degraded { .. }
            | RecordKind::DiskSlowed { .. }
            | RecordKind::FaultsEnded
            | RecordKind::Sent(_)
            | RecordKind::Arrived(_)
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::TenureRecovered { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::LeaseRenewed { .. }
            | RecordKind::Durable { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::CallStarted { .. }
            | RecordKind::CallEnded { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost
            | RecordKind::Finished
            | RecordKind::RunEnded
            | RecordKind::Gap { .. }
            | RecordKind::FileRead { is_torn: false, .. } => None,
        }
    }

    fn is_enabled(&self, protection: Protection) -> bool {
        !self.run.without.contains(&protection)
    }

    fn loss_reason(&self, record: &Record, peer: NodeId, cause: LossCause) -> Option<Reason> {
        match cause {
            LossCause::Network => self
                .degradation_reason(record, peer)
                .or_else(|| Reason::new("the network loses packets at random")),
            LossCause::Dropped => Reason::new("a fault dropped it"),
            LossCause::Cut => Reason::new("the link is cut"),
            LossCause::NodeDown => Reason::new(format!("{} is down", self.node_name(record.node))),
            LossCause::Overflow => Reason::new("the receive buffer is full"),
        }
    }

    /// Returns the fault that made the link from the sender to `to` lossy when the packet was sent.
    fn degradation_reason(&self, record: &Record, to: NodeId) -> Option<Reason> {
        let sent = record.causes.direct().index()?;
        let (id, kind, _) = find_last(self.trace.get(..sent)?, |it| {
            let (RecordKind::Degraded { to: peer } | RecordKind::Healed { to: peer }) = it.kind
            else {
                return None;
            };
            (it.node == record.node && peer == to).then_some(it.kind)
        })?;
        matches!(kind, RecordKind::Degraded { .. })
            .then(|| Reason { text: "the link is degraded".to_owned(), evidence: vec![id] })
    }

    fn torn_read_reason(&self, record: &Record) -> Option<Reason> {
        let tenure = self.tenure(record.causes.related())?;
        let text = format!("the client read without the lock; {}", tenure.text);
        Reason::with_evidence(text, tenure.evidence)
    }

    /// Returns the tenure at a record of a grant or a release.
    fn tenure(&self, related: RecordId) -> Option<Tenure> {
        let record = self.record(related)?;
        if let RecordKind::LockGranted { lock, client, token, .. } = record.kind {
            let (client, lock) = (self.node_name(client), self.lock_name(lock));
            let at = self.time_label(record.at);
            let text = format!("{client} has held {lock} under token {token} since {at}");
            let mut evidence = vec![related];
            let before = self.tenure_end(record.causes.related());
            let previous_end = before.map_or_else(String::new, |before| {
                evidence.extend(before.evidence);
                format!("; {}", before.text)
            });
            return Some(Tenure { text, previous_end, evidence });
        }
        if let RecordKind::TenureRecovered { lock, client, token, .. } = record.kind {
            let (client, lock) = (self.node_name(client), self.lock_name(lock));
            let text = format!("{client} already holds {lock} under token {token}");
            return Some(Tenure { text, previous_end: String::new(), evidence: vec![related] });
        }
        let end = self.tenure_end(related)?;
        Some(Tenure { text: end.text, previous_end: String::new(), evidence: end.evidence })
    }

    /// Returns how a tenure ended.
    fn tenure_end(&self, related: RecordId) -> Option<Reason> {
        let record = self.record(related)?;
        let RecordKind::LockReleased { lock, client, cause, .. } = record.kind else { return None };
        let (client, lock) = (self.node_name(client), self.lock_name(lock));
        let at = self.time_label(record.at);
        let text = match cause {
            ReleaseCause::Released => format!("{client} released {lock} at {at}"),
            ReleaseCause::Closed => format!("{client} closed its session at {at}"),
            ReleaseCause::LeaseExpired => format!("{client}'s lease expired at {at}"),
            ReleaseCause::HoldExpired => format!("{client}'s hold limit was reached at {at}"),
        };
        Reason::with_evidence(text, vec![related])
    }

    fn recovery_reason(&self, record: &Record, through: Number) -> Option<Reason> {
        let lost_event = self.lost_event_reason(record, through);
        if lost_event.is_some() {
            return lost_event;
        }
        Reason::new(if self.is_enabled(Protection::Grace) {
            "every recovered session keeps its locks for a full lease"
        } else {
            "each lease continues from its last renewal in the log"
        })
    }

    /// Returns the first event since the last restart that the log does not contain.
    fn lost_event_reason(&self, record: &Record, through: Number) -> Option<Reason> {
        let position = self.trace.iter().position(|it| std::ptr::eq(it, record))?;
        let earlier = self.trace[..position].iter().enumerate();
        // Log indexes before the last recovery may have been used again after it.
        let last_recovery = earlier
            .clone()
            .rev()
            .find(|(_, it)| matches!(it.kind, RecordKind::Recovered { .. }))
            .map_or(0, |(index, _)| index);
        let (lost_at, lost_record) = earlier.skip(last_recovery).find(|(_, it)| {
            matches!(it.kind,
                RecordKind::LockGranted { index, .. } | RecordKind::FileAppended { index, .. }
                if index > through)
        })?;
        let (_, action) = self.clause(lost_record);
        let at = self.time_label(lost_record.at);
        let text = format!("its log lacks an event of {at}: {action}");
        Reason::with_evidence(text, vec![RecordId(u32::try_from(lost_at).ok()?)])
    }

    fn grant_reason(
        &self,
        record: &Record,
        (lock, client, token): (LockId, NodeId, Number),
        from_queue: bool,
    ) -> Option<Reason> {
        let related = record.causes.related();
        let (client, lock) = (self.node_name(client), self.lock_name(lock));
        let Some(before) = self.record(related) else {
            let text = format!("{lock} was free; token {token} is higher than every earlier token");
            return Reason::new(text).filter(|_| !from_queue);
        };
        if let RecordKind::LockGranted { client, token: held_token, .. } = before.kind {
            // Only a server without a protection grants a lock that is held.
            let (holder, at) = (self.node_name(client), self.time_label(before.at));
            let text = format!(
                "the server has forgotten its grant to {holder} (token {held_token}, {at})"
            );
            return Reason::with_evidence(text, vec![related]);
        }
        let end = self.tenure_end(related)?;
        let text = if !from_queue {
            format!("{lock} was free: {}", end.text)
        } else if self.is_enabled(Protection::Fifo) {
            format!("{client} is first in the wait queue; {}", end.text)
        } else {
            format!("the wait queue is not served in order; {}", end.text)
        };
        Reason::with_evidence(text, end.evidence)
    }

    fn release_reason(
        &self,
        record: &Record,
        cause: ReleaseCause,
        client: NodeId,
        origin: NodeId,
    ) -> Option<Reason> {
        match cause {
            ReleaseCause::Released if client != origin => {
                let origin = self.node_name(origin);
                Reason::new(format!("the server does not check whether {origin} holds the lock"))
            }
            ReleaseCause::Released | ReleaseCause::Closed => None,
            ReleaseCause::LeaseExpired => self.expiry_reason(record, client),
            ReleaseCause::HoldExpired => {
                let client = self.node_name(client);
                Reason::new(format!("{client} set this limit, or did not respond after the grant"))
            }
        }
    }

    /// Returns when the lease was last renewed, and how long it is.
    fn expiry_reason(&self, record: &Record, client: NodeId) -> Option<Reason> {
        let (id, last) =
            [record.causes.related(), record.causes.direct()].into_iter().find_map(|id| {
                self.record(id).filter(|it| concerns_lease(it.kind)).map(|it| (id, it))
            })?;
        // A lock is released with its session, whose expiry refers to the last renewal.
        let (id, last) = if matches!(last.kind, RecordKind::SessionExpired { .. }) {
            let id = last.causes.related();
            (id, self.record(id)?)
        } else {
            (id, last)
        };
        let (client, at) = (self.node_name(client), self.time_label(last.at));
        let mut text = format!("the server last heard from {client} at {at}");
        let by_clock_ms = record.local_ms.get().zip(last.local_ms.get());
        if let Some((now_ms, last_ms)) = by_clock_ms.filter(|_| is_clock_wrong(last, record)) {
            let elapsed = format_millis(now_ms.saturating_sub(last_ms).into());
            text = format!("{text}, {elapsed} ago by its clock");
        }
        // 0 in recordings of real servers, whose sessions have leases of different lengths.
        if let Some(lease) = self.run.config.lease_ms.try_into().ok().filter(|ms| *ms > 0) {
            text = format!("{text}; its lease is {}", format_duration(lease));
        }
        Reason::with_evidence(text, vec![id])
    }

    fn append_reason(&self, record: &Record, token: Number) -> Option<Reason> {
        let related = record.causes.related();
        let tenure = self.record(related).map(|it| it.kind);
        let (text, evidence) = match tenure {
            Some(RecordKind::LockGranted { token: current, .. }) if current == token => {
                let text = format!("token {token} is the current token");
                return Reason::with_evidence(text, vec![related]);
            }
            Some(RecordKind::LockGranted { token: current, client, .. }) => {
                let holder = self.node_name(client);
                (format!("{holder} holds the lock under token {current}"), vec![related])
            }
            Some(_) | None => {
                let end = self.tenure_end(related)?;
                (end.text, end.evidence)
            }
        };
        Reason::with_evidence(format!("the server does not compare tokens; {text}"), evidence)
    }

    fn refusal_reason(&self, record: &Record, token: Number, code: RefusalCode) -> Option<Reason> {
        let tenure = self.tenure(record.causes.related());
        let (holder, previous_end, evidence) = match tenure {
            Some(tenure) => (Some(tenure.text), tenure.previous_end, tenure.evidence),
            None => (None, String::new(), Vec::new()),
        };
        let text = match code {
            RefusalCode::StaleToken => holder.map_or_else(
                || format!("token {token} is not the current token"),
                |holder| holder + &previous_end,
            ),
            RefusalCode::NotHolder => holder.map_or_else(
                || "the lock has no such tenure".to_owned(),
                |holder| holder + &previous_end,
            ),
            RefusalCode::LockHeld => {
                let holder = holder.unwrap_or_else(|| "another client holds it".to_owned());
                format!("{holder}, and the request does not wait")
            }
            RefusalCode::AlreadyHeld => {
                holder.unwrap_or_else(|| "its session holds the lock".to_owned())
            }
            RefusalCode::UnknownSession => "the session has ended or never existed".to_owned(),
            RefusalCode::WaitTimeout => "the request set this wait limit".to_owned(),
            RefusalCode::NotWaiting => "the client has no pending request for the lock".to_owned(),
            RefusalCode::StorageFailed => {
                "the server executes only what it can write to its log".to_owned()
            }
            RefusalCode::Overloaded => {
                "the server limits its sessions, locks and waiting clients".to_owned()
            }
            RefusalCode::TooLarge => "the file has reached its maximum size".to_owned(),
            RefusalCode::StaleSeq => "the server no longer stores the reply to it".to_owned(),
            RefusalCode::SeqReused => "another request had this sequence number".to_owned(),
            RefusalCode::WindowFull => {
                "the server limits the pending requests of a session".to_owned()
            }
            RefusalCode::BadRequest | RefusalCode::BadName | RefusalCode::RateLimited => {
                return None;
            }
        };
        Reason::with_evidence(text, evidence)
    }

    /// Returns when the lease of a belief began: when the client sent the request that was
    /// answered.
    fn belief_reason(&self, record: &Record) -> Option<Reason> {
        let arrived = self.record(record.causes.direct())?;
        let RecordKind::Arrived(packet) = arrived.kind else { return None };
        if !self.is_enabled(Protection::Margin) {
            return Reason::new("it measures its lease from when the reply arrived");
        }
        let request = self.last_request(record, packet.seq)?;
        let sent_at = self.time_label(self.record(request)?.at);
        let text = format!("it measures its lease from {sent_at}, when it sent the request");
        Reason::with_evidence(text, vec![request])
    }

    /// Returns the last transmission of a request before a record.
    fn last_request(&self, record: &Record, seq: Number) -> Option<RecordId> {
        let until = record.causes.direct().index()?;
        let position = self.trace[..until].iter().rposition(|it| {
            let RecordKind::Sent(packet) = it.kind else { return false };
            it.node == record.node && packet.seq == seq && packet.message.is_request()
        })?;
        u32::try_from(position).ok().map(RecordId)
    }
}

const fn concerns_lease(kind: RecordKind) -> bool {
    matches!(
        kind,
        RecordKind::LeaseRenewed { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionExpired { .. }
            | RecordKind::LockGranted { .. }
            | RecordKind::LockQueued { .. }
            | RecordKind::LockReleased { .. }
            | RecordKind::FileAppended { .. }
    )
}

/// Whether much more or less time has passed on the node's clock than in virtual time.
fn is_clock_wrong(from: &Record, to: &Record) -> bool {
    let elapsed_ms = to.at.as_millis().saturating_sub(from.at.as_millis()).cast_signed();
    let readings_ms = from.local_ms.get().zip(to.local_ms.get());
    readings_ms.is_some_and(|(from_ms, to_ms)| {
        let by_clock_ms = to_ms.saturating_sub(from_ms).cast_signed();
        (by_clock_ms - elapsed_ms).abs() >= CLOCK_ERROR_SHOWN_MS
    })
}
