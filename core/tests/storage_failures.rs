//! `storage_failed`: what the server does after a failed write, and what the client does after this
//! reply.

mod common;

use common::*;
use leasehold_core::client::{CallOutcome, Config, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::event::Event;
use leasehold_core::id::{Seq, Token};
use leasehold_core::refusal::Refusal;
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

/// `storage_failed` means that a request had no effect, so it is not the answer to a duplicate of a
/// request that was durable before the write failed.
#[test]
fn duplicate_is_not_answered_storage_failed_after_its_request_was_applied() {
    let mut harness = Harness::new();
    let (ann, bob, eve) = (
        harness.open_session(1, "ann"),
        harness.open_session(2, "bob"),
        harness.open_session(3, "eve"),
    );
    harness.request(eve, 1, Operation::Close);
    harness.request(ann, 1, acquire("a"));
    harness.request(ann, 2, append("a", 1, "x"));
    harness.request(bob, 1, wait("a", 60_000));
    let replies = harness.request_with_failed_flush(&[
        (ann, 3, 0, append("a", 1, "y")),
        (ann, 2, 1, append("a", 1, "x")),
        (bob, 1, 1, wait("a", 60_000)),
        (eve, 2, 0, append("a", 1, "z")),
    ]);
    assert_eq!(replies, ["1 3.0 storage_failed"]);
    assert_eq!(harness.retransmit(ann, 2, 2, append("a", 1, "x")), "1 2.2 appended a 0+1");
    assert_eq!(harness.retransmit(bob, 1, 2, wait("a", 60_000)), "2 1.2 queued a at 1");
    assert_eq!(harness.retransmit(ann, 3, 1, append("a", 1, "y")), "1 3.1 appended a 1+1");
    let replies = harness.request(ann, 4, release("a", 1));
    assert_eq!(replies, "1 4.0 released a + 2 1.2 granted a #2 for 1.5 s");
}

/// `storage_failed` answers a transmission. The request is executed when it arrives again, and only
/// once, whatever copies of it arrive later.
#[test]
fn request_that_could_not_be_stored_is_executed_once_when_it_is_sent_again() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    let refused = || [(ann, 2, 0, append("a", 1, "x")), (ann, 3, 0, append("a", 1, "y"))];
    for _ in 0..2 {
        let replies = harness.request_with_failed_flush(&refused());
        assert_eq!(replies, ["1 2.0 storage_failed", "1 3.0 storage_failed"]);
    }
    harness.crash_and_restart();
    assert_eq!(harness.retransmit(ann, 2, 1, append("a", 1, "x")), "1 2.1 appended a 0+1");
    assert_eq!(harness.request(ann, 4, append("a", 1, "z")), "1 4.0 appended a 1+1");
    // The late copy of a request that was executed.
    assert_eq!(harness.retransmit(ann, 2, 0, append("a", 1, "x")), "1 2.1 appended a 0+1");
    harness.crash_and_restart();
    assert_eq!(harness.retransmit(ann, 2, 0, append("a", 1, "x")), "1 2.1 appended a 0+1");
    // The server cannot know whether the other one arrives while ann holds the lock.
    let append_outcome = |seq| Operation::AppendOutcome { append_seq: Seq::new(seq) };
    assert_eq!(harness.request(ann, 5, append_outcome(3)), "1 5.0 forgotten");
    harness.request(ann, 6, release("a", 1));
    assert_eq!(harness.request(ann, 7, append_outcome(3)), "1 7.0 not_applied");
    assert_eq!(harness.request(ann, 8, append_outcome(2)), "1 8.0 applied a 0+1");
    assert_eq!(harness.retransmit(ann, 3, 0, append("a", 1, "y")), "1 3.0 stale_token 0");
    harness.request(ann, 9, acquire("a"));
    assert_eq!(harness.request(ann, 10, append_outcome(3)), "1 10.0 not_applied", "still");
    // A copy that is older than the cached replies is not executed either.
    for seq in 11..11 + 64 {
        harness.request(ann, seq, append("a", 2, "-"));
    }
    assert_eq!(harness.retransmit(ann, 2, 0, append("a", 1, "x")), "1 2.0 stale_token 2");
    assert_eq!(harness.retransmit(ann, 1, 0, acquire("a")), "1 1.0 stale_seq");
}

#[test]
fn acquires_and_releases_that_could_not_be_stored_are_executed_when_they_are_sent_again() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    assert_eq!(
        harness.request_with_failed_flush(&[(ann, 1, 0, acquire("a"))]),
        ["1 1.0 storage_failed"]
    );
    // The token was never handed out.
    assert_eq!(harness.retransmit(bob, 1, 0, acquire("a")), "2 1.0 granted a #1 for 5.0 s");
    assert_eq!(harness.retransmit(ann, 1, 1, wait("a", 9_000)), "1 1.1 queued a at 1");
    let release_and_cancel = [(bob, 2, 0, release("a", 1)), (ann, 2, 0, cancel("a"))];
    assert_eq!(
        harness.request_with_failed_flush(&release_and_cancel),
        ["2 2.0 storage_failed", "1 2.0 storage_failed"]
    );
    assert_eq!(harness.retransmit(ann, 2, 1, cancel("a")), "1 2.1 cancelled a");
    assert_eq!(harness.retransmit(bob, 2, 1, release("a", 1)), "2 2.1 released a");
    let close = || Operation::Close;
    assert_eq!(
        harness.request_with_failed_flush(&[(ann, 3, 0, close())]),
        ["1 3.0 storage_failed"]
    );
    assert_eq!(harness.retransmit(ann, 3, 1, close()), "1 3.1 closed, released 0");
}

/// Nothing is retained of the requests that are refused while the disk is full.
#[test]
fn refused_requests_leave_the_server_as_it_was() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    let mut lengths = Vec::new();
    for round in 0..20_u64 {
        // Sequence numbers with the same number of digits.
        let refused = (0..200).map(|n| 100_000 + 200 * round + n);
        let refused: Vec<_> = refused.map(|seq| (ann, seq, 0, append("a", 1, "refused"))).collect();
        assert_eq!(harness.request_with_failed_flush(&refused).len(), refused.len());
        assert!(harness.outbox.is_empty());
        lengths.push(format!("{:?}", harness.server).len());
    }
    let (shortest, longest) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
    assert!(longest - shortest < 100, "all fields of the server, as text: {lengths:?}");
}

/// Version 0.1.0 logged `storage_failed` as the final answer. Its logs are read, and these answers
/// are ignored.
#[test]
fn logged_storage_failures_of_an_older_version_are_ignored() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    let (mut state, index) = (harness.server.state().clone(), harness.server.last_index().next());
    let refused: Event = serde_json::from_value(serde_json::json!({
        "index": index, "at_ms": 0, "type": "request_refused", "session_no": 1, "client": "ann",
        "op": "append_file", "name": "a", "code": "storage_failed", "seq": 2, "attempt": 0,
    }))
    .unwrap();
    state.apply(&refused);
    let mut json = serde_json::to_value(&state).unwrap();
    let cached = &mut json["sessions"]["1"]["replies"]["kept"];
    assert_eq!(cached.as_array().unwrap().len(), 1, "only the grant: {cached}");
    cached.as_array_mut().unwrap().push(serde_json::json!({
        "seq": 2, "digest": 7, "attempt": 0, "answer": {"refused": {"code": "storage_failed"}},
    }));
    let restored: State = serde_json::from_value(json).unwrap();
    let session = restored.sessions().values().next().unwrap();
    assert!(session.replies.find(Seq::new(1)).is_some());
    assert!(session.replies.find(Seq::new(2)).is_none());
}

#[test]
fn release_is_retried_after_a_storage_failure() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(90_000);
    client.release(Time::ZERO, name("a"), Token::new(3), deadline);
    let release = answer_hello(&mut client, 7);
    let now = Time::from_millis(10);
    refuse(&mut client, now, &release, Refusal::StorageFailed);
    assert_eq!(client.poll_request(), None, "the retry waits");
    client.handle_timers(Time::from_millis(600));
    expect_retransmission(&mut client, &release);
    // The session lives on and would keep the lock, so the release continues after its deadline.
    client.handle_timers(deadline);
    let outcome = CallOutcome::Refused(Refusal::StorageFailed);
    assert_eq!(completed(&mut client), Some(outcome));
    client.handle_timers(deadline + millis(3_000));
    assert!(requests(&mut client).iter().any(|it| it.seq == release.seq));
}

/// Checks that the client sends this request once more, under the same sequence number.
#[track_caller]
fn expect_retransmission(client: &mut LockClient, request: &Request) {
    let retry = client.poll_request().expect("the request is sent again");
    assert!(retry.attempt > request.attempt, "{retry:?}");
    assert_eq!(retry, Request { attempt: retry.attempt, ..request.clone() });
}

fn requests(client: &mut LockClient) -> Vec<Request> {
    std::iter::from_fn(|| client.poll_request()).collect()
}

/// Returns the outcome of the last call that has ended.
fn completed(client: &mut LockClient) -> Option<CallOutcome> {
    let notifications = std::iter::from_fn(|| client.poll_notification());
    notifications
        .filter_map(|it| match it {
            Notification::Completed { outcome, .. } => Some(outcome),
            Notification::SessionOpened { .. }
            | Notification::SessionRefused { .. }
            | Notification::Queued { .. }
            | Notification::LockLost { .. }
            | Notification::SessionLost => None,
        })
        .last()
}

/// Answers every request with `storage_failed` until `deadline`, and returns these requests.
fn refuse_until(client: &mut LockClient, deadline: Time) -> Vec<Request> {
    let mut refused = Vec::new();
    while let Some(now) = client.next_deadline().filter(|at| *at <= deadline) {
        client.handle_timers(now);
        for request in requests(client) {
            refuse(client, now, &request, Refusal::StorageFailed);
            refused.push(request);
        }
    }
    refused
}

#[test]
fn append_is_sent_again_after_a_storage_failure_and_unknown_at_its_deadline() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(20_000);
    client.append(Time::ZERO, name("a"), Token::new(3), Data::new(b"x"), deadline);
    let append = answer_hello(&mut client, 7);
    refuse(&mut client, Time::from_millis(10), &append, Refusal::StorageFailed);
    let refused = refuse_until(&mut client, Time::from_millis(19_999));
    let appends = refused.iter().filter(|it| it.operation == append.operation);
    assert!(appends.clone().count() >= 9, "{refused:?}");
    assert!(appends.clone().all(|it| it.seq == append.seq), "{refused:?}");
    assert_eq!(completed(&mut client), None);
    client.handle_timers(deadline);
    assert_eq!(completed(&mut client), Some(CallOutcome::Unknown));
    assert!(client.is_idle());
}

#[test]
fn append_succeeds_once_the_storage_has_recovered() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(20_000);
    client.append(Time::ZERO, name("a"), Token::new(3), Data::new(b"x"), deadline);
    let append = answer_hello(&mut client, 7);
    refuse(&mut client, Time::from_millis(10), &append, Refusal::StorageFailed);
    client.handle_timers(Time::from_millis(600));
    expect_retransmission(&mut client, &append);
    let status = Status::Appended { file: name("a"), offset: 5, len: 1 };
    let reply = Reply { request_seq: append.seq, attempt: append.attempt, status };
    client.receive(Time::from_millis(610), reply);
    assert_eq!(completed(&mut client), Some(CallOutcome::Appended { offset: 5, len: 1 }));
}

/// The server may grant the lock later, to a late transmission. The client then releases it.
#[test]
fn acquire_that_fails_because_of_the_storage_leaves_no_orphaned_lock() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(5_000);
    client.acquire(Time::ZERO, name("a"), Millis::ZERO, None, deadline);
    let acquire = answer_hello(&mut client, 7);
    refuse(&mut client, Time::from_millis(10), &acquire, Refusal::StorageFailed);
    refuse_until(&mut client, deadline);
    let outcome = CallOutcome::Refused(Refusal::StorageFailed);
    assert_eq!(completed(&mut client), Some(outcome));
    let now = Time::from_millis(9_000);
    let sent = refuse_until(&mut client, now);
    assert!(sent.iter().any(|it| it.operation == Operation::CancelAcquire { lock: name("a") }));
    let (lock, token) = (name("a"), Token::new(4));
    let status = Status::Granted { lock: lock.clone(), token, lease: millis(5_000), hold: None };
    let last = sent.iter().rfind(|it| it.seq == acquire.seq).expect("the acquire continues");
    client.receive(now, Reply { request_seq: acquire.seq, attempt: last.attempt, status });
    let release = Operation::ReleaseLock { lock, token };
    assert!(requests(&mut client).iter().any(|it| it.operation == release));
}

#[test]
fn hello_is_sent_again_after_a_storage_failure() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(5_000);
    client.acquire(Time::ZERO, name("a"), Millis::ZERO, None, deadline);
    let hello = client.poll_request().expect("the client sends a hello");
    refuse(&mut client, Time::from_millis(10), &hello, Refusal::StorageFailed);
    client.handle_timers(Time::from_millis(600));
    expect_retransmission(&mut client, &hello);
    assert!(client.is_hello_failing());
    client.handle_timers(deadline);
    let outcome = CallOutcome::Refused(Refusal::StorageFailed);
    assert_eq!(completed(&mut client), Some(outcome));
}

#[test]
fn outcome_query_is_sent_again_after_a_storage_failure() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let deadline = Time::from_millis(20_000);
    client.append(Time::ZERO, name("a"), Token::new(3), Data::new(b"x"), deadline);
    let append = answer_hello(&mut client, 7);
    let stale = Refusal::StaleToken { current: Token::new(4) };
    refuse(&mut client, Time::from_millis(10), &append, stale.clone());
    let query = client.poll_request().expect("the client queries the outcome");
    refuse(&mut client, Time::from_millis(20), &query, Refusal::StorageFailed);
    client.handle_timers(Time::from_millis(600));
    expect_retransmission(&mut client, &query);
    let status = Status::NotApplied;
    let reply = Reply { request_seq: query.seq, attempt: query.attempt, status };
    client.receive(Time::from_millis(610), reply);
    assert_eq!(completed(&mut client), Some(CallOutcome::Refused(stale)));
}

#[test]
fn closing_session_sends_no_heartbeats() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    client.close(Time::ZERO, Time::from_millis(90_000));
    let close = answer_hello(&mut client, 7);
    refuse(&mut client, Time::from_millis(10), &close, Refusal::StorageFailed);
    client.handle_timers(Time::from_millis(600));
    expect_retransmission(&mut client, &close);
    refuse(&mut client, Time::from_millis(610), &close, Refusal::SeqReused);
    client.handle_timers(Time::from_millis(60_000));
    assert_eq!(client.poll_request(), None, "a closed session sends no heartbeats");
}
