//! The demo: five clients append one line each to three files.

use std::net::{SocketAddr, UdpSocket};

use leasehold_tests::command::{leasehold, run, run_against};
use leasehold_tests::relay::Relay;
use leasehold_tests::server::Server;
use leasehold_tests::storm::HARSH_NETWORK;
use leasehold_tests::wait::wait_for;

/// Each client of the demo and the file to which it appends.
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

/// Checks that the three files contain each client's line once, in any order, and nothing else.
#[track_caller]
fn expect_entries(server: &Server) {
    for file in ["file_0", "file_2", "file_3"] {
        let expected: Vec<String> = CLIENTS
            .into_iter()
            .filter(|(_, written)| *written == file)
            .map(|(client, file)| entry(client, file))
            .collect();
        let contents = server.data_dir().wait_for_lines(file, expected.len());
        assert!(contents.ends_with('\n'), "{file} contains {contents:?}");
        let mut lines: Vec<&str> = contents.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "in {file}");
    }
    assert!(!server.data_dir().file_path("file_1").exists(), "no client appends to file_1");
}

#[test]
fn the_demo_writes_each_entry_once() {
    let server = Server::start();
    let outcome = run_against(&server, &["demo"]).expect(0);
    expect_entries(&server);
    for (client, file) in CLIENTS {
        assert!(outcome.stdout.contains(&entry(client, file)), "\n{outcome:#?}");
    }
}

#[test]
fn the_demo_writes_each_entry_once_although_packets_are_lost_duplicated_and_delayed() {
    let server = Server::start_with(&["--lease-ms", "5000"]);
    let network = Relay::with_seed(server.udp(), 3);
    network.set_conditions_both_ways(HARSH_NETWORK);
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.env("LEASEHOLD_HTTP", server.http().to_string());
    run(command.arg("demo")).expect(0);
    expect_entries(&server);
    let stats = network.stats();
    assert!(stats.lost > 0 && stats.duplicated > 0 && stats.delayed > 0, "{stats:?}");
}

#[test]
fn a_second_demo_writes_each_entry_once_more() {
    let mut server = Server::start();
    run_against(&server, &["demo"]).expect(0);
    expect_entries(&server);
    server.kill_and_restart();
    run_against(&server, &["demo"]).expect(0);
    for (client, file) in CLIENTS {
        let clients = CLIENTS.iter().filter(|(_, written)| *written == file).count();
        let contents = server.data_dir().wait_for_lines(file, 2 * clients);
        assert_eq!(contents.matches(&entry(client, file)).count(), 2, "{file}: {contents:?}");
    }
}

#[test]
fn without_a_server_the_demo_starts_its_own() {
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", unused_address().to_string());
    command.env("LEASEHOLD_HTTP", unused_address().to_string());
    let outcome = run(command.arg("demo")).expect(0);
    for (client, file) in CLIENTS {
        assert!(outcome.stdout.contains(&entry(client, file)), "\n{outcome:#?}");
    }
}

#[test]
fn a_crashed_client_of_the_demo_does_not_block_the_others() {
    let server = Server::start();
    run_against(&server, &["demo", "--crash", "client_1"]);
    // The client crashes while it holds the lock; its line is complete or absent.
    let contents = wait_for("the line of client_3", || {
        let contents = server.data_dir().contents("file_0");
        contents.contains(&entry("client_3", "file_0")).then_some(contents)
    });
    let count = |client| contents.matches(&entry(client, "file_0")).count();
    assert_eq!(count("client_3"), 1, "{contents:?}");
    assert!(count("client_1") <= 1, "{contents:?}");
    let others = server.data_dir().wait_for_lines("file_3", 2);
    assert_eq!(others.lines().count(), 2, "{others:?}");
}

#[test]
fn the_demo_fails_if_the_given_server_does_not_reply() {
    let outcome =
        run(leasehold().args(["demo", "--server", &unused_address().to_string()])).expect(69);
    assert_eq!(outcome.stderr.lines().count(), 1, "\n{outcome:#?}");
}

/// Returns an address that is free when the function returns.
fn unused_address() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}
