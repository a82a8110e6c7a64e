//! The reasons: by which rule something happened, and on what the rule rests.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use leasehold_core::event::ReleaseCause;

use super::Teller;
use crate::message::Code;
use crate::moment::Moment;
use crate::protection::Protection;
use crate::trace::{DisbeliefCause, Kind, LossCause, Record, RecordNo};

/// A reason, and the records that it speaks of.
pub(super) struct Because {
    pub(super) text: String,
    pub(super) rests_on: Vec<RecordNo>,
}

/// How the tenure before a record ended, or that it hasn't.
struct Tenure {
    text: String,
    rests_on: Vec<RecordNo>,
}

impl Teller<'_> {
    pub(super) fn because(&self, record: &Record) -> Option<Because> {
        let plain = |text: &str| Some(Because { text: text.to_owned(), rests_on: Vec::new() });
        match record.kind {
            Kind::Lost { why, .. } => plain(match why {
                LossCause::Network => "the network loses a packet now and then",
                LossCause::Dropped => "somebody wanted it so",
                LossCause::Cut => "the link is cut",
                LossCause::Dead => "nobody runs there to take it",
                LossCause::Overflow => "too many were waiting there already",
            }),
            Kind::LockGranted { token, from_queue, .. } => {
                self.because_granted(record, token, from_queue)
            }
            Kind::LockQueued { .. } => self.because_tenure(record),
            Kind::LockReleased { cause, client, by, .. } => {
                self.because_released(record, cause, &self.node(client), &self.node(by))
            }
            Kind::SessionExpired { client, .. } => self.because_silent(record, &self.node(client)),
            Kind::FileAppended { token, .. } => self.because_appended(record, token),
            Kind::RequestRefused { token, current, code, .. } => {
                self.because_refused(record, token, current, code)
            }
            Kind::DuplicateAnswered { .. } => plain(
                "its number was answered before: the same answer goes out, nothing is done twice",
            ),
            Kind::Believed { .. } => self.because_believed(record),
            Kind::Disbelieved { cause: DisbeliefCause::Lapsed, .. } => {
                plain("it has no proof that the server still keeps the lock for it")
            }
            Kind::Recovered { through, .. } if self.forgotten(record, through).is_some() => {
                self.forgotten(record, through)
            }
            Kind::Recovered { .. } if !self.has(Protection::Grace) => {
                plain("leases go on from when they were last renewed, as far as the journal knows")
            }
            Kind::Recovered { .. } => plain("every session that it knows has its full lease again"),
            Kind::Crashed { kept } if record.node.is_server() => Some(Because {
                text: format!("on its disk there are the events up to {kept}"),
                rests_on: Vec::new(),
            }),
            Kind::ClockJumped { .. } if self.has(Protection::MonotonicClock) => {
                plain("leases don't care: they are measured on a clock that nobody can set")
            }
            Kind::ClockJumped { .. } => plain("leases are measured on that very clock here"),
            _ => None,
        }
    }

    fn has(&self, protection: Protection) -> bool {
        !self.run.without.contains(&protection)
    }

    fn at(&self, no: RecordNo) -> Option<Moment> {
        Some(self.record(no)?.at)
    }

    /// Who held the lock at the record, or how the last tenure ended.
    fn tenure(&self, rests: RecordNo) -> Option<Tenure> {
        let record = self.record(rests)?;
        let at = record.at;
        match record.kind {
            Kind::LockGranted { lock, client, token, .. } => {
                let (client, lock) = (self.node(client), self.lock(lock));
                let mut text = format!("{client} got {lock} under token {token} at {at}");
                let mut rests_on = vec![rests];
                if let Some(before) = self.tenure_end(record.causes.also()) {
                    text = format!("{text}, after {}", before.text);
                    rests_on.extend(before.rests_on);
                }
                Some(Tenure { text, rests_on })
            }
            Kind::Kept { lock, client, token, .. } => {
                let (client, lock) = (self.node(client), self.lock(lock));
                let text = format!("{client} had {lock} already, under token {token}");
                Some(Tenure { text, rests_on: vec![rests] })
            }
            Kind::LockReleased { .. } => self.tenure_end(rests),
            _ => None,
        }
    }

    /// How a tenure ended.
    fn tenure_end(&self, rests: RecordNo) -> Option<Tenure> {
        let record = self.record(rests)?;
        let Kind::LockReleased { lock, client, cause, .. } = record.kind else { return None };
        let (client, lock, at) = (self.node(client), self.lock(lock), record.at);
        let text = match cause {
            ReleaseCause::Released => format!("{client} gave {lock} back at {at}"),
            ReleaseCause::Closed => format!("{client} closed its session at {at}"),
            ReleaseCause::LeaseExpired => format!("{client}'s lease ended at {at}"),
            ReleaseCause::HoldExpired => format!("{client}'s time with it ended at {at}"),
        };
        Some(Tenure { text, rests_on: vec![rests] })
    }

    /// What the journal never held, though it happened.
    fn forgotten(&self, record: &Record, through: u32) -> Option<Because> {
        let place = self.trace.iter().position(|it| std::ptr::eq(it, record))?;
        let earlier = self.trace[..place].iter().enumerate();
        // What is done once more after a restart has happened in the part of history before it.
        let since = earlier
            .clone()
            .rev()
            .find(|(_, it)| matches!(it.kind, Kind::Recovered { .. }))
            .map_or(0, |(place, _)| place);
        let (lost, what) = earlier.skip(since).find(|(_, it)| match it.kind {
            Kind::LockGranted { index, .. } | Kind::FileAppended { index, .. } => index > through,
            _ => false,
        })?;
        let text = format!("its disk never held that the {}, at {}", self.event_of(what), what.at);
        Some(Because { text, rests_on: vec![RecordNo(u32::try_from(lost).ok()?)] })
    }

    fn event_of(&self, record: &Record) -> String {
        format!("{} {}", self.node(record.node), self.what(record))
    }

    fn because_granted(&self, record: &Record, token: u32, from_queue: bool) -> Option<Because> {
        let rests = record.causes.also();
        let before = self.record(rests);
        let fifo = self.has(Protection::Fifo);
        let line = match from_queue {
            true if fifo => "it stood first in line",
            true => "it stood in line, in no order",
            false => "nobody held it",
        };
        let Some(before) = before else {
            return (!from_queue).then(|| Because {
                text: format!("nobody held it; token {token} is higher than all before"),
                rests_on: Vec::new(),
            });
        };
        if let Kind::LockGranted { client, token: held, .. } = before.kind {
            // Only a service without its protections comes by here.
            let holder = self.node(client);
            let text = format!(
                "the server no longer knows that {holder} got it under token {held} at {}",
                before.at
            );
            return Some(Because { text, rests_on: vec![rests] });
        }
        let end = self.tenure_end(rests)?;
        let text = format!("{line}, and {}", end.text);
        Some(Because { text, rests_on: end.rests_on })
    }

    fn because_tenure(&self, record: &Record) -> Option<Because> {
        let tenure = self.tenure(record.causes.also())?;
        Some(Because { text: tenure.text, rests_on: tenure.rests_on })
    }

    fn because_released(
        &self,
        record: &Record,
        cause: ReleaseCause,
        client: &str,
        by: &str,
    ) -> Option<Because> {
        match cause {
            ReleaseCause::Released if client != by => Some(Because {
                text: format!("{by} asked for it, and nobody looked whether the lock is its own"),
                rests_on: Vec::new(),
            }),
            ReleaseCause::Released | ReleaseCause::Closed => None,
            ReleaseCause::LeaseExpired => self.because_silent(record, client),
            ReleaseCause::HoldExpired => Some(Because {
                text: format!(
                    "{client} wanted it for no longer, or was not heard of after it was its turn"
                ),
                rests_on: Vec::new(),
            }),
        }
    }

    /// Why the server gave a client up.
    fn because_silent(&self, record: &Record, client: &str) -> Option<Because> {
        // A lock goes with its session, which rests on the last renewal.
        let expired = [record.causes.also(), record.causes.direct()]
            .into_iter()
            .find_map(|no| self.record(no).filter(|it| is_of_lease(it.kind)).map(|it| (no, it)));
        let (no, last) = match expired {
            Some((_, it)) if matches!(it.kind, Kind::SessionExpired { .. }) => {
                let no = it.causes.also();
                (no, self.record(no)?)
            }
            Some(found) => found,
            None => return None,
        };
        let mut text = format!("the server had last heard of {client} at {}", last.at);
        // Where nobody says how long leases are, each session has its own.
        if let Some(lease) = self.run.config.lease_ms.try_into().ok().filter(|ms| *ms > 0) {
            text = format!("{text}, and its lease is {}", super::seconds(lease));
        }
        Some(Because { text, rests_on: vec![no] })
    }

    fn because_appended(&self, record: &Record, token: u32) -> Option<Because> {
        let rests = record.causes.also();
        let tenure = self.record(rests);
        if let Some(Kind::LockGranted { token: live, client, .. }) = tenure.map(|it| it.kind) {
            if live == token {
                return Some(Because {
                    text: format!("token {token} is the one of the live tenure"),
                    rests_on: vec![rests],
                });
            }
            let text = format!(
                "nobody compares tokens here: {} holds the lock, under token {live}",
                self.node(client)
            );
            return Some(Because { text, rests_on: vec![rests] });
        }
        let end = self.tenure_end(rests)?;
        let text = format!("nobody compares tokens here: {}", end.text);
        Some(Because { text, rests_on: end.rests_on })
    }

    fn because_refused(
        &self,
        record: &Record,
        token: u32,
        current: u32,
        code: Code,
    ) -> Option<Because> {
        let tenure = self.tenure(record.causes.also());
        let rests_on = tenure.as_ref().map(|it| it.rests_on.clone()).unwrap_or_default();
        let since = tenure.map_or_else(String::new, |it| format!(": {}", it.text));
        let text = match code {
            Code::StaleToken => format!("token {token} is not {current}{since}"),
            Code::NotHolder => format!("it does not hold the lock{since}"),
            Code::LockHeld => format!("somebody else has it, and it would not wait{since}"),
            Code::AlreadyHeld => format!("it has the lock already{since}"),
            Code::UnknownSession => {
                "the server knows no such session: it is over, or was never there".to_owned()
            }
            Code::WaitTimeout => "it wanted to wait no longer than that".to_owned(),
            Code::NotWaiting => "it does not stand in that line".to_owned(),
            Code::StorageFailed => "the journal can't take it, so it is not done".to_owned(),
            Code::Overloaded => "the server has as many of these as it takes".to_owned(),
            Code::TooLarge => "the file is as long as it may become".to_owned(),
            Code::StaleSeq => "its answer is no longer kept".to_owned(),
            Code::SeqReused => "that number was another request's".to_owned(),
            Code::WindowFull => "it has too many requests open".to_owned(),
            Code::BadRequest | Code::BadName | Code::RateLimited => return None,
        };
        Some(Because { text, rests_on })
    }

    /// A belief counts from the sending of what was answered.
    fn because_believed(&self, record: &Record) -> Option<Because> {
        let arrived = self.record(record.causes.direct())?;
        let Kind::Arrived(about) = arrived.kind else { return None };
        if !self.has(Protection::Margin) {
            return Some(Because {
                text: "it counts its lease from when the answer came".to_owned(),
                rests_on: Vec::new(),
            });
        }
        let asked = self.asked(record, about.seq)?;
        let sent = self.at(asked)?;
        let text = format!(
            "the server has proved that it keeps the lease from {sent} on, when this was asked"
        );
        Some(Because { text, rests_on: vec![asked] })
    }

    /// The last sending of this request before the record.
    fn asked(&self, record: &Record, seq: u32) -> Option<RecordNo> {
        let until = record.causes.direct().place()?;
        let place = self.trace[..until].iter().rposition(|it| {
            let Kind::Sent(about) = it.kind else { return false };
            it.node == record.node && about.seq == seq && about.message.is_request()
        })?;
        u32::try_from(place).ok().map(RecordNo)
    }
}

const fn is_of_lease(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LeaseRenewed { .. }
            | Kind::SessionOpened { .. }
            | Kind::SessionExpired { .. }
            | Kind::LockGranted { .. }
            | Kind::LockQueued { .. }
            | Kind::LockReleased { .. }
            | Kind::FileAppended { .. }
    )
}
