//! A lock that is held: its token, how long it may be believed in, and what may be done under it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, SessionId, Token};
use leasehold_core::limits::DATAGRAM_LEN_MAX;
use leasehold_core::secret::Secret;
use leasehold_core::time::Time;
use leasehold_core::wire::{Operation, Request};
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::Command;
use crate::clock::{self, now};
use crate::error::Error;

/// A lock that this client holds, or held. Dropping it gives the lock back, as well as that can
/// be done without waiting; [`Guard::release`] waits until it is done.
pub struct Guard {
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
    until: AtomicU64,
    over: watch::Sender<bool>,
}

impl Guard {
    pub(crate) fn new(tenure: Arc<Tenure>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { tenure, commands, released: false }
    }

    /// Which lock.
    pub fn lock(&self) -> &Name {
        &self.tenure.lock
    }

    /// The fencing token of this holding of the lock: larger than that of every earlier one.
    pub fn token(&self) -> Token {
        self.tenure.token
    }

    /// Whether nobody else can have the lock at this moment. Looks at the clock, so it is right
    /// also after the program, or the machine, was suspended.
    pub fn still_mine(&self) -> bool {
        now() < self.until()
    }

    /// Until when the lock may be believed in, on the clock of [`now`]. Heartbeats move it on.
    pub fn until(&self) -> Time {
        self.tenure.until()
    }

    /// How long the lock may still be believed in without a further word from the server.
    pub fn left(&self) -> Duration {
        clock::duration(now().until(self.until()))
    }

    /// Completes when the lock is this guard's no more. It does not borrow the guard, so that a
    /// task of its own can wait for it.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut over = self.tenure.over.subscribe();
        async move {
            // Where nobody is left who could tell, it is over too.
            let _ = over.wait_for(|over| *over).await;
        }
    }

    /// Appends to the file that this lock guards. All of it lands at once, or nothing.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::TooLarge`]: nothing was sent. [`Error::Refused`],
    /// [`Error::NoAnswer`]: it is not in the file. [`Error::Unknown`]: nobody can tell.
    pub async fn append(&self, data: impl AsRef<[u8]>) -> Result<Appended, Error> {
        let data = Data::new(data.as_ref());
        self.check_len(&data)?;
        if !self.still_mine() {
            return Err(Error::Lost);
        }
        let (answer, answered) = oneshot::channel();
        let tenure = Arc::clone(&self.tenure);
        let command = Command::Append { tenure, data, answer };
        self.commands.send(command).map_err(|_| Error::Lost)?;
        // Without an answer its fate is open: the request may have left.
        answered.await.unwrap_or(Err(Error::Unknown))
    }

    /// Gives the lock back, and waits until the server says so.
    ///
    /// # Errors
    /// [`Error::Lost`] where it was not this guard's any more. [`Error::NoAnswer`] where the
    /// server has not answered yet: the release goes on in the background.
    pub async fn release(mut self) -> Result<(), Error> {
        self.released = true;
        let (answer, answered) = oneshot::channel();
        let tenure = Arc::clone(&self.tenure);
        let command = Command::Release { tenure, answer: Some(answer) };
        self.commands.send(command).map_err(|_| Error::Lost)?;
        answered.await.unwrap_or(Err(Error::NoAnswer))
    }

    /// The longest request that this append could ever be, so that it never has to be refused
    /// because its number has grown a digit.
    fn check_len(&self, data: &Data) -> Result<(), Error> {
        let request = Request {
            session: Some(Secret::new(SessionId::from_entropy(0))),
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

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.released {
            let tenure = Arc::clone(&self.tenure);
            // Where the client has ended there is nothing to give back.
            let _ = self.commands.send(Command::Release { tenure, answer: None });
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tenure { lock, token, .. } = &*self.tenure;
        f.debug_struct("Guard").field("lock", lock).field("token", token).finish_non_exhaustive()
    }
}

impl Tenure {
    pub(crate) fn new(lock: Name, token: Token, until: Time) -> Self {
        let until = AtomicU64::new(until.as_millis());
        Self { lock, token, until, over: watch::Sender::new(false) }
    }

    pub(crate) fn until(&self) -> Time {
        Time::from_millis(self.until.load(Ordering::Acquire))
    }

    pub(crate) fn set_until(&self, until: Time) {
        self.until.store(until.as_millis(), Ordering::Release);
    }

    /// It is over: lost, or given back.
    pub(crate) fn end(&self) {
        self.set_until(Time::ZERO);
        self.over.send_replace(true);
    }
}
