//! A run goes the same way on every machine, natively and in a browser: here are the fingerprints
//! that all of them have to come to.
//!
//! Whoever changes how runs go reads here which, and writes them anew with `UPDATE_EXPECT=1`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use leasehold_sim::*;

/// As they were written natively.
const EXPECTED: &str = include_str!("fingerprints.txt");

fn fingerprints() -> String {
    let mut text = String::new();
    for scenario in library() {
        for expected in &scenario.expected {
            let names: Vec<&str> = expected.without.iter().map(|it| it.name()).collect();
            let fingerprint = scenario.run_without(&expected.without).execute().fingerprint;
            let without = names.join(",");
            writeln!(text, "{} [{without}] {fingerprint:016x}", scenario.name).unwrap();
        }
    }
    for seed in 0..200 {
        let fingerprint = storm(seed, &BTreeSet::new()).execute().fingerprint;
        writeln!(text, "storm {seed} {fingerprint:016x}").unwrap();
    }
    text
}

#[test]
fn every_machine_comes_to_the_same_fingerprints() {
    let fingerprints = fingerprints();
    #[cfg(not(target_family = "wasm"))]
    expect_test::expect_file!["fingerprints.txt"].assert_eq(&fingerprints);
    assert_eq!(fingerprints, EXPECTED);
}
