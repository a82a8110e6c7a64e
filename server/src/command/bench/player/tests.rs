//! A player without a network: the test says what the server answers, and when.

use std::time::Duration;

use leasehold_core::id::SessionKey;
use leasehold_core::secret::Secret;

use super::*;
use crate::command::bench::schedule::Window;

/// A player, and a clock that the test sets.
struct Stage {
    player: Player,
    begin: Instant,
    millis: u64,
    tally: Tally,
}

impl Stage {
    /// With a session.
    fn new() -> Self {
        let name = Name::new("bench-3").unwrap();
        let locks = Locks { own: Name::new("ledger").unwrap(), kept: Name::new("kept").unwrap() };
        let begin = Instant::now();
        let window = Window::new(begin, Duration::ZERO, Duration::from_secs(60));
        let tally = Tally { window: Some(window), ..Tally::default() };
        let mut this = Self { player: Player::new(name, locks, 20, 1), begin, millis: 0, tally };
        this.begin(Action::Enter);
        let hello = this.sent(Sort::First);
        let session = Secret::new(SessionKey::from_entropy(1));
        let (lease, heartbeat) = (Millis::from_secs(30), Millis::from_secs(10));
        let poll = Millis::from_millis(500);
        let welcome = Status::Welcome { session_key: session, lease, heartbeat, poll, window: 32 };
        assert_eq!(this.hears(&hello, welcome), Some(Ok(())));
        this
    }

    fn now(&self) -> Moment {
        let instant = self.begin + Duration::from_millis(self.millis);
        Moment { time: Time::from_millis(self.millis), instant }
    }

    fn begin(&mut self, action: Action) {
        let now = self.now();
        self.player.begin(now, action, now.instant);
    }

    /// The one request that is sent now, and of which sort it is.
    #[track_caller]
    fn sent(&mut self, expected: Sort) -> Request {
        let (sort, request) = self.player.request().expect("a request");
        assert_eq!(sort, expected, "{request:?}");
        assert!(self.player.request().is_none(), "one request at a time");
        request
    }

    fn wait(&mut self, millis: u64) {
        self.millis += millis;
        assert!(self.player.wake(self.now(), &mut self.tally).is_none());
    }

    /// The server answers. Gives back how the operation ended, if it has.
    fn hears(&mut self, request: &Request, status: Status) -> Option<Result<(), &'static str>> {
        let reply = Reply { request_seq: request.seq, attempt: request.attempt, status };
        Some(self.player.receive(self.now(), reply, &mut self.tally)?.outcome)
    }

    fn counted(&self, call: Call) -> u64 {
        self.tally.calls.get(&call).map_or(0, super::super::tally::Latencies::count)
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
fn what_is_asked_again_is_told_from_standing_in_line() {
    let mut stage = Stage::new();
    stage.begin(Action::Turn { appends: false });
    stage.sent(Sort::First);
    stage.wait(300);
    let asked = stage.sent(Sort::Again);
    assert_eq!(stage.hears(&asked, Status::Queued { lock: ledger(), position: 1 }), None);
    stage.wait(700);
    let asked = stage.sent(Sort::Poll);
    assert_eq!(stage.hears(&asked, granted(7)), None);
    let released = stage.sent(Sort::First);
    assert_eq!(stage.hears(&released, Status::Released { lock: ledger() }), Some(Ok(())));
    assert_eq!((stage.counted(Call::Acquire), stage.counted(Call::Release)), (1, 1));
    assert!(stage.player.is_idle());
}

#[test]
fn each_line_is_another_and_as_long_as_it_was_asked_for() {
    let mut stage = Stage::new();
    for (token, line) in [(1, "bench-3 1 .........\n"), (2, "bench-3 2 .........\n")] {
        stage.begin(Action::Turn { appends: true });
        let asked = stage.sent(Sort::First);
        assert_eq!(stage.hears(&asked, granted(token)), None);
        let append = stage.sent(Sort::First);
        let Operation::AppendFile { data, .. } = &append.operation else { panic!("{append:?}") };
        assert_eq!(data.text(), Some(line));
        let appended = Status::Appended { file: ledger(), offset: 0, len: 20 };
        assert_eq!(stage.hears(&append, appended), None);
        let released = stage.sent(Sort::First);
        assert_eq!(stage.hears(&released, Status::Released { lock: ledger() }), Some(Ok(())));
    }
    assert_eq!((stage.tally.appended_lines, stage.tally.appended_bytes), (2, 40));
}

#[test]
fn a_heartbeat_that_is_lost_is_followed_by_another_and_either_may_be_answered() {
    let alive = || Status::Alive { lease: Millis::from_secs(30), held: 0 };
    let mut stage = Stage::new();
    stage.begin(Action::Beat);
    let first = stage.sent(Sort::First);
    stage.wait(5_000);
    stage.sent(Sort::Again);
    assert_eq!(stage.hears(&first, alive()), Some(Ok(())));
    assert_eq!(stage.counted(Call::Heartbeat), 1);
    // One that is due by itself is no operation.
    stage.wait(11_000);
    let due = stage.sent(Sort::Background);
    assert_eq!(stage.hears(&due, alive()), None);
    assert_eq!(stage.counted(Call::Heartbeat), 1);
}

#[test]
fn an_append_that_is_refused_gives_the_lock_back_and_fails() {
    let mut stage = Stage::new();
    stage.begin(Action::Turn { appends: true });
    let asked = stage.sent(Sort::First);
    assert_eq!(stage.hears(&asked, granted(7)), None);
    let append = stage.sent(Sort::First);
    assert_eq!(stage.hears(&append, Status::Refused(Refusal::StorageFailed)), None);
    let released = stage.sent(Sort::First);
    let ended = stage.hears(&released, Status::Released { lock: ledger() });
    assert_eq!(ended, Some(Err("storage_failed")));
    assert_eq!(stage.tally.appended_lines, 0);
}

#[test]
fn a_look_is_a_refusal() {
    let mut stage = Stage::new();
    stage.begin(Action::Look);
    let looked = stage.sent(Sort::First);
    let held = Status::Refused(Refusal::LockHeld { retry_after: Millis::from_secs(1) });
    assert_eq!(stage.hears(&looked, held), Some(Ok(())));
    assert_eq!(stage.counted(Call::Look), 1);
}

#[test]
fn who_leaves_the_line_tells_the_server() {
    let mut stage = Stage::new();
    stage.begin(Action::Turn { appends: false });
    let asked = stage.sent(Sort::First);
    stage.player.leave_line(stage.now());
    assert!(!stage.player.is_idle(), "nobody has said that there is a line");
    assert_eq!(stage.hears(&asked, Status::Queued { lock: ledger(), position: 4 }), None);
    stage.player.leave_line(stage.now());
    assert!(stage.player.is_idle());
    let left = stage.sent(Sort::First);
    assert!(matches!(left.operation, Operation::CancelAcquire { .. }), "{left:?}");
}

#[test]
fn who_finds_the_kept_lock_taken_waits_for_it_and_keeps_it_then() {
    let mut stage = Stage::new();
    stage.begin(Action::Keep);
    let asked = stage.sent(Sort::First);
    assert_eq!(stage.hears(&asked, Status::Queued { lock: ledger(), position: 1 }), Some(Ok(())));
    assert!(stage.player.is_idle(), "others may look already");
    assert_eq!(stage.hears(&asked, granted(7)), None);
    let left: Vec<_> = std::iter::from_fn(|| stage.player.request()).collect();
    let kept = |(_, request): &(Sort, Request)| matches!(request.operation, Operation::Heartbeat);
    assert!(left.iter().all(kept), "it gives nothing back: {left:?}");
}
