//! A client node: the real client state machine, its clock, and the script that calls it.

use leasehold_core::client::{CallId, CallOutcome, Config, LockClient, Notification};
use leasehold_core::id::Token;
use leasehold_core::refusal::Refusal;
use leasehold_core::rng::mix;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply};

use super::payload::{Outgoing, Payload};
use super::script_state::{ScriptActivity, ScriptState};
use super::{SimEvent, TraceWriter, World};
use crate::clock::Clock;
use crate::message::Message;
use crate::run::ClientConfig;
use crate::script::ScriptStep;
use crate::trace::{BeliefEndCause, CallResult, LockId, NodeId, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

/// A client node.
#[derive(Clone, Debug)]
pub(super) struct ClientNode {
    pub(super) clock: Clock,
    /// The client library; `None` before the start and after a crash.
    pub(super) process: Option<LockClient>,
    pub(super) paused: bool,
    pub(super) deferred: Vec<SimEvent>,
    pub(super) pause_count: u32,
    pub(super) start_count: u32,
    timer_at: Option<VirtualTime>,
    pub(super) beliefs: Vec<Belief>,
    pub(super) script_state: ScriptState,
}

/// A client's belief that it holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The lock.
    pub lock: LockId,
    /// The fencing token of the tenure.
    pub token: Token,
    /// When the belief ends, by the client's own clock.
    pub until: Time,
    /// The record of the belief.
    pub record: RecordId,
}

/// A read-only view of a client node.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is displayed separately")]
pub struct ClientView<'a> {
    /// Whether the client is running or paused: it has started and not crashed.
    pub alive: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether it believes that its session is open.
    pub session_open: bool,
    /// Whether it has completed its script.
    pub finished: bool,
    /// The client library; `None` while the client is not running.
    pub client: Option<&'a LockClient>,
    /// The locks that it believes it holds.
    pub beliefs: &'a [Belief],
    /// The index of the current step of its script, among [`ClientView::steps`].
    pub script_step: usize,
    /// The steps that it performs under the enabled protections.
    pub steps: &'a [ScriptStep],
    /// What its script does.
    pub activity: ScriptActivity,
}

/// Returns the reading of a node's clock at the start of the run. The clocks of the nodes differ,
/// because readings of different machines must not be compared.
pub(super) fn clock_offset_ms(id: NodeId) -> u64 {
    1_000_000 * u64::from(id.0)
}

impl ClientNode {
    pub(super) fn new(id: NodeId, config: &ClientConfig) -> Self {
        Self {
            clock: Clock::new(clock_offset_ms(id), config.rate_ppm),
            process: None,
            paused: false,
            deferred: Vec::new(),
            pause_count: 0,
            start_count: 0,
            timer_at: None,
            beliefs: Vec::new(),
            script_state: ScriptState::default(),
        }
    }

    /// Ends the process and loses its memory.
    pub(super) fn crash(&mut self) {
        self.process = None;
        self.timer_at = None;
        self.deferred.clear();
        self.paused = false;
        self.pause_count += 1;
        self.script_state = self.script_state.restarted();
    }
}

impl World {
    pub(super) fn start_client(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let context = std::sync::Arc::clone(&self.context);
        let Some(client_config) = context.run.config.clients.get(usize::from(node.0) - 1) else {
            return;
        };
        let lease = Millis::from_millis(context.run.config.lease_ms);
        let drift_ppm = context.run.config.drift_ppm;
        let config = Config {
            name: client_config.name.clone(),
            lease: Some(lease),
            drift_ppm,
            retransmit_delay: Millis::from_millis(context.run.config.retransmit_ms),
        };
        let Some(client) = self.client_mut(node) else { return };
        client.start_count += 1;
        let incarnation = u64::from(node.0) << 32 | u64::from(client.start_count);
        let seed = mix(context.run.seed ^ mix(incarnation));
        let mut process = LockClient::with_protections(context.protections.core, config, seed);
        process.skip_seqs(context.run.config.numbers_used.seqs);
        client.process = Some(process);
        self.drive_client(node, writer);
    }

    pub(super) fn client_receives(
        &mut self,
        node: NodeId,
        payload: Payload,
        writer: &mut TraceWriter<'_>,
    ) {
        let reply = match payload {
            Payload::Encoded(bytes) => {
                let body = self.context.encoding.verify(&bytes);
                let body = body.expect("all nodes of a run have the same key");
                Reply::decode(body).expect("the server encodes valid replies")
            }
            Payload::Reply(reply) => reply,
            Payload::Request(_) => unreachable!("a request was sent to a client"),
        };
        let now = self.local_time(node);
        if let Some(process) = self.client_mut(node).and_then(|client| client.process.as_mut()) {
            process.receive(now, reply);
        }
        self.drive_client(node, writer);
    }

    pub(super) fn fire_client_timer(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let now = self.now;
        let Some(client) = self.client_mut(node) else { return };
        if (client.timer_at != Some(now) && !client.paused)
            || self.defer(node, SimEvent::NodeTimer(node))
        {
            return;
        }
        let local = self.local_time(node);
        let Some(client) = self.client_mut(node) else { return };
        client.timer_at = None;
        if let Some(process) = &mut client.process {
            process.handle_timers(local);
        }
        self.drive_client(node, writer);
    }

    /// Continues the script after a sleep or a timeout.
    pub(super) fn resume_script(
        &mut self,
        node: NodeId,
        script_generation: u32,
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(client) = self.client(node) else { return };
        if client.script_state.generation != script_generation
            || self.defer(node, SimEvent::ResumeScript(node, script_generation))
        {
            return;
        }
        let now = self.local_time(node);
        let Some(client) = self.client_mut(node) else { return };
        // Timers first: the script must not act on a belief that has expired.
        if let Some(process) = &mut client.process {
            process.handle_timers(now);
        }
        client.script_state.sleep = None;
        self.drive_client(node, writer);
    }

    /// Handles everything that the last input caused: notifications, the script as far as it can
    /// continue, beliefs, requests, and the timer.
    pub(super) fn drive_client(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let cause = writer.cause;
        loop {
            while let Some(notification) = self.next_notification(node) {
                self.handle_notification(node, notification, writer);
            }
            if !self.run_script(node, writer) {
                break;
            }
        }
        self.update_beliefs(node, writer);
        self.send_requests(node, writer);
        self.schedule_client_timer(node);
        writer.cause = cause;
    }

    fn next_notification(&mut self, node: NodeId) -> Option<Notification> {
        self.client_mut(node)?.process.as_mut()?.poll_notification()
    }

    fn send_requests(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        loop {
            let client = self.client_mut(node);
            let request = client.and_then(|client| client.process.as_mut()?.poll_request());
            let Some(request) = request else { break };
            let is_heartbeat = matches!(request.operation, Operation::Heartbeat);
            if self.context.protections.heartbeats || !is_heartbeat {
                self.send(node, NodeId::SERVER, Outgoing::Request(request), writer);
            }
        }
    }

    pub(super) fn schedule_client_timer(&mut self, node: NodeId) {
        let now = self.now;
        let Some(client) = self.client_mut(node) else { return };
        let deadline = client.process.as_ref().and_then(LockClient::next_deadline);
        let deadline = deadline.map(|at| client.clock.time_of_reading(now, at));
        if deadline != client.timer_at {
            client.timer_at = deadline;
            if let Some(at) = deadline {
                self.schedule(at, SimEvent::NodeTimer(node));
            }
        }
    }

    /// Sets the timer again after a pause or a clock change.
    pub(super) fn reschedule_client_timer(&mut self, node: NodeId) {
        if let Some(client) = self.client_mut(node) {
            client.timer_at = None;
        }
        self.schedule_client_timer(node);
    }

    fn handle_notification(
        &mut self,
        node: NodeId,
        notification: Notification,
        writer: &mut TraceWriter<'_>,
    ) {
        match notification {
            Notification::SessionOpened { .. }
            | Notification::Queued { .. }
            | Notification::SessionRefused { .. } => {}
            Notification::LockLost { lock, token } => {
                let lock = self.lock_id(&lock);
                self.end_belief(node, lock, token, BeliefEndCause::Expired, writer);
            }
            Notification::SessionLost => {
                self.record_as_cause(writer, node, RecordKind::SessionLost);
            }
            Notification::Completed { call, outcome } => {
                self.handle_outcome(node, call, &outcome, writer);
            }
        }
    }

    fn handle_outcome(
        &mut self,
        node: NodeId,
        call: CallId,
        outcome: &CallOutcome,
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(client) = self.client(node) else { return };
        let Some((message, lock, token)) = client.script_state.call_details(call) else { return };
        let result = match outcome {
            CallOutcome::Granted { .. }
            | CallOutcome::Released
            | CallOutcome::Appended { .. }
            | CallOutcome::Closed => CallResult::Succeeded,
            CallOutcome::Refused(
                Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession,
            ) => CallResult::LockLost,
            CallOutcome::Refused(_) => CallResult::Refused,
            CallOutcome::TimedOut => CallResult::NoAnswer,
            CallOutcome::Unknown => CallResult::Unknown,
            CallOutcome::Cancelled => CallResult::Cancelled,
        };
        let granted =
            if let CallOutcome::Granted { token, .. } = outcome { Some(*token) } else { None };
        let token = granted.unwrap_or(token);
        let kind = RecordKind::CallEnded { message, lock, token: token.into(), outcome: result };
        self.record_as_cause(writer, node, kind);
        if let Some(client) = self.client_mut(node) {
            client.script_state.call_ended(call, message, token, result);
        }
    }

    /// Records changes of the client's beliefs.
    fn update_beliefs(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let Some(client) = self.client(node) else { return };
        let Some(process) = &client.process else { return };
        let held = process.held().filter_map(|(name, token)| {
            Some((self.lock_id(name), token, process.believed_until(name, token)?))
        });
        let existing = client.beliefs.iter().map(|it| (it.lock, it.token, it.until));
        // Most inputs change no belief.
        if held.clone().eq(existing) {
            return;
        }
        let held: Vec<_> = held.collect();
        let ended: Vec<Belief> = client
            .beliefs
            .iter()
            .filter(|belief| {
                !held.iter().any(|(lock, token, _)| (*lock, *token) == (belief.lock, belief.token))
            })
            .copied()
            .collect();
        for belief in ended {
            self.end_belief(node, belief.lock, belief.token, BeliefEndCause::Released, writer);
        }
        for (lock, token, until) in held {
            self.update_belief(node, lock, token, until, writer);
        }
    }

    fn update_belief(
        &mut self,
        node: NodeId,
        lock: LockId,
        token: Token,
        until: Time,
        writer: &mut TraceWriter<'_>,
    ) {
        let now = self.now;
        let Some(client) = self.client(node) else { return };
        let existing = client.beliefs.iter().position(|it| (it.lock, it.token) == (lock, token));
        if existing.is_some_and(|index| client.beliefs[index].until == until) {
            return;
        }
        let until_time = client.clock.time_of_reading(now, until);
        let kind = RecordKind::Believed { lock, token: token.into(), until: until_time };
        let record = self.record(writer, node, kind);
        let belief = Belief { lock, token, until, record };
        let Some(client) = self.client_mut(node) else { return };
        match existing {
            Some(index) => client.beliefs[index] = belief,
            None => client.beliefs.push(belief),
        }
    }

    /// Records the beliefs again after a clock change: they end at another virtual time.
    pub(super) fn record_beliefs_again(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let now = self.now;
        let Some(client) = self.client(node) else { return };
        let updated: Vec<(LockId, Token, VirtualTime)> = client
            .beliefs
            .iter()
            .map(|it| (it.lock, it.token, client.clock.time_of_reading(now, it.until)))
            .collect();
        for (lock, token, until) in updated {
            let token = token.into();
            self.record(writer, node, RecordKind::Believed { lock, token, until });
        }
    }

    pub(super) fn end_belief(
        &mut self,
        node: NodeId,
        lock: LockId,
        token: Token,
        cause: BeliefEndCause,
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(client) = self.client_mut(node) else { return };
        let existing = client.beliefs.iter().position(|it| (it.lock, it.token) == (lock, token));
        let Some(index) = existing else { return };
        let belief = client.beliefs.remove(index);
        let kind = RecordKind::BeliefEnded { lock, token: token.into(), cause };
        self.record_with_related(writer, node, kind, belief.record);
    }

    /// Records that the script calls the client library.
    pub(super) fn record_call(
        &mut self,
        node: NodeId,
        message: Message,
        lock: LockId,
        token: Token,
        writer: &mut TraceWriter<'_>,
    ) {
        let token = token.into();
        self.record_as_cause(writer, node, RecordKind::CallStarted { message, lock, token });
    }

    /// Returns a view of a client node.
    pub fn client_view(&self, node: NodeId) -> Option<ClientView<'_>> {
        let client = self.client(node)?;
        Some(ClientView {
            alive: client.process.is_some(),
            paused: client.paused,
            session_open: client.process.as_ref().is_some_and(LockClient::is_open),
            finished: client.script_state.finished,
            client: client.process.as_ref(),
            beliefs: &client.beliefs,
            script_step: client.script_state.step,
            steps: self.context.scripts.get(usize::from(node.0) - 1).map_or(&[], Vec::as_slice),
            activity: if client.script_state.finished {
                ScriptActivity::Inactive
            } else {
                client.script_state.activity()
            },
        })
    }
}
