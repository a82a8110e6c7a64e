//! The server node: the real lock server, its outbox, and its log on a simulated disk.

use leasehold_core::event::Event;
use leasehold_core::id::{Peer, SessionId, SessionKey};
use leasehold_core::op::DropReason;
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::service::{
    Config, Datagram, Durable, Input, Limits, LockServer, Outbox, StartParams, Step,
};
use leasehold_core::state::State;
use leasehold_core::time::Millis;
use leasehold_core::wire::MacKey;

use super::disk::DiskState;
use super::payload::{Outgoing, Payload};
use super::{SimEvent, TraceWriter, World};
use crate::clock::Clock;
use crate::event_recorder::EventRecorder;
use crate::file_lines::Lines;
use crate::run;
use crate::trace::{LockId, NodeId, RecordKind};
use crate::virtual_time::VirtualTime;

/// The key of random numbers for session keys. No link has this key.
const ENTROPY_RNG_KEY: u64 = 0xe7 << 56;

/// The server node.
#[derive(Clone, Debug)]
pub(super) struct ServerNode {
    pub(super) clock: Clock,
    /// The lock server; `None` before the start and after a crash.
    pub(super) process: Option<LockServer>,
    pub(super) outbox: Outbox,
    pub(super) paused: bool,
    pub(super) deferred: Vec<SimEvent>,
    pub(super) pause_count: u32,
    pub(super) start_count: u32,
    timer_at: Option<VirtualTime>,
    pub(super) disk: DiskState,
    pub(super) recorder: EventRecorder,
    /// The state in memory before the last crash.
    last_state: Option<State>,
    input_count: u64,
}

/// A read-only view of the server node.
#[derive(Clone, Copy, Debug)]
pub struct ServerView<'a> {
    /// The state in memory; `None` while the server is not running.
    pub state: Option<&'a State>,
    /// The state in memory before the last crash, if the server has crashed.
    pub last_state: Option<&'a State>,
    /// The durable state on disk.
    pub durable_state: &'a State,
    /// Whether the server is paused.
    pub paused: bool,
    /// The number of events that are written but not flushed.
    pub unflushed: usize,
}

impl ServerNode {
    pub(super) fn new(config: &run::Config) -> Self {
        Self {
            clock: Clock::new(0, config.server_rate_ppm),
            process: None,
            outbox: Outbox::default(),
            paused: false,
            deferred: Vec::new(),
            pause_count: 0,
            start_count: 0,
            timer_at: None,
            disk: DiskState::after_numbers(config.numbers_used),
            recorder: EventRecorder::new(&config.locks),
            last_state: None,
            input_count: 0,
        }
    }

    /// Ends the process. Events that are written but not flushed survive only if `keeps_unflushed`.
    pub(super) fn crash(&mut self, keeps_unflushed: bool) {
        if let Some(process) = self.process.take() {
            self.last_state = Some(process.state().clone());
        }
        self.outbox = Outbox::default();
        self.timer_at = None;
        self.deferred.clear();
        self.paused = false;
        self.pause_count += 1;
        self.disk.flush_in_progress = None;
        self.disk.unwritten.clear();
        self.disk.pending_retry = None;
        let unflushed = std::mem::take(&mut self.disk.unflushed);
        if keeps_unflushed {
            unflushed.iter().for_each(|event| self.disk.persist(event));
        }
    }
}

impl World {
    pub(super) fn start_server(&mut self, writer: &mut TraceWriter<'_>) {
        let context = std::sync::Arc::clone(&self.context);
        let now = self.server.clock.read(self.now);
        self.server.start_count += 1;
        // Until the restart, the files are as the server had them in memory.
        self.server.recorder.discard_after(self.server.disk.state.applied_index());
        let disk = &mut self.server.disk;
        if !context.protections.core.durable_tokens && self.server.start_count > 1 {
            disk.state.reset_last_token();
        }
        if !context.protections.core.fencing {
            disk.state = std::mem::take(&mut disk.state).without_fencing();
        }
        let state = disk.state.clone();
        // The server reserves log indices before it uses them, so no index is ever used twice.
        let last_index = disk.highest_index.max(state.applied_index());
        let start = StartParams { state, index_floor: last_index, ..StartParams::default() };
        if self.server.start_count > 1 {
            self.record_recovery(writer);
        }
        let config = config(&context.run.config, context.run.seed);
        let (process, step) =
            LockServer::start_with_protections(context.protections.core, config, start, now);
        self.server.process = Some(process);
        self.process_step(step, NodeId::SERVER, writer);
        self.schedule_server_timer();
    }

    pub(super) fn record_recovery(&mut self, writer: &mut TraceWriter<'_>) {
        let state = self.server.disk.state.clone();
        // Sessions, locks and waiters of a simulated server fit 32 bits.
        let to_u32 = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let tenures = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
        self.record_as_cause(
            writer,
            NodeId::SERVER,
            RecordKind::Recovered {
                through: state.applied_index().into(),
                sessions: to_u32(state.sessions().len()),
                tenures: to_u32(tenures),
                waits: to_u32(state.waiter_count()),
            },
        );
        for (kind, related) in self.server.recorder.snapshot_records(&state) {
            self.record_with_related(writer, NodeId::SERVER, kind, related);
        }
    }

    pub(super) fn server_receives(
        &mut self,
        from: NodeId,
        payload: &Payload,
        writer: &mut TraceWriter<'_>,
    ) {
        self.server.input_count += 1;
        let mut rng =
            Rng::with_stream(self.context.run.seed, ENTROPY_RNG_KEY | self.server.input_count);
        let entropy = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let now = self.server.clock.read(self.now);
        let Some(process) = &mut self.server.process else { return };
        let peer = peer_address(from);
        let input = match payload {
            Payload::Encoded(bytes) => match self.context.encoding.verify(bytes) {
                Some(bytes) => Input::Datagram { from: peer, bytes, entropy },
                None => Input::DatagramDropped { reason: DropReason::BadKey },
            },
            Payload::Request(request) => Input::Request { from: peer, request, entropy },
            Payload::Reply(_) => unreachable!("a reply was sent to the server"),
        };
        let step = process.handle(now, input);
        self.process_step(step, from, writer);
        self.schedule_server_timer();
    }

    pub(super) fn fire_server_timer(&mut self, writer: &mut TraceWriter<'_>) {
        if self.server.timer_at != Some(self.now) && !self.server.paused {
            return;
        }
        if self.defer(NodeId::SERVER, SimEvent::NodeTimer(NodeId::SERVER)) {
            return;
        }
        self.server.timer_at = None;
        let now = self.server.clock.read(self.now);
        let Some(process) = &mut self.server.process else { return };
        let step = process.handle(now, Input::Timer);
        self.process_step(step, NodeId::SERVER, writer);
        self.schedule_server_timer();
    }

    /// Sets the timer again after a pause or a clock change.
    pub(super) fn reschedule_server_timer(&mut self) {
        self.server.timer_at = None;
        self.schedule_server_timer();
    }

    /// Schedules the server's timer if its deadline has changed.
    pub(super) fn schedule_server_timer(&mut self) {
        let deadline = self.server.process.as_ref().and_then(|process| process.next_deadline());
        let deadline = deadline.map(|(at, _)| self.server.clock.time_of_reading(self.now, at));
        if deadline != self.server.timer_at {
            self.server.timer_at = deadline;
            if let Some(at) = deadline {
                self.schedule(at, SimEvent::NodeTimer(NodeId::SERVER));
            }
        }
    }

    /// Records the events of a step, sends the replies that need not wait, and writes the events to
    /// disk.
    fn process_step(&mut self, step: Step, origin: NodeId, writer: &mut TraceWriter<'_>) {
        let cause = writer.cause;
        for event in &step.events {
            self.record_event(event, origin, writer);
        }
        if step.events.is_empty() {
            writer.cause = cause;
        }
        let mut replies = Vec::new();
        let events = self.server.outbox.hold(step, &mut replies);
        if !self.context.protections.durable_replies
            && let Some(process) = &self.server.process
        {
            self.server
                .outbox
                .release_durable(Durable { through: process.last_index() }, &mut replies);
        }
        // These replies do not depend on the write, so they are sent even if it fails.
        self.send_replies(replies, writer);
        let mut failed = Vec::new();
        self.write_events(events, writer, &mut failed);
        self.send_replies(failed, writer);
    }

    pub(super) fn send_replies(&mut self, replies: Vec<Datagram>, writer: &mut TraceWriter<'_>) {
        for datagram in replies {
            let to = NodeId(u8::try_from(datagram.to.address.port()).unwrap_or(0));
            self.send(NodeId::SERVER, to, Outgoing::Reply(datagram), writer);
        }
    }

    /// Returns a view of the server node.
    pub fn server(&self) -> ServerView<'_> {
        ServerView {
            state: self.server.process.as_ref().map(LockServer::state),
            last_state: self.server.last_state.as_ref(),
            durable_state: &self.server.disk.state,
            paused: self.server.paused,
            unflushed: self.server.disk.unflushed.len(),
        }
    }

    /// Returns the lines in the file of a lock.
    pub fn file(&self, lock: LockId) -> Option<&Lines> {
        self.server.recorder.file(lock)
    }

    /// Returns the number of the line that begins at `offset`, counted from 1; 0 if none does.
    pub(super) fn line_number_at(&self, lock: LockId, offset: u64) -> u64 {
        let index = self.file(lock).and_then(|lines| lines.index_at_offset(offset));
        index.map_or(0, |index| index as u64 + 1)
    }

    /// Returns the id of the live or ended session with this key, or 0.
    pub(super) fn session_id_for_key(&self, key: Secret<SessionKey>) -> u64 {
        let process = self.server.process.as_ref();
        let session_id = process.and_then(|process| process.live_or_ended_session(key));
        session_id.map_or(0, SessionId::number)
    }

    /// Records an event of the server.
    pub(super) fn record_event(
        &mut self,
        event: &Event,
        origin: NodeId,
        writer: &mut TraceWriter<'_>,
    ) {
        let state = self.server.process.as_ref().map(LockServer::state);
        let Some((kind, related)) = self.server.recorder.translate(event, origin, state) else {
            return;
        };
        let record_id = self.record_with_related(writer, NodeId::SERVER, kind, related);
        writer.cause = record_id;
        self.server.recorder.apply(event, origin, record_id);
    }
}

/// Returns the address of a node.
pub(super) fn peer_address(node: NodeId) -> Peer {
    Peer::new(([10, 0, 0, node.0], u16::from(node.0)).into())
}

fn config(config: &run::Config, seed: u64) -> Config {
    let lease = Millis::from_millis(config.lease_ms);
    let cookie_key = config.cookies.then(|| MacKey::new(&seed.to_le_bytes().repeat(4)));
    Config {
        lease_default: lease,
        lease_min: lease.min(leasehold_core::limits::LEASE_MIN),
        lease_max: lease.max(leasehold_core::limits::LEASE_MAX),
        limits: Limits {
            sessions_max: config.sessions_max,
            locks_max: config.locks_max,
            waiters_max: config.waiters_max,
            file_len_max: config.file_len_max,
            ..Limits::default()
        },
        cookie_key,
    }
}
