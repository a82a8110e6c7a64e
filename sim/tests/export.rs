//! Export formats: JSON recordings, ShiViz logs and Mermaid diagrams.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::*;
use serde_json::Value as Json;

fn recordings() -> impl Iterator<Item = Recording> {
    let expected_runs = |scenario: &Scenario| {
        let runs = scenario.expected.iter().map(|it| scenario.run_without(&it.without));
        runs.collect::<Vec<_>>()
    };
    let scenarios: Vec<Run> = library().iter().flat_map(expected_runs).collect();
    let storms = (0..20).map(|seed| storm(seed, &BTreeSet::new()));
    scenarios.into_iter().chain(storms).map(Recording::record)
}

#[test]
fn recording_survives_a_json_round_trip() {
    for recording in recordings() {
        let json = recording.to_json();
        let read = Recording::from_json(&json).unwrap();
        assert_eq!(read, recording);
        assert_eq!(read.fingerprint(), recording.run().execute().fingerprint);
        assert!(read.replays_identically());
        assert_eq!(read.to_json(), json);
    }
}

#[test]
fn events_name_the_rule_and_protection_that_decided_them() {
    let scenario = Scenario::from_name("gc-pause").unwrap();
    let json: Json =
        serde_json::from_str(&Recording::record(scenario.resolve_run()).to_json()).unwrap();
    assert_eq!(
        (json["format"].as_str(), json["version"].as_u64()),
        (Some("leasehold-trace"), Some(1))
    );
    let events = json["events"].as_array().unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["id"], index);
        assert!(event["sentence"].as_str().unwrap().len() > 5, "{event}");
        assert!(
            event["causes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|it| it.is_null() || it.as_u64() < Some(index as u64))
        );
    }
    let is_refusal = |it: &&Json| it["kind"] == "request_refused" && it["message"] == "append_file";
    let refused = events.iter().find(is_refusal).unwrap();
    assert_eq!(refused["rule"], "request_refused stale_token");
    assert_eq!(refused["protection"], "fencing");
    assert!(refused["because"].as_str().unwrap().contains("under token 2"), "{refused}");
}

/// Any text is either read as a recording or rejected with an error.
#[test]
fn invalid_recordings_are_rejected() {
    let valid =
        Recording::record(Scenario::from_name("lost-reply").unwrap().resolve_run()).to_json();
    let json: Json = serde_json::from_str(&valid).unwrap();
    let with = |pointer: &str, value: Json| {
        let mut changed = json.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        Recording::from_json(&changed.to_string()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("/format", "leasehold-trace".into()), Ok(()));
    let cases = [
        ("/format", Json::from("x"), "unexpected format"),
        ("/version", 2.into(), "unsupported format version 2"),
        ("/events/3/node", 7.into(), "invalid event 3: unknown node"),
        ("/events/5/causes", Json::from(vec![9]), "invalid event 5: caused by a later event"),
        ("/events/5/at_us", 0.into(), "invalid event 5: earlier than"),
        ("/run/config/ends_ms", u64::MAX.into(), "invalid run"),
        ("/run/config/clients/0/rate_ppm", (-1_000_000).into(), "invalid run"),
        ("/run/interventions/0/to", 9.into(), "invalid run"),
        ("/run/config/locks", Json::Array(Vec::new()), "invalid run"),
        ("/events", 1.into(), "cannot parse the recording"),
    ];
    for (pointer, value, expected) in cases {
        let error = with(pointer, value).unwrap_err();
        assert!(error.starts_with(expected), "{pointer}: {error}");
    }
    for end in (0..valid.len()).step_by(97) {
        assert!(Recording::from_json(&valid[..end]).is_err());
    }
}

/// Each event has two lines, and the second is a host and its vector clock. A host counts its own
/// events, and the components for other hosts never decrease.
#[test]
fn shiviz_log_has_correct_vector_clocks() {
    for recording in recordings() {
        let text = shiviz(&recording);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"));
        assert_eq!(lines.next(), Some(""));
        let mut known: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        let mut count = 0;
        while let Some(event) = lines.next() {
            assert!(!event.is_empty());
            let (host, clock) = lines.next().unwrap().split_once(' ').unwrap();
            let clock: BTreeMap<String, u64> = serde_json::from_str(clock).unwrap();
            let before = known.remove(host).unwrap_or_default();
            assert_eq!(clock[host], before.get(host).unwrap_or(&0) + 1, "{event}");
            for (other, count) in before {
                assert!(clock[&other] >= count, "{event}");
            }
            for (other, count) in clock.iter().filter(|(other, _)| *other != host) {
                assert!(known.get(other).and_then(|it| it.get(other)) >= Some(count), "{event}");
            }
            known.insert(host.to_owned(), clock);
            count += 1;
        }
        assert_eq!(count, recording.records().len());
    }
}

/// The recipient of a packet merges the sender's clock; before that it knows only itself.
#[test]
fn vector_clocks_follow_the_packets() {
    let recording = Recording::record(Scenario::from_name("lost-reply").unwrap().resolve_run());
    let text = shiviz(&recording);
    let clocks: Vec<&str> = text.lines().skip(3).step_by(2).collect();
    let arrived =
        recording.records().iter().position(|it| matches!(it.kind, RecordKind::Arrived(_)));
    let clock = clocks[arrived.unwrap()];
    assert!(clock.starts_with("server {") && clock.contains("client_1"), "{clock}");
    assert!(clocks[0].starts_with("server {\"server\":1}"), "{}", clocks[0]);
}

#[test]
fn sequence_diagram_shows_packets_losses_and_violations() {
    let scenario = Scenario::from_name("lost-reply").unwrap();
    let without = [Protection::Dedupe].into();
    let text = mermaid(&Recording::record(scenario.run_without(&without)), Importance::Step);
    assert!(text.starts_with(
        "sequenceDiagram\n    participant n1 as client_1\n    participant n0 as server\n"
    ));
    assert!(text.contains("n1->>n0: "), "{text}");
    assert!(text.contains("n0-->>n1: "), "{text}");
    assert!(text.contains("n0-xn1: ") && text.contains("appended file_0 #35;1: lost"), "{text}");
    assert!(text.contains("✗ S3 violated"), "{text}");
    for line in text.lines().skip(1) {
        let after = line.split_once(": ").map_or("", |(_, label)| label);
        assert!(!after.replace("#35;", "").replace("#59;", "").contains([';', '#']), "{line}");
    }
}
