//! A lock that is held: its token, how long it may be believed in, and what may be done under it.

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

/// A lock that this client holds, or held. Dropping it gives the lock back, as well as that can
/// be done without waiting; [`LockGuard::release`] waits until it is done.
pub struct LockGuard {
    tenure: Arc<Tenure>,
    commands: mpsc::UnboundedSender<Command>,
    released: bool,
}

/// Where an append landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of its first byte in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
}

/// One holding of a lock, as the guard and the client's task both see it.
pub(crate) struct Tenure {
    pub(crate) lock: Name,
    pub(crate) token: Token,
    /// Until when it may be believed in; 0 when it is over.
    valid_until: AtomicU64,
    ended: watch::Sender<bool>,
}

impl LockGuard {
    pub(crate) fn new(tenure: Arc<Tenure>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { tenure, commands, released: false }
    }

    /// Which lock.
    pub fn lock_name(&self) -> &Name {
        &self.tenure.lock
    }

    /// The fencing token of this holding of the lock: larger than that of every earlier one.
    pub fn token(&self) -> Token {
        self.tenure.token
    }

    /// Whether nobody else can have the lock at this moment. Looks at the clock, so it is right
    /// also after the program, or the machine, was suspended.
    pub fn is_held(&self) -> bool {
        now() < self.valid_until()
    }

    /// Until when the lock may be believed in, on the clock of [`now`]. Heartbeats move it on.
    pub fn valid_until(&self) -> Time {
        self.tenure.valid_until()
    }

    /// How long the lock may still be believed in without a further word from the server.
    pub fn remaining(&self) -> Duration {
        clock::duration_from_millis(now().until(self.valid_until()))
    }

    /// Completes when the lock is this guard's no more. It does not borrow the guard, so that a
    /// task of its own can wait for it.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.tenure.ended.subscribe();
        async move {
            // Where nobody is left who could tell, it is over too.
            let _ = ended.wait_for(|has_ended| *has_ended).await;
        }
    }

    /// Appends to the file that this lock guards. All of it lands at once, or nothing.
    ///
    /// # Errors
    /// [`Error::LockLost`], [`Error::TooLarge`]: nothing was sent. [`Error::Refused`],
    /// [`Error::TimedOut`]: it is not in the file. [`Error::OutcomeUnknown`]: nobody can tell.
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
        // Without an answer its fate is open: the request may have left.
        response.await.unwrap_or(Err(Error::OutcomeUnknown))
    }

    /// Gives the lock back, and waits until the server says so.
    ///
    /// # Errors
    /// [`Error::LockLost`] where it was not this guard's any more. [`Error::TimedOut`] where the
    /// server has not answered yet: the release goes on in the background.
    pub async fn release(mut self) -> Result<(), Error> {
        self.released = true;
        let (responder, response) = oneshot::channel();
        let tenure = Arc::clone(&self.tenure);
        let command = Command::Release { tenure, responder: Some(responder) };
        self.commands.send(command).map_err(|_| Error::LockLost)?;
        response.await.unwrap_or(Err(Error::NoReply))
    }

    /// The longest request that this append could ever be, so that it never has to be refused
    /// because its number has grown a digit.
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
            // Where the client has ended there is nothing to give back.
            let _ = self.commands.send(Command::Release { tenure, responder: None });
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tenure { lock, token, .. } = &*self.tenure;
        f.debug_struct("Guard").field("lock", lock).field("token", token).finish_non_exhaustive()
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

    /// It is over: lost, or given back.
    pub(crate) fn end(&self) {
        self.set_valid_until(Time::ZERO);
        self.ended.send_replace(true);
    }
}
