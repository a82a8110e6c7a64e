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

/// One line of a sequence diagram.
#[derive(Debug, PartialEq)]
enum Statement {
    Title,
    Participant(String),
    /// Arrow, sender, recipient and label.
    Message(String, [String; 2], String),
    Note(String),
}

/// Parses a line by the grammar of Mermaid, as far as exports use it: no statement contains `;` or
/// `#`, apart from entities, because both end it.
fn parse_statement(line: &str) -> Option<Statement> {
    let line = line.strip_prefix("    ")?;
    let is_id = |it: &str| it.len() >= 2 && it.starts_with('n') && it[1..].parse::<u32>().is_ok();
    let is_text = |it: &str| {
        let mut plain = it.to_owned();
        for code in ["#35;", "#59;"] {
            plain = plain.replace(code, "");
        }
        !it.trim().is_empty() && !plain.contains(['#', ';', '\n'])
    };
    if let Some(title) = line.strip_prefix("title ") {
        return is_text(title).then_some(Statement::Title);
    }
    if let Some(participant) = line.strip_prefix("participant ") {
        let (id, name) = participant.split_once(" as ")?;
        return (is_id(id) && is_text(name)).then(|| Statement::Participant(id.to_owned()));
    }
    if let Some(note) = line.strip_prefix("Note over ") {
        let (id, text) = note.split_once(": ")?;
        return (is_id(id) && is_text(text)).then(|| Statement::Note(id.to_owned()));
    }
    let (ends, label) = line.split_once(": ")?;
    // The longest arrow that matches, as in Mermaid's lexer.
    let arrow = ["-->>", "->>", "--x", "-x"].into_iter().find(|arrow| ends.contains(arrow))?;
    let (from, to) = ends.split_once(arrow)?;
    let is_valid = is_id(from) && is_id(to) && is_text(label);
    let ends = [from.to_owned(), to.to_owned()];
    is_valid.then(|| Statement::Message(arrow.to_owned(), ends, label.to_owned()))
}

#[test]
fn every_sequence_diagram_is_valid_and_has_an_arrow_for_each_packet() {
    for recording in recordings() {
        let text = mermaid(&recording, "A run; #7", Importance::Release);
        assert!(text.len() < 50_000, "Mermaid rejects {} bytes", text.len());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("sequenceDiagram"));
        let (mut declared, mut arrows) = (BTreeSet::new(), 0);
        for line in lines {
            let statement = parse_statement(line).unwrap_or_else(|| panic!("invalid: {line}"));
            let used = match statement {
                Statement::Title => Vec::new(),
                Statement::Participant(id) => {
                    assert!(declared.insert(id), "{line}");
                    Vec::new()
                }
                Statement::Message(arrow, ends, label) => {
                    assert_eq!(arrow.ends_with('x'), label.ends_with(": lost"), "{line}");
                    arrows += 1;
                    ends.to_vec()
                }
                Statement::Note(id) => vec![id],
            };
            assert!(used.iter().all(|id| declared.contains(id)), "{line}");
        }
        assert_eq!(declared.len(), recording.run().config.clients.len() + 1);
        let is_arrow = |it: &&Record| {
            matches!(it.kind, RecordKind::Arrived(_) | RecordKind::Lost { .. })
                && Importance::from_record(it) >= Importance::Step
        };
        let expected = recording.records().iter().filter(is_arrow).count();
        assert!(arrows == expected || text.contains("the run continues after"), "{arrows}");
        assert!(arrows > 0 || expected == 0);
    }
}

#[test]
fn sequence_diagram_shows_packets_losses_and_violations() {
    let scenario = Scenario::from_name("lost-reply").unwrap();
    let without = [Protection::Dedupe].into();
    let recording = Recording::record(scenario.run_without(&without));
    let text = mermaid(&recording, "Lost reply, without dedupe", Importance::Release);
    let head = "sequenceDiagram\n    title Lost reply, without dedupe\n    participant n1 as \
        client_1\n    participant n0 as server\n";
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains("n1->>n0: "), "{text}");
    assert!(text.contains("n0-->>n1: "), "{text}");
    assert!(text.contains("n0--xn1: ") && text.contains("appended file_0 #35;1: lost"), "{text}");
    assert!(text.contains("✗ S3 violated"), "{text}");
    assert!(text.contains("Note over n0: "), "decisions are notes: {text}");
}

/// The test next to this one is an export, so it is known to compile and to pass.
#[test]
fn exported_rust_test_is_the_one_that_is_compiled_here() {
    let scenario = Scenario::from_name("gc-pause").unwrap();
    let run = scenario.run_without(&[Protection::Fencing].into());
    let violated: Vec<Invariant> = run
        .execute_within(200_000)
        .unwrap()
        .checkers()
        .violations()
        .iter()
        .map(|it| it.0)
        .collect();
    let source = rust_test("gc-pause", &run, &violated);
    if std::env::var_os("LEASEHOLD_BLESS").is_some() {
        std::fs::write("tests/exported_test.rs", &source).unwrap();
    }
    assert_eq!(source, include_str!("exported_test.rs"), "set LEASEHOLD_BLESS to update it");
}

#[test]
fn exported_rust_test_of_any_name_has_a_valid_function_name() {
    let run = Scenario::from_name("lost-reply").unwrap().resolve_run();
    for (name, expected) in [("7 “x”", "fn replays_7__x_()"), ("", "fn replays_()")] {
        let source = rust_test(name, &run, &[]);
        assert!(source.contains(expected), "{source}");
        assert!(source.contains("let expected: &[&str] = &[];"), "{source}");
    }
}
