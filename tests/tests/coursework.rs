//! The crash tests of the coursework that this project began as, one test for each case, with
//! faults that really happen between real processes.
//!
//! C1 appends `A`, C2 appends `B`; the letters in the file are the expected result.

use std::{env, thread};

use leasehold_tests::client::{LONG, RawClient, SHORT, expect_code, expect_status, number, token};
use leasehold_tests::client_process::Worker;
use leasehold_tests::log::tell;
use leasehold_tests::relay::{Relay, Way, op, status};
use leasehold_tests::rng::Rng;
use leasehold_tests::server::Server;
use leasehold_tests::storm::{self, MILD, Mishap, Storm};
use serde_json::json;

#[test]
fn network_failure_packet_delay() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect_for("C1", network.address(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());

    let first = c1.acquire("f");
    let delayed = network.hold_next(Way::Up, op("append_file"));
    let append = c1.append_request("f", first, "A");
    c1.send(&append);
    delayed.wait();
    let second = c2.turn("f", "B");
    delayed.release();

    let refusal = c1.reply(&append);
    expect_code(&refusal, "stale_token");
    assert_eq!(number(&refusal, "current"), 0, "the lock is free");
    c1.hello(LONG);
    let third = c1.turn("f", "A");
    assert!(first < second && second < third, "tokens {first}, {second}, {third}");
    server.data().expect("f", "BA");
}

#[test]
fn packet_drop_client_loss() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let lost = network.drop_next(Way::Up, op("acquire_lock"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    c1.send(&acquire);
    lost.wait();
    let first = c2.turn("f", "B");
    let mut again = acquire.clone();
    again["attempt"] = 1.into();
    let second = token(&c1.insist(&again));
    c1.write("f", second, "A");
    c1.release("f", second);

    assert_eq!(second, first + 1, "the lost request was granted nothing");
    server.data().expect("f", "BA");
}

#[test]
fn packet_drop_server_loss() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let lost = network.drop_next(Way::Down, status("granted"));
    let granted = c1.ask("acquire_lock", &json!({"lock": "f"}));
    assert_eq!(lost.count(), 1, "the first grant was lost");
    assert!(number(&granted, "attempt") >= 1, "a later attempt was answered: {granted}");
    let first = token(&granted);
    c1.write("f", first, "A");
    c1.release("f", first);
    let second = c2.turn("f", "B");

    assert_eq!(second, first + 1, "the grant that was lost and the next are one tenure");
    server.data().expect("f", "AB");
}

#[test]
fn duplicated_packets() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let copy = network.copy_next(Way::Up, op("release_lock"));
    let first = c1.acquire("f");
    c1.write("f", first, "A");
    let release = c1.request("release_lock", &json!({"lock": "f", "token": first}));
    expect_status(&c1.insist(&release), "released");
    let second = c2.acquire("f");
    c2.write("f", second, "B");
    copy.release();
    expect_status(&c1.reply(&release), "released");
    c2.write("f", second, "B");
    c2.release("f", second);
    c1.turn("f", "A");

    server.data().expect("f", "ABBA");
}

#[test]
fn combined_failures() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    c1.write("f", held, "1");
    let lost = network.drop_next(Way::Down, status("appended"));
    let append = c1.append_request("f", held, "A");
    c1.send(&append);
    lost.wait();
    let doubled = network.duplicate_next(Way::Up, op("append_file"));
    let mut again = append.clone();
    again["attempt"] = 1.into();
    c1.send(&again);
    let [one, other] = [c1.reply(&append), c1.reply(&append)];
    assert_eq!(doubled.count(), 1);
    for reply in [one, other] {
        expect_status(&reply, "appended");
        assert_eq!((number(&reply, "offset"), number(&reply, "len")), (1, 1), "{reply}");
    }
    c1.release("f", held);
    c2.turn("f", "B");

    server.data().expect("f", "1AB");
}

#[test]
fn client_failure_stall_before_edit() {
    let server = Server::start();
    let mut c1 = Worker::start("C1", server.udp(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.expect("acquire f", "granted");
    c1.process().pause();
    c2.turn("f", "B");
    c1.process().resume();
    c1.expect("append f A", "stale_token");
    c1.expect("hello", "welcome");
    c1.expect("acquire f", "granted");
    c1.expect("append f A", "appended");

    server.data().expect("f", "BA");
}

#[test]
fn client_failure_stall_after_edit() {
    let server = Server::start();
    let mut c1 = Worker::start("C1", server.udp(), SHORT);
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.expect("acquire f", "granted");
    c1.expect("append f A", "appended");
    c1.process().pause();
    c2.turn("f", "B");
    c1.process().resume();
    c1.expect("append f A", "stale_token");
    server.data().expect("f", "AB");
    c1.expect("hello", "welcome");
    c1.expect("acquire f", "granted");
    c1.expect("append f A", "appended");

    server.data().expect("f", "ABA");
}

#[test]
fn single_server_failure_lock_free() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());

    let first = c1.turn("f", "A");
    server.kill_and_start_again();
    server.data().expect("f", "A");
    let second = c1.turn("f", "A");

    assert!(second > first, "token {second} after {first}");
    server.data().expect("f", "AA");
}

#[test]
fn single_server_failure_lock_held() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.turn("f", "A");
    let held = c2.acquire("f");
    c2.write("f", held, "B");
    server.kill_and_start_again();
    expect_code(&c1.ask("acquire_lock", &json!({"lock": "f"})), "lock_held");
    c2.write("f", held, "B");
    c2.release("f", held);
    let next = c1.turn("f", "A");

    assert!(next > held, "token {next} after {held}");
    server.data().expect("f", "ABBA");
}

/// `LEASEHOLD_STORM=7` runs the seed 7 only.
#[test]
fn randomised() {
    let seeds: Vec<u64> = match env::var("LEASEHOLD_STORM") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..20).collect(),
    };
    thread::scope(|scope| {
        for some in seeds.chunks(seeds.len().div_ceil(10)) {
            scope.spawn(move || some.iter().for_each(|&seed| randomised_run(seed)));
        }
    });
}

fn randomised_run(seed: u64) {
    tell("storm", format_args!("again: LEASEHOLD_STORM={seed} cargo test randomised"));
    let server = Server::start();
    let clients = 5 + Rng::new(seed).below(6);
    let mishaps = Mishap::ALL.to_vec();
    let storm = Storm { seed, clients, turns: 3, lease_ms: 500, weather: MILD, mishaps };
    let accounts = storm.blow(server.udp(), "f");
    storm::check(&server.data(), "f", &accounts);
    assert!(storm::applied(&accounts) > 0, "seed {seed}: nothing was appended");
}
