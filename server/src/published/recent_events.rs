//! A ring of the most recent events, for viewers that are connected or return.
//!
//! - The ring contains batches in the order of their indices. A gap in the indices is where events
//!   were dropped because they could not be stored. No viewer reads across a gap.
//! - The last batch grows until a viewer has read it, so viewers that read at the same time share
//!   one encoded message.

use std::collections::VecDeque;
use std::sync::Arc;

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_core::time::Time;

use super::batch::Batch;
use super::metrics::{Counters, Gauges};
use crate::clock::Clock;

/// The minimum number of events retained for returning viewers.
pub(super) const RING_LEN_MIN: usize = 65_536;

/// A viewer that is further behind than this gets a snapshot, because it would never catch up by
/// reading.
pub(super) const LAG_MAX: u64 = 16_384;

/// The events after a given one.
#[derive(Debug)]
pub(super) enum NextEvents {
    UpToDate,
    Events {
        batch: Arc<Batch>,
        /// The position in the batch of the first event to send.
        first_unseen: usize,
        /// Whether there are no later events.
        is_last: bool,
    },
    /// The events are no longer retained, or too many to read.
    SnapshotRequired,
}

/// The data that viewers read. The lock around it is held only briefly.
#[derive(Debug)]
pub(super) struct RecentEvents {
    ring: VecDeque<Arc<Batch>>,
    /// The number of events in the ring.
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

    /// Records events that are already applied to `state`.
    pub(super) fn record(&mut self, events: Vec<Event>, state: &State) {
        for event in &events {
            self.counters.record(&event.kind);
            self.gauges.record(&event.kind);
        }
        self.gauges.update_from_state(state);
        self.last_index = state.applied_index();
        // Events arrive after a storage delay, so the clock that is ahead is closer to the
        // server's.
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

    /// Merges the two batches before the last if they are small, so that returning viewers read
    /// fewer messages. The last batch may still be in use by connected viewers.
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

    /// Returns the events after `last_seen`. A viewer that is catching up may lag by the whole
    /// ring.
    pub(super) fn next_after(&self, last_seen: LogIndex, catching_up: bool) -> NextEvents {
        if last_seen == self.last_index {
            return NextEvents::UpToDate;
        }
        let position = self.ring.partition_point(|batch| batch.last_index() <= last_seen);
        let Some(batch) = self.ring.get(position) else { return NextEvents::SnapshotRequired };
        let first_unseen = batch.events().partition_point(|event| event.index <= last_seen);
        // Also false for an index from another server, or of events that a crash has undone.
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

    /// Returns the index of the last event, and the estimated time of the server's clock.
    pub(super) fn latest(&self) -> (LogIndex, Time) {
        (self.last_index, self.clock.now())
    }

    pub(super) const fn record_write_failure(&mut self) {
        self.counters.log_write_failures += 1;
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
