//! The world around the lock service, made of nothing but numbers: network, clocks, disk, faults.
//! The service and the clients in it are the real ones.
//!
//! A [`InvalidRun`] says everything; [`Harness`] goes through it step by step and leaves a trace of
//! [`GoToRecord`]s; [`Checkers`] judges that trace.

mod check;
mod clock;
mod deciding_protection;
mod event_recorder;
mod explain;
mod export;
mod file_lines;
mod fingerprint;
mod history;
mod importance;
mod message;
mod protection;
mod run;
mod scenario;
mod script;
mod search;
mod shrink;
mod storm;
mod story;
mod subject;
mod trace;
mod validate;
mod virtual_time;
mod world;

pub use check::{Checkers, Invariant, InvariantStatus};
pub use event_recorder::{EventRecord, EventRecorder};
pub use explain::{Description, Explainer, Violation};
pub use export::{Recording, RecordingError, RecordingHeader, mermaid, shiviz};
pub use file_lines::{Line, Lines};
pub use history::History;
pub use importance::Importance;
pub use message::{Message, RefusalCode};
pub use protection::Protection;
pub use run::{
    Action, ClientConfig, Config, Disk, Intervention, MODEL_VERSION, Network, PacketAction,
    PacketSelector, Run,
};
pub use scenario::{
    Choice, Expected, Goal, Measure, Question, RecordSelector, Scenario, Stop, Value, library,
};
pub use script::ScriptStep;
pub use search::{FaultKind, FoundViolation, Search, SearchLimits, SearchProgress, SearchStage};
pub use shrink::Shrink;
pub use storm::{RunOutcome, generate_conditions, storm};
pub use story::{Story, StoryEntry};
pub use subject::Subject;
pub use trace::{
    BeliefEndCause, CallResult, Causes, LinkId, LockId, LossCause, NodeId, PacketId, PacketSummary,
    Record, RecordId, RecordKind,
};
pub use validate::InvalidRun;
pub use virtual_time::VirtualTime;
pub use world::{Belief, ClientView, ClockView, LinkView, PacketView, ServerView, World};
