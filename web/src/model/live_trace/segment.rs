//! A segment of a live trace: an initial state, and all events after it without a gap.

use leasehold_core::event::Event;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;

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
    clock: ClockReading,
    gap: Gap,
}

/// The parts of a segment, from which it can be rebuilt.
pub(super) struct SegmentParts {
    pub(super) state: State,
    pub(super) clock: ClockReading,
    pub(super) gap: Gap,
    pub(super) events: Vec<Event>,
}

/// The gap before a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// The time of the last message before it; `None` at the beginning.
    pub(super) since: Option<VirtualTime>,
    pub(super) missed_events: u64,
    /// Whether the server was restarted during the gap.
    pub(super) server_restarted: bool,
}

impl Gap {
    /// The gap at the beginning of a trace.
    pub(super) const fn initial(missed_events: u64) -> Self {
        Self { since: None, missed_events, server_restarted: false }
    }
}

/// A reading of the server's clock at a virtual time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    pub(super) server_time: Time,
    pub(super) virtual_time: VirtualTime,
}

impl ClockReading {
    /// Returns the virtual time at which the server's clock shows `server_time`.
    pub(super) fn to_virtual_time(self, server_time: Time) -> VirtualTime {
        let (from, at) = (self.server_time.as_millis(), server_time.as_millis());
        let start = self.virtual_time.as_micros();
        let micros = if at >= from {
            start.saturating_add((at - from).saturating_mul(1_000))
        } else {
            start.saturating_sub((from - at).saturating_mul(1_000))
        };
        VirtualTime::from_micros(micros)
    }

    /// Returns the same clock at a later reading.
    pub(super) fn advanced_to(self, server_time: Time) -> Self {
        let server_time = server_time.max(self.server_time);
        Self { server_time, virtual_time: self.to_virtual_time(server_time) }
    }
}

impl Segment {
    /// Starts a segment with a state that follows `records` records.
    pub(super) fn new(state: State, clock: ClockReading, gap: Gap, records: u32) -> Self {
        Self {
            checkpoints: vec![Checkpoint { events: 0, records, state }],
            events: Vec::new(),
            clock,
            gap,
        }
    }

    pub(super) const fn clock(&self) -> ClockReading {
        self.clock
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
        let clock = if checkpoint == 0 {
            self.clock
        } else {
            self.clock.advanced_to(state.last_event_at())
        };
        SegmentParts { state, clock, gap: self.gap, events }
    }
}
