//! `cargo xtask scale`: each of its parts reports what it measures. No test asserts how fast
//! anything is.

use std::fs;
use std::path::Path;
use std::process::Command;

use leasehold_tests::command::{leasehold, run, xtask_measure};

/// Returns the report of one part, measured with small and short runs of the program under test.
#[track_caller]
fn quick_report(part: &str) -> String {
    let mut command: Command = xtask_measure();
    command.args(["scale", "--quick", part, "--program"]);
    command.arg(leasehold().get_program());
    let outcome = run(&mut command).expect(0);
    assert!(outcome.stdout.contains("| goal | measured | reached |"), "{outcome:#?}");
    outcome.stdout
}

/// Checks that a table contains a row for each of `rows`.
#[track_caller]
fn expect_rows(table: &str, rows: &[&str]) {
    for row in rows {
        let has_row = table.lines().any(|line| line.starts_with("| ") && line.contains(row));
        assert!(has_row, "no {row} in\n{table}");
    }
}

#[test]
fn rates_are_compared_with_an_echo() {
    expect_rows(&quick_report("rates"), &["`append`, 8 clients", "`heartbeats`, 8", "the echo |"]);
}

#[test]
fn sessions_are_measured_by_throughput_and_memory() {
    let table = quick_report("sessions");
    expect_rows(&table, &["`lock`: 300 sessions", "`heartbeats`: 300", "memory of a session"]);
}

#[test]
fn hand_offs_are_measured() {
    expect_rows(&quick_report("hand-off"), &["200 locks held, 30 waiters", "two clients |"]);
}

#[test]
fn recovery_is_measured() {
    let table = quick_report("recovery");
    expect_rows(&table, &["ready within 3 s, 500 events", "events replayed"]);
}

#[test]
fn latencies_are_measured_with_and_without_a_snapshot() {
    let table = quick_report("snapshot");
    expect_rows(&table, &["no snapshot was taken", "between snapshots | longest"]);
}

#[test]
fn viewers_are_measured_by_throughput_and_processor_time() {
    let table = quick_report("viewers");
    let time = "the server's processor time with 2 viewers that read everything";
    expect_rows(&table, &[time, "a viewer that has stopped reading", "the readers themselves"]);
}

#[test]
fn a_soak_test_finds_every_acknowledged_line() {
    let table = quick_report("soak");
    expect_rows(&table, &["no other | 0 violations", "kills of the server", "resident memory |"]);
}

#[test]
fn the_document_contains_every_part() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scale.md");
    let document = fs::read_to_string(document).expect("docs/scale.md");
    for part in ["rates", "sessions", "hand-off", "recovery", "snapshot", "viewers", "soak"] {
        assert!(document.contains(&format!("<!-- measured: {part} -->")), "{part}");
    }
}
