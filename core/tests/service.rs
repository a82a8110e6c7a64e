//! What the lock server answers: one story for each rule of the protocol.

mod common;

use common::*;
use leasehold_core::id::{Seq, SessionNo};
use leasehold_core::service::{Bounds, Config};
use leasehold_core::time::Span;
use leasehold_core::wire::{Key, Operation};

#[test]
fn a_client_acquires_appends_releases_and_closes() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    assert_eq!(world.ask(ann, 1, acquire("a")), "1 1.0 granted a #1 for 5.0 s");
    assert_eq!(world.ask(ann, 2, append("a", 1, "one\n")), "1 2.0 appended a 0+4");
    assert_eq!(world.ask(ann, 3, append("a", 1, "two\n")), "1 3.0 appended a 4+4");
    assert_eq!(world.ask(ann, 4, release("a", 1)), "1 4.0 released a");
    assert_eq!(world.ask(ann, 5, Operation::Close), "1 5.0 closed, released 0");
    assert_eq!(world.ask(ann, 6, Operation::Heartbeat), "1 6.0 unknown_session");
}

#[test]
fn a_copy_of_a_request_gets_the_same_answer_and_does_nothing() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    world.ask(ann, 1, acquire("a"));
    world.ask(ann, 2, append("a", 1, "x"));
    assert_eq!(world.ask_again(ann, 2, 3, append("a", 1, "x")), "1 2.3 appended a 0+1");
    assert_eq!(world.ask_again(ann, 2, 1, append("a", 1, "x")), "1 2.3 appended a 0+1");
    assert_eq!(world.ask(ann, 2, append("a", 1, "y")), "1 2.0 seq_reused");
    assert_eq!(world.ask(ann, 3, append("a", 1, "y")), "1 3.0 appended a 1+1");
    assert_eq!(world.ask(ann, 3, Operation::Close), "1 3.0 seq_reused");
}

#[test]
fn a_resent_acquire_whose_reply_was_late_is_one_tenure_with_one_token() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    assert_eq!(world.ask(ann, 1, acquire("a")), "1 1.0 granted a #1 for 5.0 s");
    world.pass(millis(400));
    assert_eq!(world.ask_again(ann, 1, 1, acquire("a")), "1 1.1 granted a #1 for 4.6 s");
    assert_eq!(world.ask(ann, 2, acquire("a")), "1 2.0 already_held 1");
    assert_eq!(world.ask(ann, 3, release("a", 1)), "1 3.0 released a");
    assert_eq!(world.ask_again(ann, 1, 2, acquire("a")), "1 1.2 granted a #1 for 0 ms");
    assert!(world.server.state().locks().is_empty(), "a copy that came late grants nothing");
}

#[test]
fn a_refused_acquire_stays_refused_also_after_a_crash() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    assert_eq!(world.ask(bob, 1, acquire("a")), "2 1.0 lock_held");
    world.ask(ann, 2, release("a", 1));
    assert_eq!(world.ask_again(bob, 1, 1, acquire("a")), "2 1.1 lock_held");
    world.crash();
    assert_eq!(world.ask_again(bob, 1, 2, acquire("a")), "2 1.2 lock_held");
    assert!(world.server.state().locks().is_empty(), "nobody holds what nobody knows of");
}

#[test]
fn a_lease_that_runs_out_frees_the_lock_and_ends_the_session() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.pass(millis(3_000));
    world.ask(bob, 1, Operation::Heartbeat);
    assert_eq!(world.ask(bob, 2, wait("a", 9_000)), "2 2.0 queued a at 1");
    world.pass(millis(1_000));
    assert_eq!(world.ask_again(bob, 2, 1, wait("a", 9_000)), "2 2.1 queued a at 1");
    world.pass(millis(999));
    assert_eq!(world.said(), [""; 0]);
    world.pass(millis(1));
    assert_eq!(world.said(), ["2 2.1 granted a #2 for 1.5 s"]);
    assert_eq!(world.ask(ann, 2, append("a", 1, "late")), "1 2.0 stale_token 2");
    assert_eq!(world.ask(ann, 3, append("a", 2, "late")), "1 3.0 not_holder");
    assert_eq!(world.ask(ann, 4, Operation::Heartbeat), "1 4.0 unknown_session");
    assert!(world.server.state().files().is_empty());
}

#[test]
fn a_copy_of_a_heartbeat_renews_nothing() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    world.pass(millis(1_000));
    assert_eq!(world.ask(ann, 1, Operation::Heartbeat), "1 1.0 alive for 5.0 s, holds 0");
    world.pass(millis(4_000));
    assert_eq!(world.ask_again(ann, 1, 1, Operation::Heartbeat), "1 1.1 alive for 1.0 s, holds 0");
    world.pass(millis(1_000));
    assert_eq!(world.ask_again(ann, 1, 2, Operation::Heartbeat), "1 1.2 unknown_session");
}

#[test]
fn a_refused_request_renews_nothing() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    world.pass(millis(4_999));
    assert_eq!(world.ask(ann, 1, release("a", 9)), "1 1.0 stale_token 0");
    world.pass(millis(1));
    assert_eq!(world.ask(ann, 2, Operation::Heartbeat), "1 2.0 unknown_session");
}

#[test]
fn waiters_are_granted_in_order_and_silent_ones_passed_over() {
    let mut world = World::new();
    let (ann, bob, cid) = (world.open(1, "ann"), world.open(2, "bob"), world.open(3, "cid"));
    world.ask(ann, 1, acquire("a"));
    assert_eq!(world.ask(bob, 1, wait("a", 60_000)), "2 1.0 queued a at 1");
    world.pass(millis(1_000));
    assert_eq!(world.ask(cid, 1, wait("a", 60_000)), "3 1.0 queued a at 2");
    world.pass(millis(500));
    // Bob has said nothing for three polls.
    assert_eq!(
        world.ask(ann, 2, release("a", 1)),
        "1 2.0 released a + 3 1.0 granted a #2 for 1.5 s"
    );
    // He keeps his place.
    assert_eq!(world.ask_again(bob, 1, 1, wait("a", 60_000)), "2 1.1 queued a at 1");
    assert_eq!(
        world.ask(cid, 2, release("a", 2)),
        "3 2.0 released a + 2 1.1 granted a #3 for 1.5 s"
    );
}

#[test]
fn a_lock_that_only_silent_ones_wait_for_goes_to_the_first_who_speaks() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 60_000));
    world.pass(millis(1_500));
    assert_eq!(world.ask(ann, 2, release("a", 1)), "1 2.0 released a");
    assert_eq!(world.ask_again(bob, 1, 1, wait("a", 9)), "2 1.1 granted a #2 for 1.5 s");
}

#[test]
fn who_stands_in_line_after_a_restart_is_served_before_who_comes_then() {
    let mut world = World::new();
    let (ann, bob, cid) = (world.open(1, "ann"), world.open(2, "bob"), world.open(3, "cid"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 60_000));
    world.pass(millis(1_500));
    assert_eq!(world.ask(ann, 2, release("a", 1)), "1 2.0 released a");
    // It is free, since Bob was silent; and nobody knows what he said while the server was away.
    world.crash();
    world.ask(cid, 1, acquire("a"));
    let holder = world.server.state().tenure(&name("a")).map(|tenure| tenure.session_no);
    assert_eq!(holder, Some(SessionNo::new(2)));
}

#[test]
fn a_dead_head_of_the_line_delays_the_next_grant_by_at_most_three_polls() {
    let mut world = World::new();
    let (ann, bob, cid) = (world.open(1, "ann"), world.open(2, "bob"), world.open(3, "cid"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 60_000));
    world.ask(cid, 1, wait("a", 60_000));
    // Bob dies here, and is granted the lock all the same.
    assert_eq!(
        world.ask(ann, 2, release("a", 1)),
        "1 2.0 released a + 2 1.0 granted a #2 for 1.5 s"
    );
    world.pass(millis(1_000));
    assert_eq!(world.ask_again(cid, 1, 1, wait("a", 60_000)), "3 1.1 queued a at 1");
    world.pass(millis(500));
    assert_eq!(world.said(), ["3 1.1 granted a #3 for 1.5 s"]);
}

#[test]
fn a_grant_out_of_the_line_that_was_claimed_lasts_as_long_as_the_lease() {
    let mut world = World::new();
    let (ann, bob, cid) = (world.open(1, "ann"), world.open(2, "bob"), world.open(3, "cid"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 60_000));
    world.ask(cid, 1, wait("a", 60_000));
    world.ask(ann, 2, release("a", 1));
    assert_eq!(world.ask(bob, 2, Operation::Heartbeat), "2 2.0 alive for 5.0 s, holds 1");
    for attempt in 1..=9 {
        world.pass(millis(500));
        let answer = world.ask_again(cid, 1, attempt, wait("a", 60_000));
        assert_eq!(answer, format!("3 1.{attempt} queued a at 1"));
    }
}

#[test]
fn a_waiter_whose_session_died_is_never_granted() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 60_000));
    world.pass(millis(4_000));
    world.ask(ann, 2, Operation::Heartbeat);
    world.pass(millis(1_000));
    assert_eq!(world.ask(ann, 3, release("a", 1)), "1 3.0 released a");
    assert_eq!(world.ask_again(bob, 1, 1, wait("a", 60_000)), "2 1.1 unknown_session");
    assert!(world.server.state().locks().is_empty());
}

#[test]
fn a_wait_ends_when_its_time_is_over() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 700));
    world.pass(millis(700));
    assert_eq!(world.said(), ["2 1.0 wait_timeout"]);
    world.ask(ann, 2, release("a", 1));
    assert_eq!(world.ask_again(bob, 1, 1, wait("a", 700)), "2 1.1 wait_timeout");
}

#[test]
fn a_wait_can_be_taken_back() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    assert_eq!(world.ask(bob, 1, cancel("a")), "2 1.0 not_waiting");
    world.ask(bob, 2, wait("a", 9_000));
    assert_eq!(world.ask(bob, 3, cancel("a")), "2 3.0 cancelled a");
    assert_eq!(world.ask(ann, 2, release("a", 1)), "1 2.0 released a");
    assert_eq!(world.ask_again(bob, 2, 1, wait("a", 9_000)), "2 2.1 wait_timeout");
    assert_eq!(world.ask(ann, 3, acquire("a")), "1 3.0 granted a #2 for 5.0 s");
    assert_eq!(world.ask(ann, 4, cancel("a")), "1 4.0 already_held 2");
}

#[test]
fn a_stuck_client_gives_the_lock_up_when_its_hold_is_over() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    let hold = Some(millis(2_000));
    let stuck = Operation::AcquireLock { lock: name("a"), wait: Span::ZERO, hold };
    assert_eq!(world.ask(ann, 1, stuck), "1 1.0 granted a #1 for 2.0 s, hold 2.0 s");
    world.pass(millis(1_999));
    assert_eq!(world.ask(ann, 2, Operation::Heartbeat), "1 2.0 alive for 5.0 s, holds 1");
    world.pass(millis(1));
    assert_eq!(world.ask(ann, 3, Operation::Heartbeat), "1 3.0 alive for 5.0 s, holds 0");
    assert_eq!(world.ask(ann, 4, append("a", 1, "x")), "1 4.0 stale_token 0");
}

#[test]
fn closing_frees_what_was_held_for_those_who_wait() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(ann, 2, acquire("b"));
    world.ask(bob, 1, wait("b", 9_000));
    assert_eq!(
        world.ask(ann, 3, Operation::Close),
        "1 3.0 closed, released 2 + 2 1.0 granted b #3 for 1.5 s"
    );
}

#[test]
fn all_that_was_acknowledged_is_so_after_a_crash() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(ann, 2, append("a", 1, "A"));
    world.ask(bob, 1, wait("a", 60_000));
    world.pass(millis(4_500));
    world.crash();
    // The lease is a full one again, and the lock is held under the same token.
    world.pass(millis(4_000));
    assert_eq!(world.ask_again(ann, 2, 1, append("a", 1, "A")), "1 2.1 appended a 0+1");
    assert_eq!(world.ask(ann, 3, append("a", 1, "B")), "1 3.0 appended a 1+1");
    assert_eq!(world.ask_again(bob, 1, 1, wait("a", 60_000)), "2 1.1 queued a at 1");
    assert_eq!(
        world.ask(ann, 4, release("a", 1)),
        "1 4.0 released a + 2 1.1 granted a #2 for 1.0 s",
        "what is left of bob's lease is less than three polls"
    );
    // The same hello is the same session.
    world.send(peer(1), &hello("ann", 1));
    assert_eq!(world.said(), ["1 0.0 welcome"]);
    assert_eq!(world.server.state().sessions().len(), 2);
}

/// "Nothing was done" is no answer to a copy of what was done, and stored, before the disk failed.
#[test]
fn a_copy_is_not_told_of_a_disk_that_failed_after_the_request_was_done() {
    let mut world = World::new();
    let (ann, bob, eve) = (world.open(1, "ann"), world.open(2, "bob"), world.open(3, "eve"));
    world.ask(eve, 1, Operation::Close);
    world.ask(ann, 1, acquire("a"));
    world.ask(ann, 2, append("a", 1, "x"));
    world.ask(bob, 1, wait("a", 60_000));
    let said = world.ask_in_vain(&[
        (ann, 3, 0, append("a", 1, "y")),
        (ann, 2, 1, append("a", 1, "x")),
        (bob, 1, 1, wait("a", 60_000)),
        (eve, 2, 0, append("a", 1, "z")),
    ]);
    assert_eq!(said, ["1 3.0 storage_failed"]);
    assert_eq!(world.ask_again(ann, 2, 2, append("a", 1, "x")), "1 2.2 appended a 0+1");
    assert_eq!(world.ask_again(bob, 1, 2, wait("a", 60_000)), "2 1.2 queued a at 1");
    assert_eq!(world.ask_again(ann, 3, 1, append("a", 1, "y")), "1 3.1 storage_failed");
    let said = world.ask(ann, 4, release("a", 1));
    assert_eq!(said, "1 4.0 released a + 2 1.2 granted a #2 for 1.5 s");
}

#[test]
fn what_became_of_an_append_can_be_asked_after_the_session_is_gone() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    world.ask(ann, 1, acquire("a"));
    world.ask(ann, 2, append("a", 1, "A"));
    let of = |seq| Operation::AppendOutcome { of: Seq::new(seq) };
    assert_eq!(world.ask(ann, 3, of(2)), "1 3.0 applied a 0+1");
    assert_eq!(world.ask(ann, 4, of(9)), "1 4.0 forgotten", "it can still arrive");
    world.ask(ann, 5, append("a", 7, "never"));
    assert_eq!(world.ask(ann, 6, of(5)), "1 6.0 not_applied", "it was refused");
    world.pass(millis(5_000));
    for _ in 0..2 {
        assert_eq!(world.ask(ann, 7, of(2)), "1 7.0 applied a 0+1");
        assert_eq!(world.ask(ann, 8, of(9)), "1 8.0 not_applied");
        world.crash();
    }
}

#[test]
fn an_append_that_was_forgotten_is_not_called_unapplied() {
    let mut world = World::new();
    let ann = world.open(1, "ann");
    world.ask(ann, 1, acquire("a"));
    for seq in 2..=1_026 {
        assert!(world.ask(ann, seq, append("a", 1, "x")).contains("appended"));
    }
    let of = |seq| Operation::AppendOutcome { of: Seq::new(seq) };
    assert_eq!(world.ask(ann, 2_000, of(2)), "1 2000.0 forgotten");
    assert_eq!(world.ask(ann, 2_001, of(3)), "1 2001.0 applied a 1+1");
    assert_eq!(world.ask(ann, 2, append("a", 1, "x")), "1 2.0 stale_seq");
}

#[test]
fn a_bound_that_is_reached_is_told() {
    let bounds =
        Bounds { sessions_max: 2, locks_max: 1, waiters_max: 1, files_max: 1, file_len_max: 3 };
    let mut world = World::with(Config { bounds, ..Config::default() });
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.send(peer(3), &hello("cid", 3));
    assert_eq!(world.said(), ["3 0.0 overloaded"]);
    world.ask(ann, 1, acquire("a"));
    assert_eq!(world.ask(ann, 2, acquire("b")), "1 2.0 overloaded");
    world.ask(bob, 1, wait("a", 9_000));
    assert_eq!(world.ask(ann, 3, append("a", 1, "four")), "1 3.0 too_large");
    assert_eq!(world.ask(ann, 4, append("a", 1, "3  ")), "1 4.0 appended a 0+3");
    world.ask(ann, 5, release("a", 1));
    world.ask(bob, 2, release("a", 2));
    assert_eq!(world.ask(bob, 3, acquire("b")), "2 3.0 granted b #3 for 5.0 s");
    assert_eq!(world.ask(bob, 4, append("b", 3, "x")), "2 4.0 overloaded", "a second file");
}

#[test]
fn a_stranger_has_to_show_that_it_can_be_reached() {
    let cookie_key = Some(Key::new(b"server"));
    let mut world = World::with(Config { cookie_key, ..Config::default() });
    let mut request = hello("ann", 1);
    world.send(peer(1), &request);
    let sent = std::mem::take(&mut world.sent);
    let [datagram] = sent.as_slice() else { panic!("{sent:?}") };
    let leasehold_core::wire::Status::Retry { cookie: given } = datagram.reply.status else {
        panic!("{datagram:?}")
    };
    assert!(world.server.state().sessions().is_empty(), "nothing is remembered of a stranger");
    if let Operation::Hello { cookie, .. } = &mut request.operation {
        *cookie = Some(given);
    }
    world.send(peer(2), &request);
    assert_eq!(world.said(), ["2 0.0 retry"], "another's cookie");
    world.send(peer(1), &request);
    assert_eq!(world.said(), ["1 0.0 welcome"]);
}
