//! A client's node: the real client state machine, its clock, and the script that uses it.

use leasehold_core::client::{CallId, Config, LockClient, Notice, Verdict};
use leasehold_core::id::Token;
use leasehold_core::refusal::Refusal;
use leasehold_core::rng::mix;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{Operation, Reply};

use super::network::Payload;
use super::script::Progress;
use super::{Due, Pen, World};
use crate::clock::Clock;
use crate::message::Message;
use crate::moment::Moment;
use crate::run::ClientConfig;
use crate::trace::{CallEnd, DisbeliefCause, Kind, LockNo, NodeNo, RecordNo};

/// A client's node.
#[derive(Clone, Debug)]
pub(super) struct ClientNode {
    pub(super) clock: Clock,
    /// The process, while there is one.
    pub(super) core: Option<LockClient>,
    pub(super) paused: bool,
    pub(super) deferred: Vec<Due>,
    pub(super) pauses: u32,
    pub(super) starts: u32,
    waking: Option<Moment>,
    pub(super) beliefs: Vec<Belief>,
    pub(super) progress: Progress,
}

/// A lock that a client believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Which.
    pub lock: LockNo,
    /// Under which token.
    pub token: u32,
    /// Until when, by the client's own clock.
    pub until: Time,
    /// The record that tells of it.
    pub record: RecordNo,
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
    pub open: bool,
    /// Whether its script is through.
    pub finished: bool,
    /// Its library, while it runs.
    pub library: Option<&'a LockClient>,
    /// What it believes to hold.
    pub beliefs: &'a [Belief],
    /// The step of its script that it is at, counted from 0.
    pub step: usize,
}

/// What a node's clock shows when the run begins. Clocks of different machines show different
/// times, and nobody may compare them.
pub(super) fn clock_offset_ms(no: NodeNo) -> u64 {
    1_000_000 * u64::from(no.0)
}

impl ClientNode {
    pub(super) fn new(no: NodeNo, config: &ClientConfig) -> Self {
        Self {
            clock: Clock::new(clock_offset_ms(no), config.rate_ppm),
            core: None,
            paused: false,
            deferred: Vec::new(),
            pauses: 0,
            starts: 0,
            waking: None,
            beliefs: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// The process is gone, and all that it knew.
    pub(super) fn die(&mut self) {
        self.core = None;
        self.waking = None;
        self.deferred.clear();
        self.paused = false;
        self.pauses += 1;
        self.progress = self.progress.begin_anew();
    }
}

impl World {
    pub(super) fn start_client(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let fixed = std::sync::Arc::clone(&self.fixed);
        let Some(spec) = fixed.run.config.clients.get(usize::from(node.0) - 1) else { return };
        let lease = Span::from_millis(fixed.run.config.lease_ms);
        let drift_ppm = fixed.run.config.drift_ppm;
        let config = Config {
            name: spec.name.clone(),
            lease: Some(lease),
            drift_ppm,
            first_pause: Span::from_millis(fixed.run.config.retransmit_ms),
        };
        let Some(client) = self.client_mut(node) else { return };
        client.starts += 1;
        let life = u64::from(node.0) << 32 | u64::from(client.starts);
        let seed = mix(fixed.run.seed ^ mix(life));
        client.core = Some(LockClient::new_with(fixed.guards.core, config, seed));
        self.go_on(node, pen);
    }

    pub(super) fn client_receives(&mut self, node: NodeNo, reply: Reply, pen: &mut Pen<'_>) {
        let now = self.local(node);
        if let Some(core) = self.client_mut(node).and_then(|client| client.core.as_mut()) {
            core.receive(now, reply);
        }
        self.go_on(node, pen);
    }

    pub(super) fn wake_client(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let now = self.now;
        let Some(client) = self.client_mut(node) else { return };
        if (client.waking != Some(now) && !client.paused) || self.defer(node, Due::Wake(node)) {
            return;
        }
        let local = self.local(node);
        let Some(client) = self.client_mut(node) else { return };
        client.waking = None;
        if let Some(core) = &mut client.core {
            core.wake(local);
        }
        self.go_on(node, pen);
    }

    /// A step of the script is due.
    pub(super) fn act(&mut self, node: NodeNo, number: u32, pen: &mut Pen<'_>) {
        let Some(client) = self.client(node) else { return };
        if client.progress.number != number || self.defer(node, Due::Act(node, number)) {
            return;
        }
        let now = self.local(node);
        let Some(client) = self.client_mut(node) else { return };
        // Whatever it does, it does by a clock that it has just looked at.
        if let Some(core) = &mut client.core {
            core.wake(now);
        }
        client.progress.sleeping = false;
        self.go_on(node, pen);
    }

    /// Takes out all that a client's last input has led to, and goes on with its script as far as
    /// that goes.
    pub(super) fn go_on(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let cause = pen.cause;
        loop {
            while let Some(notice) = self.next_notice(node) {
                self.take_notice(node, notice, pen);
            }
            if !self.run_script(node, pen) {
                break;
            }
        }
        self.watch_beliefs(node, pen);
        self.send_requests(node, pen);
        self.set_client_wake(node);
        pen.cause = cause;
    }

    fn next_notice(&mut self, node: NodeNo) -> Option<Notice> {
        self.client_mut(node)?.core.as_mut()?.notice()
    }

    fn send_requests(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        loop {
            let client = self.client_mut(node);
            let request = client.and_then(|client| client.core.as_mut()?.request());
            let Some(request) = request else { break };
            let beat = matches!(request.operation, Operation::Heartbeat);
            if self.fixed.guards.heartbeats || !beat {
                self.send(node, NodeNo::SERVER, Payload::Request(request), pen);
            }
        }
    }

    pub(super) fn set_client_wake(&mut self, node: NodeNo) {
        let now = self.now;
        let Some(client) = self.client_mut(node) else { return };
        let next = client.core.as_ref().and_then(LockClient::next_wake);
        let next = next.map(|at| client.clock.when(now, at));
        if next != client.waking {
            client.waking = next;
            if let Some(at) = next {
                self.schedule(at, Due::Wake(node));
            }
        }
    }

    /// Goes on after a pause.
    pub(super) fn catch_up_client(&mut self, node: NodeNo) {
        if let Some(client) = self.client_mut(node) {
            client.waking = None;
        }
        self.set_client_wake(node);
    }

    fn take_notice(&mut self, node: NodeNo, notice: Notice, pen: &mut Pen<'_>) {
        match notice {
            Notice::Opened { .. } | Notice::Queued { .. } | Notice::NotOpened { .. } => {}
            Notice::Lost { lock, token } => {
                let lock = self.lock_no(&lock);
                self.disbelieve(node, lock, token, DisbeliefCause::Lapsed, pen);
            }
            Notice::SessionLost => {
                self.chain(pen, node, Kind::SessionLost);
            }
            Notice::Answered { call, verdict } => self.take_verdict(node, call, &verdict, pen),
        }
    }

    fn take_verdict(&mut self, node: NodeNo, call: CallId, verdict: &Verdict, pen: &mut Pen<'_>) {
        let Some(client) = self.client(node) else { return };
        let Some((message, lock, token)) = client.progress.call_of(call) else { return };
        let end = match verdict {
            Verdict::Granted { .. }
            | Verdict::Released
            | Verdict::Appended { .. }
            | Verdict::Closed => CallEnd::Done,
            Verdict::Refused(
                Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession,
            ) => CallEnd::Lost,
            Verdict::Refused(_) => CallEnd::Refused,
            Verdict::NoAnswer => CallEnd::NoAnswer,
            Verdict::Unknown => CallEnd::Unknown,
            Verdict::Cancelled => CallEnd::Cancelled,
        };
        let granted =
            if let Verdict::Granted { token, .. } = verdict { Some(*token) } else { None };
        let token = granted.map_or(token, number);
        self.chain(pen, node, Kind::Answered { message, lock, token, end });
        if let Some(client) = self.client_mut(node) {
            client.progress.answered(call, message, token, end);
        }
    }

    /// Notes what the client may believe now.
    fn watch_beliefs(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let Some(client) = self.client(node) else { return };
        let Some(core) = &client.core else { return };
        let held = core.held().filter_map(|(name, token)| {
            Some((self.lock_no(name), number(token), core.until(name, token)?))
        });
        let known = client.beliefs.iter().map(|it| (it.lock, it.token, it.until));
        // Most of what happens to a client changes nothing here.
        if held.clone().eq(known) {
            return;
        }
        let held: Vec<_> = held.collect();
        let gone: Vec<Belief> = client
            .beliefs
            .iter()
            .filter(|belief| {
                !held.iter().any(|(lock, token, _)| (*lock, *token) == (belief.lock, belief.token))
            })
            .copied()
            .collect();
        for belief in gone {
            let token = Token::new(u64::from(belief.token));
            self.disbelieve(node, belief.lock, token, DisbeliefCause::Released, pen);
        }
        for (lock, token, until) in held {
            self.believe(node, lock, token, until, pen);
        }
    }

    fn believe(&mut self, node: NodeNo, lock: LockNo, token: u32, until: Time, pen: &mut Pen<'_>) {
        let now = self.now;
        let Some(client) = self.client(node) else { return };
        let known = client.beliefs.iter().position(|it| (it.lock, it.token) == (lock, token));
        if known.is_some_and(|place| client.beliefs[place].until == until) {
            return;
        }
        let when = client.clock.when(now, until);
        let record = self.record(pen, node, Kind::Believed { lock, token, until: when });
        let belief = Belief { lock, token, until, record };
        let Some(client) = self.client_mut(node) else { return };
        match known {
            Some(place) => client.beliefs[place] = belief,
            None => client.beliefs.push(belief),
        }
    }

    /// After a clock was set: the same beliefs end at another moment.
    pub(super) fn tell_beliefs_again(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let now = self.now;
        let Some(client) = self.client(node) else { return };
        let again: Vec<(LockNo, u32, Moment)> = client
            .beliefs
            .iter()
            .map(|it| (it.lock, it.token, client.clock.when(now, it.until)))
            .collect();
        for (lock, token, until) in again {
            self.record(pen, node, Kind::Believed { lock, token, until });
        }
    }

    pub(super) fn disbelieve(
        &mut self,
        node: NodeNo,
        lock: LockNo,
        token: Token,
        cause: DisbeliefCause,
        pen: &mut Pen<'_>,
    ) {
        let token = number(token);
        let Some(client) = self.client_mut(node) else { return };
        let known = client.beliefs.iter().position(|it| (it.lock, it.token) == (lock, token));
        let Some(place) = known else { return };
        let belief = client.beliefs.remove(place);
        let kind = Kind::Disbelieved { lock, token, cause };
        self.record_with(pen, node, kind, belief.record);
    }

    /// Asks the client's library for something, and writes that down.
    pub(super) fn called(
        &mut self,
        node: NodeNo,
        message: Message,
        lock: LockNo,
        token: u32,
        pen: &mut Pen<'_>,
    ) {
        self.chain(pen, node, Kind::Called { message, lock, token });
    }

    /// What a client's node is like.
    pub fn client_view(&self, node: NodeNo) -> Option<ClientView<'_>> {
        let client = self.client(node)?;
        Some(ClientView {
            alive: client.core.is_some(),
            paused: client.paused,
            open: client.core.as_ref().is_some_and(LockClient::is_open),
            finished: client.progress.finished,
            library: client.core.as_ref(),
            beliefs: &client.beliefs,
            step: client.progress.at,
        })
    }
}

fn number(token: Token) -> u32 {
    crate::trace::number(token.number())
}
