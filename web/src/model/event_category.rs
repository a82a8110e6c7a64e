//! What a packet or a record is about.

use leasehold_sim::{Importance, Message, Record, RecordKind};

/// The category of an event. Each has a symbol, a letter and a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventCategory {
    Acquire,
    Grant,
    Append,
    Release,
    Reject,
    Renew,
    /// An injected fault.
    Fault,
    /// A lease or a hold limit has expired.
    Expiry,
    Other,
}

impl EventCategory {
    /// All categories, in the order of the legend.
    pub(crate) const ALL: [Self; 9] = [
        Self::Acquire,
        Self::Grant,
        Self::Append,
        Self::Release,
        Self::Reject,
        Self::Renew,
        Self::Expiry,
        Self::Fault,
        Self::Other,
    ];

    pub(crate) const fn from_message(message: Message) -> Self {
        match message {
            Message::AcquireLock | Message::CancelAcquire | Message::Queued => Self::Acquire,
            Message::Granted => Self::Grant,
            Message::AppendFile | Message::AppendOutcome | Message::Appended | Message::Outcome => {
                Self::Append
            }
            Message::ReleaseLock | Message::Released | Message::Cancelled => Self::Release,
            Message::Refused => Self::Reject,
            Message::Heartbeat | Message::Alive => Self::Renew,
            Message::Hello
            | Message::Welcome
            | Message::Retry
            | Message::Close
            | Message::Closed => Self::Other,
        }
    }

    pub(crate) fn from_record(record: &Record) -> Self {
        match record.kind {
            RecordKind::Sent(packet) | RecordKind::Arrived(packet) => {
                Self::from_message(packet.message)
            }
            RecordKind::LockQueued { .. } => Self::Acquire,
            RecordKind::LockGranted { .. } | RecordKind::TenureRecovered { .. } => Self::Grant,
            RecordKind::FileAppended { .. } => Self::Append,
            RecordKind::LeaseRenewed { .. } => Self::Renew,
            RecordKind::Started
            | RecordKind::Crashed { .. }
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
            | RecordKind::Lost { .. }
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::Recovered { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionExpired { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::LockReleased { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::RequestRefused { .. }
            | RecordKind::DuplicateAnswered { .. }
            | RecordKind::Durable { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::CallStarted { .. }
            | RecordKind::CallEnded { .. }
            | RecordKind::Believed { .. }
            | RecordKind::BeliefEnded { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost
            | RecordKind::Finished
            | RecordKind::RunEnded
            | RecordKind::Gap { .. }
            | RecordKind::FileRead { .. } => match Importance::from_record(record) {
                Importance::Refusal | Importance::Violation => Self::Reject,
                Importance::Expiry => Self::Expiry,
                Importance::Fault => Self::Fault,
                Importance::Release => Self::Release,
                Importance::Grant => Self::Grant,
                Importance::Append => Self::Append,
                Importance::Heartbeat => Self::Renew,
                Importance::Internal | Importance::Step => Self::Other,
            },
        }
    }
}
