//! What a simulated client does, step by step.

use serde::{Deserialize, Serialize};

use leasehold_core::id::Name;

/// One thing that a client does. Times are in milliseconds of the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ScriptStep {
    /// Gets a lock, again and again until it has it.
    Acquire {
        /// Which.
        lock: Name,
        /// How long to stand in line; 0 asks whether it is free, and asks again later.
        #[serde(default)]
        wait_ms: u64,
        /// For how long it would hold the lock at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_ms: Option<u64>,
        /// After how long in line it wants the lock no more, and goes on behind its release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        give_up_ms: Option<u64>,
    },
    /// Does something else, be it with a lock in hand or without.
    Work {
        /// For how long.
        ms: u64,
    },
    /// Appends a line to a file.
    Append {
        /// Which: the file of the lock of this name.
        file: Name,
        /// Whether it looks first whether it still has the lock, and begins anew where it hasn't.
        #[serde(default = "yes")]
        check: bool,
        /// How much time passes between looking and sending.
        #[serde(default)]
        gap_ms: u64,
    },
    /// Gives a lock back.
    Release {
        /// Which.
        lock: Name,
    },
    /// Ends the session.
    Close,
    /// Begins again at the top.
    Repeat {
        /// How often.
        times: u32,
    },
}

const fn yes() -> bool {
    true
}
