//! The script of a simulated client, step by step.

use serde::{Deserialize, Serialize};

use leasehold_core::id::Name;

/// One step of a script. Durations are in milliseconds of virtual time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ScriptStep {
    /// Acquires a lock, and retries until it is granted.
    Acquire {
        /// The lock.
        lock: Name,
        /// How long a request may wait in the queue. With 0 the request never waits: it is refused
        /// if the lock is held, and the client retries later.
        #[serde(default)]
        wait_ms: u64,
        /// The hold limit that the client requests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_ms: Option<u64>,
        /// After how long the client cancels its wait and continues after the step that releases
        /// this lock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        give_up_ms: Option<u64>,
    },
    /// Does unrelated work, with or without holding a lock.
    Work {
        /// The duration.
        ms: u64,
    },
    /// Appends a line to a file.
    Append {
        /// The file, by the name of its lock.
        file: Name,
        /// Whether the client first checks that it still holds the lock. If it does not, the client
        /// returns to the step that acquires the lock.
        #[serde(default = "default_check")]
        check: bool,
        /// How much time passes between the check and the request.
        #[serde(default)]
        gap_ms: u64,
    },
    /// Releases a lock.
    Release {
        /// The lock.
        lock: Name,
    },
    /// Closes the session.
    Close,
    /// Restarts the script at its first step.
    Repeat {
        /// How many times.
        times: u32,
    },
}

const fn default_check() -> bool {
    true
}
