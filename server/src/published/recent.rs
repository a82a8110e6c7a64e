//! The last events, in a ring, and who can still go on reading from it.
//!
//! - The ring is in the order of the indices. A place that was left out is where events were
//!   dropped because they could not be stored: nobody reads across it.

use std::collections::VecDeque;
use std::sync::Arc;

use leasehold_core::id::Index;
use leasehold_core::state::State;
use leasehold_core::time::Time;

use super::Shown;
use super::counts::{Counts, Gauges};
use crate::clock::Clock;

/// How many events are kept for those who come back.
pub(super) const RING: usize = 65_536;

/// A viewer that falls behind by more than this gets a snapshot: reading would never get it to
/// the end.
pub(super) const LAG_MAX: usize = 16_384;

/// What there is after some event.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    Events {
        events: Vec<Arc<Shown>>,
        /// Whether these are all that there are.
        is_all: bool,
    },
    /// It isn't known any more, or too much to be worth reading.
    Lost,
}

/// What viewers look at, behind a lock that is never held for long.
#[derive(Debug)]
pub(super) struct Recent {
    ring: VecDeque<Arc<Shown>>,
    index: Index,
    clock: Clock,
    counts: Counts,
    gauges: Gauges,
}

impl Recent {
    pub(super) fn new(state: &State) -> Self {
        Self {
            ring: VecDeque::with_capacity(RING),
            index: state.index(),
            clock: Clock::starting_at(state.now()),
            counts: Counts::default(),
            gauges: Gauges::of(state),
        }
    }

    /// Takes in events that `state` has taken in.
    pub(super) fn take(&mut self, events: Vec<Arc<Shown>>, state: &State) {
        for shown in events {
            self.counts.take(&shown.event.fact);
            self.gauges.take(&shown.event.fact);
            if self.ring.len() == RING {
                self.ring.pop_front();
            }
            self.ring.push_back(shown);
        }
        self.gauges.take_state(state);
        self.index = state.index();
        // The clock that is ahead is nearer to the server's: the other event was stored slower.
        let clock = Clock::starting_at(state.now());
        if clock.now() > self.clock.now() {
            self.clock = clock;
        }
    }

    /// What is to be told to a viewer who has seen everything up to `seen`, at most `limit`
    /// events. One who catches up may have as far to go as the ring is long.
    pub(super) fn after(&self, seen: Index, limit: usize, catches_up: bool) -> Next {
        if seen == self.index {
            return Next::Nothing;
        }
        let from = self.ring.partition_point(|shown| shown.event.index <= seen);
        let left = self.ring.len() - from;
        // Also where it comes from another time, or from a future that a crash has undone.
        let follows = self.ring.get(from).is_some_and(|next| next.event.index == seen.next());
        if !follows || left > if catches_up { RING } else { LAG_MAX } {
            return Next::Lost;
        }
        let mut last = seen;
        let gapless = self.ring.range(from..).take(limit).take_while(|shown| {
            let follows = shown.event.index == last.next();
            last = shown.event.index;
            follows
        });
        let events: Vec<_> = gapless.cloned().collect();
        Next::Events { is_all: events.len() == left, events }
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
    pub(super) const fn ring(&self) -> &VecDeque<Arc<Shown>> {
        &self.ring
    }
}
