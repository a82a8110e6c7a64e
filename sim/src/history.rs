//! A run that can be stepped through in both directions.
//!
//! - Moving forward simulates. Moving back restores the last snapshot before the target and
//!   simulates from there, which reproduces the same world because a run is deterministic.
//! - There are at most [`SNAPSHOTS_MAX`] snapshots: when a run grows long, every second one is
//!   removed.

use super::run::{Intervention, Run};
use super::trace::{Record, RecordId};
use super::virtual_time::VirtualTime;
use super::world::World;

/// The initial number of steps between two snapshots.
const INTERVAL: u32 = 256;

/// The number of steps after which the length of the run can be estimated.
const POSITIONS_BEFORE_ESTIMATE: usize = 1_000;

/// The maximum number of snapshots.
const SNAPSHOTS_MAX: usize = 32;

/// The simulated part of a run, and a current position in it.
///
/// A position is a number of steps: at 0 nothing has happened. One step can add several records,
/// all with the same virtual time.
///
/// - [`simulate`](Self::simulate) extends the simulated part; [`seek`](Self::seek) moves the
///   current position.
/// - [`world`](Self::world) and [`past`](Self::past) describe the current position,
///   [`head`](Self::head) and [`trace`](Self::trace) the whole simulated part.
/// - [`fork`](Self::fork) creates another history with one more intervention.
#[derive(Clone, Debug)]
pub struct History {
    /// The records of the simulated part.
    trace: Vec<Record>,
    /// The number of records at each position.
    records: Vec<u32>,
    /// Snapshots, `interval` steps apart; the first is at position 0.
    snapshots: Vec<World>,
    interval: u32,
    /// The world at the last simulated position.
    head: World,
    /// The world at the current position.
    current: World,
}

impl History {
    /// Creates a history of which nothing is simulated yet.
    pub fn new(run: Run) -> Self {
        // Encoding every datagram would more than halve the speed of seeking. The records are the
        // same either way, which a test of `World` checks.
        let world = World::without_encoding(run);
        Self {
            trace: Vec::new(),
            records: vec![0],
            snapshots: vec![world.clone()],
            interval: INTERVAL,
            head: world.clone(),
            current: world,
        }
    }

    /// Returns the run.
    pub fn run(&self) -> &Run {
        self.head.run()
    }

    /// Reserves memory before `steps` more steps are simulated.
    ///
    /// If the capacity does not suffice, reserves enough for the estimated rest of the run and an
    /// eighth more, but for at most `records_max` records. Repeated growth would copy the trace
    /// each time and need three times its memory meanwhile. A short run is left to grow that way.
    pub fn reserve(&mut self, steps: u32, records_max: usize) {
        let (records, positions) = (self.trace.len(), self.records.len());
        let needed = records + (records / positions + 1) * steps as usize;
        // Too few steps for an estimate, and growing a short trace is cheap.
        if positions < POSITIONS_BEFORE_ESTIMATE
            || needed <= self.trace.capacity()
            || self.is_complete()
        {
            return;
        }
        let run_us = u128::from(self.run().config.ends_ms) * 1_000;
        let simulated_us = u128::from(self.head.now().as_micros()).max(1);
        let estimated_records =
            usize::try_from(records as u128 * run_us / simulated_us).unwrap_or(usize::MAX);
        let capacity =
            estimated_records.max(records).saturating_add(records / 8).max(needed).min(records_max);
        let position_capacity = capacity as u128 * positions as u128 / records.max(1) as u128;
        let position_capacity = usize::try_from(position_capacity).unwrap_or(usize::MAX);
        self.trace.reserve_exact(capacity.saturating_sub(records));
        self.records.reserve_exact(position_capacity.saturating_sub(positions));
    }

    /// Simulates up to `steps` more steps without moving the current position. Returns whether the
    /// run is now simulated to its end.
    pub fn simulate(&mut self, steps: u32) -> bool {
        for _ in 0..steps {
            if !self.head.step(&mut self.trace) {
                return true;
            }
            self.records.push(self.head.record_count());
            if self.head.steps().is_multiple_of(self.interval) {
                self.save_snapshot();
            }
        }
        self.is_complete()
    }

    fn save_snapshot(&mut self) {
        if self.snapshots.len() == SNAPSHOTS_MAX {
            let mut number = 0_usize;
            self.snapshots.retain(|_| {
                number += 1;
                !number.is_multiple_of(2)
            });
            self.interval *= 2;
        }
        if self.head.steps().is_multiple_of(self.interval) {
            self.snapshots.push(self.head.clone());
        }
    }

    /// Returns whether the run is simulated to its end.
    pub const fn is_complete(&self) -> bool {
        self.head.is_over()
    }

    /// Returns the last simulated position.
    pub const fn last_position(&self) -> u32 {
        self.head.steps()
    }

    /// Returns the current position.
    pub const fn position(&self) -> u32 {
        self.current.steps()
    }

    /// Returns the world at the current position.
    pub const fn world(&self) -> &World {
        &self.current
    }

    /// Returns the world at the last simulated position. Its checkers have seen the whole trace.
    pub const fn head(&self) -> &World {
        &self.head
    }

    /// Returns the records up to the current position.
    pub fn past(&self) -> &[Record] {
        &self.trace[..self.records_at(self.position())]
    }

    /// Returns all simulated records.
    pub fn trace(&self) -> &[Record] {
        &self.trace
    }

    /// Returns the number of records at a position.
    pub fn records_at(&self, position: u32) -> usize {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.records.len() - 1);
        usize::try_from(self.records[position]).unwrap_or(usize::MAX)
    }

    /// Returns the first position that includes a record, or the last simulated position if the
    /// record is not simulated yet.
    pub fn position_of(&self, record: RecordId) -> u32 {
        let position = self.records.partition_point(|records| *records <= record.0);
        u32::try_from(position).unwrap_or(u32::MAX).min(self.last_position())
    }

    /// Returns the last simulated position whose records are no later than `time`.
    pub fn position_at(&self, time: VirtualTime) -> u32 {
        let records = self.trace.partition_point(|record| record.at <= time);
        let position = self.records.partition_point(|count| *count as usize <= records);
        u32::try_from(position.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Moves to a position, or to the end of the run if that is earlier.
    pub fn seek(&mut self, position: u32) {
        if position > self.last_position() {
            self.simulate(position - self.last_position());
        }
        let position = position.min(self.last_position());
        let snapshot = self.snapshots.partition_point(|world| world.steps() <= position) - 1;
        let snapshot = &self.snapshots[snapshot];
        // Continuing from the current position is shorter, unless a snapshot lies between.
        if position < self.position() || snapshot.steps() > self.position() {
            self.current = snapshot.clone();
        }
        if position == self.last_position() {
            self.current = self.head.clone();
        }
        let mut discarded = Vec::new();
        while self.current.steps() < position && self.current.step(&mut discarded) {
            discarded.clear();
        }
    }

    /// Returns the world at a position without moving there; at the last simulated position if that
    /// is earlier.
    pub fn world_at(&self, position: u32) -> World {
        let position = position.min(self.last_position());
        let snapshot = self.snapshots.partition_point(|world| world.steps() <= position) - 1;
        let mut world = self.snapshots[snapshot].clone();
        let mut discarded = Vec::new();
        while world.steps() < position && world.step(&mut discarded) {
            discarded.clear();
        }
        world
    }

    /// Returns an alternative history: the same run with one more intervention.
    ///
    /// It shares the part before the intervention, so nothing is simulated. Its current position is
    /// the same, or its last simulated position if that is earlier: if the intervention is not
    /// later than the current position, up to the last snapshot before it. An intervention on a
    /// packet without a time can have an effect at any step, so nothing is shared with it.
    #[must_use]
    pub fn fork(&self, intervention: Intervention) -> Self {
        let time = intervention.at_ms.map_or(VirtualTime::START, VirtualTime::from_millis);
        let before = self.snapshots.partition_point(|world| world.now() < time).max(1);
        let more = [intervention];
        let snapshots: Vec<World> =
            self.snapshots[..before].iter().map(|world| world.with_interventions(&more)).collect();
        let last_shared = &self.snapshots[before - 1];
        // Usually the intervention follows the current position, which saves a simulation from the
        // last snapshot up to it.
        let continues_here =
            self.current.now() < time && self.current.steps() > last_shared.steps();
        let head = if continues_here {
            self.current.with_interventions(&more)
        } else {
            snapshots[before - 1].clone()
        };
        let steps = usize::try_from(head.steps()).unwrap_or(usize::MAX);
        let records = usize::try_from(head.record_count()).unwrap_or(usize::MAX);
        // The copies reserve memory for a fork of the same length.
        let mut fork = Self {
            trace: copy_prefix(&self.trace, records),
            records: copy_prefix(&self.records, steps + 1),
            interval: self.interval,
            current: head.clone(),
            head,
            snapshots,
        };
        fork.seek(self.position().min(fork.last_position()));
        fork
    }
}

/// Copies the first `count` items, with capacity for as many as `items` has.
fn copy_prefix<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    let mut prefix = Vec::with_capacity(items.len());
    prefix.extend_from_slice(&items[..count]);
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Action;
    use crate::scenario::Scenario;
    use crate::trace::NodeId;

    /// A run in which clients repeat their scripts for one day.
    fn day_long_history() -> History {
        let mut run = Scenario::from_name("five-clients").unwrap().resolve_run();
        run.config.ends_ms = 86_400_000;
        for client in &mut run.config.clients {
            client.script.push(crate::script::ScriptStep::Repeat { times: u32::MAX });
        }
        History::new(run)
    }

    fn simulate_steps(history: &mut History, steps: u32, records_max: usize) {
        for _ in 0..steps / 50 {
            history.reserve(50, records_max);
            history.simulate(50);
        }
    }

    #[test]
    fn capacity_is_reserved_once_and_never_beyond_the_limit() {
        let mut history = day_long_history();
        simulate_steps(&mut history, 2_000, 60_000);
        let (record_capacity, position_capacity) =
            (history.trace.capacity(), history.records.capacity());
        assert!((59_000..=60_000).contains(&record_capacity), "{record_capacity}: a day is longer");
        simulate_steps(&mut history, 10_000, 60_000);
        assert!(history.trace.len() > 20_000);
        assert_eq!(
            (history.trace.capacity(), history.records.capacity()),
            (record_capacity, position_capacity)
        );
        assert!(position_capacity < record_capacity, "{position_capacity}");
    }

    #[test]
    fn late_fork_reserves_capacity_for_the_run_and_early_fork_little() {
        let mut history = day_long_history();
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        history.simulate(3);
        let mut early = history.fork(Intervention::at(1, crash.clone()));
        simulate_steps(&mut early, 500, 60_000);
        assert!(early.trace.capacity() < 10_000, "{}", early.trace.capacity());
        simulate_steps(&mut history, 5_000, 60_000);
        history.seek(4_990);
        let late = history.fork(Intervention::at(history.world().now().as_millis(), crash));
        assert_eq!(late.trace.capacity(), history.trace.len());
    }
}
