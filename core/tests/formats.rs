//! What stands in JSON: every variant as it is written, read again and written once more, and what
//! is said of what can't be read.

use std::collections::BTreeSet;
use std::fmt::Debug;

use leasehold_core::event::{Event, Fact};
use leasehold_core::refusal::Refusal;
use leasehold_core::sim::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Each line is read, and written as it stands there; each has another word for `tag`.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(tag: &str, count: usize, all: &str) {
    let mut words = BTreeSet::new();
    for line in all.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let read: T = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        // The same by way of a tree, where texts are not borrowed.
        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
        words.insert(tree[tag].as_str().unwrap().to_owned());
        assert_eq!(serde_json::from_value::<T>(tree).unwrap(), read);
    }
    assert_eq!(words.len(), count, "{words:?}");
}

/// Each line is what can't be read, `|`, and what must be in what is said of it.
#[track_caller]
fn refuse<T: DeserializeOwned + Debug>(all: &str) {
    for line in all.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once(" | ").unwrap();
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

const FACTS: &str = r#"
    {"type":"server_started","unix_ms":1700000000000,"token_floor":3}
    {"type":"server_stopped"}
    {"type":"session_opened","session_no":1,"client":"me","lease_ms":5000}
    {"type":"session_expired","session_no":1,"client":"me"}
    {"type":"session_closed","session_no":1,"client":"me","seq":4,"attempt":1}
    {"type":"lock_queued","lock":"a","session_no":1,"client":"me","seq":4,"attempt":0,"wait_ms":9}
    {"type":"lock_queued","lock":"a","session_no":1,"client":"me","seq":4,"attempt":0,"wait_ms":9,"hold_ms":7}
    {"type":"lock_granted","lock":"a","session_no":1,"client":"me","token":2,"seq":4,"attempt":0,"from_queue":true}
    {"type":"lock_granted","lock":"a","session_no":1,"client":"me","token":2,"seq":4,"attempt":0,"hold_ms":7,"from_queue":false}
    {"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"released","seq":4,"attempt":0}
    {"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"lease_expired"}
    {"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"hold_expired"}
    {"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"closed"}
    {"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"cancelled","seq":4,"attempt":0}
    {"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"timeout"}
    {"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"session_ended"}
    {"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":10,"data":"\"ü\"\n","seq":4,"attempt":0}
    {"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":10,"data_b64":"/wD+","seq":4,"attempt":0}
    {"type":"request_refused","op":"hello","code":"bad_name","seq":0,"attempt":0}
    {"type":"request_refused","session_no":1,"client":"me","op":"append_file","name":"a","given":3,"code":"stale_token","current":4,"seq":4,"attempt":2}
    {"type":"request_refused","session_no":1,"client":"me","op":"acquire_lock","name":"a","code":"already_held","token":4,"seq":4,"attempt":0}
    {"type":"duplicate_answered","session_no":1,"client":"me","op":"release_lock","seq":4,"attempt":1}
    {"type":"lease_renewed","session_no":1,"client":"me","op":"heartbeat","seq":4,"attempt":0}
    {"type":"datagram_dropped","reason":"bad_key"}
"#;

const REFUSALS: &str = r#"
    {"code":"bad_request"}
    {"code":"too_large","limit":1200}
    {"code":"bad_name"}
    {"code":"unknown_session"}
    {"code":"stale_seq"}
    {"code":"seq_reused"}
    {"code":"window_full","window":8}
    {"code":"overloaded","bound":"waiters"}
    {"code":"rate_limited","retry_after":30}
    {"code":"storage_failed"}
    {"code":"lock_held","retry_after":30}
    {"code":"wait_timeout"}
    {"code":"already_held","token":4}
    {"code":"not_waiting"}
    {"code":"not_holder"}
    {"code":"stale_token","current":0}
"#;

const ACTIONS: &str = r#"
    {"action":"crash","node":0,"keeps_unflushed":true}
    {"action":"restart","node":0}
    {"action":"pause","node":1,"ms":14000}
    {"action":"resume","node":1}
    {"action":"cut","from":1,"to":0}
    {"action":"heal","from":1,"to":0}
    {"action":"isolate","node":2}
    {"action":"rejoin","node":2}
    {"action":"skew","node":1,"ms":-5000}
    {"action":"drift","node":1,"ppm":-100}
    {"action":"degrade","from":1,"to":0,"loss_ppm":5,"delay_us":6}
    {"action":"packet","from":1,"to":0,"message":"append_file","nth":2,"fate":"drop"}
    {"action":"packet","from":1,"to":0,"message":"append_file","nth":2,"fate":"duplicate","after_ms":3}
    {"action":"packet","from":0,"to":1,"message":"granted","nth":1,"fate":"delay","by_ms":4}
    {"action":"packet","from":0,"to":1,"message":"granted","nth":1,"fate":"deliver"}
    {"action":"fail_flush","keeps":false}
    {"action":"fail_writes","count":3}
    {"action":"slow_disk","by_ms":200}
    {"action":"calm"}
"#;

const STEPS: &str = r#"
    {"do":"acquire","lock":"a","wait_ms":0}
    {"do":"acquire","lock":"a","wait_ms":1,"hold_ms":2,"give_up_ms":3}
    {"do":"work","ms":2000}
    {"do":"append","file":"a","check":true,"gap_ms":0}
    {"do":"append","file":"a","check":false,"gap_ms":5}
    {"do":"release","lock":"a"}
    {"do":"close"}
    {"do":"repeat","times":4294967295}
"#;

const MEASURES: &str = r#"
    {"of":"next_holder","lock":0}
    {"of":"freed_after_ms","lock":0}
    {"of":"next_append","client":1}
    {"of":"lines","lock":0}
    {"of":"believers","lock":0}
    {"of":"believers_most","lock":0}
    {"of":"sent","message":"heartbeat"}
    {"of":"next_token","lock":0}
    {"of":"violated","invariant":"S4"}
"#;

const KINDS: &str = r#"
    {"kind":"started"}
    {"kind":"crashed","kept":3}
    {"kind":"restarted"}
    {"kind":"paused","ms":4294967295}
    {"kind":"resumed"}
    {"kind":"clock_jumped","ms":-5}
    {"kind":"clock_drifted","ppm":-5}
    {"kind":"cut","to":1}
    {"kind":"healed","to":1}
    {"kind":"degraded","to":1}
    {"kind":"disk_slowed","by_ms":5}
    {"kind":"calmed"}
    {"kind":"sent","packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0}
    {"kind":"arrived","packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0}
    {"kind":"lost","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"why":"overflow"}
    {"kind":"doubled","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"copy":2}
    {"kind":"moved","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"by_ms":-7}
    {"kind":"recovered","through":1,"sessions":2,"tenures":3,"waits":4}
    {"kind":"kept","lock":0,"client":1,"session":2,"token":3}
    {"kind":"kept_wait","lock":0,"client":1,"session":2,"seq":3}
    {"kind":"session_opened","client":1,"session":2,"index":3}
    {"kind":"session_expired","client":1,"session":2,"index":3}
    {"kind":"session_closed","client":1,"session":2,"index":3}
    {"kind":"lock_queued","lock":0,"client":1,"session":2,"seq":3,"position":4,"index":5}
    {"kind":"lock_granted","lock":0,"client":1,"session":2,"seq":3,"token":4,"from_queue":true,"index":5}
    {"kind":"lock_released","lock":0,"client":1,"session":2,"seq":3,"token":4,"cause":"hold_expired","by":1,"index":5}
    {"kind":"wait_ended","lock":0,"client":1,"session":2,"seq":3,"cause":"timeout","index":5}
    {"kind":"file_appended","lock":0,"client":1,"session":2,"seq":3,"token":4,"line":5,"index":6}
    {"kind":"request_refused","client":1,"message":"append_file","lock":0,"token":3,"current":4,"code":"stale_token","seq":5}
    {"kind":"lease_renewed","client":1,"session":2,"seq":3}
    {"kind":"duplicate_answered","client":1,"message":"append_file","session":2,"seq":3}
    {"kind":"stored","through":9}
    {"kind":"write_failed"}
    {"kind":"flush_failed"}
    {"kind":"called","message":"append_file","lock":0,"token":1}
    {"kind":"answered","message":"append_file","lock":0,"token":1,"end":"no_answer"}
    {"kind":"believed","lock":0,"token":1,"until_us":18446744073709551615}
    {"kind":"disbelieved","lock":0,"token":1,"cause":"lapsed"}
    {"kind":"checked","lock":0,"holds":true}
    {"kind":"working","ms":5}
    {"kind":"session_lost"}
    {"kind":"finished"}
    {"kind":"ended"}
"#;

#[test]
fn every_variant_is_read_as_it_is_written() {
    check::<Fact>("type", 14, FACTS);
    check::<Refusal>("code", 16, REFUSALS);
    check::<Action>("action", 16, ACTIONS);
    check::<Step>("do", 6, STEPS);
    check::<Measure>("of", 9, MEASURES);
    check::<Kind>("kind", 43, KINDS);
}

/// The object around them has its own fields beside theirs.
#[test]
fn what_is_around_a_variant_is_read_with_it() {
    let around = |head: &str, all: &str, tail: &str| -> String {
        let lines = all.lines().map(str::trim).filter(|line| !line.is_empty());
        let inner = lines.map(|line| line.trim_start_matches('{').trim_end_matches('}'));
        inner.map(|inner| format!("{{{head}{inner}{tail}}}")).collect::<Vec<_>>().join("\n")
    };
    check::<Event>("type", 14, &around(r#""index":5,"at_ms":1234,"#, FACTS, ""));
    check::<Intervention>("action", 16, &around(r#""at_ms":7,"#, ACTIONS, ""));
    check::<Intervention>("action", 16, ACTIONS);
    // An object at the end of one of these would lose its own brace.
    let kinds: String =
        KINDS.lines().filter(|it| !it.contains("about")).collect::<Vec<_>>().join("\n");
    let head = r#""at_us":9,"local_ms":8,"node":1,"#;
    for causes in ["[]", "[3]", "[3,4]", "[null,4]"] {
        check::<Record>("kind", 40, &around(head, &kinds, &format!(r#","causes":{causes}"#)));
    }
}

#[test]
fn what_may_be_left_out_is_what_it_is_by_default() {
    let same = |short: &str, whole: &str| {
        let read: Step = serde_json::from_str(short).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), whole);
    };
    same(r#"{"lock":"a","do":"acquire"}"#, r#"{"do":"acquire","lock":"a","wait_ms":0}"#);
    same(r#"{"do":"append","file":"a"}"#, r#"{"do":"append","file":"a","check":true,"gap_ms":0}"#);
    let same = |short: &str, whole: &str| {
        let read: Action = serde_json::from_str(short).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), whole);
    };
    same(
        r#"{"action":"crash","node":1}"#,
        r#"{"action":"crash","node":1,"keeps_unflushed":false}"#,
    );
    same(r#"{"action":"fail_flush"}"#, r#"{"action":"fail_flush","keeps":false}"#);
    let packet =
        r#"{"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"duplicate""#;
    same(&format!("{packet}}}"), &format!("{packet},\"after_ms\":0}}"));
    // What a later version adds is passed over.
    let renewed =
        r#"{"type":"lease_renewed","session_no":1,"client":"me","op":"close","seq":4,"new":[{}]}"#;
    assert!(serde_json::from_str::<Fact>(renewed).is_ok());
}

#[test]
fn what_is_missing_or_unknown_is_called_by_its_name() {
    refuse::<Event>(
        r#"
        {"at_ms":1,"type":"server_stopped"} | missing field `index`
        {"index":1,"type":"server_stopped"} | missing field `at_ms`
        {"index":1,"at_ms":1} | missing field `type`
        {"index":1,"at_ms":1,"type":"lock_lost"} | unknown type `lock_lost`
        {"index":1,"at_ms":1,"type":"session_opened","session_no":1,"client":"me"} | missing field `lease_ms`
        {"index":1,"at_ms":1,"type":"session_closed","session_no":1,"client":"me"} | missing field `seq`
        {"index":1,"at_ms":1,"type":"session_expired","session_no":1,"client":".."} | a name is
        "#,
    );
    refuse::<Fact>(
        r#"
        {"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"timeout"} | unknown variant `timeout`
        {"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":2} | missing field `cause`
        {"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":1,"seq":4} | either data or data_b64
        {"type":"request_refused","op":"hello","seq":0} | missing field `code`
        {"type":"request_refused","op":"hello","seq":0,"code":"no"} | unknown code `no`
        {"type":"request_refused","op":"hello","seq":0,"code":"lock_held"} | missing field `retry_after`
        {"type":"request_refused","op":"dance","seq":0,"code":"bad_name"} | unknown variant `dance`
        "#,
    );
    refuse::<Intervention>(
        r#"
        {"at_ms":1} | missing field `action`
        {"at_ms":1,"action":"explode"} | unknown action `explode`
        {"at_ms":1,"action":"pause","node":1} | missing field `ms`
        {"at_ms":1,"action":"pause","node":1,"ms":-1} | ms is out of range
        {"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"eaten"} | unknown fate `eaten`
        {"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"delay"} | missing field `by_ms`
        {"action":"packet","from":1,"message":"hello","nth":1,"fate":"drop"} | missing field `to`
        "#,
    );
    refuse::<Step>(
        r#"
        {"lock":"a"} | missing field `do`
        {"do":"dance"} | unknown do `dance`
        {"do":"acquire"} | missing field `lock`
        {"do":"repeat"} | missing field `times`
        "#,
    );
    refuse::<Measure>(
        r#"
        {"lock":0} | missing field `of`
        {"of":"luck"} | unknown of `luck`
        {"of":"lines"} | missing field `lock`
        {"of":"lines","lock":0,"client":1} | client
        {"of":"lines","lock":0,"colour":1} | unknown field `colour`
        "#,
    );
    refuse::<Record>(
        r#"
        {"at_us":1,"local_ms":1,"node":0,"causes":[]} | missing field `kind`
        {"at_us":1,"local_ms":1,"node":0,"kind":"ended"} | missing field `causes`
        {"at_us":1,"local_ms":1,"node":0,"kind":"begun","causes":[]} | unknown kind `begun`
        {"at_us":1,"local_ms":1,"node":0,"kind":"crashed","causes":[]} | missing field `kept`
        {"at_us":1,"local_ms":1,"node":0,"kind":"working","ms":4294967296,"causes":[]} | ms is out of range
        "#,
    );
    refuse::<Choice>(r#"{"text":"a","is":-1} | a number from 0 on, or a word"#);
}

#[test]
fn every_scenario_is_read_as_it_is_written() {
    for scenario in library() {
        // Not compared with the scenario itself: the first of its kind is written as no number.
        let json = serde_json::to_string(&scenario).unwrap();
        let read: Scenario = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(read.run(), scenario.run());
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::from_value::<Scenario>(tree).unwrap(), read);
    }
}
