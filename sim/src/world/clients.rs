//! A client's node: the real client state machine, its clock, and the script that uses it.

use leasehold_core::client::{CallId, CallOutcome, Config, LockClient, Notification};
use leasehold_core::id::Token;
use leasehold_core::refusal::Refusal;
use leasehold_core::rng::mix;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply};

use super::network::Payload;
use super::run_script::ScriptState;
use super::{SimEvent, TraceWriter, World};
use crate::clock::Clock;
use crate::message::Message;
use crate::run::ClientConfig;
use crate::trace::{BeliefEndCause, CallResult, LockId, NodeId, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

/// A client's node.
#[derive(Clone, Debug)]
pub(super) struct ClientNode {
    pub(super) clock: Clock,
    /// The process, while there is one.
    pub(super) process: Option<LockClient>,
    pub(super) paused: bool,
    pub(super) deferred: Vec<SimEvent>,
    pub(super) pause_count: u32,
    pub(super) start_count: u32,
    timer_at: Option<VirtualTime>,
    pub(super) beliefs: Vec<Belief>,
    pub(super) script_state: ScriptState,
}

/// A lock that a client believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Which.
    pub lock: LockId,
    /// Under which token.
    pub token: u32,
    /// Until when, by the client's own clock.
    pub until: Time,
    /// The record that tells of it.
    pub record: RecordId,
}

/// What a client's node is like, for those who look.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is shown by itself")]
pub struct ClientView<'a> {
    /// Whether it runs, or stands still; not where it is dead or has not started.
    pub alive: bool,
    /// Whether it stands still.
    pub paused: bool,
    /// Whether it has a session, as far as it knows.
    pub session_open: bool,
    /// Whether its script is through.
    pub finished: bool,
    /// Its library, while it runs.
    pub client: Option<&'a LockClient>,
    /// What it believes to hold.
    pub beliefs: &'a [Belief],
    /// The step of its script that it is at, counted from 0.
    pub script_step: usize,
}

/// What a node's clock shows when the run begins. Clocks of different machines show different
/// times, and nobody may compare them.
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

    /// The process is gone, and all that it knew.
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
        let Some(spec) = context.run.config.clients.get(usize::from(node.0) - 1) else { return };
        let lease = Millis::from_millis(context.run.config.lease_ms);
        let drift_ppm = context.run.config.drift_ppm;
        let config = Config {
            name: spec.name.clone(),
            lease: Some(lease),
            drift_ppm,
            retransmit_delay: Millis::from_millis(context.run.config.retransmit_ms),
        };
        let Some(client) = self.client_mut(node) else { return };
        client.start_count += 1;
        let incarnation = u64::from(node.0) << 32 | u64::from(client.start_count);
        let seed = mix(context.run.seed ^ mix(incarnation));
        client.process = Some(LockClient::with_protections(context.protections.core, config, seed));
        self.drive_client(node, writer);
    }

    pub(super) fn client_receives(
        &mut self,
        node: NodeId,
        reply: Reply,
        writer: &mut TraceWriter<'_>,
    ) {
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

    /// A step of the script is due.
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
        // Whatever it does, it does by a clock that it has just looked at.
        if let Some(process) = &mut client.process {
            process.handle_timers(now);
        }
        client.script_state.sleeping = false;
        self.drive_client(node, writer);
    }

    /// Takes out all that a client's last input has led to, and goes on with its script as far as
    /// that goes.
    pub(super) fn drive_client(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let cause = writer.cause;
        loop {
            while let Some(notice) = self.next_notice(node) {
                self.handle_notice(node, notice, writer);
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

    fn next_notice(&mut self, node: NodeId) -> Option<Notification> {
        self.client_mut(node)?.process.as_mut()?.poll_notification()
    }

    fn send_requests(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        loop {
            let client = self.client_mut(node);
            let request = client.and_then(|client| client.process.as_mut()?.poll_request());
            let Some(request) = request else { break };
            let is_heartbeat = matches!(request.operation, Operation::Heartbeat);
            if self.context.protections.heartbeats || !is_heartbeat {
                self.send(node, NodeId::SERVER, Payload::Request(request), writer);
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

    /// Goes on after a pause.
    pub(super) fn reschedule_client_timer(&mut self, node: NodeId) {
        if let Some(client) = self.client_mut(node) {
            client.timer_at = None;
        }
        self.schedule_client_timer(node);
    }

    fn handle_notice(&mut self, node: NodeId, notice: Notification, writer: &mut TraceWriter<'_>) {
        match notice {
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
            Notification::Completed { call, outcome: verdict } => {
                self.handle_verdict(node, call, &verdict, writer)
            }
        }
    }

    fn handle_verdict(
        &mut self,
        node: NodeId,
        call: CallId,
        verdict: &CallOutcome,
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(client) = self.client(node) else { return };
        let Some((message, lock, token)) = client.script_state.call_details(call) else { return };
        let outcome = match verdict {
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
            if let CallOutcome::Granted { token, .. } = verdict { Some(*token) } else { None };
        let token = granted.map_or(token, token_number);
        self.record_as_cause(writer, node, RecordKind::CallEnded { message, lock, token, outcome });
        if let Some(client) = self.client_mut(node) {
            client.script_state.call_ended(call, message, token, outcome);
        }
    }

    /// Notes what the client may believe now.
    fn update_beliefs(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let Some(client) = self.client(node) else { return };
        let Some(process) = &client.process else { return };
        let held = process.held().filter_map(|(name, token)| {
            Some((self.lock_id(name), token_number(token), process.believed_until(name, token)?))
        });
        let existing = client.beliefs.iter().map(|it| (it.lock, it.token, it.until));
        // Most of what happens to a client changes nothing here.
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
            let token = Token::new(u64::from(belief.token));
            self.end_belief(node, belief.lock, token, BeliefEndCause::Released, writer);
        }
        for (lock, token, until) in held {
            self.update_belief(node, lock, token, until, writer);
        }
    }

    fn update_belief(
        &mut self,
        node: NodeId,
        lock: LockId,
        token: u32,
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
        let record =
            self.record(writer, node, RecordKind::Believed { lock, token, until: until_time });
        let belief = Belief { lock, token, until, record };
        let Some(client) = self.client_mut(node) else { return };
        match existing {
            Some(index) => client.beliefs[index] = belief,
            None => client.beliefs.push(belief),
        }
    }

    /// After a clock was set: the same beliefs end at another moment.
    pub(super) fn record_beliefs_again(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let now = self.now;
        let Some(client) = self.client(node) else { return };
        let updated: Vec<(LockId, u32, VirtualTime)> = client
            .beliefs
            .iter()
            .map(|it| (it.lock, it.token, client.clock.time_of_reading(now, it.until)))
            .collect();
        for (lock, token, until) in updated {
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
        let token = token_number(token);
        let Some(client) = self.client_mut(node) else { return };
        let existing = client.beliefs.iter().position(|it| (it.lock, it.token) == (lock, token));
        let Some(index) = existing else { return };
        let belief = client.beliefs.remove(index);
        let kind = RecordKind::BeliefEnded { lock, token, cause };
        self.record_with_related(writer, node, kind, belief.record);
    }

    /// Asks the client's library for something, and writes that down.
    pub(super) fn record_call(
        &mut self,
        node: NodeId,
        message: Message,
        lock: LockId,
        token: u32,
        writer: &mut TraceWriter<'_>,
    ) {
        self.record_as_cause(writer, node, RecordKind::CallStarted { message, lock, token });
    }

    /// What a client's node is like.
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
        })
    }
}

fn token_number(token: Token) -> u32 {
    crate::trace::saturating_u32(token.number())
}
