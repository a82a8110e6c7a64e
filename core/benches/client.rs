//! The cost of a call at the client: begin it, encode the request, decode and handle the reply, and
//! report the outcome. `cargo bench -p leasehold-core --bench client`.

mod fixtures;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_core::client::{CallOutcome, Config, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, SessionKey, Token};
use leasehold_core::limits::{POLL_INTERVAL, WINDOW};
use leasehold_core::secret::Secret;
use leasehold_core::time::Time;
use leasehold_core::wire::{Reply, Status};

use fixtures::{LEASE, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The deadline of each call. It is never reached, because the clock does not advance.
const DEADLINE: Time = Time::from_millis(30_000);

/// The iterations per sample.
const SAMPLE_SIZE: u32 = 100;

fn main() {
    divan::main();
}

/// A client with a session, and its output buffer.
struct ClientUnderTest {
    client: LockClient,
    lock: Name,
    line: Data,
    out: Vec<u8>,
}

/// Encodes the replies of a server. The sequence numbers follow from the order of the calls.
struct FakeServer {
    seq: Seq,
    lock: Name,
}

fn open_session() -> (ClientUnderTest, FakeServer) {
    let mut client = LockClient::new(Config::new(name("client-17")), 1);
    client.open(Time::ZERO);
    let hello = client.poll_request().expect("an opening client sends a hello");
    let status = Status::Welcome {
        session_key: Secret::new(SessionKey::from_entropy(1 << 100)),
        lease: LEASE,
        heartbeat: LEASE.divided_by(3),
        poll: POLL_INTERVAL,
        window: WINDOW as u64,
    };
    client.receive(Time::ZERO, Reply { request_seq: hello.seq, attempt: hello.attempt, status });
    client.send_heartbeat(Time::ZERO);
    let seq = client.poll_request().expect("the client sends a heartbeat").seq;
    while client.poll_notification().is_some() {}
    let lock = name("reports");
    let mut client_under_test =
        ClientUnderTest { client, lock: lock.clone(), line: line(), out: Vec::with_capacity(512) };
    let server = FakeServer { seq, lock };
    let reply = encode_reply(seq, Status::Alive { lease: LEASE, held: 0 });
    client_under_test.receive(&reply);
    (client_under_test, server)
}

impl ClientUnderTest {
    fn send_request(&mut self) {
        let request = self.client.poll_request().expect("the call sends a request");
        self.out.clear();
        request.encode(&mut self.out);
        assert!(self.client.poll_request().is_none(), "the call sends a second request");
    }

    /// Handles a reply. Returns the notification that it leads to.
    fn receive(&mut self, reply: &[u8]) -> Option<Notification> {
        let reply = Reply::decode(reply).expect("the server encodes valid replies");
        self.client.receive(Time::ZERO, reply);
        let notification = self.client.poll_notification();
        assert!(self.client.next_deadline().is_some(), "the next heartbeat is scheduled");
        notification
    }

    fn acquire(&mut self, reply: &[u8]) {
        self.client.acquire(Time::ZERO, self.lock.clone(), LEASE, None, DEADLINE);
        self.send_request();
        self.expect_outcome(reply, |it| matches!(it, CallOutcome::Granted { .. }));
    }

    fn release(&mut self, token: Token, reply: &[u8]) {
        self.client.release(Time::ZERO, self.lock.clone(), token, DEADLINE);
        self.send_request();
        self.expect_outcome(reply, |it| *it == CallOutcome::Released);
    }

    fn append(&mut self, token: Token, reply: &[u8]) {
        let (file, data) = (self.lock.clone(), self.line.clone());
        self.client.append(Time::ZERO, file, token, data, DEADLINE);
        self.send_request();
        self.expect_outcome(reply, |it| matches!(it, CallOutcome::Appended { .. }));
    }

    fn expect_outcome(&mut self, reply: &[u8], expected: impl Fn(&CallOutcome) -> bool) {
        let notification = self.receive(reply);
        let Some(Notification::Completed { outcome, .. }) = &notification else {
            panic!("{notification:?}")
        };
        let matches = expected(outcome);
        assert!(matches, "{notification:?}");
    }
}

impl FakeServer {
    fn encode_next_reply(&mut self, status: Status) -> Vec<u8> {
        self.seq = self.seq.next();
        encode_reply(self.seq, status)
    }

    fn encode_grant(&mut self, token: Token) -> Vec<u8> {
        let lock = self.lock.clone();
        self.encode_next_reply(Status::Granted { lock, token, lease: LEASE, hold: None })
    }
}

fn encode_reply(request_seq: Seq, status: Status) -> Vec<u8> {
    let mut bytes = Vec::new();
    Reply { request_seq, attempt: Attempt::default(), status }.encode(&mut bytes);
    bytes
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn acquire_and_release(bencher: Bencher<'_, '_>) {
    let (mut client, mut server) = open_session();
    let mut token = Token::default();
    bencher
        .counter(ItemsCount::new(2usize))
        .with_inputs(|| {
            token = token.next();
            let released = Status::Released { lock: server.lock.clone() };
            (token, server.encode_grant(token), server.encode_next_reply(released))
        })
        .bench_local_refs(|(token, granted, released)| {
            client.acquire(granted);
            client.release(*token, released);
        });
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn append(bencher: Bencher<'_, '_>) {
    let (mut client, mut server) = open_session();
    let token = Token::new(1);
    client.acquire(&server.encode_grant(token));
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| {
            let file = server.lock.clone();
            server.encode_next_reply(Status::Appended { file, offset: 1_234_567, len: 100 })
        })
        .bench_local_refs(|appended| client.append(token, appended));
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn heartbeat(bencher: Bencher<'_, '_>) {
    let (mut client, mut server) = open_session();
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| server.encode_next_reply(Status::Alive { lease: LEASE, held: 0 }))
        .bench_local_refs(|alive| {
            client.client.send_heartbeat(Time::ZERO);
            client.send_request();
            let notification = client.receive(alive);
            assert!(notification.is_none(), "{notification:?}");
        });
}
