//! The bench: that it counts what is so. How fast anything is, no test asserts.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use leasehold_tests::command::{leasehold, leasehold_at, run, run_at};
use leasehold_tests::log::{PATIENCE, wait_for};
use leasehold_tests::process::Process;
use leasehold_tests::relay::Relay;
use leasehold_tests::server::Server;
use leasehold_tests::storm::MILD;
use rustix::process::Signal;
use serde_json::Value;

/// For a short time, as JSON.
const BRIEFLY: [&str; 6] = ["bench", "--json", "--warm-up", "100ms", "--duration", "500ms"];

/// Leases that are longer than any test waits: what is over by then was ended by somebody.
const LEASE: [&str; 2] = ["--lease-ms", "60000"];

fn server() -> Server {
    Server::start_with(&LEASE)
}

/// What it reports where a twentieth of all packets is lost, and more are doubled or late.
#[track_caller]
fn report_in_weather(server: &Server, seed: u64, arguments: &[&str]) -> Value {
    let network = Relay::seeded(server.udp(), seed);
    network.set_weather_both_ways(MILD);
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.args(["bench", "--json", "--warm-up", "100ms", "--duration", "2s"]).args(arguments);
    let report = read(&run(&mut command).expect(0).output);
    assert!(network.tally().lost > 0, "{:?}", network.tally());
    report
}

/// What the bench reports of a short run that must go well.
#[track_caller]
fn report(server: &Server, arguments: &[&str]) -> Value {
    let outcome = run_at(server, &[&BRIEFLY[..], arguments].concat()).expect(0);
    assert_eq!(outcome.errors, "", "progress is for terminals");
    read(&outcome.output)
}

#[track_caller]
fn read(json: &str) -> Value {
    let report: Value = serde_json::from_str(json).unwrap_or_else(|why| panic!("{why}: {json}"));
    assert_eq!(report["format"], "leasehold-bench");
    assert_eq!(report["failed"], 0, "{report:#}");
    report
}

/// A count that is there.
#[track_caller]
fn count(report: &Value, path: &str) -> u64 {
    let value = report.pointer(path).unwrap_or_else(|| panic!("no {path} in {report:#}"));
    value.as_u64().unwrap_or_else(|| panic!("{path} is no count in {report:#}"))
}

/// Panics unless a guarded file has exactly the lines that were told to be appended, each once.
#[track_caller]
fn expect_lines(server: &Server, file: &str, report: &Value) {
    let told = count(report, "/whole_run/appended_lines");
    // An append is acknowledged a moment before it is in the file.
    let contents = wait_for("the lines to be in the file", || {
        let contents = server.data().contents(file);
        (contents.lines().count() as u64 >= told).then_some(contents)
    });
    let lines: BTreeSet<&str> = contents.lines().collect();
    assert_eq!(contents.lines().count() as u64, told, "as many lines as were told");
    assert_eq!(lines.len() as u64, told, "each line once");
    assert_eq!(contents.len() as u64, count(report, "/whole_run/appended_bytes"));
}

/// Panics unless every session was closed.
#[track_caller]
fn expect_nobody(server: &Server) {
    wait_for("all sessions to be closed", || {
        let json = run_at(server, &["status", "--json"]).expect(0).output;
        let state: Value = serde_json::from_str(&json).expect("the state is JSON");
        let sessions = state.pointer("/state/sessions").or(state.pointer("/sessions"));
        let sessions = sessions.and_then(Value::as_object).expect("it has sessions");
        sessions.is_empty().then_some(())
    });
}

#[test]
fn each_mix_is_measured() {
    let server = server();
    for (mix, requests) in [
        ("lock", &["acquire", "release"][..]),
        ("append", &["acquire", "append", "release"]),
        ("heartbeats", &["heartbeat"]),
        ("contended", &["acquire", "release"]),
        ("chubby", &["heartbeat", "look"]),
    ] {
        let report = report(&server, &["--mix", mix, "--clients", "4"]);
        assert_eq!((&report["mix"], &report["clients"]), (&mix.into(), &4.into()));
        assert!(count(&report, "/operations") > 0, "{report:#}");
        for request in requests {
            assert!(count(&report, &format!("/requests/{request}/count")) > 0, "{report:#}");
        }
        for figure in ["p50", "p99", "p99_9", "max", "mean"] {
            let latency = report["latency_us"][figure].as_f64().expect("a latency");
            assert!(latency > 0.0, "{figure} in {report:#}");
        }
        assert!(report["per_second"].as_f64().expect("a rate") > 0.0, "{report:#}");
        assert_eq!(report["offered"], Value::Null, "nothing is offered in a closed loop");
        let (sent, received) = ("/whole_run/sent", "/whole_run/received");
        assert!(count(&report, sent) > 0 && count(&report, received) > 0, "{report:#}");
        expect_nobody(&server);
    }
}

/// Both look at the same lock, which the one that came first keeps, and then the other.
#[test]
fn two_benches_at_once_are_in_no_others_way() {
    let server = server();
    let mut command = leasehold_at(&server);
    let mut first = Process::start("first", command.args(BRIEFLY).args(["--mix", "chubby"]));
    wait_for("its sessions", || {
        let json = run_at(&server, &["status", "--json"]).expect(0).output;
        json.contains("bench-keeper").then_some(())
    });
    let arguments = ["bench", "--json", "--warm-up", "0", "--duration", "2s", "--mix", "chubby"];
    let outcome = run_at(&server, &[&arguments[..], &["--threads", "2"]].concat()).expect(0);
    let report = read(&outcome.output);
    assert!(count(&report, "/requests/look/count") > 0, "{report:#}");
    let status = first.ended_within(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
    expect_nobody(&server);
}

#[test]
fn the_file_has_as_many_lines_as_were_told() {
    let server = server();
    let report = report(&server, &["--mix", "append", "--file", "ledger", "--clients", "4"]);
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_lines(&server, "ledger", &report);
    let line = server.data().contents("ledger").lines().next().map(str::len);
    assert_eq!(line, Some(63), "64 bytes with its newline");
}

#[test]
fn what_is_lost_is_asked_again_and_counted_once() {
    let server = server();
    let arguments = ["--mix", "append", "--file", "ledger", "--clients", "4"];
    let report = report_in_weather(&server, 5, &arguments);
    assert!(count(&report, "/whole_run/retransmissions") > 0, "{report:#}");
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_lines(&server, "ledger", &report);
    expect_nobody(&server);
}

#[test]
fn clients_that_share_a_socket_are_told_apart() {
    let server = server();
    let report = report_in_weather(&server, 7, &["--mix", "append", "--clients", "150"]);
    let files: Vec<String> = (0..150).map(|client| format!("bench-{client}")).collect();
    let told = count(&report, "/whole_run/appended_lines");
    let lines = wait_for("the lines to be in the files", || {
        let contents: Vec<String> = files.iter().map(|it| server.data().contents(it)).collect();
        let lines: usize = contents.iter().map(|it| it.lines().count()).sum();
        (lines as u64 >= told).then_some(contents)
    });
    for (file, contents) in files.iter().zip(&lines) {
        let own = |line: &&str| line.starts_with(&format!("{file} "));
        assert!(contents.lines().all(|line| own(&line)), "{file} holds\n{contents}");
        assert!(!contents.is_empty(), "what a client began was waited for, so {file} has a line");
    }
    assert_eq!(lines.iter().map(|it| it.lines().count() as u64).sum::<u64>(), told);
    expect_nobody(&server);
}

#[test]
fn at_a_fixed_rate_all_that_was_offered_is_accounted_for() {
    let server = server();
    let report = report(&server, &["--mix", "lock", "--clients", "8", "--rate", "200"]);
    assert_eq!(count(&report, "/offered"), 100, "half a second of 200 a second");
    let not_finished = count(&report, "/not_finished");
    assert!(not_finished < 100, "{report:#}");
    // What was to begin in the warm-up and ended later counts too.
    assert!(count(&report, "/operations") >= 100 - not_finished, "{report:#}");
}

#[test]
fn more_than_can_be_done_is_told_as_not_finished() {
    let server = server();
    let report = report(&server, &["--mix", "lock", "--clients", "1", "--rate", "1000000"]);
    assert_eq!(count(&report, "/offered"), 500_000);
    assert!(count(&report, "/not_finished") > 0, "{report:#}");
}

/// Clients that wait for a server can't ask it anything, so a closed loop hardly notices that it
/// stood still: a handful of operations were slow. Latencies have lower bounds here, no upper ones.
#[test]
fn a_server_that_stands_still_is_seen_in_all_that_was_to_begin_meanwhile() {
    let server = server();
    let mut command = leasehold_at(&server);
    command.args(["bench", "--json", "--clients", "4", "--rate", "100"]);
    command.args(["--warm-up", "0", "--duration", "3s"]);
    let mut bench = Process::start("bench", &mut command);
    wait_for("its sessions", || {
        let json = run_at(&server, &["status", "--json"]).expect(0).output;
        json.contains("bench-3").then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    server.process().pause();
    thread::sleep(Duration::from_millis(1_500));
    server.process().resume();
    let status = bench.ended_within(2 * PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
    let report = read(&bench.rest().0);
    let latencies = &report["latency_us"];
    // Half of them were to begin while it stood still, and waited for half of that on average.
    assert!(latencies["mean"].as_f64().expect("a mean") > 100_000.0, "{report:#}");
    assert_eq!(count(&report, "/offered"), 300);
}

#[test]
fn a_hand_off_is_from_one_client_to_another() {
    let server = server();
    let report = report(&server, &["--mix", "contended", "--clients", "3", "--threads", "1"]);
    let hand_offs = count(&report, "/requests/hand_off/count");
    let grants = count(&report, "/requests/acquire/count");
    assert!(0 < hand_offs && hand_offs <= grants, "{report:#}");
    assert!(report["requests"]["hand_off"]["p99"].as_f64().expect("a latency") > 0.0, "{report:#}");
}

#[test]
fn idle_sessions_stay_alive_beside_the_clients() {
    let server = server();
    let idle = ["--idle-sessions", "200", "--idle-locks", "2", "--idle-lease", "3s"];
    let report = report(&server, &[&idle[..], &["--clients", "2"]].concat());
    assert_eq!(count(&report, "/idle/sessions"), 200);
    assert!(count(&report, "/idle/heartbeats") > 0, "{report:#}");
    // A hello, two locks, and a farewell each, and the heartbeats.
    let sent = count(&report, "/idle/sent");
    assert!(sent >= 800 + count(&report, "/idle/heartbeats"), "{report:#}");
    assert_eq!(count(&report, "/idle/sessions_lost"), 0);
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_nobody(&server);
}

#[test]
fn what_idle_sessions_lose_is_asked_again() {
    let server = server();
    let report = report_in_weather(&server, 9, &["--idle-sessions", "100", "--clients", "2"]);
    assert!(count(&report, "/idle/retransmissions") > 0, "{report:#}");
    assert_eq!(count(&report, "/idle/sessions_lost"), 0);
    expect_nobody(&server);
}

#[test]
fn an_idle_session_that_is_lost_is_told() {
    let server = server();
    let mut command = leasehold_at(&server);
    command.args(["bench", "--clients", "1", "--idle-sessions", "5", "--idle-lease", "500ms"]);
    let mut bench = Process::start("bench", command.args(["--warm-up", "0", "--duration", "3s"]));
    wait_for("its sessions", || {
        let json = run_at(&server, &["status", "--json"]).expect(0).output;
        json.contains("idle-4").then_some(())
    });
    server.process().pause();
    thread::sleep(Duration::from_millis(1_200));
    server.process().resume();
    let status = bench.ended_within(2 * PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(1));
    let (_, errors) = bench.rest();
    assert!(errors.contains("idle sessions were lost"), "{errors}");
}

#[test]
fn it_starts_a_server_of_its_own_and_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = leasehold();
    command.env("TMPDIR", folder.path()).args(["bench", "--own-server", "--clients", "1"]);
    command.args(["--warm-up", "0", "--duration", "300ms"]);
    let outcome = run(&mut command).expect(0);
    assert!(outcome.output.starts_with("lock, 1 client, as fast"), "{}", outcome.output);
    assert!(!outcome.output.contains('\u{1b}'), "no colours\n{}", outcome.output);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left");
}

#[test]
fn it_speaks_with_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    fs::write(&path, "what only this class knows\n").expect("a key");
    let path = path.to_str().expect("a path");
    let server = Server::start_with(&["--key-file", path]);
    let report = report(&server, &["--clients", "2", "--key-file", path]);
    assert!(count(&report, "/operations") > 0, "{report:#}");
}

#[test]
fn who_is_interrupted_leaves_no_session_behind() {
    let server = server();
    let mut command = leasehold_at(&server);
    let mut bench = Process::start("bench", command.args(["bench", "--clients", "3"]));
    wait_for("its sessions", || {
        let json = run_at(&server, &["status", "--json"]).expect(0).output;
        json.contains("bench-2").then_some(())
    });
    thread::sleep(Duration::from_millis(200));
    bench.signal(Signal::INT);
    let status = bench.ended_within(PATIENCE).expect("it ends when it is asked to");
    assert_eq!(status.code(), Some(130));
    expect_nobody(&server);
}

#[test]
fn who_is_interrupted_does_not_wait_for_a_server_that_is_silent() {
    let server = server();
    let mut command = leasehold_at(&server);
    let mut bench = Process::start("bench", command.args(["bench", "--clients", "3"]));
    wait_for("its sessions", || {
        let json = run_at(&server, &["status", "--json"]).expect(0).output;
        json.contains("bench-2").then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    server.process().pause();
    bench.signal(Signal::INT);
    // What is under way could be answered for longer than this.
    let status = bench.ended_within(PATIENCE).expect("it ends when it is asked to");
    assert_eq!(status.code(), Some(130));
    server.process().resume();
}

#[test]
fn a_server_without_room_refuses_and_that_is_told() {
    let server = Server::start_with(&[&LEASE[..], &["--max-sessions", "3"]].concat());
    let outcome = run_at(&server, &["bench", "--clients", "4"]).expect(1);
    assert!(outcome.errors.contains("refused a session (overloaded)"), "{outcome:#?}");
    assert_eq!(outcome.errors.trim_end().lines().count(), 1, "{outcome:#?}");
    expect_nobody(&server);
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for arguments in [
        &["--clients", "0"][..],
        &["--clients", "10001"],
        &["--mix", "nothing"],
        &["--duration", "0"],
        &["--duration", "soon"],
        &["--file", "ledger"],
        &["--idle-sessions", "2", "--idle-lease", "2m"],
        &["--own-server", "--server", "127.0.0.1:7700"],
    ] {
        let outcome = run(leasehold().arg("bench").args(arguments)).expect(2);
        assert_eq!(outcome.output, "", "{arguments:?}");
    }
}
