//! The messages and refusal codes of the protocol, without their fields.

use serde::{Deserialize, Serialize};

use leasehold_core::op::Op;
use leasehold_core::wire::{Operation, Status};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The type of a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Message {
            $($(#[$doc])* $name,)*
        }

        impl Message {
            /// All messages: first the requests of clients, then the replies of the server.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name of the message on the wire.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

messages! {
    /// Requests a session.
    Hello = "hello",
    /// Requests a lock.
    AcquireLock = "acquire_lock",
    /// Cancels a request for a lock.
    CancelAcquire = "cancel_acquire",
    /// Releases a lock.
    ReleaseLock = "release_lock",
    /// Appends bytes to a file.
    AppendFile = "append_file",
    /// Queries the outcome of an append.
    AppendOutcome = "append_outcome",
    /// Renews the lease.
    Heartbeat = "heartbeat",
    /// Closes the session.
    Close = "close",
    /// The session is open.
    Welcome = "welcome",
    /// The client must repeat its request with a cookie, to prove its address.
    Retry = "retry",
    /// The lock is granted.
    Granted = "granted",
    /// The client is in the wait queue.
    Queued = "queued",
    /// The request for a lock is cancelled.
    Cancelled = "cancelled",
    /// The lock is released.
    Released = "released",
    /// The bytes are in the file.
    Appended = "appended",
    /// The outcome of an append.
    Outcome = "outcome",
    /// The lease is renewed.
    Alive = "alive",
    /// The session is closed.
    Closed = "closed",
    /// The request is refused.
    Refused = "refused",
}

impl Message {
    /// Whether clients send this message.
    pub const fn is_request(self) -> bool {
        (self as usize) < 8
    }

    pub(super) const fn from_operation(operation: &Operation) -> Self {
        match operation {
            Operation::Hello { .. } => Self::Hello,
            Operation::AcquireLock { .. } => Self::AcquireLock,
            Operation::CancelAcquire { .. } => Self::CancelAcquire,
            Operation::ReleaseLock { .. } => Self::ReleaseLock,
            Operation::AppendFile { .. } => Self::AppendFile,
            Operation::AppendOutcome { .. } => Self::AppendOutcome,
            Operation::Heartbeat => Self::Heartbeat,
            Operation::Close => Self::Close,
        }
    }

    pub(super) const fn from_status(status: &Status) -> Self {
        match status {
            Status::Welcome { .. } => Self::Welcome,
            Status::Retry { .. } => Self::Retry,
            Status::Granted { .. } => Self::Granted,
            Status::Queued { .. } => Self::Queued,
            Status::Cancelled { .. } => Self::Cancelled,
            Status::Released { .. } => Self::Released,
            Status::Appended { .. } => Self::Appended,
            Status::Applied { .. } | Status::NotApplied | Status::Forgotten => Self::Outcome,
            Status::Alive { .. } => Self::Alive,
            Status::Closed { .. } => Self::Closed,
            Status::Refused(_) => Self::Refused,
        }
    }

    pub(super) const fn from_op(op: Op) -> Self {
        match op {
            Op::Hello => Self::Hello,
            Op::AcquireLock => Self::AcquireLock,
            Op::CancelAcquire => Self::CancelAcquire,
            Op::ReleaseLock => Self::ReleaseLock,
            Op::AppendFile => Self::AppendFile,
            Op::AppendOutcome => Self::AppendOutcome,
            Op::Heartbeat => Self::Heartbeat,
            Op::Close => Self::Close,
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal,)*) => {
        /// Why a request was refused: the codes of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the codes of the protocol")]
        pub enum RefusalCode {
            $($name,)*
        }

        impl RefusalCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the code on the wire.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

codes! {
    BadRequest = "bad_request",
    TooLarge = "too_large",
    BadName = "bad_name",
    UnknownSession = "unknown_session",
    StaleSeq = "stale_seq",
    SeqReused = "seq_reused",
    WindowFull = "window_full",
    Overloaded = "overloaded",
    RateLimited = "rate_limited",
    StorageFailed = "storage_failed",
    LockHeld = "lock_held",
    WaitTimeout = "wait_timeout",
    AlreadyHeld = "already_held",
    NotWaiting = "not_waiting",
    NotHolder = "not_holder",
    StaleToken = "stale_token",
}

impl RefusalCode {
    pub(super) fn from_refusal(refusal: &leasehold_core::refusal::Refusal) -> Self {
        let wire_code = refusal.code();
        Self::ALL
            .iter()
            .copied()
            .find(|candidate| candidate.code() == wire_code)
            .unwrap_or(Self::BadRequest)
    }
}
