//! The mechanisms that keep the service correct, each of which the simulator can disable to show
//! its purpose.
//!
//! Only the simulator disables a protection. The native server and its clients use
//! [`Protections::ALL`].

/// The protections that are enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the switches are independent of each other")]
pub struct Protections {
    /// The server accepts an append only with the token of the lock's live tenure, and only from
    /// the session that holds the lock.
    pub fencing: bool,
    /// The server answers a duplicate of a request without executing it again.
    pub dedupe: bool,
    /// Only the holder can release a lock.
    pub holder_check: bool,
    /// A token that was granted before a crash is not granted again after it.
    pub durable_tokens: bool,
    /// After a restart every live session has its full lease.
    pub grace: bool,
    /// The wait queue is served in first-in, first-out order.
    pub fifo: bool,
    /// A client measures its lease from when it sent the request, and subtracts a margin for
    /// clock drift.
    pub margin: bool,
    /// Retransmissions use exponential backoff with jitter.
    pub backoff: bool,
}

impl Protections {
    /// Every protection enabled.
    pub const ALL: Self = Self {
        fencing: true,
        dedupe: true,
        holder_check: true,
        durable_tokens: true,
        grace: true,
        fifo: true,
        margin: true,
        backoff: true,
    };
}
