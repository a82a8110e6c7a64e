//! The protections by name, and what a world does without one.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use leasehold_core::protections::Protections;

/// One of the things that keep a run right, and that can be taken away to see why it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The file takes an append only under the token of the lock's live tenure.
    Fencing,
    /// A request that comes again is answered again, and not executed again.
    Dedupe,
    /// Only the holder's release frees a lock.
    HolderCheck,
    /// A reply leaves only when what it says is on disk.
    DurableReplies,
    /// The token counter survives a crash.
    DurableTokens,
    /// After a restart every session that is alive has its full lease.
    Grace,
    /// A client counts its lease from the sending, less what its clock may be off by.
    Margin,
    /// Leases are measured on a clock that nobody can set.
    MonotonicClock,
    /// A client renews its lease while it works.
    Heartbeats,
    /// Transmissions come ever more rarely, and not in step with others'.
    Backoff,
    /// The line is served in the order of asking.
    Fifo,
}

impl Protection {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 11] = [
        Self::Fencing,
        Self::Dedupe,
        Self::HolderCheck,
        Self::DurableReplies,
        Self::DurableTokens,
        Self::Grace,
        Self::Margin,
        Self::MonotonicClock,
        Self::Heartbeats,
        Self::Backoff,
        Self::Fifo,
    ];

    /// The name, as it is written in commands and links.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fencing => "fencing",
            Self::Dedupe => "dedupe",
            Self::HolderCheck => "holder-check",
            Self::DurableReplies => "durable-replies",
            Self::DurableTokens => "durable-tokens",
            Self::Grace => "grace",
            Self::Margin => "margin",
            Self::MonotonicClock => "monotonic-clock",
            Self::Heartbeats => "heartbeats",
            Self::Backoff => "backoff",
            Self::Fifo => "fifo",
        }
    }

    /// What it does, in one sentence for a student.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Fencing => "the file takes an append only under the token of the live tenure",
            Self::Dedupe => "a request that comes twice is executed once",
            Self::HolderCheck => "only the holder's release frees a lock",
            Self::DurableReplies => "a reply leaves only when what it says is on disk",
            Self::DurableTokens => "the token counter survives a crash",
            Self::Grace => "after a restart every living session has its full lease again",
            Self::Margin => "a client counts its lease from the sending, less its clock's error",
            Self::MonotonicClock => "leases are measured on a clock that nobody can set",
            Self::Heartbeats => "a client renews its lease while it works",
            Self::Backoff => "retransmissions come ever more rarely, and not in step",
            Self::Fifo => "the line is served in the order of asking",
        }
    }

    /// The protection of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protection| protection.name() == name)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The protections of one world.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtectionFlags {
    pub(super) core: Protections,
    pub(super) durable_replies: bool,
    pub(super) monotonic_clock: bool,
    pub(super) heartbeats: bool,
}

impl ProtectionFlags {
    pub(super) fn without(without: &BTreeSet<Protection>) -> Self {
        let is_enabled = |protection| !without.contains(&protection);
        Self {
            core: Protections {
                fencing: is_enabled(Protection::Fencing),
                dedupe: is_enabled(Protection::Dedupe),
                holder_check: is_enabled(Protection::HolderCheck),
                durable_tokens: is_enabled(Protection::DurableTokens),
                grace: is_enabled(Protection::Grace),
                fifo: is_enabled(Protection::Fifo),
                margin: is_enabled(Protection::Margin),
                backoff: is_enabled(Protection::Backoff),
            },
            durable_replies: is_enabled(Protection::DurableReplies),
            monotonic_clock: is_enabled(Protection::MonotonicClock),
            heartbeats: is_enabled(Protection::Heartbeats),
        }
    }
}
