//! What was seen without a gap: a state to begin with, and all events after it.

use leasehold_core::event::Event;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::Moment;

/// How many events there are between two states that are kept.
pub(super) const INTERVAL: usize = 2_048;

/// A state, and how many events and records there are before it.
#[derive(Clone, Debug)]
struct Kept {
    events: usize,
    records: u32,
    state: State,
}

/// One piece.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The first one stands at the beginning of the piece.
    kept: Vec<Kept>,
    /// Each with how many records there are after it.
    events: Vec<(u32, Event)>,
    clock: Clock,
    gap: Gap,
}

/// What a piece was made of: a state, and what was seen after it.
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) gap: Gap,
    pub(super) events: Vec<Event>,
}

/// What was not seen before a state that was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// Since when nothing was seen; unset where nothing ever was.
    pub(super) since: Option<Moment>,
    pub(super) missed: u64,
    /// The server was started again meanwhile.
    pub(super) restarted: bool,
}

impl Gap {
    /// Nothing was seen before, and so much is known to have been missed.
    pub(super) const fn before_all(missed: u64) -> Self {
        Self { since: None, missed, restarted: false }
    }
}

/// What the server's clock showed at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) time: Time,
    pub(super) moment: Moment,
}

impl Clock {
    /// The moment at which the server's clock shows this.
    pub(super) fn moment(self, time: Time) -> Moment {
        let (from, at) = (self.time.as_millis(), time.as_millis());
        let start = self.moment.as_micros();
        let micros = if at >= from {
            start.saturating_add((at - from).saturating_mul(1_000))
        } else {
            start.saturating_sub((from - at).saturating_mul(1_000))
        };
        Moment::from_micros(micros)
    }

    /// The same clock, as it shows this; at the earliest what it showed at first.
    pub(super) fn at(self, time: Time) -> Self {
        let time = time.max(self.time);
        Self { time, moment: self.moment(time) }
    }
}

impl Piece {
    /// Begins with a state, before which there are so many records.
    pub(super) fn new(state: State, clock: Clock, gap: Gap, records: u32) -> Self {
        Self { kept: vec![Kept { events: 0, records, state }], events: Vec::new(), clock, gap }
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) const fn len(&self) -> usize {
        self.events.len()
    }

    /// How many states are kept in it.
    pub(super) const fn states(&self) -> usize {
        self.kept.len()
    }

    /// How many records there are before it.
    pub(super) fn first_record(&self) -> u32 {
        self.kept[0].records
    }

    /// One more event, after which there are so many records, and the state after it.
    pub(super) fn push(&mut self, event: Event, records: u32, state: &State) {
        self.events.push((records, event));
        if self.events.len().is_multiple_of(INTERVAL) {
            let events = self.events.len();
            self.kept.push(Kept { events, records, state: state.clone() });
        }
    }

    /// What was so when there were so many records.
    pub(super) fn state_at(&self, records: u32) -> State {
        let kept = self.kept.partition_point(|kept| kept.records <= records).max(1) - 1;
        let kept = &self.kept[kept];
        let mut state = kept.state.clone();
        let after = self.events[kept.events..].iter();
        after.take_while(|(no, _)| *no <= records).for_each(|(_, event)| state.apply(event));
        state
    }

    /// All of it, to be gone through again.
    pub(super) fn whole(self) -> Seen {
        self.from(0)
    }

    /// Its younger half. All of it where it is short.
    pub(super) fn younger_half(self) -> Seen {
        let middle = self.kept.len() / 2;
        self.from(middle)
    }

    fn from(mut self, kept: usize) -> Seen {
        let Kept { events, state, .. } = self.kept.swap_remove(kept);
        let younger = self.events.split_off(events);
        let events = younger.into_iter().map(|(_, event)| event).collect();
        let clock = if kept == 0 { self.clock } else { self.clock.at(state.now()) };
        Seen { state, clock, gap: self.gap, events }
    }
}
