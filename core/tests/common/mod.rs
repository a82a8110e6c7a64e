//! A server and some clients in one hand: each test says what is sent and when, and sees every
//! answer. What isn't expected is a failure.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    reason = "each test file uses its part of this"
)]

use leasehold_core::data::Data;
use leasehold_core::event::Event;
use leasehold_core::id::{Attempt, Name, Nonce, Peer, Seq, SessionId, Token};
use leasehold_core::secret::Secret;
use leasehold_core::service::{Config, Datagram, Input, LockServer, Outbox, Start, Stored};
use leasehold_core::state::State;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{Operation, Request, Status};

/// A server whose disk is instant, and all that it has said and done.
pub struct World {
    pub server: LockServer,
    pub outbox: Outbox,
    pub events: Vec<Event>,
    pub sent: Vec<Datagram>,
    pub now: Time,
    entropy: u128,
}

/// A session as its owner knows it.
#[derive(Clone, Copy)]
pub struct Ann {
    pub peer: Peer,
    pub session: Secret<SessionId>,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
}

pub fn peer(port: u16) -> Peer {
    Peer(([127, 0, 0, 1], port).into())
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        Self::from(config, Start::default(), Time::ZERO)
    }

    pub fn from(config: Config, start: Start, now: Time) -> Self {
        let (server, step) = LockServer::start(config, start, now);
        let (outbox, events, sent) = (Outbox::default(), Vec::new(), Vec::new());
        let mut world = Self { server, outbox, events, sent, now, entropy: 1 };
        world.take(step);
        world
    }

    /// The disk takes everything at once.
    pub fn take(&mut self, step: leasehold_core::service::Step) {
        let events = self.outbox.hold(step, &mut self.sent);
        self.events.extend(events);
        let stored = Stored { through: self.server.index() };
        self.outbox.release(stored, &mut self.sent);
        self.server.stored(stored);
    }

    pub fn pass(&mut self, span: Span) {
        let end = self.now + span;
        while let Some((at, _)) = self.server.next_wake().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            let step = self.server.step(self.now, Input::Wake);
            self.take(step);
        }
        self.now = end;
    }

    pub fn send(&mut self, from: Peer, request: &Request) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.send_bytes(from, &bytes);
    }

    pub fn send_bytes(&mut self, from: Peer, bytes: &[u8]) {
        self.entropy += 1;
        let entropy = self.entropy;
        let step = self.server.receive(self.now, from, bytes, entropy);
        self.take(step);
    }

    /// All that was sent since the last look, as `port re attempt status…`.
    pub fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent).iter().map(told).collect()
    }

    pub fn open(&mut self, port: u16, client: &str) -> Ann {
        let request = hello(client, u64::from(port));
        self.send(peer(port), &request);
        let sent = std::mem::take(&mut self.sent);
        match &sent.as_slice() {
            [Datagram { reply, .. }] => match &reply.status {
                Status::Welcome { session, .. } => Ann { peer: peer(port), session: *session },
                other => panic!("not a welcome: {other:?}"),
            },
            other => panic!("not one reply: {other:?}"),
        }
    }

    pub fn ask(&mut self, ann: Ann, seq: u64, operation: Operation) -> String {
        self.ask_again(ann, seq, 0, operation)
    }

    pub fn ask_again(&mut self, ann: Ann, seq: u64, attempt: u64, operation: Operation) -> String {
        assert!(self.sent.is_empty(), "unread: {:?}", self.said());
        let (seq, attempt) = (Seq::new(seq), Attempt::new(attempt));
        self.send(ann.peer, &Request { session: Some(ann.session), seq, attempt, operation });
        self.said().join(" + ")
    }

    /// These arrive one after the other, and the disk takes nothing of what they lead to.
    pub fn ask_in_vain(&mut self, requests: &[(Ann, u64, u64, Operation)]) -> Vec<String> {
        let state = self.stored();
        for (ann, seq, attempt, operation) in requests.iter().cloned() {
            let (seq, attempt) = (Seq::new(seq), Attempt::new(attempt));
            let request = Request { session: Some(ann.session), seq, attempt, operation };
            let input = Input::Request { from: ann.peer, request: &request, entropy: 0 };
            let step = self.server.step(self.now, input);
            self.outbox.hold(step, &mut self.sent);
        }
        let failed = self.outbox.fail(&mut self.sent);
        let step = self.server.restore(state.into(), failed, self.now, 0);
        self.take(step);
        self.said()
    }

    /// The fold of the durable events alone.
    fn stored(&self) -> State {
        let mut state = State::default();
        for event in self.events.iter().filter(|event| event.fact.is_durable()) {
            state.apply(event);
        }
        state
    }

    /// What is so after a crash.
    pub fn crash(&mut self) {
        let state = self.stored();
        let after = self.server.index();
        let start = Start { state, after, ..Start::default() };
        let (server, step) = LockServer::start(Config::default(), start, self.now);
        self.server = server;
        self.outbox = Outbox::default();
        self.sent.clear();
        self.take(step);
    }
}

pub fn hello(client: &str, nonce: u64) -> Request {
    Request {
        session: None,
        seq: Seq::default(),
        attempt: Attempt::default(),
        operation: Operation::Hello {
            client: name(client),
            nonce: Secret::new(Nonce::new(nonce)),
            lease: None,
            cookie: None,
        },
    }
}

pub fn acquire(lock: &str) -> Operation {
    Operation::AcquireLock { lock: name(lock), wait: Span::ZERO, hold: None }
}

pub fn wait(lock: &str, wait_ms: u64) -> Operation {
    Operation::AcquireLock { lock: name(lock), wait: millis(wait_ms), hold: None }
}

pub fn cancel(lock: &str) -> Operation {
    Operation::CancelAcquire { lock: name(lock) }
}

pub fn release(lock: &str, token: u64) -> Operation {
    Operation::ReleaseLock { lock: name(lock), token: Token::new(token) }
}

pub fn append(file: &str, token: u64, text: &str) -> Operation {
    Operation::AppendFile {
        file: name(file),
        token: Token::new(token),
        data: Data::new(text.as_bytes()),
    }
}

fn told(datagram: &Datagram) -> String {
    let reply = &datagram.reply;
    let status = match &reply.status {
        Status::Granted { lock, token, lease, hold } => {
            let hold = hold.map(|hold| format!(", hold {hold}")).unwrap_or_default();
            format!("granted {lock} #{token} for {lease}{hold}")
        }
        Status::Queued { lock, position } => format!("queued {lock} at {position}"),
        Status::Cancelled { lock } => format!("cancelled {lock}"),
        Status::Released { lock } => format!("released {lock}"),
        Status::Appended { file, offset, len } => format!("appended {file} {offset}+{len}"),
        Status::Applied { file, offset, len } => format!("applied {file} {offset}+{len}"),
        Status::Alive { lease, held } => format!("alive for {lease}, holds {held}"),
        Status::Closed { released } => format!("closed, released {released}"),
        Status::Refused(refusal) => {
            let more = match refusal {
                leasehold_core::refusal::Refusal::StaleToken { current } => format!(" {current}"),
                leasehold_core::refusal::Refusal::AlreadyHeld { token } => format!(" {token}"),
                _ => String::new(),
            };
            format!("{}{more}", refusal.code())
        }
        other => other.word().to_owned(),
    };
    format!("{} {}.{} {status}", datagram.to.0.port(), reply.re, reply.attempt)
}
