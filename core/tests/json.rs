//! The house's reader of JSON reads what serde_json reads, and as the same.

mod common;
#[path = "common/json.rs"]
mod reading;

use common::*;
use leasehold_core::event::Event;
use leasehold_core::json;
use leasehold_core::state::State;
use reading::*;
use serde::de::IgnoredAny;

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
