//! How much somebody who looks at a run cares for a record.

#![allow(clippy::wildcard_enum_match_arm, reason = "what isn't named is a step like others")]

use leasehold_core::event::ReleaseCause;

use super::message::Message;
use super::trace::{CallEnd, DisbeliefCause, Kind, LossCause, Record};

/// How much a record matters; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// What goes on below: flushes, beliefs that are renewed.
    Inner,
    /// A heartbeat, and what belongs to it.
    Heartbeat,
    /// A packet on its way, a step of a script.
    Step,
    /// A lock is given back, a place in line taken.
    Release,
    /// A line is written.
    Append,
    /// A lock is granted.
    Grant,
    /// Something is done to the world.
    Fault,
    /// A lease ends.
    Expiry,
    /// Something is refused, or recognised as a duplicate.
    Refusal,
    /// An invariant is violated. No record says so by itself: the checkers do.
    Violation,
}

impl Interest {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Inner,
        Self::Heartbeat,
        Self::Step,
        Self::Release,
        Self::Append,
        Self::Grant,
        Self::Fault,
        Self::Expiry,
        Self::Refusal,
        Self::Violation,
    ];

    /// How much a record matters, whatever the checkers say of it.
    pub const fn of(record: &Record) -> Self {
        match record.kind {
            Kind::Stored { .. } | Kind::Believed { .. } => Self::Inner,
            Kind::Disbelieved { cause, .. } => match cause {
                DisbeliefCause::Released | DisbeliefCause::Crashed => Self::Inner,
                DisbeliefCause::Lapsed => Self::Expiry,
            },
            Kind::LeaseRenewed { .. } => Self::Heartbeat,
            Kind::Sent(about) | Kind::Arrived(about) => of_packet(about.message, Self::Step),
            Kind::Lost { about, why } => match why {
                LossCause::Network | LossCause::Dropped | LossCause::Overflow => {
                    of_packet(about.message, Self::Fault)
                }
                LossCause::Cut | LossCause::Dead => of_packet(about.message, Self::Step),
            },
            Kind::Doubled { about, .. } | Kind::Moved { about, .. } => {
                of_packet(about.message, Self::Fault)
            }
            Kind::DuplicateAnswered { message, .. } => match message {
                Message::AppendFile | Message::ReleaseLock => Self::Refusal,
                _ => Self::Step,
            },
            Kind::Started
            | Kind::Called { .. }
            | Kind::Working { .. }
            | Kind::SessionOpened { .. }
            | Kind::SessionClosed { .. }
            | Kind::Kept { .. }
            | Kind::KeptWait { .. }
            | Kind::Finished
            | Kind::Ended => Self::Step,
            Kind::Answered { end, .. } => match end {
                CallEnd::Done | CallEnd::Cancelled => Self::Step,
                CallEnd::Refused | CallEnd::Lost | CallEnd::NoAnswer | CallEnd::Unknown => {
                    Self::Refusal
                }
            },
            Kind::Checked { .. }
            | Kind::LockQueued { .. }
            | Kind::WaitEnded { .. }
            | Kind::SessionExpired { .. } => Self::Release,
            Kind::LockReleased { cause, .. } => match cause {
                ReleaseCause::Released | ReleaseCause::Closed => Self::Release,
                ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired => Self::Expiry,
            },
            Kind::FileAppended { .. } => Self::Append,
            Kind::LockGranted { .. } => Self::Grant,
            Kind::Crashed { .. }
            | Kind::Restarted
            | Kind::Paused { .. }
            | Kind::Resumed
            | Kind::ClockJumped { .. }
            | Kind::ClockDrifted { .. }
            | Kind::Cut { .. }
            | Kind::Healed { .. }
            | Kind::Degraded { .. }
            | Kind::DiskSlowed { .. }
            | Kind::Calmed
            | Kind::Recovered { .. }
            | Kind::Unseen { .. }
            | Kind::WriteFailed
            | Kind::FlushFailed => Self::Fault,
            Kind::SessionLost => Self::Expiry,
            Kind::RequestRefused { .. } => Self::Refusal,
        }
    }
}

const fn of_packet(message: Message, other: Interest) -> Interest {
    match message {
        Message::Heartbeat | Message::Alive => Interest::Heartbeat,
        _ => other,
    }
}
