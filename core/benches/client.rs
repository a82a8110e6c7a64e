//! What a call costs the client: begun, its request written, its reply read and taken in, and told.
//! `cargo bench -p leasehold-core --bench client`.

mod fixtures;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_core::client::{Config, LockClient, Notice, Verdict};
use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, SessionId, Token};
use leasehold_core::limits::{POLL, WINDOW};
use leasehold_core::secret::Secret;
use leasehold_core::time::Time;
use leasehold_core::wire::{Reply, Status};

use fixtures::{LEASE, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// When each call is given up: never, as time stands still.
const DEADLINE: Time = Time::from_millis(30_000);

/// How often a thing is done for one figure: what a session keeps of it has grown by then.
const GOES: u32 = 100;

fn main() {
    divan::main();
}

/// A client with a session, and what it writes.
struct Side {
    client: LockClient,
    lock: Name,
    line: Data,
    out: Vec<u8>,
}

/// What its server says: in the order in which it is asked, so the numbers are known before.
struct Other {
    seq: Seq,
    lock: Name,
}

fn open() -> (Side, Other) {
    let mut client = LockClient::new(Config::new(name("client-17")), 1);
    client.open(Time::ZERO);
    let hello = client.request().expect("a client that opens says hello");
    let status = Status::Welcome {
        session: Secret::new(SessionId::from_entropy(1 << 100)),
        lease: LEASE,
        heartbeat: LEASE.part(3),
        poll: POLL,
        window: WINDOW as u64,
    };
    client.receive(Time::ZERO, Reply { re: hello.seq, attempt: hello.attempt, status });
    client.beat(Time::ZERO);
    let seq = client.request().expect("a heartbeat").seq;
    while client.notice().is_some() {}
    let lock = name("reports");
    let mut side = Side { client, lock: lock.clone(), line: line(), out: Vec::with_capacity(512) };
    let other = Other { seq, lock };
    let reply = answers_at(seq, Status::Alive { lease: LEASE, held: 0 });
    side.takes_in(&reply);
    (side, other)
}

impl Side {
    fn sends(&mut self) {
        let request = self.client.request().expect("a request is to be sent");
        self.out.clear();
        request.encode(&mut self.out);
        assert!(self.client.request().is_none(), "one request at a time");
    }

    /// Takes a reply in. Gives what it is told then.
    fn takes_in(&mut self, reply: &[u8]) -> Option<Notice> {
        let reply = Reply::decode(reply).expect("the other side writes replies");
        self.client.receive(Time::ZERO, reply);
        let notice = self.client.notice();
        assert!(self.client.next_wake().is_some(), "there is a heartbeat to come");
        notice
    }

    fn acquires(&mut self, reply: &[u8]) {
        self.client.acquire(Time::ZERO, self.lock.clone(), LEASE, None, DEADLINE);
        self.sends();
        self.ended(reply, |it| matches!(it, Verdict::Granted { .. }));
    }

    fn releases(&mut self, token: Token, reply: &[u8]) {
        self.client.release(Time::ZERO, self.lock.clone(), token, DEADLINE);
        self.sends();
        self.ended(reply, |it| *it == Verdict::Released);
    }

    fn appends(&mut self, token: Token, reply: &[u8]) {
        let (file, data) = (self.lock.clone(), self.line.clone());
        self.client.append(Time::ZERO, file, token, data, DEADLINE);
        self.sends();
        self.ended(reply, |it| matches!(it, Verdict::Appended { .. }));
    }

    fn ended(&mut self, reply: &[u8], well: impl Fn(&Verdict) -> bool) {
        let told = self.takes_in(reply);
        let is_well = matches!(&told, Some(Notice::Answered { verdict, .. }) if well(verdict));
        assert!(is_well, "{told:?}");
    }
}

impl Other {
    fn answers(&mut self, status: Status) -> Vec<u8> {
        self.seq = self.seq.next();
        answers_at(self.seq, status)
    }

    fn grants(&mut self, token: Token) -> Vec<u8> {
        let lock = self.lock.clone();
        self.answers(Status::Granted { lock, token, lease: LEASE, hold: None })
    }
}

fn answers_at(re: Seq, status: Status) -> Vec<u8> {
    let mut bytes = Vec::new();
    Reply { re, attempt: Attempt::default(), status }.encode(&mut bytes);
    bytes
}

#[divan::bench(sample_size = GOES)]
fn acquire_and_release(bencher: Bencher<'_, '_>) {
    let (mut side, mut other) = open();
    let mut token = Token::default();
    bencher
        .counter(ItemsCount::new(2usize))
        .with_inputs(|| {
            token = token.next();
            let released = Status::Released { lock: other.lock.clone() };
            (token, other.grants(token), other.answers(released))
        })
        .bench_local_refs(|(token, granted, released)| {
            side.acquires(granted);
            side.releases(*token, released);
        });
}

#[divan::bench(sample_size = GOES)]
fn append(bencher: Bencher<'_, '_>) {
    let (mut side, mut other) = open();
    let token = Token::new(1);
    side.acquires(&other.grants(token));
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| {
            let file = other.lock.clone();
            other.answers(Status::Appended { file, offset: 1_234_567, len: 100 })
        })
        .bench_local_refs(|appended| side.appends(token, appended));
}

#[divan::bench(sample_size = GOES)]
fn heartbeat(bencher: Bencher<'_, '_>) {
    let (mut side, mut other) = open();
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| other.answers(Status::Alive { lease: LEASE, held: 0 }))
        .bench_local_refs(|alive| {
            side.client.beat(Time::ZERO);
            side.sends();
            let told = side.takes_in(alive);
            assert!(told.is_none(), "{told:?}");
        });
}
