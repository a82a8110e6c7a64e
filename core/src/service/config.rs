//! What an operator may choose.

use crate::limits;
use crate::time::Millis;
use crate::wire::MacKey;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The lease of a session that asks for none.
    pub lease_default: Millis,
    /// The shortest lease that is given.
    pub lease_min: Millis,
    /// The longest lease that is given.
    pub lease_max: Millis,
    /// What there may be at most.
    pub limits: Limits,
    /// The server's own key for cookies. Where it is set, a stranger has to show that it can be
    /// reached before it gets a session.
    pub cookie_key: Option<MacKey>,
}

/// How much of each thing there may be. More is refused as `overloaded`, or `too_large`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Live sessions.
    pub sessions_max: usize,
    /// Locks held or waited for.
    pub locks_max: usize,
    /// Waits over all locks.
    pub waiters_max: usize,
    /// Guarded files.
    pub files_max: usize,
    /// The length of one file, in bytes.
    pub file_len_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease_default: limits::LEASE_DEFAULT,
            lease_min: limits::LEASE_MIN,
            lease_max: limits::LEASE_MAX,
            limits: Limits::default(),
            cookie_key: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: limits::SESSIONS_MAX,
            locks_max: limits::LOCKS_MAX,
            waiters_max: limits::WAITERS_MAX,
            files_max: limits::FILES_MAX,
            file_len_max: limits::FILE_LEN_MAX,
        }
    }
}
