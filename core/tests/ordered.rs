//! The house's maps and sets do what those of the standard library do.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_core::ordered::{Map, Set};
use leasehold_core::rng::Rng;

#[track_caller]
fn expect_same(ours: &Map<u64, u64>, theirs: &BTreeMap<u64, u64>) {
    assert!(ours.iter().eq(theirs));
    assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
    assert_eq!(ours.first().map(|(key, value)| (key, value)), theirs.first_key_value());
}

/// Puts in and takes out by luck; of so many keys.
fn check(seed: u64, keys: u64, goes: u64) {
    let mut rng = Rng::new(seed);
    let (mut ours, mut theirs) = (Map::new(), BTreeMap::new());
    for go in 0..goes {
        let key = rng.below(keys);
        // First more come than go, then the other way round.
        let comes = rng.happens(if go < goes / 2 { 700_000 } else { 300_000 });
        match (rng.below(8), comes) {
            (0, _) => *ours.or_default(key) = go,
            (1, false) => assert_eq!(ours.pop_first(), theirs.pop_first()),
            (_, true) => assert_eq!(ours.insert(key, go), theirs.insert(key, go)),
            (_, false) => assert_eq!(ours.remove(&key), theirs.remove(&key)),
        }
        if ours.get(&key) == Some(&go) {
            *theirs.entry(key).or_default() = go;
        }
        let other = rng.below(keys);
        assert_eq!(ours.get(&other), theirs.get(&other));
        assert_eq!(ours.contains_key(&other), theirs.contains_key(&other));
        assert_eq!(ours.get_mut(&other), theirs.get_mut(&other));
        if go % 64 == 0 {
            expect_same(&ours, &theirs);
        }
    }
    ours.values_mut().for_each(|value| *value += 1);
    theirs.values_mut().for_each(|value| *value += 1);
    expect_same(&ours, &theirs);
    ours.retain(|key, value| (*key + *value).is_multiple_of(3));
    theirs.retain(|key, value| (*key + *value).is_multiple_of(3));
    expect_same(&ours, &theirs);
}

#[test]
fn a_map_is_as_ever_whatever_is_done_to_it() {
    for seed in 0..20 {
        check(seed, 20, 2_000);
        check(seed, 1_000, 4_000);
        check(seed, 1 << 40, 4_000);
    }
}

#[test]
fn keys_in_order_and_against_it_are_found_again() {
    let up: Map<u64, u64> = (0..1_000).map(|key| (key, key * 2)).collect();
    let down: Map<u64, u64> = (0..1_000).rev().map(|key| (key, key * 2)).collect();
    assert_eq!(up, down, "however it came about");
    assert!((0..1_000).all(|key| up[&key] == key * 2));
    assert_eq!(up.get(&1_000), None);
    let mut less = up.clone();
    less.remove(&500);
    assert_ne!(less, up);
}

#[test]
fn a_set_has_each_key_once() {
    let mut set: Set<u64> = [3, 1, 2, 3].into_iter().collect();
    assert!(!set.insert(2) && set.insert(9) && set.remove(&1) && !set.remove(&1));
    assert_eq!(format!("{set:?}"), "{2, 3, 9}");
    assert_eq!((set.len(), set.first(), set.contains(&3)), (3, Some(&2), true));
    set.retain(|key| *key != 3);
    assert_eq!(set.pop_first(), Some(2));
    assert!(!set.is_empty() && set.iter().eq(&[9]));
}

#[test]
fn in_json_they_are_those_of_the_standard_library() {
    let theirs: BTreeMap<u64, BTreeSet<u64>> = [(2, [5, 4].into()), (1, [].into())].into();
    let json = serde_json::to_string(&theirs).unwrap();
    let ours: Map<u64, Set<u64>> = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&ours).unwrap(), json);
    assert!(serde_json::from_str::<Map<u64, u64>>("[]").is_err());
    assert!(serde_json::from_str::<Set<u64>>("{}").is_err());
}
