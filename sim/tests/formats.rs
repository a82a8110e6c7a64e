//! What stands in JSON: every variant as it is written, read again and written once more, and what
//! is said of what can't be read.

#[path = "../../core/tests/common/formats.rs"]
mod common;

use common::*;
use leasehold_sim::*;

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
    check::<Action>("action", 16, ACTIONS);
    check::<ScriptStep>("do", 6, STEPS);
    check::<Measure>("of", 9, MEASURES);
    check::<RecordKind>("kind", 43, KINDS);
}

/// The object around them has its own fields beside theirs.
#[test]
fn what_is_around_a_variant_is_read_with_it() {
    let around = |head: &str, all: &[&str], tail: &str| -> Vec<String> {
        let inner = all.iter().map(|line| &line[1..line.len() - 1]);
        inner.map(|inner| format!("{{{head}{inner}{tail}}}")).collect()
    };
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
        let read: ScriptStep = serde_json::from_str(short).unwrap();
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
}

#[test]
fn what_is_wrong_with_a_run_is_called_by_its_name() {
    refuse::<Intervention>(&[
        (r#"{"at_ms":1}"#, "missing field `action`"),
        (r#"{"at_ms":1,"action":"explode"}"#, "unknown variant `explode`"),
        (r#"{"at_ms":1,"action":"pause","node":1}"#, "missing field `ms`"),
        (r#"{"at_ms":1,"action":"pause","node":1,"ms":-1}"#, "invalid value: integer"),
        (
            r#"{"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"eaten"}"#,
            "unknown variant `eaten`",
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
    refuse::<ScriptStep>(&[
        (r#"{"lock":"a"}"#, "missing field `do`"),
        (r#"{"do":"dance"}"#, "unknown variant `dance`"),
        (r#"{"do":"acquire"}"#, "missing field `lock`"),
        (r#"{"do":"repeat"}"#, "missing field `times`"),
    ]);
    refuse::<Measure>(&[
        (r#"{"lock":0}"#, "missing field `of`"),
        (r#"{"of":"luck"}"#, "unknown variant `luck`"),
        (r#"{"of":"lines"}"#, "missing field `lock`"),
        (r#"{"of":"lines","lock":0,"client":1}"#, "client"),
        (r#"{"of":"lines","lock":0,"colour":1}"#, "unknown field `colour`"),
    ]);
    refuse::<Record>(&[
        (r#"{"at_us":1,"local_ms":1,"node":0,"causes":[]}"#, "missing field `kind`"),
        (r#"{"at_us":1,"local_ms":1,"node":0,"kind":"ended"}"#, "missing field `causes`"),
        (
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"begun","causes":[]}"#,
            "unknown variant `begun`",
        ),
        (
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"crashed","causes":[]}"#,
            "missing field `kept`",
        ),
        (
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"working","ms":4294967296,"causes":[]}"#,
            "invalid value: integer",
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
        assert_eq!(read.resolve_run(), scenario.resolve_run());
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::from_value::<Scenario>(tree).unwrap(), read);
    }
}
