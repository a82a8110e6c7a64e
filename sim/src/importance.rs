//! How much somebody who looks at a run cares for a record.

#![allow(clippy::wildcard_enum_match_arm, reason = "what isn't named is a step like others")]

use leasehold_core::event::ReleaseCause;

use super::message::Message;
use super::trace::{BeliefEndCause, CallResult, LossCause, Record, RecordKind};

/// How much a record matters; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Importance {
    /// What goes on below: flushes, beliefs that are renewed.
    Internal,
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

impl Importance {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Internal,
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
    pub const fn from_record(record: &Record) -> Self {
        match record.kind {
            RecordKind::Durable { .. } | RecordKind::Believed { .. } => Self::Internal,
            RecordKind::BeliefEnded { cause, .. } => match cause {
                BeliefEndCause::Released | BeliefEndCause::Crashed => Self::Internal,
                BeliefEndCause::Expired => Self::Expiry,
            },
            RecordKind::LeaseRenewed { .. } => Self::Heartbeat,
            RecordKind::Sent(packet) | RecordKind::Arrived(packet) => {
                from_packet(packet.message, Self::Step)
            }
            RecordKind::Lost { packet: packet, cause } => match cause {
                LossCause::Network | LossCause::Dropped | LossCause::Overflow => {
                    from_packet(packet.message, Self::Fault)
                }
                LossCause::Cut | LossCause::NodeDown => from_packet(packet.message, Self::Step),
            },
            RecordKind::Duplicated { packet, .. } | RecordKind::Rescheduled { packet, .. } => {
                from_packet(packet.message, Self::Fault)
            }
            RecordKind::DuplicateAnswered { message, .. } => match message {
                Message::AppendFile | Message::ReleaseLock => Self::Refusal,
                _ => Self::Step,
            },
            RecordKind::Started
            | RecordKind::CallStarted { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::TenureRecovered { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::Finished
            | RecordKind::RunEnded => Self::Step,
            RecordKind::CallEnded { outcome, .. } => match outcome {
                CallResult::Succeeded | CallResult::Cancelled => Self::Step,
                CallResult::Refused
                | CallResult::LockLost
                | CallResult::NoAnswer
                | CallResult::Unknown => Self::Refusal,
            },
            RecordKind::Checked { .. }
            | RecordKind::LockQueued { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::SessionExpired { .. } => Self::Release,
            RecordKind::LockReleased { cause, .. } => match cause {
                ReleaseCause::Released | ReleaseCause::Closed => Self::Release,
                ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired => Self::Expiry,
            },
            RecordKind::FileAppended { .. } => Self::Append,
            RecordKind::LockGranted { .. } => Self::Grant,
            RecordKind::Crashed { .. }
            | RecordKind::Restarted
            | RecordKind::Paused { .. }
            | RecordKind::Resumed
            | RecordKind::ClockJumped { .. }
            | RecordKind::ClockDrifted { .. }
            | RecordKind::Cut { .. }
            | RecordKind::Healed { .. }
            | RecordKind::Degraded { .. }
            | RecordKind::DiskSlowed { .. }
            | RecordKind::FaultsEnded
            | RecordKind::Recovered { .. }
            | RecordKind::Gap { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed => Self::Fault,
            RecordKind::SessionLost => Self::Expiry,
            RecordKind::RequestRefused { .. } => Self::Refusal,
        }
    }
}

const fn from_packet(message: Message, otherwise: Importance) -> Importance {
    match message {
        Message::Heartbeat | Message::Alive => Importance::Heartbeat,
        _ => otherwise,
    }
}
