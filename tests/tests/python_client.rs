//! The Python client that `docs/protocol.md` ends with, against a real server: whoever copies it
//! from there gets one that works. Where there is no `python3` this is said, and nothing is run.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use leasehold_tests::client::{LONG, RawClient, number};
use leasehold_tests::event_stream::Feed;
use leasehold_tests::log::{PATIENCE, tell};
use leasehold_tests::process::Process;
use leasehold_tests::relay::{Relay, Weather};
use leasehold_tests::server::Server;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        tell("python", "skipped: there is no python3 here");
    }
    found
}

/// Starts the client; it takes the lock `f`, and appends its own name as a line.
fn start(name: &str, server: SocketAddr) -> Process {
    let mut command = Command::new("python3");
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    command.arg(docs().join("client.py")).args([&host, &port, name, "f", name]);
    Process::start(name, &mut command)
}

/// What happens at a server from now on.
fn watch(server: &Server) -> Feed {
    let mut feed = Feed::open(server.http());
    feed.snapshot();
    feed
}

/// Panics unless it has appended its line: here, under a token larger than this one.
#[track_caller]
fn expect_appended(python: &mut Process, offset: Option<usize>, token: u64) {
    let status = python.ended_within(2 * PATIENCE).expect("it comes to its end");
    assert!(status.success(), "{status}\n{}", python.said());
    let (output, errors) = python.rest();
    assert_eq!(errors, "");
    let words: Vec<&str> = output.split_whitespace().collect();
    let [len, "bytes", "at", "offset", at, "token", later] = words[..] else { panic!("{output}") };
    assert_eq!(len, "7");
    if let Some(offset) = offset {
        assert_eq!(at, format!("{offset},"));
    }
    assert!(later.parse::<u64>().expect("a token") > token, "{output}");
}

#[test]
fn the_protocol_shows_the_client_that_is_tested_here() {
    let protocol = fs::read_to_string(docs().join("protocol.md")).expect("docs/protocol.md");
    let client = fs::read_to_string(docs().join("client.py")).expect("docs/client.py");
    let shown = protocol.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(client.as_str()));
}

#[test]
fn it_waits_in_line_for_longer_than_its_lease_and_appends() {
    if !has_python() {
        return;
    }
    let server = Server::start();
    let mut feed = watch(&server);
    let mut ann = RawClient::connect_for("ann", server.udp(), LONG);
    let held = ann.acquire("f");
    ann.write("f", held, "ann\n");
    let mut python = start("python", server.udp());
    let queued = feed.event_of("lock_queued");
    // Polls are copies, so it is heartbeats alone that keep its session.
    thread::sleep(Duration::from_millis(2_500));
    ann.release("f", held);
    expect_appended(&mut python, Some(4), held);
    server.data().expect("f", "ann\npython\n");
    let closed = feed.event_of("session_closed");
    assert_eq!(number(&closed, "session_no"), number(&queued, "session_no"), "it says goodbye");
}

#[test]
fn it_waits_on_while_the_server_is_killed_and_started_again() {
    if !has_python() {
        return;
    }
    let mut server = Server::start();
    let mut feed = watch(&server);
    let mut ann = RawClient::connect_for("ann", server.udp(), LONG);
    let held = ann.acquire("f");
    let mut python = start("python", server.udp());
    feed.event_of("lock_queued");
    server.kill_and_start_again();
    ann.write("f", held, "ann\n");
    ann.release("f", held);
    expect_appended(&mut python, Some(4), held);
    server.data().expect("f", "ann\npython\n");
}

#[test]
fn it_gets_through_a_network_that_loses_a_third_of_all_packets() {
    if !has_python() {
        return;
    }
    let server = Server::start_with(&["--lease-ms", "3000"]);
    let network = Relay::seeded(server.udp(), 7);
    network.set_weather_both_ways(Weather { loss_ppm: 333_333, ..Weather::default() });
    let mut feed = watch(&server);
    let mut ann = RawClient::connect_for("ann", server.udp(), LONG);
    let held = ann.acquire("f");
    let mut clients = ["first_", "second", "third_"].map(|name| start(name, network.address()));
    (0..3).for_each(|_| drop(feed.event_of("lock_queued")));
    ann.release("f", held);
    clients.iter_mut().for_each(|python| expect_appended(python, None, held));
    let contents = server.data().contents("f");
    let mut lines: Vec<&str> = contents.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["first_", "second", "third_"], "each line once");
    assert!(network.tally().lost > 5, "{:?}", network.tally());
}
