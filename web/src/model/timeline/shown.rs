//! The part of a run that may be shown.
//!
//! While a question is open, the run ends at its horizon for the page: [`Timeline::trace`],
//! [`Timeline::intervals`], [`Timeline::violated`], [`Timeline::statuses`] and
//! [`Timeline::fingerprint`] go no further. Only the model reads more, to play and to compute the
//! answer.

use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, Record, RecordId, VirtualTime, World};

use super::{Timeline, TraceSource, time_of};
use crate::model::intervals::Intervals;

/// The part of a run that may be shown.
pub(super) struct Shown {
    /// The last position of it.
    horizon: u32,
    records: usize,
    intervals: Rc<Intervals>,
}

impl Timeline {
    /// Sets the last position of which anything may be shown; `None` to show everything.
    /// Returns whether this changes what is shown.
    pub(in crate::model) fn set_horizon(&mut self, horizon: Option<u32>) -> bool {
        let horizon = horizon.map(|position| position.min(self.last_position()));
        if horizon == self.horizon() {
            return false;
        }
        self.shown = horizon.map(|horizon| {
            let records = self.record_count_at(horizon);
            // Intervals can be extended, but not shortened.
            let previous = self.shown.take().filter(|shown| shown.records <= records);
            let mut intervals = previous.map(|shown| shown.intervals).unwrap_or_default();
            Rc::make_mut(&mut intervals).extend_from(&self.full_trace()[..records]);
            Shown { horizon, records, intervals }
        });
        true
    }

    /// Returns the last position of which anything may be shown; `None` if there is no limit.
    pub(crate) fn horizon(&self) -> Option<u32> {
        self.shown.as_ref().map(|shown| shown.horizon)
    }

    /// Whether a record may be shown.
    pub(in crate::model) fn is_shown(&self, record: RecordId) -> bool {
        let index = record.index();
        self.shown.as_ref().is_none_or(|shown| index.is_none_or(|index| index < shown.records))
    }

    /// Returns the trace, as far as it may be shown.
    pub(crate) fn trace(&self) -> &[Record] {
        let trace = self.full_trace();
        self.shown.as_ref().map_or(trace, |shown| &trace[..shown.records])
    }

    /// Returns the whole trace, whatever may be shown.
    pub(in crate::model) fn full_trace(&self) -> &[Record] {
        match &self.source {
            TraceSource::Simulated(history) => history.trace(),
            TraceSource::Observed(observed) => observed.live_trace.records(),
        }
    }

    /// Returns the intervals, as far as they may be shown.
    pub(crate) fn intervals(&self) -> Rc<Intervals> {
        Rc::clone(self.shown.as_ref().map_or(&self.intervals, |shown| &shown.intervals))
    }

    /// Returns the fingerprint of the whole run, for machines: it identifies the run, and tells a
    /// reader nothing. 0 for a live trace.
    pub(crate) fn run_fingerprint(&self) -> u64 {
        self.final_world().map_or(0, World::fingerprint)
    }

    /// Returns the fingerprint of the run; 0 for a live trace. Unless the whole run may be shown,
    /// it is that of the run up to the current position.
    pub(crate) fn fingerprint(&self) -> u64 {
        let world = if self.shown.is_none() { self.final_world() } else { self.world() };
        world.map_or(0, World::fingerprint)
    }

    /// Returns the status of each invariant at the current position, and at the end of what may be
    /// shown.
    pub(crate) fn statuses(&self) -> Vec<(Invariant, InvariantStatus, InvariantStatus)> {
        match &self.source {
            TraceSource::Simulated(history) => {
                let checkers = history.head().checkers();
                let later = |it, current: InvariantStatus| match checkers.status(it) {
                    status @ InvariantStatus::Violated { witness } if self.is_shown(witness) => {
                        status
                    }
                    status if self.shown.is_none() => status,
                    InvariantStatus::Ok
                    | InvariantStatus::Violated { .. }
                    | InvariantStatus::NotYet
                    | InvariantStatus::Unchecked => current,
                };
                let current = history.world().statuses().into_iter();
                current.map(|(it, status)| (it, status, later(it, status))).collect()
            }
            TraceSource::Observed(observed) => {
                let status = |it, position| observed.live_trace.status(it, position);
                let all = Invariant::ALL.into_iter();
                all.map(|it| (it, status(it, observed.position), status(it, u32::MAX))).collect()
            }
        }
    }

    /// Returns the violated invariants with their witnesses, in the order of the witnesses, as far
    /// as they may be shown.
    pub(crate) fn violated(&self) -> Vec<(Invariant, RecordId)> {
        let mut violated = match &self.source {
            TraceSource::Simulated(history) => history.head().checkers().violations(),
            TraceSource::Observed(observed) => observed.live_trace.violated().to_vec(),
        };
        violated.retain(|(_, witness)| self.is_shown(*witness));
        violated
    }

    /// Like [`Self::violated`], with the time of each witness.
    pub(crate) fn violations(&self) -> Vec<(Invariant, VirtualTime, RecordId)> {
        let violated = self.violated().into_iter();
        violated
            .filter_map(|(it, witness)| Some((it, time_of(self.trace(), witness)?, witness)))
            .collect()
    }
}
