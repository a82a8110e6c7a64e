//! The fields that records of different kinds have in common: what they are filtered and selected
//! by.

use super::message::{Message, RefusalCode};
use super::trace::{LockId, NodeId, PacketSummary, RecordKind};

/// The client, lock, message and refusal code of a record, as far as its kind has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The client; for a packet the node at the other end.
    pub client: Option<NodeId>,
    /// The lock; [`LockId::NONE`] if a packet names none.
    pub lock: Option<LockId>,
    /// The message.
    pub message: Option<Message>,
    /// The refusal code.
    pub code: Option<RefusalCode>,
}

impl Subject {
    fn from_packet(packet: PacketSummary) -> Self {
        let (client, lock, message) = (Some(packet.peer), Some(packet.lock), Some(packet.message));
        Self { client, lock, message, code: None }
    }

    fn for_client(client: NodeId) -> Self {
        Self { client: Some(client), ..Self::default() }
    }

    fn for_lock(lock: LockId) -> Self {
        Self { lock: Some(lock), ..Self::default() }
    }
}

impl RecordKind {
    /// Returns the common fields.
    pub fn subject(&self) -> Subject {
        match *self {
            Self::Sent(packet)
            | Self::Arrived(packet)
            | Self::Lost { packet, .. }
            | Self::Duplicated { packet, .. }
            | Self::Rescheduled { packet, .. } => Subject::from_packet(packet),
            Self::TenureRecovered { lock, client, .. }
            | Self::WaitRecovered { lock, client, .. }
            | Self::LockQueued { lock, client, .. }
            | Self::LockGranted { lock, client, .. }
            | Self::LockReleased { lock, client, .. }
            | Self::WaitEnded { lock, client, .. }
            | Self::FileAppended { lock, client, .. } => {
                Subject { lock: Some(lock), ..Subject::for_client(client) }
            }
            Self::SessionOpened { client, .. }
            | Self::SessionExpired { client, .. }
            | Self::SessionClosed { client, .. }
            | Self::LeaseRenewed { client, .. } => Subject::for_client(client),
            Self::RequestRefused { client, message, lock, code, .. } => Subject {
                client: Some(client),
                lock: Some(lock),
                message: Some(message),
                code: Some(code),
            },
            Self::DuplicateAnswered { client, message, .. } => {
                Subject { message: Some(message), ..Subject::for_client(client) }
            }
            Self::CallStarted { message, lock, .. } | Self::CallEnded { message, lock, .. } => {
                Subject { message: Some(message), ..Subject::for_lock(lock) }
            }
            Self::Believed { lock, .. }
            | Self::BeliefEnded { lock, .. }
            | Self::Checked { lock, .. }
            | Self::FileRead { lock, .. } => Subject::for_lock(lock),
            Self::Started
            | Self::Crashed { .. }
            | Self::Restarted
            | Self::Paused { .. }
            | Self::Resumed
            | Self::ClockJumped { .. }
            | Self::ClockDrifted { .. }
            | Self::Cut { .. }
            | Self::Healed { .. }
            | Self::Degraded { .. }
            | Self::DiskSlowed { .. }
            | Self::FaultsEnded
            | Self::Recovered { .. }
            | Self::Durable { .. }
            | Self::WriteFailed
            | Self::FlushFailed
            | Self::Working { .. }
            | Self::SessionLost
            | Self::Finished
            | Self::RunEnded
            | Self::Gap { .. } => Subject::default(),
        }
    }
}
