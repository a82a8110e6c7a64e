//! A run that one goes through in both directions.
//!
//! Forwards is simulating. Backwards is taking the last snapshot before the place and simulating
//! from there, which leads to the same place since the same run always goes the same way. There
//! are never more than [`SNAPSHOTS_MAX`] snapshots: where a run grows long, every second one goes.

use super::run::{Intervention, Run};
use super::trace::{Record, RecordId};
use super::virtual_time::VirtualTime;
use super::world::World;

/// How many steps there are between two snapshots, at first.
const INTERVAL: u32 = 256;

/// After so many steps one can guess how long a run will be.
const POSITIONS_BEFORE_ESTIMATE: usize = 1_000;

/// How many snapshots there are at most.
const SNAPSHOTS_MAX: usize = 32;

/// A run, as far as it was simulated, and a place in it.
///
/// Places are counted in steps: at 0 nothing has happened. One step can leave several records,
/// all of the same moment.
#[derive(Clone, Debug)]
pub struct History {
    /// All records that there are so far.
    trace: Vec<Record>,
    /// How many records there are at each place.
    records: Vec<u32>,
    /// Snapshots, `interval` steps apart, the first one at 0.
    snapshots: Vec<World>,
    interval: u32,
    /// The furthest place.
    head: World,
    /// The place one is at.
    current: World,
}

impl History {
    /// The run, at its beginning.
    pub fn new(run: Run) -> Self {
        let world = World::new(run);
        Self {
            trace: Vec::new(),
            records: vec![0],
            snapshots: vec![world.clone()],
            interval: INTERVAL,
            head: world.clone(),
            current: world,
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        self.head.run()
    }

    /// Where there is no room for so many steps more, makes enough for the whole run and an eighth,
    /// if that goes on as it did, but never for more records than these: what grows by and by is
    /// copied each time, and takes three times the room meanwhile. A run of few steps does.
    pub fn reserve(&mut self, steps: u32, records_max: usize) {
        let (records, positions) = (self.trace.len(), self.records.len());
        let needed = records + (records / positions + 1) * steps as usize;
        // Of few steps one can't tell, and few take little room however they grow.
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

    /// Simulates up to this many steps more than there are so far, without going there. Says
    /// whether the run is now known to its end.
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

    /// Whether the run is known to its end.
    pub const fn is_complete(&self) -> bool {
        self.head.is_over()
    }

    /// The last place that is known.
    pub const fn last_position(&self) -> u32 {
        self.head.steps()
    }

    /// The place one is at.
    pub const fn position(&self) -> u32 {
        self.current.steps()
    }

    /// The world at this place.
    pub const fn world(&self) -> &World {
        &self.current
    }

    /// The world at the last place that is known: what the checkers say of all of it.
    pub const fn head(&self) -> &World {
        &self.head
    }

    /// The records up to this place.
    pub fn past(&self) -> &[Record] {
        &self.trace[..self.records_at(self.position())]
    }

    /// All records that are known.
    pub fn trace(&self) -> &[Record] {
        &self.trace
    }

    /// How many records there are at a place.
    pub fn records_at(&self, position: u32) -> usize {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.records.len() - 1);
        usize::try_from(self.records[position]).unwrap_or(usize::MAX)
    }

    /// The place behind a record: the first one where it has happened. The last one that is known,
    /// where it hasn't yet.
    pub fn position_of(&self, record: RecordId) -> u32 {
        let position = self.records.partition_point(|records| *records <= record.0);
        u32::try_from(position).unwrap_or(u32::MAX).min(self.last_position())
    }

    /// The last place that is known at which it was no later than this.
    pub fn position_at(&self, time: VirtualTime) -> u32 {
        let records = self.trace.partition_point(|record| record.at <= time);
        let position = self.records.partition_point(|count| *count as usize <= records);
        u32::try_from(position.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Goes to a place, or as far towards it as the run goes.
    pub fn seek(&mut self, position: u32) {
        if position > self.last_position() {
            self.simulate(position - self.last_position());
        }
        let position = position.min(self.last_position());
        let snapshot = self.snapshots.partition_point(|world| world.steps() <= position) - 1;
        let snapshot = &self.snapshots[snapshot];
        // Going on from here is shorter, unless there is a snapshot on the way.
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

    /// The world at a place, without going there; at the last one that is known, where that is
    /// earlier.
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

    /// Another future: the same run, to which this is done too. What is known of it is what comes
    /// before that; the place is the same, or the last one that is known.
    ///
    /// What is done to a packet when it is sent counts from the beginning on.
    #[must_use]
    pub fn fork(&self, intervention: Intervention) -> Self {
        let time = intervention.at_ms.map_or(VirtualTime::START, VirtualTime::from_millis);
        let before = self.snapshots.partition_point(|world| world.now() < time).max(1);
        let more = [intervention];
        let snapshots: Vec<World> =
            self.snapshots[..before].iter().map(|world| world.with_interventions(&more)).collect();
        let head = snapshots[before - 1].clone();
        let steps = usize::try_from(head.steps()).unwrap_or(usize::MAX);
        let records = usize::try_from(head.record_count()).unwrap_or(usize::MAX);
        // It will be about as long.
        let mut fork = Self {
            trace: copy_prefix(&self.trace, records),
            records: copy_prefix(&self.records, steps + 1),
            interval: self.interval,
            current: head.clone(),
            head,
            snapshots,
        };
        while fork.last_position() < self.position() && fork.head.now() < time && !fork.simulate(1)
        {
        }
        fork.seek(self.position().min(fork.last_position()));
        fork
    }
}

/// So many of the first items, with room for as many as there are.
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

    /// Clients that do the same for a day.
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
