//! A server whose requests, clock and disk a test controls. Every reply is visible to the test, and
//! an unexpected one fails it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this module")]

use leasehold_core::client::LockClient;
use leasehold_core::data::Data;
use leasehold_core::event::Event;
use leasehold_core::id::{Attempt, Name, Nonce, Peer, Seq, SessionKey, Token};
use leasehold_core::refusal::Refusal;
use leasehold_core::secret::Secret;
use leasehold_core::service::{Config, Datagram, Durable, Input, LockServer, Outbox, StartParams};
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

/// A server whose writes are durable at once, and everything that it has produced.
pub struct Harness {
    pub server: LockServer,
    pub outbox: Outbox,
    pub events: Vec<Event>,
    pub replies: Vec<Datagram>,
    pub now: Time,
    entropy: u128,
}

/// A session, as its client knows it.
#[derive(Clone, Copy)]
pub struct TestSession {
    pub peer: Peer,
    pub session_key: Secret<SessionKey>,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn millis(millis: u64) -> Millis {
    Millis::from_millis(millis)
}

pub fn peer(port: u16) -> Peer {
    Peer::new(([127, 0, 0, 1], port).into())
}

impl Harness {
    pub fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub fn with_config(config: Config) -> Self {
        Self::start(config, StartParams::default(), Time::ZERO)
    }

    pub fn start(config: Config, start: StartParams, now: Time) -> Self {
        let (server, step) = LockServer::start(config, start, now);
        let (outbox, events, replies) = (Outbox::default(), Vec::new(), Vec::new());
        let mut harness = Self { server, outbox, events, replies, now, entropy: 1 };
        harness.commit(step);
        harness
    }

    /// Makes the events of a step durable and collects its replies.
    pub fn commit(&mut self, step: leasehold_core::service::Step) {
        let events = self.outbox.hold(step, &mut self.replies);
        self.events.extend(events);
        let durable = Durable { through: self.server.last_index() };
        self.outbox.release_durable(durable, &mut self.replies);
    }

    pub fn advance(&mut self, duration: Millis) {
        let end = self.now + duration;
        while let Some((at, _)) = self.server.next_deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            let step = self.server.handle(self.now, Input::Timer);
            self.commit(step);
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
        let step = self.server.handle(self.now, Input::Datagram { from, bytes, entropy });
        self.commit(step);
    }

    /// Returns the replies since the last call, each as `port seq.attempt status`.
    pub fn drain_replies(&mut self) -> Vec<String> {
        std::mem::take(&mut self.replies).iter().map(format_reply).collect()
    }

    pub fn open_session(&mut self, port: u16, client: &str) -> TestSession {
        let request = hello(client, u64::from(port));
        self.send(peer(port), &request);
        let replies = std::mem::take(&mut self.replies);
        let [Datagram { reply, .. }] = replies.as_slice() else {
            panic!("expected one reply, got {replies:?}");
        };
        let Status::Welcome { session_key, .. } = &reply.status else {
            panic!("expected a welcome, got {reply:?}");
        };
        TestSession { peer: peer(port), session_key: *session_key }
    }

    pub fn request(&mut self, session: TestSession, seq: u64, operation: Operation) -> String {
        self.retransmit(session, seq, 0, operation)
    }

    pub fn retransmit(
        &mut self,
        session: TestSession,
        seq: u64,
        attempt: u64,
        operation: Operation,
    ) -> String {
        assert!(self.replies.is_empty(), "unexpected replies: {:?}", self.drain_replies());
        let (seq, attempt) = (Seq::new(seq), Attempt::new(attempt));
        self.send(
            session.peer,
            &Request { session_key: Some(session.session_key), seq, attempt, operation },
        );
        self.drain_replies().join(" + ")
    }

    /// Sends these requests one after the other, and fails the write of their events.
    pub fn request_with_failed_flush(
        &mut self,
        requests: &[(TestSession, u64, u64, Operation)],
    ) -> Vec<String> {
        let state = self.durable_state();
        for (session, seq, attempt, operation) in requests.iter().cloned() {
            let (seq, attempt) = (Seq::new(seq), Attempt::new(attempt));
            let request =
                Request { session_key: Some(session.session_key), seq, attempt, operation };
            let input = Input::Request { from: session.peer, request: &request, entropy: 0 };
            let step = self.server.handle(self.now, input);
            self.outbox.hold(step, &mut self.replies);
        }
        self.outbox.fail(&mut self.replies);
        let state = Box::new(state.into());
        let step = self.server.handle(self.now, Input::WriteFailed { state, unix_ms: 0 });
        self.commit(step);
        self.drain_replies()
    }

    /// Returns the fold of the durable events.
    fn durable_state(&self) -> State {
        let mut state = State::default();
        for event in self.events.iter().filter(|event| event.kind.is_durable()) {
            state.apply(event);
        }
        state
    }

    /// Crashes the server and starts it from its durable state.
    pub fn crash_and_restart(&mut self) {
        let state = self.durable_state();
        let index_floor = self.server.last_index();
        let start = StartParams { state, index_floor, ..StartParams::default() };
        let (server, step) = LockServer::start(Config::default(), start, self.now);
        self.server = server;
        self.outbox = Outbox::default();
        self.replies.clear();
        self.commit(step);
    }
}

pub fn hello(client: &str, nonce: u64) -> Request {
    Request {
        session_key: None,
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
    Operation::AcquireLock { lock: name(lock), wait: Millis::ZERO, hold: None }
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

fn format_reply(datagram: &Datagram) -> String {
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
        Status::Refused(Refusal::StaleToken { current }) => format!("stale_token {current}"),
        Status::Refused(Refusal::AlreadyHeld { token }) => format!("already_held {token}"),
        Status::Refused(refusal) => refusal.code().to_owned(),
        Status::Welcome { .. } | Status::Retry { .. } | Status::NotApplied | Status::Forgotten => {
            reply.status.code().to_owned()
        }
    };
    format!("{} {}.{} {status}", datagram.to.address.port(), reply.request_seq, reply.attempt)
}

/// Answers the hello of a client with a welcome, and returns the next request.
pub fn answer_hello(client: &mut LockClient, entropy: u128) -> Request {
    let hello = client.poll_request().expect("the client sends a hello");
    let session_key = Secret::new(SessionKey::from_entropy(entropy));
    let (lease, window) = (millis(9_000), 32);
    let (heartbeat, poll) = (millis(3_000), millis(500));
    let status = Status::Welcome { session_key, lease, heartbeat, poll, window };
    client.receive(Time::ZERO, Reply { request_seq: hello.seq, attempt: hello.attempt, status });
    client.poll_request().expect("the client sends its request")
}

pub fn refuse(client: &mut LockClient, now: Time, request: &Request, refusal: Refusal) {
    let status = Status::Refused(refusal);
    client.receive(now, Reply { request_seq: request.seq, attempt: request.attempt, status });
}
