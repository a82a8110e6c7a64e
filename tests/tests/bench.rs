//! The command `bench`: its counts are correct. No test asserts how fast anything is.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use leasehold_tests::command::{leasehold, leasehold_against, run, run_against};
use leasehold_tests::event_stream::EventStream;
use leasehold_tests::process::Process;
use leasehold_tests::relay::Relay;
use leasehold_tests::server::Server;
use leasehold_tests::storm::MILD_NETWORK;
use leasehold_tests::wait::{WAIT_LIMIT, wait_for};
use rustix::process::Signal;
use serde_json::Value;

/// The arguments of a short run with a report in JSON.
const SHORT_RUN: [&str; 6] = ["bench", "--json", "--warm-up", "100ms", "--duration", "500ms"];

/// A lease that does not expire during a test, so that every session which ends was closed.
const LEASE: [&str; 2] = ["--lease-ms", "60000"];

fn server() -> Server {
    Server::start_with(&LEASE)
}

/// Returns the report of a run in which a twentieth of all packets is lost, and more are duplicated
/// or delayed.
#[track_caller]
fn report_with_packet_faults(server: &Server, seed: u64, arguments: &[&str]) -> Value {
    let network = Relay::with_seed(server.udp(), seed);
    network.set_conditions_both_ways(MILD_NETWORK);
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", network.address().to_string());
    command.args(["bench", "--json", "--warm-up", "100ms", "--duration", "2s"]).args(arguments);
    let report = parse_report(&run(&mut command).expect(0).stdout);
    assert!(network.stats().lost > 0, "{:?}", network.stats());
    report
}

/// Returns the report of a short run, which must succeed.
#[track_caller]
fn report(server: &Server, arguments: &[&str]) -> Value {
    let outcome = run_against(server, &[&SHORT_RUN[..], arguments].concat()).expect(0);
    assert_eq!(outcome.stderr, "", "progress is shown on terminals only");
    parse_report(&outcome.stdout)
}

#[track_caller]
fn parse_report(json: &str) -> Value {
    let report: Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(report["format"], "leasehold-bench");
    assert_eq!(report["failed"], 0, "{report:#}");
    report
}

/// Returns a count of a report.
#[track_caller]
fn count(report: &Value, path: &str) -> u64 {
    let value = report.pointer(path).unwrap_or_else(|| panic!("no {path} in {report:#}"));
    value.as_u64().unwrap_or_else(|| panic!("{path} is not a count in {report:#}"))
}

/// Checks that a guarded file contains as many lines as the report counts, each once.
#[track_caller]
fn expect_lines(server: &Server, file: &str, report: &Value) {
    let reported = count(report, "/whole_run/appended_lines");
    // An append is acknowledged shortly before it is in the file.
    let expected = usize::try_from(reported).expect("a number of lines");
    let contents = server.data_dir().wait_for_lines(file, expected);
    let lines: BTreeSet<&str> = contents.lines().collect();
    assert_eq!(contents.lines().count() as u64, reported, "as many lines as reported");
    assert_eq!(lines.len() as u64, reported, "each line once");
    assert_eq!(contents.len() as u64, count(report, "/whole_run/appended_bytes"));
}

/// Waits until every session is closed.
#[track_caller]
fn expect_no_sessions(server: &Server) {
    wait_for("all sessions to be closed", || {
        let json = run_against(server, &["status", "--json"]).expect(0).stdout;
        let state: Value = serde_json::from_str(&json).expect("the state is JSON");
        let sessions = state.pointer("/state/sessions").or(state.pointer("/sessions"));
        let sessions = sessions.and_then(Value::as_object).expect("the sessions of the state");
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
        assert_eq!(report["offered"], Value::Null, "a closed loop has no offered rate");
        let (sent, received) = ("/whole_run/sent", "/whole_run/received");
        assert!(count(&report, sent) > 0 && count(&report, received) > 0, "{report:#}");
        expect_no_sessions(&server);
    }
}

/// Both use the same lock. The first one holds it, and the second one after it.
#[test]
fn two_benches_can_run_at_the_same_time() {
    let server = server();
    let mut command = leasehold_against(&server);
    let mut first = Process::start("first", command.args(SHORT_RUN).args(["--mix", "chubby"]));
    wait_for("the sessions of the bench", || {
        let json = run_against(&server, &["status", "--json"]).expect(0).stdout;
        json.contains("bench-keeper").then_some(())
    });
    let arguments = ["bench", "--json", "--warm-up", "0", "--duration", "2s", "--mix", "chubby"];
    let outcome = run_against(&server, &[&arguments[..], &["--threads", "2"]].concat()).expect(0);
    let report = parse_report(&outcome.stdout);
    assert!(count(&report, "/requests/look/count") > 0, "{report:#}");
    let status = first.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(0));
    expect_no_sessions(&server);
}

#[test]
fn the_file_has_as_many_lines_as_reported() {
    let server = server();
    let report = report(&server, &["--mix", "append", "--file", "ledger", "--clients", "4"]);
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_lines(&server, "ledger", &report);
    let line = server.data_dir().contents("ledger").lines().next().map(str::len);
    assert_eq!(line, Some(63), "64 bytes with its newline");
}

#[test]
fn lost_requests_are_retried_and_counted_once() {
    let server = server();
    let arguments = ["--mix", "append", "--file", "ledger", "--clients", "4"];
    let report = report_with_packet_faults(&server, 5, &arguments);
    assert!(count(&report, "/whole_run/retransmissions") > 0, "{report:#}");
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_lines(&server, "ledger", &report);
    expect_no_sessions(&server);
}

#[test]
fn clients_that_share_a_socket_do_not_confuse_their_replies() {
    let server = server();
    let report = report_with_packet_faults(&server, 7, &["--mix", "append", "--clients", "150"]);
    let files: Vec<String> = (0..150).map(|client| format!("bench-{client}")).collect();
    let reported = count(&report, "/whole_run/appended_lines");
    let lines = wait_for("the lines to be in the files", || {
        let contents: Vec<String> = files.iter().map(|it| server.data_dir().contents(it)).collect();
        let lines: usize = contents.iter().map(|it| it.lines().count()).sum();
        (lines as u64 >= reported).then_some(contents)
    });
    for (file, contents) in files.iter().zip(&lines) {
        let own = |line: &&str| line.starts_with(&format!("{file} "));
        assert!(contents.lines().all(|line| own(&line)), "{file} contains\n{contents}");
        assert!(
            !contents.is_empty(),
            "the bench waits for started operations, so {file} has a line"
        );
    }
    assert_eq!(lines.iter().map(|it| it.lines().count() as u64).sum::<u64>(), reported);
    expect_no_sessions(&server);
}

#[test]
fn at_a_fixed_rate_every_offered_operation_is_counted() {
    let server = server();
    let report = report(&server, &["--mix", "lock", "--clients", "8", "--rate", "200"]);
    assert_eq!(count(&report, "/offered"), 100, "200 per second for half a second");
    let not_finished = count(&report, "/not_finished");
    assert!(not_finished < 100, "{report:#}");
    // Operations that were scheduled in the warm-up and finished later count as well.
    assert!(count(&report, "/operations") >= 100 - not_finished, "{report:#}");
}

#[test]
fn operations_beyond_the_capacity_are_reported_as_not_finished() {
    let server = server();
    let report = report(&server, &["--mix", "lock", "--clients", "1", "--rate", "1000000"]);
    assert_eq!(count(&report, "/offered"), 500_000);
    assert!(count(&report, "/not_finished") > 0, "{report:#}");
}

/// In a closed loop a paused server delays only a few operations, because each client waits for its
/// reply. At a fixed rate the latency counts from the scheduled start, so every operation that was
/// scheduled during the pause is slow. A slow machine can only increase these latencies.
#[test]
fn a_pause_of_the_server_counts_for_every_operation_scheduled_meanwhile() {
    let server = server();
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    let mut command = leasehold_against(&server);
    command.args(["bench", "--json", "--clients", "4", "--rate", "100"]);
    command.args(["--warm-up", "0", "--duration", "3s"]);
    let mut bench = Process::start("bench", &mut command);
    // The first grant shows that the measurement has started.
    stream.next_event_of_type("lock_granted");
    server.process().pause();
    // The length of the pause is the scenario.
    thread::sleep(Duration::from_millis(1_500));
    server.process().resume();
    let status = bench.wait_within(2 * WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(0));
    let report = parse_report(&bench.remaining_output().0);
    let latencies = &report["latency_us"];
    // Half of the operations were scheduled during the pause, and were delayed by half of it on
    // average.
    assert!(latencies["mean"].as_f64().expect("a mean") > 100_000.0, "{report:#}");
    assert_eq!(count(&report, "/offered"), 300);
}

#[test]
fn hand_offs_are_counted_and_measured() {
    let server = server();
    let report = report(&server, &["--mix", "contended", "--clients", "3", "--threads", "1"]);
    let hand_offs = count(&report, "/requests/hand_off/count");
    let grants = count(&report, "/requests/acquire/count");
    assert!(0 < hand_offs && hand_offs <= grants, "{report:#}");
    assert!(report["requests"]["hand_off"]["p99"].as_f64().expect("a latency") > 0.0, "{report:#}");
}

#[test]
fn idle_sessions_stay_alive_while_clients_run() {
    let server = server();
    let idle = ["--idle-sessions", "200", "--idle-locks", "2", "--idle-lease", "3s"];
    let report = report(&server, &[&idle[..], &["--clients", "2"]].concat());
    assert_eq!(count(&report, "/idle/sessions"), 200);
    assert!(count(&report, "/idle/heartbeats") > 0, "{report:#}");
    // For each session a hello, two acquires and a close, and the heartbeats.
    let sent = count(&report, "/idle/sent");
    assert!(sent >= 800 + count(&report, "/idle/heartbeats"), "{report:#}");
    assert_eq!(count(&report, "/idle/sessions_lost"), 0);
    assert!(count(&report, "/operations") > 0, "{report:#}");
    expect_no_sessions(&server);
}

#[test]
fn lost_requests_of_idle_sessions_are_retried() {
    let server = server();
    let report =
        report_with_packet_faults(&server, 9, &["--idle-sessions", "100", "--clients", "2"]);
    assert!(count(&report, "/idle/retransmissions") > 0, "{report:#}");
    assert_eq!(count(&report, "/idle/sessions_lost"), 0);
    expect_no_sessions(&server);
}

#[test]
fn a_lost_idle_session_is_reported() {
    let server = server();
    let mut command = leasehold_against(&server);
    command.args(["bench", "--clients", "1", "--idle-sessions", "5", "--idle-lease", "500ms"]);
    let mut bench = Process::start("bench", command.args(["--warm-up", "0", "--duration", "3s"]));
    wait_for("the sessions of the bench", || {
        let json = run_against(&server, &["status", "--json"]).expect(0).stdout;
        json.contains("idle-4").then_some(())
    });
    server.process().pause();
    // Longer than the lease of the idle sessions, which is the scenario.
    thread::sleep(Duration::from_millis(1_200));
    server.process().resume();
    let status = bench.wait_within(2 * WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(1));
    let (_, errors) = bench.remaining_output();
    assert!(errors.contains("idle sessions were lost"), "{errors}");
}

#[test]
fn it_starts_and_stops_its_own_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = leasehold();
    command.env("TMPDIR", directory.path()).args(["bench", "--own-server", "--clients", "1"]);
    command.args(["--warm-up", "0", "--duration", "300ms"]);
    let outcome = run(&mut command).expect(0);
    assert!(outcome.stdout.starts_with("lock, 1 client, closed loop"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains('\u{1b}'), "no colours\n{}", outcome.stdout);
    assert_eq!(
        fs::read_dir(directory.path()).expect("the directory").count(),
        0,
        "no file is left"
    );
}

#[test]
fn it_signs_requests_with_a_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    fs::write(&path, "what only this class knows\n").expect("a key");
    let path = path.to_str().expect("a path");
    let server = Server::start_with(&["--key-file", path]);
    let report = report(&server, &["--clients", "2", "--key-file", path]);
    assert!(count(&report, "/operations") > 0, "{report:#}");
}

#[test]
fn an_interrupted_bench_closes_its_sessions() {
    let server = server();
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    let mut command = leasehold_against(&server);
    let mut bench = Process::start("bench", command.args(["bench", "--clients", "3"]));
    stream.next_event_of_type("lock_granted");
    bench.signal(Signal::INT);
    let status = bench.wait_within(WAIT_LIMIT).expect("it exits when it is interrupted");
    assert_eq!(status.code(), Some(130));
    expect_no_sessions(&server);
}

#[test]
fn an_interrupted_bench_does_not_wait_for_a_paused_server() {
    let server = server();
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    let mut command = leasehold_against(&server);
    let mut bench = Process::start("bench", command.args(["bench", "--clients", "3"]));
    stream.next_event_of_type("lock_granted");
    server.process().pause();
    bench.signal(Signal::INT);
    // The lease is longer than the limit, so the bench does not wait for its expiry.
    let status = bench.wait_within(WAIT_LIMIT).expect("it exits when it is interrupted");
    assert_eq!(status.code(), Some(130));
    server.process().resume();
}

#[test]
fn a_refused_session_is_reported() {
    let server = Server::start_with(&[&LEASE[..], &["--max-sessions", "3"]].concat());
    let outcome = run_against(&server, &["bench", "--clients", "4"]).expect(1);
    assert!(outcome.stderr.contains("refused a session (overloaded)"), "{outcome:#?}");
    assert_eq!(outcome.stderr.trim_end().lines().count(), 1, "{outcome:#?}");
    expect_no_sessions(&server);
}

#[test]
fn contradictory_arguments_are_wrong_usage() {
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
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
}
