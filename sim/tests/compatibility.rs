//! Recordings that released versions wrote must be readable, and replay identically.

use leasehold_sim::{Invariant, Recording};

#[track_caller]
fn check(json: &str, violated: Invariant) {
    let recording = Recording::from_json(json).expect("a recording of a released version");
    assert!(recording.replays_identically(), "the run has changed");
    let found: Vec<Invariant> =
        recording.violated().into_iter().map(|(invariant, _)| invariant).collect();
    assert!(found.contains(&violated), "{found:?}");
}

#[test]
fn recordings_of_version_0_1_0_are_read_and_replay_identically() {
    check(include_str!("fixtures/recording-0.1.0-gc-pause.json"), Invariant::S2);
    check(include_str!("fixtures/recording-0.1.0-lost-reply.json"), Invariant::S3);
}
