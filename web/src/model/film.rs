//! One run on the screen: as far as it is simulated, the place one is at, and what lasts in it.

use std::rc::Rc;

use leasehold_core::sim::{
    History, Interest, Intervention, Invariant, Moment, NodeNo, Record, RecordNo, Run, Status,
    World,
};

use super::bars::Bars;
use super::fields::Sight;

/// How many steps are simulated at once when a run is opened: all that lectures use.
const STEPS_AT_FIRST: u32 = 60_000;

/// How many more in between, where a run is longer.
const STEPS_MORE: u32 = 5_000;

/// Longer runs than this are shown up to here.
const RECORDS_MAX: u32 = 1_000_000;

/// A run, and a place in it.
pub(crate) struct Film {
    history: History,
    bars: Rc<Bars>,
    /// The time one is at: between two steps, or at one.
    now: Moment,
}

impl Film {
    /// At its beginning.
    pub(crate) fn new(run: Run) -> Self {
        Self::of(History::new(run))
    }

    fn of(history: History) -> Self {
        let now = history.world().now();
        let mut film = Self { history, bars: Rc::default(), now };
        film.simulate(STEPS_AT_FIRST);
        film
    }

    /// Another future: the same run, to which this is done too, at the same moment.
    pub(crate) fn fork(&self, intervention: Intervention) -> Self {
        let mut film = Self::of(self.history.fork(intervention));
        film.go_to(self.now);
        film
    }

    /// Another run, at the same moment.
    pub(crate) fn other(&self, run: Run) -> Self {
        let mut film = Self::new(run);
        film.go_to(self.now);
        film
    }

    /// Simulates more, where the run isn't whole. Says whether it did.
    pub(crate) fn simulate_more(&mut self) -> bool {
        if self.is_whole() {
            return false;
        }
        self.simulate(STEPS_MORE);
        true
    }

    fn simulate(&mut self, steps: u32) {
        self.history.simulate(steps);
        Rc::make_mut(&mut self.bars).take(self.history.trace());
    }

    /// Whether all of it is there.
    pub(crate) fn is_whole(&self) -> bool {
        self.history.is_whole() || self.is_cut()
    }

    /// Whether it goes on beyond what is shown.
    pub(crate) fn is_cut(&self) -> bool {
        self.history.head().records() >= RECORDS_MAX
    }

    pub(crate) fn run(&self) -> &Run {
        self.history.run()
    }

    pub(crate) fn world(&self) -> &World {
        self.history.world()
    }

    /// The world at the end of all that is known.
    pub(crate) fn head(&self) -> &World {
        self.history.head()
    }

    pub(crate) fn trace(&self) -> &[Record] {
        self.history.trace()
    }

    /// What has happened up to here.
    pub(crate) fn past(&self) -> &[Record] {
        self.history.past()
    }

    /// As the inspector looks at it.
    pub(crate) fn sight(&self) -> Sight<'_> {
        Sight { world: self.world(), trace: self.trace(), now: self.now }
    }

    /// The world one step before.
    pub(crate) fn one_step_before(&self) -> Option<World> {
        Some(self.history.world_at(self.place().checked_sub(1)?))
    }

    /// The first record of the step that leads to a place.
    pub(crate) fn first_record_of(&self, place: u32) -> u32 {
        let from = if place == 0 { 0 } else { self.history.records_at(place - 1) };
        u32::try_from(from).unwrap_or(u32::MAX)
    }

    pub(crate) fn bars(&self) -> Rc<Bars> {
        Rc::clone(&self.bars)
    }

    pub(crate) fn place(&self) -> u32 {
        self.history.place()
    }

    /// The last place that is known.
    pub(crate) fn last_place(&self) -> u32 {
        self.history.last()
    }

    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// When it ends, as far as it is known.
    pub(crate) fn end(&self) -> Moment {
        self.history.head().now()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.is_whole() && self.place() == self.history.last() && self.now >= self.end()
    }

    /// The fingerprint of all of it.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.history.head().fingerprint()
    }

    /// What is said of an invariant up to here, and of the whole run.
    pub(crate) fn statuses(&self) -> Vec<(Invariant, Status, Status)> {
        let whole = self.history.head();
        let here = self.world().statuses().into_iter();
        here.map(|(it, status)| (it, status, whole.checks().status(it))).collect()
    }

    /// All that is violated in it, by the order of the witnesses.
    pub(crate) fn violated(&self) -> Vec<(Invariant, RecordNo)> {
        self.history.head().checks().violated()
    }

    /// The same, each with its moment.
    pub(crate) fn violations(&self) -> Vec<(Invariant, Moment, RecordNo)> {
        let violated = self.violated().into_iter();
        violated.filter_map(|(it, no)| Some((it, moment_of(self.trace(), no)?, no))).collect()
    }

    /// Goes to a moment: whatever happened by then has happened.
    pub(crate) fn go_to(&mut self, moment: Moment) {
        let moment = moment.min(self.end());
        let place = self.history.place_at(moment);
        if place != self.history.place() {
            self.history.seek(place);
        }
        self.now = moment;
    }

    /// Goes to a place, and to the moment of its step.
    pub(crate) fn go_to_place(&mut self, place: u32) {
        self.history.seek(place);
        self.now = self.history.world().now();
    }

    /// The place behind a record, so that it is the last thing that has happened.
    pub(crate) fn place_of(&self, record: RecordNo) -> u32 {
        self.history.place_of(record)
    }

    /// The records of the step that led to a place.
    pub(crate) fn step_at(&self, place: u32) -> &[Record] {
        let from = if place == 0 { 0 } else { self.history.records_at(place - 1) };
        &self.trace()[from..self.history.records_at(place)]
    }

    /// The place of the next step that matters so much, or concerns this node; none where there
    /// is none. Backwards the one before.
    pub(crate) fn next_place(&self, forward: bool, wanted: Wanted) -> Option<u32> {
        let violated = self.violated();
        let is_wanted = |place: &u32| {
            let from = if *place == 0 { 0 } else { self.history.records_at(*place - 1) };
            let step = self.step_at(*place);
            step.iter().enumerate().any(|(nth, record)| {
                let no = u32::try_from(from + nth).unwrap_or(u32::MAX);
                wanted.is(record, violated.iter().any(|(_, witness)| witness.0 == no))
            })
        };
        if forward {
            (self.place() + 1..=self.history.last()).find(is_wanted)
        } else {
            (0..self.place()).rev().find(|place| *place == 0 || is_wanted(place))
        }
    }
}

/// What one looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What matters at least so much.
    Interest(Interest),
    /// What happens to this node, but for what goes on inside.
    Node(NodeNo),
    Violation,
}

impl Wanted {
    fn is(self, record: &Record, violates: bool) -> bool {
        match self {
            Self::Interest(least) => violates || Interest::of(record) >= least,
            Self::Node(node) => {
                let subject = record.kind.subject();
                let about = record.node == node || subject.client == Some(node);
                about && Interest::of(record) > Interest::Heartbeat
            }
            Self::Violation => violates,
        }
    }
}

/// The moment of a record.
pub(crate) fn moment_of(trace: &[Record], no: RecordNo) -> Option<Moment> {
    trace.get(no.place()?).map(|record| record.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_core::sim::{Action, Scenario};

    fn film(name: &str) -> Film {
        Film::new(Scenario::named(name).unwrap().run())
    }

    #[test]
    fn steps_forward_and_back_lead_to_the_same_place() {
        let mut film = film("gc-pause");
        film.go_to_place(40);
        let (now, fingerprint) = (film.now(), film.world().fingerprint());
        for _ in 0..25 {
            film.go_to_place(film.place() + 1);
        }
        for _ in 0..25 {
            film.go_to_place(film.place() - 1);
        }
        assert_eq!((film.now(), film.world().fingerprint()), (now, fingerprint));
    }

    #[test]
    fn between_two_steps_nothing_happens() {
        let mut film = film("gc-pause");
        film.go_to_place(30);
        let at = film.now();
        film.go_to(at + 1);
        assert_eq!((film.place(), film.now()), (30, at + 1));
        assert_eq!(film.step_at(30).last(), film.past().last());
    }

    #[test]
    fn an_intervention_makes_another_future_of_the_same_past() {
        let mut film = film("gc-pause");
        film.go_to(Moment::from_millis(1_000));
        let crash = Action::Crash { node: NodeNo(1), keeps_unflushed: false };
        let fork = film.fork(Intervention::at(1_001, crash));
        assert_eq!((fork.place(), fork.past()), (film.place(), film.past()));
        assert_ne!(fork.fingerprint(), film.fingerprint());
    }

    #[test]
    fn what_matters_is_found_in_both_directions() {
        let mut film = film("gc-pause");
        let grants = Wanted::Interest(Interest::Grant);
        let first = film.next_place(true, grants).unwrap();
        film.go_to_place(first);
        let second = film.next_place(true, grants).unwrap();
        assert!(second > first);
        film.go_to_place(second);
        assert_eq!(film.next_place(false, grants), Some(first));
    }
}
