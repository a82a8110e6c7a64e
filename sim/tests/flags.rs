//! The flags of violations: short texts that name the invariant and say what is wrong.

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_sim::*;

/// Returns the flags of all violations of a run, after checking their form.
fn flags(run: &Run) -> Vec<String> {
    let outcome = run.execute();
    let explainer = Explainer::new(run, &outcome.trace);
    let flag = |(invariant, witness): (Invariant, RecordId)| {
        let flag = explainer.flag(invariant, witness);
        assert!(flag.chars().count() <= 40, "{flag}");
        assert!(flag.starts_with(&format!("{invariant} · ")), "{flag}");
        flag
    };
    outcome.violations().into_iter().map(flag).collect()
}

#[track_caller]
fn check(scenario: &str, without: &str, expected: &[&str]) {
    let scenario = Scenario::from_name(scenario).unwrap();
    let without = BTreeSet::from([Protection::from_name(without).unwrap()]);
    assert_eq!(flags(&scenario.run_without(&without)), expected);
}

#[test]
fn flags_say_what_is_wrong() {
    check(
        "gc-pause",
        "fencing",
        &["S2 · token went backwards: 1 after 2", "S4 · client_1 writes without the lock"],
    );
    check("lost-reply", "dedupe", &["S3 · request executed twice"]);
    check(
        "amnesia",
        "durable-replies",
        &["S5 · acknowledged state was lost", "S7 · client_1 wrongly believes"],
    );
    check(
        "late-release",
        "holder-check",
        &["S6 · client_1 released client_2's lock", "S7 · client_2 wrongly believes"],
    );
    check("fair-waiting", "fifo", &["S8 · client_4 before client_2"]);
    check("deadlock", "lock-order", &["L2 · not served: client_1, client_2"]);
}

#[test]
fn flags_are_short_whatever_the_names_are() {
    for scenario in library() {
        for expected in &scenario.expected {
            let mut run = scenario.run_without(&expected.without);
            let detailed = flags(&run);
            assert_eq!(detailed.len(), expected.violated.len());
            for (index, client) in run.config.clients.iter_mut().enumerate() {
                client.name = Name::new(&format!("{index}{}", "x".repeat(60))).unwrap();
            }
            let short = flags(&run);
            assert_eq!(short.len(), detailed.len());
            assert!(!short.iter().any(|flag| flag.contains("xx")), "{short:?}");
        }
    }
}

#[test]
fn violations_of_storms_have_flags() {
    let mut seen = BTreeSet::new();
    for protection in Protection::ALL {
        for seed in 0..30 {
            for flag in flags(&storm(seed, &[protection].into())) {
                seen.insert(flag.split(' ').next().unwrap().to_owned());
            }
        }
    }
    assert!(seen.len() > 5, "{seen:?}");
}
