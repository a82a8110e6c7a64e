//! The numbers of the protocol have 64 bits, and every one of them is exact: a run in which they
//! are large is the same as one in which they are small, except for the numbers.

mod common;

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_sim::*;
use serde_json::Value as Json;

use common::execute;

/// Numbers at which a shorter type overflows or loses bits, and nearly the largest of all.
const BOUNDARIES: [u64; 4] = [1 << 31, 1 << 32, 1 << 53, u64::MAX - (1 << 40)];

/// The fields that contain numbers of the protocol.
const NUMBER_FIELDS: [&str; 8] =
    ["session", "token", "current", "seq", "index", "through", "kept", "number"];

/// Returns a run in which the numbers cross this boundary: sequence numbers those of the first
/// client, all others soon after the start.
fn shifted(run: &Run, boundary: u64) -> Run {
    let (_, trace) = execute(run);
    let first_seq = trace.iter().find_map(|record| {
        let RecordKind::Sent(packet) = record.kind else { return None };
        packet.seq.get().filter(|seq| record.node == NodeId(1) && *seq > 0)
    });
    let mut run = run.clone();
    run.config.numbers_used = NumbersUsed {
        sessions: boundary - 1,
        tokens: boundary - 2,
        seqs: boundary - first_seq.unwrap_or(0) - 1,
        indices: boundary - 20,
    };
    assert_eq!(run.validate(), Ok(()));
    run
}

/// Returns how much larger a field is in the shifted run.
fn distance(used: NumbersUsed, field: &str, message: Option<&str>) -> u64 {
    match (field, message) {
        ("session", _) | ("number", Some("welcome")) => used.sessions,
        ("number", Some("appended" | "outcome")) => 0,
        ("token" | "current" | "number", _) => used.tokens,
        ("seq", _) => used.seqs,
        _ => used.indices,
    }
}

/// Checks that two records are equal but for their numbers, which differ by those that were used.
fn check_record(small: &Json, large: &Json, used: NumbersUsed) {
    let (small_fields, large_fields) = (small.as_object().unwrap(), large.as_object().unwrap());
    assert!(small_fields.keys().eq(large_fields.keys()), "{small}\n{large}");
    for (field, value) in small_fields {
        let other = &large_fields[field];
        if field == "about" {
            check_record(value, other, used);
        } else if !NUMBER_FIELDS.contains(&field.as_str()) || value == other {
            assert_eq!(value, other, "{field}: {small}\n{large}");
        } else {
            let message = small["message"].as_str();
            let expected = value.as_u64().unwrap() + distance(used, field, message);
            assert_eq!(other.as_u64(), Some(expected), "{field}: {small}\n{large}");
        }
    }
}

/// Returns the numbers in a text, and the text without them.
fn split_numbers(text: &str) -> (Vec<u64>, String) {
    let is_digit = |character: char| character.is_ascii_digit();
    let numbers = text.split(|it| !is_digit(it)).filter_map(|it| it.parse().ok()).collect();
    (numbers, text.split(is_digit).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("0"))
}

/// Checks that two texts are equal but for their numbers. Returns whether a number differs.
fn check_text(small: &str, large: &str, used: NumbersUsed) -> bool {
    let ((small_numbers, small_words), (large_numbers, large_words)) =
        (split_numbers(small), split_numbers(large));
    assert_eq!(small_words, large_words);
    assert_eq!(small_numbers.len(), large_numbers.len(), "{small}\n{large}");
    let mut differ = false;
    for (small_number, large_number) in small_numbers.iter().zip(&large_numbers) {
        if small_number != large_number {
            let difference = large_number - small_number;
            let NumbersUsed { sessions, tokens, indices, .. } = used;
            assert!([sessions, tokens, indices].contains(&difference), "{small}\n{large}");
            differ = true;
        }
    }
    differ
}

#[test]
fn storms_with_large_numbers_violate_nothing_and_have_exact_texts() {
    for boundary in BOUNDARIES {
        let mut texts_with_large_numbers = 0;
        for seed in 0..12 {
            let run = storm(seed, &BTreeSet::new());
            let large_run = shifted(&run, boundary);
            let used = large_run.config.numbers_used;
            let (small, large) = (run.execute(), large_run.execute());
            assert_eq!(large.first_violation, None, "seed {seed} near {boundary}");
            assert_eq!(large.statuses, small.statuses);
            assert_eq!(large.trace.len(), small.trace.len(), "seed {seed} near {boundary}");
            let explainers =
                (Explainer::new(&run, &small.trace), Explainer::new(&large_run, &large.trace));
            for (index, (small, large)) in (0_u32..).zip(small.trace.iter().zip(&large.trace)) {
                let json = |record| serde_json::to_value::<&Record>(record).unwrap();
                check_record(&json(small), &json(large), used);
                let describe = |explainer: &Explainer<'_>| {
                    let description = explainer.describe(RecordId(index)).unwrap();
                    let reason = description.reason.clone().unwrap_or_default();
                    format!("{}, because {reason}", description.sentence())
                };
                let texts = (describe(&explainers.0), describe(&explainers.1));
                texts_with_large_numbers += usize::from(check_text(&texts.0, &texts.1, used));
            }
        }
        assert!(texts_with_large_numbers > 1_000, "{texts_with_large_numbers} near {boundary}");
    }
}

#[test]
fn recording_with_large_numbers_survives_an_export() {
    for boundary in BOUNDARIES {
        let run = shifted(&storm(3, &BTreeSet::new()), boundary);
        let recording = Recording::record(run);
        let read = Recording::from_json(&recording.to_json()).unwrap();
        assert_eq!(read, recording);
        assert!(read.violated().is_empty() && read.replays_identically());
    }
}

/// Every violation that the library of scenarios shows is also detected with large numbers.
#[test]
fn scenarios_with_large_numbers_violate_what_they_are_expected_to() {
    for scenario in library() {
        for expected in &scenario.expected {
            let run = shifted(&scenario.run_without(&expected.without), 1 << 53);
            let outcome = run.execute();
            let violated: BTreeSet<Invariant> =
                outcome.violations().into_iter().map(|(invariant, _)| invariant).collect();
            let context = (&scenario.name, &expected.without);
            assert!(violated.is_superset(&expected.violated), "{context:?}: {violated:?}");
            assert!(violated.is_disjoint(&expected.holds), "{context:?}: {violated:?}");
            let explainer = Explainer::new(&run, &outcome.trace);
            for (invariant, witness) in outcome.violations() {
                let text = explainer.violation(invariant, witness).unwrap().text;
                assert!(!text.contains('?') && !text.contains("4294967295"), "{text}");
            }
        }
    }
}

/// Without one protection, storms violate the same invariants at the same records.
#[test]
fn violations_of_storms_do_not_depend_on_the_size_of_numbers() {
    let mut violated = BTreeSet::new();
    for protection in [Protection::Dedupe, Protection::Fencing, Protection::HolderCheck] {
        for seed in 0..25 {
            let run = storm(seed, &BTreeSet::from([protection]));
            let violations = run.execute().violations();
            for boundary in [1 << 32, 1 << 53] {
                let large = shifted(&run, boundary).execute().violations();
                assert_eq!(large, violations, "seed {seed} near {boundary}");
            }
            violated.extend(violations.into_iter().map(|(invariant, _)| invariant));
        }
    }
    for invariant in [Invariant::S2, Invariant::S3, Invariant::S4, Invariant::S6] {
        assert!(violated.contains(&invariant), "no storm violates {invariant}");
    }
}

/// A run of one client that appends two lines, under two tokens that a 64-bit floating-point number
/// cannot distinguish.
fn two_tenures() -> Run {
    let name = |text| Name::new(text).unwrap();
    let turn = [
        ScriptStep::Acquire {
            lock: name("a"),
            wait_ms: 0,
            hold_ms: None,
            give_up_ms: None,
            or_release: None,
        },
        ScriptStep::Append { file: name("a"), check: true, gap_ms: 0 },
        ScriptStep::Release { lock: name("a") },
    ];
    let script = [&turn[..], &turn[..]].concat();
    let client = ClientConfig { name: name("ann"), script, starts_ms: 0, rate_ppm: 0 };
    let config = Config { locks: vec![name("a")], clients: vec![client], ..Config::default() };
    let used = NumbersUsed { tokens: (1 << 53) - 1, ..NumbersUsed::default() };
    Run {
        config: Config { numbers_used: used, ..config },
        seed: 1,
        without: BTreeSet::new(),
        interventions: Vec::new(),
    }
}

#[test]
fn token_that_decreases_by_one_above_2_to_the_53_violates_s2() {
    let run = two_tenures();
    let (_, mut trace) = execute(&run);
    assert!(Checkers::from_trace(&run, &trace).is_clean());
    let mut appends = trace.iter_mut().filter_map(|record| {
        let RecordKind::FileAppended { token, .. } = &mut record.kind else { return None };
        Some(token)
    });
    let (first, second) = (appends.next().unwrap(), appends.next().unwrap());
    std::mem::swap(first, second);
    let checkers = Checkers::from_trace(&run, &trace);
    let witness = checkers.status(Invariant::S2).witness().expect("S2 is violated");
    let violation = Explainer::new(&run, &trace).violation(Invariant::S2, witness).unwrap();
    assert!(
        violation.text.starts_with("token 9007199254740992 follows token 9007199254740993"),
        "{}",
        violation.text
    );
}

/// What follows an unknown number cannot be checked, so nothing is reported as violated.
#[test]
fn checkers_stop_at_an_unknown_number() {
    let run = two_tenures();
    let (_, mut trace) = execute(&run);
    let grant = trace.iter_mut().find_map(|record| {
        let RecordKind::LockGranted { token, .. } = &mut record.kind else { return None };
        Some(token)
    });
    *grant.unwrap() = Number::UNKNOWN;
    let checkers = Checkers::from_trace(&run, &trace);
    assert!(checkers.is_clean(), "{:?}", checkers.violations());
    assert_eq!(checkers.status(Invariant::S4), InvariantStatus::Unchecked);
    let sentence = |index| Explainer::new(&run, &trace).describe(RecordId(index)).unwrap();
    let sentences = (0..u32::try_from(trace.len()).unwrap()).map(|it| sentence(it).sentence());
    assert!(sentences.into_iter().any(|it| it == "server grants a to ann under token ?"));
}
