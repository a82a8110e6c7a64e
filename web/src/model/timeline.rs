//! One run and a position in it. The run is simulated, or observed from a live server.
//!
//! - A position counts the steps that have happened; a step can have several records.
//! - The current time is that of the last step, or lies between two steps.
//! - Long simulations grow in slices: see [`Timeline::simulate_while`]. A destination that is not
//!   simulated yet is reached later. Until then, the position is at the end of what is simulated.
//! - While a question is open, nothing after its horizon leaves this module, except to the model
//!   itself, which needs it to play and to compute the answer.

mod catch_up;
mod shown;

use std::rc::Rc;

use leasehold_sim::{History, Intervention, Record, RecordId, Run, VirtualTime, World};

use catch_up::Destination;
use shown::Shown;

use super::flags::FlagCache;
use super::inspector::InspectorContext;
use super::intervals::Intervals;
use super::live_trace::LiveTrace;
use super::scene::Scene;
use super::time_display::{TimeDisplay, TimeReading};

/// The number of steps that are simulated when a run is opened. It covers every scenario of the
/// library.
const INITIAL_STEPS: u32 = 4_000;

/// Longer runs are truncated to this number of records.
const RECORDS_MAX: u32 = 1_000_000;

/// The number of steps between two checks of the remaining time and the number of records.
const STEPS_PER_CHECK: u32 = 50;

/// More records than [`STEPS_PER_CHECK`] steps add.
const RECORDS_HEADROOM: usize = 2_000;

/// A run, and a position in it.
pub(crate) struct Timeline {
    source: TraceSource,
    intervals: Rc<Intervals>,
    /// The time of the last step, or a time between two steps.
    now: VirtualTime,
    /// Where to go as soon as it is simulated.
    destination: Option<Destination>,
    /// What may be shown, if not everything.
    shown: Option<Shown>,
    pub(super) flag_cache: FlagCache,
    time_display: TimeDisplay,
}

enum TraceSource {
    Simulated(Box<History>),
    Observed(Box<ObservedTrace>),
}

/// The trace of a live server. Each record is a step.
struct ObservedTrace {
    live_trace: LiveTrace,
    position: u32,
}

impl Timeline {
    /// Simulates a run, and starts at its beginning.
    pub(crate) fn new(run: Run) -> Self {
        Self::from_history(History::new(run))
    }

    fn from_history(history: History) -> Self {
        let now = history.world().now();
        let mut timeline = Self {
            source: TraceSource::Simulated(Box::new(history)),
            intervals: Rc::default(),
            now,
            destination: None,
            shown: None,
            flag_cache: FlagCache::default(),
            time_display: TimeDisplay::default(),
        };
        timeline.simulate(INITIAL_STEPS);
        timeline
    }

    /// Shows the trace of a live server from its beginning.
    pub(crate) fn from_live_trace(live_trace: LiveTrace, intervals: Intervals) -> Self {
        let now = live_trace.start();
        let source = TraceSource::Observed(Box::new(ObservedTrace { live_trace, position: 0 }));
        let (intervals, destination, shown) = (Rc::new(intervals), None, None);
        let (flag_cache, time_display) = (FlagCache::default(), TimeDisplay::default());
        let mut timeline =
            Self { source, intervals, now, destination, shown, flag_cache, time_display };
        timeline.update_epochs();
        timeline.go_to(now);
        timeline
    }

    /// Returns how the times of this trace are displayed.
    pub(crate) const fn time_display(&self) -> &TimeDisplay {
        &self.time_display
    }

    /// Sets how times are displayed. `utc_offset_minutes` is how far local time is ahead of UTC.
    pub(crate) fn set_time_reading(&mut self, reading: TimeReading, utc_offset_minutes: i32) {
        self.time_display.set_reading(reading, utc_offset_minutes);
    }

    /// Displays times as another timeline does.
    pub(crate) fn copy_time_reading(&mut self, other: &Self) {
        self.time_display.copy_reading(&other.time_display);
    }

    fn update_epochs(&mut self) {
        let epochs = self.live_trace().map(LiveTrace::server_epochs);
        self.time_display.set_epochs(epochs.unwrap_or_default());
    }

    /// Returns the same run with one more intervention, at the same time. Returns `None` for a live
    /// trace, which cannot be changed.
    pub(crate) fn fork(&self, intervention: Intervention) -> Option<Self> {
        let TraceSource::Simulated(history) = &self.source else { return None };
        let mut timeline = Self::from_history(history.fork(intervention));
        timeline.go_to_same_time(self);
        Some(timeline)
    }

    /// Returns another run at the same time.
    pub(crate) fn with_run(&self, run: Run) -> Self {
        let mut timeline = Self::new(run);
        timeline.go_to_same_time(self);
        timeline
    }

    fn simulate(&mut self, mut steps: u32) {
        let TraceSource::Simulated(history) = &mut self.source else { return };
        while steps > 0 && history.head().record_count() < RECORDS_MAX {
            let batch = steps.min(STEPS_PER_CHECK);
            history.reserve(batch, to_usize(RECORDS_MAX) + RECORDS_HEADROOM);
            if history.simulate(batch) {
                break;
            }
            steps -= batch;
        }
        Rc::make_mut(&mut self.intervals).extend_from(history.trace());
    }

    /// Returns the trace of a live server, if it is one.
    pub(crate) fn live_trace(&self) -> Option<&LiveTrace> {
        match &self.source {
            TraceSource::Observed(observed) => Some(&observed.live_trace),
            TraceSource::Simulated(_) => None,
        }
    }

    /// Extends the trace of a live server. The current time does not change. Returns `None` for a
    /// simulation.
    pub(crate) fn update_live_trace<T>(
        &mut self,
        update: impl FnOnce(&mut LiveTrace, &mut Intervals) -> T,
    ) -> Option<T> {
        let TraceSource::Observed(observed) = &mut self.source else { return None };
        let numbering = |live_trace: &LiveTrace| (live_trace.generation(), live_trace.start());
        let before = numbering(&observed.live_trace);
        let result = update(&mut observed.live_trace, Rc::make_mut(&mut self.intervals));
        if numbering(&observed.live_trace) != before {
            // The records have been renumbered.
            let time = self.now.max(observed.live_trace.start());
            self.go_to(time);
        }
        self.update_epochs();
        Some(result)
    }

    fn history(&self) -> Option<&History> {
        match &self.source {
            TraceSource::Simulated(history) => Some(history),
            TraceSource::Observed(_) => None,
        }
    }

    /// Returns whether the whole run has been simulated, as far as it is shown.
    pub(crate) fn is_complete(&self) -> bool {
        self.history().is_none_or(History::is_complete) || self.is_truncated()
    }

    /// Returns whether the run is longer than the part that is shown.
    pub(crate) fn is_truncated(&self) -> bool {
        self.final_world().is_some_and(|head| head.record_count() >= RECORDS_MAX)
    }

    pub(crate) fn run(&self) -> &Run {
        match &self.source {
            TraceSource::Simulated(history) => history.run(),
            TraceSource::Observed(observed) => observed.live_trace.run(),
        }
    }

    /// Returns the simulated world at the current position.
    pub(crate) fn world(&self) -> Option<&World> {
        self.history().map(History::world)
    }

    /// Returns the simulated world at the end of the trace, whatever may be shown.
    pub(super) fn final_world(&self) -> Option<&World> {
        self.history().map(History::head)
    }

    /// Returns the records up to the current position.
    pub(crate) fn past(&self) -> &[Record] {
        &self.full_trace()[..self.record_count_at(self.position())]
    }

    /// Returns the number of records up to a position.
    fn record_count_at(&self, position: u32) -> usize {
        match &self.source {
            TraceSource::Simulated(history) => history.records_at(position),
            TraceSource::Observed(observed) => {
                to_usize(position).min(observed.live_trace.records().len())
            }
        }
    }

    pub(crate) fn scene(&self) -> Scene {
        match &self.source {
            TraceSource::Simulated(history) => Scene::from_world(history.world(), self.past()),
            TraceSource::Observed(observed) => {
                Scene::from_live_trace(&observed.live_trace, observed.position, self.now)
            }
        }
    }

    pub(crate) fn inspector_context(&self) -> InspectorContext<'_> {
        InspectorContext {
            run: self.run(),
            world: self.world(),
            trace: self.trace(),
            now: self.now,
            time_display: &self.time_display,
        }
    }

    /// Calls `inspect` with the scene one step earlier. Returns `None` at the beginning.
    pub(crate) fn with_previous_step<T>(
        &self,
        inspect: impl FnOnce(InspectorContext<'_>, &Scene) -> T,
    ) -> Option<T> {
        let previous = self.position().checked_sub(1)?;
        let trace = &self.full_trace()[..self.record_count_at(previous)];
        let (run, time_display) = (self.run(), &self.time_display);
        Some(match &self.source {
            TraceSource::Simulated(history) => {
                let world = history.world_at(previous);
                let scene = Scene::from_world(&world, trace);
                let (world, now) = (Some(&world), world.now());
                inspect(InspectorContext { run, world, trace, now, time_display }, &scene)
            }
            TraceSource::Observed(observed) => {
                let now = trace.last().map_or(self.now, |record| record.at);
                let scene = Scene::from_live_trace(&observed.live_trace, previous, now);
                let world = None;
                inspect(InspectorContext { run, world, trace, now, time_display }, &scene)
            }
        })
    }

    /// Returns the first record of the step that leads to a position.
    pub(crate) fn first_record_of_step(&self, position: u32) -> u32 {
        let from = if position == 0 { 0 } else { self.record_count_at(position - 1) };
        u32::try_from(from).unwrap_or(u32::MAX)
    }

    pub(crate) fn position(&self) -> u32 {
        match &self.source {
            TraceSource::Simulated(history) => history.position(),
            TraceSource::Observed(observed) => observed.position,
        }
    }

    pub(crate) fn last_position(&self) -> u32 {
        match &self.source {
            TraceSource::Simulated(history) => history.last_position(),
            TraceSource::Observed(observed) => {
                u32::try_from(observed.live_trace.records().len()).unwrap_or(u32::MAX)
            }
        }
    }

    pub(crate) const fn now(&self) -> VirtualTime {
        self.now
    }

    /// Returns the time of the last step.
    pub(crate) fn step_time(&self) -> VirtualTime {
        let last = || self.past().last().map_or(self.start(), |record| record.at);
        self.world().map_or_else(last, World::now)
    }

    pub(crate) fn start(&self) -> VirtualTime {
        self.live_trace().map_or(VirtualTime::START, LiveTrace::start)
    }

    /// Returns the end of the trace so far.
    pub(crate) fn end(&self) -> VirtualTime {
        match &self.source {
            TraceSource::Simulated(history) => history.head().now(),
            TraceSource::Observed(observed) => observed.live_trace.end(),
        }
    }

    /// Returns whether more steps follow at the current time.
    pub(crate) fn has_more_steps_now(&self) -> bool {
        let next = self.full_trace().get(self.record_count_at(self.position()));
        next.is_some_and(|record| record.at == self.now)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.is_complete() && self.position() == self.last_position() && self.now >= self.end()
    }

    /// Goes to a time, or to the end of what is simulated if that is earlier.
    fn move_to(&mut self, time: VirtualTime) {
        let time = time.clamp(self.start(), self.end());
        match &mut self.source {
            TraceSource::Simulated(history) => {
                let position = history.position_at(time);
                if position != history.position() {
                    history.seek(position);
                }
            }
            TraceSource::Observed(observed) => {
                let records = observed.live_trace.records();
                let position = records.partition_point(|record| record.at <= time);
                observed.position = u32::try_from(position).unwrap_or(u32::MAX);
            }
        }
        self.now = time;
    }

    /// Goes to a simulated position, and to the time of its step.
    fn move_to_position(&mut self, position: u32) {
        let position = position.min(self.last_position());
        match &mut self.source {
            TraceSource::Simulated(history) => history.seek(position),
            TraceSource::Observed(observed) => observed.position = position,
        }
        self.now = self.step_time();
    }

    /// Returns the first position at which this record has happened.
    pub(crate) fn position_of(&self, record: RecordId) -> u32 {
        match &self.source {
            TraceSource::Simulated(history) => history.position_of(record),
            TraceSource::Observed(_) => record.0.saturating_add(1).min(self.last_position()),
        }
    }

    /// Returns the records of the step that leads to a position.
    pub(crate) fn step_records(&self, position: u32) -> &[Record] {
        let from = if position == 0 { 0 } else { self.record_count_at(position - 1) };
        &self.full_trace()[from..self.record_count_at(position)]
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(crate) fn time_of(trace: &[Record], id: RecordId) -> Option<VirtualTime> {
    trace.get(id.index()?).map(|record| record.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Action, NodeId, Scenario};

    fn timeline(name: &str) -> Timeline {
        Timeline::new(Scenario::from_name(name).unwrap().resolve_run())
    }

    #[test]
    fn stepping_forward_and_back_returns_to_the_same_step() {
        let mut timeline = timeline("gc-pause");
        timeline.go_to_position(40);
        let (now, fingerprint) = (timeline.now(), timeline.world().unwrap().fingerprint());
        for _ in 0..25 {
            timeline.go_to_position(timeline.position() + 1);
        }
        for _ in 0..25 {
            timeline.go_to_position(timeline.position() - 1);
        }
        assert_eq!((timeline.now(), timeline.world().unwrap().fingerprint()), (now, fingerprint));
    }

    #[test]
    fn nothing_changes_between_two_steps() {
        let mut timeline = timeline("gc-pause");
        timeline.go_to_position(30);
        let at = timeline.now();
        timeline.go_to(at + 1);
        assert_eq!((timeline.position(), timeline.now()), (30, at + 1));
        assert_eq!(timeline.step_records(30).last(), timeline.past().last());
    }

    #[test]
    fn intervention_changes_only_the_future() {
        let mut timeline = timeline("gc-pause");
        timeline.go_to(VirtualTime::from_millis(1_000));
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        let fork = timeline.fork(Intervention::at(1_001, crash)).unwrap();
        assert_eq!((fork.position(), fork.past()), (timeline.position(), timeline.past()));
        assert_ne!(fork.fingerprint(), timeline.fingerprint());
    }
}
