//! Which protection decided something, where one did.

#![allow(clippy::wildcard_enum_match_arm, reason = "most of what happens is decided by none")]

use super::message::{Code, Message};
use super::protection::Protection;
use super::trace::{DisbeliefCause, Kind, Record};

impl Record {
    /// The protection by which this came out as it did; none where it would have come out the same
    /// without any.
    pub const fn protection(&self) -> Option<Protection> {
        Some(match self.kind {
            Kind::RequestRefused {
                message: Message::AppendFile,
                code: Code::StaleToken | Code::NotHolder,
                ..
            } => Protection::Fencing,
            Kind::RequestRefused {
                message: Message::ReleaseLock,
                code: Code::StaleToken | Code::NotHolder,
                ..
            } => Protection::HolderCheck,
            Kind::DuplicateAnswered { .. } => Protection::Dedupe,
            Kind::LockGranted { from_queue: true, .. } => Protection::Fifo,
            Kind::Recovered { sessions: 1.., .. } => Protection::Grace,
            Kind::Stored { .. } => Protection::DurableReplies,
            Kind::LeaseRenewed { .. } => Protection::Heartbeats,
            Kind::Disbelieved { cause: DisbeliefCause::Lapsed, .. } => Protection::Margin,
            _ => return None,
        })
    }
}
