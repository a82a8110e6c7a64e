//! Looks for the smallest violation of a run: with the fewest faults, and among those with the
//! fewest events.
//!
//! - Iterative deepening: first no fault at all, then every single one that the menu has, then
//!   every pair, and so on. Source: Korf, "Depth-first iterative-deepening", Artificial
//!   Intelligence 27, 1985. Faults are put in where the run that they are added to has something
//!   happen, so the moments follow from the run.
//! - Each try goes on from a copy of the world at the step where the fault comes in.
//! - Runs that look the same, but for when things happened, are added to only once.
//! - What is found is told with what it rests on; what isn't found is told with how far the search
//!   went. Nothing found is no proof that there is nothing.

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

/// How many runs to add to are remembered at most.
const FRONTIER_MAX: usize = 200_000;

/// How far a search goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchLimits {
    /// What it looks for.
    pub invariants: BTreeSet<Invariant>,
    /// Which faults it tries.
    pub faults: BTreeSet<FaultKind>,
    /// How many of them at most.
    pub faults_max: usize,
    /// How many events a run may have.
    pub events_max: u32,
    /// After how many states it gives up.
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
    /// The run that shows it.
    pub run: Run,
    /// How many faults that takes.
    pub faults: usize,
    /// How many events come before it, and it.
    pub events: u32,
    /// What is violated.
    pub invariant: Invariant,
    /// The record that shows it.
    pub witness: RecordId,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchProgress {
    /// How many faults the runs have that are tried now.
    pub faults: usize,
    /// How many states were looked at.
    pub states: u64,
    /// How many runs were tried.
    pub runs: u64,
    /// How many runs of one fault less there are to add to …
    pub parents: usize,
    /// … and how many of them are done.
    pub parents_done: usize,
}

/// Whether a search is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchStage {
    /// It goes on.
    Searching,
    /// It has found the smallest there is within its bounds.
    Found,
    /// There is none within its bounds.
    Exhausted,
    /// It has looked at as many states as it may.
    #[serde(rename = "gave_up")]
    LimitReached,
}

/// A search, which goes on as long as it is told to.
#[derive(Clone, Debug)]
pub struct Search {
    run: Run,
    limits: SearchLimits,
    stage: SearchStage,
    progress: SearchProgress,
    best: Option<FoundViolation>,
    /// What is added to now: each of these has violated nothing.
    parents: Vec<Vec<Intervention>>,
    /// What will be added to next.
    children: Vec<Vec<Intervention>>,
    seen_signatures: BTreeSet<u64>,
    traversal: Option<Traversal>,
}

/// The way through a run that is added to.
#[derive(Clone, Debug)]
struct Traversal {
    added: Vec<Intervention>,
    /// Faults are added in the order in which they happen.
    from_step: u32,
    before: World,
    after: World,
    catalog: FaultCatalog,
    candidates: Vec<Fault>,
}

impl Search {
    /// Of a run, to which faults are added.
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
        search.try_world(World::new(search.run.clone()), Vec::new());
        search
    }

    /// Goes on for about so many states.
    pub fn explore(&mut self, states: u64) -> SearchStage {
        let until = self.progress.states.saturating_add(states);
        while self.stage == SearchStage::Searching && self.progress.states < until {
            self.explore_next();
        }
        self.stage
    }

    /// How far it is.
    pub const fn progress(&self) -> SearchProgress {
        self.progress
    }

    /// How far it may go.
    pub const fn limits(&self) -> &SearchLimits {
        &self.limits
    }

    /// Whether it is at its end.
    pub const fn stage(&self) -> SearchStage {
        self.stage
    }

    /// The smallest violation that was found so far.
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

    /// Goes one step further in the run that is added to. Says whether there was one.
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

    /// How many events a run may have to be of interest.
    fn events_max(&self) -> u32 {
        self.best.as_ref().map_or(self.limits.events_max, |best| best.events - 1)
    }

    fn start_next_parent(&mut self) {
        if let Some(added) = self.parents.pop() {
            self.progress.parents_done += 1;
            let mut run = self.run.clone();
            run.interventions.extend_from_slice(&added);
            let world = World::new(run);
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
            // The first that was found is the first to be added to.
            self.parents.reverse();
            (self.progress.parents, self.progress.parents_done) = (self.parents.len(), 0);
        }
    }

    /// Goes through a run to its end, to a violation, or to its bound.
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
    /// The same, less whatever is done that it does not need: the end of a fault that comes too
    /// late to matter.
    fn minimized(self) -> Self {
        let mut found = self;
        for index in (0..found.run.interventions.len()).rev() {
            let mut run = found.run.clone();
            run.interventions.remove(index);
            let mut world = World::new(run);
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

/// The step at which the last of the faults, from the `known`th intervention on, begins.
fn first_fault_step(world: &World, known: usize) -> u32 {
    let mut world = world.clone();
    let faults = &world.run().interventions[known..];
    let begins = faults.iter().filter_map(|it| it.at_ms).min().unwrap_or(0);
    let mut records = Vec::new();
    while world.now().as_millis() < begins && world.step(&mut records) {
        records.clear();
    }
    world.steps()
}

/// What a run looks like to whoever does not look at the clock.
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
    /// What came of it, in a sentence.
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
                write!(
                    f,
                    "{} now, {parents_done} of {parents} runs added ",
                    pluralize(faults, "fault")
                )?;
                write!(f, "to, {} runs and {states} states so far", GroupedDigits(runs))
            }
            (SearchStage::Exhausted | SearchStage::Found, _) => {
                let most = pluralize(faults_max, "fault");
                write!(f, "none with at most {most} and {events_max} events ({states} states)")
            }
            (SearchStage::LimitReached, _) => {
                let most = pluralize(faults.saturating_sub(1), "fault");
                write!(f, "none with at most {most} and {events_max} events; with {faults}, ")?;
                write!(f, "{parents_done} of {parents} runs were added to before it gave up ")?;
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
