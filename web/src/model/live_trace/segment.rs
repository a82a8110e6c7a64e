//! What was seen without a gap: a state to begin with, and all events after it.

use leasehold_core::event::Event;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;

/// How many events there are between two states that are kept.
pub(super) const CHECKPOINT_INTERVAL: usize = 2_048;

/// A state, and how many events and records there are before it.
#[derive(Clone, Debug)]
struct Checkpoint {
    events: usize,
    records: u32,
    state: State,
}

/// One piece.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The first one stands at the beginning of the piece.
    checkpoints: Vec<Checkpoint>,
    /// Each with how many records there are after it.
    events: Vec<(u32, Event)>,
    clock: ClockReading,
    gap: Gap,
}

/// What a piece was made of: a state, and what was seen after it.
pub(super) struct SegmentParts {
    pub(super) state: State,
    pub(super) clock: ClockReading,
    pub(super) gap: Gap,
    pub(super) events: Vec<Event>,
}

/// What was not seen before a state that was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// Since when nothing was seen; unset where nothing ever was.
    pub(super) since: Option<VirtualTime>,
    pub(super) missed_events: u64,
    /// The server was started again meanwhile.
    pub(super) server_restarted: bool,
}

impl Gap {
    /// Nothing was seen before, and so much is known to have been missed.
    pub(super) const fn initial(missed_events: u64) -> Self {
        Self { since: None, missed_events, server_restarted: false }
    }
}

/// What the server's clock showed at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    pub(super) server_time: Time,
    pub(super) virtual_time: VirtualTime,
}

impl ClockReading {
    /// The moment at which the server's clock shows this.
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

    /// The same clock, as it shows this; at the earliest what it showed at first.
    pub(super) fn advanced_to(self, server_time: Time) -> Self {
        let server_time = server_time.max(self.server_time);
        Self { server_time, virtual_time: self.to_virtual_time(server_time) }
    }
}

impl Segment {
    /// Begins with a state, before which there are so many records.
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

    /// How many states are kept in it.
    pub(super) const fn checkpoint_count(&self) -> usize {
        self.checkpoints.len()
    }

    /// How many records there are before it.
    pub(super) fn first_record(&self) -> u32 {
        self.checkpoints[0].records
    }

    /// One more event, after which there are so many records, and the state after it.
    pub(super) fn push(&mut self, event: Event, records: u32, state: &State) {
        self.events.push((records, event));
        if self.events.len().is_multiple_of(CHECKPOINT_INTERVAL) {
            let events = self.events.len();
            self.checkpoints.push(Checkpoint { events, records, state: state.clone() });
        }
    }

    /// What was so when there were so many records.
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

    /// All of it, to be gone through again.
    pub(super) fn into_parts(self) -> SegmentParts {
        self.split_from(0)
    }

    /// Its younger half. All of it where it is short.
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
