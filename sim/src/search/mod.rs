//! Searches for the smallest violation that faults can cause in a run: the fewest faults, and among
//! those the fewest events.
//!
//! - Iterative deepening: first no fault, then each single fault of the catalog, then each pair,
//!   and so on. Source: Korf, "Depth-first iterative-deepening", Artificial Intelligence 27, 1985.
//! - A run with `n` faults is extended to runs with `n + 1` faults, at the steps of that run.
//! - Each try starts from a copy of the world at the step where the fault is injected.
//! - Runs whose traces differ only in their times are extended only once.
//! - A search that finds nothing reports how far it got. It is not a proof that no violation
//!   exists.

mod fault_catalog;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash as _;

use serde::{Deserialize, Serialize};

use super::check::Invariant;
use super::fingerprint::Fingerprint;
use super::importance::Importance;
use super::run::{Intervention, Run};
use super::trace::{Record, RecordId, RecordKind};
use super::world::World;
use fault_catalog::{Fault, FaultCatalog};

pub use fault_catalog::FaultKind;

/// The maximum number of runs retained for extension.
const FRONTIER_MAX: usize = 200_000;

/// The limits of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchLimits {
    /// The invariants whose violation counts.
    pub invariants: BTreeSet<Invariant>,
    /// The kinds of faults to inject.
    pub faults: BTreeSet<FaultKind>,
    /// The maximum number of faults in a run.
    pub faults_max: usize,
    /// The maximum number of events in a run.
    pub events_max: u32,
    /// The number of states after which the search stops.
    pub states_max: u64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        let (mut invariants, mut faults) = (BTreeSet::new(), BTreeSet::new());
        invariants.extend(Invariant::ALL.into_iter().filter(|it| *it != Invariant::L2));
        faults.extend(FaultKind::ALL);
        Self { invariants, faults, faults_max: 3, events_max: 400, states_max: 50_000_000 }
    }
}

/// A violation that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundViolation {
    /// The run that has the violation.
    pub run: Run,
    /// The number of added faults.
    pub faults: usize,
    /// The number of events up to and including the violation.
    pub events: u32,
    /// The violated invariant.
    pub invariant: Invariant,
    /// The record that violates it.
    pub witness: RecordId,
}

/// The progress of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchProgress {
    /// The number of faults in the runs that are tried now.
    pub faults: usize,
    /// The number of states visited.
    pub states: u64,
    /// The number of runs tried.
    pub runs: u64,
    /// The number of runs with one fault less, which are extended.
    pub parents: usize,
    /// How many of them have been started.
    pub parents_done: usize,
}

/// Whether and how a search has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchStage {
    /// The search is running.
    Searching,
    /// The smallest violation within the limits was found.
    Found,
    /// No violation was found within the limits.
    Exhausted,
    /// The maximum number of states was reached.
    #[serde(rename = "gave_up")]
    LimitReached,
}

/// A search. [`Search::explore`] continues it in portions, so that the caller stays responsive.
#[derive(Clone, Debug)]
pub struct Search {
    run: Run,
    limits: SearchLimits,
    stage: SearchStage,
    progress: SearchProgress,
    best: Option<FoundViolation>,
    /// The faults of the runs to extend now, none of which violates an invariant.
    parents: Vec<Vec<Intervention>>,
    /// The faults of the runs to extend at the next depth.
    children: Vec<Vec<Intervention>>,
    seen_signatures: BTreeSet<u64>,
    traversal: Option<Traversal>,
}

/// A traversal of a run that is extended.
#[derive(Clone, Debug)]
struct Traversal {
    added: Vec<Intervention>,
    /// Faults are added in the order of their times, so not before this step.
    from_step: u32,
    before: World,
    after: World,
    catalog: FaultCatalog,
    candidates: Vec<Fault>,
}

impl Search {
    /// Creates a search that adds faults to a run. Tries the run itself first.
    pub fn new(run: Run, limits: SearchLimits) -> Self {
        let progress =
            SearchProgress { faults: 0, states: 0, runs: 0, parents: 0, parents_done: 0 };
        let mut search = Self {
            run,
            limits,
            stage: SearchStage::Searching,
            progress,
            best: None,
            parents: Vec::new(),
            children: Vec::new(),
            seen_signatures: BTreeSet::new(),
            traversal: None,
        };
        search.try_world(World::without_encoding(search.run.clone()), Vec::new());
        search
    }

    /// Continues for about this many states.
    pub fn explore(&mut self, states: u64) -> SearchStage {
        let until = self.progress.states.saturating_add(states);
        while self.stage == SearchStage::Searching && self.progress.states < until {
            self.explore_next();
        }
        self.stage
    }

    /// Returns the progress.
    pub const fn progress(&self) -> SearchProgress {
        self.progress
    }

    /// Returns the limits.
    pub const fn limits(&self) -> &SearchLimits {
        &self.limits
    }

    /// Returns whether and how the search has ended.
    pub const fn stage(&self) -> SearchStage {
        self.stage
    }

    /// Returns the smallest violation so far.
    pub const fn found(&self) -> Option<&FoundViolation> {
        self.best.as_ref()
    }

    fn explore_next(&mut self) {
        if self.progress.states >= self.limits.states_max {
            self.stage = SearchStage::LimitReached;
            return;
        }
        let Some(mut traversal) = self.traversal.take() else {
            self.start_next_parent();
            return;
        };
        if let Some(fault) = traversal.candidates.pop() {
            let from = if fault.before_step { &traversal.before } else { &traversal.after };
            let world = from.with_interventions(&fault.interventions);
            let mut added = traversal.added.clone();
            added.extend(fault.interventions);
            self.try_world(world, added);
            self.traversal = Some(traversal);
        } else if self.step_traversal(&mut traversal) {
            self.traversal = Some(traversal);
        }
    }

    /// Advances the traversal by one step. Returns whether there was one.
    fn step_traversal(&mut self, traversal: &mut Traversal) -> bool {
        if traversal.after.steps() >= self.events_max() {
            return false;
        }
        traversal.before = traversal.after.clone();
        let mut records = Vec::new();
        if !traversal.after.step(&mut records) {
            return false;
        }
        self.progress.states += 1;
        traversal.candidates = traversal.catalog.candidates(&traversal.after, &records);
        if traversal.after.steps() < traversal.from_step {
            traversal.candidates.clear();
        }
        true
    }

    /// The maximum number of events of a run that would improve on the best one.
    fn events_max(&self) -> u32 {
        self.best.as_ref().map_or(self.limits.events_max, |best| best.events - 1)
    }

    fn start_next_parent(&mut self) {
        if let Some(added) = self.parents.pop() {
            self.progress.parents_done += 1;
            let mut run = self.run.clone();
            run.interventions.extend_from_slice(&added);
            let world = World::without_encoding(run);
            let catalog = FaultCatalog::new(&self.run.config, self.limits.faults.iter().copied());
            self.traversal = Some(Traversal {
                from_step: first_fault_step(&world, self.run.interventions.len()),
                added,
                before: world.clone(),
                after: world,
                catalog,
                candidates: Vec::new(),
            });
        } else if let Some(best) = self.best.take() {
            self.best = Some(best.minimized());
            self.stage = SearchStage::Found;
        } else if self.progress.faults == self.limits.faults_max || self.children.is_empty() {
            self.stage = SearchStage::Exhausted;
        } else {
            self.progress.faults += 1;
            self.parents = std::mem::take(&mut self.children);
            // `pop` takes the last one: extend the runs in the order in which they were tried.
            self.parents.reverse();
            (self.progress.parents, self.progress.parents_done) = (self.parents.len(), 0);
        }
    }

    /// Simulates a run to its end, to a violation, or to its limit.
    fn try_world(&mut self, mut world: World, added: Vec<Intervention>) {
        let events_max = self.events_max();
        let mut signature = Fingerprint::new();
        let mut records = Vec::new();
        self.progress.runs += 1;
        while world.steps() < events_max && world.step(&mut records) {
            self.progress.states += 1;
            for record in records.drain(..) {
                hash_record(&mut signature, &record);
            }
            if let Some((invariant, witness)) = self.violation(&world) {
                let (faults, events) = (self.progress.faults, world.steps());
                let run = world.run().clone();
                self.best = Some(FoundViolation { run, faults, events, invariant, witness });
                return;
            }
        }
        let is_new = self.seen_signatures.insert(signature.0);
        let is_expandable = self.progress.faults < self.limits.faults_max && self.best.is_none();
        if is_new && is_expandable && self.children.len() < FRONTIER_MAX {
            self.children.push(added);
        }
    }

    fn violation(&self, world: &World) -> Option<(Invariant, RecordId)> {
        if world.checkers().is_clean() {
            return None;
        }
        let mut violated = world.checkers().violations().into_iter();
        violated.find(|(invariant, _)| self.limits.invariants.contains(invariant))
    }
}

impl FoundViolation {
    /// Removes interventions without which the violation remains, such as the end of a fault that
    /// comes after the violation.
    fn minimized(self) -> Self {
        let mut found = self;
        for index in (0..found.run.interventions.len()).rev() {
            let mut run = found.run.clone();
            run.interventions.remove(index);
            let mut world = World::without_encoding(run);
            let mut records = Vec::new();
            while world.steps() < found.events && world.step(&mut records) {}
            let witness = world.checkers().status(found.invariant).witness();
            if let Some(witness) = witness {
                let (run, events) = (world.run().clone(), world.steps());
                found = Self { run, events, witness, ..found };
            }
        }
        found
    }
}

/// Returns the first step at or after the start of the added faults, which follow the first `known`
/// interventions.
fn first_fault_step(world: &World, known: usize) -> u32 {
    let mut world = world.clone();
    let faults = &world.run().interventions[known..];
    let first_fault_ms = faults.iter().filter_map(|it| it.at_ms).min().unwrap_or(0);
    let mut records = Vec::new();
    while world.now().as_millis() < first_fault_ms && world.step(&mut records) {
        records.clear();
    }
    world.steps()
}

/// Adds a record to the signature of a run, which does not depend on times.
fn hash_record(signature: &mut Fingerprint, record: &Record) {
    if Importance::from_record(record) == Importance::Internal
        || Importance::from_record(record) == Importance::Heartbeat
    {
        return;
    }
    signature.add(u64::from(record.node.0));
    if let RecordKind::Paused { .. } = record.kind {
        signature.add(u64::MAX);
    } else {
        record.kind.hash(signature);
    }
}

impl fmt::Display for Search {
    /// Writes the result or the progress in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SearchProgress { faults, states, runs, parents, parents_done } = self.progress;
        let SearchLimits { faults_max, events_max, .. } = self.limits;
        let states = GroupedDigits(states);
        match (self.stage, &self.best) {
            (SearchStage::Found | SearchStage::LimitReached, Some(found)) => {
                let faults = pluralize(found.faults, "fault");
                let FoundViolation { invariant, events, .. } = found;
                write!(f, "{invariant} is violated with {faults} and {events} events ({states} ")?;
                write!(f, "states)")
            }
            (SearchStage::Searching, _) => {
                let (faults, runs) = (pluralize(faults, "fault"), GroupedDigits(runs));
                write!(f, "trying {faults}: {parents_done} of {parents} runs extended, ")?;
                write!(f, "{runs} runs and {states} states so far")
            }
            (SearchStage::Exhausted | SearchStage::Found, _) => {
                let most = pluralize(faults_max, "fault");
                write!(f, "none with at most {most} and {events_max} events ({states} states)")
            }
            (SearchStage::LimitReached, _) => {
                let most = pluralize(faults.saturating_sub(1), "fault");
                write!(f, "none with at most {most} and {events_max} events; with {faults}, ")?;
                write!(f, "the search stopped after extending {parents_done} of {parents} runs ")?;
                write!(f, "({states} states)")
            }
        }
    }
}

fn pluralize(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A number with its digits in groups of three.
struct GroupedDigits(u64);

impl fmt::Display for GroupedDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                write!(f, ",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
