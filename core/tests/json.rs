//! The house's reader of JSON reads what serde_json reads, and as the same.

mod common;

use std::fmt::Debug;

use common::*;
use leasehold_core::event::Event;
use leasehold_core::json;
use leasehold_core::rng::Rng;
use leasehold_core::sim::{Record, Recording, Scenario, Trace, library};
use leasehold_core::state::State;
use serde::de::{DeserializeOwned, IgnoredAny};

/// What is put into a good text to spoil it, or not.
const SPOILS: &[u8] = b"{}[],:\"\\ \t\n0123456789-+.eEtfnulasx/\x01";

#[track_caller]
fn check<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> bool {
    let ours: Result<T, _> = json::read(text);
    let theirs: Result<T, _> = serde_json::from_str(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{ours:?}, but {theirs:?}: {text}"),
    }
    ours.is_ok()
}

/// Checks a good text, and what becomes of it when a byte is put in, taken out, or another.
fn check_around<T: DeserializeOwned + PartialEq + Debug>(text: &str, seed: u64) {
    assert!(check::<T>(text), "{text}");
    let mut rng = Rng::new(seed);
    let place = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..400 {
        let mut bytes = text.as_bytes().to_vec();
        let at = place(&mut rng, bytes.len());
        let spoil = SPOILS[place(&mut rng, SPOILS.len())];
        match rng.below(3) {
            0 => bytes[at] = spoil,
            1 => bytes.insert(at, spoil),
            _ => drop(bytes.remove(at)),
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        *(if check::<T>(&text) { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}

#[test]
fn scenarios_are_read_as_ever() {
    for (seed, scenario) in (0..).zip(library()) {
        check_around::<Scenario>(&serde_json::to_string(&scenario).unwrap(), seed);
        check_around::<Scenario>(&serde_json::to_string_pretty(&scenario).unwrap(), seed);
    }
}

#[test]
fn recordings_are_read_as_ever() {
    let json = Recording::of(Scenario::named("slow-packet").unwrap().run()).to_json();
    check::<Trace>(&json);
    let recording = Recording::from_json(&json).unwrap();
    for (seed, record) in (0..).zip(&recording.records()[..40]) {
        let text = serde_json::to_string(record).unwrap();
        check_around::<Record>(&text, seed);
    }
}

#[test]
fn a_state_and_its_events_are_read_as_ever() {
    let mut world = World::new();
    let (ann, bob) = (world.open(1, "ann"), world.open(2, "bob"));
    world.ask(ann, 1, acquire("a"));
    world.ask(bob, 1, wait("a", 5_000));
    world.ask(ann, 2, append("a", 1, "a \"line\"\n"));
    world.ask(ann, 3, append("a", 9, "too late"));
    world.ask(ann, 4, acquire("b"));
    world.ask(ann, 5, release("b", 2));
    check_around::<State>(&serde_json::to_string(world.server.state()).unwrap(), 1);
    for (seed, event) in (0..).zip(&world.events) {
        check_around::<Event>(&serde_json::to_string(event).unwrap(), seed);
    }
}

#[test]
fn texts_and_numbers_are_read_as_ever() {
    let good = [
        r#""""#,
        r#""plain""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u00e9\u20AC\ud83d\ude00""#,
        "\"é€😀\"",
    ];
    for text in good {
        assert!(check::<String>(text), "{text}");
    }
    let bad = [
        "",
        "\"",
        r#""\"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u+123""#,
        r#""\ud83d""#,
        r#""\ud83d\n""#,
        r#""\ud83d \ude00""#,
        r#""\ude00""#,
        "\"\n\"",
        "\"\u{7f}",
        "1",
        "null",
        r#""a" "b""#,
        r#""a"x"#,
        r#""\é""#,
        r#""\u00é""#,
    ];
    for text in bad {
        assert!(!check::<String>(text), "{text}");
    }
    for text in ["0", " 7\n", "18446744073709551615"] {
        assert!(check::<u64>(text), "{text}");
    }
    for text in ["-9223372036854775808", "-1", "9223372036854775807"] {
        assert!(check::<i64>(text), "{text}");
    }
    for text in ["", "-", "-1", "+1", "01", "1.5", "1e3", "18446744073709551616", "1 2", "\"1\""] {
        assert!(!check::<u64>(text), "{text}");
    }
    for text in ["-", "- 1", "-01", "--1", "9223372036854775808", "-9223372036854775809"] {
        assert!(!check::<i64>(text), "{text}");
    }
    assert!(!check::<u8>("256"));
    assert!(check::<(u8, Option<bool>)>("[255, null]"));
    assert!(!check::<(u8, bool)>("[1, true, 2]"));
    assert!(!check::<Vec<u8>>("[1, ]"));
    assert!(!check::<Vec<u8>>("[, 1]"));
}

#[test]
fn what_is_passed_over_may_be_anything_but_endless() {
    let read = |text: &str| json::read::<IgnoredAny>(text);
    assert!(read(r#"[{"a": [1.5e3, null, true, "x"], "b": {}}, [], false]"#).is_ok());
    assert!(read(r#"{"a" 1}"#).is_err());
    assert!(read("[1, 2").is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
}

#[test]
fn what_is_indented_is_so_as_ever() {
    let mut scenarios = library();
    scenarios[0].title = r#"\" {"a": [1, 2], "\\"#.to_owned();
    for scenario in scenarios {
        let compact = serde_json::to_string(&scenario).unwrap();
        assert_eq!(json::indented(&compact), serde_json::to_string_pretty(&scenario).unwrap());
    }
}

#[test]
fn an_error_says_where() {
    let told = |text: &str| json::read::<Trace>(text).unwrap_err().to_string();
    assert_eq!(told("{\n \"run\": 7}"), "expected an object at line 2 column 8");
    assert_eq!(told("{}"), "missing field `run` at line 1 column 1");
}
