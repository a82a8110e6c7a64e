//! The commands as a script uses them: their output and their exit codes.
//!
//! Exit codes: 0 success, 1 refused, 2 usage, 69 no reply from the server, 75 lock lost.

use std::net::UdpSocket;
use std::time::Duration;

use leasehold_tests::client::{RawClient, expect_code};
use leasehold_tests::command::{
    Outcome, leasehold, leasehold_against, run, run_against, run_with_input,
};
use leasehold_tests::process::Process;
use leasehold_tests::server::Server;
use leasehold_tests::wait::{WAIT_LIMIT, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Checks that a command reported its error in one line on standard error.
#[track_caller]
fn expect_one_line(outcome: &Outcome) {
    assert_eq!(outcome.stderr.trim_end().lines().count(), 1, "\n{outcome:#?}");
    assert!(!outcome.stderr.contains("panicked"), "\n{outcome:#?}");
}

#[test]
fn cat_prints_what_append_wrote() {
    let server = Server::start();
    run_against(&server, &["append", "notes", "first"]).expect(0);
    let mut command = leasehold_against(&server);
    run_with_input(command.args(["append", "notes"]), "second\nthird\n").expect(0);
    server.data_dir().expect_contents("notes", "first\nsecond\nthird\n");
    let read = run_against(&server, &["cat", "notes"]).expect(0);
    assert_eq!(read.stdout, "first\nsecond\nthird\n");
    expect_one_line(&run_against(&server, &["cat", "nothing"]).expect(1));
    expect_one_line(&run_against(&server, &["append", "../escape", "x"]).expect(1));
}

#[test]
fn status_shows_holders_and_waiters_but_no_session_key() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect("bob", server.udp());
    ann.acquire("ledger");
    bob.join_queue("ledger");
    let shown = run_against(&server, &["status"]).expect(0).stdout;
    for word in ["ledger", "ann", "bob"] {
        assert!(shown.contains(word), "no {word} in\n{shown}");
    }
    let json = run_against(&server, &["status", "--json"]).expect(0).stdout;
    let state: Value = serde_json::from_str(&json).unwrap();
    assert!(state.is_object() && json.contains("ledger"), "{json}");
    for secret in [ann.session(), bob.session()] {
        assert!(!shown.contains(secret) && !json.contains(secret), "a session key is shown");
    }
}

#[test]
fn log_prints_past_events_but_no_session_key() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("ledger", "one\n");
    let shown = run_against(&server, &["log"]).expect(0).stdout;
    assert!(shown.contains("ann") && shown.contains("ledger"), "{shown}");
    let json = run_against(&server, &["log", "--json"]).expect(0).stdout;
    let mut kinds = Vec::new();
    for line in json.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        kinds.push(event["type"].as_str().unwrap_or_default().to_owned());
    }
    let expected = ["session_opened", "lock_granted", "file_appended", "lock_released"];
    for kind in expected {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in\n{json}");
    }
    assert!(!json.contains(ann.session()), "a session key is shown");
}

#[test]
fn log_follow_prints_new_events_until_it_is_interrupted() {
    let server = Server::start();
    let mut command = leasehold_against(&server);
    let mut log = Process::start("log", command.args(["log", "--follow", "--json"]));
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("ledger", "one\n");
    wait_for("the append in the log", || {
        let line = log.line_within(Duration::from_millis(100))?;
        line.contains("file_appended").then_some(())
    });
    log.signal(Signal::INT);
    assert!(log.wait_within(WAIT_LIMIT).is_some(), "it exits when it is interrupted");
}

#[test]
fn lock_runs_a_command_and_exits_with_its_code() {
    let server = Server::start();
    let script = "echo $LEASEHOLD_LOCK $LEASEHOLD_TOKEN; exit 7";
    let outcome = run_against(&server, &["lock", "f", "--", "sh", "-c", script]).expect(7);
    let (name, token) = outcome.stdout.trim().split_once(' ').unwrap();
    assert_eq!(name, "f");
    let first: u64 = token.parse().unwrap();
    // The lock was released: the next command gets it at once.
    let outcome = run_against(&server, &["lock", "--try", "f", "--", "sh", "-c", script]).expect(7);
    let token = outcome.stdout.trim().rsplit(' ').next().unwrap();
    assert_eq!(token.parse(), Ok(first + 1));
}

#[test]
fn lock_try_is_refused_if_the_lock_is_held() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let held = ann.acquire("f");
    let refused = run_against(&server, &["lock", "--try", "f", "--", "echo", "ran"]).expect(1);
    assert_eq!(refused.stdout, "", "the command must not run");
    expect_one_line(&refused);
    let refused =
        run_against(&server, &["lock", "--wait-ms", "200", "f", "--", "echo", "ran"]).expect(1);
    assert_eq!(refused.stdout, "", "the command must not run");
    ann.append_ok("f", held, "A");
    server.data_dir().expect_contents("f", "A");
}

#[test]
fn lock_excludes_other_commands_while_its_own_runs() {
    let server = Server::start();
    let directory = tempfile::TempDir::new().unwrap();
    let counter = directory.path().join("counter");
    std::fs::write(&counter, "0").unwrap();
    // A read, a pause, and a write: without the lock most increments would be lost.
    let script =
        format!("n=$(cat {0}); sleep 0.05; echo $((n + 1)) > {0}", counter.to_str().unwrap());
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let mut command = leasehold_against(&server);
            command.args(["lock", "f", "--", "sh", "-c", &script]);
            std::thread::spawn(move || run(&mut command).expect(0))
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    assert_eq!(std::fs::read_to_string(&counter).unwrap().trim(), "6");
}

#[test]
fn lock_survives_a_kill_of_the_server() {
    let mut server = Server::start();
    let directory = tempfile::TempDir::new().unwrap();
    let stop_file = directory.path().join("stop");
    let script = format!("echo up; while [ ! -e {} ]; do sleep 0.05; done", stop_file.display());
    let mut command = leasehold_against(&server);
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "sh", "-c", &script]));
    assert_eq!(lock.line(), "up");
    server.kill_and_restart();
    // Two leases, which is the scenario: the command must renew its lease with the new server.
    std::thread::sleep(Duration::from_secs(2));
    let mut ann = RawClient::connect("ann", server.udp());
    expect_code(&ann.call("acquire_lock", &json!({"lock": "f"})), "lock_held");
    std::fs::write(&stop_file, "").unwrap();
    assert_eq!(lock.wait_within(WAIT_LIMIT).and_then(|status| status.code()), Some(0));
    ann.acquire("f");
}

#[test]
fn lock_forwards_a_signal_and_releases_the_lock() {
    let server = Server::start();
    let mut command = leasehold_against(&server);
    let script = "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "sh", "-c", script]));
    assert_eq!(lock.line(), "up");
    lock.signal(Signal::TERM);
    assert_eq!(lock.line(), "bye");
    assert_eq!(lock.wait_within(WAIT_LIMIT).and_then(|status| status.code()), Some(9));
    let mut ann = RawClient::connect("ann", server.udp());
    ann.acquire("f");
}

/// The exit code for a lost lock is tested in `known_bugs.rs`.
#[test]
fn without_a_server_the_commands_report_that_there_is_no_reply() {
    let unused = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    for arguments in [
        &["append", "f", "x"][..],
        &["cat", "f"],
        &["status"],
        &["log"],
        &["bench"],
        &["lock", "f", "--", "echo", "ran"],
        &["lock", "--try", "f", "--", "echo", "ran"],
    ] {
        let mut command = leasehold();
        command.args(arguments).env("LEASEHOLD_SERVER", &unused).env("LEASEHOLD_HTTP", &unused);
        let outcome = run(&mut command).expect(69);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        expect_one_line(&outcome);
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code_and_help_succeeds() {
    for arguments in [
        &["no-such-command"][..],
        &["serve", "--no-such-flag"],
        &["append"],
        &["lock", "f"],
        &["serve", "--lease-ms", "many"],
        &["status", "--server", "nowhere at all"],
    ] {
        let outcome = run(leasehold().args(arguments)).expect(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    for command in ["serve", "demo", "lock", "append", "cat", "status", "log", "bench"] {
        let outcome = run(leasehold().args([command, "--help"])).expect(0);
        let example = format!("Examples:\n  leasehold {command}");
        assert!(outcome.stdout.contains(&example), "no example in\n{}", outcome.stdout);
    }
}

#[test]
fn sim_lists_explains_and_exports_runs() {
    let list = run(leasehold().arg("sim")).expect(0).stdout;
    for name in ["five-clients", "gc-pause", "sandbox"] {
        assert!(list.contains(name), "{list}");
    }
    let output = run(leasehold().args(["sim", "gc-pause"])).expect(0).stdout;
    assert!(output.contains("is stale (current: 2)") && output.contains("✓ S4"), "{output}");
    let output =
        run(leasehold().args(["sim", "gc-pause", "--without", "fencing"])).expect(0).stdout;
    assert!(
        output.contains("✗ S4") && output.contains("S4 violated: client_1 appends"),
        "{output}"
    );
    let repeated =
        run(leasehold().args(["sim", "gc-pause", "--without", "fencing"])).expect(0).stdout;
    assert_eq!(output, repeated);
    let other = run(leasehold().args(["sim", "gc-pause", "--seed", "8"])).expect(0).stdout;
    assert_ne!(other.lines().last(), output.lines().last(), "another seed has another fingerprint");

    let json = run(leasehold().args(["sim", "gc-pause", "--json"])).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "leasehold-trace");
    let log = run(leasehold().args(["sim", "gc-pause", "--shiviz"])).expect(0).stdout;
    assert!(log.starts_with("(?<event>.*)\\n(?<host>"), "{log}");
    let diagram = run(leasehold().args(["sim", "gc-pause", "--mermaid"])).expect(0).stdout;
    assert!(diagram.contains("n1->>n0: ") && diagram.contains("Note over n0: "), "{diagram}");

    let wrong = run(leasehold().args(["sim", "gc-paus"])).expect(2);
    assert!(wrong.stderr.contains("did you mean gc-pause?"), "{wrong:#?}");
    expect_one_line(&wrong);
    let wrong = run(leasehold().args(["sim", "gc-pause", "--without", "nothing"])).expect(2);
    assert!(wrong.stderr.contains("durable-replies"), "{wrong:#?}");
}

#[test]
fn sim_runs_storms_and_saves_violations() {
    let clean = run(leasehold().args(["sim", "--storms", "50"])).expect(0).stdout;
    assert!(clean.starts_with("50 storms") && clean.contains("no violation"), "{clean}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("found.json");
    let path = file.to_str().unwrap();
    let storms = ["sim", "--storms", "50", "--without", "dedupe", "--save", path];
    let found = run(leasehold().args(storms)).expect(1).stdout;
    assert!(found.contains("S3 violated: "), "{found}");
    let replay = found.lines().find_map(|line| line.split_once("again: leasehold ")).unwrap().1;
    let repeated = run(leasehold().args(replay.split(' '))).expect(0).stdout;
    assert!(repeated.contains("✗ S3"), "{repeated}");
    let saved = run(leasehold().args(["sim", path])).expect(0).stdout;
    assert!(saved.contains("✗ S3"), "{saved}");

    let search = ["sim", "sandbox", "--search", "--invariant", "S2", "--save", path];
    let found = run(leasehold().args(search)).expect(0).stdout;
    assert!(found.starts_with("S2 is violated with 1 fault and "), "{found}");
    let saved = run(leasehold().args(["sim", path])).expect(0).stdout;
    assert!(saved.contains("✗ S2"), "{saved}");
    let search = ["sim", "gc-pause", "--search", "--faults", "1", "--events", "60"];
    let none = run(leasehold().args(search)).expect(1).stdout;
    assert!(none.starts_with("none with at most 1 fault and 60 events ("), "{none}");
}
