//! What stands in JSON: every variant as it is written, read again and written once more, and what
//! is said of what can't be read.

use std::collections::BTreeSet;
use std::fmt::Debug;

use leasehold_core::event::{Event, Fact};
use leasehold_core::json;
use leasehold_core::refusal::Refusal;
use leasehold_core::sim::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Each is read, and written as it stands there; together they have so many words for `tag`.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    tag: &str,
    count: usize,
    all: &[impl AsRef<str>],
) {
    let mut words = BTreeSet::new();
    for line in all.iter().map(AsRef::as_ref) {
        let read: T = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        // The same by way of a tree, where texts are not borrowed.
        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json::read::<T>(line).unwrap(), read);
        words.insert(tree[tag].as_str().unwrap().to_owned());
        assert_eq!(serde_json::from_value::<T>(tree).unwrap(), read);
    }
    assert_eq!(words.len(), count, "{words:?}");
}

/// None can be read; with each is what must be in what is said of it.
#[track_caller]
fn refuse<T: DeserializeOwned + Debug>(all: &[(&str, &str)]) {
    for (text, expected) in all {
        let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        let error = json::read::<T>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

const FACTS: &[&str] = &[
    r#"{"type":"server_started","unix_ms":1700000000000,"token_floor":3}"#,
    r#"{"type":"server_stopped"}"#,
    r#"{"type":"session_opened","session_no":1,"client":"me","lease_ms":5000}"#,
    r#"{"type":"session_expired","session_no":1,"client":"me"}"#,
    r#"{"type":"session_closed","session_no":1,"client":"me","seq":4,"attempt":1}"#,
    r#"{"type":"lock_queued","lock":"a","session_no":1,"client":"me","seq":4,"attempt":0,"wait_ms":9}"#,
    r#"{"type":"lock_queued","lock":"a","session_no":1,"client":"me","seq":4,"attempt":0,"wait_ms":9,"hold_ms":7}"#,
    r#"{"type":"lock_granted","lock":"a","session_no":1,"client":"me","token":2,"seq":4,"attempt":0,"from_queue":true}"#,
    r#"{"type":"lock_granted","lock":"a","session_no":1,"client":"me","token":2,"seq":4,"attempt":0,"hold_ms":7,"from_queue":false}"#,
    r#"{"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"released","seq":4,"attempt":0}"#,
    r#"{"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"lease_expired"}"#,
    r#"{"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"hold_expired"}"#,
    r#"{"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"closed"}"#,
    r#"{"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"cancelled","seq":4,"attempt":0}"#,
    r#"{"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"timeout"}"#,
    r#"{"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":3,"cause":"session_ended"}"#,
    r#"{"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":10,"data":"\"ü\"\n","seq":4,"attempt":0}"#,
    r#"{"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":10,"data_b64":"/wD+","seq":4,"attempt":0}"#,
    r#"{"type":"request_refused","op":"hello","code":"bad_name","seq":0,"attempt":0}"#,
    r#"{"type":"request_refused","session_no":1,"client":"me","op":"append_file","name":"a","given":3,"code":"stale_token","current":4,"seq":4,"attempt":2}"#,
    r#"{"type":"request_refused","session_no":1,"client":"me","op":"acquire_lock","name":"a","code":"already_held","token":4,"seq":4,"attempt":0}"#,
    r#"{"type":"duplicate_answered","session_no":1,"client":"me","op":"release_lock","seq":4,"attempt":1}"#,
    r#"{"type":"lease_renewed","session_no":1,"client":"me","op":"heartbeat","seq":4,"attempt":0}"#,
    r#"{"type":"datagram_dropped","reason":"bad_key"}"#,
];

const REFUSALS: &[&str] = &[
    r#"{"code":"bad_request"}"#,
    r#"{"code":"too_large","limit":1200}"#,
    r#"{"code":"bad_name"}"#,
    r#"{"code":"unknown_session"}"#,
    r#"{"code":"stale_seq"}"#,
    r#"{"code":"seq_reused"}"#,
    r#"{"code":"window_full","window":8}"#,
    r#"{"code":"overloaded","bound":"waiters"}"#,
    r#"{"code":"rate_limited","retry_after":30}"#,
    r#"{"code":"storage_failed"}"#,
    r#"{"code":"lock_held","retry_after":30}"#,
    r#"{"code":"wait_timeout"}"#,
    r#"{"code":"already_held","token":4}"#,
    r#"{"code":"not_waiting"}"#,
    r#"{"code":"not_holder"}"#,
    r#"{"code":"stale_token","current":0}"#,
];

const ACTIONS: &[&str] = &[
    r#"{"action":"crash","node":0,"keeps_unflushed":true}"#,
    r#"{"action":"restart","node":0}"#,
    r#"{"action":"pause","node":1,"ms":14000}"#,
    r#"{"action":"resume","node":1}"#,
    r#"{"action":"cut","from":1,"to":0}"#,
    r#"{"action":"heal","from":1,"to":0}"#,
    r#"{"action":"isolate","node":2}"#,
    r#"{"action":"rejoin","node":2}"#,
    r#"{"action":"skew","node":1,"ms":-5000}"#,
    r#"{"action":"drift","node":1,"ppm":-100}"#,
    r#"{"action":"degrade","from":1,"to":0,"loss_ppm":5,"delay_us":6}"#,
    r#"{"action":"packet","from":1,"to":0,"message":"append_file","nth":2,"fate":"drop"}"#,
    r#"{"action":"packet","from":1,"to":0,"message":"append_file","nth":2,"fate":"duplicate","after_ms":3}"#,
    r#"{"action":"packet","from":0,"to":1,"message":"granted","nth":1,"fate":"delay","by_ms":4}"#,
    r#"{"action":"packet","from":0,"to":1,"message":"granted","nth":1,"fate":"deliver"}"#,
    r#"{"action":"fail_flush","keeps":false}"#,
    r#"{"action":"fail_writes","count":3}"#,
    r#"{"action":"slow_disk","by_ms":200}"#,
    r#"{"action":"calm"}"#,
];

const STEPS: &[&str] = &[
    r#"{"do":"acquire","lock":"a","wait_ms":0}"#,
    r#"{"do":"acquire","lock":"a","wait_ms":1,"hold_ms":2,"give_up_ms":3}"#,
    r#"{"do":"work","ms":2000}"#,
    r#"{"do":"append","file":"a","check":true,"gap_ms":0}"#,
    r#"{"do":"append","file":"a","check":false,"gap_ms":5}"#,
    r#"{"do":"release","lock":"a"}"#,
    r#"{"do":"close"}"#,
    r#"{"do":"repeat","times":4294967295}"#,
];

const MEASURES: &[&str] = &[
    r#"{"of":"next_holder","lock":0}"#,
    r#"{"of":"freed_after_ms","lock":0}"#,
    r#"{"of":"next_append","client":1}"#,
    r#"{"of":"lines","lock":0}"#,
    r#"{"of":"believers","lock":0}"#,
    r#"{"of":"believers_most","lock":0}"#,
    r#"{"of":"sent","message":"heartbeat"}"#,
    r#"{"of":"next_token","lock":0}"#,
    r#"{"of":"violated","invariant":"S4"}"#,
];

const KINDS: &[&str] = &[
    r#"{"kind":"started"}"#,
    r#"{"kind":"crashed","kept":3}"#,
    r#"{"kind":"restarted"}"#,
    r#"{"kind":"paused","ms":4294967295}"#,
    r#"{"kind":"resumed"}"#,
    r#"{"kind":"clock_jumped","ms":-5}"#,
    r#"{"kind":"clock_drifted","ppm":-5}"#,
    r#"{"kind":"cut","to":1}"#,
    r#"{"kind":"healed","to":1}"#,
    r#"{"kind":"degraded","to":1}"#,
    r#"{"kind":"disk_slowed","by_ms":5}"#,
    r#"{"kind":"calmed"}"#,
    r#"{"kind":"sent","packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0}"#,
    r#"{"kind":"arrived","packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0}"#,
    r#"{"kind":"lost","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"why":"overflow"}"#,
    r#"{"kind":"doubled","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"copy":2}"#,
    r#"{"kind":"moved","about":{"packet":1,"peer":0,"message":"hello","lock":255,"number":0,"seq":0},"by_ms":-7}"#,
    r#"{"kind":"recovered","through":1,"sessions":2,"tenures":3,"waits":4}"#,
    r#"{"kind":"kept","lock":0,"client":1,"session":2,"token":3}"#,
    r#"{"kind":"kept_wait","lock":0,"client":1,"session":2,"seq":3}"#,
    r#"{"kind":"session_opened","client":1,"session":2,"index":3}"#,
    r#"{"kind":"session_expired","client":1,"session":2,"index":3}"#,
    r#"{"kind":"session_closed","client":1,"session":2,"index":3}"#,
    r#"{"kind":"lock_queued","lock":0,"client":1,"session":2,"seq":3,"position":4,"index":5}"#,
    r#"{"kind":"lock_granted","lock":0,"client":1,"session":2,"seq":3,"token":4,"from_queue":true,"index":5}"#,
    r#"{"kind":"lock_released","lock":0,"client":1,"session":2,"seq":3,"token":4,"cause":"hold_expired","by":1,"index":5}"#,
    r#"{"kind":"wait_ended","lock":0,"client":1,"session":2,"seq":3,"cause":"timeout","index":5}"#,
    r#"{"kind":"file_appended","lock":0,"client":1,"session":2,"seq":3,"token":4,"line":5,"index":6}"#,
    r#"{"kind":"request_refused","client":1,"message":"append_file","lock":0,"token":3,"current":4,"code":"stale_token","seq":5}"#,
    r#"{"kind":"lease_renewed","client":1,"session":2,"seq":3}"#,
    r#"{"kind":"duplicate_answered","client":1,"message":"append_file","session":2,"seq":3}"#,
    r#"{"kind":"stored","through":9}"#,
    r#"{"kind":"write_failed"}"#,
    r#"{"kind":"flush_failed"}"#,
    r#"{"kind":"called","message":"append_file","lock":0,"token":1}"#,
    r#"{"kind":"answered","message":"append_file","lock":0,"token":1,"end":"no_answer"}"#,
    r#"{"kind":"believed","lock":0,"token":1,"until_us":18446744073709551615}"#,
    r#"{"kind":"disbelieved","lock":0,"token":1,"cause":"lapsed"}"#,
    r#"{"kind":"checked","lock":0,"holds":true}"#,
    r#"{"kind":"working","ms":5}"#,
    r#"{"kind":"session_lost"}"#,
    r#"{"kind":"finished"}"#,
    r#"{"kind":"ended"}"#,
];

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
    let around = |head: &str, all: &[&str], tail: &str| -> Vec<String> {
        let inner = all.iter().map(|line| &line[1..line.len() - 1]);
        inner.map(|inner| format!("{{{head}{inner}{tail}}}")).collect()
    };
    check::<Event>("type", 14, &around(r#""index":5,"at_ms":1234,"#, FACTS, ""));
    check::<Intervention>("action", 16, &around(r#""at_ms":7,"#, ACTIONS, ""));
    check::<Intervention>("action", 16, ACTIONS);
    let head = r#""at_us":9,"local_ms":8,"node":1,"#;
    for causes in ["[]", "[3]", "[3,4]", "[null,4]"] {
        check::<Record>("kind", 43, &around(head, KINDS, &format!(r#","causes":{causes}"#)));
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
fn what_is_wrong_with_an_event_is_called_by_its_name() {
    refuse::<Event>(&[
        (r#"{"at_ms":1,"type":"server_stopped"}"#, "missing field `index`"),
        (r#"{"index":1,"type":"server_stopped"}"#, "missing field `at_ms`"),
        (r#"{"index":1,"at_ms":1}"#, "missing field `type`"),
        (r#"{"index":1,"at_ms":1,"type":"lock_lost"}"#, "unknown type `lock_lost`"),
        (
            r#"{"index":1,"at_ms":1,"type":"session_opened","session_no":1,"client":"me"}"#,
            "missing field `lease_ms`",
        ),
        (
            r#"{"index":1,"at_ms":1,"type":"session_closed","session_no":1,"client":"me"}"#,
            "missing field `seq`",
        ),
        (
            r#"{"index":1,"at_ms":1,"type":"session_expired","session_no":1,"client":".."}"#,
            "a name is",
        ),
    ]);
    refuse::<Fact>(&[
        (
            r#"{"type":"lock_released","lock":"a","session_no":1,"client":"me","token":2,"cause":"timeout"}"#,
            "unknown variant `timeout`",
        ),
        (
            r#"{"type":"wait_ended","lock":"a","session_no":1,"client":"me","waited":2}"#,
            "missing field `cause`",
        ),
        (
            r#"{"type":"file_appended","file":"a","session_no":1,"client":"me","token":2,"offset":1,"seq":4}"#,
            "either data or data_b64",
        ),
        (r#"{"type":"request_refused","op":"hello","seq":0}"#, "missing field `code`"),
        (r#"{"type":"request_refused","op":"hello","seq":0,"code":"no"}"#, "unknown code `no`"),
        (
            r#"{"type":"request_refused","op":"hello","seq":0,"code":"lock_held"}"#,
            "missing field `retry_after`",
        ),
        (
            r#"{"type":"request_refused","op":"dance","seq":0,"code":"bad_name"}"#,
            "unknown variant `dance`",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_run_is_called_by_its_name() {
    refuse::<Intervention>(&[
        (r#"{"at_ms":1}"#, "missing field `action`"),
        (r#"{"at_ms":1,"action":"explode"}"#, "unknown action `explode`"),
        (r#"{"at_ms":1,"action":"pause","node":1}"#, "missing field `ms`"),
        (r#"{"at_ms":1,"action":"pause","node":1,"ms":-1}"#, "ms is out of range"),
        (
            r#"{"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"eaten"}"#,
            "unknown fate `eaten`",
        ),
        (
            r#"{"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"delay"}"#,
            "missing field `by_ms`",
        ),
        (
            r#"{"action":"packet","from":1,"message":"hello","nth":1,"fate":"drop"}"#,
            "missing field `to`",
        ),
    ]);
    refuse::<Step>(&[
        (r#"{"lock":"a"}"#, "missing field `do`"),
        (r#"{"do":"dance"}"#, "unknown do `dance`"),
        (r#"{"do":"acquire"}"#, "missing field `lock`"),
        (r#"{"do":"repeat"}"#, "missing field `times`"),
    ]);
    refuse::<Measure>(&[
        (r#"{"lock":0}"#, "missing field `of`"),
        (r#"{"of":"luck"}"#, "unknown of `luck`"),
        (r#"{"of":"lines"}"#, "missing field `lock`"),
        (r#"{"of":"lines","lock":0,"client":1}"#, "client"),
        (r#"{"of":"lines","lock":0,"colour":1}"#, "unknown field `colour`"),
    ]);
    refuse::<Record>(&[
        (r#"{"at_us":1,"local_ms":1,"node":0,"causes":[]}"#, "missing field `kind`"),
        (r#"{"at_us":1,"local_ms":1,"node":0,"kind":"ended"}"#, "missing field `causes`"),
        (r#"{"at_us":1,"local_ms":1,"node":0,"kind":"begun","causes":[]}"#, "unknown kind `begun`"),
        (
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"crashed","causes":[]}"#,
            "missing field `kept`",
        ),
        (
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"working","ms":4294967296,"causes":[]}"#,
            "ms is out of range",
        ),
    ]);
    refuse::<Choice>(&[(r#"{"text":"a","is":-1}"#, "a number from 0 on, or a word")]);
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
