//! Bugs that other lock services have had, each with a test that this one does not have it.

use std::fs;
use std::thread;
use std::time::Duration;

use leasehold_tests::client::{
    POLL_INTERVAL, RawClient, SHORT_LEASE_MS, expect_code, expect_status, number, token,
};
use leasehold_tests::command::leasehold;
use leasehold_tests::event_stream::EventStream;
use leasehold_tests::http;
use leasehold_tests::process::{Process, is_alive};
use leasehold_tests::relay::{Direction, Relay, op, status};
use leasehold_tests::server::Server;
use leasehold_tests::wait::{WAIT_LIMIT, wait_for};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn an_acquire_that_is_retried_because_its_grant_is_late_is_one_tenure() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let late_grant = network.hold_next(Direction::ToClient, status("granted"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    let first = c1.exchange(&acquire);
    late_grant.release();
    let second = c1.reply(&acquire);
    let held = token(&first);
    assert_eq!(token(&second), held, "both replies are the same grant");
    c1.append_ok("f", held, "A");
    c1.release("f", held);
    // A second tenure, granted to C1 by mistake, would still hold the lock.
    let next = c2.acquire("f");
    assert_eq!(next, held + 1);
    c2.append_ok("f", next, "B");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn a_waiter_whose_session_has_expired_is_not_granted_the_lock() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect_with_lease("C2", server.udp(), SHORT_LEASE_MS);
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let expired = c2.join_queue("f");
    let queued = c3.join_queue("f");
    let knows_c2 = || http::get(server.http(), "/api/state").text().contains("\"C2\"");
    assert!(knows_c2(), "the server lists the session");
    wait_for("C2's session to expire", || (!knows_c2()).then_some(()));
    c1.release("f", first);
    let next = token(&c3.wait_while_queued(&queued));
    assert_eq!(next, first + 1, "no grant in between");
    expect_code(&c2.exchange(&expired), "unknown_session");
    c3.append_ok("f", next, "C");
    server.data_dir().expect_contents("f", "C");
}

#[test]
fn a_head_of_the_queue_that_stops_sending_loses_its_grant_before_its_lease_expires() {
    let server = Server::start();
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let head = c2.join_queue("f");
    let queued = c3.join_queue("f");
    // C2 has just polled, so it is granted the lock, but sends nothing afterwards.
    expect_status(&c2.exchange(&head), "queued");
    c1.release("f", first);
    let next = token(&c3.wait_while_queued(&queued));
    assert_eq!(stream.next_event_of_type("lock_released")["cause"], "released");
    assert_eq!(stream.next_event_of_type("lock_granted")["token"], first + 1);
    // Not C2's lease of a minute but the limit of three polls ended its tenure.
    assert_eq!(stream.next_event_of_type("lock_released")["cause"], "hold_expired");
    let replies = c2.replies_before_heartbeat(&head);
    assert_eq!(replies.iter().map(token).collect::<Vec<_>>(), [first + 1], "C2 was granted first");
    expect_code(&c2.append("f", first + 1, "late"), "stale_token");
    c3.append_ok("f", next, "C");
    server.data_dir().expect_contents("f", "C");
}

#[test]
fn a_waiter_that_stops_polling_is_skipped_and_keeps_its_position() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let silent = c2.join_queue("f");
    // C2 does not poll for three intervals, which is the scenario: it may have crashed.
    thread::sleep(3 * POLL_INTERVAL + Duration::from_millis(200));
    let queued = c3.join_queue("f");
    c1.release("f", first);
    let second = token(&c3.wait_while_queued(&queued));
    expect_status(&c3.call("heartbeat", &json!({})), "alive");
    assert_eq!(second, first + 1, "C2 was skipped");
    let polled = c2.exchange(&silent);
    expect_status(&polled, "queued");
    assert_eq!(polled["position"], 1, "{polled}");
    let mut c4 = RawClient::connect("C4", server.udp());
    c4.join_queue("f");
    c2.exchange(&silent);
    c3.append_ok("f", second, "C");
    c3.release("f", second);
    let third = token(&c2.wait_while_queued(&silent));
    assert_eq!(third, second + 1, "C2 was queued before C4");
    c2.append_ok("f", third, "B");
    server.data_dir().expect_contents("f", "CB");
}

#[test]
fn a_grant_that_the_client_has_confirmed_lasts_for_the_whole_lease() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let head = c2.join_queue("f");
    let queued = c3.join_queue("f");
    c1.release("f", first);
    let held = token(&c2.wait_while_queued(&head));
    expect_status(&c2.call("heartbeat", &json!({})), "alive");
    // C3 polls meanwhile.
    let polling = thread::spawn(move || {
        let next = token(&c3.wait_while_queued(&queued));
        c3.append_ok("f", next, "C");
    });
    // C2 holds the lock for longer than three intervals, which is the scenario.
    thread::sleep(5 * POLL_INTERVAL);
    c2.append_ok("f", held, "B");
    c2.release("f", held);
    polling.join().unwrap();
    server.data_dir().expect_contents("f", "BC");
}

#[test]
fn a_cancel_that_crosses_the_grant_reports_the_tenure() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", network.address());
    let mut c3 = RawClient::connect("C3", server.udp());

    let first = c1.acquire("f");
    let queued = c2.join_queue("f");
    let grant = network.hold_next(Direction::ToClient, status("granted"));
    c1.release("f", first);
    grant.wait_for_match();
    let answer = c2.call("cancel_acquire", &json!({"lock": "f"}));
    expect_code(&answer, "already_held");
    let held = number(&answer, "token");
    c2.release("f", held);
    grant.release();
    assert_eq!(token(&c2.reply(&queued)), held, "the late grant is of the tenure that has ended");

    let next = c3.acquire("f");
    expect_code(&c2.append("f", held, "late"), "stale_token");
    c3.append_ok("f", next, "C");
    server.data_dir().expect_contents("f", "C");
}

#[test]
fn a_late_copy_of_a_request_does_not_revive_a_cancelled_wait() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", network.address());

    let first = c1.acquire("f");
    let copy = network.copy_next(Direction::ToServer, op("acquire_lock"));
    let queued = c2.join_queue("f");
    expect_status(&c2.call("cancel_acquire", &json!({"lock": "f"})), "cancelled");
    expect_code(&c2.call("cancel_acquire", &json!({"lock": "f"})), "not_waiting");
    // The replies from before the late copy are of no interest.
    c2.replies_before_heartbeat(&queued);
    copy.release();
    for reply in c2.replies_before_heartbeat(&queued) {
        assert!(reply["status"] != "queued" && reply["status"] != "granted", "{reply}");
    }
    c1.release("f", first);
    let second = c1.acquire("f");
    assert_eq!(second, first + 1, "C2 was not granted the lock");
    c1.append_ok("f", second, "A");
    server.data_dir().expect_contents("f", "A");
}

#[test]
fn late_copies_of_a_heartbeat_do_not_extend_a_session() {
    let server = Server::start();
    let mut c1 = RawClient::connect_with_lease("C1", server.udp(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    c1.append_ok("f", held, "A");
    let heartbeat = c1.request("heartbeat", &json!({}));
    let queued = c2.join_queue("f");
    let next = thread::scope(|scope| {
        let waiting = scope.spawn(|| token(&c2.wait_while_queued(&queued)));
        // Each attempt is sent twice. If copies extended the session, C2 would not be granted the
        // lock. The sleep is the interval of the heartbeats.
        for copy in 0.. {
            let mut heartbeat = heartbeat.clone();
            heartbeat["attempt"] = (copy / 2).into();
            c1.send(&heartbeat);
            thread::sleep(Duration::from_millis(100));
            if waiting.is_finished() {
                break;
            }
        }
        waiting.join().unwrap()
    });
    c2.append_ok("f", next, "B");
    expect_code(&c1.call("heartbeat", &json!({})), "unknown_session");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn a_wait_survives_hundreds_of_heartbeats() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    let first = c1.acquire("f");
    let queued = c2.join_queue("f");
    for _ in 0..300 {
        expect_status(&c2.call("heartbeat", &json!({})), "alive");
    }
    expect_status(&c2.exchange(&queued), "queued");
    c1.release("f", first);
    let held = token(&c2.wait_while_queued(&queued));
    c2.append_ok("f", held, "B");
    server.data_dir().expect_contents("f", "B");
}

#[test]
fn a_token_of_another_session_is_refused() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    expect_code(&c2.append("f", held, "stolen"), "not_holder");
    let release = c2.call("release_lock", &json!({"lock": "f", "token": held}));
    expect_code(&release, "not_holder");
    // Locks are not recursive: a second request of the same session reports the first tenure.
    let again = c1.call("acquire_lock", &json!({"lock": "f"}));
    expect_code(&again, "already_held");
    assert_eq!(number(&again, "token"), held);
    // The token of another lock is refused too.
    let other = c2.acquire("g");
    expect_code(&c1.append("f", other, "wrong"), "stale_token");
    c1.append_ok("f", held, "A");
    server.data_dir().expect_contents("f", "A");
    server.data_dir().expect_contents("g", "");
}

#[test]
fn the_outcome_of_an_append_can_be_queried_after_its_session_is_closed() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());

    let held = c1.acquire("f");
    let lost_reply = network.drop_next(Direction::ToClient, status("appended"));
    let done = c1.append_request("f", held, "A");
    c1.send(&done);
    lost_reply.wait_for_match();
    let late = network.hold_next(Direction::ToServer, op("append_file"));
    let undone = c1.append_request("f", held, "B");
    c1.send(&undone);
    late.wait_for_match();
    expect_status(&c1.call("close", &json!({})), "closed");

    let outcome = |c1: &mut RawClient, seq: &serde_json::Value| {
        let request = json!({"session": done["session"], "of": seq});
        c1.call("append_outcome", &request)
    };
    let applied = outcome(&mut c1, &done["seq"]);
    expect_status(&applied, "applied");
    assert_eq!((number(&applied, "offset"), number(&applied, "len")), (0, 1), "{applied}");
    expect_status(&outcome(&mut c1, &undone["seq"]), "not_applied");
    late.release();
    expect_code(&c1.reply(&undone), "stale_token");
    server.data_dir().expect_contents("f", "A");
}

/// This tests the project's own client: when another client is granted the lock, no process of the
/// previous holder's command is running.
#[test]
fn a_command_that_loses_its_lock_is_killed_before_the_lock_is_granted_again() {
    let server = Server::start_with(&["--lease-ms", "2000"]);
    let network = Relay::to(server.udp());
    let directory = TempDir::new().unwrap();
    let pids = directory.path().join("pids");
    // The command and its child, which both ignore SIGTERM, write their process ids to a file.
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait",
        pids = pids.display()
    );
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.args(["lock", "f", "--", "sh", "-c", &script]);
    let mut holder = Process::start("holder", &mut command);
    let running: Vec<i32> = wait_for("the command to start", || {
        let text = fs::read_to_string(&pids).ok()?;
        let pids: Vec<i32> = text.lines().map_while(|line| line.parse().ok()).collect();
        (pids.len() == 2 && text.ends_with('\n')).then_some(pids)
    });

    let mut c2 = RawClient::connect("C2", server.udp());
    let queued = c2.join_queue("f");
    network.partition_both_ways();
    let next = token(&c2.wait_while_queued(&queued));
    for pid in running {
        assert!(!is_alive(pid), "process {pid} was running when C2 was granted the lock");
    }
    c2.append_ok("f", next, "B");
    let status = holder.wait_within(WAIT_LIMIT).expect("the holder exits");
    assert_eq!(status.code(), Some(75), "exit code for a lost lock");
    server.data_dir().expect_contents("f", "B");
}
