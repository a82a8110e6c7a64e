//! Crashes of clients and of the server, and network faults, at each step of a turn.

use std::thread;
use std::time::Duration;

use leasehold_tests::client::{
    LONG_LEASE_MS, RawClient, SHORT_LEASE_MS, expect_code, expect_status, number, token,
};
use leasehold_tests::client_process::ClientProcess;
use leasehold_tests::log::log;
use leasehold_tests::relay::{Direction, Relay, RuleHandle, op, status};
use leasehold_tests::server::Server;
use leasehold_tests::storm::{self, Fault, HARSH_NETWORK, MILD_NETWORK, Storm};
use leasehold_tests::wait::wait_for;
use serde_json::{Value, json};

/// How many lines the clients of a storm append before the server is killed again.
const LINES_BETWEEN_KILLS: usize = 4;

/// The requests of one turn, with the status of each reply.
const TURN: [(&str, &str); 6] = [
    ("hello", "welcome"),
    ("acquire_lock", "granted"),
    ("append_file", "appended"),
    ("heartbeat", "alive"),
    ("release_lock", "released"),
    ("close", "closed"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PacketFault {
    RequestLost,
    ReplyLost,
    RequestDuplicated,
    ReplyDuplicated,
}

impl PacketFault {
    const ALL: [Self; 4] =
        [Self::RequestLost, Self::ReplyLost, Self::RequestDuplicated, Self::ReplyDuplicated];

    fn inject(self, network: &Relay, request: &'static str, reply: &'static str) -> RuleHandle {
        match self {
            Self::RequestLost => network.drop_next(Direction::ToServer, op(request)),
            Self::ReplyLost => network.drop_next(Direction::ToClient, status(reply)),
            Self::RequestDuplicated => network.duplicate_next(Direction::ToServer, op(request)),
            Self::ReplyDuplicated => network.duplicate_next(Direction::ToClient, status(reply)),
        }
    }
}

#[test]
fn each_request_of_a_turn_survives_each_network_fault() {
    let server = Server::start();
    let mut expected = String::new();
    let mut last = None;
    for fault in PacketFault::ALL {
        for (request, reply) in TURN {
            let network = Relay::to(server.udp());
            let rule = fault.inject(&network, request, reply);
            let mut client = RawClient::connect("C1", network.address());
            let held = client.acquire("f");
            let line = format!("{fault:?} {request}\n");
            client.append_ok("f", held, &line);
            expect_status(&client.call("heartbeat", &json!({})), "alive");
            client.release("f", held);
            let closed = client.call("close", &json!({}));
            if (fault, request) == (PacketFault::ReplyLost, "close") {
                // The first request has closed the session, so the second one is refused.
                expect_code(&closed, "unknown_session");
            } else {
                expect_status(&closed, "closed");
                assert_eq!(closed["released"], 0, "{fault:?} {request}: no tenure is left");
            }
            assert_eq!(rule.match_count(), 1, "{fault:?} {request} was injected");
            let next = last.map_or(held, |last: u64| last + 1);
            assert_eq!(held, next, "{fault:?} {request}: one tenure for each turn");
            last = Some(held);
            expected.push_str(&line);
        }
    }
    server.data_dir().expect_contents("f", &expected);
}

#[test]
fn several_clients_succeed_although_packets_are_lost_duplicated_and_delayed() {
    let server = Server::start();
    let faults = vec![Fault::Nothing];
    let storm = Storm {
        seed: 1,
        clients: 5,
        turns: 4,
        lease_ms: LONG_LEASE_MS,
        conditions: HARSH_NETWORK,
        faults,
    };
    let outcomes = storm.run(server.udp(), "f");
    storm::check_file(&server.data_dir(), "f", &outcomes);
    assert_eq!(storm::applied_count(&outcomes), 20, "every turn of every client was acknowledged");
}

#[test]
fn after_a_client_is_killed_before_its_append_the_next_one_gets_the_lock() {
    let server = Server::start();
    let mut c1 = ClientProcess::start("C1", server.udp(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());
    c1.run("acquire f", "granted");
    let queued = c2.join_queue("f");
    c1.process().kill();
    let held = token(&c2.wait_while_queued(&queued));
    c2.append_ok("f", held, "B");
    server.data_dir().expect_contents("f", "B");
}

#[test]
fn after_a_client_is_killed_after_its_append_its_line_stays() {
    let server = Server::start();
    let mut c1 = ClientProcess::start("C1", server.udp(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());
    c1.run("acquire f", "granted");
    c1.run("append f A", "appended");
    let queued = c2.join_queue("f");
    c1.process().kill();
    let held = token(&c2.wait_while_queued(&queued));
    c2.append_ok("f", held, "B");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn a_hold_limit_ends_the_tenure_of_a_client_that_only_sends_heartbeats() {
    let server = Server::start();
    let mut c1 = RawClient::connect_with_lease("C1", server.udp(), SHORT_LEASE_MS);
    c1.start_heartbeats();
    let mut c2 = RawClient::connect("C2", server.udp());

    let granted = c1.call("acquire_lock", &json!({"lock": "f", "hold_ms": 700}));
    let stuck = token(&granted);
    c1.append_ok("f", stuck, "A");
    c2.append_under_lock("f", "B");
    expect_status(&c1.call("heartbeat", &json!({})), "alive");
    expect_code(&c1.append("f", stuck, "late"), "stale_token");
    c1.append_under_lock("f", "C");

    server.data_dir().expect_contents("f", "ABC");
}

#[test]
fn replies_lost_before_a_kill_are_repeated_unchanged_after_it() {
    let mut server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::new("C1", network.address());

    let hello = c1.hello_request(LONG_LEASE_MS);
    let welcome = hold_reply_and_kill(&mut c1, &mut server, &network, "welcome", &hello);
    c1.adopt_session(&welcome);
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    let granted = hold_reply_and_kill(&mut c1, &mut server, &network, "granted", &acquire);
    let held = token(&granted);
    for (offset, letter) in ["A", "B", "C"].into_iter().enumerate() {
        let append = c1.append_request("f", held, letter);
        let reply = hold_reply_and_kill(&mut c1, &mut server, &network, "appended", &append);
        assert_eq!(number(&reply, "offset"), offset as u64, "{reply}");
    }
    let release = c1.request("release_lock", &json!({"lock": "f", "token": held}));
    hold_reply_and_kill(&mut c1, &mut server, &network, "released", &release);

    assert_eq!(c1.acquire("f"), held + 1, "the repeated requests caused one tenure");
    server.data_dir().expect_contents("f", "ABC");
}

/// Sends a request, holds its reply, and kills and restarts the server. Returns the reply of the
/// restarted server, after a check that it equals the held one.
fn hold_reply_and_kill(
    client: &mut RawClient,
    server: &mut Server,
    network: &Relay,
    expected: &'static str,
    request: &Value,
) -> Value {
    let held = network.hold_next(Direction::ToClient, status(expected));
    client.send(request);
    held.wait_for_match();
    server.kill_and_restart();
    let mut retry = request.clone();
    retry["attempt"] = 1.into();
    let mut reply = client.exchange(&retry);
    held.release();
    let mut held_reply = client.reply(request);
    expect_status(&held_reply, expected);
    for reply in [&mut reply, &mut held_reply] {
        // These are computed for each reply: the rest of the lease, and the last attempt.
        let fields = reply.as_object_mut().unwrap();
        fields.remove("attempt");
        if expected == "granted" {
            fields.remove("lease_ms");
        }
    }
    assert_eq!(reply, held_reply, "the same reply");
    reply
}

#[test]
fn a_server_that_is_killed_twenty_times_loses_nothing() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut expected = String::new();
    let mut held = None;
    for round in 1..=20 {
        // Every second kill happens while the lock is held.
        let current = held.take().unwrap_or_else(|| c1.acquire("f"));
        let line = format!("{round}\n");
        c1.append_ok("f", current, &line);
        expected.push_str(&line);
        if round % 2 == 0 {
            c1.release("f", current);
        } else {
            held = Some(current);
        }
        server.kill_and_restart();
    }
    server.data_dir().expect_contents("f", &expected);
}

#[test]
fn a_server_that_is_killed_during_a_storm_loses_no_acknowledged_append() {
    let mut server = Server::start();
    let faults = vec![Fault::Nothing, Fault::LostReply, Fault::DuplicatedPackets];
    let storm = Storm {
        seed: 2,
        clients: 6,
        turns: 12,
        lease_ms: LONG_LEASE_MS,
        conditions: MILD_NETWORK,
        faults,
    };
    let address = server.udp();
    let outcomes = thread::scope(|scope| {
        let running = scope.spawn(|| storm.run(address, "f"));
        let (mut kills, mut lines) = (0, 0);
        while !running.is_finished() {
            let progress = wait_for("more lines or the end of the storm", || {
                let now = server.data_dir().contents("f").lines().count();
                (now >= lines + LINES_BETWEEN_KILLS || running.is_finished()).then_some(now)
            });
            lines = progress;
            server.kill_and_restart();
            kills += 1;
        }
        log("server", format_args!("killed {kills} times"));
        assert!(kills > 3, "the storm ended after {kills} kills");
        running.join().unwrap()
    });
    storm::check_file(&server.data_dir(), "f", &outcomes);
    assert_eq!(storm::applied_count(&outcomes), 6 * 12, "every turn was acknowledged");
}

#[test]
fn a_copy_that_arrives_after_a_kill_is_not_executed_again() {
    let mut server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let refused = c2.acquire("f");
    let acquire_copy = network.copy_next(Direction::ToServer, op("acquire_lock"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    expect_code(&c1.exchange(&acquire), "lock_held");
    c2.release("f", refused);
    let append_copy = network.copy_next(Direction::ToServer, op("append_file"));
    let held = c1.acquire("g");
    let append = c1.append_request("g", held, "A");
    expect_status(&c1.exchange(&append), "appended");

    server.kill_and_restart();
    acquire_copy.release();
    append_copy.release();
    expect_code(&c1.reply(&acquire), "lock_held");
    let reply = c1.reply(&append);
    expect_status(&reply, "appended");
    assert_eq!(number(&reply, "offset"), 0, "{reply}");

    let next = c2.acquire("f");
    c2.append_ok("f", next, "B");
    server.data_dir().expect_contents("f", "B");
    server.data_dir().expect_contents("g", "A");
}

#[test]
fn leases_restart_after_a_long_outage() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect_with_lease("C1", server.udp(), SHORT_LEASE_MS);
    let held = c1.acquire("f");
    c1.append_ok("f", held, "A");
    server.kill();
    // The outage outlasts the lease, which is the scenario.
    thread::sleep(c1.lease() + Duration::from_millis(300));
    server.restart();
    c1.append_ok("f", held, "A");
    server.data_dir().expect_contents("f", "AA");
}

#[test]
fn the_wait_queue_survives_a_kill() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    let mut queue = Vec::new();
    for name in ["C2", "C3", "C4"] {
        let mut client = RawClient::connect(name, server.udp());
        let request = client.join_queue("f");
        queue.push((name, client, request));
    }
    server.kill_and_restart();
    for (_, client, request) in &mut queue {
        // A waiter is granted the lock only if it has polled recently.
        expect_status(&client.exchange(request), "queued");
    }
    let turns: Vec<_> = queue
        .into_iter()
        .map(|(name, mut client, request)| {
            thread::spawn(move || {
                let held = token(&client.wait_while_queued(&request));
                client.append_ok("f", held, name);
                client.release("f", held);
            })
        })
        .collect();
    c1.release("f", held);
    turns.into_iter().for_each(|turn| turn.join().unwrap());
    server.data_dir().expect_contents("f", "C2C3C4");
}

#[test]
fn a_graceful_shutdown_keeps_sessions_and_tenures() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    c1.append_ok("f", held, "A");
    assert_eq!(server.terminate().code(), Some(0));
    server.data_dir().expect_contents("f", "A");
    server.restart();
    c1.append_ok("f", held, "B");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn a_paused_server_executes_a_repeated_append_once() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    server.process().pause();
    let append = c1.append_request("f", held, "A");
    for attempt in 0..5 {
        let mut retry = append.clone();
        retry["attempt"] = attempt.into();
        c1.send(&retry);
    }
    server.process().resume();
    (0..5).for_each(|_| expect_status(&c1.reply(&append), "appended"));
    assert!(c1.replies_before_heartbeat(&append).is_empty(), "one reply for each attempt");
    server.data_dir().expect_contents("f", "A");
}
