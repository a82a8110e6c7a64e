//! What a record speaks of, whatever its kind: whom and what one filters and looks it up by.

use super::message::{Message, RefusalCode};
use super::trace::{LockId, NodeId, PacketSummary, RecordKind};

/// What records of all kinds may tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Whom it is about; of a packet the node at its other end.
    pub client: Option<NodeId>,
    /// Which lock; [`LockId::NONE`] where a packet names none.
    pub lock: Option<LockId>,
    /// Which message.
    pub message: Option<Message>,
    /// Which refusal.
    pub code: Option<RefusalCode>,
}

impl RecordKind {
    /// What it speaks of.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what else there is tells nothing of these")]
    pub fn subject(&self) -> Subject {
        let from_packet = |it: PacketSummary| Subject {
            client: Some(it.peer),
            lock: Some(it.lock),
            message: Some(it.message),
            code: None,
        };
        let for_client =
            |client, lock| Subject { client: Some(client), lock: Some(lock), ..Subject::default() };
        match *self {
            Self::Sent(it) | Self::Arrived(it) => from_packet(it),
            Self::Lost { packet: it, .. } | Self::Duplicated { packet: it, .. } => from_packet(it),
            Self::Rescheduled { packet: it, .. } => from_packet(it),
            Self::TenureRecovered { lock, client, .. }
            | Self::WaitRecovered { lock, client, .. }
            | Self::LockQueued { lock, client, .. }
            | Self::LockGranted { lock, client, .. }
            | Self::LockReleased { lock, client, .. }
            | Self::WaitEnded { lock, client, .. }
            | Self::FileAppended { lock, client, .. } => for_client(client, lock),
            Self::SessionOpened { client, .. }
            | Self::SessionExpired { client, .. }
            | Self::SessionClosed { client, .. }
            | Self::LeaseRenewed { client, .. } => {
                Subject { client: Some(client), ..Subject::default() }
            }
            Self::RequestRefused { client, message, lock, code, .. } => {
                Subject { message: Some(message), code: Some(code), ..for_client(client, lock) }
            }
            Self::DuplicateAnswered { client, message, .. } => {
                Subject { client: Some(client), message: Some(message), ..Subject::default() }
            }
            Self::CallStarted { message, lock, .. } | Self::CallEnded { message, lock, .. } => {
                Subject { lock: Some(lock), message: Some(message), ..Subject::default() }
            }
            Self::Believed { lock, .. }
            | Self::BeliefEnded { lock, .. }
            | Self::Checked { lock, .. } => Subject { lock: Some(lock), ..Subject::default() },
            _ => Subject::default(),
        }
    }
}
