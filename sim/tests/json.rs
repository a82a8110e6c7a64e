//! The house's reader of JSON reads what serde_json reads, and as the same.

#[path = "../../core/tests/common/json.rs"]
mod reading;

use leasehold_core::json;
use leasehold_sim::{Record, Recording, Scenario, Trace, library};
use reading::*;

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
