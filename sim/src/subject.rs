//! What a record speaks of, whatever its kind: whom and what one filters and looks it up by.

use super::message::{Code, Message};
use super::trace::{About, Kind, LockNo, NodeNo};

/// What records of all kinds may tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Whom it is about; of a packet the node at its other end.
    pub client: Option<NodeNo>,
    /// Which lock; [`LockNo::NONE`] where a packet names none.
    pub lock: Option<LockNo>,
    /// Which message.
    pub message: Option<Message>,
    /// Which refusal.
    pub code: Option<Code>,
}

impl Kind {
    /// What it speaks of.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what else there is tells nothing of these")]
    pub fn subject(&self) -> Subject {
        let about = |it: About| Subject {
            client: Some(it.peer),
            lock: Some(it.lock),
            message: Some(it.message),
            code: None,
        };
        let of =
            |client, lock| Subject { client: Some(client), lock: Some(lock), ..Subject::default() };
        match *self {
            Self::Sent(it) | Self::Arrived(it) => about(it),
            Self::Lost { about: it, .. } | Self::Doubled { about: it, .. } => about(it),
            Self::Moved { about: it, .. } => about(it),
            Self::Kept { lock, client, .. }
            | Self::KeptWait { lock, client, .. }
            | Self::LockQueued { lock, client, .. }
            | Self::LockGranted { lock, client, .. }
            | Self::LockReleased { lock, client, .. }
            | Self::WaitEnded { lock, client, .. }
            | Self::FileAppended { lock, client, .. } => of(client, lock),
            Self::SessionOpened { client, .. }
            | Self::SessionExpired { client, .. }
            | Self::SessionClosed { client, .. }
            | Self::LeaseRenewed { client, .. } => {
                Subject { client: Some(client), ..Subject::default() }
            }
            Self::RequestRefused { client, message, lock, code, .. } => {
                Subject { message: Some(message), code: Some(code), ..of(client, lock) }
            }
            Self::DuplicateAnswered { client, message, .. } => {
                Subject { client: Some(client), message: Some(message), ..Subject::default() }
            }
            Self::Called { message, lock, .. } | Self::Answered { message, lock, .. } => {
                Subject { lock: Some(lock), message: Some(message), ..Subject::default() }
            }
            Self::Believed { lock, .. }
            | Self::Disbelieved { lock, .. }
            | Self::Checked { lock, .. } => Subject { lock: Some(lock), ..Subject::default() },
            _ => Subject::default(),
        }
    }
}
