//! The JSON formats of events and refusals: every variant round-trips, and errors name the mistake.

#[path = "common/formats.rs"]
mod common;

use common::*;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::refusal::Refusal;

const EVENT_KINDS: &[&str] = &[
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

#[test]
fn every_variant_round_trips_through_json() {
    check_round_trip::<EventKind>("type", 14, EVENT_KINDS);
    check_round_trip::<Refusal>("code", 16, REFUSALS);
}

#[test]
fn flattened_kind_round_trips_within_its_event() {
    let wrap = |prefix: &str, lines: &[&str], suffix: &str| -> Vec<String> {
        let inner = lines.iter().map(|line| &line[1..line.len() - 1]);
        inner.map(|inner| format!("{{{prefix}{inner}{suffix}}}")).collect()
    };
    check_round_trip::<Event>("type", 14, &wrap(r#""index":5,"at_ms":1234,"#, EVENT_KINDS, ""));
}

#[test]
fn fields_of_later_versions_are_ignored() {
    let renewed =
        r#"{"type":"lease_renewed","session_no":1,"client":"me","op":"close","seq":4,"new":[{}]}"#;
    assert!(serde_json::from_str::<EventKind>(renewed).is_ok());
}

#[test]
fn decoding_errors_name_the_field() {
    check_rejected::<Event>(&[
        (r#"{"at_ms":1,"type":"server_stopped"}"#, "missing field `index`"),
        (r#"{"index":1,"type":"server_stopped"}"#, "missing field `at_ms`"),
        (r#"{"index":1,"at_ms":1}"#, "missing field `type`"),
        (r#"{"index":1,"at_ms":1,"type":"lock_lost"}"#, "unknown variant `lock_lost`"),
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
            "invalid name",
        ),
    ]);
    check_rejected::<EventKind>(&[
        (r#"{"type":"server_stopped","type":"server_stopped"}"#, "duplicate field `type`"),
        (
            r#"{"type":"lease_renewed","session_no":1,"client":"me","op":"close","seq":4,"seq":4}"#,
            "duplicate field `seq`",
        ),
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
            "exactly one of data and data_b64",
        ),
        (r#"{"type":"request_refused","op":"hello","seq":0}"#, "missing field `code`"),
        (r#"{"type":"request_refused","op":"hello","seq":0,"code":"no"}"#, "unknown variant `no`"),
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
