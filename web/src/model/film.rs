//! One run on the screen, simulated or seen: as far as it is known, the place one is at, and what
//! lasts in it.

use std::rc::Rc;

use leasehold_sim::{
    History, Interest, Intervention, Invariant, Moment, NodeNo, Record, RecordNo, Run, Status,
    World,
};

use super::bars::Bars;
use super::fields::Sight;
use super::footage::Footage;
use super::scene::Scene;

/// How many steps are simulated at once when a run is opened: all that lectures use.
const STEPS_AT_FIRST: u32 = 60_000;

/// How many more in between, where a run is longer.
const STEPS_MORE: u32 = 5_000;

/// Longer runs than this are shown up to here.
const RECORDS_MAX: u32 = 1_000_000;

/// How many steps are simulated without a look at how many records there are.
const STEPS_UNSEEN: u32 = 50;

/// More than these add.
const RECORDS_SPARE: usize = 2_000;

/// A run, and a place in it.
pub(crate) struct Film {
    reel: Reel,
    bars: Rc<Bars>,
    /// The time one is at: between two steps, or at one.
    now: Moment,
}

/// Where it comes from.
enum Reel {
    Simulated(Box<History>),
    Seen(Box<Seen>),
}

/// What was seen of a real server, and how many of its records have happened where one is.
struct Seen {
    footage: Footage,
    place: u32,
}

impl Film {
    /// At its beginning.
    pub(crate) fn new(run: Run) -> Self {
        Self::of(History::new(run))
    }

    fn of(history: History) -> Self {
        let now = history.world().now();
        let mut film = Self { reel: Reel::Simulated(Box::new(history)), bars: Rc::default(), now };
        film.simulate(STEPS_AT_FIRST);
        film
    }

    /// What was seen of a real server, from its beginning.
    pub(crate) fn seen(footage: Footage, bars: Bars) -> Self {
        let now = footage.begin();
        let reel = Reel::Seen(Box::new(Seen { footage, place: 0 }));
        let mut film = Self { reel, bars: Rc::new(bars), now };
        film.go_to(now);
        film
    }

    /// Another future: the same run, to which this is done too, at the same moment. What was seen
    /// has no other.
    pub(crate) fn fork(&self, intervention: Intervention) -> Option<Self> {
        let Reel::Simulated(history) = &self.reel else { return None };
        let mut film = Self::of(history.fork(intervention));
        film.go_as(self);
        Some(film)
    }

    /// Another run, at the same moment.
    pub(crate) fn other(&self, run: Run) -> Self {
        let mut film = Self::new(run);
        film.go_as(self);
        film
    }

    /// Goes to where the other one is: to the same step too, where the two have the same past.
    pub(crate) fn go_as(&mut self, other: &Self) {
        self.go_to(other.now);
        if self.place() != other.place() && self.trace().starts_with(other.past()) {
            self.go_to_step(other.place(), other.now);
        }
    }

    /// Goes to a moment, and among the steps of that moment to this one, if it is one of them.
    pub(crate) fn go_to_step(&mut self, place: u32, moment: Moment) {
        let last = self.step_at(place.min(self.last_place())).last();
        if last.is_some_and(|record| record.at == moment) {
            self.go_to_place(place);
        } else {
            self.go_to(moment);
        }
    }

    /// Simulates more, where the run isn't whole. Says whether it did.
    pub(crate) fn simulate_more(&mut self) -> bool {
        if self.is_whole() {
            return false;
        }
        self.simulate(STEPS_MORE);
        true
    }

    fn simulate(&mut self, mut steps: u32) {
        let Reel::Simulated(history) = &mut self.reel else { return };
        while steps > 0 && history.head().records() < RECORDS_MAX {
            let now = steps.min(STEPS_UNSEEN);
            history.make_room(now, place_of(RECORDS_MAX) + RECORDS_SPARE);
            if history.simulate(now) {
                break;
            }
            steps -= now;
        }
        Rc::make_mut(&mut self.bars).take(history.trace());
    }

    /// What was seen, where it was.
    pub(crate) fn footage(&self) -> Option<&Footage> {
        match &self.reel {
            Reel::Seen(seen) => Some(&seen.footage),
            Reel::Simulated(_) => None,
        }
    }

    /// Lets what was seen grow. One stays at the same moment.
    pub(crate) fn grow<T>(&mut self, grow: impl FnOnce(&mut Footage, &mut Bars) -> T) -> Option<T> {
        let Reel::Seen(seen) = &mut self.reel else { return None };
        let numbering = |footage: &Footage| (footage.generation(), footage.begin());
        let before = numbering(&seen.footage);
        let grown = grow(&mut seen.footage, Rc::make_mut(&mut self.bars));
        if numbering(&seen.footage) != before {
            // Other records have other numbers now.
            let now = self.now.max(seen.footage.begin());
            self.go_to(now);
        }
        Some(grown)
    }

    fn history(&self) -> Option<&History> {
        match &self.reel {
            Reel::Simulated(history) => Some(history),
            Reel::Seen(_) => None,
        }
    }

    /// Whether all of it is there.
    pub(crate) fn is_whole(&self) -> bool {
        self.history().is_none_or(History::is_whole) || self.is_cut()
    }

    /// Whether it goes on beyond what is shown.
    pub(crate) fn is_cut(&self) -> bool {
        self.head().is_some_and(|head| head.records() >= RECORDS_MAX)
    }

    pub(crate) fn run(&self) -> &Run {
        match &self.reel {
            Reel::Simulated(history) => history.run(),
            Reel::Seen(seen) => seen.footage.run(),
        }
    }

    /// The simulated world, where it is one.
    pub(crate) fn world(&self) -> Option<&World> {
        self.history().map(History::world)
    }

    /// The world at the end of all that is known, where it is a simulated one.
    pub(crate) fn head(&self) -> Option<&World> {
        self.history().map(History::head)
    }

    pub(crate) fn trace(&self) -> &[Record] {
        match &self.reel {
            Reel::Simulated(history) => history.trace(),
            Reel::Seen(seen) => seen.footage.records(),
        }
    }

    /// What has happened up to here.
    pub(crate) fn past(&self) -> &[Record] {
        &self.trace()[..self.records_at(self.place())]
    }

    /// How many records there are at a place.
    fn records_at(&self, place: u32) -> usize {
        match &self.reel {
            Reel::Simulated(history) => history.records_at(place),
            // Each record is a step by itself.
            Reel::Seen(seen) => place_of(place).min(seen.footage.records().len()),
        }
    }

    /// What everybody is like here.
    pub(crate) fn scene(&self) -> Scene {
        match &self.reel {
            Reel::Simulated(history) => Scene::of_world(history.world(), self.past()),
            Reel::Seen(seen) => Scene::of_footage(&seen.footage, seen.place, self.now),
        }
    }

    /// As the inspector looks at it.
    pub(crate) fn sight(&self) -> Sight<'_> {
        Sight { run: self.run(), world: self.world(), trace: self.trace(), now: self.now }
    }

    /// The scene one step before, and what there is to see of it.
    pub(crate) fn one_step_before<T>(
        &self,
        look: impl FnOnce(Sight<'_>, &Scene) -> T,
    ) -> Option<T> {
        let before = self.place().checked_sub(1)?;
        let trace = &self.trace()[..self.records_at(before)];
        let run = self.run();
        Some(match &self.reel {
            Reel::Simulated(history) => {
                let world = history.world_at(before);
                let scene = Scene::of_world(&world, trace);
                look(Sight { run, world: Some(&world), trace, now: world.now() }, &scene)
            }
            Reel::Seen(seen) => {
                let now = trace.last().map_or(self.now, |record| record.at);
                let scene = Scene::of_footage(&seen.footage, before, now);
                look(Sight { run, world: None, trace, now }, &scene)
            }
        })
    }

    /// The first record of the step that leads to a place.
    pub(crate) fn first_record_of(&self, place: u32) -> u32 {
        let from = if place == 0 { 0 } else { self.records_at(place - 1) };
        u32::try_from(from).unwrap_or(u32::MAX)
    }

    pub(crate) fn bars(&self) -> Rc<Bars> {
        Rc::clone(&self.bars)
    }

    pub(crate) fn place(&self) -> u32 {
        match &self.reel {
            Reel::Simulated(history) => history.place(),
            Reel::Seen(seen) => seen.place,
        }
    }

    /// The last place that is known.
    pub(crate) fn last_place(&self) -> u32 {
        match &self.reel {
            Reel::Simulated(history) => history.last(),
            Reel::Seen(seen) => u32::try_from(seen.footage.records().len()).unwrap_or(u32::MAX),
        }
    }

    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// When the last step was.
    pub(crate) fn step_moment(&self) -> Moment {
        let last = || self.past().last().map_or(self.begin(), |record| record.at);
        self.world().map_or_else(last, World::now)
    }

    /// When it begins.
    pub(crate) fn begin(&self) -> Moment {
        self.footage().map_or(Moment::START, Footage::begin)
    }

    /// When it ends, as far as it is known.
    pub(crate) fn end(&self) -> Moment {
        match &self.reel {
            Reel::Simulated(history) => history.head().now(),
            Reel::Seen(seen) => seen.footage.end(),
        }
    }

    /// Whether there are more steps of this very moment to come.
    pub(crate) fn is_within_moment(&self) -> bool {
        let next = self.trace().get(self.records_at(self.place()));
        next.is_some_and(|record| record.at == self.now)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.is_whole() && self.place() == self.last_place() && self.now >= self.end()
    }

    /// The fingerprint of all of it; what was seen has none.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.head().map_or(0, World::fingerprint)
    }

    /// What is said of an invariant up to here, and of the whole run.
    pub(crate) fn statuses(&self) -> Vec<(Invariant, Status, Status)> {
        match &self.reel {
            Reel::Simulated(history) => {
                let whole = history.head();
                let here = history.world().statuses().into_iter();
                here.map(|(it, status)| (it, status, whole.checks().status(it))).collect()
            }
            Reel::Seen(seen) => {
                let status = |it, place| seen.footage.status(it, place);
                let all = Invariant::ALL.into_iter();
                all.map(|it| (it, status(it, seen.place), status(it, u32::MAX))).collect()
            }
        }
    }

    /// All that is violated in it, by the order of the witnesses.
    pub(crate) fn violated(&self) -> Vec<(Invariant, RecordNo)> {
        match &self.reel {
            Reel::Simulated(history) => history.head().checks().violated(),
            Reel::Seen(seen) => seen.footage.violated().to_vec(),
        }
    }

    /// The same, each with its moment.
    pub(crate) fn violations(&self) -> Vec<(Invariant, Moment, RecordNo)> {
        let violated = self.violated().into_iter();
        violated.filter_map(|(it, no)| Some((it, moment_of(self.trace(), no)?, no))).collect()
    }

    /// Goes to a moment: whatever happened by then has happened.
    pub(crate) fn go_to(&mut self, moment: Moment) {
        let moment = moment.clamp(self.begin(), self.end());
        match &mut self.reel {
            Reel::Simulated(history) => {
                let place = history.place_at(moment);
                if place != history.place() {
                    history.seek(place);
                }
            }
            Reel::Seen(seen) => {
                let records = seen.footage.records();
                let place = records.partition_point(|record| record.at <= moment);
                seen.place = u32::try_from(place).unwrap_or(u32::MAX);
            }
        }
        self.now = moment;
    }

    /// Goes to a place, and to the moment of its step.
    pub(crate) fn go_to_place(&mut self, place: u32) {
        match &mut self.reel {
            Reel::Simulated(history) => history.seek(place),
            Reel::Seen(seen) => {
                let last = seen.footage.records().len();
                seen.place = place.min(u32::try_from(last).unwrap_or(u32::MAX));
            }
        }
        self.now = self.step_moment();
    }

    /// The place behind a record, so that it is the last thing that has happened.
    pub(crate) fn place_of(&self, record: RecordNo) -> u32 {
        match &self.reel {
            Reel::Simulated(history) => history.place_of(record),
            Reel::Seen(_) => record.0.saturating_add(1).min(self.last_place()),
        }
    }

    /// The records of the step that led to a place.
    pub(crate) fn step_at(&self, place: u32) -> &[Record] {
        let from = if place == 0 { 0 } else { self.records_at(place - 1) };
        &self.trace()[from..self.records_at(place)]
    }

    /// The place of the next step that matters so much, or concerns this node; none where there
    /// is none. Backwards the one before.
    pub(crate) fn next_place(&self, forward: bool, wanted: Wanted) -> Option<u32> {
        let violated = self.violated();
        let is_wanted = |place: &u32| {
            let from = if *place == 0 { 0 } else { self.records_at(*place - 1) };
            let step = self.step_at(*place);
            step.iter().enumerate().any(|(nth, record)| {
                let no = u32::try_from(from + nth).unwrap_or(u32::MAX);
                wanted.is(record, violated.iter().any(|(_, witness)| witness.0 == no))
            })
        };
        if forward {
            (self.place() + 1..=self.last_place()).find(is_wanted)
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

fn place_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The moment of a record.
pub(crate) fn moment_of(trace: &[Record], no: RecordNo) -> Option<Moment> {
    trace.get(no.place()?).map(|record| record.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Action, Scenario};

    fn film(name: &str) -> Film {
        Film::new(Scenario::named(name).unwrap().run())
    }

    #[test]
    fn steps_forward_and_back_lead_to_the_same_place() {
        let mut film = film("gc-pause");
        film.go_to_place(40);
        let (now, fingerprint) = (film.now(), film.world().unwrap().fingerprint());
        for _ in 0..25 {
            film.go_to_place(film.place() + 1);
        }
        for _ in 0..25 {
            film.go_to_place(film.place() - 1);
        }
        assert_eq!((film.now(), film.world().unwrap().fingerprint()), (now, fingerprint));
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
        let fork = film.fork(Intervention::at(1_001, crash)).unwrap();
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
