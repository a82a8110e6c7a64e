//! Checks for types that are serialized as JSON.

#![allow(unreachable_pub, reason = "several test crates include this file as a module")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Checks that each line is deserialized and serialized without a change, from text and from a
/// JSON value, and that together they have `count` different codes in the field `tag`.
#[track_caller]
pub fn check_round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    tag: &str,
    count: usize,
    lines: &[impl AsRef<str>],
) {
    let mut codes = BTreeSet::new();
    for line in lines.iter().map(AsRef::as_ref) {
        let value: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(serde_json::to_string(&value).unwrap(), line);
        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
        codes.insert(tree[tag].as_str().unwrap().to_owned());
        assert_eq!(serde_json::from_value::<T>(tree).unwrap(), value);
    }
    assert_eq!(codes.len(), count, "{codes:?}");
}

/// Checks that each text is rejected, with an error message that contains the given part.
#[track_caller]
pub fn check_rejected<T: DeserializeOwned + Debug>(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
