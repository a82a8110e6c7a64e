//! The JSON formats: each variant is read and written unchanged, and errors name the field.

mod common;

use leasehold_sim::*;

use common::{check_rejected, check_round_trip};

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
    r#"{"do":"acquire","lock":"a","wait_ms":0,"or_release":"b"}"#,
    r#"{"do":"work","ms":2000}"#,
    r#"{"do":"append","file":"a","check":true,"gap_ms":0}"#,
    r#"{"do":"append","file":"a","check":false,"gap_ms":5}"#,
    r#"{"do":"release","lock":"a"}"#,
    r#"{"do":"read","file":"a","update_lines":2}"#,
    r#"{"do":"close"}"#,
    r#"{"do":"repeat","times":4294967295}"#,
];

const MEASURES: &[&str] = &[
    r#"{"of":"next_holder","lock":0}"#,
    r#"{"of":"freed_after_ms","lock":0}"#,
    r#"{"of":"next_append","client":1}"#,
    r#"{"of":"next_release","client":1}"#,
    r#"{"of":"next_read","client":1}"#,
    r#"{"of":"waiting_in_cycle"}"#,
    r#"{"of":"lines","lock":0}"#,
    r#"{"of":"believers","lock":0}"#,
    r#"{"of":"believers_most","lock":0}"#,
    r#"{"of":"sent","message":"heartbeat"}"#,
    r#"{"of":"next_token","lock":0}"#,
    r#"{"of":"violated","invariant":"S4"}"#,
];

const RECORD_KINDS: &[&str] = &[
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
    r#"{"kind":"file_appended","lock":0,"client":1,"session":4294967296,"seq":9007199254740993,"token":18446744073709551614,"line":70000,"index":2147483648}"#,
    r#"{"kind":"lease_renewed","client":1,"session":2,"seq":3}"#,
    r#"{"kind":"duplicate_answered","client":1,"message":"append_file","session":2,"seq":3}"#,
    r#"{"kind":"stored","through":9}"#,
    r#"{"kind":"stored","through":18446744073709551615}"#,
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
    r#"{"kind":"unseen","events":1000000000000}"#,
    r#"{"kind":"unseen","events":null}"#,
    r#"{"kind":"file_read","lock":0,"lines":1,"torn":true}"#,
];

#[test]
fn every_variant_survives_a_json_round_trip() {
    check_round_trip::<Action>("action", 16, ACTIONS);
    check_round_trip::<ScriptStep>("do", 7, STEPS);
    check_round_trip::<Measure>("of", 12, MEASURES);
    check_round_trip::<RecordKind>("kind", 45, RECORD_KINDS);
}

/// The JSON of a variant is flattened into an object with other fields.
#[test]
fn flattened_variants_keep_the_fields_of_the_outer_object() {
    let wrap = |prefix: &str, lines: &[&str], suffix: &str| -> Vec<String> {
        let inner = lines.iter().map(|line| &line[1..line.len() - 1]);
        inner.map(|inner| format!("{{{prefix}{inner}{suffix}}}")).collect()
    };
    check_round_trip::<Intervention>("action", 16, &wrap(r#""at_ms":7,"#, ACTIONS, ""));
    check_round_trip::<Intervention>("action", 16, ACTIONS);
    let prefix = r#""at_us":9,"local_ms":8,"node":1,"#;
    for causes in ["[]", "[3]", "[3,4]", "[null,4]"] {
        check_round_trip::<Record>(
            "kind",
            45,
            &wrap(prefix, RECORD_KINDS, &format!(r#","causes":{causes}"#)),
        );
    }
}

#[test]
fn omitted_fields_have_their_defaults() {
    let check_default = |short: &str, complete: &str| {
        let read: ScriptStep = serde_json::from_str(short).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), complete);
    };
    check_default(r#"{"lock":"a","do":"acquire"}"#, r#"{"do":"acquire","lock":"a","wait_ms":0}"#);
    check_default(r#"{"do":"read","file":"a"}"#, r#"{"do":"read","file":"a","update_lines":1}"#);
    check_default(
        r#"{"do":"append","file":"a"}"#,
        r#"{"do":"append","file":"a","check":true,"gap_ms":0}"#,
    );
    let check_default = |short: &str, complete: &str| {
        let read: Action = serde_json::from_str(short).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), complete);
    };
    check_default(
        r#"{"action":"crash","node":1}"#,
        r#"{"action":"crash","node":1,"keeps_unflushed":false}"#,
    );
    check_default(r#"{"action":"fail_flush"}"#, r#"{"action":"fail_flush","keeps":false}"#);
    let packet =
        r#"{"action":"packet","from":1,"to":0,"message":"hello","nth":1,"fate":"duplicate""#;
    check_default(&format!("{packet}}}"), &format!("{packet},\"after_ms\":0}}"));
}

#[test]
fn errors_in_runs_name_the_field() {
    check_rejected::<Intervention>(&[
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
    check_rejected::<ScriptStep>(&[
        (r#"{"lock":"a"}"#, "missing field `do`"),
        (r#"{"do":"dance"}"#, "unknown variant `dance`"),
        (r#"{"do":"acquire"}"#, "missing field `lock`"),
        (r#"{"do":"repeat"}"#, "missing field `times`"),
    ]);
    check_rejected::<Measure>(&[
        (r#"{"lock":0}"#, "missing field `of`"),
        (r#"{"of":"colour"}"#, "unknown variant `colour`"),
        (r#"{"of":"lines"}"#, "missing field `lock`"),
        (r#"{"of":"lines","lock":0,"client":1}"#, "client"),
        (r#"{"of":"lines","lock":0,"colour":1}"#, "unknown field `colour`"),
    ]);
    check_rejected::<Record>(&[
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
            r#"{"at_us":1,"local_ms":1,"node":0,"kind":"working","ms":-1,"causes":[]}"#,
            "invalid value: integer",
        ),
    ]);
    check_rejected::<Choice>(&[(r#"{"text":"a","is":-1}"#, "a non-negative integer or a string")]);
}

#[test]
fn scenarios_survive_a_json_round_trip() {
    for scenario in library() {
        // Not compared with the scenario itself: `nth` 1 is omitted, and is read as 0.
        let json = serde_json::to_string(&scenario).unwrap();
        let read: Scenario = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(read.resolve_run(), scenario.resolve_run());
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::from_value::<Scenario>(tree).unwrap(), read);
    }
}
