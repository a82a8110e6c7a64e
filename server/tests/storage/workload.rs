//! A workload of the lock service: real requests, recorded as the batches that storage receives.

use std::collections::BTreeMap;

use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{Attempt, LogIndex, Name, Nonce, Peer, Seq, SessionKey, Token};
use leasehold_core::refusal::Refusal;
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::service::{Config, Datagram, Durable, Input, LockServer, Outbox, StartParams};
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Request, Status};
use leasehold_server::log::RecoveredAppend;

/// The batches of a workload, and the state after each.
pub struct Workload {
    pub batches: Vec<Vec<Event>>,
    /// The states from the durable events, before all batches and after each.
    pub states: Vec<State>,
    /// The final contents of the files, which only ever grow.
    pub files: BTreeMap<Name, Vec<u8>>,
}

struct Client {
    peer: Peer,
    session: Option<Secret<SessionKey>>,
    seq: u64,
    held: BTreeMap<Name, Token>,
}

struct Generator {
    rng: Rng,
    server: LockServer,
    outbox: Outbox,
    now: Time,
    clients: Vec<Client>,
    events: Vec<Event>,
}

impl Workload {
    /// Generates a workload of this many batches, of at most `steps_max` steps each.
    pub fn new(seed: u64, batches: usize, steps_max: u64) -> Self {
        Self::continue_from(StartParams::default(), seed, batches, steps_max)
    }

    /// Generates a workload that continues from a recovered state.
    pub fn continue_from(start: StartParams, seed: u64, batches: usize, steps_max: u64) -> Self {
        let now = start.state.last_event_at();
        let mut state = start.state.clone();
        let (server, step) = LockServer::start(Config::default(), start, now);
        let mut generator = Generator {
            rng: Rng::new(seed),
            server,
            outbox: Outbox::default(),
            now,
            clients: (0..6).map(Client::new).collect(),
            events: Vec::new(),
        };
        generator.events = generator.outbox.hold(step, &mut Vec::new());
        let mut workload =
            Self { batches: Vec::new(), states: vec![state.clone()], files: BTreeMap::new() };
        while workload.batches.len() < batches {
            for _ in 0..=generator.rng.below(steps_max) {
                generator.step();
            }
            let batch = std::mem::take(&mut generator.events);
            if batch.is_empty() {
                continue;
            }
            for event in batch.iter().filter(|event| event.kind.is_durable()) {
                state.apply(event);
                workload.record_append(event);
            }
            workload.batches.push(batch);
            workload.states.push(state.clone());
        }
        workload
    }

    fn record_append(&mut self, event: &Event) {
        if let EventKind::FileAppended { file, data, .. } = &event.kind {
            self.files.entry(file.clone()).or_default().extend_from_slice(data.bytes());
        }
    }

    /// Returns the last log index of the first `count` batches.
    pub fn last_index(&self, count: usize) -> LogIndex {
        let batch = count.checked_sub(1).map(|last| &self.batches[last]);
        batch.map_or_else(LogIndex::default, |batch| batch.last().unwrap().index)
    }

    /// Returns the number of batches after which the state was equal to this one.
    pub fn batch_count_of(&self, state: &State) -> Option<usize> {
        // The largest of several, because a batch without durable events changes nothing.
        self.states.iter().rposition(|it| it == state)
    }

    /// Checks that these appends are the last bytes of the files in this state.
    #[track_caller]
    pub fn expect_appends(&self, state: &State, appends: &[RecoveredAppend]) {
        let mut ends: BTreeMap<&Name, u64> = BTreeMap::new();
        for RecoveredAppend { file, offset, data } in appends {
            let end = ends.entry(file).or_insert(*offset);
            assert_eq!(*end, *offset, "appends to {file} follow each other");
            *end += data.len();
            let bytes = usize::try_from(*offset).unwrap()..usize::try_from(*end).unwrap();
            assert_eq!(self.files[file][bytes], *data.bytes(), "the bytes of {file}");
        }
        for (file, end) in ends {
            assert_eq!(state.files()[file].len(), end, "the end of {file}");
        }
    }
}

impl Client {
    fn new(number: u16) -> Self {
        let peer = Peer::new(([127, 0, 0, 1], 1_000 + number).into());
        Self { peer, session: None, seq: 0, held: BTreeMap::new() }
    }
}

impl Generator {
    fn step(&mut self) {
        self.now = self.now + Millis::from_millis(self.rng.below(400));
        if self.rng.chance(100_000) {
            return self.process(None);
        }
        let client_number = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap();
        let lock = Name::new(["a", "b", "c"][usize::try_from(self.rng.below(3)).unwrap()]).unwrap();
        let client = &self.clients[client_number];
        let Some(session) = client.session else {
            let nonce = Secret::new(Nonce::new(self.rng.next_u64()));
            let name = Name::new(&format!("client_{client_number}")).unwrap();
            let lease = Some(Millis::from_millis(3_000));
            let operation = Operation::Hello { client: name, nonce, lease, cookie: None };
            return self.send(client_number, None, 0, operation);
        };
        let token = client.held.get(&lock).copied().unwrap_or(Token::new(1));
        let seq = client.seq + 1;
        let operation = match self.rng.below(12) {
            0..=2 => Operation::AcquireLock {
                lock,
                wait: Millis::from_millis(self.rng.below(2) * 2_000),
                hold: self.rng.chance(200_000).then(|| Millis::from_millis(900)),
            },
            3..=7 => {
                let len = usize::try_from(self.rng.below(700)).unwrap();
                let data = Data::new(&vec![self.rng.next_u64().to_le_bytes()[0]; len]);
                Operation::AppendFile { file: lock, token, data }
            }
            8 => Operation::ReleaseLock { lock, token },
            9 => Operation::CancelAcquire { lock },
            10 => Operation::Heartbeat,
            _ if self.rng.chance(200_000) => Operation::Close,
            _ => Operation::AppendOutcome { append_seq: Seq::new(seq / 2) },
        };
        self.clients[client_number].seq = seq;
        self.send(client_number, Some(session), seq, operation);
    }

    fn send(
        &mut self,
        client_number: usize,
        session: Option<Secret<SessionKey>>,
        seq: u64,
        operation: Operation,
    ) {
        let request = Request {
            session_key: session,
            seq: Seq::new(seq),
            attempt: Attempt::default(),
            operation,
        };
        let from = self.clients[client_number].peer;
        self.process(Some(&(from, request)));
    }

    fn process(&mut self, request: Option<&(Peer, Request)>) {
        let entropy = u128::from(self.rng.next_u64());
        let input = match request {
            Some((from, request)) => Input::Request { from: *from, request, entropy },
            None => Input::Timer,
        };
        let step = self.server.handle(self.now, input);
        let mut replies = Vec::new();
        self.events.extend(self.outbox.hold(step, &mut replies));
        let durable = Durable { through: self.server.last_index() };
        self.outbox.release_durable(durable, &mut replies);
        replies.into_iter().for_each(|datagram| self.handle_reply(datagram));
    }

    fn handle_reply(&mut self, datagram: Datagram) {
        let client = self.clients.iter_mut().find(|client| client.peer == datagram.to).unwrap();
        match datagram.reply.status {
            Status::Welcome { session_key, .. } => client.session = Some(session_key),
            Status::Granted { lock, token, .. } => {
                client.held.insert(lock, token);
            }
            Status::Closed { .. } => client.session = None,
            Status::Refused(Refusal::UnknownSession) => {
                (client.session, client.seq) = (None, 0);
            }
            Status::Refused(_)
            | Status::Retry { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. } => {}
        }
    }
}

#[test]
fn workload_contains_every_kind_of_durable_event() {
    let workload = Workload::new(1, 400, 6);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in workload.batches.iter().flatten() {
        *counts.entry(event.kind.code()).or_default() += 1;
        if event.kind.is_durable() && event.kind.code() == "request_refused" {
            *counts.entry("durable refusal").or_default() += 1;
        }
    }
    for code in [
        "session_opened",
        "session_expired",
        "session_closed",
        "lock_queued",
        "lock_granted",
        "lock_released",
        "wait_ended",
        "file_appended",
        "durable refusal",
        "lease_renewed",
    ] {
        assert!(counts.get(code).is_some_and(|count| *count > 3), "{code} in {counts:?}");
    }
}
