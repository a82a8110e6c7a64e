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

    #[allow(clippy::wildcard_enum_match_arm, reason = "what isn't named is told by its interest")]
    pub(crate) fn from_record(record: &Record) -> Self {
        match record.kind {
            RecordKind::Sent(about) | RecordKind::Arrived(about) => {
                Self::from_message(about.message)
            }
            RecordKind::LockQueued { .. } => Self::Acquire,
            RecordKind::LockGranted { .. } | RecordKind::TenureRecovered { .. } => Self::Grant,
            RecordKind::FileAppended { .. } => Self::Append,
            RecordKind::LeaseRenewed { .. } => Self::Renew,
            _ => match Importance::from_record(record) {
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
