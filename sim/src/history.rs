//! A run that one goes through in both directions.
//!
//! Forwards is simulating. Backwards is taking the last snapshot before the place and simulating
//! from there, which leads to the same place since the same run always goes the same way. There
//! are never more than [`SNAPSHOTS_MAX`] snapshots: where a run grows long, every second one goes.

use super::moment::Moment;
use super::run::{Intervention, Run};
use super::trace::{Record, RecordNo};
use super::world::World;

/// How many steps there are between two snapshots, at first.
const INTERVAL: u32 = 256;

/// After so many steps one can guess how long a run will be.
const PLACES_TO_GUESS: usize = 1_000;

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
    at: World,
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
            at: world,
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        self.head.run()
    }

    /// Where there is no room for so many steps more, makes enough for the whole run and an eighth,
    /// if that goes on as it did, but never for more records than these: what grows by and by is
    /// copied each time, and takes three times the room meanwhile. A run of few steps does.
    pub fn make_room(&mut self, steps: u32, records_max: usize) {
        let (records, places) = (self.trace.len(), self.records.len());
        let needed = records + (records / places + 1) * steps as usize;
        // Of few steps one can't tell, and few take little room however they grow.
        if places < PLACES_TO_GUESS || needed <= self.trace.capacity() || self.is_whole() {
            return;
        }
        let whole_us = u128::from(self.run().config.ends_ms) * 1_000;
        let so_far_us = u128::from(self.head.now().as_micros()).max(1);
        let whole = usize::try_from(records as u128 * whole_us / so_far_us).unwrap_or(usize::MAX);
        let room = whole.max(records).saturating_add(records / 8).max(needed).min(records_max);
        let room_of_places = room as u128 * places as u128 / records.max(1) as u128;
        let room_of_places = usize::try_from(room_of_places).unwrap_or(usize::MAX);
        self.trace.reserve_exact(room.saturating_sub(records));
        self.records.reserve_exact(room_of_places.saturating_sub(places));
    }

    /// Simulates up to this many steps more than there are so far, without going there. Says
    /// whether the run is now known to its end.
    pub fn simulate(&mut self, steps: u32) -> bool {
        for _ in 0..steps {
            if !self.head.step(&mut self.trace) {
                return true;
            }
            self.records.push(self.head.records());
            if self.head.steps().is_multiple_of(self.interval) {
                self.keep_snapshot();
            }
        }
        self.is_whole()
    }

    fn keep_snapshot(&mut self) {
        if self.snapshots.len() == SNAPSHOTS_MAX {
            let mut place = 0_usize;
            self.snapshots.retain(|_| {
                place += 1;
                !place.is_multiple_of(2)
            });
            self.interval *= 2;
        }
        if self.head.steps().is_multiple_of(self.interval) {
            self.snapshots.push(self.head.clone());
        }
    }

    /// Whether the run is known to its end.
    pub const fn is_whole(&self) -> bool {
        self.head.is_over()
    }

    /// The last place that is known.
    pub const fn last(&self) -> u32 {
        self.head.steps()
    }

    /// The place one is at.
    pub const fn place(&self) -> u32 {
        self.at.steps()
    }

    /// The world at this place.
    pub const fn world(&self) -> &World {
        &self.at
    }

    /// The world at the last place that is known: what the checkers say of all of it.
    pub const fn head(&self) -> &World {
        &self.head
    }

    /// The records up to this place.
    pub fn past(&self) -> &[Record] {
        &self.trace[..self.records_at(self.place())]
    }

    /// All records that are known.
    pub fn trace(&self) -> &[Record] {
        &self.trace
    }

    /// How many records there are at a place.
    pub fn records_at(&self, place: u32) -> usize {
        let place = usize::try_from(place).unwrap_or(usize::MAX).min(self.records.len() - 1);
        usize::try_from(self.records[place]).unwrap_or(usize::MAX)
    }

    /// The place behind a record: the first one where it has happened. The last one that is known,
    /// where it hasn't yet.
    pub fn place_of(&self, record: RecordNo) -> u32 {
        let place = self.records.partition_point(|records| *records <= record.0);
        u32::try_from(place).unwrap_or(u32::MAX).min(self.last())
    }

    /// The last place that is known at which it was no later than this.
    pub fn place_at(&self, moment: Moment) -> u32 {
        let records = self.trace.partition_point(|record| record.at <= moment);
        let place = self.records.partition_point(|it| *it as usize <= records);
        u32::try_from(place.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Goes to a place, or as far towards it as the run goes.
    pub fn seek(&mut self, place: u32) {
        if place > self.last() {
            self.simulate(place - self.last());
        }
        let place = place.min(self.last());
        let snapshot = self.snapshots.partition_point(|world| world.steps() <= place) - 1;
        let snapshot = &self.snapshots[snapshot];
        // Going on from here is shorter, unless there is a snapshot on the way.
        if place < self.place() || snapshot.steps() > self.place() {
            self.at = snapshot.clone();
        }
        if place == self.last() {
            self.at = self.head.clone();
        }
        let mut again = Vec::new();
        while self.at.steps() < place && self.at.step(&mut again) {
            again.clear();
        }
    }

    /// The world at a place, without going there; at the last one that is known, where that is
    /// earlier.
    pub fn world_at(&self, place: u32) -> World {
        let place = place.min(self.last());
        let snapshot = self.snapshots.partition_point(|world| world.steps() <= place) - 1;
        let mut world = self.snapshots[snapshot].clone();
        let mut again = Vec::new();
        while world.steps() < place && world.step(&mut again) {
            again.clear();
        }
        world
    }

    /// Another future: the same run, to which this is done too. What is known of it is what comes
    /// before that; the place is the same, or the last one that is known.
    ///
    /// What is done to a packet when it is sent counts from the beginning on.
    #[must_use]
    pub fn fork(&self, intervention: Intervention) -> Self {
        let moment = intervention.at_ms.map_or(Moment::START, Moment::from_millis);
        let before = self.snapshots.partition_point(|world| world.now() < moment).max(1);
        let more = [intervention];
        let snapshots: Vec<World> =
            self.snapshots[..before].iter().map(|world| world.with(&more)).collect();
        let head = snapshots[before - 1].clone();
        let steps = usize::try_from(head.steps()).unwrap_or(usize::MAX);
        let records = usize::try_from(head.records()).unwrap_or(usize::MAX);
        // It will be about as long.
        let mut fork = Self {
            trace: beginning(&self.trace, records),
            records: beginning(&self.records, steps + 1),
            interval: self.interval,
            at: head.clone(),
            head,
            snapshots,
        };
        while fork.last() < self.place() && fork.head.now() < moment && !fork.simulate(1) {}
        fork.seek(self.place().min(fork.last()));
        fork
    }
}

/// So many of the first items, with room for as many as there are.
fn beginning<T: Copy>(all: &[T], count: usize) -> Vec<T> {
    let mut some = Vec::with_capacity(all.len());
    some.extend_from_slice(&all[..count]);
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Action;
    use crate::scenario::Scenario;
    use crate::trace::NodeNo;

    /// Clients that do the same for a day.
    fn long() -> History {
        let mut run = Scenario::named("five-clients").unwrap().run();
        run.config.ends_ms = 86_400_000;
        for client in &mut run.config.clients {
            client.script.push(crate::script::Step::Repeat { times: u32::MAX });
        }
        History::new(run)
    }

    fn go_on(history: &mut History, steps: u32, records_max: usize) {
        for _ in 0..steps / 50 {
            history.make_room(50, records_max);
            history.simulate(50);
        }
    }

    #[test]
    fn room_is_made_once_and_never_for_more_than_is_wanted() {
        let mut history = long();
        go_on(&mut history, 2_000, 60_000);
        let (room, places) = (history.trace.capacity(), history.records.capacity());
        assert!((59_000..=60_000).contains(&room), "{room}: a day is longer");
        go_on(&mut history, 10_000, 60_000);
        assert!(history.trace.len() > 20_000);
        assert_eq!((history.trace.capacity(), history.records.capacity()), (room, places));
        assert!(places < room, "{places}");
    }

    #[test]
    fn a_fork_has_the_room_of_a_run_and_at_the_beginning_hardly_any() {
        let mut history = long();
        let crash = Action::Crash { node: NodeNo(1), keeps_unflushed: false };
        history.simulate(3);
        let mut early = history.fork(Intervention::at(1, crash.clone()));
        go_on(&mut early, 500, 60_000);
        assert!(early.trace.capacity() < 10_000, "{}", early.trace.capacity());
        go_on(&mut history, 5_000, 60_000);
        history.seek(4_990);
        let late = history.fork(Intervention::at(history.world().now().as_millis(), crash));
        assert_eq!(late.trace.capacity(), history.trace.len());
    }
}
