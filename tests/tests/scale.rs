//! `cargo xtask scale`: that each of its parts measures what it says. How fast anything is, no test
//! asserts.

use std::fs;
use std::path::Path;
use std::process::Command;

use leasehold_tests::command::{leasehold, run, xtask_measure};

/// What `scale` says of one part, with all of it small, short, and by the program under test.
#[track_caller]
fn quickly(part: &str) -> String {
    let mut command: Command = xtask_measure();
    command.args(["scale", "--quick", part, "--program"]);
    command.arg(leasehold().get_program());
    let outcome = run(&mut command).expect(0);
    assert!(outcome.output.contains("| goal | measured | reached |"), "{outcome:#?}");
    outcome.output
}

/// Panics unless there is a row for each of these.
#[track_caller]
fn expect_rows(table: &str, rows: &[&str]) {
    for row in rows {
        let has_row = table.lines().any(|line| line.starts_with("| ") && line.contains(row));
        assert!(has_row, "no {row} in\n{table}");
    }
}

#[test]
fn rates_are_beside_the_echo() {
    expect_rows(&quickly("rates"), &["`append`, 8 clients", "`heartbeats`, 8", "the echo |"]);
}

#[test]
fn sessions_cost_throughput_and_memory() {
    let table = quickly("sessions");
    expect_rows(&table, &["`lock`: 300 sessions", "`heartbeats`: 300", "memory of a session"]);
}

#[test]
fn a_lock_goes_from_hand_to_hand() {
    expect_rows(&quickly("hand-off"), &["200 locks held, 30 waiters", "two clients |"]);
}

#[test]
fn a_journal_is_recovered() {
    let table = quickly("recovery");
    expect_rows(&table, &["ready within 3 s, 500 events", "events replayed"]);
}

#[test]
fn latencies_are_told_with_and_without_a_snapshot() {
    let table = quickly("snapshot");
    expect_rows(&table, &["no snapshot was taken", "between snapshots | longest"]);
}

#[test]
fn viewers_cost_throughput_and_processor_time() {
    let table = quickly("viewers");
    let time = "the server's processor time with 2 viewers that read everything";
    expect_rows(&table, &[time, "a viewer that has stopped reading", "the readers themselves"]);
}

#[test]
fn a_soak_finds_every_acknowledged_line() {
    let table = quickly("soak");
    expect_rows(&table, &["no other | 0 violations", "kills of the server", "resident memory |"]);
}

#[test]
fn the_document_has_the_goals_that_the_template_explains() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scale.md");
    let document = fs::read_to_string(document).expect("docs/scale.md");
    for part in ["rates", "sessions", "hand-off", "recovery", "snapshot", "viewers", "soak"] {
        assert!(document.contains(&format!("<!-- measured: {part} -->")), "{part}");
    }
}
