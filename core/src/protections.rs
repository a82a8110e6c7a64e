//! What keeps a run right, one by one, so that the simulator can show what becomes of it without.
//!
//! Only the simulator takes one away: the native server and its clients always have all of them.

/// Which protections are there. All of them, unless the simulator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "switches that know nothing of each other")]
pub struct Protections {
    /// An append needs the token of the lock's live tenure, and its holder.
    pub fencing: bool,
    /// A request that comes again is answered again, and not executed again.
    pub dedupe: bool,
    /// Only the holder's release frees a lock.
    pub holder_check: bool,
    /// A token that was given before a crash is not given again after it.
    pub durable_tokens: bool,
    /// After a restart every session that is alive has its full lease.
    pub grace: bool,
    /// The line is served in the order of asking.
    pub fifo: bool,
    /// A client counts its lease from the sending, less what its clock may be off by.
    pub margin: bool,
    /// Transmissions of one request come ever more rarely, and not in step with others'.
    pub backoff: bool,
}

impl Protections {
    /// All of them.
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
