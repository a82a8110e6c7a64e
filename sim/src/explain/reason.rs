//! The reasons: by which rule something happened, and on what the rule rests.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use leasehold_core::event::ReleaseCause;

use super::Explainer;
use crate::message::RefusalCode;
use crate::protection::Protection;
use crate::trace::{BeliefEndCause, LossCause, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

/// A reason, and the records that it speaks of.
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) evidence: Vec<RecordId>,
}

/// How the tenure before a record ended, or that it hasn't.
struct Tenure {
    text: String,
    evidence: Vec<RecordId>,
}

impl Explainer<'_> {
    pub(super) fn reason(&self, record: &Record) -> Option<Reason> {
        let plain = |text: &str| Some(Reason { text: text.to_owned(), evidence: Vec::new() });
        match record.kind {
            RecordKind::Lost { cause, .. } => plain(match cause {
                LossCause::Network => "the network loses a packet now and then",
                LossCause::Dropped => "somebody wanted it so",
                LossCause::Cut => "the link is cut",
                LossCause::NodeDown => "nobody runs there to take it",
                LossCause::Overflow => "too many were waiting there already",
            }),
            RecordKind::LockGranted { token, from_queue, .. } => {
                self.grant_reason(record, token, from_queue)
            }
            RecordKind::LockQueued { .. } => self.tenure_reason(record),
            RecordKind::LockReleased { cause, client, origin: releaser, .. } => self
                .release_reason(record, cause, &self.node_name(client), &self.node_name(releaser)),
            RecordKind::SessionExpired { client, .. } => {
                self.expiry_reason(record, &self.node_name(client))
            }
            RecordKind::FileAppended { token, .. } => self.append_reason(record, token),
            RecordKind::RequestRefused { token, current, code, .. } => {
                self.refusal_reason(record, token, current, code)
            }
            RecordKind::DuplicateAnswered { .. } => plain(
                "its number was answered before: the same answer goes out, nothing is done twice",
            ),
            RecordKind::Believed { .. } => self.belief_reason(record),
            RecordKind::BeliefEnded { cause: BeliefEndCause::Expired, .. } => {
                plain("it has no proof that the server still keeps the lock for it")
            }
            RecordKind::Recovered { through, .. }
                if self.lost_event_reason(record, through).is_some() =>
            {
                self.lost_event_reason(record, through)
            }
            RecordKind::Recovered { .. } if !self.is_enabled(Protection::Grace) => {
                plain("leases go on from when they were last renewed, as far as the journal knows")
            }
            RecordKind::Recovered { .. } => {
                plain("every session that it knows has its full lease again")
            }
            RecordKind::Crashed { durable_through } if record.node.is_server() => Some(Reason {
                text: format!("on its disk there are the events up to {durable_through}"),
                evidence: Vec::new(),
            }),
            RecordKind::ClockJumped { .. } if self.is_enabled(Protection::MonotonicClock) => {
                plain("leases don't care: they are measured on a clock that nobody can set")
            }
            RecordKind::ClockJumped { .. } => plain("leases are measured on that very clock here"),
            _ => None,
        }
    }

    fn is_enabled(&self, protection: Protection) -> bool {
        !self.run.without.contains(&protection)
    }

    fn time_of(&self, no: RecordId) -> Option<VirtualTime> {
        Some(self.record(no)?.at)
    }

    /// Who held the lock at the record, or how the last tenure ended.
    fn tenure(&self, related: RecordId) -> Option<Tenure> {
        let record = self.record(related)?;
        let at = record.at;
        match record.kind {
            RecordKind::LockGranted { lock, client, token, .. } => {
                let (client, lock) = (self.node_name(client), self.lock_name(lock));
                let mut text = format!("{client} got {lock} under token {token} at {at}");
                let mut evidence = vec![related];
                if let Some(before) = self.tenure_end(record.causes.related()) {
                    text = format!("{text}, after {}", before.text);
                    evidence.extend(before.evidence);
                }
                Some(Tenure { text, evidence })
            }
            RecordKind::TenureRecovered { lock, client, token, .. } => {
                let (client, lock) = (self.node_name(client), self.lock_name(lock));
                let text = format!("{client} had {lock} already, under token {token}");
                Some(Tenure { text, evidence: vec![related] })
            }
            RecordKind::LockReleased { .. } => self.tenure_end(related),
            _ => None,
        }
    }

    /// How a tenure ended.
    fn tenure_end(&self, related: RecordId) -> Option<Tenure> {
        let record = self.record(related)?;
        let RecordKind::LockReleased { lock, client, cause, .. } = record.kind else { return None };
        let (client, lock, at) = (self.node_name(client), self.lock_name(lock), record.at);
        let text = match cause {
            ReleaseCause::Released => format!("{client} gave {lock} back at {at}"),
            ReleaseCause::Closed => format!("{client} closed its session at {at}"),
            ReleaseCause::LeaseExpired => format!("{client}'s lease ended at {at}"),
            ReleaseCause::HoldExpired => format!("{client}'s time with it ended at {at}"),
        };
        Some(Tenure { text, evidence: vec![related] })
    }

    /// What the journal never held, though it happened.
    fn lost_event_reason(&self, record: &Record, through: u32) -> Option<Reason> {
        let position = self.trace.iter().position(|it| std::ptr::eq(it, record))?;
        let earlier = self.trace[..position].iter().enumerate();
        // What is done once more after a restart has happened in the part of history before it.
        let last_recovery = earlier
            .clone()
            .rev()
            .find(|(_, it)| matches!(it.kind, RecordKind::Recovered { .. }))
            .map_or(0, |(index, _)| index);
        let (lost_at, lost_record) = earlier.skip(last_recovery).find(|(_, it)| match it.kind {
            RecordKind::LockGranted { index, .. } | RecordKind::FileAppended { index, .. } => {
                index > through
            }
            _ => false,
        })?;
        let text = format!(
            "its disk never held that the {}, at {}",
            self.event_text(lost_record),
            lost_record.at
        );
        Some(Reason { text, evidence: vec![RecordId(u32::try_from(lost_at).ok()?)] })
    }

    fn event_text(&self, record: &Record) -> String {
        format!("{} {}", self.node_name(record.node), self.action_text(record))
    }

    fn grant_reason(&self, record: &Record, token: u32, from_queue: bool) -> Option<Reason> {
        let related = record.causes.related();
        let before = self.record(related);
        let is_fifo = self.is_enabled(Protection::Fifo);
        let condition = match from_queue {
            true if is_fifo => "it stood first in line",
            true => "it stood in line, in no order",
            false => "nobody held it",
        };
        let Some(before) = before else {
            return (!from_queue).then(|| Reason {
                text: format!("nobody held it; token {token} is higher than all before"),
                evidence: Vec::new(),
            });
        };
        if let RecordKind::LockGranted { client, token: held_token, .. } = before.kind {
            // Only a service without its protections comes by here.
            let holder = self.node_name(client);
            let text = format!(
                "the server no longer knows that {holder} got it under token {held_token} at {}",
                before.at
            );
            return Some(Reason { text, evidence: vec![related] });
        }
        let end = self.tenure_end(related)?;
        let text = format!("{condition}, and {}", end.text);
        Some(Reason { text, evidence: end.evidence })
    }

    fn tenure_reason(&self, record: &Record) -> Option<Reason> {
        let tenure = self.tenure(record.causes.related())?;
        Some(Reason { text: tenure.text, evidence: tenure.evidence })
    }

    fn release_reason(
        &self,
        record: &Record,
        cause: ReleaseCause,
        client: &str,
        releaser: &str,
    ) -> Option<Reason> {
        match cause {
            ReleaseCause::Released if client != releaser => Some(Reason {
                text: format!(
                    "{releaser} asked for it, and nobody looked whether the lock is its own"
                ),
                evidence: Vec::new(),
            }),
            ReleaseCause::Released | ReleaseCause::Closed => None,
            ReleaseCause::LeaseExpired => self.expiry_reason(record, client),
            ReleaseCause::HoldExpired => Some(Reason {
                text: format!(
                    "{client} wanted it for no longer, or was not heard of after it was its turn"
                ),
                evidence: Vec::new(),
            }),
        }
    }

    /// Why the server gave a client up.
    fn expiry_reason(&self, record: &Record, client: &str) -> Option<Reason> {
        // A lock goes with its session, which rests on the last renewal.
        let renewal = [record.causes.related(), record.causes.direct()]
            .into_iter()
            .find_map(|id| self.record(id).filter(|it| concerns_lease(it.kind)).map(|it| (id, it)));
        let (no, last) = match renewal {
            Some((_, it)) if matches!(it.kind, RecordKind::SessionExpired { .. }) => {
                let id = it.causes.related();
                (id, self.record(id)?)
            }
            Some(found) => found,
            None => return None,
        };
        let mut text = format!("the server had last heard of {client} at {}", last.at);
        // Where nobody says how long leases are, each session has its own.
        if let Some(lease) = self.run.config.lease_ms.try_into().ok().filter(|ms| *ms > 0) {
            text = format!("{text}, and its lease is {}", super::format_duration(lease));
        }
        Some(Reason { text, evidence: vec![no] })
    }

    fn append_reason(&self, record: &Record, token: u32) -> Option<Reason> {
        let related = record.causes.related();
        let tenure = self.record(related);
        if let Some(RecordKind::LockGranted { token: live_token, client, .. }) =
            tenure.map(|it| it.kind)
        {
            if live_token == token {
                return Some(Reason {
                    text: format!("token {token} is the one of the live tenure"),
                    evidence: vec![related],
                });
            }
            let text = format!(
                "nobody compares tokens here: {} holds the lock, under token {live_token}",
                self.node_name(client)
            );
            return Some(Reason { text, evidence: vec![related] });
        }
        let end = self.tenure_end(related)?;
        let text = format!("nobody compares tokens here: {}", end.text);
        Some(Reason { text, evidence: end.evidence })
    }

    fn refusal_reason(
        &self,
        record: &Record,
        token: u32,
        current: u32,
        code: RefusalCode,
    ) -> Option<Reason> {
        let tenure = self.tenure(record.causes.related());
        let evidence = tenure.as_ref().map(|it| it.evidence.clone()).unwrap_or_default();
        let since = tenure.map_or_else(String::new, |it| format!(": {}", it.text));
        let text = match code {
            RefusalCode::StaleToken => format!("token {token} is not {current}{since}"),
            RefusalCode::NotHolder => format!("it does not hold the lock{since}"),
            RefusalCode::LockHeld => format!("somebody else has it, and it would not wait{since}"),
            RefusalCode::AlreadyHeld => format!("it has the lock already{since}"),
            RefusalCode::UnknownSession => {
                "the server knows no such session: it is over, or was never there".to_owned()
            }
            RefusalCode::WaitTimeout => "it wanted to wait no longer than that".to_owned(),
            RefusalCode::NotWaiting => "it does not stand in that line".to_owned(),
            RefusalCode::StorageFailed => "the journal can't take it, so it is not done".to_owned(),
            RefusalCode::Overloaded => "the server has as many of these as it takes".to_owned(),
            RefusalCode::TooLarge => "the file is as long as it may become".to_owned(),
            RefusalCode::StaleSeq => "its answer is no longer kept".to_owned(),
            RefusalCode::SeqReused => "that number was another request's".to_owned(),
            RefusalCode::WindowFull => "it has too many requests open".to_owned(),
            RefusalCode::BadRequest | RefusalCode::BadName | RefusalCode::RateLimited => {
                return None;
            }
        };
        Some(Reason { text, evidence })
    }

    /// A belief counts from the sending of what was answered.
    fn belief_reason(&self, record: &Record) -> Option<Reason> {
        let arrived = self.record(record.causes.direct())?;
        let RecordKind::Arrived(packet) = arrived.kind else { return None };
        if !self.is_enabled(Protection::Margin) {
            return Some(Reason {
                text: "it counts its lease from when the answer came".to_owned(),
                evidence: Vec::new(),
            });
        }
        let request = self.last_request(record, packet.seq)?;
        let sent = self.time_of(request)?;
        let text = format!(
            "the server has proved that it keeps the lease from {sent} on, when this was asked"
        );
        Some(Reason { text, evidence: vec![request] })
    }

    /// The last sending of this request before the record.
    fn last_request(&self, record: &Record, seq: u32) -> Option<RecordId> {
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
