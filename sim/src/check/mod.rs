//! Checkers for the invariants, which evaluate the records of a run.
//!
//! - The checkers do not read the state of the server or of the clients. They derive their own
//!   state from the trace, so a bug in the server cannot hide itself.
//! - A violation is permanent. The first record that shows it is its witness.
//! - All numbers are compared exactly. If a record contains a number that is not known, its effects
//!   are not known either: the checkers stop, rather than accuse a correct server later.

mod answers;
mod append_calls;
mod beliefs;
mod node;
mod recent;
mod session;
mod state;
mod wait_queues;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::run::Run;
use super::trace::{Record, RecordId};
use super::virtual_time::VirtualTime;
pub(super) use answers::is_final;
use state::CheckerState;

/// The safety (S) and liveness (L) invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`sentence` documents each")]
pub enum Invariant {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    L1,
    L2,
}

impl Invariant {
    /// All invariants.
    pub const ALL: [Self; 10] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::L1,
        Self::L2,
    ];

    /// Returns the short name, such as `S1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::S4 => "S4",
            Self::S5 => "S5",
            Self::S6 => "S6",
            Self::S7 => "S7",
            Self::S8 => "S8",
            Self::L1 => "L1",
            Self::L2 => "L2",
        }
    }

    /// Returns the title, such as `Token order`, in sentence case.
    pub const fn title(self) -> &'static str {
        match self {
            Self::S1 => "One tenure",
            Self::S2 => "Token order",
            Self::S3 => "At most once",
            Self::S4 => "Only the holder writes",
            Self::S5 => "Survives a crash",
            Self::S6 => "Own release only",
            Self::S7 => "Belief is safe",
            Self::S8 => "Queue order",
            Self::L1 => "Dead holder freed",
            Self::L2 => "Every client served",
        }
    }

    /// Returns name and title, such as `S2 Token order`.
    pub fn heading(self) -> String {
        format!("{} {}", self.name(), self.title())
    }

    /// Returns the invariant as a sentence, without a full stop.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::S1 => "a lock has at most one live tenure at the server",
            Self::S2 => "the tokens of the appends applied to a file never decrease",
            Self::S3 => {
                "a request is executed at most once, and its answer is final: \
                 each acknowledged append is in its file exactly once"
            }
            Self::S4 => {
                "every applied append was by the lock's holder, under its current token, \
                 inside its lease"
            }
            Self::S5 => {
                "what was acknowledged survives a crash of the server: \
                 locks, tokens, replies, bytes"
            }
            Self::S6 => "a release ends the releaser's own tenure only",
            Self::S7 => "a client believes that it holds a lock only while the server agrees",
            Self::S8 => {
                "a free lock goes at once to the first in the wait queue that is not silent"
            }
            Self::L1 => "a dead holder's lock is free again within its lease",
            Self::L2 => "once faults stop, every live client that wants a lock gets it",
        }
    }

    /// Returns the invariant with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|invariant| invariant.name() == name)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The status of an invariant in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum InvariantStatus {
    /// It was put to the test and holds so far.
    Ok,
    /// It is violated.
    Violated {
        /// The first record that shows it.
        witness: RecordId,
    },
    /// No record has put it to the test yet.
    NotYet,
    /// It cannot be checked in this run.
    Unchecked,
}

impl InvariantStatus {
    /// Returns the code that the page's test hooks use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Violated { .. } => "violated",
            Self::NotYet => "not_yet",
            Self::Unchecked => "unchecked",
        }
    }

    /// Returns the witness if the invariant is violated.
    pub const fn witness(self) -> Option<RecordId> {
        match self {
            Self::Violated { witness } => Some(witness),
            Self::Ok | Self::NotYet | Self::Unchecked => None,
        }
    }
}

/// The checkers of all invariants, and their findings so far.
#[derive(Clone, Debug)]
pub struct Checkers {
    findings: Findings,
    state: CheckerState,
    /// Whether a record contained an unknown number.
    has_stopped: bool,
}

#[derive(Clone, Debug)]
struct Findings([InvariantStatus; Invariant::ALL.len()]);

impl Findings {
    /// Records that a record put an invariant to the test, and it held.
    fn record_holds(&mut self, invariant: Invariant) {
        let status = &mut self.0[invariant as usize];
        if *status == InvariantStatus::NotYet {
            *status = InvariantStatus::Ok;
        }
    }

    fn record_violation(&mut self, invariant: Invariant, witness: RecordId) {
        let status = &mut self.0[invariant as usize];
        if status.witness().is_none() {
            *status = InvariantStatus::Violated { witness };
        }
    }

    fn violate_if(&mut self, invariant: Invariant, witness: RecordId, is_violated: bool) {
        if is_violated {
            self.record_violation(invariant, witness);
        }
    }

    fn check(&mut self, invariant: Invariant, witness: RecordId, holds: bool) {
        if holds {
            self.record_holds(invariant);
        } else {
            self.record_violation(invariant, witness);
        }
    }

    /// Marks everything as unchecked that is not violated.
    fn stop(&mut self) {
        for status in self.0.iter_mut().filter(|status| status.witness().is_none()) {
            *status = InvariantStatus::Unchecked;
        }
    }
}

impl Checkers {
    pub(super) fn new(run: &Run) -> Self {
        let config = &run.config;
        let (locks, clients) = (config.locks.len(), config.clients.len());
        let mut state = CheckerState::new(locks, clients, config.lease_ms);
        let mut findings = Findings([InvariantStatus::NotYet; Invariant::ALL.len()]);
        if let Some(faults_end_ms) = config.faults_end_ms {
            state.enable_l2(VirtualTime::from_millis(faults_end_ms));
        } else {
            findings.0[Invariant::L2 as usize] = InvariantStatus::Unchecked;
        }
        Self { findings, state, has_stopped: false }
    }

    /// Creates checkers for the events of a real server, with these maximum numbers of locks and
    /// clients. Invariants that concern the clients' view are unchecked: acknowledgements (S5),
    /// beliefs (S7) and progress (L2).
    pub fn for_server(locks: usize, clients: usize) -> Self {
        let mut findings = Findings([InvariantStatus::NotYet; Invariant::ALL.len()]);
        for unknown in [Invariant::S5, Invariant::S7, Invariant::L2] {
            findings.0[unknown as usize] = InvariantStatus::Unchecked;
        }
        let state = CheckerState::new(locks, clients, 0);
        Self { findings, state, has_stopped: false }
    }

    /// Raises the lease length if this one is longer. If leases differ, the longest one applies to
    /// all.
    pub fn raise_max_lease(&mut self, lease_ms: u64) {
        self.state.raise_max_lease(lease_ms);
    }

    /// Checks the complete trace of a run.
    pub fn from_trace(run: &Run, trace: &[Record]) -> Self {
        let mut checkers = Self::new(run);
        for (id, record) in (0_u32..).zip(trace) {
            checkers.observe(RecordId(id), record);
        }
        checkers
    }

    /// Checks the next record. The first unknown number ends all checks: what is not violated by
    /// then is unchecked.
    pub fn observe(&mut self, id: RecordId, record: &Record) {
        if !self.has_stopped && self.state.observe(id, record, &mut self.findings).is_none() {
            self.has_stopped = true;
            self.findings.stop();
        }
    }

    /// Returns the status of an invariant.
    pub const fn status(&self, invariant: Invariant) -> InvariantStatus {
        self.findings.0[invariant as usize]
    }

    /// Whether no invariant is violated so far.
    pub fn is_clean(&self) -> bool {
        self.findings.0.iter().all(|status| status.witness().is_none())
    }

    /// Returns the violated invariants, in the order of their witnesses.
    pub fn violations(&self) -> Vec<(Invariant, RecordId)> {
        let witness = |invariant| Some((invariant, self.status(invariant).witness()?));
        sorted_by_witness(Invariant::ALL.into_iter().filter_map(witness))
    }
}

/// Sorts violations by witness.
pub(super) fn sorted_by_witness(
    violations: impl Iterator<Item = (Invariant, RecordId)>,
) -> Vec<(Invariant, RecordId)> {
    let mut violations: Vec<_> = violations.collect();
    violations.sort_by_cached_key(|(invariant, witness)| {
        (u64::from(witness.0) << 8) | u64::from(*invariant as u8)
    });
    violations
}
