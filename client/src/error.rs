//! What can go wrong for a program that uses locks.

use leasehold_core::id::BadName;
use leasehold_core::refusal::Refusal;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a client, a lock or a file isn't one.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// Somebody else holds the lock, and the call would not wait.
    #[error("the lock is held")]
    LockHeld,
    /// The lock did not come free in the time that was given.
    #[error("the lock did not come free in time")]
    WaitTimeout,
    /// The lock may not be believed in any more. Nothing was sent, or nothing was done.
    #[error("the lock is lost")]
    LockLost,
    /// The server refused it, and nothing was done. [`RefusalState::code`] is the word for programs.
    #[error("refused: {0} ({code})", code = .0.code())]
    Refused(Refusal),
    /// More bytes than one datagram has room for. Nothing was sent.
    #[error("too large: {len} bytes where at most {len_max} fit")]
    TooLarge {
        /// How many the datagram would have.
        len: usize,
        /// How many it may have.
        len_max: usize,
    },
    /// An append of which nobody can tell whether it is in the file.
    #[error("nobody can tell whether the append is in the file")]
    OutcomeUnknown,
    /// There was no answer in time, and nothing was done that lasts.
    #[error("no answer from the server")]
    NoReply,
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
    /// The socket could not be made.
    #[error("no socket to the server: {0}")]
    Io(#[from] std::io::Error),
}
