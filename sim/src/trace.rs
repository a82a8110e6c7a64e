//! What happened in a run, one record after the other, each with what caused it.
//!
//! A record is small and has no text: the sentences are made of it when somebody reads them (see
//! [`super::explain`]).

mod causes;

use std::fmt;
use std::hash::{Hash, Hasher};

use leasehold_core::event::{ReleaseCause, WaitEndCause};
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::message::{Message, RefusalCode};
use super::virtual_time::VirtualTime;

pub use causes::Causes;

/// A node: 0 is the server, the first client is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u8);

/// A lock, and its file: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockId(pub u8);

/// One way between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// From where.
    pub from: NodeId,
    /// To where.
    pub to: NodeId,
}

/// A packet: its place among all of its run, copies among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PacketId(pub u32);

/// A record: its place in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub u32);

impl NodeId {
    /// The server.
    pub const SERVER: Self = Self(0);

    /// Somebody of whom nothing is known.
    pub const UNKNOWN: Self = Self(u8::MAX);

    /// Whether it is the server.
    pub const fn is_server(self) -> bool {
        self.0 == 0
    }
}

impl LockId {
    /// No lock: a packet about something else.
    pub const NONE: Self = Self(u8::MAX);
}

impl RecordId {
    /// Nothing: what begins a chain of causes.
    pub const NONE: Self = Self(u32::MAX);

    /// The place as an index, where it is one.
    pub fn index(self) -> Option<usize> {
        if self == Self::NONE { None } else { usize::try_from(self.0).ok() }
    }
}

/// A number of the service's, as a record has it.
pub(super) fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in the world.
    #[serde(rename = "at_us")]
    pub at: VirtualTime,
    /// What the node's own clock showed, in milliseconds.
    pub local_ms: u32,
    /// To whom it happened.
    pub node: NodeId,
    /// What.
    #[serde(flatten)]
    pub kind: RecordKind,
    /// What led to it directly, and what else it rests on.
    pub causes: Causes,
}

/// What a packet is about, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketSummary {
    /// Which packet.
    #[serde(rename = "packet")]
    pub id: PacketId,
    /// The node at its other end.
    pub peer: NodeId,
    /// What it says.
    pub message: Message,
    /// The lock or file that it names.
    pub lock: LockId,
    /// The token that it names, 0 for none; of a `welcome` the session's number, of an `appended`
    /// the place of the line in its file, from 1 on.
    #[serde(rename = "number")]
    pub value: u32,
    /// The number of the request that it is, or answers.
    pub seq: u32,
    /// Why it says no, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalCode>,
}

/// What a refusal says is no part of a run's fingerprint: it follows from what the fingerprint is
/// made of, and traces that were written without it keep theirs.
impl Hash for PacketSummary {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { id: packet, peer, message, lock, value: number, seq, refusal: _ } = *self;
        (packet, peer, message, lock, number, seq).hash(hasher);
    }
}

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The network lost it.
    Network,
    /// Somebody wanted it so.
    Dropped,
    /// The link was cut.
    Cut,
    /// Nobody was there to take it.
    #[serde(rename = "dead")]
    NodeDown,
    /// It came while too much was waiting already.
    Overflow,
}

/// Why a client believes no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeliefEndCause {
    /// It gave the lock back.
    Released,
    /// Its time is over, by its own clock.
    #[serde(rename = "lapsed")]
    Expired,
    /// It died.
    Crashed,
}

/// How a call ended, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// As it should.
    #[serde(rename = "done")]
    Succeeded,
    /// The server said no.
    Refused,
    /// The server said that the lock is not its own, or no longer.
    #[serde(rename = "lost")]
    LockLost,
    /// Nobody answered.
    NoAnswer,
    /// Nobody can tell.
    Unknown,
    /// It was no longer wanted.
    Cancelled,
}

/// What happened. The numbers of sessions, tokens, requests and of the service's own events are
/// those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields' meaning is that of the wire's fields of those names")]
pub enum RecordKind {
    /// A node runs for the first time.
    Started,
    /// It died. For the server: its events up to `kept` are on disk.
    Crashed {
        #[serde(rename = "kept")]
        durable_through: u32,
    },
    /// It runs again.
    Restarted,
    Paused {
        ms: u32,
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
        by_ms: u32,
    },
    /// All faults are over.
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
    /// There is one more of it on its way: `copy`.
    #[serde(rename = "doubled")]
    Duplicated {
        #[serde(rename = "about")]
        packet: PacketSummary,
        copy: PacketId,
    },
    /// It takes longer, or shorter.
    #[serde(rename = "moved")]
    Rescheduled {
        #[serde(rename = "about")]
        packet: PacketSummary,
        by_ms: i32,
    },

    /// The server has read its journal, up to the event `through`.
    Recovered {
        through: u32,
        sessions: u16,
        tenures: u16,
        waits: u16,
    },
    /// A tenure that the journal holds.
    #[serde(rename = "kept")]
    TenureRecovered {
        lock: LockId,
        client: NodeId,
        session: u32,
        token: u32,
    },
    /// A place in line that the journal holds.
    #[serde(rename = "kept_wait")]
    WaitRecovered {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
    },
    SessionOpened {
        client: NodeId,
        session: u32,
        index: u32,
    },
    SessionExpired {
        client: NodeId,
        session: u32,
        index: u32,
    },
    SessionClosed {
        client: NodeId,
        session: u32,
        index: u32,
    },
    LockQueued {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
        position: u16,
        index: u32,
    },
    LockGranted {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
        token: u32,
        from_queue: bool,
        index: u32,
    },
    /// `by` is who asked for it, and `seq` the number of that request; the holder, and 0, where
    /// nobody did.
    LockReleased {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
        token: u32,
        cause: ReleaseCause,
        #[serde(rename = "by")]
        origin: NodeId,
        index: u32,
    },
    WaitEnded {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
        cause: WaitEndCause,
        index: u32,
    },
    /// `line` is its place in the file, counted from 0.
    FileAppended {
        lock: LockId,
        client: NodeId,
        session: u32,
        seq: u32,
        token: u32,
        line: u16,
        index: u32,
    },
    RequestRefused {
        client: NodeId,
        message: Message,
        lock: LockId,
        token: u32,
        /// The token of the live tenure, where it matters.
        current: u32,
        code: RefusalCode,
        seq: u32,
    },
    LeaseRenewed {
        client: NodeId,
        session: u32,
        seq: u32,
    },
    DuplicateAnswered {
        client: NodeId,
        message: Message,
        session: u32,
        seq: u32,
    },
    /// The journal holds the events up to `through`.
    #[serde(rename = "stored")]
    Durable {
        through: u32,
    },
    WriteFailed,
    FlushFailed,

    /// A client asks its library for something.
    #[serde(rename = "called")]
    CallStarted {
        message: Message,
        lock: LockId,
        token: u32,
    },
    /// It has come to an end.
    #[serde(rename = "answered")]
    CallEnded {
        message: Message,
        lock: LockId,
        token: u32,
        #[serde(rename = "end")]
        outcome: CallResult,
    },
    /// A client believes that it has the lock, until then unless it learns more.
    Believed {
        lock: LockId,
        token: u32,
        #[serde(rename = "until_us")]
        until: VirtualTime,
    },
    #[serde(rename = "disbelieved")]
    BeliefEnded {
        lock: LockId,
        token: u32,
        cause: BeliefEndCause,
    },
    /// It looked whether it still has the lock.
    Checked {
        lock: LockId,
        holds: bool,
    },
    Working {
        ms: u32,
    },
    SessionLost,
    /// Its script is through.
    Finished,
    /// The run is over.
    #[serde(rename = "ended")]
    RunEnded,
    /// Nobody looked: so many events of the service are not in the trace. What is so after them
    /// follows.
    #[serde(rename = "unseen")]
    Gap {
        events: u32,
    },
}

impl RecordKind {
    /// The word that it has in a trace.
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
        }
    }

    /// What it is, with its cause where it has one: what storms are counted by.
    #[allow(clippy::wildcard_enum_match_arm, reason = "only these have a cause")]
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
            _ => code.to_owned(),
        }
    }
}

/// Shows something as the word that it is in JSON.
struct SerializedName<T>(T);

impl<T: Serialize> fmt::Display for SerializedName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

impl Record {
    /// A number that differs, as good as surely, wherever two records do.
    pub fn fingerprint(&self) -> u64 {
        let Record { at, local_ms, node, kind, causes } = self;
        let mut hash = Fingerprint::new();
        hash.add(at.as_micros());
        hash.add(u64::from(*local_ms) << 8 | u64::from(node.0));
        hash.add(u64::from(causes.direct().0) << 32 | u64::from(causes.related().0));
        kind.hash(&mut hash);
        hash.0
    }
}
