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

mod menu;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash as _;

use serde::{Deserialize, Serialize};

use super::check::Invariant;
use super::fingerprint::Fingerprint;
use super::interest::Interest;
use super::run::{Intervention, Run};
use super::trace::{Kind, Record, RecordNo};
use super::world::World;
use menu::{Fault, Menu};

pub use menu::FaultKind;

/// How many runs to add to are remembered at most.
const FRONTIER_MAX: usize = 200_000;

/// How far a search goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
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

impl Default for Bounds {
    fn default() -> Self {
        let (mut invariants, mut faults) = (BTreeSet::new(), BTreeSet::new());
        invariants.extend(Invariant::ALL.into_iter().filter(|it| *it != Invariant::L2));
        faults.extend(FaultKind::ALL);
        Self { invariants, faults, faults_max: 3, events_max: 400, states_max: 50_000_000 }
    }
}

/// A violation that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The run that shows it.
    pub run: Run,
    /// How many faults that takes.
    pub faults: usize,
    /// How many events come before it, and it.
    pub events: u32,
    /// What is violated.
    pub invariant: Invariant,
    /// The record that shows it.
    pub witness: RecordNo,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
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
pub enum Stage {
    /// It goes on.
    Searching,
    /// It has found the smallest there is within its bounds.
    Found,
    /// There is none within its bounds.
    Exhausted,
    /// It has looked at as many states as it may.
    GaveUp,
}

/// A search, which goes on as long as it is told to.
#[derive(Clone, Debug)]
pub struct Search {
    run: Run,
    bounds: Bounds,
    stage: Stage,
    progress: Progress,
    best: Option<Found>,
    /// What is added to now: each of these has violated nothing.
    parents: Vec<Vec<Intervention>>,
    /// What will be added to next.
    children: Vec<Vec<Intervention>>,
    seen: BTreeSet<u64>,
    walk: Option<Walk>,
}

/// The way through a run that is added to.
#[derive(Clone, Debug)]
struct Walk {
    done: Vec<Intervention>,
    /// Faults are added in the order in which they happen.
    from_step: u32,
    before: World,
    after: World,
    menu: Menu,
    offers: Vec<Fault>,
}

impl Search {
    /// Of a run, to which faults are added.
    pub fn new(run: Run, bounds: Bounds) -> Self {
        let progress = Progress { faults: 0, states: 0, runs: 0, parents: 0, parents_done: 0 };
        let mut search = Self {
            run,
            bounds,
            stage: Stage::Searching,
            progress,
            best: None,
            parents: Vec::new(),
            children: Vec::new(),
            seen: BTreeSet::new(),
            walk: None,
        };
        search.attempt(World::new(search.run.clone()), Vec::new());
        search
    }

    /// Goes on for about so many states.
    pub fn go(&mut self, states: u64) -> Stage {
        let until = self.progress.states.saturating_add(states);
        while self.stage == Stage::Searching && self.progress.states < until {
            self.advance();
        }
        self.stage
    }

    /// How far it is.
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// How far it may go.
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Whether it is at its end.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The smallest violation that was found so far.
    pub const fn found(&self) -> Option<&Found> {
        self.best.as_ref()
    }

    fn advance(&mut self) {
        if self.progress.states >= self.bounds.states_max {
            self.stage = Stage::GaveUp;
            return;
        }
        let Some(mut walk) = self.walk.take() else {
            self.next_parent();
            return;
        };
        if let Some(fault) = walk.offers.pop() {
            let from = if fault.before { &walk.before } else { &walk.after };
            let world = from.with(&fault.interventions);
            let mut done = walk.done.clone();
            done.extend(fault.interventions);
            self.attempt(world, done);
            self.walk = Some(walk);
        } else if self.step(&mut walk) {
            self.walk = Some(walk);
        }
    }

    /// Goes one step further in the run that is added to. Says whether there was one.
    fn step(&mut self, walk: &mut Walk) -> bool {
        if walk.after.steps() >= self.events_max() {
            return false;
        }
        walk.before = walk.after.clone();
        let mut records = Vec::new();
        if !walk.after.step(&mut records) {
            return false;
        }
        self.progress.states += 1;
        walk.offers = walk.menu.offers(&walk.after, &records);
        if walk.after.steps() < walk.from_step {
            walk.offers.clear();
        }
        true
    }

    /// How many events a run may have to be of interest.
    fn events_max(&self) -> u32 {
        self.best.as_ref().map_or(self.bounds.events_max, |best| best.events - 1)
    }

    fn next_parent(&mut self) {
        if let Some(done) = self.parents.pop() {
            self.progress.parents_done += 1;
            let mut run = self.run.clone();
            run.interventions.extend_from_slice(&done);
            let world = World::new(run);
            let menu = Menu::new(&self.run.config, self.bounds.faults.iter().copied());
            self.walk = Some(Walk {
                from_step: first_step_of(&world, self.run.interventions.len()),
                done,
                before: world.clone(),
                after: world,
                menu,
                offers: Vec::new(),
            });
        } else if let Some(best) = self.best.take() {
            self.best = Some(best.without_the_needless());
            self.stage = Stage::Found;
        } else if self.progress.faults == self.bounds.faults_max || self.children.is_empty() {
            self.stage = Stage::Exhausted;
        } else {
            self.progress.faults += 1;
            self.parents = std::mem::take(&mut self.children);
            // The first that was found is the first to be added to.
            self.parents.reverse();
            (self.progress.parents, self.progress.parents_done) = (self.parents.len(), 0);
        }
    }

    /// Goes through a run to its end, to a violation, or to its bound.
    fn attempt(&mut self, mut world: World, done: Vec<Intervention>) {
        let events_max = self.events_max();
        let mut look = Fingerprint::new();
        let mut records = Vec::new();
        self.progress.runs += 1;
        while world.steps() < events_max && world.step(&mut records) {
            self.progress.states += 1;
            for record in records.drain(..) {
                see(&mut look, &record);
            }
            if let Some((invariant, witness)) = self.violation(&world) {
                let (faults, events) = (self.progress.faults, world.steps());
                let run = world.run().clone();
                self.best = Some(Found { run, faults, events, invariant, witness });
                return;
            }
        }
        let is_new = self.seen.insert(look.0);
        let wanted = self.progress.faults < self.bounds.faults_max && self.best.is_none();
        if is_new && wanted && self.children.len() < FRONTIER_MAX {
            self.children.push(done);
        }
    }

    fn violation(&self, world: &World) -> Option<(Invariant, RecordNo)> {
        if world.checks().is_clean() {
            return None;
        }
        let mut violated = world.checks().violated().into_iter();
        violated.find(|(invariant, _)| self.bounds.invariants.contains(invariant))
    }
}

impl Found {
    /// The same, less whatever is done that it does not need: the end of a fault that comes too
    /// late to matter.
    fn without_the_needless(self) -> Self {
        let mut found = self;
        for place in (0..found.run.interventions.len()).rev() {
            let mut run = found.run.clone();
            run.interventions.remove(place);
            let mut world = World::new(run);
            let mut records = Vec::new();
            while world.steps() < found.events && world.step(&mut records) {}
            let witness = world.checks().status(found.invariant).witness();
            if let Some(witness) = witness {
                let (run, events) = (world.run().clone(), world.steps());
                found = Self { run, events, witness, ..found };
            }
        }
        found
    }
}

/// The step at which the last of the faults, from the `known`th intervention on, begins.
fn first_step_of(world: &World, known: usize) -> u32 {
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
fn see(look: &mut Fingerprint, record: &Record) {
    if Interest::of(record) == Interest::Inner || Interest::of(record) == Interest::Heartbeat {
        return;
    }
    look.add(u64::from(record.node.0));
    if let Kind::Paused { .. } = record.kind {
        look.add(u64::MAX);
    } else {
        record.kind.hash(look);
    }
}

impl fmt::Display for Search {
    /// What came of it, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { faults, states, runs, parents, parents_done } = self.progress;
        let Bounds { faults_max, events_max, .. } = self.bounds;
        let states = Grouped(states);
        match (self.stage, &self.best) {
            (Stage::Found | Stage::GaveUp, Some(found)) => {
                let faults = many(found.faults, "fault");
                let Found { invariant, events, .. } = found;
                write!(f, "{invariant} is violated with {faults} and {events} events ({states} ")?;
                write!(f, "states)")
            }
            (Stage::Searching, _) => {
                write!(
                    f,
                    "{} now, {parents_done} of {parents} runs added ",
                    many(faults, "fault")
                )?;
                write!(f, "to, {} runs and {states} states so far", Grouped(runs))
            }
            (Stage::Exhausted | Stage::Found, _) => {
                let most = many(faults_max, "fault");
                write!(f, "none with at most {most} and {events_max} events ({states} states)")
            }
            (Stage::GaveUp, _) => {
                let most = many(faults.saturating_sub(1), "fault");
                write!(f, "none with at most {most} and {events_max} events; with {faults}, ")?;
                write!(f, "{parents_done} of {parents} runs were added to before it gave up ")?;
                write!(f, "({states} states)")
            }
        }
    }
}

fn many(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A number with its digits in groups of three.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                write!(f, ",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
