//! A run of the lock service, made by real requests, as the batches that its storage gets.

use std::collections::BTreeMap;

use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Attempt, Index, Name, Nonce, Peer, Seq, SessionId, Token};
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::service::{Config, Datagram, Input, LockServer, Outbox, Start, Stored};
use leasehold_core::state::State;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{Operation, Request, Status};
use leasehold_server::journal::Append;

/// The batches of a run, and what holds after each of them.
pub struct Run {
    pub batches: Vec<Vec<Event>>,
    /// The fold of the durable events, before all batches and after each.
    pub folds: Vec<State>,
    /// The files at the end. They only ever grow.
    pub files: BTreeMap<Name, Vec<u8>>,
}

struct Client {
    peer: Peer,
    session: Option<Secret<SessionId>>,
    seq: u64,
    held: BTreeMap<Name, Token>,
}

struct World {
    rng: Rng,
    server: LockServer,
    outbox: Outbox,
    now: Time,
    clients: Vec<Client>,
    events: Vec<Event>,
}

impl Run {
    /// A run of so many batches of `steps_max` steps each at most, that this seed names.
    pub fn new(seed: u64, batches: usize, steps_max: u64) -> Self {
        Self::from(Start::default(), seed, batches, steps_max)
    }

    /// A run that goes on from where another one was.
    pub fn from(start: Start, seed: u64, batches: usize, steps_max: u64) -> Self {
        let now = start.state.now();
        let mut fold = start.state.clone();
        let (server, step) = LockServer::start(Config::default(), start, now);
        let mut world = World {
            rng: Rng::new(seed),
            server,
            outbox: Outbox::default(),
            now,
            clients: (0..6).map(Client::new).collect(),
            events: Vec::new(),
        };
        world.events = world.outbox.hold(step, &mut Vec::new());
        let mut run =
            Self { batches: Vec::new(), folds: vec![fold.clone()], files: BTreeMap::new() };
        while run.batches.len() < batches {
            for _ in 0..=world.rng.below(steps_max) {
                world.step();
            }
            let batch = std::mem::take(&mut world.events);
            if batch.is_empty() {
                continue;
            }
            for event in batch.iter().filter(|event| event.fact.is_durable()) {
                fold.apply(event);
                run.take_append(event);
            }
            run.batches.push(batch);
            run.folds.push(fold.clone());
        }
        run
    }

    fn take_append(&mut self, event: &Event) {
        if let Fact::FileAppended { file, data, .. } = &event.fact {
            self.files.entry(file.clone()).or_default().extend_from_slice(data.bytes());
        }
    }

    /// The last place in history of the first `count` batches.
    pub fn last(&self, count: usize) -> Index {
        let batch = count.checked_sub(1).map(|last| &self.batches[last]);
        batch.map_or_else(Index::default, |batch| batch.last().unwrap().index)
    }

    /// Which of the folds this state is.
    pub fn place_of(&self, state: &State) -> Option<usize> {
        // Of several that are equal, the last: a batch without anything durable changes nothing.
        self.folds.iter().rposition(|fold| fold == state)
    }

    /// Panics unless these are the last bytes of the files as they were then.
    #[track_caller]
    pub fn expect_appends(&self, state: &State, appends: &[Append]) {
        let mut ends: BTreeMap<&Name, u64> = BTreeMap::new();
        for Append { file, offset, data } in appends {
            let end = ends.entry(file).or_insert(*offset);
            assert_eq!(*end, *offset, "one append behind the other in {file}");
            *end += data.len();
            let bytes = usize::try_from(*offset).unwrap()..usize::try_from(*end).unwrap();
            assert_eq!(self.files[file][bytes], *data.bytes(), "the bytes in {file}");
        }
        for (file, end) in ends {
            assert_eq!(state.files()[file].len(), end, "the end of {file}");
        }
    }
}

impl Client {
    fn new(number: u16) -> Self {
        let peer = Peer(([127, 0, 0, 1], 1_000 + number).into());
        Self { peer, session: None, seq: 0, held: BTreeMap::new() }
    }
}

impl World {
    fn step(&mut self) {
        self.now = self.now + Span::from_millis(self.rng.below(400));
        if self.rng.happens(100_000) {
            return self.feed(None);
        }
        let who = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap();
        let lock = Name::new(["a", "b", "c"][usize::try_from(self.rng.below(3)).unwrap()]).unwrap();
        let client = &self.clients[who];
        let Some(session) = client.session else {
            let nonce = Secret::new(Nonce::new(self.rng.bits()));
            let name = Name::new(&format!("client_{who}")).unwrap();
            let lease = Some(Span::from_millis(3_000));
            let operation = Operation::Hello { client: name, nonce, lease, cookie: None };
            return self.ask(who, None, 0, operation);
        };
        let token = client.held.get(&lock).copied().unwrap_or(Token::new(1));
        let seq = client.seq + 1;
        let operation = match self.rng.below(12) {
            0..=2 => Operation::AcquireLock {
                lock,
                wait: Span::from_millis(self.rng.below(2) * 2_000),
                hold: self.rng.happens(200_000).then(|| Span::from_millis(900)),
            },
            3..=7 => {
                let len = usize::try_from(self.rng.below(700)).unwrap();
                let data = Data::new(&vec![self.rng.bits().to_le_bytes()[0]; len]);
                Operation::AppendFile { file: lock, token, data }
            }
            8 => Operation::ReleaseLock { lock, token },
            9 => Operation::CancelAcquire { lock },
            10 => Operation::Heartbeat,
            _ if self.rng.happens(200_000) => Operation::Close,
            _ => Operation::AppendOutcome { of: Seq::new(seq / 2) },
        };
        self.clients[who].seq = seq;
        self.ask(who, Some(session), seq, operation);
    }

    fn ask(
        &mut self,
        who: usize,
        session: Option<Secret<SessionId>>,
        seq: u64,
        operation: Operation,
    ) {
        let request =
            Request { session, seq: Seq::new(seq), attempt: Attempt::default(), operation };
        let from = self.clients[who].peer;
        self.feed(Some(&(from, request)));
    }

    fn feed(&mut self, request: Option<&(Peer, Request)>) {
        let entropy = u128::from(self.rng.bits());
        let input = match request {
            Some((from, request)) => Input::Request { from: *from, request, entropy },
            None => Input::Wake,
        };
        let step = self.server.step(self.now, input);
        let mut sent = Vec::new();
        self.events.extend(self.outbox.hold(step, &mut sent));
        let stored = Stored { through: self.server.index() };
        self.outbox.release(stored, &mut sent);
        self.server.stored(stored);
        sent.into_iter().for_each(|datagram| self.hear(datagram));
    }

    fn hear(&mut self, datagram: Datagram) {
        let client = self.clients.iter_mut().find(|client| client.peer == datagram.to).unwrap();
        match datagram.reply.status {
            Status::Welcome { session, .. } => client.session = Some(session),
            Status::Granted { lock, token, .. } => {
                client.held.insert(lock, token);
            }
            Status::Closed { .. } => client.session = None,
            Status::Refused(leasehold_core::refusal::Refusal::UnknownSession) => {
                (client.session, client.seq) = (None, 0);
            }
            _ => {}
        }
    }
}

#[test]
fn a_run_does_what_the_tests_want_to_see_survive() {
    let run = Run::new(1, 400, 6);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in run.batches.iter().flatten() {
        *counts.entry(event.fact.word()).or_default() += 1;
        if event.fact.is_durable() && event.fact.word() == "request_refused" {
            *counts.entry("refused for good").or_default() += 1;
        }
    }
    for seen in [
        "session_opened",
        "session_expired",
        "session_closed",
        "lock_queued",
        "lock_granted",
        "lock_released",
        "wait_ended",
        "file_appended",
        "refused for good",
        "lease_renewed",
    ] {
        assert!(counts.get(seen).is_some_and(|count| *count > 3), "{seen} in {counts:?}");
    }
}
