//! A segment of a live trace: an initial state, and all events after it without a gap.

use leasehold_core::event::Event;
use leasehold_core::state::State;
use leasehold_sim::VirtualTime;

use super::clock::ServerClock;

/// The number of events between two checkpoints.
pub(super) const CHECKPOINT_INTERVAL: usize = 2_048;

/// A state, and the number of events and records before it.
#[derive(Clone, Debug)]
struct Checkpoint {
    events: usize,
    records: u32,
    state: State,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The first checkpoint is the initial state.
    checkpoints: Vec<Checkpoint>,
    /// Each with the number of records up to and including its own.
    events: Vec<(u32, Event)>,
    clock: ServerClock,
    from: VirtualTime,
    gap: Gap,
}

/// The beginning of a segment.
pub(super) struct SegmentStart {
    pub(super) state: State,
    pub(super) clock: ServerClock,
    /// The time of the state. No event of the segment is earlier.
    pub(super) from: VirtualTime,
    pub(super) gap: Gap,
}

/// The parts of a segment, from which it can be rebuilt.
pub(super) struct SegmentParts {
    pub(super) start: SegmentStart,
    pub(super) events: Vec<Event>,
}

/// The gap before a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// The time of the last message before it; `None` at the beginning.
    pub(super) since: Option<VirtualTime>,
    /// The number of missed events; `None` if it is unknown, because the server was restarted.
    pub(super) missed_events: Option<u64>,
    /// Whether the server was restarted during the gap.
    pub(super) server_restarted: bool,
}

impl Gap {
    /// The gap at the beginning of a trace.
    pub(super) const fn initial(missed_events: u64) -> Self {
        Self { since: None, missed_events: Some(missed_events), server_restarted: false }
    }
}

impl Segment {
    /// Starts a segment whose state follows `records` records.
    pub(super) fn new(start: SegmentStart, records: u32) -> Self {
        let SegmentStart { state, clock, from, gap } = start;
        let checkpoints = vec![Checkpoint { events: 0, records, state }];
        Self { checkpoints, events: Vec::new(), clock, from, gap }
    }

    pub(super) const fn clock(&self) -> ServerClock {
        self.clock
    }

    /// Returns the time of the initial state.
    pub(super) const fn from(&self) -> VirtualTime {
        self.from
    }

    pub(super) const fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) const fn checkpoint_count(&self) -> usize {
        self.checkpoints.len()
    }

    /// Returns the number of records before it.
    pub(super) fn first_record(&self) -> u32 {
        self.checkpoints[0].records
    }

    /// Appends an event. `records` is the number of records after it, and `state` the state after
    /// it.
    pub(super) fn push(&mut self, event: Event, records: u32, state: &State) {
        self.events.push((records, event));
        if self.events.len().is_multiple_of(CHECKPOINT_INTERVAL) {
            let events = self.events.len();
            self.checkpoints.push(Checkpoint { events, records, state: state.clone() });
        }
    }

    /// Returns the state after the first `records` records.
    pub(super) fn state_at(&self, records: u32) -> State {
        let checkpoint =
            self.checkpoints.partition_point(|checkpoint| checkpoint.records <= records).max(1) - 1;
        let checkpoint = &self.checkpoints[checkpoint];
        let mut state = checkpoint.state.clone();
        let later_events = self.events[checkpoint.events..].iter();
        later_events
            .take_while(|(record_count, _)| *record_count <= records)
            .for_each(|(_, event)| state.apply(event));
        state
    }

    pub(super) fn into_parts(self) -> SegmentParts {
        self.split_from(0)
    }

    /// Returns the newer half, or everything if there is only one checkpoint.
    pub(super) fn into_newer_half(self) -> SegmentParts {
        let middle = self.checkpoints.len() / 2;
        self.split_from(middle)
    }

    fn split_from(mut self, checkpoint: usize) -> SegmentParts {
        let Checkpoint { events, state, .. } = self.checkpoints.swap_remove(checkpoint);
        let newer_events = self.events.split_off(events);
        let events = newer_events.into_iter().map(|(_, event)| event).collect();
        let from = if checkpoint == 0 {
            self.from
        } else {
            self.clock.to_virtual_time(state.last_event_at()).max(self.from)
        };
        let start = SegmentStart { state, clock: self.clock, from, gap: self.gap };
        SegmentParts { start, events }
    }
}
