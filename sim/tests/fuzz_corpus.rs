//! Replays the seed corpora of the fuzz targets for files that a user opens, so that a stable
//! toolchain runs them.
//!
//! - No seed makes a parser panic.
//! - A seed whose name begins with `valid_` is accepted. A seed whose name begins with `invalid_`
//!   is rejected. Seeds with other names, such as those from a fuzzer, may be either.
#![cfg(not(target_family = "wasm"))]

use std::fs;
use std::path::Path;

use leasehold_sim::{Recording, Scenario};

/// Returns the seeds of a target, by name. The targets read text, so a seed is UTF-8.
#[track_caller]
fn seeds(target: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read corpus {}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("the corpus can be listed").path();
            let name = path.file_name().expect("a seed has a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a seed is text"))
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "corpus {} is empty", folder.display());
    seeds
}

/// Checks that a seed was accepted or rejected as its name says.
#[track_caller]
fn check_verdict(name: &str, is_accepted: bool) {
    assert!(is_accepted || !name.starts_with("valid_"), "{name} was rejected");
    assert!(!is_accepted || !name.starts_with("invalid_"), "{name} was accepted");
}

#[test]
fn replay_fuzz_corpora() {
    for (name, text) in seeds("recording") {
        check_verdict(&name, Recording::from_json(&text).is_ok());
    }
    for (name, text) in seeds("scenario") {
        check_verdict(&name, serde_json::from_str::<Scenario>(&text).is_ok());
    }
}
