//! The trace of a run: a list of records, each with its causes.
//!
//! - A record is small and contains no text; [`super::explain`] turns it into sentences.
//! - Fingerprints of runs depend on the order of variants and fields: do not reorder them.
//! - JSON names are stable, because recordings and scenarios contain them.

mod causes;
mod ids;
mod number;

use std::fmt;
use std::hash::{Hash, Hasher};

use leasehold_core::event::{ReleaseCause, WaitEndCause};
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::message::{Message, RefusalCode};
use super::virtual_time::VirtualTime;

pub use causes::Causes;
pub use ids::{LinkId, LockId, NodeId, PacketId, RecordId};
pub use number::Number;

/// One entry of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The virtual time.
    #[serde(rename = "at_us")]
    pub at: VirtualTime,
    /// The reading of the node's own clock, in milliseconds.
    pub local_ms: Number,
    /// The node on which it happened.
    pub node: NodeId,
    /// What happened.
    #[serde(flatten)]
    pub kind: RecordKind,
    /// The direct cause, and one related earlier record.
    pub causes: Causes,
}

/// The content of a packet, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketSummary {
    /// The packet.
    #[serde(rename = "packet")]
    pub id: PacketId,
    /// The node at the other end of the link.
    pub peer: NodeId,
    /// The kind of message.
    pub message: Message,
    /// The lock or file that the packet names.
    pub lock: LockId,
    /// The fencing token that the packet names, or 0. For `welcome`: the session id. For
    /// `appended`: the number of the line in its file, counted from 1.
    #[serde(rename = "number")]
    pub value: Number,
    /// The sequence number of the request, or of the request that a reply answers.
    pub seq: Number,
    /// The reason, if the packet is a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalCode>,
}

/// Leaves out `refusal`: older traces do not contain it, and their fingerprints stay valid. It
/// follows from the rest of the trace.
impl Hash for PacketSummary {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { id, peer, message, lock, value, seq, refusal: _ } = *self;
        (id, peer, message, lock, value, seq).hash(hasher);
    }
}

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The network lost it.
    Network,
    /// An intervention dropped it.
    Dropped,
    /// The link was cut.
    Cut,
    /// The receiver was not running.
    #[serde(rename = "dead")]
    NodeDown,
    /// The receive buffer of a paused node was full.
    Overflow,
}

/// Why a belief ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeliefEndCause {
    /// The client released the lock.
    Released,
    /// It expired by the client's own clock.
    #[serde(rename = "lapsed")]
    Expired,
    /// The client crashed.
    Crashed,
}

/// How a call ended, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// The call succeeded.
    #[serde(rename = "done")]
    Succeeded,
    /// The server refused the request.
    Refused,
    /// The server replied that the client does not, or no longer, hold the lock.
    #[serde(rename = "lost")]
    LockLost,
    /// No reply arrived before the deadline.
    NoAnswer,
    /// The outcome cannot be determined.
    Unknown,
    /// The client cancelled the call.
    Cancelled,
}

/// What happened. Session ids, tokens, sequence numbers and log indices are those of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields' meaning is that of the wire's fields of those names")]
pub enum RecordKind {
    /// A node starts for the first time.
    Started,
    /// A node crashes. For the server: the log contains the events up to `durable_through`.
    Crashed {
        #[serde(rename = "kept")]
        durable_through: Number,
    },
    /// A crashed node starts again.
    Restarted,
    Paused {
        ms: Number,
    },
    Resumed,
    ClockJumped {
        ms: i32,
    },
    ClockDrifted {
        ppm: i32,
    },
    Cut {
        to: NodeId,
    },
    Healed {
        to: NodeId,
    },
    Degraded {
        to: NodeId,
    },
    DiskSlowed {
        by_ms: Number,
    },
    /// All faults end.
    #[serde(rename = "calmed")]
    FaultsEnded,

    Sent(PacketSummary),
    Arrived(PacketSummary),
    Lost {
        #[serde(rename = "about")]
        packet: PacketSummary,
        #[serde(rename = "why")]
        cause: LossCause,
    },
    /// The network made a duplicate, `copy`.
    #[serde(rename = "doubled")]
    Duplicated {
        #[serde(rename = "about")]
        packet: PacketSummary,
        copy: PacketId,
    },
    /// The arrival of a packet was changed by `by_ms`.
    #[serde(rename = "moved")]
    Rescheduled {
        #[serde(rename = "about")]
        packet: PacketSummary,
        by_ms: i32,
    },

    /// The server has recovered its state from the log, up to the event `through`.
    Recovered {
        through: Number,
        sessions: u32,
        tenures: u32,
        waits: u32,
    },
    /// A tenure in the recovered state.
    #[serde(rename = "kept")]
    TenureRecovered {
        lock: LockId,
        client: NodeId,
        session: Number,
        token: Number,
    },
    /// A waiter in the recovered state.
    #[serde(rename = "kept_wait")]
    WaitRecovered {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
    },
    SessionOpened {
        client: NodeId,
        session: Number,
        index: Number,
    },
    SessionExpired {
        client: NodeId,
        session: Number,
        index: Number,
    },
    SessionClosed {
        client: NodeId,
        session: Number,
        index: Number,
    },
    LockQueued {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
        position: u32,
        index: Number,
    },
    LockGranted {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
        token: Number,
        from_queue: bool,
        index: Number,
    },
    /// `origin` is the client that requested the release, and `seq` is that request. If no client
    /// did, they are the holder and 0.
    LockReleased {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
        token: Number,
        cause: ReleaseCause,
        #[serde(rename = "by")]
        origin: NodeId,
        index: Number,
    },
    WaitEnded {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
        cause: WaitEndCause,
        index: Number,
    },
    /// `line` is the index of the line in the file, counted from 0.
    FileAppended {
        lock: LockId,
        client: NodeId,
        session: Number,
        seq: Number,
        token: Number,
        line: u32,
        index: Number,
    },
    RequestRefused {
        client: NodeId,
        message: Message,
        lock: LockId,
        token: Number,
        /// The token of the current tenure, if the refusal depends on it.
        current: Number,
        code: RefusalCode,
        seq: Number,
    },
    LeaseRenewed {
        client: NodeId,
        session: Number,
        seq: Number,
    },
    DuplicateAnswered {
        client: NodeId,
        message: Message,
        session: Number,
        seq: Number,
    },
    /// The log has made the events up to `through` durable.
    #[serde(rename = "stored")]
    Durable {
        through: Number,
    },
    WriteFailed,
    FlushFailed,

    /// A client's script calls the client library.
    #[serde(rename = "called")]
    CallStarted {
        message: Message,
        lock: LockId,
        token: Number,
    },
    /// The call has ended.
    #[serde(rename = "answered")]
    CallEnded {
        message: Message,
        lock: LockId,
        token: Number,
        #[serde(rename = "end")]
        outcome: CallResult,
    },
    /// A client believes that it holds the lock, and will until `until` unless it is renewed or
    /// ended.
    Believed {
        lock: LockId,
        token: Number,
        #[serde(rename = "until_us")]
        until: VirtualTime,
    },
    #[serde(rename = "disbelieved")]
    BeliefEnded {
        lock: LockId,
        token: Number,
        cause: BeliefEndCause,
    },
    /// A client checked whether it still holds the lock.
    Checked {
        lock: LockId,
        holds: bool,
    },
    Working {
        ms: Number,
    },
    SessionLost,
    /// A client has completed its script.
    Finished,
    /// The run has ended.
    #[serde(rename = "ended")]
    RunEnded,
    /// The observer missed this many events of the server; the number is unknown if the server was
    /// restarted meanwhile. Records of the state after them follow.
    #[serde(rename = "unseen")]
    Gap {
        events: Number,
    },
    /// A client has read a file with this many lines. A torn read sees an unfinished update.
    FileRead {
        lock: LockId,
        lines: u32,
        #[serde(rename = "torn")]
        is_torn: bool,
    },
}

impl RecordKind {
    /// Returns the code of this kind in JSON.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Crashed { .. } => "crashed",
            Self::Restarted => "restarted",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::ClockJumped { .. } => "clock_jumped",
            Self::ClockDrifted { .. } => "clock_drifted",
            Self::Cut { .. } => "cut",
            Self::Healed { .. } => "healed",
            Self::Degraded { .. } => "degraded",
            Self::DiskSlowed { .. } => "disk_slowed",
            Self::FaultsEnded => "calmed",
            Self::Sent(_) => "sent",
            Self::Arrived(_) => "arrived",
            Self::Lost { .. } => "lost",
            Self::Duplicated { .. } => "doubled",
            Self::Rescheduled { .. } => "moved",
            Self::Recovered { .. } => "recovered",
            Self::TenureRecovered { .. } => "kept",
            Self::WaitRecovered { .. } => "kept_wait",
            Self::SessionOpened { .. } => "session_opened",
            Self::SessionExpired { .. } => "session_expired",
            Self::SessionClosed { .. } => "session_closed",
            Self::LockQueued { .. } => "lock_queued",
            Self::LockGranted { .. } => "lock_granted",
            Self::LockReleased { .. } => "lock_released",
            Self::WaitEnded { .. } => "wait_ended",
            Self::FileAppended { .. } => "file_appended",
            Self::RequestRefused { .. } => "request_refused",
            Self::LeaseRenewed { .. } => "lease_renewed",
            Self::DuplicateAnswered { .. } => "duplicate_answered",
            Self::Durable { .. } => "stored",
            Self::WriteFailed => "write_failed",
            Self::FlushFailed => "flush_failed",
            Self::CallStarted { .. } => "called",
            Self::CallEnded { .. } => "answered",
            Self::Believed { .. } => "believed",
            Self::BeliefEnded { .. } => "disbelieved",
            Self::Checked { .. } => "checked",
            Self::Working { .. } => "working",
            Self::SessionLost => "session_lost",
            Self::Finished => "finished",
            Self::RunEnded => "ended",
            Self::Gap { .. } => "unseen",
            Self::FileRead { .. } => "file_read",
        }
    }

    /// Returns the code, followed by the cause if there is one. Coverage is counted by this.
    pub fn code_with_cause(&self) -> String {
        let code = self.code();
        match *self {
            Self::LockGranted { from_queue: true, .. } => format!("{code} from the queue"),
            Self::LockReleased { cause, .. } => format!("{code} {}", SerializedName(cause)),
            Self::WaitEnded { cause, .. } => format!("{code} {}", SerializedName(cause)),
            Self::BeliefEnded { cause, .. } => format!("{code} {}", SerializedName(cause)),
            Self::RequestRefused { code: refusal, .. } => format!("{code} {}", refusal.code()),
            Self::Lost { cause, .. } => format!("{code} {}", SerializedName(cause)),
            Self::CallEnded { outcome, .. } => format!("{code} {}", SerializedName(outcome)),
            Self::FileRead { is_torn: true, .. } => format!("{code} torn"),
            Self::Started
            | Self::Crashed { .. }
            | Self::Restarted
            | Self::Paused { .. }
            | Self::Resumed
            | Self::ClockJumped { .. }
            | Self::ClockDrifted { .. }
            | Self::Cut { .. }
            | Self::Healed { .. }
            | Self::Degraded { .. }
            | Self::DiskSlowed { .. }
            | Self::FaultsEnded
            | Self::Sent(_)
            | Self::Arrived(_)
            | Self::Duplicated { .. }
            | Self::Rescheduled { .. }
            | Self::Recovered { .. }
            | Self::TenureRecovered { .. }
            | Self::WaitRecovered { .. }
            | Self::SessionOpened { .. }
            | Self::SessionExpired { .. }
            | Self::SessionClosed { .. }
            | Self::LockQueued { .. }
            | Self::LockGranted { from_queue: false, .. }
            | Self::FileAppended { .. }
            | Self::LeaseRenewed { .. }
            | Self::DuplicateAnswered { .. }
            | Self::Durable { .. }
            | Self::WriteFailed
            | Self::FlushFailed
            | Self::CallStarted { .. }
            | Self::Believed { .. }
            | Self::Checked { .. }
            | Self::Working { .. }
            | Self::SessionLost
            | Self::Finished
            | Self::RunEnded
            | Self::Gap { .. }
            | Self::FileRead { is_torn: false, .. } => code.to_owned(),
        }
    }
}

/// Displays a unit variant by its name in JSON.
struct SerializedName<T>(T);

impl<T: Serialize> fmt::Display for SerializedName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

impl Record {
    /// Returns a hash of the record that is the same on every machine.
    pub fn fingerprint(&self) -> u64 {
        let Record { at, local_ms, node, kind, causes } = self;
        let mut hash = Fingerprint::new();
        hash.add(at.as_micros());
        hash.add(local_ms.get().unwrap_or(u64::MAX) << 8 | u64::from(node.0));
        hash.add(u64::from(causes.direct().0) << 32 | u64::from(causes.related().0));
        kind.hash(&mut hash);
        hash.0
    }
}
