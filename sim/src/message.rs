//! The words of the wire, one for each message and for each refusal.

use serde::{Deserialize, Serialize};

use leasehold_core::op::Op;
use leasehold_core::wire::{Operation, Status};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a packet says, in one word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Message {
            $($(#[$doc])* $name,)*
        }

        impl Message {
            /// All of them: what clients say first, then what the server says.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word, as on the wire.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

messages! {
    /// May I have a session?
    Hello = "hello",
    /// May I have the lock?
    AcquireLock = "acquire_lock",
    /// I no longer wait.
    CancelAcquire = "cancel_acquire",
    /// I give it back.
    ReleaseLock = "release_lock",
    /// Put this at the end of the file.
    AppendFile = "append_file",
    /// What became of my append?
    AppendOutcome = "append_outcome",
    /// I am alive.
    Heartbeat = "heartbeat",
    /// I end.
    Close = "close",
    /// You have a session.
    Welcome = "welcome",
    /// Show that you can be reached.
    Retry = "retry",
    /// The lock is yours.
    Granted = "granted",
    /// You stand in line.
    Queued = "queued",
    /// You left the line.
    Cancelled = "cancelled",
    /// It is free.
    Released = "released",
    /// The bytes are in the file.
    Appended = "appended",
    /// What became of an append.
    Outcome = "outcome",
    /// Your lease begins anew.
    Alive = "alive",
    /// Your session is over.
    Closed = "closed",
    /// No.
    Refused = "refused",
}

impl Message {
    /// Whether it is what a client says.
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
        #[allow(missing_docs, reason = "the words of the protocol")]
        pub enum RefusalCode {
            $($name,)*
        }

        impl RefusalCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word on the wire.
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
