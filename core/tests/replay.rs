//! Replaying the inputs of a server reproduces its run exactly.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use leasehold_core::event::Event;
use leasehold_core::id::{Attempt, Name, Peer, Seq, SessionKey};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, POLL_INTERVAL};
use leasehold_core::op::DropReason;
use leasehold_core::refusal::Refusal;
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::service::{Config, Datagram, Durable, Input, LockServer, Outbox, StartParams};
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_core::wire::{Operation, Request, Status};

const CLIENTS: u64 = 5;
const FILES: [&str; 3] = ["a", "b", "c"];
const INPUTS: usize = 4_000;

/// An input that owns its data, or a report of the log to the outbox.
#[derive(Clone)]
enum RecordedInput {
    Datagram { from: Peer, bytes: Vec<u8>, entropy: u128 },
    Request { from: Peer, request: Request, entropy: u128 },
    DatagramDropped { reason: DropReason },
    Timer,
    Durable(Durable),
    WriteFailed { state: State, unix_ms: u64 },
    FileWritable { file: Name, writable: bool },
    Stop,
}

impl RecordedInput {
    /// Returns the input of the server, if it is one.
    fn as_input(&self) -> Option<Input<'_>> {
        Some(match self {
            Self::Datagram { from, bytes, entropy } => {
                Input::Datagram { from: *from, bytes, entropy: *entropy }
            }
            Self::Request { from, request, entropy } => {
                Input::Request { from: *from, request, entropy: *entropy }
            }
            Self::DatagramDropped { reason } => Input::DatagramDropped { reason: *reason },
            Self::Timer => Input::Timer,
            Self::Durable(_) => return None,
            Self::WriteFailed { state, unix_ms } => {
                Input::WriteFailed { state: Box::new(state.clone().into()), unix_ms: *unix_ms }
            }
            Self::FileWritable { file, writable } => {
                Input::FileWritable { file, writable: *writable }
            }
            Self::Stop => Input::Stop,
        })
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Datagram { .. } => "datagram",
            Self::Request { .. } => "request",
            Self::DatagramDropped { .. } => "datagram dropped",
            Self::Timer => "timer",
            Self::Durable(_) => "durable",
            Self::WriteFailed { .. } => "write failed",
            Self::FileWritable { .. } => "file writable",
            Self::Stop => "stop",
        }
    }
}

/// A server with its outbox, and everything that they have produced.
struct Driver {
    server: LockServer,
    outbox: Outbox,
    events: Vec<Event>,
    replies: Vec<Datagram>,
}

impl Driver {
    fn start() -> Self {
        let start = StartParams { unix_ms: 1, ..StartParams::default() };
        let (server, step) = LockServer::start(Config::default(), start, Time::from_millis(1_000));
        let mut driver =
            Self { server, outbox: Outbox::default(), events: Vec::new(), replies: Vec::new() };
        driver.events = driver.outbox.hold(step, &mut driver.replies);
        driver
    }

    fn handle(&mut self, now: Time, input: &RecordedInput) {
        if let Some(input) = input.as_input() {
            let step = self.server.handle(now, input);
            self.events.extend(self.outbox.hold(step, &mut self.replies));
        }
        if let RecordedInput::Durable(durable) = input {
            self.outbox.release_durable(*durable, &mut self.replies);
        }
    }

    fn fail(&mut self) {
        self.outbox.fail(&mut self.replies);
    }

    /// Returns the events, the replies in their encoded form, and all of the server's fields.
    fn outcome(&self) -> (&[Event], Vec<String>, String) {
        let replies = self.replies.iter().map(|datagram| {
            let mut bytes = Vec::new();
            datagram.encode(&mut bytes);
            format!("{} {}", datagram.to.address, String::from_utf8(bytes).unwrap())
        });
        (&self.events, replies.collect(), format!("{:?}", self.server))
    }
}

#[derive(Default)]
struct TestClient {
    session_key: Option<Secret<SessionKey>>,
    seq: u64,
    tokens: BTreeMap<Name, u64>,
    last_request: Option<Request>,
}

/// A random run of a server, and the inputs that led to it.
struct Recorder {
    rng: Rng,
    now: Time,
    driver: Driver,
    inputs: Vec<(Time, RecordedInput)>,
    clients: Vec<TestClient>,
    durable_state: State,
    unflushed: Vec<Event>,
    handled_replies: usize,
}

impl Recorder {
    fn record(seed: u64) -> Self {
        let driver = Driver::start();
        let mut recorder = Self {
            rng: Rng::new(seed),
            now: Time::from_millis(1_000),
            unflushed: driver.events.clone(),
            driver,
            inputs: Vec::new(),
            clients: (0..CLIENTS).map(|_| TestClient::default()).collect(),
            durable_state: State::default(),
            handled_replies: 0,
        };
        while recorder.inputs.len() < INPUTS {
            recorder.now = recorder.now + millis(recorder.rng.below(150));
            let input = recorder.next_input();
            recorder.handle(input);
        }
        recorder.handle(RecordedInput::Stop);
        recorder
    }

    fn next_input(&mut self) -> RecordedInput {
        match self.rng.below(100) {
            0..=3 => RecordedInput::DatagramDropped { reason: DropReason::BadKey },
            4..=9 => RecordedInput::Timer,
            10..=29 => self.flush(),
            30 if self.inputs.len() < INPUTS / 2 => self.fail_write(),
            32..=35 => RecordedInput::FileWritable {
                file: self.file(),
                writable: self.rng.chance(600_000),
            },
            36 => {
                let bytes = vec![b'x'; usize::try_from(self.rng.below(300)).unwrap()];
                RecordedInput::Datagram { from: peer(1), bytes, entropy: 0 }
            }
            _ => self.next_request(),
        }
    }

    fn file(&mut self) -> Name {
        name(FILES[usize::try_from(self.rng.below(3)).unwrap()])
    }

    fn flush(&mut self) -> RecordedInput {
        for event in self.unflushed.drain(..).filter(|event| event.kind.is_durable()) {
            self.durable_state.apply(&event);
        }
        RecordedInput::Durable(Durable { through: self.driver.server.last_index() })
    }

    fn fail_write(&mut self) -> RecordedInput {
        self.unflushed.clear();
        self.driver.fail();
        let state = self.durable_state.clone();
        RecordedInput::WriteFailed { state, unix_ms: self.rng.next_u64() >> 20 }
    }

    fn next_request(&mut self) -> RecordedInput {
        let index = self.rng.below(CLIENTS);
        let request = self.request(index);
        let from = peer(u16::try_from(index).unwrap());
        self.clients[usize::try_from(index).unwrap()].last_request = Some(request.clone());
        let entropy = u128::from(self.rng.next_u64());
        if self.rng.chance(500_000) {
            return RecordedInput::Request { from, request, entropy };
        }
        let mut bytes = Vec::with_capacity(DATAGRAM_LEN_MAX);
        request.encode(&mut bytes);
        RecordedInput::Datagram { from, bytes, entropy }
    }

    fn request(&mut self, index: u64) -> Request {
        let file = self.file();
        let client = &mut self.clients[usize::try_from(index).unwrap()];
        let Some(session_key) = client.session_key else {
            return hello(&format!("client_{index}"), self.rng.next_u64());
        };
        if self.rng.chance(200_000)
            && let Some(last) = &client.last_request
        {
            return Request { attempt: Attempt::new(last.attempt.number() + 1), ..last.clone() };
        }
        client.seq += 1;
        let token = client.tokens.get(&file).copied().unwrap_or(1);
        let operation = match self.rng.below(12) {
            0..=3 => {
                let hold = self.rng.chance(300_000).then_some(POLL_INTERVAL);
                Operation::AcquireLock { lock: file, wait: millis(self.rng.below(3_000)), hold }
            }
            4..=7 => append(file.as_str(), token, "a line\n"),
            8 => release(file.as_str(), token),
            9 => cancel(file.as_str()),
            10 => Operation::Heartbeat,
            _ if self.rng.chance(100_000) => Operation::Close,
            _ => Operation::AppendOutcome { append_seq: Seq::new(client.seq / 2) },
        };
        let (session_key, seq) = (Some(session_key), Seq::new(client.seq));
        Request { session_key, seq, attempt: Attempt::default(), operation }
    }

    fn handle(&mut self, input: RecordedInput) {
        let first_event = self.driver.events.len();
        self.driver.handle(self.now, &input);
        self.inputs.push((self.now, input));
        self.unflushed.extend_from_slice(&self.driver.events[first_event..]);
        for datagram in &self.driver.replies[self.handled_replies..] {
            let client = &mut self.clients[usize::from(datagram.to.address.port())];
            if let Status::Welcome { session_key, .. } = &datagram.reply.status {
                *client = TestClient { session_key: Some(*session_key), ..TestClient::default() };
            } else if let Status::Granted { lock, token, .. } = &datagram.reply.status {
                client.tokens.insert(lock.clone(), token.number());
            } else if datagram.reply.status == Status::Refused(Refusal::UnknownSession) {
                client.session_key = None;
            }
        }
        self.handled_replies = self.driver.replies.len();
    }
}

fn replay<'a>(inputs: impl IntoIterator<Item = &'a (Time, RecordedInput)>) -> Driver {
    let mut driver = Driver::start();
    for (now, input) in inputs {
        if matches!(input, RecordedInput::WriteFailed { .. }) {
            driver.fail();
        }
        driver.handle(*now, input);
    }
    driver
}

#[test]
fn replayed_inputs_reproduce_the_run() {
    for seed in 0..4 {
        let recorder = Recorder::record(seed);
        let replayed = replay(&recorder.inputs);
        assert_eq!(replayed.outcome(), recorder.driver.outcome(), "seed {seed}");
    }
}

/// Leaving out an input before a failed write would be a different history: the durable state that
/// the failure carries would not belong to it.
#[test]
fn replay_without_one_of_the_inputs_differs() {
    let recorder = Recorder::record(0);
    let inputs = &recorder.inputs;
    let kinds: BTreeSet<&str> = inputs.iter().map(|(_, input)| input.kind()).collect();
    assert_eq!(kinds.len(), 8, "the run lacks a kind of input: {kinds:?}");
    let last_failure = inputs.iter().rposition(|(_, input)| input.kind() == "write failed");
    for kind in kinds {
        let differs = (last_failure.unwrap()..inputs.len())
            .filter(|index| inputs[*index].1.kind() == kind)
            .any(|index| {
                let others = inputs[..index].iter().chain(&inputs[index + 1..]);
                replay(others).outcome() != recorder.driver.outcome()
            });
        assert!(differs, "no input of kind {kind:?} affects the run");
    }
}

#[test]
fn recorded_run_contains_every_kind_of_event_and_reply() {
    let recorder = Recorder::record(0);
    let events: BTreeSet<&str> = recorder.driver.events.iter().map(|it| it.kind.code()).collect();
    for code in [
        "server_started",
        "server_stopped",
        "session_opened",
        "session_expired",
        "session_closed",
        "lock_queued",
        "lock_granted",
        "lock_released",
        "wait_ended",
        "file_appended",
        "request_refused",
        "duplicate_answered",
        "lease_renewed",
        "datagram_dropped",
    ] {
        assert!(events.contains(code), "no {code} in {events:?}");
    }
    let failed = Status::Refused(Refusal::StorageFailed);
    assert!(recorder.driver.replies.iter().any(|it| it.reply.status == failed));
}
