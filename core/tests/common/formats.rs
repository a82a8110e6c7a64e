//! Values in JSON, to be read and written, or refused.

#![allow(unreachable_pub, reason = "what tests share is for nobody else")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Each is read, and written as it stands there; together they have so many words for `tag`.
#[track_caller]
pub fn check_round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    tag: &str,
    count: usize,
    all: &[impl AsRef<str>],
) {
    let mut words = BTreeSet::new();
    for line in all.iter().map(AsRef::as_ref) {
        let read: T = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
        words.insert(tree[tag].as_str().unwrap().to_owned());
        assert_eq!(serde_json::from_value::<T>(tree).unwrap(), read);
    }
    assert_eq!(words.len(), count, "{words:?}");
}

/// None can be read; with each is what must be in what is said of it.
#[track_caller]
pub fn check_rejected<T: DeserializeOwned + Debug>(all: &[(&str, &str)]) {
    for (text, expected) in all {
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
