//! The importance of a record for a reader of the run.

use leasehold_core::event::ReleaseCause;

use super::message::Message;
use super::trace::{BeliefEndCause, CallResult, LossCause, Record, RecordKind};

/// The importance of a record, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Importance {
    /// A flush, or the renewal of a belief.
    Internal,
    /// A heartbeat or its reply.
    Heartbeat,
    /// A packet, or a step of a script.
    Step,
    /// A lock is released, or a client enters or leaves a wait queue.
    Release,
    /// An append is applied, or a file is read.
    Append,
    /// A lock is granted.
    Grant,
    /// A fault is injected, or ends.
    Fault,
    /// A lease or a hold limit expires.
    Expiry,
    /// A request is refused, or recognized as a duplicate; or a read is torn.
    Refusal,
    /// An invariant is violated. Only the checkers assign this; no record has it by its kind.
    Violation,
}

impl Importance {
    /// All values, in ascending order.
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

    /// Returns the importance of a record by its kind alone.
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
            RecordKind::Lost { packet, cause } => match cause {
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
                Message::Hello
                | Message::AcquireLock
                | Message::CancelAcquire
                | Message::AppendOutcome
                | Message::Heartbeat
                | Message::Close
                | Message::Welcome
                | Message::Retry
                | Message::Granted
                | Message::Queued
                | Message::Cancelled
                | Message::Released
                | Message::Appended
                | Message::Outcome
                | Message::Alive
                | Message::Closed
                | Message::Refused => Self::Step,
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
            RecordKind::FileAppended { .. } | RecordKind::FileRead { is_torn: false, .. } => {
                Self::Append
            }
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
            RecordKind::RequestRefused { .. } | RecordKind::FileRead { is_torn: true, .. } => {
                Self::Refusal
            }
        }
    }
}

const fn from_packet(message: Message, otherwise: Importance) -> Importance {
    if matches!(message, Message::Heartbeat | Message::Alive) {
        Importance::Heartbeat
    } else {
        otherwise
    }
}
