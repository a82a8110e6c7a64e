//! A client without a network: the test provides the replies and the time.

use std::time::Duration;

use leasehold_core::id::SessionKey;
use leasehold_core::secret::Secret;

use super::*;
use crate::command::bench::schedule::Window;

/// A client, and a clock that the test sets.
struct Harness {
    client: BenchClient,
    begin: Instant,
    millis: u64,
    counters: Counters,
}

impl Harness {
    /// Returns a client with a session.
    fn new() -> Self {
        let name = Name::new("bench-3").unwrap();
        let locks = Locks { own: Name::new("ledger").unwrap(), held: Name::new("held").unwrap() };
        let begin = Instant::now();
        let window = Window::new(begin, Duration::ZERO, Duration::from_secs(60));
        let counters = Counters { window: Some(window), ..Counters::default() };
        let mut this =
            Self { client: BenchClient::new(name, locks, 20, 1), begin, millis: 0, counters };
        this.begin(Action::OpenSession);
        let hello = this.sent(SendReason::First);
        let session = Secret::new(SessionKey::from_entropy(1));
        let (lease, heartbeat) = (Millis::from_secs(30), Millis::from_secs(10));
        let poll = Millis::from_millis(500);
        let welcome = Status::Welcome { session_key: session, lease, heartbeat, poll, window: 32 };
        assert_eq!(this.receive(&hello, welcome), Some(Ok(())));
        this
    }

    fn now(&self) -> ClockReading {
        let instant = self.begin + Duration::from_millis(self.millis);
        ClockReading { time: Time::from_millis(self.millis), instant }
    }

    fn begin(&mut self, action: Action) {
        let now = self.now();
        self.client.begin(now, action, now.instant);
    }

    /// Returns the only request that is to be sent now, and checks its reason.
    #[track_caller]
    fn sent(&mut self, expected: SendReason) -> Request {
        let (reason, request) = self.client.next_request().expect("a request");
        assert_eq!(reason, expected, "{request:?}");
        assert!(self.client.next_request().is_none(), "one request at a time");
        request
    }

    fn wait(&mut self, millis: u64) {
        self.millis += millis;
        assert!(self.client.handle_timers(self.now(), &mut self.counters).is_none());
    }

    /// Delivers a reply. Returns the outcome of the operation if it has ended.
    fn receive(&mut self, request: &Request, status: Status) -> Option<Result<(), &'static str>> {
        let reply = Reply { request_seq: request.seq, attempt: request.attempt, status };
        Some(self.client.receive(self.now(), reply, &mut self.counters)?.outcome)
    }

    fn count(&self, kind: RequestKind) -> u64 {
        self.counters
            .requests
            .get(&kind)
            .map_or(0, crate::command::bench::counters::Latencies::count)
    }
}

fn ledger() -> Name {
    Name::new("ledger").unwrap()
}

fn granted(token: u64) -> Status {
    let (token, lease) = (Token::new(token), Millis::from_secs(30));
    Status::Granted { lock: ledger(), token, lease, hold: None }
}

#[test]
fn retransmissions_and_polls_are_distinguished() {
    let mut test = Harness::new();
    test.begin(Action::LockCycle { appends: false });
    test.sent(SendReason::First);
    test.wait(300);
    let acquire = test.sent(SendReason::Retransmission);
    assert_eq!(test.receive(&acquire, Status::Queued { lock: ledger(), position: 1 }), None);
    test.wait(700);
    let acquire = test.sent(SendReason::Poll);
    assert_eq!(test.receive(&acquire, granted(7)), None);
    let released = test.sent(SendReason::First);
    assert_eq!(test.receive(&released, Status::Released { lock: ledger() }), Some(Ok(())));
    assert_eq!((test.count(RequestKind::Acquire), test.count(RequestKind::Release)), (1, 1));
    assert!(test.client.is_idle());
}

#[test]
fn lines_are_unique_and_have_the_given_length() {
    let mut test = Harness::new();
    for (token, line) in [(1, "bench-3 1 .........\n"), (2, "bench-3 2 .........\n")] {
        test.begin(Action::LockCycle { appends: true });
        let acquire = test.sent(SendReason::First);
        assert_eq!(test.receive(&acquire, granted(token)), None);
        let append = test.sent(SendReason::First);
        let Operation::AppendFile { data, .. } = &append.operation else { panic!("{append:?}") };
        assert_eq!(data.text(), Some(line));
        let appended = Status::Appended { file: ledger(), offset: 0, len: 20 };
        assert_eq!(test.receive(&append, appended), None);
        let released = test.sent(SendReason::First);
        assert_eq!(test.receive(&released, Status::Released { lock: ledger() }), Some(Ok(())));
    }
    assert_eq!((test.counters.appended_lines, test.counters.appended_bytes), (2, 40));
}

#[test]
fn a_reply_to_any_heartbeat_completes_the_operation() {
    let alive = || Status::Alive { lease: Millis::from_secs(30), held: 0 };
    let mut test = Harness::new();
    test.begin(Action::Heartbeat);
    let first = test.sent(SendReason::First);
    test.wait(5_000);
    test.sent(SendReason::Retransmission);
    assert_eq!(test.receive(&first, alive()), Some(Ok(())));
    assert_eq!(test.count(RequestKind::Heartbeat), 1);
    // A heartbeat that the state machine sends on its own does not count.
    test.wait(11_000);
    let due = test.sent(SendReason::Background);
    assert_eq!(test.receive(&due, alive()), None);
    assert_eq!(test.count(RequestKind::Heartbeat), 1);
}

#[test]
fn a_refused_append_fails_and_releases_the_lock() {
    let mut test = Harness::new();
    test.begin(Action::LockCycle { appends: true });
    let acquire = test.sent(SendReason::First);
    assert_eq!(test.receive(&acquire, granted(7)), None);
    let append = test.sent(SendReason::First);
    assert_eq!(test.receive(&append, Status::Refused(Refusal::TooLarge { limit: 10 })), None);
    let released = test.sent(SendReason::First);
    let ended = test.receive(&released, Status::Released { lock: ledger() });
    assert_eq!(ended, Some(Err("too_large")));
    assert_eq!(test.counters.appended_lines, 0);
}

#[test]
fn an_attempt_on_the_held_lock_is_refused() {
    let mut test = Harness::new();
    test.begin(Action::TryHeldLock);
    let try_held = test.sent(SendReason::First);
    let held = Status::Refused(Refusal::LockHeld { retry_after: Millis::from_secs(1) });
    assert_eq!(test.receive(&try_held, held), Some(Ok(())));
    assert_eq!(test.count(RequestKind::TryHeldLock), 1);
}

#[test]
fn leaving_the_queue_sends_a_cancellation() {
    let mut test = Harness::new();
    test.begin(Action::LockCycle { appends: false });
    let acquire = test.sent(SendReason::First);
    test.client.leave_queue(test.now());
    assert!(!test.client.is_idle(), "the client does not know yet that it is queued");
    assert_eq!(test.receive(&acquire, Status::Queued { lock: ledger(), position: 4 }), None);
    test.client.leave_queue(test.now());
    assert!(test.client.is_idle());
    let left = test.sent(SendReason::First);
    assert!(matches!(left.operation, Operation::CancelAcquire { .. }), "{left:?}");
}

#[test]
fn the_held_lock_is_taken_over_from_the_queue() {
    let mut test = Harness::new();
    test.begin(Action::HoldLock);
    let acquire = test.sent(SendReason::First);
    assert_eq!(
        test.receive(&acquire, Status::Queued { lock: ledger(), position: 1 }),
        Some(Ok(()))
    );
    assert!(test.client.is_idle(), "the operation ends when the client is queued");
    assert_eq!(test.receive(&acquire, granted(7)), None);
    let left: Vec<_> = std::iter::from_fn(|| test.client.next_request()).collect();
    let is_heartbeat =
        |(_, request): &(SendReason, Request)| matches!(request.operation, Operation::Heartbeat);
    assert!(left.iter().all(is_heartbeat), "the lock is not released: {left:?}");
}
