//! The last events, in a ring, and who can still go on reading from it.
//!
//! - The ring is of batches, in the order of the indices. A place that was left out is where
//!   events were dropped because they could not be stored: nobody reads across it.
//! - The last batch grows until somebody has read it, so those who look at the same time find
//!   one text that is ready for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::state::State;
use leasehold_core::time::Time;

use super::batch::Batch;
use super::counts::{Counts, Gauges};
use crate::clock::Clock;

/// How many events are kept for those who come back, at least.
pub(super) const RING: usize = 65_536;

/// A viewer that falls behind by more than this gets a snapshot: reading would never get it to
/// the end.
pub(super) const LAG_MAX: u64 = 16_384;

/// What there is after some event.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    Events {
        batch: Arc<Batch>,
        /// The place of the first in it that is to be told.
        from: usize,
        /// Whether these are all that there are.
        is_all: bool,
    },
    /// It isn't known any more, or too much to be worth reading.
    Lost,
}

/// What viewers look at, behind a lock that is never held for long.
#[derive(Debug)]
pub(super) struct Recent {
    ring: VecDeque<Arc<Batch>>,
    /// How many events are in the ring.
    kept: usize,
    index: Index,
    clock: Clock,
    counts: Counts,
    gauges: Gauges,
}

impl Recent {
    pub(super) fn new(state: &State) -> Self {
        Self {
            ring: VecDeque::new(),
            kept: 0,
            index: state.index(),
            clock: Clock::starting_at(state.now()),
            counts: Counts::default(),
            gauges: Gauges::of(state),
        }
    }

    /// Takes in events that `state` has taken in.
    pub(super) fn take(&mut self, events: Vec<Event>, state: &State) {
        for event in &events {
            self.counts.take(&event.fact);
            self.gauges.take(&event.fact);
        }
        self.gauges.take_state(state);
        self.index = state.index();
        // The clock that is ahead is nearer to the server's: the other event was stored slower.
        let clock = Clock::starting_at(state.now());
        if clock.now() > self.clock.now() {
            self.clock = clock;
        }
        self.keep(events);
    }

    fn keep(&mut self, events: Vec<Event>) {
        self.kept += events.len();
        let mut events = events.into_iter();
        if let Some(last) = self.ring.back_mut().and_then(Arc::get_mut) {
            last.extend(&mut events);
        }
        while let Some(batch) = Batch::of(&mut events) {
            self.join_older();
            self.ring.push_back(Arc::new(batch));
        }
        while let Some(oldest) = self.ring.front()
            && self.kept - oldest.events().len() >= RING
        {
            self.kept -= oldest.events().len();
            self.ring.pop_front();
        }
    }

    /// Joins the two batches before the last, where they are small: they were told when little
    /// happened, and who comes back has fewer messages to read. The last may still be read by some
    /// of those who read along.
    fn join_older(&mut self) {
        let Some(last) = self.ring.pop_back() else { return };
        if let Some(second) = self.ring.pop_back() {
            let third = self.ring.back_mut().and_then(Arc::get_mut);
            if !third.is_some_and(|third| third.join(&second)) {
                self.ring.push_back(second);
            }
        }
        self.ring.push_back(last);
    }

    /// What is to be told next to a viewer who has seen everything up to `seen`. One who catches
    /// up may have as far to go as the ring is long.
    pub(super) fn after(&self, seen: Index, catches_up: bool) -> Next {
        if seen == self.index {
            return Next::Nothing;
        }
        let place = self.ring.partition_point(|batch| batch.last() <= seen);
        let Some(batch) = self.ring.get(place) else { return Next::Lost };
        let from = batch.events().partition_point(|event| event.index <= seen);
        // Also where it comes from another time, or from a future that a crash has undone.
        let follows = batch.events()[from].index == seen.next();
        let lags = !catches_up && self.index.number() - seen.number() > LAG_MAX;
        if !follows || lags {
            return Next::Lost;
        }
        Next::Events { batch: Arc::clone(batch), from, is_all: place + 1 == self.ring.len() }
    }

    /// The last event, and what the server's clock shows by now.
    pub(super) fn now(&self) -> (Index, Time) {
        (self.index, self.clock.now())
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) const fn gauges(&self) -> Gauges {
        self.gauges
    }

    #[cfg(test)]
    pub(super) const fn ring(&self) -> &VecDeque<Arc<Batch>> {
        &self.ring
    }
}
