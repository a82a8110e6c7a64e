//! Which protection decided something, where one did.

#![allow(clippy::wildcard_enum_match_arm, reason = "most of what happens is decided by none")]

use super::message::{Message, RefusalCode};
use super::protection::Protection;
use super::trace::{BeliefEndCause, Record, RecordKind};

impl Record {
    /// The protection by which this came out as it did; none where it would have come out the same
    /// without any.
    pub const fn deciding_protection(&self) -> Option<Protection> {
        Some(match self.kind {
            RecordKind::RequestRefused {
                message: Message::AppendFile,
                code: RefusalCode::StaleToken | RefusalCode::NotHolder,
                ..
            } => Protection::Fencing,
            RecordKind::RequestRefused {
                message: Message::ReleaseLock,
                code: RefusalCode::StaleToken | RefusalCode::NotHolder,
                ..
            } => Protection::HolderCheck,
            RecordKind::DuplicateAnswered { .. } => Protection::Dedupe,
            RecordKind::LockGranted { from_queue: true, .. } => Protection::Fifo,
            RecordKind::Recovered { sessions: 1.., .. } => Protection::Grace,
            RecordKind::Durable { .. } => Protection::DurableReplies,
            RecordKind::LeaseRenewed { .. } => Protection::Heartbeats,
            RecordKind::BeliefEnded { cause: BeliefEndCause::Expired, .. } => Protection::Margin,
            _ => return None,
        })
    }
}
