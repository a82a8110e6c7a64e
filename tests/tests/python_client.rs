//! The Python client at the end of `docs/protocol.md`, against a real server. These tests need
//! `python3`, and fail without it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use leasehold_tests::client::{LONG_LEASE_MS, RawClient, number};
use leasehold_tests::event_stream::EventStream;
use leasehold_tests::process::Process;
use leasehold_tests::relay::{NetworkConditions, Relay};
use leasehold_tests::server::Server;
use leasehold_tests::wait::WAIT_LIMIT;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Starts the Python client, which acquires the lock `f` and appends its name as a line.
fn start(name: &str, server: SocketAddr) -> Process {
    let mut command = Command::new("python3");
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    command.arg(docs().join("client.py")).args([&host, &port, name, "f", name]);
    Process::start(name, &mut command)
}

/// Opens the event stream of a server, positioned after the current state.
fn future_events(server: &Server) -> EventStream {
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    stream
}

/// Checks that a client has appended its line: at this offset, if one is given, and under a token
/// larger than `token`.
#[track_caller]
fn expect_appended(python: &mut Process, offset: Option<usize>, token: u64) {
    let status = python.wait_within(2 * WAIT_LIMIT).expect("the client exits");
    assert!(status.success(), "{status}\n{}", python.transcript());
    let (output, errors) = python.remaining_output();
    assert_eq!(errors, "");
    let words: Vec<&str> = output.split_whitespace().collect();
    let [len, "bytes", "at", "offset", at, "token", new_token] = words[..] else {
        panic!("{output}")
    };
    assert_eq!(len, "7");
    if let Some(offset) = offset {
        assert_eq!(at, format!("{offset},"));
    }
    assert!(new_token.parse::<u64>().expect("a token") > token, "{output}");
}

#[test]
fn the_document_contains_the_client_that_is_tested_here() {
    let protocol = fs::read_to_string(docs().join("protocol.md")).expect("docs/protocol.md");
    let client = fs::read_to_string(docs().join("client.py")).expect("docs/client.py");
    let shown = protocol.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(client.as_str()));
}

#[test]
fn it_waits_in_the_queue_for_longer_than_its_lease() {
    let server = Server::start();
    let mut stream = future_events(&server);
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), LONG_LEASE_MS);
    let held = ann.acquire("f");
    ann.append_ok("f", held, "ann\n");
    let mut python = start("python", server.udp());
    let queued = stream.next_event_of_type("lock_queued");
    // More than two leases, which is the scenario. A poll is a copy of a request and does not
    // extend the session, so the client must send heartbeats.
    thread::sleep(Duration::from_millis(2_500));
    ann.release("f", held);
    expect_appended(&mut python, Some(4), held);
    server.data_dir().expect_contents("f", "ann\npython\n");
    let closed = stream.next_event_of_type("session_closed");
    assert_eq!(
        number(&closed, "session_no"),
        number(&queued, "session_no"),
        "the client closes its session"
    );
}

#[test]
fn it_keeps_waiting_while_the_server_is_killed_and_restarted() {
    let mut server = Server::start();
    let mut stream = future_events(&server);
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), LONG_LEASE_MS);
    let held = ann.acquire("f");
    let mut python = start("python", server.udp());
    stream.next_event_of_type("lock_queued");
    server.kill_and_restart();
    ann.append_ok("f", held, "ann\n");
    ann.release("f", held);
    expect_appended(&mut python, Some(4), held);
    server.data_dir().expect_contents("f", "ann\npython\n");
}

#[test]
fn it_succeeds_although_a_third_of_all_packets_is_lost() {
    let server = Server::start_with(&["--lease-ms", "3000"]);
    let network = Relay::with_seed(server.udp(), 7);
    network.set_conditions_both_ways(NetworkConditions {
        loss_ppm: 333_333,
        ..NetworkConditions::default()
    });
    let mut stream = future_events(&server);
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), LONG_LEASE_MS);
    let held = ann.acquire("f");
    let mut clients = ["first_", "second", "third_"].map(|name| start(name, network.address()));
    (0..3).for_each(|_| drop(stream.next_event_of_type("lock_queued")));
    ann.release("f", held);
    clients.iter_mut().for_each(|python| expect_appended(python, None, held));
    let contents = server.data_dir().wait_for_lines("f", 3);
    let mut lines: Vec<&str> = contents.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["first_", "second", "third_"], "each line once");
    assert!(network.stats().lost > 5, "{:?}", network.stats());
}
