//! Mistakes that other lock services have made, each looked for in this one.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use leasehold_tests::client::{POLL, RawClient, SHORT, expect_code, expect_status, number, token};
use leasehold_tests::command::leasehold;
use leasehold_tests::http;
use leasehold_tests::log::{PATIENCE, tell, wait_for};
use leasehold_tests::process::{Process, is_alive};
use leasehold_tests::relay::{Relay, Way, op, status};
use leasehold_tests::server::Server;
use serde_json::json;
use tempfile::TempDir;

#[test]
fn an_acquire_sent_again_because_its_grant_was_late_is_one_tenure() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let late = network.hold_next(Way::Down, status("granted"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    let first = c1.insist(&acquire);
    late.release();
    let second = c1.reply(&acquire);
    let held = token(&first);
    assert_eq!(token(&second), held, "two grants to one request");
    c1.write("f", held, "A");
    c1.release("f", held);
    // A second tenure, granted to the same client by mistake, would still stand here.
    let next = c2.acquire("f");
    assert_eq!(next, held + 1);
    c2.write("f", next, "B");
    server.data().expect("f", "AB");
}

#[test]
fn a_waiter_whose_session_died_is_never_granted() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect_for("C2", server.udp(), SHORT);
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let dead = c2.stand_in_line("f");
    let queued = c3.stand_in_line("f");
    let knows_c2 = || http::get(server.http(), "/api/state").text().contains("\"C2\"");
    assert!(knows_c2(), "a session that is alive is shown");
    // Gone is seen, not guessed: the server no longer knows a session that has sent nothing.
    wait_for("C2's session to end", || (!knows_c2()).then_some(()));
    c1.release("f", first);
    let next = token(&c3.wait_out(&queued));
    assert_eq!(next, first + 1, "nobody was granted in between");
    expect_code(&c2.insist(&dead), "unknown_session");
    c3.write("f", next, "C");
    server.data().expect("f", "C");
}

#[test]
fn the_head_of_the_line_killed_delays_the_next_grant_by_at_most_three_polls() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let head = c2.stand_in_line("f");
    let queued = c3.stand_in_line("f");
    // C2 was heard from just now, so it is granted, and never says a word again: its lease, of a
    // minute, would hold everybody up.
    c1.release("f", first);
    let freed = Instant::now();
    let next = token(&c3.wait_out(&queued));
    let waited = freed.elapsed();
    tell("C3", format_args!("waited for {waited:?}"));
    // Three polls, one more until C3 asks again, and 3 s for a slow machine; far below a lease.
    assert!(waited < 4 * POLL + Duration::from_secs(3), "C3 waited for {waited:?}");
    assert_eq!(token(&c2.reply(&head)), first + 1, "C2 had its chance");
    expect_code(&c2.append("f", first + 1, "late"), "stale_token");
    c3.write("f", next, "C");
    server.data().expect("f", "C");
}

#[test]
fn a_waiter_gone_silent_is_passed_over_and_keeps_its_place() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let silent = c2.stand_in_line("f");
    // Three polls, and a bit: nothing was heard of C2 meanwhile, which may have died.
    thread::sleep(3 * POLL + Duration::from_millis(200));
    let queued = c3.stand_in_line("f");
    c1.release("f", first);
    let second = token(&c3.reply(&queued));
    assert_eq!(second, first + 1, "C2 was not granted before");
    let polled = c2.insist(&silent);
    expect_status(&polled, "queued");
    assert_eq!(polled["position"], 1, "{polled}");
    let mut c4 = RawClient::connect("C4", server.udp());
    c4.stand_in_line("f");
    c2.insist(&silent);
    c3.write("f", second, "C");
    c3.release("f", second);
    let third = token(&c2.wait_out(&silent));
    assert_eq!(third, second + 1, "its place was before that of C4");
    c2.write("f", third, "B");
    server.data().expect("f", "CB");
}

#[test]
fn a_waiter_that_is_heard_from_keeps_its_grant_for_its_whole_lease() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let head = c2.stand_in_line("f");
    let queued = c3.stand_in_line("f");
    c1.release("f", first);
    let held = token(&c2.wait_out(&head));
    expect_status(&c2.ask("heartbeat", &json!({})), "alive");
    // Well past three polls, through which C3 keeps asking.
    let polling = thread::spawn(move || {
        let next = token(&c3.wait_out(&queued));
        c3.write("f", next, "C");
    });
    thread::sleep(5 * POLL);
    c2.write("f", held, "B");
    c2.release("f", held);
    polling.join().unwrap();
    server.data().expect("f", "BC");
}

#[test]
fn a_wait_cancelled_while_its_grant_is_on_its_way_leaves_no_orphan() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", network.address());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let queued = c2.stand_in_line("f");
    let grant = network.hold_next(Way::Down, status("granted"));
    c1.release("f", first);
    grant.wait();
    let answer = c2.ask("cancel_acquire", &json!({"lock": "f"}));
    expect_code(&answer, "already_held");
    let held = number(&answer, "token");
    c2.release("f", held);
    grant.release();
    assert_eq!(token(&c2.reply(&queued)), held, "the grant that came too late");

    let next = c3.acquire("f");
    expect_code(&c2.append("f", held, "late"), "stale_token");
    c3.write("f", next, "C");
    server.data().expect("f", "C");
}

#[test]
fn a_cancelled_wait_is_not_revived_by_a_late_copy_of_its_request() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", network.address());

    let first = c1.acquire("f");
    let copy = network.copy_next(Way::Up, op("acquire_lock"));
    let queued = c2.stand_in_line("f");
    expect_status(&c2.ask("cancel_acquire", &json!({"lock": "f"})), "cancelled");
    expect_code(&c2.ask("cancel_acquire", &json!({"lock": "f"})), "not_waiting");
    // Whoever cancels, or is told so, has no further answer to that request.
    while c2.reply_within(&queued, Duration::from_millis(200)).is_some() {}
    copy.release();
    if let Some(reply) = c2.reply_within(&queued, Duration::from_secs(1)) {
        assert!(reply["status"] != "queued" && reply["status"] != "granted", "{reply}");
    }
    c1.release("f", first);
    let second = c1.acquire("f");
    assert_eq!(second, first + 1, "C2 was granted nothing");
    c1.write("f", second, "A");
    server.data().expect("f", "A");
}

#[test]
fn late_copies_of_a_heartbeat_keep_no_dead_client_alive() {
    let server = Server::start();
    let mut c1 = RawClient::connect_for("C1", server.udp(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    c1.write("f", held, "A");
    let beat = c1.request("heartbeat", &json!({}));
    let queued = c2.stand_in_line("f");
    let next = thread::scope(|scope| {
        let waiting = scope.spawn(|| token(&c2.wait_out(&queued)));
        // Some with a new attempt, some to the bit the same. If one of them counted, C2 would
        // wait for a minute, and this test fail.
        for copy in 0.. {
            let mut beat = beat.clone();
            beat["attempt"] = (copy / 2).into();
            c1.send(&beat);
            thread::sleep(Duration::from_millis(100));
            if waiting.is_finished() {
                break;
            }
        }
        waiting.join().unwrap()
    });
    c2.write("f", next, "B");
    expect_code(&c1.ask("heartbeat", &json!({})), "unknown_session");
    server.data().expect("f", "AB");
}

#[test]
fn a_long_wait_outlives_hundreds_of_heartbeats() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    let first = c1.acquire("f");
    let queued = c2.stand_in_line("f");
    for _ in 0..300 {
        expect_status(&c2.ask("heartbeat", &json!({})), "alive");
    }
    expect_status(&c2.insist(&queued), "queued");
    c1.release("f", first);
    let held = token(&c2.wait_out(&queued));
    c2.write("f", held, "B");
    server.data().expect("f", "B");
}

#[test]
fn requests_of_another_session_under_a_known_token_are_refused() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    expect_code(&c2.append("f", held, "stolen"), "not_holder");
    let release = c2.ask("release_lock", &json!({"lock": "f", "token": held}));
    expect_code(&release, "not_holder");
    // The same lock in one session is no recursion; the second request is told of the first.
    let again = c1.ask("acquire_lock", &json!({"lock": "f"}));
    expect_code(&again, "already_held");
    assert_eq!(number(&again, "token"), held);
    // Another lock's token opens nothing.
    let other = c2.acquire("g");
    expect_code(&c1.append("f", other, "wrong"), "stale_token");
    c1.write("f", held, "A");
    server.data().expect("f", "A");
    server.data().expect("g", "");
}

#[test]
fn what_became_of_an_append_can_be_learnt_after_the_session_is_gone() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());

    let held = c1.acquire("f");
    let lost_reply = network.drop_next(Way::Down, status("appended"));
    let done = c1.append_request("f", held, "A");
    c1.send(&done);
    lost_reply.wait();
    let late = network.hold_next(Way::Up, op("append_file"));
    let undone = c1.append_request("f", held, "B");
    c1.send(&undone);
    late.wait();
    expect_status(&c1.ask("close", &json!({})), "closed");

    let outcome = |c1: &mut RawClient, seq: &serde_json::Value| {
        let request = json!({"session": done["session"], "of": seq});
        c1.ask("append_outcome", &request)
    };
    let applied = outcome(&mut c1, &done["seq"]);
    expect_status(&applied, "applied");
    assert_eq!((number(&applied, "offset"), number(&applied, "len")), (0, 1), "{applied}");
    expect_status(&outcome(&mut c1, &undone["seq"]), "not_applied");
    late.release();
    expect_code(&c1.reply(&undone), "stale_token");
    server.data().expect("f", "A");
}

/// The program's own client: by the time anybody else is granted the lock, all that ran under it
/// is dead.
#[test]
fn a_command_that_lost_its_lock_is_dead_before_the_next_holder_is_granted() {
    let server = Server::start_with(&["--lease-ms", "2000"]);
    let network = Relay::to(server.udp());
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    // A child of the command, which ignores the polite signal, and the command itself.
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait",
        pids = pids.display()
    );
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.args(["lock", "f", "--", "sh", "-c", &script]);
    let mut holder = Process::start("holder", &mut command);
    let running: Vec<i32> = wait_for("the command to run", || {
        let text = fs::read_to_string(&pids).ok()?;
        let pids: Vec<i32> = text.lines().map_while(|line| line.parse().ok()).collect();
        (pids.len() == 2 && text.ends_with('\n')).then_some(pids)
    });

    let mut c2 = RawClient::connect("C2", server.udp());
    let queued = c2.stand_in_line("f");
    network.cut_both_ways();
    let next = token(&c2.wait_out(&queued));
    for pid in running {
        assert!(!is_alive(pid), "process {pid} still ran when the lock was granted to C2");
    }
    c2.write("f", next, "B");
    let status = holder.ended_within(PATIENCE).expect("the holder ends");
    assert_eq!(status.code(), Some(75), "lost the lock");
    server.data().expect("f", "B");
}
