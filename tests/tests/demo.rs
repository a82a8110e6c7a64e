//! The run that this project began with: five clients, three files, one line from each.

use std::net::{SocketAddr, UdpSocket};

use leasehold_tests::command::{leasehold, run, run_at};
use leasehold_tests::relay::Relay;
use leasehold_tests::server::Server;
use leasehold_tests::storm::HEAVY;

/// Each client of the demo, and the file that it writes to.
const CLIENTS: [(&str, &str); 5] = [
    ("client_1", "file_0"),
    ("client_2", "file_2"),
    ("client_3", "file_0"),
    ("client_4", "file_3"),
    ("client_5", "file_3"),
];

fn entry(client: &str, file: &str) -> String {
    format!("Log entry from {client} writing to {file}")
}

/// Panics unless the three files hold each client's line once, in whatever order, and nothing else.
#[track_caller]
fn expect_entries(server: &Server) {
    for file in ["file_0", "file_2", "file_3"] {
        let contents = server.data().contents(file);
        assert!(contents.ends_with('\n'), "{file} holds {contents:?}");
        let mut lines: Vec<&str> = contents.lines().collect();
        lines.sort_unstable();
        let expected: Vec<String> = CLIENTS
            .into_iter()
            .filter(|(_, written)| *written == file)
            .map(|(client, file)| entry(client, file))
            .collect();
        assert_eq!(lines, expected, "in {file}");
    }
    assert!(!server.data().file("file_1").exists(), "nobody writes to file_1");
}

#[test]
fn the_demo_writes_each_entry_once() {
    let server = Server::start();
    let outcome = run_at(&server, &["demo"]).expect(0);
    expect_entries(&server);
    for (client, file) in CLIENTS {
        assert!(outcome.output.contains(&entry(client, file)), "\n{outcome:#?}");
    }
}

#[test]
fn the_demo_writes_each_entry_once_through_a_third_of_all_packets_lost_doubled_and_late() {
    let server = Server::start_with(&["--lease-ms", "5000"]);
    let network = Relay::seeded(server.udp(), 3);
    network.set_weather_both_ways(HEAVY);
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.env("LEASEHOLD_HTTP", server.http().to_string());
    run(command.arg("demo")).expect(0);
    expect_entries(&server);
    let tally = network.tally();
    assert!(tally.lost > 0 && tally.duplicated > 0 && tally.late > 0, "{tally:?}");
}

#[test]
fn the_demo_again_adds_each_entry_once_more() {
    let mut server = Server::start();
    run_at(&server, &["demo"]).expect(0);
    expect_entries(&server);
    server.kill_and_start_again();
    run_at(&server, &["demo"]).expect(0);
    for (client, file) in CLIENTS {
        let contents = server.data().contents(file);
        assert_eq!(contents.matches(&entry(client, file)).count(), 2, "{file}: {contents:?}");
    }
}

#[test]
fn without_a_server_the_demo_brings_its_own() {
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", nobody().to_string());
    command.env("LEASEHOLD_HTTP", nobody().to_string());
    let outcome = run(command.arg("demo")).expect(0);
    for (client, file) in CLIENTS {
        assert!(outcome.output.contains(&entry(client, file)), "\n{outcome:#?}");
    }
}

#[test]
fn a_client_of_the_demo_that_crashes_holds_the_others_up_for_its_lease_only() {
    let server = Server::start();
    run_at(&server, &["demo", "--crash", "client_1"]);
    // It dies with the lock in its hands; what it had written by then is whole or not there.
    let contents = server.data().contents("file_0");
    let count = |client| contents.matches(&entry(client, "file_0")).count();
    assert_eq!(count("client_3"), 1, "{contents:?}");
    assert!(count("client_1") <= 1, "{contents:?}");
    let others = server.data().contents("file_3");
    assert_eq!(others.lines().count(), 2, "{others:?}");
}

#[test]
fn a_server_that_is_named_and_not_there_is_missed() {
    let outcome = run(leasehold().args(["demo", "--server", &nobody().to_string()])).expect(69);
    assert_eq!(outcome.errors.lines().count(), 1, "\n{outcome:#?}");
}

/// An address where nobody answers: it was free a moment ago.
fn nobody() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}
