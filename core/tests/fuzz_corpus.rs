//! Replays the seed corpora of the fuzz targets for datagrams, so that stable toolchains run them.
//!
//! - No seed makes a decoder panic.
//! - A seed whose name begins with `valid_` is accepted, and encodes to bytes that decode to the
//!   same value. A seed whose name begins with `invalid_` is rejected. Other names, such as those
//!   that a fuzzer chooses, promise nothing.
#![cfg(not(target_family = "wasm"))]

use std::fs;
use std::path::Path;

use leasehold_core::wire::{Reply, Request};

/// Returns the seeds of a target, by name.
#[track_caller]
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read corpus {}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("the corpus can be listed").path();
            let name = path.file_name().expect("a seed has a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a seed can be read"))
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
    for (name, bytes) in seeds("request") {
        let decoded = Request::decode(&bytes);
        check_verdict(&name, decoded.is_ok());
        if let Ok(request) = decoded {
            let mut encoded = Vec::new();
            request.encode(&mut encoded);
            assert_eq!(Request::decode(&encoded), Ok(request), "{name}");
        }
    }
    for (name, bytes) in seeds("reply") {
        let decoded = Reply::decode(&bytes);
        check_verdict(&name, decoded.is_ok());
        if let Ok(reply) = decoded {
            let mut encoded = Vec::new();
            reply.encode(&mut encoded);
            assert!(Reply::decode(&encoded).is_ok(), "{name}");
        }
    }
}
