//! Replays the seed corpus of the fuzz target for records of the log, so that a stable toolchain
//! runs it.
//!
//! - No seed makes the decoder panic.
//! - A seed whose name begins with `valid_` is accepted, and one with `invalid_` is rejected.
//!   Other names, such as those that a fuzzer chooses, promise nothing.

use std::fs;
use std::path::Path;

use leasehold_server::log::decode_batch;

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

#[test]
fn replay_fuzz_corpora() {
    for (name, bytes) in seeds("log_record") {
        let is_accepted = decode_batch(&bytes).is_ok();
        assert!(is_accepted || !name.starts_with("valid_"), "{name} was rejected");
        assert!(!is_accepted || !name.starts_with("invalid_"), "{name} was accepted");
    }
}
