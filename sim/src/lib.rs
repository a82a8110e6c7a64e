//! The world around the lock service, made of nothing but numbers: network, clocks, disk, faults.
//! The service and the clients in it are the real ones.
//!
//! A [`Run`] says everything; [`World`] goes through it step by step and leaves a trace of
//! [`Record`]s; [`Checks`] judges that trace.

mod check;
mod clock;
mod explain;
mod export;
mod file;
mod fingerprint;
mod history;
mod interest;
mod ledger;
mod message;
mod moment;
mod protection;
mod rule;
mod run;
mod scenario;
mod script;
mod search;
mod shrink;
mod storm;
mod story;
mod subject;
mod trace;
mod valid;
mod world;

pub use check::{Checks, Invariant, Status};
pub use explain::{Teller, Told, Violation};
pub use export::{BadRecording, Recording, Trace, mermaid, shiviz};
pub use file::{Line, Lines};
pub use history::History;
pub use interest::Interest;
pub use ledger::{Decision, Ledger};
pub use message::{Code, Message};
pub use moment::Moment;
pub use protection::Protection;
pub use run::{
    Action, ClientConfig, Config, Disk, Fate, Intervention, Network, PacketName, Run, VERSION,
};
pub use scenario::{
    Choice, Expected, Goal, Mark, Measure, Question, Scenario, Stop, Value, library,
};
pub use script::Step;
pub use search::{Bounds, FaultKind, Found, Progress, Search, Stage};
pub use shrink::Shrink;
pub use storm::{Outcome, storm, weather};
pub use story::{Part, Story};
pub use subject::Subject;
pub use trace::{
    About, CallEnd, Causes, DisbeliefCause, Kind, LinkNo, LockNo, LossCause, NodeNo, PacketNo,
    Record, RecordNo,
};
pub use valid::BadRun;
pub use world::{Belief, ClientView, ClockView, LinkView, PacketView, ServerView, World};
