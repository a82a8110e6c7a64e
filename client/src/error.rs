//! The errors of the client library.

use leasehold_core::id::BadName;
use leasehold_core::refusal::Refusal;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a client, a lock or a file is invalid.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// Another client, or another task of this client, holds the lock, and the call does not wait.
    #[error("the lock is held by another client")]
    LockHeld,
    /// The lock was not free in time.
    #[error("timed out waiting for the lock")]
    WaitTimeout,
    /// The client can no longer assume that it holds the lock. The request was not sent or had no
    /// effect.
    #[error("the lock was lost")]
    LockLost,
    /// The server refused the request, which had no effect. [`Refusal::code`] is for programs.
    #[error("the server refused the request: {0} ({code})", code = .0.code())]
    Refused(Refusal),
    /// The request does not fit a datagram. It was not sent.
    #[error("the request is too large: {len} bytes, the limit is {len_max}")]
    TooLarge {
        /// The size of the datagram, in bytes.
        len: usize,
        /// The largest size, in bytes.
        len_max: usize,
    },
    /// The append may or may not have been executed.
    #[error("no reply from the server: the append may or may not have been executed")]
    OutcomeUnknown,
    /// The server did not reply in time.
    #[error("no reply from the server")]
    NoReply,
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
    /// The socket could not be created.
    #[error("cannot create a socket to the server: {0}")]
    Io(#[from] std::io::Error),
}
