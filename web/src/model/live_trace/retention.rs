//! Limits the size of a live trace: drops its oldest segments and ended clients, and rebuilds the
//! rest.

use std::iter;

use super::participants::CLIENTS_MAX;
use super::segment::{CHECKPOINT_INTERVAL, Gap, Segment, SegmentParts, SegmentStart};
use super::{GAPS_RETAINED_MIN, LOCKS_MAX, LiveTrace};
use crate::model::intervals::Intervals;

impl LiveTrace {
    /// Drops the oldest events if there are too many. Drops ended clients and unused locks if their
    /// ids have run out.
    pub(super) fn drop_oldest(&mut self, intervals: &mut Intervals) {
        let config = &self.run.config;
        let is_out_of_ids = (config.clients.len() == CLIENTS_MAX
            && self.latest_state.sessions().len() < CLIENTS_MAX / 2)
            || (config.locks.len() == LOCKS_MAX && self.lock_count() < LOCKS_MAX / 2);
        if !is_out_of_ids && self.fits_in_fraction(1) {
            return;
        }
        let events_before = event_count(&self.segments);
        while self.segments.len() > 1 && (is_out_of_ids || !self.fits_in_fraction(2)) {
            self.segments.remove(0);
        }
        let mut segments = std::mem::take(&mut self.segments).into_iter();
        let Some(first_segment) = segments.next() else { return };
        let first_segment = if is_out_of_ids {
            let (state, clock) = (std::mem::take(&mut self.latest_state), first_segment.clock());
            let from = clock.to_virtual_time(state.last_event_at()).max(first_segment.from());
            let start = SegmentStart { state, clock, from, gap: Gap::initial(0) };
            SegmentParts { start, events: Vec::new() }
        } else if first_segment.len() > self.events_max / 2 {
            first_segment.into_newer_half()
        } else {
            first_segment.into_parts()
        };
        self.rebuild(
            iter::once(first_segment).chain(segments.map(Segment::into_parts)).collect(),
            events_before,
            intervals,
        );
    }

    /// Returns the number of locks that are in use or have a file.
    fn lock_count(&self) -> usize {
        let (locks, files) = (self.latest_state.locks(), self.latest_state.files());
        files.len() + locks.keys().filter(|name| !files.contains_key(*name)).count()
    }

    /// Returns whether the trace is smaller than its limits divided by `divisor`.
    fn fits_in_fraction(&self, divisor: usize) -> bool {
        let states: usize = self.segments.iter().map(Segment::checkpoint_count).sum();
        let states_max = GAPS_RETAINED_MIN + self.events_max / CHECKPOINT_INTERVAL;
        event_count(&self.segments) < self.events_max / divisor && states < states_max / divisor
    }

    /// Rebuilds the trace from the segments that remain of `events_before` events.
    fn rebuild(
        &mut self,
        mut segments: Vec<SegmentParts>,
        events_before: usize,
        intervals: &mut Intervals,
    ) {
        let events_left: usize = segments.iter().map(|segment| segment.events.len()).sum();
        let dropped = self.dropped_events + (events_before - events_left) as u64;
        let (generation, end) = (self.generation + 1, self.end);
        *self = Self {
            events_max: self.events_max,
            first_arrival: self.first_arrival,
            dropped_events: dropped,
            generation,
            ..Self::new()
        };
        *intervals = Intervals::default();
        if let Some(first) = segments.first_mut() {
            first.start.gap = Gap::initial(dropped);
        }
        for SegmentParts { start, events } in segments {
            self.begin_segment(start, intervals);
            for event in events {
                // The events were consecutive before, so this does not fail.
                if self.apply_event(event, intervals).is_err() {
                    break;
                }
            }
        }
        self.end = self.end.max(end);
    }
}

fn event_count(segments: &[Segment]) -> usize {
    segments.iter().map(Segment::len).sum()
}
