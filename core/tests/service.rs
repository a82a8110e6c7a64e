//! The rules of the protocol: one test for each.

mod common;

use common::*;
use leasehold_core::id::{Seq, SessionId};
use leasehold_core::service::{Config, Limits};
use leasehold_core::time::Millis;
use leasehold_core::wire::{MacKey, Operation, Status};

#[test]
fn client_acquires_appends_releases_and_closes() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    assert_eq!(harness.request(ann, 1, acquire("a")), "1 1.0 granted a #1 for 5.0 s");
    assert_eq!(harness.request(ann, 2, append("a", 1, "one\n")), "1 2.0 appended a 0+4");
    assert_eq!(harness.request(ann, 3, append("a", 1, "two\n")), "1 3.0 appended a 4+4");
    assert_eq!(harness.request(ann, 4, release("a", 1)), "1 4.0 released a");
    assert_eq!(harness.request(ann, 5, Operation::Close), "1 5.0 closed, released 0");
    assert_eq!(harness.request(ann, 6, Operation::Heartbeat), "1 6.0 unknown_session");
}

#[test]
fn duplicate_request_gets_the_cached_reply_and_has_no_effect() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    harness.request(ann, 2, append("a", 1, "x"));
    assert_eq!(harness.retransmit(ann, 2, 3, append("a", 1, "x")), "1 2.3 appended a 0+1");
    assert_eq!(harness.retransmit(ann, 2, 1, append("a", 1, "x")), "1 2.3 appended a 0+1");
    assert_eq!(harness.request(ann, 2, append("a", 1, "y")), "1 2.0 seq_reused");
    assert_eq!(harness.request(ann, 3, append("a", 1, "y")), "1 3.0 appended a 1+1");
    assert_eq!(harness.request(ann, 3, Operation::Close), "1 3.0 seq_reused");
}

#[test]
fn retransmitted_acquire_yields_one_tenure_with_one_token() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    assert_eq!(harness.request(ann, 1, acquire("a")), "1 1.0 granted a #1 for 5.0 s");
    harness.advance(millis(400));
    assert_eq!(harness.retransmit(ann, 1, 1, acquire("a")), "1 1.1 granted a #1 for 4.6 s");
    assert_eq!(harness.request(ann, 2, acquire("a")), "1 2.0 already_held 1");
    assert_eq!(harness.request(ann, 3, release("a", 1)), "1 3.0 released a");
    assert_eq!(harness.retransmit(ann, 1, 2, acquire("a")), "1 1.2 granted a #1 for 0 ms");
    assert!(harness.server.state().locks().is_empty(), "a late duplicate grants nothing");
}

#[test]
fn refused_acquire_stays_refused_after_a_crash() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    assert_eq!(harness.request(bob, 1, acquire("a")), "2 1.0 lock_held");
    harness.request(ann, 2, release("a", 1));
    assert_eq!(harness.retransmit(bob, 1, 1, acquire("a")), "2 1.1 lock_held");
    harness.crash_and_restart();
    assert_eq!(harness.retransmit(bob, 1, 2, acquire("a")), "2 1.2 lock_held");
    assert!(
        harness.server.state().locks().is_empty(),
        "no lock is held without its client's knowledge"
    );
}

#[test]
fn expired_lease_releases_the_lock_and_ends_the_session() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.advance(millis(3_000));
    harness.request(bob, 1, Operation::Heartbeat);
    assert_eq!(harness.request(bob, 2, wait("a", 9_000)), "2 2.0 queued a at 1");
    harness.advance(millis(1_000));
    assert_eq!(harness.retransmit(bob, 2, 1, wait("a", 9_000)), "2 2.1 queued a at 1");
    harness.advance(millis(999));
    assert_eq!(harness.drain_replies(), [""; 0]);
    harness.advance(millis(1));
    assert_eq!(harness.drain_replies(), ["2 2.1 granted a #2 for 1.5 s"]);
    assert_eq!(harness.request(ann, 2, append("a", 1, "late")), "1 2.0 stale_token 2");
    assert_eq!(harness.request(ann, 3, append("a", 2, "late")), "1 3.0 not_holder");
    assert_eq!(harness.request(ann, 4, Operation::Heartbeat), "1 4.0 unknown_session");
    assert!(harness.server.state().files().is_empty());
}

#[test]
fn duplicate_heartbeat_does_not_renew_the_lease() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.advance(millis(1_000));
    assert_eq!(harness.request(ann, 1, Operation::Heartbeat), "1 1.0 alive for 5.0 s, holds 0");
    harness.advance(millis(4_000));
    assert_eq!(
        harness.retransmit(ann, 1, 1, Operation::Heartbeat),
        "1 1.1 alive for 1.0 s, holds 0"
    );
    harness.advance(millis(1_000));
    assert_eq!(harness.retransmit(ann, 1, 2, Operation::Heartbeat), "1 1.2 unknown_session");
}

#[test]
fn refused_request_does_not_renew_the_lease() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.advance(millis(4_999));
    assert_eq!(harness.request(ann, 1, release("a", 9)), "1 1.0 stale_token 0");
    harness.advance(millis(1));
    assert_eq!(harness.request(ann, 2, Operation::Heartbeat), "1 2.0 unknown_session");
}

#[test]
fn waiters_are_granted_in_order_and_silent_ones_are_skipped() {
    let mut harness = Harness::new();
    let (ann, bob, cid) = (
        harness.open_session(1, "ann"),
        harness.open_session(2, "bob"),
        harness.open_session(3, "cid"),
    );
    harness.request(ann, 1, acquire("a"));
    assert_eq!(harness.request(bob, 1, wait("a", 60_000)), "2 1.0 queued a at 1");
    harness.advance(millis(1_000));
    assert_eq!(harness.request(cid, 1, wait("a", 60_000)), "3 1.0 queued a at 2");
    harness.advance(millis(500));
    // Bob has missed three polls.
    assert_eq!(
        harness.request(ann, 2, release("a", 1)),
        "1 2.0 released a + 3 1.0 granted a #2 for 1.5 s"
    );
    // Bob keeps his queue position.
    assert_eq!(harness.retransmit(bob, 1, 1, wait("a", 60_000)), "2 1.1 queued a at 1");
    assert_eq!(
        harness.request(cid, 2, release("a", 2)),
        "3 2.0 released a + 2 1.1 granted a #3 for 1.5 s"
    );
}

#[test]
fn free_lock_is_granted_to_the_first_silent_waiter_that_polls_again() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.advance(millis(1_500));
    assert_eq!(harness.request(ann, 2, release("a", 1)), "1 2.0 released a");
    assert_eq!(harness.retransmit(bob, 1, 1, wait("a", 9)), "2 1.1 granted a #2 for 1.5 s");
}

#[test]
fn queued_waiter_is_granted_before_a_newcomer_after_a_restart() {
    let mut harness = Harness::new();
    let (ann, bob, cid) = (
        harness.open_session(1, "ann"),
        harness.open_session(2, "bob"),
        harness.open_session(3, "cid"),
    );
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.advance(millis(1_500));
    assert_eq!(harness.request(ann, 2, release("a", 1)), "1 2.0 released a");
    // The lock is free, because Bob was silent. He may have polled while the server was down.
    harness.crash_and_restart();
    harness.request(cid, 1, acquire("a"));
    let holder = harness.server.state().tenure(&name("a")).map(|tenure| tenure.session_id);
    assert_eq!(holder, Some(SessionId::new(2)));
}

#[test]
fn dead_first_waiter_delays_the_next_grant_by_at_most_three_polls() {
    let mut harness = Harness::new();
    let (ann, bob, cid) = (
        harness.open_session(1, "ann"),
        harness.open_session(2, "bob"),
        harness.open_session(3, "cid"),
    );
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.request(cid, 1, wait("a", 60_000));
    // Bob crashes here, and is granted the lock nevertheless.
    assert_eq!(
        harness.request(ann, 2, release("a", 1)),
        "1 2.0 released a + 2 1.0 granted a #2 for 1.5 s"
    );
    harness.advance(millis(1_000));
    assert_eq!(harness.retransmit(cid, 1, 1, wait("a", 60_000)), "3 1.1 queued a at 1");
    harness.advance(millis(500));
    assert_eq!(harness.drain_replies(), ["3 1.1 granted a #3 for 1.5 s"]);
}

#[test]
fn claimed_grant_lasts_as_long_as_the_lease() {
    let mut harness = Harness::new();
    let (ann, bob, cid) = (
        harness.open_session(1, "ann"),
        harness.open_session(2, "bob"),
        harness.open_session(3, "cid"),
    );
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.request(cid, 1, wait("a", 60_000));
    harness.request(ann, 2, release("a", 1));
    assert_eq!(harness.request(bob, 2, Operation::Heartbeat), "2 2.0 alive for 5.0 s, holds 1");
    for attempt in 1..=9 {
        harness.advance(millis(500));
        let answer = harness.retransmit(cid, 1, attempt, wait("a", 60_000));
        assert_eq!(answer, format!("3 1.{attempt} queued a at 1"));
    }
}

#[test]
fn waiter_with_an_expired_session_is_never_granted() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.advance(millis(4_000));
    harness.request(ann, 2, Operation::Heartbeat);
    harness.advance(millis(1_000));
    assert_eq!(harness.request(ann, 3, release("a", 1)), "1 3.0 released a");
    assert_eq!(harness.retransmit(bob, 1, 1, wait("a", 60_000)), "2 1.1 unknown_session");
    assert!(harness.server.state().locks().is_empty());
}

#[test]
fn wait_times_out() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.request(bob, 1, wait("a", 700));
    harness.advance(millis(700));
    assert_eq!(harness.drain_replies(), ["2 1.0 wait_timeout"]);
    harness.request(ann, 2, release("a", 1));
    assert_eq!(harness.retransmit(bob, 1, 1, wait("a", 700)), "2 1.1 wait_timeout");
}

#[test]
fn wait_can_be_cancelled() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    assert_eq!(harness.request(bob, 1, cancel("a")), "2 1.0 not_waiting");
    harness.request(bob, 2, wait("a", 9_000));
    assert_eq!(harness.request(bob, 3, cancel("a")), "2 3.0 cancelled a");
    assert_eq!(harness.request(ann, 2, release("a", 1)), "1 2.0 released a");
    assert_eq!(harness.retransmit(bob, 2, 1, wait("a", 9_000)), "2 2.1 wait_timeout");
    assert_eq!(harness.request(ann, 3, acquire("a")), "1 3.0 granted a #2 for 5.0 s");
    assert_eq!(harness.request(ann, 4, cancel("a")), "1 4.0 already_held 2");
}

#[test]
fn hold_limit_releases_the_lock_of_a_stuck_client() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    let hold = Some(millis(2_000));
    let stuck = Operation::AcquireLock { lock: name("a"), wait: Millis::ZERO, hold };
    assert_eq!(harness.request(ann, 1, stuck), "1 1.0 granted a #1 for 2.0 s, hold 2.0 s");
    harness.advance(millis(1_999));
    assert_eq!(harness.request(ann, 2, Operation::Heartbeat), "1 2.0 alive for 5.0 s, holds 1");
    harness.advance(millis(1));
    assert_eq!(harness.request(ann, 3, Operation::Heartbeat), "1 3.0 alive for 5.0 s, holds 0");
    assert_eq!(harness.request(ann, 4, append("a", 1, "x")), "1 4.0 stale_token 0");
}

#[test]
fn close_grants_the_released_locks_to_waiters() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.request(ann, 2, acquire("b"));
    harness.request(bob, 1, wait("b", 9_000));
    assert_eq!(
        harness.request(ann, 3, Operation::Close),
        "1 3.0 closed, released 2 + 2 1.0 granted b #3 for 1.5 s"
    );
}

#[test]
fn acknowledged_effects_survive_a_crash() {
    let mut harness = Harness::new();
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.request(ann, 1, acquire("a"));
    harness.request(ann, 2, append("a", 1, "A"));
    harness.request(bob, 1, wait("a", 60_000));
    harness.advance(millis(4_500));
    harness.crash_and_restart();
    // Every session has its full lease again, and the lock is held under the same token.
    harness.advance(millis(4_000));
    assert_eq!(harness.retransmit(ann, 2, 1, append("a", 1, "A")), "1 2.1 appended a 0+1");
    assert_eq!(harness.request(ann, 3, append("a", 1, "B")), "1 3.0 appended a 1+1");
    assert_eq!(harness.retransmit(bob, 1, 1, wait("a", 60_000)), "2 1.1 queued a at 1");
    assert_eq!(
        harness.request(ann, 4, release("a", 1)),
        "1 4.0 released a + 2 1.1 granted a #2 for 1.0 s",
        "the rest of bob's lease is shorter than three polls"
    );
    // A duplicate of the hello gets the same session.
    harness.send(peer(1), &hello("ann", 1));
    assert_eq!(harness.drain_replies(), ["1 0.0 welcome"]);
    assert_eq!(harness.server.state().sessions().len(), 2);
}

#[test]
fn append_outcome_can_be_queried_after_the_session_ended() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    harness.request(ann, 2, append("a", 1, "A"));
    let append_outcome = |seq| Operation::AppendOutcome { append_seq: Seq::new(seq) };
    assert_eq!(harness.request(ann, 3, append_outcome(2)), "1 3.0 applied a 0+1");
    assert_eq!(
        harness.request(ann, 4, append_outcome(9)),
        "1 4.0 forgotten",
        "the request can still arrive"
    );
    harness.request(ann, 5, append("a", 7, "never"));
    assert_eq!(
        harness.request(ann, 6, append_outcome(5)),
        "1 6.0 not_applied",
        "the append was refused"
    );
    harness.advance(millis(5_000));
    for _ in 0..2 {
        assert_eq!(harness.request(ann, 7, append_outcome(2)), "1 7.0 applied a 0+1");
        assert_eq!(harness.request(ann, 8, append_outcome(9)), "1 8.0 not_applied");
        harness.crash_and_restart();
    }
}

#[test]
fn evicted_append_is_not_reported_as_not_applied() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    harness.request(ann, 1, acquire("a"));
    for seq in 2..=1_026 {
        assert!(harness.request(ann, seq, append("a", 1, "x")).contains("appended"));
    }
    let append_outcome = |seq| Operation::AppendOutcome { append_seq: Seq::new(seq) };
    assert_eq!(harness.request(ann, 2_000, append_outcome(2)), "1 2000.0 forgotten");
    assert_eq!(harness.request(ann, 2_001, append_outcome(3)), "1 2001.0 applied a 1+1");
    assert_eq!(harness.request(ann, 2, append("a", 1, "x")), "1 2.0 stale_seq");
}

#[test]
fn requests_over_a_configured_limit_are_refused() {
    let limits =
        Limits { sessions_max: 2, locks_max: 1, waiters_max: 1, files_max: 1, file_len_max: 3 };
    let mut harness = Harness::with_config(Config { limits, ..Config::default() });
    let (ann, bob) = (harness.open_session(1, "ann"), harness.open_session(2, "bob"));
    harness.send(peer(3), &hello("cid", 3));
    assert_eq!(harness.drain_replies(), ["3 0.0 overloaded"]);
    harness.request(ann, 1, acquire("a"));
    assert_eq!(harness.request(ann, 2, acquire("b")), "1 2.0 overloaded");
    harness.request(bob, 1, wait("a", 9_000));
    assert_eq!(harness.request(ann, 3, append("a", 1, "four")), "1 3.0 too_large");
    assert_eq!(harness.request(ann, 4, append("a", 1, "3  ")), "1 4.0 appended a 0+3");
    harness.request(ann, 5, release("a", 1));
    harness.request(bob, 2, release("a", 2));
    assert_eq!(harness.request(bob, 3, acquire("b")), "2 3.0 granted b #3 for 5.0 s");
    assert_eq!(harness.request(bob, 4, append("b", 3, "x")), "2 4.0 overloaded", "a second file");
}

#[test]
fn hello_requires_a_valid_cookie() {
    let cookie_key = Some(MacKey::new(b"server"));
    let mut harness = Harness::with_config(Config { cookie_key, ..Config::default() });
    let mut request = hello("ann", 1);
    harness.send(peer(1), &request);
    let replies = std::mem::take(&mut harness.replies);
    let [datagram] = replies.as_slice() else { panic!("{replies:?}") };
    let Status::Retry { cookie: given } = datagram.reply.status else { panic!("{datagram:?}") };
    assert!(
        harness.server.state().sessions().is_empty(),
        "the server stores nothing before the cookie"
    );
    if let Operation::Hello { cookie, .. } = &mut request.operation {
        *cookie = Some(given);
    }
    harness.send(peer(2), &request);
    assert_eq!(harness.drain_replies(), ["2 0.0 retry"], "the cookie of another peer");
    harness.send(peer(1), &request);
    assert_eq!(harness.drain_replies(), ["1 0.0 welcome"]);
}
