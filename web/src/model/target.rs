//! What can be selected and pointed at.

use leasehold_sim::{LockId, NodeId, PacketId, RecordId};

/// Something that a user can select.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Node(NodeId),
    Lock(LockId),
    /// The link between this client and the server.
    Link(NodeId),
    Packet(PacketId),
    Record(RecordId),
}

impl Target {
    /// A unique key, for element keys, `data-target` attributes and tests.
    pub(crate) fn key(self) -> String {
        match self {
            Self::Node(NodeId(id)) => format!("node-{id}"),
            Self::Lock(LockId(id)) => format!("lock-{id}"),
            Self::Link(NodeId(id)) => format!("link-{id}"),
            Self::Packet(PacketId(id)) => format!("packet-{id}"),
            Self::Record(RecordId(id)) => format!("record-{id}"),
        }
    }

    /// Parses a key that [`Self::key`] has returned.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        let (kind, id) = key.split_once('-')?;
        Some(match kind {
            "node" => Self::Node(NodeId(id.parse().ok()?)),
            "lock" => Self::Lock(LockId(id.parse().ok()?)),
            "link" => Self::Link(NodeId(id.parse().ok()?)),
            "packet" => Self::Packet(PacketId(id.parse().ok()?)),
            "record" => Self::Record(RecordId(id.parse().ok()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_round_trip_through_their_keys() {
        for target in
            [Target::Node(NodeId(3)), Target::Link(NodeId(1)), Target::Record(RecordId(9))]
        {
            assert_eq!(Target::from_key(&target.key()), Some(target));
        }
        assert_eq!(Target::from_key("node-x"), None);
    }
}
