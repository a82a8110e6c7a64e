//! The last events, in a ring, and who can still go on reading from it.
//!
//! - The ring is of batches, in the order of the indices. A place that was left out is where
//!   events were dropped because they could not be stored: nobody reads across it.
//! - The last batch grows until somebody has read it, so those who look at the same time find
//!   one text that is ready for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_core::time::Time;

use super::batch::Batch;
use super::metrics::{Counters, Gauges};
use crate::clock::Clock;

/// How many events are kept for those who come back, at least.
pub(super) const RING_LEN_MIN: usize = 65_536;

/// A viewer that falls behind by more than this gets a snapshot: reading would never get it to
/// the end.
pub(super) const LAG_MAX: u64 = 16_384;

/// What there is after some event.
#[derive(Debug)]
pub(super) enum NextEvents {
    UpToDate,
    Events {
        batch: Arc<Batch>,
        /// The place of the first in it that is to be told.
        first_unseen: usize,
        /// Whether these are all that there are.
        is_last: bool,
    },
    /// It isn't known any more, or too much to be worth reading.
    SnapshotRequired,
}

/// What viewers look at, behind a lock that is never held for long.
#[derive(Debug)]
pub(super) struct RecentEvents {
    ring: VecDeque<Arc<Batch>>,
    /// How many events are in the ring.
    event_count: usize,
    last_index: LogIndex,
    clock: Clock,
    counters: Counters,
    gauges: Gauges,
}

impl RecentEvents {
    pub(super) fn new(state: &State) -> Self {
        Self {
            ring: VecDeque::new(),
            event_count: 0,
            last_index: state.applied_index(),
            clock: Clock::starting_at(state.last_event_at()),
            counters: Counters::default(),
            gauges: Gauges::from_state(state),
        }
    }

    /// Takes in events that `state` has taken in.
    pub(super) fn record(&mut self, events: Vec<Event>, state: &State) {
        for event in &events {
            self.counters.record(&event.kind);
            self.gauges.record(&event.kind);
        }
        self.gauges.update_from_state(state);
        self.last_index = state.applied_index();
        // The clock that is ahead is nearer to the server's: the other event was stored slower.
        let clock = Clock::starting_at(state.last_event_at());
        if clock.now() > self.clock.now() {
            self.clock = clock;
        }
        self.push(events);
    }

    fn push(&mut self, events: Vec<Event>) {
        self.event_count += events.len();
        let mut events = events.into_iter();
        if let Some(last) = self.ring.back_mut().and_then(Arc::get_mut) {
            last.extend(&mut events);
        }
        while let Some(batch) = Batch::take_from(&mut events) {
            self.merge_older();
            self.ring.push_back(Arc::new(batch));
        }
        while let Some(oldest) = self.ring.front()
            && self.event_count - oldest.events().len() >= RING_LEN_MIN
        {
            self.event_count -= oldest.events().len();
            self.ring.pop_front();
        }
    }

    /// Joins the two batches before the last, where they are small: they were told when little
    /// happened, and who comes back has fewer messages to read. The last may still be read by some
    /// of those who read along.
    fn merge_older(&mut self) {
        let Some(last) = self.ring.pop_back() else { return };
        if let Some(second) = self.ring.pop_back() {
            let third = self.ring.back_mut().and_then(Arc::get_mut);
            if !third.is_some_and(|third| third.try_merge(&second)) {
                self.ring.push_back(second);
            }
        }
        self.ring.push_back(last);
    }

    /// What is to be told next to a viewer who has seen everything up to `seen`. One who catches
    /// up may have as far to go as the ring is long.
    pub(super) fn next_after(&self, last_seen: LogIndex, catching_up: bool) -> NextEvents {
        if last_seen == self.last_index {
            return NextEvents::UpToDate;
        }
        let position = self.ring.partition_point(|batch| batch.last_index() <= last_seen);
        let Some(batch) = self.ring.get(position) else { return NextEvents::SnapshotRequired };
        let first_unseen = batch.events().partition_point(|event| event.index <= last_seen);
        // Also where it comes from another time, or from a future that a crash has undone.
        let follows = batch.events()[first_unseen].index == last_seen.next();
        let is_too_far_behind =
            !catching_up && self.last_index.number() - last_seen.number() > LAG_MAX;
        if !follows || is_too_far_behind {
            return NextEvents::SnapshotRequired;
        }
        NextEvents::Events {
            batch: Arc::clone(batch),
            first_unseen,
            is_last: position + 1 == self.ring.len(),
        }
    }

    /// The last event, and what the server's clock shows by now.
    pub(super) fn latest(&self) -> (LogIndex, Time) {
        (self.last_index, self.clock.now())
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) const fn gauges(&self) -> Gauges {
        self.gauges
    }

    #[cfg(test)]
    pub(super) const fn ring(&self) -> &VecDeque<Arc<Batch>> {
        &self.ring
    }
}
