//! What a simulated client does, step by step.

use serde::de::value::Error;
use serde::{Deserialize, Serialize};

use leasehold_core::id::Name;

/// One thing that a client does. Times are in milliseconds of the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", try_from = "Flat")]
pub enum Step {
    /// Gets a lock, again and again until it has it.
    Acquire {
        /// Which.
        lock: Name,
        /// How long to stand in line; 0 asks whether it is free, and asks again later.
        wait_ms: u64,
        /// For how long it would hold the lock at most.
        #[serde(skip_serializing_if = "Option::is_none")]
        hold_ms: Option<u64>,
        /// After how long in line it wants the lock no more, and goes on behind its release.
        #[serde(skip_serializing_if = "Option::is_none")]
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
        check: bool,
        /// How much time passes between looking and sending.
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

/// A step as it is read: the fields of all steps.
#[derive(Default)]
struct Flat {
    word: String,
    lock: Option<Name>,
    file: Option<Name>,
    wait_ms: u64,
    hold_ms: Option<u64>,
    give_up_ms: Option<u64>,
    ms: Option<u64>,
    check: Option<bool>,
    gap_ms: u64,
    times: Option<u32>,
}

fields!(Flat {
    word = "do", lock, file, wait_ms, hold_ms, give_up_ms, ms, check, gap_ms, times,
});

impl TryFrom<Flat> for Step {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let Flat { wait_ms, hold_ms, give_up_ms, gap_ms, .. } = flat;
        Ok(match tag!(flat.word, "do").as_str() {
            "acquire" => Self::Acquire { lock: need!(flat.lock)?, wait_ms, hold_ms, give_up_ms },
            "work" => take!(flat, Self::Work { ms }),
            "append" => {
                let check = flat.check.unwrap_or(true);
                Self::Append { file: need!(flat.file)?, check, gap_ms }
            }
            "release" => take!(flat, Self::Release { lock }),
            "close" => Self::Close,
            "repeat" => take!(flat, Self::Repeat { times }),
            word => return unknown!("do", word),
        })
    }
}
