//! Faults of the network, of clients and of the server, at every place where they could do harm.

use std::thread;
use std::time::Duration;

use leasehold_tests::client::{LONG, RawClient, SHORT, expect_code, expect_status, number, token};
use leasehold_tests::client_process::Worker;
use leasehold_tests::relay::{Caught, Relay, Way, op, status};
use leasehold_tests::server::Server;
use leasehold_tests::storm::{self, HEAVY, MILD, Mishap, Storm};
use serde_json::{Value, json};

/// What one turn asks for, and how it is answered.
const TURN: [(&str, &str); 6] = [
    ("hello", "welcome"),
    ("acquire_lock", "granted"),
    ("append_file", "appended"),
    ("heartbeat", "alive"),
    ("release_lock", "released"),
    ("close", "closed"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    RequestLost,
    ReplyLost,
    RequestDoubled,
    ReplyDoubled,
}

impl Fault {
    const ALL: [Self; 4] =
        [Self::RequestLost, Self::ReplyLost, Self::RequestDoubled, Self::ReplyDoubled];

    fn strike(self, network: &Relay, request: &'static str, reply: &'static str) -> Caught {
        match self {
            Self::RequestLost => network.drop_next(Way::Up, op(request)),
            Self::ReplyLost => network.drop_next(Way::Down, status(reply)),
            Self::RequestDoubled => network.duplicate_next(Way::Up, op(request)),
            Self::ReplyDoubled => network.duplicate_next(Way::Down, status(reply)),
        }
    }
}

#[test]
fn each_request_of_a_turn_survives_each_fault_of_the_network() {
    let server = Server::start();
    let mut expected = String::new();
    let mut last = None;
    for fault in Fault::ALL {
        for (request, reply) in TURN {
            let network = Relay::to(server.udp());
            let caught = fault.strike(&network, request, reply);
            let mut client = RawClient::connect("C1", network.address());
            let held = client.acquire("f");
            let line = format!("{fault:?} {request}\n");
            client.write("f", held, &line);
            expect_status(&client.ask("heartbeat", &json!({})), "alive");
            client.release("f", held);
            let closed = client.ask("close", &json!({}));
            if (fault, request) == (Fault::ReplyLost, "close") {
                // What is closed is unknown from then on, so that is what the second one hears.
                expect_code(&closed, "unknown_session");
            } else {
                expect_status(&closed, "closed");
                assert_eq!(closed["released"], 0, "{fault:?} {request}: a tenure was left over");
            }
            assert_eq!(caught.count(), 1, "{fault:?} {request} happened");
            let next = last.map_or(held, |last: u64| last + 1);
            assert_eq!(held, next, "{fault:?} {request}: one tenure each");
            last = Some(held);
            expected.push_str(&line);
        }
    }
    server.data().expect("f", &expected);
}

#[test]
fn several_clients_at_once_get_through_loss_doubles_and_delays() {
    let server = Server::start();
    let mishaps = vec![Mishap::Nothing];
    let storm = Storm { seed: 1, clients: 5, turns: 4, lease_ms: LONG, weather: HEAVY, mishaps };
    let accounts = storm.blow(server.udp(), "f");
    storm::check(&server.data(), "f", &accounts);
    assert_eq!(storm::applied(&accounts), 20, "every turn of every client was acknowledged");
}

#[test]
fn a_client_killed_before_its_append_leaves_the_lock_to_the_next() {
    let server = Server::start();
    let mut c1 = Worker::start("C1", server.udp(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());
    c1.expect("acquire f", "granted");
    let queued = c2.stand_in_line("f");
    c1.process().kill();
    let held = token(&c2.wait_out(&queued));
    c2.write("f", held, "B");
    server.data().expect("f", "B");
}

#[test]
fn a_client_killed_after_its_append_leaves_what_it_wrote() {
    let server = Server::start();
    let mut c1 = Worker::start("C1", server.udp(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());
    c1.expect("acquire f", "granted");
    c1.expect("append f A", "appended");
    let queued = c2.stand_in_line("f");
    c1.process().kill();
    let held = token(&c2.wait_out(&queued));
    c2.write("f", held, "B");
    server.data().expect("f", "AB");
}

#[test]
fn a_stuck_client_whose_heart_beats_loses_the_lock_when_its_hold_ends() {
    let server = Server::start();
    let mut c1 = RawClient::connect_for("C1", server.udp(), SHORT);
    c1.beat();
    let mut c2 = RawClient::connect("C2", server.udp());

    let granted = c1.ask("acquire_lock", &json!({"lock": "f", "hold_ms": 700}));
    let stuck = token(&granted);
    c1.write("f", stuck, "A");
    c2.turn("f", "B");
    expect_status(&c1.ask("heartbeat", &json!({})), "alive");
    expect_code(&c1.append("f", stuck, "late"), "stale_token");
    c1.turn("f", "C");

    server.data().expect("f", "ABC");
}

#[test]
fn what_was_promised_before_a_kill_is_repeated_word_for_word_after_it() {
    let mut server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::new("C1", network.address());

    let hello = c1.hello_request(LONG);
    let welcome = lose_the_reply_and_kill(&mut c1, &mut server, &network, "welcome", &hello);
    c1.adopt(&welcome);
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    let granted = lose_the_reply_and_kill(&mut c1, &mut server, &network, "granted", &acquire);
    let held = token(&granted);
    for (offset, letter) in ["A", "B", "C"].into_iter().enumerate() {
        let append = c1.append_request("f", held, letter);
        let reply = lose_the_reply_and_kill(&mut c1, &mut server, &network, "appended", &append);
        assert_eq!(number(&reply, "offset"), offset as u64, "{reply}");
    }
    let release = c1.request("release_lock", &json!({"lock": "f", "token": held}));
    lose_the_reply_and_kill(&mut c1, &mut server, &network, "released", &release);

    assert_eq!(c1.acquire("f"), held + 1, "there was one tenure, however often it was asked for");
    server.data().expect("f", "ABC");
}

/// The request is executed and its reply, being on its way, lost; the server is killed. What the
/// next server says must be what was lost.
fn lose_the_reply_and_kill(
    client: &mut RawClient,
    server: &mut Server,
    network: &Relay,
    expected: &'static str,
    request: &Value,
) -> Value {
    let held = network.hold_next(Way::Down, status(expected));
    client.send(request);
    held.wait();
    server.kill_and_start_again();
    let mut again = request.clone();
    again["attempt"] = 1.into();
    let mut reply = client.insist(&again);
    held.release();
    let mut lost = client.reply(request);
    expect_status(&lost, expected);
    for reply in [&mut reply, &mut lost] {
        // What is left of a lease, and which attempt was seen, are looked at anew each time.
        let fields = reply.as_object_mut().unwrap();
        fields.remove("attempt");
        if expected == "granted" {
            fields.remove("lease_ms");
        }
    }
    assert_eq!(reply, lost, "the same promise");
    reply
}

#[test]
fn a_server_killed_twenty_times_in_a_row_forgets_nothing() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut expected = String::new();
    let mut held = None;
    for round in 1..=20 {
        // Every other kill finds the lock held.
        let now = held.take().unwrap_or_else(|| c1.acquire("f"));
        let line = format!("{round}\n");
        c1.write("f", now, &line);
        expected.push_str(&line);
        if round % 2 == 0 {
            c1.release("f", now);
        } else {
            held = Some(now);
        }
        server.kill_and_start_again();
    }
    server.data().expect("f", &expected);
}

#[test]
fn a_server_killed_in_the_middle_of_a_storm_of_appends_keeps_every_promise() {
    let mut server = Server::start();
    let mishaps = vec![Mishap::Nothing, Mishap::LostReply, Mishap::Duplicates];
    let storm = Storm { seed: 2, clients: 6, turns: 12, lease_ms: LONG, weather: MILD, mishaps };
    let address = server.udp();
    let accounts = thread::scope(|scope| {
        let blowing = scope.spawn(|| storm.blow(address, "f"));
        let mut kills = 0;
        while !blowing.is_finished() {
            thread::sleep(Duration::from_millis(300));
            server.kill_and_start_again();
            kills += 1;
        }
        assert!(kills > 3, "the storm was over after {kills} kills");
        blowing.join().unwrap()
    });
    storm::check(&server.data(), "f", &accounts);
    assert_eq!(storm::applied(&accounts), 6 * 12, "every turn was acknowledged in the end");
}

#[test]
fn a_copy_that_the_network_held_back_over_a_kill_is_not_executed_again() {
    let mut server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let refused = c2.acquire("f");
    let acquire_copy = network.copy_next(Way::Up, op("acquire_lock"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    expect_code(&c1.insist(&acquire), "lock_held");
    c2.release("f", refused);
    let append_copy = network.copy_next(Way::Up, op("append_file"));
    let held = c1.acquire("g");
    let append = c1.append_request("g", held, "A");
    expect_status(&c1.insist(&append), "appended");

    server.kill_and_start_again();
    acquire_copy.release();
    append_copy.release();
    expect_code(&c1.reply(&acquire), "lock_held");
    let reply = c1.reply(&append);
    expect_status(&reply, "appended");
    assert_eq!(number(&reply, "offset"), 0, "{reply}");

    let next = c2.acquire("f");
    c2.write("f", next, "B");
    server.data().expect("f", "B");
    server.data().expect("g", "A");
}

#[test]
fn leases_begin_anew_after_a_long_outage() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect_for("C1", server.udp(), SHORT);
    let held = c1.acquire("f");
    c1.write("f", held, "A");
    server.kill();
    thread::sleep(c1.lease() + Duration::from_millis(300));
    server.start_again();
    c1.write("f", held, "A");
    server.data().expect("f", "AA");
}

#[test]
fn who_stood_in_line_stands_there_after_a_kill() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    let mut line = Vec::new();
    for name in ["C2", "C3", "C4"] {
        let mut client = RawClient::connect(name, server.udp());
        let request = client.stand_in_line("f");
        line.push((name, client, request));
    }
    server.kill_and_start_again();
    let turns: Vec<_> = line
        .into_iter()
        .map(|(name, mut client, request)| {
            thread::spawn(move || {
                let held = token(&client.wait_out(&request));
                client.write("f", held, name);
                client.release("f", held);
            })
        })
        .collect();
    // Two polls: each of those who wait has been heard from.
    thread::sleep(Duration::from_secs(1));
    c1.release("f", held);
    turns.into_iter().for_each(|turn| turn.join().unwrap());
    server.data().expect("f", "C2C3C4");
}

#[test]
fn a_server_that_is_asked_to_end_does_so_cleanly_and_goes_on_where_it_was() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    c1.write("f", held, "A");
    assert_eq!(server.end().code(), Some(0));
    server.data().expect("f", "A");
    server.start_again();
    c1.write("f", held, "B");
    server.data().expect("f", "AB");
}

#[test]
fn a_stopped_server_goes_on_without_granting_anything_twice() {
    let server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let held = c1.acquire("f");
    server.process().pause();
    let append = c1.append_request("f", held, "A");
    for attempt in 0..5 {
        let mut again = append.clone();
        again["attempt"] = attempt.into();
        c1.send(&again);
    }
    server.process().resume();
    (0..5).for_each(|_| expect_status(&c1.reply(&append), "appended"));
    assert!(c1.reply_within(&append, Duration::from_millis(300)).is_none(), "one reply each");
    server.data().expect("f", "A");
}
