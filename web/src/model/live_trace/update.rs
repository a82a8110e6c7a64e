//! Extends a live trace by the messages of the event stream.

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::Name;
use leasehold_core::time::Time;
use leasehold_sim::{
    Causes, Invariant, InvariantStatus, LockId, NodeId, Number, Record, RecordId, RecordKind,
    VirtualTime,
};

use super::clock::ServerClock;
use super::participants::Participants;
use super::segment::{Gap, Segment, SegmentStart};
use super::stream::{Snapshot, StreamMessage, StreamUpdate};
use super::{LOCKS_MAX, LiveTrace};
use crate::model::intervals::Intervals;

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageOutcome {
    /// The server's clock when the message was sent, if the message contains it.
    pub(crate) server_time: Option<Time>,
    /// The message was a snapshot: previous estimates of the server's clock are void.
    pub(crate) is_snapshot: bool,
}

/// When something happened: the time of the trace, and the reading of the server's clock.
type RecordTime = (VirtualTime, Time);

impl LiveTrace {
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

    pub(super) fn apply_update(
        &mut self,
        update: StreamUpdate,
        mut server_time: Option<Time>,
        now: VirtualTime,
        intervals: &mut Intervals,
    ) -> Result<MessageOutcome, String> {
        let is_snapshot = matches!(update, StreamUpdate::Snapshot(_));
        match update {
            StreamUpdate::Snapshot(snapshot) => {
                let time = server_time.unwrap_or_default().max(snapshot.state.last_event_at());
                if let Some(start) = self.segment_start(*snapshot, time, now) {
                    if self.segments.is_empty() {
                        self.first_arrival = (now, start.from);
                    }
                    self.begin_segment(start, intervals);
                }
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

    /// Returns the segment that a snapshot begins, which was sent at `time` and arrived at `now`.
    /// Returns `None` if the snapshot continues the trace without a gap.
    fn segment_start(
        &self,
        snapshot: Snapshot,
        time: Time,
        now: VirtualTime,
    ) -> Option<SegmentStart> {
        let Snapshot { state, missed_indices, recovered_through, server_start } = snapshot;
        let Some(last_segment) = self.segments.last() else {
            let clock = ServerClock::first(server_start, (time, now));
            let from = clock.to_virtual_time(time);
            return Some(SegmentStart { state, clock, from, gap: Gap::initial(0) });
        };
        let (last_clock, last_index) = (last_segment.clock(), self.latest_state.applied_index());
        let is_restarted = if last_clock.start().is_some() || server_start.is_some() {
            last_clock.start() != server_start
        } else {
            // An older server.
            recovered_through
                .is_some_and(|it| last_index <= it || last_index > state.applied_index())
        };
        let reading = (time, self.arrival_time(now).max(self.end));
        let clock = if is_restarted {
            ServerClock::restarted(server_start, reading, self.end)
        } else if server_start.is_some() {
            last_clock
        } else {
            ServerClock::first(None, reading)
        };
        let missed_events = if is_restarted {
            // Log indices jump at a restart, so they do not tell how many events there were.
            None
        } else {
            let skipped = state.applied_index().number().saturating_sub(last_index.number());
            Some(missed_indices.max(skipped))
        };
        if missed_events == Some(0) && state.applied_index() == last_index {
            return None;
        }
        let last_record = self.records.last().map_or(VirtualTime::START, |record| record.at);
        let from = clock.to_virtual_time(time).max(last_record);
        let since = Some(self.end.min(from));
        let gap = Gap { since, missed_events, server_restarted: is_restarted };
        Some(SegmentStart { state, clock, from, gap })
    }

    /// Returns the time of the trace at `now`, on the clock of [`Self::apply_message`].
    fn arrival_time(&self, now: VirtualTime) -> VirtualTime {
        let (arrived_at, time) = self.first_arrival;
        time + now.as_micros().saturating_sub(arrived_at.as_micros())
    }

    /// Continues with a state, after a gap or at the beginning.
    pub(super) fn begin_segment(&mut self, start: SegmentStart, intervals: &mut Intervals) {
        let SegmentStart { state, clock, from, gap } = &start;
        let (clock, from, gap) = (*clock, *from, *gap);
        let first_record = self.record_count();
        self.end = self.end.max(from);
        self.participants.retain(state.sessions(), &self.run.config);
        for (session_id, session) in state.sessions() {
            let node =
                self.participants.assign_node(*session_id, &session.client, &mut self.run.config);
            self.event_recorder.set_owner(*session_id, node);
            self.checkers.raise_max_lease(session.lease.as_millis());
        }
        // Locks in use come first, in case there are too many.
        let unused = state.files().keys().filter(|name| !state.locks().contains_key(*name));
        for name in state.locks().keys().chain(unused) {
            self.register_lock(name);
        }
        let no_causes = [RecordId::NONE; 2];
        let at = (from, state.last_event_at());
        if gap.server_restarted {
            let restarted_at = clock.started_at().clamp(gap.since.unwrap_or_default(), from);
            let started = (restarted_at, clock.start().map_or(at.1, |start| start.at));
            self.push_record(started, NodeId::SERVER, RecordKind::Restarted, no_causes, intervals);
        }
        let events = gap.missed_events.map_or(Number::UNKNOWN, Number::from);
        let kind = RecordKind::Gap { events };
        let cause = self.push_record(at, NodeId::SERVER, kind, no_causes, intervals);
        if let Some(since) = gap.since {
            intervals.add_gap(since, from);
        }
        let retained = self.event_recorder.snapshot_records(state);
        // Tenures from before the gap cannot be causes: how they ended is unknown.
        for lock in (0_u8..).map(LockId).take(self.run.config.locks.len()) {
            self.event_recorder.set_tenure_record(lock, RecordId::NONE);
        }
        for (kind, other_cause) in retained {
            let causes = [cause, other_cause];
            let record_id = self.push_record(at, NodeId::SERVER, kind, causes, intervals);
            if let RecordKind::TenureRecovered { lock, .. } = kind {
                self.event_recorder.set_tenure_record(lock, record_id);
            }
        }
        self.snapshot_records_end = self.record_count();
        self.files.observe_state(state, &self.event_recorder, cause);
        self.latest_state = state.clone();
        self.segments.push(Segment::new(start, first_record + 1));
        self.infer_all_beliefs(from, intervals);
    }

    pub(super) fn apply_event(
        &mut self,
        event: Event,
        intervals: &mut Intervals,
    ) -> Result<(), String> {
        let expected_index = self.latest_state.applied_index().next();
        if event.index != expected_index {
            return Err(format!(
                "event {} arrived, but {expected_index} was expected",
                event.index
            ));
        }
        let Some(segment) = self.segments.last() else {
            return Err("events arrived before the first snapshot".to_owned());
        };
        // The time of a snapshot is estimated, and can be slightly later than the next event.
        let at = segment.clock().to_virtual_time(event.at).max(segment.from());
        self.end = self.end.max(at);
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
        {
            let consequence_of = self.cause_of(&event, initiator);
            let causes = [consequence_of.unwrap_or(RecordId::NONE), other_cause];
            let record_id =
                self.push_record((at, event.at), NodeId::SERVER, kind, causes, intervals);
            self.event_recorder.apply(&event, initiator, record_id);
            self.infer_belief(at, &event.kind, kind, intervals);
        }
        if let EventKind::FileAppended { file, offset, data, .. } = &event.kind {
            self.files.observe_line(self.event_recorder.lock_id(file), offset + data.len());
        }
        if let EventKind::ServerStarted { .. } = &event.kind {
            // Every session has its full lease again.
            self.infer_all_beliefs(at, intervals);
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

    /// Returns the record that an event is a consequence of: without a request, the event before it
    /// at the same time.
    fn cause_of(&self, event: &Event, initiator: NodeId) -> Option<RecordId> {
        let last = self.record_count().checked_sub(1)?;
        let is_simultaneous =
            self.records.last().is_some_and(|record| record.local_ms == Number::from(event.at));
        let is_consequence =
            initiator.is_server() && is_simultaneous && last >= self.snapshot_records_end;
        is_consequence.then_some(RecordId(last))
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

    fn push_record(
        &mut self,
        (at, server_time): RecordTime,
        node: NodeId,
        kind: RecordKind,
        causes: [RecordId; 2],
        intervals: &mut Intervals,
    ) -> RecordId {
        let (local_ms, causes) = (server_time.into(), Causes::new(causes));
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
}
