//! The configuration of a server.

use crate::limits;
use crate::time::Millis;
use crate::wire::MacKey;

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The lease of a session whose `hello` asks for none.
    pub lease_default: Millis,
    /// The shortest lease of a session.
    pub lease_min: Millis,
    /// The longest lease of a session.
    pub lease_max: Millis,
    /// The limits on the server's resources.
    pub limits: Limits,
    /// The server's own key for cookies. If set, a new client must prove that it can receive at its
    /// address before it gets a session.
    pub cookie_key: Option<MacKey>,
}

/// The limits on the server's resources. Requests beyond them are refused as `overloaded`, or
/// `too_large`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum number of live sessions.
    pub sessions_max: usize,
    /// The maximum number of locks that are held or waited for.
    pub locks_max: usize,
    /// The maximum number of waiters, over all locks.
    pub waiters_max: usize,
    /// The maximum number of guarded files.
    pub files_max: usize,
    /// The maximum length of one file, in bytes.
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
