//! The trace of a live server: its event stream, applied to a state by the server's own function,
//! and translated to records, so that the page can show it like a simulated run.
//! - Only the server's events are known. The beliefs of clients are inferred from them.
//! - Records have the times of their events, by the server's clock. The end of the trace is where
//!   that clock is estimated to be, and may be slightly later than the next event.
//! - Missed events are marked by a gap. A restart of the server is a gap of unknown size.
//! - The oldest events are dropped when there are too many. That renumbers records, clients and
//!   locks, and changes [`LiveTrace::generation`].

mod beliefs;
mod clock;
mod files;
mod participants;
mod recording;
mod retention;
mod segment;
mod stream;
mod update;

use std::collections::BTreeSet;

use leasehold_core::id::{LogIndex, Name};
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::{
    Checkers, Config, EventRecorder, Invariant, InvariantStatus, LockId, Record, RecordId, Run,
    VirtualTime,
};

use super::time_display::ServerEpoch;
use files::LiveFiles;
use participants::{CLIENTS_MAX, Participants};
use segment::Segment;

pub(crate) use beliefs::believed_until;
pub(crate) use clock::ServerStart;
pub(crate) use files::{FilePart, LiveFile, UnobservedPart};
pub(crate) use recording::LiveRecording;
pub(crate) use recording::StreamRecorder;
pub(crate) use update::MessageOutcome;

/// The number of events that are retained.
const EVENTS_MAX: usize = 200_000;

/// The number of gaps that are retained at least. Each requires a state.
const GAPS_RETAINED_MIN: usize = 32;

/// The number of locks with an id. Further locks are [`LockId::NONE`].
const LOCKS_MAX: usize = 240;

/// The trace of a live server. [`Self::apply_message`] extends it.
pub(crate) struct LiveTrace {
    /// The names of clients and locks. This run cannot be simulated.
    run: Run,
    event_recorder: EventRecorder,
    participants: Participants,
    records: Vec<Record>,
    segments: Vec<Segment>,
    /// The number of records up to and including those of the last snapshot.
    snapshot_records_end: u32,
    files: LiveFiles,
    /// The state at the end of the trace.
    latest_state: State,
    checkers: Checkers,
    /// The record with which each invariant was first checked.
    first_checked: [Option<RecordId>; Invariant::ALL.len()],
    /// The violated invariants, with their witnesses.
    violated: Vec<(Invariant, RecordId)>,
    end: VirtualTime,
    /// When the first snapshot arrived, by the clock of [`Self::apply_message`], and the time of
    /// the trace then.
    first_arrival: (VirtualTime, VirtualTime),
    /// The number of events that were dropped because there were too many.
    dropped_events: u64,
    /// The number of times that anything was dropped.
    generation: u32,
    events_max: usize,
}

impl LiveTrace {
    pub(crate) fn new() -> Self {
        Self {
            run: Run {
                config: Config { lease_ms: 0, ..Config::default() },
                seed: 0,
                without: BTreeSet::new(),
                interventions: Vec::new(),
            },
            event_recorder: EventRecorder::default(),
            participants: Participants::default(),
            records: Vec::new(),
            segments: Vec::new(),
            snapshot_records_end: 0,
            files: LiveFiles::default(),
            latest_state: State::default(),
            checkers: Checkers::for_server(LOCKS_MAX, CLIENTS_MAX),
            first_checked: [None; Invariant::ALL.len()],
            violated: Vec::new(),
            end: VirtualTime::START,
            first_arrival: (VirtualTime::START, VirtualTime::START),
            dropped_events: 0,
            generation: 0,
            events_max: EVENTS_MAX,
        }
    }

    pub(crate) const fn run(&self) -> &Run {
        &self.run
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) const fn event_recorder(&self) -> &EventRecorder {
        &self.event_recorder
    }

    pub(crate) const fn end(&self) -> VirtualTime {
        self.end
    }

    /// Returns the time of the first record that is retained.
    pub(crate) fn start(&self) -> VirtualTime {
        self.records.first().map_or(VirtualTime::START, |record| record.at)
    }

    /// Returns a number that changes when records, clients and locks are renumbered.
    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Returns the index of the last event, if there is one.
    pub(crate) fn last_log_index(&self) -> Option<LogIndex> {
        let index = self.latest_state.applied_index();
        (!self.segments.is_empty() && index > LogIndex::default()).then_some(index)
    }

    pub(crate) const fn latest_state(&self) -> &State {
        &self.latest_state
    }

    /// Returns the state after the first `records` records.
    pub(crate) fn state_at(&self, records: u32) -> State {
        self.segment_at(records).map_or_else(State::default, |segment| segment.state_at(records))
    }

    /// Converts a reading of the server's clock, according to the segment that contains this record
    /// count.
    pub(crate) fn virtual_time(&self, time: Time, records: u32) -> VirtualTime {
        self.segment_at(records)
            .map_or(VirtualTime::START, |segment| segment.clock().to_virtual_time(time))
    }

    fn segment_at(&self, records: u32) -> Option<&Segment> {
        let segment = self.segments.partition_point(|segment| segment.first_record() <= records);
        self.segments.get(segment.max(1) - 1)
    }

    /// Returns the guarded file of a lock after the first `records` records.
    pub(crate) fn file(&self, lock: LockId, records: u32) -> Option<LiveFile<'_>> {
        Some(self.files.at(lock, self.event_recorder.file(lock)?, records))
    }

    /// Returns the files with unobserved parts that must be fetched. Each is returned once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        self.files.take_unfetched(&self.run.config.locks)
    }

    /// Stores the fetched contents of a file.
    pub(crate) fn store_fetched_file(&mut self, name: &Name, bytes: &[u8]) {
        self.files.store_fetched(self.event_recorder.lock_id(name), bytes);
    }

    /// Returns when the server was started that is observed last, if it reports that.
    pub(crate) fn server_start(&self) -> Option<ServerStart> {
        self.segments.last()?.clock().start()
    }

    /// Returns the runs of the server, oldest first, as far as it reports when it was started.
    pub(crate) fn server_epochs(&self) -> Vec<ServerEpoch> {
        let mut epochs: Vec<ServerEpoch> = Vec::new();
        let mut last_start = None;
        for clock in self.segments.iter().map(Segment::clock) {
            let Some(start) = clock.start().filter(|start| last_start != Some(*start)) else {
                continue;
            };
            last_start = Some(start);
            epochs.push(ServerEpoch { start: clock.started_at(), unix_ms: start.unix_ms });
        }
        epochs
    }

    /// Returns the violated invariants, in the order of their witnesses.
    pub(crate) fn violated(&self) -> &[(Invariant, RecordId)] {
        &self.violated
    }

    /// Returns the status of an invariant after the first `records` records.
    pub(crate) fn status(&self, invariant: Invariant, records: u32) -> InvariantStatus {
        let violated = self.violated.iter().find(|(it, _)| *it == invariant);
        match (violated, self.first_checked[invariant as usize]) {
            (Some((_, witness)), _) if witness.0 < records => {
                InvariantStatus::Violated { witness: *witness }
            }
            _ if self.checkers.status(invariant) == InvariantStatus::Unchecked => {
                InvariantStatus::Unchecked
            }
            (_, Some(first_checked)) if first_checked.0 < records => InvariantStatus::Ok,
            _ => InvariantStatus::NotYet,
        }
    }

    fn record_count(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
