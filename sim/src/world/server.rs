//! The server's node: the real lock service, its outbox, and a journal on a simulated disk.

use leasehold_core::event::Event;
use leasehold_core::id::{Peer, SessionId, SessionNo};
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::service::{
    Bounds, Config, Datagram, Input, LockServer, Outbox, Start, Step, Stored,
};
use leasehold_core::state::State;
use leasehold_core::time::Span;
use leasehold_core::wire::{Key, Request};

use super::disk::DiskState;
use super::network::Payload;
use super::{Due, Pen, World};
use crate::clock::Clock;
use crate::file::Lines;
use crate::ledger::Ledger;
use crate::moment::Moment;
use crate::run;
use crate::trace::{Kind, LockNo, NodeNo, number};

/// What the draws for session ids are keyed by: no link has this.
const ENTROPY_KEY: u64 = 0xe7 << 56;

/// The server's node.
#[derive(Clone, Debug)]
pub(super) struct ServerNode {
    pub(super) clock: Clock,
    /// The process, while there is one.
    pub(super) core: Option<LockServer>,
    pub(super) outbox: Outbox,
    pub(super) paused: bool,
    pub(super) deferred: Vec<Due>,
    pub(super) pauses: u32,
    pub(super) starts: u32,
    waking: Option<Moment>,
    pub(super) disk: DiskState,
    pub(super) ledger: Ledger,
    inputs: u64,
}

/// What the server's node is like, for those who look.
#[derive(Clone, Copy, Debug)]
pub struct ServerView<'a> {
    /// What is so in its memory; unset while it is dead.
    pub state: Option<&'a State>,
    /// What is on its disk.
    pub stored: &'a State,
    /// Whether it stands still.
    pub paused: bool,
    /// How many events wait to be flushed.
    pub unflushed: usize,
}

impl ServerNode {
    pub(super) fn new(config: &run::Config) -> Self {
        Self {
            clock: Clock::new(0, config.server_rate_ppm),
            core: None,
            outbox: Outbox::default(),
            paused: false,
            deferred: Vec::new(),
            pauses: 0,
            starts: 0,
            waking: None,
            disk: DiskState::default(),
            ledger: Ledger::new(&config.locks),
            inputs: 0,
        }
    }

    /// The process is gone. What was written and not flushed is there afterwards only by luck.
    pub(super) fn die(&mut self, keeps_unflushed: bool) {
        self.core = None;
        self.outbox = Outbox::default();
        self.waking = None;
        self.deferred.clear();
        self.paused = false;
        self.pauses += 1;
        self.disk.flushing = None;
        let unflushed = std::mem::take(&mut self.disk.unflushed);
        if keeps_unflushed {
            unflushed.iter().for_each(|event| self.disk.keep(event));
        }
        self.ledger.forget_after(self.disk.state.index());
    }
}

impl World {
    pub(super) fn start_server(&mut self, pen: &mut Pen<'_>) {
        let fixed = std::sync::Arc::clone(&self.fixed);
        let now = self.server.clock.read(self.now);
        self.server.starts += 1;
        let disk = &mut self.server.disk;
        if !fixed.guards.core.durable_tokens {
            disk.state.forget_tokens();
        }
        if !fixed.guards.core.fencing {
            disk.state = std::mem::take(&mut disk.state).unfenced();
        }
        let state = disk.state.clone();
        // Places in history are reserved ahead of their use, so none is ever given twice.
        let after = disk.after.max(state.index());
        let start = Start { state, after, ..Start::default() };
        if self.server.starts > 1 {
            self.record_recovery(pen);
        }
        let config = config(&fixed.run.config, fixed.run.seed);
        let (core, step) = LockServer::start_with(fixed.guards.core, config, start, now);
        self.server.core = Some(core);
        self.take_step(step, NodeNo::SERVER, pen);
        self.set_server_wake();
    }

    pub(super) fn record_recovery(&mut self, pen: &mut Pen<'_>) {
        let state = self.server.disk.state.clone();
        let small = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let tenures = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
        self.chain(
            pen,
            NodeNo::SERVER,
            Kind::Recovered {
                through: number(state.index().number()),
                sessions: small(state.sessions().len()),
                tenures: small(tenures),
                waits: small(state.waiters()),
            },
        );
        for (kind, also) in self.server.ledger.kept(&state) {
            self.record_with(pen, NodeNo::SERVER, kind, also);
        }
    }

    pub(super) fn server_receives(&mut self, from: NodeNo, request: &Request, pen: &mut Pen<'_>) {
        self.server.inputs += 1;
        let mut rng = Rng::keyed(self.fixed.run.seed, ENTROPY_KEY | self.server.inputs);
        let entropy = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
        let now = self.server.clock.read(self.now);
        let Some(core) = &mut self.server.core else { return };
        let step = core.step(now, Input::Request { from: peer(from), request, entropy });
        self.take_step(step, from, pen);
        self.set_server_wake();
    }

    pub(super) fn wake_server(&mut self, pen: &mut Pen<'_>) {
        if self.server.waking != Some(self.now) && !self.server.paused {
            return;
        }
        if self.defer(NodeNo::SERVER, Due::Wake(NodeNo::SERVER)) {
            return;
        }
        self.server.waking = None;
        let now = self.server.clock.read(self.now);
        let Some(core) = &mut self.server.core else { return };
        let step = core.step(now, Input::Wake);
        self.take_step(step, NodeNo::SERVER, pen);
        self.set_server_wake();
    }

    /// Goes on after a pause: what has fallen due is looked after first.
    pub(super) fn catch_up_server(&mut self) {
        self.server.waking = None;
        self.set_server_wake();
    }

    /// Sets the timer anew where the next due moment, or the clock, has changed.
    pub(super) fn set_server_wake(&mut self) {
        let next = self.server.core.as_ref().and_then(|core| core.next_wake());
        let next = next.map(|(at, _)| self.server.clock.when(self.now, at));
        if next != self.server.waking {
            self.server.waking = next;
            if let Some(at) = next {
                self.schedule(at, Due::Wake(NodeNo::SERVER));
            }
        }
    }

    /// Writes down what a step has led to, sends what may be sent, and gives the rest to the disk.
    fn take_step(&mut self, step: Step, by: NodeNo, pen: &mut Pen<'_>) {
        let arrived = pen.cause;
        for event in &step.events {
            self.record_event(event, by, pen);
        }
        if step.events.is_empty() {
            pen.cause = arrived;
        }
        let mut sent = Vec::new();
        let events = self.server.outbox.hold(step, &mut sent);
        if !self.fixed.guards.durable_replies
            && let Some(core) = &self.server.core
        {
            self.server.outbox.release(Stored { through: core.index() }, &mut sent);
        }
        // What may leave leaves before anything can go wrong with the disk.
        self.send_replies(sent, pen);
        let mut failed = Vec::new();
        self.write(events, pen, &mut failed);
        self.send_replies(failed, pen);
    }

    pub(super) fn send_replies(&mut self, replies: Vec<Datagram>, pen: &mut Pen<'_>) {
        for datagram in replies {
            let to = NodeNo(u8::try_from(datagram.to.0.port()).unwrap_or(0));
            self.send(NodeNo::SERVER, to, Payload::Reply(datagram.reply), pen);
        }
    }

    /// What the server's node is like.
    pub fn server(&self) -> ServerView<'_> {
        ServerView {
            state: self.server.core.as_ref().map(LockServer::state),
            stored: &self.server.disk.state,
            paused: self.server.paused,
            unflushed: self.server.disk.unflushed.len(),
        }
    }

    /// What stands in the file of a lock.
    pub fn file(&self, lock: LockNo) -> Option<&Lines> {
        self.server.ledger.file(lock)
    }

    /// The place of the line that begins here, from 1 on; 0 where none does.
    pub(super) fn line_at(&self, lock: LockNo, offset: u64) -> u64 {
        let place = self.file(lock).and_then(|lines| lines.place_of(offset));
        place.map_or(0, |place| place as u64 + 1)
    }

    /// The number of the session that this capability opens, or opened.
    pub(super) fn session_number(&self, id: Secret<SessionId>) -> u64 {
        let core = self.server.core.as_ref();
        let session_no = core.and_then(|core| core.session_ever(id));
        session_no.map_or(0, SessionNo::number)
    }

    /// Writes a decision of the service down, and what it rests on.
    pub(super) fn record_event(&mut self, event: &Event, by: NodeNo, pen: &mut Pen<'_>) {
        let state = self.server.core.as_ref().map(LockServer::state);
        let Some((kind, also)) = self.server.ledger.decision(event, by, state) else { return };
        let no = self.record_with(pen, NodeNo::SERVER, kind, also);
        pen.cause = no;
        self.server.ledger.take(event, by, no);
    }
}

/// Where a node's packets come from.
pub(super) fn peer(node: NodeNo) -> Peer {
    Peer(([10, 0, 0, node.0], u16::from(node.0)).into())
}

fn config(config: &run::Config, seed: u64) -> Config {
    let lease = Span::from_millis(config.lease_ms);
    let cookie_key = config.cookies.then(|| Key::new(&seed.to_le_bytes().repeat(4)));
    Config {
        lease_default: lease,
        lease_min: lease.min(leasehold_core::limits::LEASE_MIN),
        lease_max: lease.max(leasehold_core::limits::LEASE_MAX),
        bounds: Bounds {
            sessions_max: config.sessions_max,
            locks_max: config.locks_max,
            waiters_max: config.waiters_max,
            file_len_max: config.file_len_max,
            ..Bounds::default()
        },
        cookie_key,
    }
}
