//! Runs are equal on every platform, native and WebAssembly: their fingerprints are recorded here.
//!
//! A change that alters runs shows here which ones. `UPDATE_EXPECT=1` records them again.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use leasehold_sim::*;

/// The fingerprints that a native build has recorded.
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
fn fingerprints_are_equal_on_every_platform() {
    let fingerprints = fingerprints();
    #[cfg(not(target_family = "wasm"))]
    expect_test::expect_file!["fingerprints.txt"].assert_eq(&fingerprints);
    assert_eq!(fingerprints, EXPECTED);
}
