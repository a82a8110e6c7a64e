//! The log on a simulated disk: writes, flushes, and their failures.
//!
//! - A crash loses the events that are written but not flushed, unless the intervention keeps them.
//! - After a failed write, the server restores the last durable state and replies with an error.
//!   The events that it makes from then on are written after a delay, and may fail as well.
//! - After a failed flush, the server stops and is restarted, because it cannot know what the disk
//!   contains.

use std::collections::VecDeque;

use leasehold_core::event::Event;
use leasehold_core::id::{LogIndex, SessionId, Token};
use leasehold_core::rng::Rng;
use leasehold_core::service::{Datagram, Durable, Input};
use leasehold_core::state::State;

use super::{SimEvent, TraceWriter, World};
use crate::run::NumbersUsed;
use crate::trace::{NodeId, Number, RecordKind};

/// The key of random numbers for flushes. No link has this key.
const FLUSH_RNG_KEY: u64 = 0xf1 << 56;

/// The delay before the next write after a failed one, in microseconds.
const RETRY_DELAY_US: u64 = 100_000;

/// The log, and how much of it is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskState {
    /// The state after all durable events.
    pub(super) state: State,
    /// The highest log index that the server has used. No index is ever reused.
    pub(super) highest_index: LogIndex,
    /// The events that are written but not flushed.
    pub(super) unflushed: VecDeque<Event>,
    /// The events since the last failed write, and the number of the retry that writes them.
    pub(super) unwritten: Vec<Event>,
    pub(super) pending_retry: Option<u32>,
    retry_count: u32,
    /// The log index through which the current flush goes, and the id of the flush.
    pub(super) flush_in_progress: Option<(LogIndex, u32)>,
    flush_count: u32,
    pub(super) extra_delay_us: u64,
    pub(super) writes_to_fail: u32,
    /// Set if the next flush fails; `true` if the data reaches the disk in spite of the error.
    pub(super) flush_failure: Option<bool>,
}

impl DiskState {
    /// Returns the disk of a server that has used these numbers.
    pub(super) fn after_numbers(used: NumbersUsed) -> Self {
        let NumbersUsed { sessions, tokens, seqs: _, indices } = used;
        let index = LogIndex::new(indices);
        let state = State::after_numbers(index, Token::new(tokens), SessionId::new(sessions));
        Self { state, highest_index: index, ..Self::default() }
    }

    pub(super) fn persist(&mut self, event: &Event) {
        if event.kind.is_durable() {
            self.state.apply(event);
        }
    }

    /// Returns the log index of the last durable event.
    pub(super) fn durable_through(&self) -> Number {
        self.state.applied_index().into()
    }
}

impl World {
    pub(super) fn write_events(
        &mut self,
        events: Vec<Event>,
        writer: &mut TraceWriter<'_>,
        replies: &mut Vec<Datagram>,
    ) {
        let disk = &mut self.server.disk;
        disk.highest_index =
            disk.highest_index.max(events.last().map_or(disk.highest_index, |event| event.index));
        let mut batch = std::mem::take(&mut disk.unwritten);
        batch.extend(events.into_iter().filter(|event| event.kind.is_durable()));
        if batch.is_empty() || disk.pending_retry.is_some() {
            disk.unwritten = batch;
            return;
        }
        if self.server.disk.writes_to_fail > 0 {
            self.server.disk.writes_to_fail -= 1;
            self.write_failed(writer, replies);
            return;
        }
        self.server.disk.unflushed.extend(batch);
        self.begin_flush();
    }

    /// Discards everything decided since the last completed flush, and replies with an error.
    fn write_failed(&mut self, writer: &mut TraceWriter<'_>, replies: &mut Vec<Datagram>) {
        let now = self.server.clock.read(self.now);
        self.record_as_cause(writer, NodeId::SERVER, RecordKind::WriteFailed);
        let disk = &mut self.server.disk;
        disk.flush_in_progress = None;
        disk.unflushed.clear();
        let state = disk.state.clone();
        let through = state.applied_index();
        self.server.recorder.discard_after(through);
        self.record_recovery(writer);
        self.server.outbox.fail(replies);
        let Some(process) = &mut self.server.process else { return };
        let state = Box::new(state.into());
        let step = process.handle(now, Input::WriteFailed { state, unix_ms: 0 });
        for event in &step.events {
            self.record_event(event, NodeId::SERVER, writer);
        }
        let mut events = self.server.outbox.hold(step, replies);
        let disk = &mut self.server.disk;
        disk.highest_index =
            disk.highest_index.max(events.last().map_or(disk.highest_index, |event| event.index));
        events.retain(|event| event.kind.is_durable());
        disk.unwritten = events;
        disk.retry_count += 1;
        disk.pending_retry = Some(disk.retry_count);
        let retry = SimEvent::RetryWrite(disk.retry_count);
        self.schedule(self.now + RETRY_DELAY_US, retry);
    }

    /// Writes the events since the last failed write.
    pub(super) fn retry_write(&mut self, retry: u32, writer: &mut TraceWriter<'_>) {
        if self.server.disk.pending_retry != Some(retry)
            || self.defer(NodeId::SERVER, SimEvent::RetryWrite(retry))
        {
            return;
        }
        self.server.disk.pending_retry = None;
        let mut replies = Vec::new();
        self.write_events(Vec::new(), writer, &mut replies);
        self.send_replies(replies, writer);
        self.schedule_server_timer();
    }

    fn begin_flush(&mut self) {
        let disk = &mut self.server.disk;
        let Some(last) = disk.unflushed.back().map(|event| event.index) else { return };
        if disk.flush_in_progress.is_some() {
            return;
        }
        disk.flush_count += 1;
        let flush_id = disk.flush_count;
        disk.flush_in_progress = Some((last, flush_id));
        let config = self.context.run.config.disk;
        let mut rng = Rng::with_stream(self.context.run.seed, FLUSH_RNG_KEY | u64::from(flush_id));
        let mut duration_us = rng
            .between(config.flush_min_us, config.flush_max_us)
            .saturating_add(disk.extra_delay_us);
        if !self.context.protections.durable_replies {
            duration_us = duration_us.saturating_add(config.write_back_ms.saturating_mul(1_000));
        }
        self.schedule(self.now + duration_us, SimEvent::FlushCompleted(flush_id));
    }

    /// Completes a flush.
    pub(super) fn complete_flush(&mut self, flush_id: u32, writer: &mut TraceWriter<'_>) {
        let Some((through, current_id)) = self.server.disk.flush_in_progress else { return };
        if current_id != flush_id || self.defer(NodeId::SERVER, SimEvent::FlushCompleted(flush_id))
        {
            return;
        }
        if let Some(keeps_unflushed) = self.server.disk.flush_failure.take() {
            self.record_as_cause(writer, NodeId::SERVER, RecordKind::FlushFailed);
            self.crash_and_restart_server(keeps_unflushed, writer);
            return;
        }
        let disk = &mut self.server.disk;
        disk.flush_in_progress = None;
        while disk.unflushed.front().is_some_and(|event| event.index <= through) {
            if let Some(event) = disk.unflushed.pop_front() {
                disk.persist(&event);
            }
        }
        self.record_as_cause(
            writer,
            NodeId::SERVER,
            RecordKind::Durable { through: through.into() },
        );
        let mut replies = Vec::new();
        if self.context.protections.durable_replies {
            self.server.outbox.release_durable(Durable { through }, &mut replies);
        }
        self.send_replies(replies, writer);
        self.begin_flush();
    }
}
