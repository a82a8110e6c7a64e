//! The crash tests that the coursework requires, one for each case, with real faults between real
//! processes.
//!
//! C1 appends `A`, C2 appends `B`; each test ends with the expected contents of the file.

use std::{env, thread};

use leasehold_tests::client::{
    LONG_LEASE_MS, RawClient, SHORT_LEASE_MS, expect_code, expect_status, number, token,
};
use leasehold_tests::client_process::ClientProcess;
use leasehold_tests::log::log;
use leasehold_tests::relay::{Direction, Relay, op, status};
use leasehold_tests::rng::Rng;
use leasehold_tests::server::Server;
use leasehold_tests::storm::{self, Fault, MILD_NETWORK, Storm};
use serde_json::json;

#[test]
fn network_failure_packet_delay() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect_with_lease("C1", network.address(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());

    let first = c1.acquire("f");
    let delayed = network.hold_next(Direction::ToServer, op("append_file"));
    let append = c1.append_request("f", first, "A");
    c1.send(&append);
    delayed.wait_for_match();
    let second = c2.append_under_lock("f", "B");
    delayed.release();

    let refusal = c1.reply(&append);
    expect_code(&refusal, "stale_token");
    assert_eq!(number(&refusal, "current"), 0, "the lock is free");
    c1.open_session(LONG_LEASE_MS);
    let third = c1.append_under_lock("f", "A");
    assert!(first < second && second < third, "tokens {first}, {second}, {third}");
    server.data_dir().expect_contents("f", "BA");
}

#[test]
fn packet_drop_client_loss() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let lost = network.drop_next(Direction::ToServer, op("acquire_lock"));
    let acquire = c1.request("acquire_lock", &json!({"lock": "f"}));
    c1.send(&acquire);
    lost.wait_for_match();
    let first = c2.append_under_lock("f", "B");
    let mut retry = acquire.clone();
    retry["attempt"] = 1.into();
    let second = token(&c1.exchange(&retry));
    c1.append_ok("f", second, "A");
    c1.release("f", second);

    assert_eq!(second, first + 1, "the lost request got no grant");
    server.data_dir().expect_contents("f", "BA");
}

#[test]
fn packet_drop_server_loss() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let lost = network.drop_next(Direction::ToClient, status("granted"));
    let granted = c1.call("acquire_lock", &json!({"lock": "f"}));
    assert_eq!(lost.match_count(), 1, "the first grant was lost");
    assert!(number(&granted, "attempt") >= 1, "a later attempt was answered: {granted}");
    let first = token(&granted);
    c1.append_ok("f", first, "A");
    c1.release("f", first);
    let second = c2.append_under_lock("f", "B");

    assert_eq!(second, first + 1, "the lost grant and the repeated one are the same tenure");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn duplicated_packets() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let copy = network.copy_next(Direction::ToServer, op("release_lock"));
    let first = c1.acquire("f");
    c1.append_ok("f", first, "A");
    let release = c1.request("release_lock", &json!({"lock": "f", "token": first}));
    expect_status(&c1.exchange(&release), "released");
    let second = c2.acquire("f");
    c2.append_ok("f", second, "B");
    copy.release();
    expect_status(&c1.reply(&release), "released");
    c2.append_ok("f", second, "B");
    c2.release("f", second);
    c1.append_under_lock("f", "A");

    server.data_dir().expect_contents("f", "ABBA");
}

#[test]
fn combined_failures() {
    let server = Server::start();
    let network = Relay::to(server.udp());
    let mut c1 = RawClient::connect("C1", network.address());
    let mut c2 = RawClient::connect("C2", server.udp());

    let held = c1.acquire("f");
    c1.append_ok("f", held, "1");
    let lost = network.drop_next(Direction::ToClient, status("appended"));
    let append = c1.append_request("f", held, "A");
    c1.send(&append);
    lost.wait_for_match();
    let duplicated = network.duplicate_next(Direction::ToServer, op("append_file"));
    let mut retry = append.clone();
    retry["attempt"] = 1.into();
    c1.send(&retry);
    let replies = [c1.reply(&append), c1.reply(&append)];
    assert_eq!(duplicated.match_count(), 1);
    for reply in replies {
        expect_status(&reply, "appended");
        assert_eq!((number(&reply, "offset"), number(&reply, "len")), (1, 1), "{reply}");
    }
    c1.release("f", held);
    c2.append_under_lock("f", "B");

    server.data_dir().expect_contents("f", "1AB");
}

#[test]
fn client_failure_stall_before_edit() {
    let server = Server::start();
    let mut c1 = ClientProcess::start("C1", server.udp(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.run("acquire f", "granted");
    c1.process().pause();
    c2.append_under_lock("f", "B");
    c1.process().resume();
    c1.run("append f A", "stale_token");
    c1.run("hello", "welcome");
    c1.run("acquire f", "granted");
    c1.run("append f A", "appended");

    server.data_dir().expect_contents("f", "BA");
}

#[test]
fn client_failure_stall_after_edit() {
    let server = Server::start();
    let mut c1 = ClientProcess::start("C1", server.udp(), SHORT_LEASE_MS);
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.run("acquire f", "granted");
    c1.run("append f A", "appended");
    c1.process().pause();
    c2.append_under_lock("f", "B");
    c1.process().resume();
    c1.run("append f A", "stale_token");
    server.data_dir().expect_contents("f", "AB");
    c1.run("hello", "welcome");
    c1.run("acquire f", "granted");
    c1.run("append f A", "appended");

    server.data_dir().expect_contents("f", "ABA");
}

#[test]
fn single_server_failure_lock_free() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());

    let first = c1.append_under_lock("f", "A");
    server.kill_and_restart();
    server.data_dir().expect_contents("f", "A");
    let second = c1.append_under_lock("f", "A");

    assert!(second > first, "token {second} after {first}");
    server.data_dir().expect_contents("f", "AA");
}

#[test]
fn single_server_failure_lock_held() {
    let mut server = Server::start();
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());

    c1.append_under_lock("f", "A");
    let held = c2.acquire("f");
    c2.append_ok("f", held, "B");
    server.kill_and_restart();
    expect_code(&c1.call("acquire_lock", &json!({"lock": "f"})), "lock_held");
    c2.append_ok("f", held, "B");
    c2.release("f", held);
    let next = c1.append_under_lock("f", "A");

    assert!(next > held, "token {next} after {held}");
    server.data_dir().expect_contents("f", "ABBA");
}

/// `LEASEHOLD_STORM=7` runs only the storm with the seed 7.
#[test]
fn randomised() {
    let seeds: Vec<u64> = match env::var("LEASEHOLD_STORM") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..20).collect(),
    };
    thread::scope(|scope| {
        for seeds in seeds.chunks(seeds.len().div_ceil(10)) {
            scope.spawn(move || seeds.iter().for_each(|&seed| randomised_run(seed)));
        }
    });
}

fn randomised_run(seed: u64) {
    log("storm", format_args!("to repeat: LEASEHOLD_STORM={seed} cargo test randomised"));
    let server = Server::start();
    let clients = 5 + Rng::new(seed).below(6);
    let faults = Fault::ALL.to_vec();
    let storm = Storm { seed, clients, turns: 3, lease_ms: 500, conditions: MILD_NETWORK, faults };
    let outcomes = storm.run(server.udp(), "f");
    storm::check_file(&server.data_dir(), "f", &outcomes);
    assert!(storm::applied_count(&outcomes) > 0, "seed {seed}: nothing was appended");
}
