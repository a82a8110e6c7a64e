//! What records refer to: nodes, locks, links, packets and records, each by its index.

use serde::{Deserialize, Serialize};

/// A node. 0 is the server; the first client is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u8);

/// A lock and its file, by the lock's index in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockId(pub u8);

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
}

/// A packet, by its index among all packets of the run, including duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PacketId(pub u32);

/// A record, by its index in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub u32);

impl NodeId {
    /// The server.
    pub const SERVER: Self = Self(0);

    /// A node about which nothing is known.
    pub const UNKNOWN: Self = Self(u8::MAX);

    /// Returns whether this node is the server.
    pub const fn is_server(self) -> bool {
        self.0 == 0
    }
}

impl LockId {
    /// No lock: the record or packet does not name one.
    pub const NONE: Self = Self(u8::MAX);
}

impl RecordId {
    /// No record: the start of a causal chain.
    pub const NONE: Self = Self(u32::MAX);

    /// Returns the index into the trace, or `None` for [`RecordId::NONE`].
    pub fn index(self) -> Option<usize> {
        if self == Self::NONE { None } else { usize::try_from(self.0).ok() }
    }
}
