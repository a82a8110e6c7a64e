//! Deterministic simulator for the Leasehold lock server: one server, its clients, the network, the
//! clocks and the disk, all in one thread and in virtual time.
//!
//! The server and the clients are the real state machines of `leasehold-core`; everything around
//! them is simulated. The same [`Run`] always produces the same [`Record`]s.
//!
//! - [`Run`] (input): configuration, scripts, seed, disabled protections, and faults to inject.
//! - [`World`] simulates a run step by step; [`History`] moves through it in both directions.
//! - [`Record`] (output): one entry of the trace, with its causes.
//! - [`Checkers`] check the invariants S1–S8, L1 and L2 on the trace alone.
//! - [`Explainer`] and [`Story`] turn a trace into sentences.
//! - [`storm()`] generates a random run; [`Search`] looks for the smallest violation; [`Shrink`]
//!   minimizes a run that has one.
//! - [`library`] contains the [`Scenario`]s for teaching; [`Recording`] is a run with its trace as
//!   JSON.
//!
//! # Example
//!
//! A client is paused while it holds a lock. Its lease expires, the lock is granted to another
//! client, and the first client resumes and appends to the file. Without fencing tokens, the server
//! accepts this stale append:
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use leasehold_sim::{Explainer, Invariant, Protection, Scenario};
//!
//! let scenario = Scenario::from_name("gc-pause").expect("the library contains gc-pause");
//! let run = scenario.run_without(&BTreeSet::from([Protection::Fencing]));
//! let outcome = run.execute();
//!
//! let (invariant, witness) = outcome.first_violation.expect("the stale append is accepted");
//! let violation = Explainer::new(&run, &outcome.trace).violation(invariant, witness);
//! println!("{invariant} is violated: {}", invariant.sentence());
//! println!("{}", violation.expect("every violation is explained").text);
//! # assert_eq!(invariant, Invariant::S2);
//!
//! // With all protections enabled, the same faults violate nothing.
//! let protected = scenario.run_without(&BTreeSet::new());
//! assert!(protected.execute().violations().is_empty());
//! ```

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
mod wait_graph;
mod world;

pub use check::{Checkers, Invariant, InvariantStatus};
pub use event_recorder::{EventRecord, EventRecorder};
pub use explain::{Description, Explainer, TimeLabels, Violation};
pub use export::{Recording, RecordingError, RecordingHeader, mermaid, rust_test, shiviz};
pub use file_lines::{Line, Lines};
pub use history::History;
pub use importance::Importance;
pub use message::{Message, RefusalCode};
pub use protection::Protection;
pub use run::{
    Action, ClientConfig, Config, Disk, Intervention, MODEL_VERSION, Network, NumbersUsed,
    PacketAction, PacketSelector, Run,
};
pub use scenario::{
    Choice, Expected, Goal, Measure, Question, RecordSelector, Scenario, ScenarioGroup, Stop,
    Value, groups_of, library, next_in_teaching_order,
};
pub use script::ScriptStep;
pub use search::{FaultKind, FoundViolation, Search, SearchLimits, SearchProgress, SearchStage};
pub use shrink::Shrink;
pub use storm::{RunOutcome, generate_conditions, storm};
pub use story::{Story, StoryEntry};
pub use subject::Subject;
pub use trace::{
    BeliefEndCause, CallResult, Causes, LinkId, LockId, LossCause, NodeId, Number, PacketId,
    PacketSummary, Record, RecordId, RecordKind,
};
pub use validate::InvalidRun;
pub use virtual_time::VirtualTime;
pub use wait_graph::{WaitEdge, WaitGraph};
pub use world::{
    Belief, ClientView, ClockView, LinkView, PacketView, ScriptActivity, ServerView, World,
};
