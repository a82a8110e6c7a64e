//! The commands, as a script meets them: what they print, and how they end.
//!
//! 0 done, 1 refused, 2 usage, 69 no answer from the server, 75 lost the lock.

use std::net::UdpSocket;
use std::time::Duration;

use leasehold_tests::client::{RawClient, expect_code};
use leasehold_tests::command::{Outcome, leasehold, leasehold_at, run, run_at, run_with_input};
use leasehold_tests::log::{PATIENCE, wait_for};
use leasehold_tests::process::Process;
use leasehold_tests::server::Server;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Panics unless it says what went wrong in one line, on standard error only.
#[track_caller]
fn expect_one_line(outcome: &Outcome) {
    assert_eq!(outcome.errors.trim_end().lines().count(), 1, "\n{outcome:#?}");
    assert!(!outcome.errors.contains("panicked"), "\n{outcome:#?}");
}

#[test]
fn append_and_cat_are_a_round_trip() {
    let server = Server::start();
    run_at(&server, &["append", "notes", "first"]).expect(0);
    let mut command = leasehold_at(&server);
    run_with_input(command.args(["append", "notes"]), "second\nthird\n").expect(0);
    server.data().expect("notes", "first\nsecond\nthird\n");
    let read = run_at(&server, &["cat", "notes"]).expect(0);
    assert_eq!(read.output, "first\nsecond\nthird\n");
    expect_one_line(&run_at(&server, &["cat", "nothing"]).expect(1));
    expect_one_line(&run_at(&server, &["append", "../escape", "x"]).expect(1));
}

#[test]
fn status_tells_who_holds_and_who_waits() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect("bob", server.udp());
    ann.acquire("ledger");
    bob.stand_in_line("ledger");
    let shown = run_at(&server, &["status"]).expect(0).output;
    for word in ["ledger", "ann", "bob"] {
        assert!(shown.contains(word), "no {word} in\n{shown}");
    }
    let json = run_at(&server, &["status", "--json"]).expect(0).output;
    let state: Value = serde_json::from_str(&json).unwrap();
    assert!(state.is_object() && json.contains("ledger"), "{json}");
    for secret in [ann.session(), bob.session()] {
        assert!(!shown.contains(secret) && !json.contains(secret), "a session's id is shown");
    }
}

#[test]
fn log_tells_what_happened() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("ledger", "one\n");
    let shown = run_at(&server, &["log"]).expect(0).output;
    assert!(shown.contains("ann") && shown.contains("ledger"), "{shown}");
    let json = run_at(&server, &["log", "--json"]).expect(0).output;
    let mut kinds = Vec::new();
    for line in json.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        kinds.push(event["type"].as_str().unwrap_or_default().to_owned());
    }
    let expected = ["session_opened", "lock_granted", "file_appended", "lock_released"];
    for kind in expected {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in\n{json}");
    }
    assert!(!json.contains(ann.session()), "a session's id is shown");
}

#[test]
fn log_follow_tells_what_happens_from_then_on() {
    let server = Server::start();
    let mut command = leasehold_at(&server);
    let mut log = Process::start("log", command.args(["log", "--follow", "--json"]));
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("ledger", "one\n");
    wait_for("the append in the log", || {
        let line = log.line_within(Duration::from_millis(100))?;
        line.contains("file_appended").then_some(())
    });
    log.signal(Signal::INT);
    assert!(log.ended_within(PATIENCE).is_some(), "it ends when it is asked to");
}

#[test]
fn lock_runs_a_command_under_the_lock_and_passes_on_how_it_ended() {
    let server = Server::start();
    let script = "echo $LEASEHOLD_LOCK $LEASEHOLD_TOKEN; exit 7";
    let outcome = run_at(&server, &["lock", "f", "--", "sh", "-c", script]).expect(7);
    let (name, token) = outcome.output.trim().split_once(' ').unwrap();
    assert_eq!(name, "f");
    let first: u64 = token.parse().unwrap();
    // It was given back: the next one need not wait.
    let outcome = run_at(&server, &["lock", "--try", "f", "--", "sh", "-c", script]).expect(7);
    let token = outcome.output.trim().rsplit(' ').next().unwrap();
    assert_eq!(token.parse(), Ok(first + 1));
}

#[test]
fn lock_try_is_refused_where_the_lock_is_held() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let held = ann.acquire("f");
    let refused = run_at(&server, &["lock", "--try", "f", "--", "echo", "ran"]).expect(1);
    assert_eq!(refused.output, "", "the command must not run");
    expect_one_line(&refused);
    let refused =
        run_at(&server, &["lock", "--wait-ms", "200", "f", "--", "echo", "ran"]).expect(1);
    assert_eq!(refused.output, "", "the command must not run");
    ann.write("f", held, "A");
    server.data().expect("f", "A");
}

#[test]
fn lock_excludes_other_commands_for_as_long_as_its_own_runs() {
    let server = Server::start();
    let folder = tempfile::TempDir::new().unwrap();
    let counter = folder.path().join("counter");
    std::fs::write(&counter, "0").unwrap();
    // A read, a pause, and a write: without a lock most of these would be lost.
    let script =
        format!("n=$(cat {0}); sleep 0.05; echo $((n + 1)) > {0}", counter.to_str().unwrap());
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let mut command = leasehold_at(&server);
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
    let folder = tempfile::TempDir::new().unwrap();
    let go_on = folder.path().join("go-on");
    let script = format!("echo up; while [ ! -e {} ]; do sleep 0.05; done", go_on.display());
    let mut command = leasehold_at(&server);
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "sh", "-c", &script]));
    assert_eq!(lock.line(), "up");
    server.kill_and_start_again();
    // Two leases: it holds the lock by renewing it with the new server.
    std::thread::sleep(Duration::from_secs(2));
    let mut ann = RawClient::connect("ann", server.udp());
    expect_code(&ann.ask("acquire_lock", &json!({"lock": "f"})), "lock_held");
    std::fs::write(&go_on, "").unwrap();
    assert_eq!(lock.ended_within(PATIENCE).and_then(|status| status.code()), Some(0));
    ann.acquire("f");
}

#[test]
fn lock_passes_a_signal_on_and_gives_the_lock_back() {
    let server = Server::start();
    let mut command = leasehold_at(&server);
    let script = "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "sh", "-c", script]));
    assert_eq!(lock.line(), "up");
    lock.signal(Signal::TERM);
    assert_eq!(lock.line(), "bye");
    assert_eq!(lock.ended_within(PATIENCE).and_then(|status| status.code()), Some(9));
    let mut ann = RawClient::connect("ann", server.udp());
    ann.acquire("f");
}

/// The lock that is lost has its own test, among the mistakes of others.
#[test]
fn where_nobody_answers_the_commands_say_so() {
    let nobody = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
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
        command.args(arguments).env("LEASEHOLD_SERVER", &nobody).env("LEASEHOLD_HTTP", &nobody);
        let outcome = run(&mut command).expect(69);
        assert_eq!(outcome.output, "", "{arguments:?}");
        expect_one_line(&outcome);
    }
}

#[test]
fn wrong_usage_is_told_apart_and_help_is_none() {
    for arguments in [
        &["no-such-command"][..],
        &["serve", "--no-such-flag"],
        &["append"],
        &["lock", "f"],
        &["serve", "--lease-ms", "many"],
        &["status", "--server", "nowhere at all"],
    ] {
        let outcome = run(leasehold().args(arguments)).expect(2);
        assert_eq!(outcome.output, "", "{arguments:?}");
    }
    for command in ["serve", "demo", "lock", "append", "cat", "status", "log", "bench"] {
        let outcome = run(leasehold().args([command, "--help"])).expect(0);
        let example = format!("Examples:\n  leasehold {command}");
        assert!(outcome.output.contains(&example), "no example in\n{}", outcome.output);
    }
}

#[test]
fn sim_lists_tells_and_exports_runs() {
    let list = run(leasehold().arg("sim")).expect(0).output;
    for name in ["five-clients", "gc-pause", "sandbox"] {
        assert!(list.contains(name), "{list}");
    }
    let told = run(leasehold().args(["sim", "gc-pause"])).expect(0).output;
    assert!(told.contains("stale_token") && told.contains("✓ S4"), "{told}");
    let told = run(leasehold().args(["sim", "gc-pause", "--without", "fencing"])).expect(0).output;
    assert!(told.contains("✗ S4") && told.contains("S4 is violated: client_1 writes"), "{told}");
    let again = run(leasehold().args(["sim", "gc-pause", "--without", "fencing"])).expect(0).output;
    assert_eq!(told, again);
    let other = run(leasehold().args(["sim", "gc-pause", "--seed", "8"])).expect(0).output;
    assert_ne!(other.lines().last(), told.lines().last(), "the fingerprint of other luck");

    let json = run(leasehold().args(["sim", "gc-pause", "--json"])).expect(0).output;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "leasehold-trace");
    let log = run(leasehold().args(["sim", "gc-pause", "--shiviz"])).expect(0).output;
    assert!(log.starts_with("(?<event>.*)\\n(?<host>"), "{log}");
    let diagram = run(leasehold().args(["sim", "gc-pause", "--mermaid"])).expect(0).output;
    assert!(diagram.contains("n1->>n0: ") && diagram.contains("Note over n0: "), "{diagram}");

    let wrong = run(leasehold().args(["sim", "gc-paus"])).expect(2);
    assert!(wrong.errors.contains("did you mean gc-pause?"), "{wrong:#?}");
    expect_one_line(&wrong);
    let wrong = run(leasehold().args(["sim", "gc-pause", "--without", "nothing"])).expect(2);
    assert!(wrong.errors.contains("durable-replies"), "{wrong:#?}");
}

#[test]
fn sim_goes_through_storms_and_keeps_what_it_finds() {
    let calm = run(leasehold().args(["sim", "--storms", "50"])).expect(0).output;
    assert!(calm.starts_with("50 storms") && calm.contains("no violation"), "{calm}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    let path = file.to_str().unwrap();
    let storms = ["sim", "--storms", "50", "--without", "dedupe", "--save", path];
    let found = run(leasehold().args(storms)).expect(1).output;
    assert!(found.contains("S3 is violated: "), "{found}");
    let replay = found.lines().find_map(|line| line.split_once("again: leasehold ")).unwrap().1;
    let again = run(leasehold().args(replay.split(' '))).expect(0).output;
    assert!(again.contains("✗ S3"), "{again}");
    let kept = run(leasehold().args(["sim", path])).expect(0).output;
    assert!(kept.contains("✗ S3"), "{kept}");

    let search = ["sim", "sandbox", "--search", "--invariant", "S2", "--save", path];
    let found = run(leasehold().args(search)).expect(0).output;
    assert!(found.starts_with("S2 is violated with 1 fault and "), "{found}");
    let kept = run(leasehold().args(["sim", path])).expect(0).output;
    assert!(kept.contains("✗ S2"), "{kept}");
    let search = ["sim", "gc-pause", "--search", "--faults", "1", "--events", "60"];
    let none = run(leasehold().args(search)).expect(1).output;
    assert!(none.starts_with("none with at most 1 fault and 60 events ("), "{none}");
}
