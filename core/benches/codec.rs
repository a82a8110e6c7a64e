//! Encoding and decoding of one datagram, for each operation, at the server and at the client, and
//! the additional cost of authentication. `cargo bench -p leasehold-core --bench codec`.

mod fixtures;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::id::{Attempt, Nonce, Seq, SessionKey, Token};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, POLL_INTERVAL, WINDOW};
use leasehold_core::op::Op;
use leasehold_core::refusal::Refusal;
use leasehold_core::secret::Secret;
use leasehold_core::time::Millis;
use leasehold_core::wire::{self, MacKey, Operation, Reply, Request, Status};

use fixtures::{LEASE, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The status of a successful reply for each operation, and of a refusal.
const STATUS_CODES: [&str; 9] = [
    "welcome",
    "granted",
    "queued",
    "cancelled",
    "released",
    "appended",
    "applied",
    "alive",
    "error",
];

fn main() {
    divan::main();
}

fn session_key() -> Secret<SessionKey> {
    Secret::new(SessionKey::from_entropy(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210))
}

fn request(op: &str) -> Request {
    let (lock, token) = (name("reports"), Token::new(123_456));
    let operation = match Op::from_code(op).expect("the code of an operation") {
        Op::Hello => Operation::Hello {
            client: name("client-17"),
            nonce: Secret::new(Nonce::new(0x0123_4567_89ab_cdef)),
            lease: Some(LEASE),
            cookie: None,
        },
        Op::AcquireLock => Operation::AcquireLock { lock, wait: LEASE, hold: None },
        Op::CancelAcquire => Operation::CancelAcquire { lock },
        Op::ReleaseLock => Operation::ReleaseLock { lock, token },
        Op::AppendFile => Operation::AppendFile { file: lock, token, data: line() },
        Op::AppendOutcome => Operation::AppendOutcome { append_seq: Seq::new(41) },
        Op::Heartbeat => Operation::Heartbeat,
        Op::Close => Operation::Close,
    };
    let is_hello = operation.op() == Op::Hello;
    let seq = Seq::new(if is_hello { 0 } else { 123_456_789 });
    let session_key = (!is_hello).then(session_key);
    Request { session_key, seq, attempt: Attempt::default(), operation }
}

fn reply(code: &str) -> Reply {
    let (lock, token, lease) = (name("reports"), Token::new(123_456), Millis::from_millis(4_987));
    let (offset, len) = (1_234_567, 100);
    let status = match code {
        "welcome" => Status::Welcome {
            session_key: session_key(),
            lease: LEASE,
            heartbeat: LEASE.divided_by(3),
            poll: POLL_INTERVAL,
            window: WINDOW as u64,
        },
        "granted" => Status::Granted { lock, token, lease, hold: None },
        "queued" => Status::Queued { lock, position: 17 },
        "cancelled" => Status::Cancelled { lock },
        "released" => Status::Released { lock },
        "appended" => Status::Appended { file: lock, offset, len },
        "applied" => Status::Applied { file: lock, offset, len },
        "alive" => Status::Alive { lease, held: 1 },
        "error" => Status::Refused(Refusal::LockHeld { retry_after: POLL_INTERVAL }),
        other => panic!("unknown status {other}"),
    };
    Reply { request_seq: Seq::new(123_456_789), attempt: Attempt::default(), status }
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

/// Encodes into a buffer that is reused.
fn bench_encode(bencher: Bencher<'_, '_>, write: impl Fn(&mut Vec<u8>)) {
    let mut out = Vec::with_capacity(2 * DATAGRAM_LEN_MAX);
    let len = encoded(&write).len();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        out.clear();
        write(&mut out);
        black_box(out.len())
    });
}

#[divan::bench(args = Op::ALL.map(Op::code))]
fn server_decodes_request(bencher: Bencher<'_, '_>, op: &str) {
    let bytes = encoded(|out| request(op).encode(out));
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Request::decode(black_box(&bytes)));
}

#[divan::bench(args = STATUS_CODES)]
fn server_encodes_reply(bencher: Bencher<'_, '_>, code: &str) {
    let reply = reply(code);
    bench_encode(bencher, |out| {
        black_box(&reply).encode_within(DATAGRAM_LEN_MAX, out);
    });
}

#[divan::bench(args = Op::ALL.map(Op::code))]
fn client_encodes_request(bencher: Bencher<'_, '_>, op: &str) {
    let request = request(op);
    bench_encode(bencher, |out| black_box(&request).encode(out));
}

#[divan::bench(args = STATUS_CODES)]
fn client_decodes_reply(bencher: Bencher<'_, '_>, code: &str) {
    let bytes = encoded(|out| reply(code).encode(out));
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Reply::decode(black_box(&bytes)));
}

/// The authentication trailer.
#[divan::bench]
fn append_mac(bencher: Bencher<'_, '_>) {
    let (key, body) =
        (MacKey::new(b"a shared key"), encoded(|out| request("heartbeat").encode(out)));
    bench_encode(bencher, |out| {
        out.extend_from_slice(&body);
        wire::append_mac(&key, out);
    });
}

#[divan::bench]
fn verify_mac(bencher: Bencher<'_, '_>) {
    let key = MacKey::new(b"a shared key");
    let bytes = encoded(|out| {
        request("heartbeat").encode(out);
        wire::append_mac(&key, out);
    });
    assert!(wire::verify_mac(&key, &bytes).is_some(), "the trailer was made with the same key");
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| wire::verify_mac(&key, black_box(&bytes)).is_some());
}
