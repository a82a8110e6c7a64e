//! The trace of a live server: its event stream, applied to a state by the server's own function,
//! and translated to records, so that the page can show it like a simulated run.
//! - Only the server's events are known. The beliefs of clients are inferred from them.
//! - Missed events are marked by a gap.
//! - The oldest events are dropped when there are too many. That renumbers records, clients and
//!   locks, and changes [`LiveTrace::generation`].

mod file_prefix;
mod participants;
mod recording;
mod retention;
mod segment;
mod stream;

use std::collections::BTreeSet;

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{LogIndex, Name, SessionId};
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::{
    Causes, Checkers, Config, EventRecorder, Invariant, InvariantStatus, LockId, NodeId, Record,
    RecordId, RecordKind, Run, VirtualTime,
};

use super::intervals::Intervals;
use file_prefix::FilePrefixes;
use participants::{CLIENTS_MAX, Participants};
use segment::{ClockReading, Gap, Segment};
use stream::{StreamMessage, StreamUpdate};

pub(crate) use file_prefix::FilePrefix;
pub(crate) use recording::LiveRecording;
pub(crate) use recording::StreamRecorder;

/// The number of events that are retained.
const EVENTS_MAX: usize = 200_000;

/// The number of gaps that are retained at least. Each requires a state.
const GAPS_RETAINED_MIN: usize = 32;

/// The number of locks that are shown. Records of further locks are omitted.
const LOCKS_MAX: usize = 240;

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageOutcome {
    /// The server's clock when the message was sent, if the message contains it.
    pub(crate) server_time: Option<Time>,
    /// The message was a snapshot: previous estimates of the server's clock are void.
    pub(crate) is_snapshot: bool,
}

/// The trace of a live server. [`Self::apply_message`] extends it.
pub(crate) struct LiveTrace {
    /// The names of clients and locks. This run cannot be simulated.
    run: Run,
    event_recorder: EventRecorder,
    participants: Participants,
    records: Vec<Record>,
    segments: Vec<Segment>,
    file_prefixes: FilePrefixes,
    /// The state at the end of the trace.
    latest_state: State,
    checkers: Checkers,
    /// The record with which each invariant was first checked.
    first_checked: [Option<RecordId>; Invariant::ALL.len()],
    /// The violated invariants, with their witnesses.
    violated: Vec<(Invariant, RecordId)>,
    end: VirtualTime,
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
            file_prefixes: FilePrefixes::default(),
            latest_state: State::default(),
            checkers: Checkers::for_server(LOCKS_MAX, CLIENTS_MAX),
            first_checked: [None; Invariant::ALL.len()],
            violated: Vec::new(),
            end: VirtualTime::START,
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

    /// Returns the contents of a file at the beginning of the last segment. Returns `None` for
    /// earlier segments, whose prefixes are not retained.
    pub(crate) fn file_prefix(&self, lock: LockId, records: u32) -> Option<&FilePrefix> {
        let segment_start = self.segments.last()?.first_record();
        self.file_prefixes.get(lock).filter(|_| records >= segment_start)
    }

    /// Returns the files whose prefix must be fetched. Each is returned once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        self.file_prefixes.take_unfetched(&self.run.config.locks)
    }

    /// Stores the fetched contents of a file.
    pub(crate) fn store_fetched_file(&mut self, name: &Name, bytes: &[u8]) {
        self.file_prefixes.store_fetched(self.event_recorder.lock_id(name), bytes);
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
            (_, Some(first_checked)) if first_checked.0 < records => InvariantStatus::Ok,
            _ if self.checkers.status(invariant) == InvariantStatus::Unchecked => {
                InvariantStatus::Unchecked
            }
            _ => InvariantStatus::NotYet,
        }
    }

    /// Applies a message of the event stream that arrived at `now`.
    ///
    /// # Errors
    /// If the message is not valid, or does not continue the trace. The stream must then be opened
    /// again.
    pub(crate) fn apply_message(
        &mut self,
        message: &str,
        now: VirtualTime,
        intervals: &mut Intervals,
    ) -> Result<MessageOutcome, String> {
        let incoming = StreamMessage::parse(message)?;
        let server_time = incoming.server_time;
        self.apply_update(incoming.into_update(), server_time, now, intervals)
    }

    fn apply_update(
        &mut self,
        update: StreamUpdate,
        mut server_time: Option<Time>,
        now: VirtualTime,
        intervals: &mut Intervals,
    ) -> Result<MessageOutcome, String> {
        let is_snapshot = matches!(update, StreamUpdate::Snapshot { .. });
        match update {
            StreamUpdate::Snapshot {
                state,
                missed_events: missed,
                recovered_through: recovered,
            } => {
                let last_index = self.latest_state.applied_index();
                let restarted = !self.segments.is_empty()
                    && recovered
                        .is_some_and(|it| last_index <= it || last_index > state.applied_index());
                let time = server_time.unwrap_or(state.last_event_at()).max(state.last_event_at());
                let gap_start = (!self.segments.is_empty()).then_some(self.end);
                let clock = ClockReading { server_time: time, virtual_time: now.max(self.end) };
                self.begin_segment(
                    *state,
                    clock,
                    Gap { since: gap_start, missed_events: missed, server_restarted: restarted },
                    intervals,
                );
            }
            StreamUpdate::Events(events) => {
                server_time = server_time.max(events.last().map(|event| event.at));
                for event in events {
                    self.apply_event(event, intervals)?;
                }
            }
            StreamUpdate::Ignored => {}
        }
        self.drop_oldest(intervals);
        Ok(MessageOutcome { server_time, is_snapshot })
    }

    /// Advances the end to a reading of the server's clock.
    pub(crate) fn advance_to(&mut self, time: Time) {
        if let Some(segment) = self.segments.last() {
            self.end = self.end.max(segment.clock().to_virtual_time(time));
        }
    }

    /// Continues with this state, after a gap or at the beginning.
    fn begin_segment(
        &mut self,
        state: State,
        clock: ClockReading,
        gap: Gap,
        intervals: &mut Intervals,
    ) {
        let first_record = self.record_count();
        self.end = self.end.max(clock.virtual_time);
        self.participants.retain(state.sessions(), &self.run.config);
        for (session_id, session) in state.sessions() {
            let node =
                self.participants.assign_node(*session_id, &session.client, &mut self.run.config);
            self.event_recorder.set_owner(*session_id, node);
            self.checkers.raise_max_lease(session.lease.as_millis());
        }
        let lock_names: BTreeSet<&Name> =
            state.locks().keys().chain(state.files().keys()).collect();
        for name in &lock_names {
            self.register_lock(name);
        }
        if gap.server_restarted {
            self.push_record(NodeId::SERVER, RecordKind::Restarted, [RecordId::NONE; 2], intervals);
        }
        let events = u32::try_from(gap.missed_events).unwrap_or(u32::MAX);
        let cause = self.push_record(
            NodeId::SERVER,
            RecordKind::Gap { events },
            [RecordId::NONE; 2],
            intervals,
        );
        if let Some(gap_start) = gap.since {
            intervals.add_gap(gap_start, self.end);
        }
        let retained = self.event_recorder.snapshot_records(&state);
        // Tenures from before the gap cannot be causes: how they ended is unknown.
        for lock in (0_u8..).map(LockId).take(self.run.config.locks.len()) {
            self.event_recorder.set_tenure_record(lock, RecordId::NONE);
        }
        for (kind, other_cause) in retained {
            let record_id = self.push_record(NodeId::SERVER, kind, [cause, other_cause], intervals);
            if let RecordKind::TenureRecovered { lock, .. } = kind {
                self.event_recorder.set_tenure_record(lock, record_id);
            }
        }
        self.file_prefixes = FilePrefixes::from_state(&state, &self.event_recorder);
        self.latest_state = state;
        self.segments.push(Segment::new(self.latest_state.clone(), clock, gap, first_record + 1));
        self.infer_all_beliefs(intervals);
    }

    fn apply_event(&mut self, event: Event, intervals: &mut Intervals) -> Result<(), String> {
        let expected_index = self.latest_state.applied_index().next();
        if event.index != expected_index {
            return Err(format!(
                "event {} arrived, but {expected_index} was expected",
                event.index
            ));
        }
        let Some(clock) = self.segments.last().map(Segment::clock) else {
            return Err("events arrived before the first snapshot".to_owned());
        };
        let previous_end = self.end;
        self.end = self.end.max(clock.to_virtual_time(event.at));
        let initiator = self.initiator_of(&event.kind);
        self.latest_state.apply(&event);
        if let Some(name) = event.kind.resource_name() {
            self.register_lock(name);
        }
        if let EventKind::SessionOpened { lease, .. } = &event.kind {
            self.checkers.raise_max_lease(lease.as_millis());
        }
        if let Some((kind, other_cause)) =
            self.event_recorder.translate(&event, initiator, Some(&self.latest_state))
            && event
                .kind
                .resource_name()
                .is_none_or(|name| self.event_recorder.lock_id(name) != LockId::NONE)
        {
            // An event without a request is a consequence of the event before it at the same time.
            let is_consequence = initiator.is_server() && previous_end == self.end;
            let last_record = self.records.len().checked_sub(1).filter(|_| is_consequence);
            let cause =
                last_record.and_then(|it| u32::try_from(it).ok()).map_or(RecordId::NONE, RecordId);
            let record_id = self.push_record(NodeId::SERVER, kind, [cause, other_cause], intervals);
            self.event_recorder.apply(&event, initiator, record_id);
            self.infer_belief(&event.kind, kind, intervals);
        }
        if let EventKind::SessionExpired { session_id, .. }
        | EventKind::SessionClosed { session_id, .. } = &event.kind
        {
            self.participants.remove_session(*session_id);
        }
        let records = self.record_count();
        if let Some(segment) = self.segments.last_mut() {
            segment.push(event, records, &self.latest_state);
        }
        Ok(())
    }

    /// Returns the node whose request caused an event; the server if there was no request.
    fn initiator_of(&mut self, event_kind: &EventKind) -> NodeId {
        match event_kind {
            EventKind::SessionOpened { session_id, client, .. } => {
                self.participants.assign_node(*session_id, client, &mut self.run.config)
            }
            EventKind::RequestRefused { session_id: None, client, .. } => {
                client.as_ref().map_or(NodeId::UNKNOWN, |client| {
                    Participants::find_by_name(client, &self.run.config)
                })
            }
            EventKind::LockGranted { from_queue: true, .. }
            | EventKind::LockReleased { request_id: None, .. }
            | EventKind::WaitEnded { request_id: None, .. }
            | EventKind::SessionExpired { .. }
            | EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::DatagramDropped { .. } => NodeId::SERVER,
            EventKind::SessionClosed { .. }
            | EventKind::LockQueued { .. }
            | EventKind::LockGranted { .. }
            | EventKind::LockReleased { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::FileAppended { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. } => event_kind
                .session_id()
                .map_or(NodeId::UNKNOWN, |session_id| self.event_recorder.owner(session_id)),
        }
    }

    fn register_lock(&mut self, name: &Name) {
        let config = &mut self.run.config;
        if config.locks.len() < LOCKS_MAX && self.event_recorder.lock_id(name) == LockId::NONE {
            self.event_recorder.add_lock(name);
            config.locks.push(name.clone());
        }
    }

    fn record_count(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    fn push_record(
        &mut self,
        node: NodeId,
        kind: RecordKind,
        causes: [RecordId; 2],
        intervals: &mut Intervals,
    ) -> RecordId {
        let at = self.end;
        let local_ms = u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
        let causes = Causes::new(causes);
        let record = Record { at, local_ms, node, kind, causes };
        let record_id = RecordId(self.record_count());
        self.checkers.observe(record_id, &record);
        for invariant in Invariant::ALL {
            let first_checked = &mut self.first_checked[invariant as usize];
            match self.checkers.status(invariant) {
                InvariantStatus::Ok if first_checked.is_none() => *first_checked = Some(record_id),
                InvariantStatus::Violated { witness } if witness == record_id => {
                    self.violated.push((invariant, record_id));
                }
                InvariantStatus::Ok
                | InvariantStatus::Violated { .. }
                | InvariantStatus::NotYet
                | InvariantStatus::Unchecked => {}
            }
        }
        self.records.push(record);
        intervals.extend_from(&self.records);
        record_id
    }

    /// Updates the beliefs that follow from an event.
    fn infer_belief(&self, event_kind: &EventKind, kind: RecordKind, intervals: &mut Intervals) {
        match (event_kind, kind) {
            (
                EventKind::LockReleased { .. },
                RecordKind::LockReleased { lock, client, token, .. },
            ) => {
                intervals.end_belief(self.end, (lock, client, token));
            }
            // The client has sent nothing since, so it may not know of the grant.
            (EventKind::LockGranted { from_queue: true, .. }, _) => {}
            _ => {
                if let Some(session_id) = event_kind.session_id() {
                    self.infer_session_beliefs(session_id, intervals);
                }
            }
        }
    }

    fn infer_all_beliefs(&self, intervals: &mut Intervals) {
        self.latest_state
            .sessions()
            .keys()
            .for_each(|session_id| self.infer_session_beliefs(*session_id, intervals));
    }

    fn infer_session_beliefs(&self, session_id: SessionId, intervals: &mut Intervals) {
        let Some(session) = self.latest_state.session(session_id) else { return };
        let until = self.virtual_time(session.expires_at, self.record_count());
        let client = self.event_recorder.owner(session_id);
        for name in &session.held {
            let lock = self.event_recorder.lock_id(name);
            let tenure = self.latest_state.tenure(name);
            let Some(tenure) = tenure.filter(|it| it.claim_by.is_none() || session.has_claimed(it))
            else {
                continue;
            };
            let token = u32::try_from(tenure.token.number()).unwrap_or(u32::MAX);
            intervals.extend_belief(self.end, (lock, client, token), until);
        }
    }
}

#[cfg(test)]
mod tests;
