//! The protection that decided the outcome of a record.

use super::message::{Message, RefusalCode};
use super::protection::Protection;
use super::trace::{BeliefEndCause, Record, RecordKind};

impl Record {
    /// Returns the protection without which the record would not exist or would differ; `None` if
    /// no protection decided it.
    pub const fn deciding_protection(&self) -> Option<Protection> {
        match self.kind {
            RecordKind::RequestRefused {
                message: Message::AppendFile,
                code: RefusalCode::StaleToken | RefusalCode::NotHolder,
                ..
            } => Some(Protection::Fencing),
            RecordKind::RequestRefused {
                message: Message::ReleaseLock,
                code: RefusalCode::StaleToken | RefusalCode::NotHolder,
                ..
            } => Some(Protection::HolderCheck),
            RecordKind::DuplicateAnswered { .. } => Some(Protection::Dedupe),
            RecordKind::LockGranted { from_queue: true, .. } => Some(Protection::Fifo),
            RecordKind::Recovered { sessions: 1.., .. } => Some(Protection::Grace),
            RecordKind::Durable { .. } => Some(Protection::DurableReplies),
            RecordKind::LeaseRenewed { .. } => Some(Protection::Heartbeats),
            RecordKind::BeliefEnded { cause: BeliefEndCause::Expired, .. } => {
                Some(Protection::Margin)
            }
            RecordKind::RequestRefused { .. }
            | RecordKind::LockGranted { from_queue: false, .. }
            | RecordKind::Recovered { sessions: 0, .. }
            | RecordKind::BeliefEnded {
                cause: BeliefEndCause::Released | BeliefEndCause::Crashed,
                ..
            }
            | RecordKind::Started
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
            | RecordKind::Sent(_)
            | RecordKind::Arrived(_)
            | RecordKind::Lost { .. }
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::TenureRecovered { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionExpired { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::LockQueued { .. }
            | RecordKind::LockReleased { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::FileAppended { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::CallStarted { .. }
            | RecordKind::CallEnded { .. }
            | RecordKind::Believed { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost
            | RecordKind::Finished
            | RecordKind::RunEnded
            | RecordKind::Gap { .. }
            | RecordKind::FileRead { .. } => None,
        }
    }
}
