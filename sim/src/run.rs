//! A run: everything that decides what happens. Small enough for a link; the rest is derived.

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use serde::{Deserialize, Serialize};

use super::message::Message;
use super::protection::Protection;
use super::script::ScriptStep;
use super::trace::{LinkId, NodeId};

/// The version of the model: runs of another one may differ.
pub const MODEL_VERSION: u32 = 1;

/// A run. The same run always goes the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What the world is made of.
    pub config: Config,
    /// Decides every draw of luck.
    #[serde(default)]
    pub seed: u64,
    /// The protections that are taken away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<Protection>,
    /// What is done to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interventions: Vec<Intervention>,
}

/// What a world is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The locks, and so the files.
    pub locks: Vec<Name>,
    /// The clients. Node 0 is the server; the first of these is node 1.
    pub clients: Vec<ClientConfig>,
    /// The lease of every session.
    pub lease_ms: u64,
    /// The bound on clock rates that clients assume, in parts per million.
    pub drift_ppm: u64,
    /// After how long without an answer clients ask again first.
    pub retransmit_ms: u64,
    /// How packets travel.
    pub network: Network,
    /// How the journal is written.
    pub disk: Disk,
    /// How fast the server's clock runs, against the world's, in parts per million.
    pub server_rate_ppm: i64,
    /// How many sessions the server takes.
    pub sessions_max: usize,
    /// How many locks it knows at a time.
    pub locks_max: usize,
    /// How many waits it takes.
    pub waiters_max: usize,
    /// How long a file may become, in bytes.
    pub file_len_max: u64,
    /// Whether strangers have to show that they can be reached.
    pub cookies: bool,
    /// When faults end, so that everything must come to a good end after that. Unset where that
    /// isn't asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults_end_ms: Option<u64>,
    /// When the run ends.
    pub ends_ms: u64,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Its name.
    pub name: Name,
    /// What it does.
    pub script: Vec<ScriptStep>,
    /// When it starts.
    #[serde(default)]
    pub starts_ms: u64,
    /// How fast its clock runs, in parts per million.
    #[serde(default)]
    pub rate_ppm: i64,
}

/// How packets travel. Chances are in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The shortest way of a packet.
    pub latency_min_us: u64,
    /// The longest one, where nothing holds it up.
    pub latency_max_us: u64,
    /// How many are lost.
    pub loss_ppm: u64,
    /// How many arrive twice.
    pub duplicate_ppm: u64,
    /// How many are held up, so that others overtake them.
    pub late_ppm: u64,
    /// For how long, at most.
    pub late_max_us: u64,
}

/// How the journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// The shortest flush.
    pub flush_min_us: u64,
    /// The longest one.
    pub flush_max_us: u64,
    /// How long the server lets writes lie where it doesn't wait for them (without
    /// `durable-replies`).
    pub write_back_ms: u64,
}

/// Something that is done to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervention {
    /// When, in milliseconds. Unset for a packet: when it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// One packet among those of a run: the `nth`, from 1 on, of its kind on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PacketSelector {
    /// From where to where.
    #[serde(flatten)]
    pub link: LinkId,
    /// What it says.
    pub message: Message,
    /// Which of those, counted from 1. A copy that the network made counts as its original.
    pub nth: u32,
}

/// What can be done to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum PacketAction {
    /// It is lost.
    Drop,
    /// It arrives once more.
    Duplicate {
        /// How much later than the packet itself.
        #[serde(default)]
        after_ms: u64,
    },
    /// It takes longer.
    Delay {
        /// By how much.
        by_ms: u64,
    },
    /// It arrives at once.
    Deliver,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A node dies, and its memory with it.
    Crash {
        /// Which.
        node: NodeId,
        /// Whether what the server wrote, and had not flushed, is there afterwards all the same.
        #[serde(default)]
        keeps_unflushed: bool,
    },
    /// It starts again.
    Restart {
        /// Which.
        node: NodeId,
    },
    /// It stands still: a long garbage collection, a suspended machine. Its clock goes on.
    Pause {
        /// Which.
        node: NodeId,
        /// For how long.
        ms: u64,
    },
    /// It goes on, however long it was to stand still.
    Resume {
        /// Which.
        node: NodeId,
    },
    /// Nothing gets through from the one to the other.
    Cut {
        /// Which way.
        #[serde(flatten)]
        link: LinkId,
    },
    /// Packets get through again.
    Heal {
        /// Which way.
        #[serde(flatten)]
        link: LinkId,
    },
    /// A node is cut off both ways from all others.
    Isolate {
        /// Which.
        node: NodeId,
    },
    /// It is no longer cut off.
    Rejoin {
        /// Which.
        node: NodeId,
    },
    /// Its wall clock is set forward, or back.
    Skew {
        /// Whose.
        node: NodeId,
        /// By how much.
        ms: i64,
    },
    /// Its clock runs faster than the world, or slower.
    Drift {
        /// Whose.
        node: NodeId,
        /// In parts per million.
        ppm: i64,
    },
    /// A link loses more, or is slower.
    Degrade {
        /// Which way.
        #[serde(flatten)]
        link: LinkId,
        /// How many packets are lost, in parts per million.
        loss_ppm: u64,
        /// How much longer each takes.
        delay_us: u64,
    },
    /// Something is done to one packet.
    Packet {
        /// Which.
        #[serde(flatten)]
        packet: PacketSelector,
        /// What.
        #[serde(flatten)]
        packet_action: PacketAction,
    },
    /// The next flushes fail. Nobody knows then what the disk holds, so the server ends.
    FailFlush {
        /// Whether what was to be flushed is on disk all the same.
        #[serde(default)]
        #[serde(rename = "keeps")]
        keeps_unflushed: bool,
    },
    /// The next batches can't be written: the disk is full.
    FailWrites {
        /// How many.
        count: u32,
    },
    /// Flushes take longer from here on.
    SlowDisk {
        /// By how much.
        by_ms: u64,
    },
    /// All faults end: nodes run, links are whole, clocks are right.
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

impl Action {
    /// The nodes that it names.
    pub fn nodes(&self) -> Vec<NodeId> {
        // One place knows where they are.
        self.clone().nodes_mut().into_iter().map(|node| *node).collect()
    }

    /// The same, to be changed.
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
    /// Something that is done at a moment.
    pub const fn at(at_ms: u64, action: Action) -> Self {
        Self { at_ms: Some(at_ms), action }
    }

    /// Something that is done to a packet when it is sent.
    pub const fn on_send(action: Action) -> Self {
        Self { at_ms: None, action }
    }
}
