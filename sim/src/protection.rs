//! The protections, which can be disabled to show why each one is needed.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use leasehold_core::protections::Protections;

/// A mechanism that keeps an invariant, and that a run can disable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The server accepts an append only under the token of the current tenure.
    Fencing,
    /// A duplicate request gets the cached reply, and is not executed again.
    Dedupe,
    /// Only the holder can release a lock.
    HolderCheck,
    /// The server sends a reply only after the events of the request are durable.
    DurableReplies,
    /// The token counter survives a crash.
    DurableTokens,
    /// After a restart every live session gets a full lease.
    Grace,
    /// A client measures its lease from when it sent the request, minus the possible clock error.
    Margin,
    /// Leases are measured on a clock that cannot be set.
    MonotonicClock,
    /// A client renews its lease while it works.
    Heartbeats,
    /// The interval between retries grows, with jitter.
    Backoff,
    /// The wait queue is served in order of arrival.
    Fifo,
    /// A client that needs several locks acquires them in a fixed order, the same for all clients.
    LockOrder,
    /// A client reads a file only while it holds its lock.
    ReadLock,
}

impl Protection {
    /// All protections, in display order.
    pub const ALL: [Self; 13] = [
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
        Self::LockOrder,
        Self::ReadLock,
    ];

    /// Returns the name that commands and links use.
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
            Self::LockOrder => "lock-order",
            Self::ReadLock => "read-lock",
        }
    }

    /// Returns a sentence for students, without a full stop.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Fencing => {
                "the server accepts an append only under the token of the current tenure"
            }
            Self::Dedupe => "a request that arrives twice is executed once",
            Self::HolderCheck => "only the holder can release a lock",
            Self::DurableReplies => "the server replies only after its events are on disk",
            Self::DurableTokens => "the token counter survives a crash",
            Self::Grace => "after a restart every live session gets a full lease",
            Self::Margin => {
                "a client measures its lease from the send, minus the possible clock error"
            }
            Self::MonotonicClock => "leases are measured on a clock that cannot be set",
            Self::Heartbeats => "a client renews its lease while it works",
            Self::Backoff => "the interval between retries grows, with jitter",
            Self::Fifo => "the wait queue is served in order of arrival",
            Self::LockOrder => {
                "a client that needs several locks acquires them in the same order as all others"
            }
            Self::ReadLock => "a client reads a file only while it holds its lock",
        }
    }

    /// Returns the protection with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protection| protection.name() == name)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The enabled protections of one run.
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
