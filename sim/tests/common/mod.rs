//! Helpers of the integration tests.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses some of them")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use leasehold_sim::{Record, Run, World};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Executes a run to its end, and returns the final world and the trace.
pub fn execute(run: &Run) -> (World, Vec<Record>) {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    (world, trace)
}

/// Checks that each line of JSON is read and written unchanged, and that the lines contain `count`
/// different values of the field `tag`.
#[track_caller]
pub fn check_round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    tag: &str,
    count: usize,
    lines: &[impl AsRef<str>],
) {
    let mut tags = BTreeSet::new();
    for line in lines.iter().map(AsRef::as_ref) {
        let read: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
        tags.insert(tree[tag].as_str().unwrap().to_owned());
        assert_eq!(serde_json::from_value::<T>(tree).unwrap(), read);
    }
    assert_eq!(tags.len(), count, "{tags:?}");
}

/// Checks that each text is rejected with an error that contains the expected words.
#[track_caller]
pub fn check_rejected<T: DeserializeOwned + Debug>(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
