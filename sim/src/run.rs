//! A run: everything that determines a simulation. It is small enough for a link; all else is
//! derived.

mod decode;

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use serde::{Deserialize, Serialize};

use super::message::Message;
use super::protection::Protection;
use super::script::ScriptStep;
use super::trace::{LinkId, NodeId};

/// The version of the model. The same run may produce a different trace under another version.
pub const MODEL_VERSION: u32 = 1;

/// The input of a simulation. The same run always produces the same trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The participants and their environment.
    pub config: Config,
    /// The seed of all random numbers.
    #[serde(default)]
    pub seed: u64,
    /// The disabled protections.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<Protection>,
    /// The faults to inject, and when they end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interventions: Vec<Intervention>,
}

/// The participants of a run and their environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The locks. Each has a file of the same name.
    pub locks: Vec<Name>,
    /// The clients. Node 0 is the server; the first client is node 1.
    pub clients: Vec<ClientConfig>,
    /// The lease of every session.
    pub lease_ms: u64,
    /// The limit on clock drift that clients assume, in parts per million.
    pub drift_ppm: u64,
    /// How long a client waits for a reply before its first retransmission.
    pub retransmit_ms: u64,
    /// The network conditions.
    pub network: Network,
    /// The timing of the disk.
    pub disk: Disk,
    /// The rate of the server's clock relative to virtual time, in parts per million.
    pub server_rate_ppm: i64,
    /// The maximum number of sessions.
    pub sessions_max: usize,
    /// The maximum number of locks that the server keeps at a time.
    pub locks_max: usize,
    /// The maximum number of waiters.
    pub waiters_max: usize,
    /// The maximum length of a file, in bytes.
    pub file_len_max: u64,
    /// Whether a new client must prove with a cookie that it can receive at its address.
    pub cookies: bool,
    /// Whether datagrams carry an authentication trailer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub authenticated: bool,
    /// The numbers that were used before the run.
    #[serde(skip_serializing_if = "NumbersUsed::is_none")]
    pub numbers_used: NumbersUsed,
    /// When all faults end. If set, the liveness invariants are checked after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults_end_ms: Option<u64>,
    /// When the run ends.
    pub ends_ms: u64,
}

/// How many numbers were used before the run: it begins as if server and clients had already run
/// for long. The numbers of the protocol have 64 bits, and a run must not depend on how large they
/// are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumbersUsed {
    /// The session ids.
    pub sessions: u64,
    /// The fencing tokens.
    pub tokens: u64,
    /// The sequence numbers of each client, in addition to the random ones that it skips.
    pub seqs: u64,
    /// The log indices.
    pub indices: u64,
}

impl NumbersUsed {
    /// Whether no numbers were used.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The client's name.
    pub name: Name,
    /// The steps that it performs.
    pub script: Vec<ScriptStep>,
    /// When it starts.
    #[serde(default)]
    pub starts_ms: u64,
    /// The rate of its clock relative to virtual time, in parts per million.
    #[serde(default)]
    pub rate_ppm: i64,
}

/// The network conditions. Probabilities are in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The minimum latency.
    pub latency_min_us: u64,
    /// The maximum latency of a packet that is not late.
    pub latency_max_us: u64,
    /// The probability that a packet is lost.
    pub loss_ppm: u64,
    /// The probability that a packet is duplicated.
    pub duplicate_ppm: u64,
    /// The probability that a packet is late, so that later packets can overtake it.
    pub late_ppm: u64,
    /// The maximum additional latency of a late packet.
    pub late_max_us: u64,
}

/// The timing of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// The minimum duration of a flush.
    pub flush_min_us: u64,
    /// The maximum duration of a flush.
    pub flush_max_us: u64,
    /// How long writes stay in the cache when the server does not wait for the flush, that is,
    /// without `durable-replies`.
    pub write_back_ms: u64,
}

/// An action that is applied to a run: a fault, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Intervention {
    /// When it happens, in milliseconds. If unset, a packet action happens when the packet is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
}

/// Identifies one packet of a run: the `nth` with this message on this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PacketSelector {
    /// The sender and the receiver.
    #[serde(flatten)]
    pub link: LinkId,
    /// The kind of message.
    pub message: Message,
    /// The position among these packets, counted from 1. A duplicate that the network made has the
    /// selector of its original.
    pub nth: u32,
}

/// An action on one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum PacketAction {
    /// Loses the packet.
    Drop,
    /// Delivers the packet a second time.
    Duplicate {
        /// How long after the packet its duplicate arrives.
        after_ms: u64,
    },
    /// Delays the packet.
    Delay {
        /// The additional latency.
        by_ms: u64,
    },
    /// Delivers the packet immediately.
    Deliver,
}

/// A fault to inject, or the end of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Crashes a node; its memory is lost.
    Crash {
        /// The node.
        node: NodeId,
        /// Whether data that the server has written but not flushed survives.
        keeps_unflushed: bool,
    },
    /// Starts a crashed node again.
    Restart {
        /// The node.
        node: NodeId,
    },
    /// Pauses a node, as a garbage collection or a suspended machine does. Its clock keeps running.
    Pause {
        /// The node.
        node: NodeId,
        /// The duration.
        ms: u64,
    },
    /// Resumes a paused node before its pause ends.
    Resume {
        /// The node.
        node: NodeId,
    },
    /// Cuts a link: all packets in this direction are lost.
    Cut {
        /// The direction.
        #[serde(flatten)]
        link: LinkId,
    },
    /// Repairs a cut link.
    Heal {
        /// The direction.
        #[serde(flatten)]
        link: LinkId,
    },
    /// Cuts all links from and to a node.
    Isolate {
        /// The node.
        node: NodeId,
    },
    /// Repairs all links from and to a node.
    Rejoin {
        /// The node.
        node: NodeId,
    },
    /// Sets the wall clock of a node forward or back.
    Skew {
        /// The node.
        node: NodeId,
        /// The change; negative for back.
        ms: i64,
    },
    /// Changes the rate of a node's clock.
    Drift {
        /// The node.
        node: NodeId,
        /// The rate relative to virtual time, in parts per million.
        ppm: i64,
    },
    /// Makes a link lossy and slow, or restores it if both values are 0.
    Degrade {
        /// The direction.
        #[serde(flatten)]
        link: LinkId,
        /// The probability that a packet is lost, in parts per million.
        loss_ppm: u64,
        /// The additional latency.
        delay_us: u64,
    },
    /// Acts on one packet.
    Packet {
        /// The packet.
        #[serde(flatten)]
        packet: PacketSelector,
        /// The action.
        #[serde(flatten)]
        packet_action: PacketAction,
    },
    /// Lets the next flush fail. The server cannot know what the disk contains then, so it stops.
    FailFlush {
        /// Whether the data is on the disk in spite of the error.
        #[serde(rename = "keeps")]
        keeps_unflushed: bool,
    },
    /// Lets the next writes fail, as on a full disk.
    FailWrites {
        /// How many.
        count: u32,
    },
    /// Slows down all later flushes.
    SlowDisk {
        /// The additional duration.
        by_ms: u64,
    },
    /// Ends all faults: every node runs, links are repaired, and clocks run at the correct rate.
    #[serde(rename = "calm")]
    EndFaults,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            locks: Vec::new(),
            clients: Vec::new(),
            lease_ms: 10_000,
            drift_ppm: leasehold_core::limits::DRIFT_PPM,
            retransmit_ms: 1_000,
            network: Network::default(),
            disk: Disk::default(),
            server_rate_ppm: 0,
            sessions_max: 1_000,
            locks_max: 1_000,
            waiters_max: 1_000,
            file_len_max: 1 << 20,
            cookies: false,
            authenticated: false,
            numbers_used: NumbersUsed::default(),
            faults_end_ms: None,
            ends_ms: 60_000,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency_min_us: 100_000,
            latency_max_us: 200_000,
            loss_ppm: 0,
            duplicate_ppm: 0,
            late_ppm: 0,
            late_max_us: 0,
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self { flush_min_us: 5_000, flush_max_us: 15_000, write_back_ms: 1_000 }
    }
}

impl Run {
    /// Returns whether anything can go wrong: a fault is injected, the network is unreliable, or a
    /// clock is wrong.
    pub fn has_faults(&self) -> bool {
        let Network { loss_ppm, duplicate_ppm, late_ppm, .. } = self.config.network;
        let mut rates = self.config.clients.iter().map(|client| client.rate_ppm);
        !self.interventions.is_empty()
            || loss_ppm + duplicate_ppm + late_ppm > 0
            || self.config.server_rate_ppm != 0
            || rates.any(|rate_ppm| rate_ppm != 0)
    }
}

impl Action {
    /// Returns the nodes that the action names.
    pub fn nodes(&self) -> Vec<NodeId> {
        // Shares the match with `nodes_mut`.
        self.clone().nodes_mut().into_iter().map(|node| *node).collect()
    }

    /// Returns the nodes that the action names, to renumber them.
    pub(super) fn nodes_mut(&mut self) -> Vec<&mut NodeId> {
        match self {
            Self::Crash { node, .. }
            | Self::Restart { node }
            | Self::Pause { node, .. }
            | Self::Resume { node }
            | Self::Isolate { node }
            | Self::Rejoin { node }
            | Self::Skew { node, .. }
            | Self::Drift { node, .. } => vec![node],
            Self::Cut { link } | Self::Heal { link } | Self::Degrade { link, .. } => {
                vec![&mut link.from, &mut link.to]
            }
            Self::Packet { packet, .. } => vec![&mut packet.link.from, &mut packet.link.to],
            Self::FailFlush { .. }
            | Self::FailWrites { .. }
            | Self::SlowDisk { .. }
            | Self::EndFaults => Vec::new(),
        }
    }
}

impl Intervention {
    /// Returns an intervention at a fixed time.
    pub const fn at(at_ms: u64, action: Action) -> Self {
        Self { at_ms: Some(at_ms), action }
    }

    /// Returns an intervention on a packet, at the time when the packet is sent.
    pub const fn on_send(action: Action) -> Self {
        Self { at_ms: None, action }
    }
}
