//! A lock that is held: its token, its validity, and the operations that it allows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, SessionKey, Token};
use leasehold_core::limits::DATAGRAM_LEN_MAX;
use leasehold_core::secret::Secret;
use leasehold_core::time::Time;
use leasehold_core::wire::{Operation, Request};
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::Command;
use crate::clock::{self, now};
use crate::error::Error;

/// A lock that this client holds or has held. Dropping the guard releases the lock in the
/// background; [`LockGuard::release`] waits until the server has confirmed it.
pub struct LockGuard {
    tenure: Arc<Tenure>,
    commands: mpsc::UnboundedSender<Command>,
    released: bool,
}

/// The position of an append in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first byte.
    pub offset: u64,
    /// Its length, in bytes.
    pub len: u64,
}

/// One tenure, shared by the guard and the task of the client.
pub(crate) struct Tenure {
    pub(crate) lock: Name,
    pub(crate) token: Token,
    /// The end of the belief, in milliseconds; 0 after the tenure has ended.
    valid_until: AtomicU64,
    ended: watch::Sender<bool>,
}

impl LockGuard {
    pub(crate) fn new(tenure: Arc<Tenure>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { tenure, commands, released: false }
    }

    /// Returns the name of the lock.
    pub fn lock_name(&self) -> &Name {
        &self.tenure.lock
    }

    /// Returns the fencing token of this tenure, which is larger than those of all earlier tenures.
    pub fn token(&self) -> Token {
        self.tenure.token
    }

    /// Whether no other client can hold the lock now. This reads the clock, so the result is
    /// correct even after the program or the machine was suspended.
    pub fn is_held(&self) -> bool {
        now() < self.valid_until()
    }

    /// Returns the end of the belief, on the clock of [`now`]. Heartbeats extend it.
    pub fn valid_until(&self) -> Time {
        self.tenure.valid_until()
    }

    /// Returns how long the client may assume that it holds the lock, without further replies of
    /// the server.
    pub fn remaining(&self) -> Duration {
        clock::duration_from_millis(now().until(self.valid_until()))
    }

    /// Completes when the lock is lost or released. The future does not borrow the guard, so
    /// another task can await it.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.tenure.ended.subscribe();
        async move {
            // An error means that the task of the client has ended, and with it the tenure.
            let _ = ended.wait_for(|has_ended| *has_ended).await;
        }
    }

    /// Appends to the file that this lock guards. The append is atomic.
    ///
    /// # Errors
    /// If the result is [`Error::LockLost`] or [`Error::TooLarge`], the request was not sent. If it
    /// is [`Error::Refused`] or [`Error::NoReply`], the append was not executed. If it is
    /// [`Error::OutcomeUnknown`], it may have been executed.
    pub async fn append(&self, data: impl AsRef<[u8]>) -> Result<Appended, Error> {
        let data = Data::new(data.as_ref());
        self.check_len(&data)?;
        if !self.is_held() {
            return Err(Error::LockLost);
        }
        let (responder, response) = oneshot::channel();
        let tenure = Arc::clone(&self.tenure);
        let command = Command::Append { tenure, data, responder };
        self.commands.send(command).map_err(|_| Error::LockLost)?;
        // The request may have been sent.
        response.await.unwrap_or(Err(Error::OutcomeUnknown))
    }

    /// Releases the lock, and waits until the server has confirmed it.
    ///
    /// # Errors
    /// If the lock was already lost ([`Error::LockLost`]), or if the server does not reply in time
    /// ([`Error::NoReply`]). In the latter case the release continues in the background.
    pub async fn release(mut self) -> Result<(), Error> {
        self.released = true;
        let (responder, response) = oneshot::channel();
        let tenure = Arc::clone(&self.tenure);
        let command = Command::Release { tenure, responder: Some(responder) };
        self.commands.send(command).map_err(|_| Error::LockLost)?;
        response.await.unwrap_or(Err(Error::NoReply))
    }

    /// Checks the size of the append with the longest possible sequence number and attempt, so that
    /// the result depends only on the data.
    fn check_len(&self, data: &Data) -> Result<(), Error> {
        let request = Request {
            session_key: Some(Secret::new(SessionKey::from_entropy(0))),
            seq: Seq::new(9_999_999_999),
            attempt: Attempt::new(99_999),
            operation: Operation::AppendFile {
                file: self.tenure.lock.clone(),
                token: self.tenure.token,
                data: data.clone(),
            },
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        if bytes.len() > DATAGRAM_LEN_MAX {
            return Err(Error::TooLarge { len: bytes.len(), len_max: DATAGRAM_LEN_MAX });
        }
        Ok(())
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.released {
            let tenure = Arc::clone(&self.tenure);
            // An error means that the client has ended, so there is nothing to release.
            let _ = self.commands.send(Command::Release { tenure, responder: None });
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tenure { lock, token, .. } = &*self.tenure;
        f.debug_struct("LockGuard")
            .field("lock", lock)
            .field("token", token)
            .finish_non_exhaustive()
    }
}

impl Tenure {
    pub(crate) fn new(lock: Name, token: Token, valid_until: Time) -> Self {
        let valid_until = AtomicU64::new(valid_until.as_millis());
        Self { lock, token, valid_until, ended: watch::Sender::new(false) }
    }

    pub(crate) fn valid_until(&self) -> Time {
        Time::from_millis(self.valid_until.load(Ordering::Acquire))
    }

    pub(crate) fn set_valid_until(&self, valid_until: Time) {
        self.valid_until.store(valid_until.as_millis(), Ordering::Release);
    }

    /// Ends the tenure: the lock was lost or released.
    pub(crate) fn end(&self) {
        self.set_valid_until(Time::ZERO);
        self.ended.send_replace(true);
    }
}
