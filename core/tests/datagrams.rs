//! Handling of invalid datagrams: each is refused with its error, or dropped.

mod common;

use common::*;
use leasehold_core::event::EventKind;
use leasehold_core::rng::Rng;

/// Returns the reply to these bytes, or why they were dropped.
fn reply_to(bytes: &[u8]) -> String {
    let mut harness = Harness::new();
    harness.send_bytes(peer(1), bytes);
    let replies = harness.drain_replies().join(" + ");
    let last = harness.events.last().expect("the server has started");
    if let EventKind::DatagramDropped { reason } = &last.kind {
        format!("dropped: {}{replies}", reason.code())
    } else {
        replies
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(reply_to(text.as_bytes()), expected, "{text}");
}

const SESSION_KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn each_invalid_request_gets_its_error() {
    let op =
        |rest: &str| format!(r#"{{"v":1,"session":"{SESSION_KEY}","seq":7,"attempt":2,{rest}}}"#);
    check(&op(r#""op":"heartbeat""#), "1 7.2 unknown_session");
    check(&op(r#""op":"fly""#), "1 7.2 bad_request");
    check(&op(r#""op":"acquire_lock""#), "1 7.2 bad_request");
    check(&op(r#""op":"acquire_lock","lock":5"#), "1 7.2 bad_request");
    check(&op(r#""op":"acquire_lock","lock":"../x""#), "1 7.2 bad_name");
    check(&op(r#""op":"acquire_lock","lock":".x""#), "1 7.2 bad_name");
    check(&op(r#""op":"acquire_lock","lock":"""#), "1 7.2 bad_name");
    check(&op(r#""op":"acquire_lock","lock":"a\u0000b""#), "1 7.2 bad_name");
    check(&op(r#""op":"acquire_lock","lock":"a","wait_ms":-1"#), "1 7.2 bad_request");
    check(&op(r#""op":"acquire_lock","lock":"a","wait_ms":1.5"#), "1 7.2 bad_request");
    check(&op(r#""op":"acquire_lock","lock":"a","wait_ms":1e400"#), "1 7.2 bad_request");
    check(
        &op(r#""op":"acquire_lock","lock":"a","wait_ms":18446744073709551616"#),
        "1 7.2 bad_request",
    );
    check(&op(r#""op":"append_file","file":"a","token":1"#), "1 7.2 bad_request");
    check(
        &op(r#""op":"append_file","file":"a","token":1,"data":"x","data_b64":"eA==""#),
        "1 7.2 bad_request",
    );
    check(&op(r#""op":"append_file","file":"a","token":1,"data_b64":"?""#), "1 7.2 bad_request");
    check(&op(r#""op":"append_file","file":"a","token":1,"data":"x""#), "1 7.2 stale_token 0");
    check(&op(r#""op":"heartbeat","extra":{"any":["thing"]}"#), "1 7.2 unknown_session");
    check(r#"{"v":2,"op":"hello","client":"a","nonce":"00000000000000a1"}"#, "1 0.0 bad_request");
    check(r#"{"op":"hello","client":"a","nonce":"00000000000000a1"}"#, "1 0.0 bad_request");
    check(r#"{"v":1,"op":"hello","client":"a","nonce":"a1"}"#, "1 0.0 bad_request");
    check(
        r#"{"v":1,"op":"hello","client":"a","nonce":"00000000000000a1","seq":1}"#,
        "1 1.0 bad_request",
    );
    check(&format!(r#"{{"v":1,"op":"close","session":"{SESSION_KEY}"}}"#), "1 0.0 bad_request");
    check(
        &format!(r#"{{"v":1,"op":"close","session":"{SESSION_KEY}","seq":1,"seq":1}}"#),
        "1 0.0 bad_request",
    );
}

#[test]
fn datagrams_that_are_not_requests_are_dropped() {
    check(r#"{"v":1,"re":3,"status":"alive"}"#, "dropped: is_reply");
    check(r#"{"v":1,"re":3,"op":"hello"}"#, "dropped: is_reply");
    check(r#"{"v":1}"#, "dropped: no_operation");
    check("{}", "dropped: no_operation");
    check("hello?", "dropped: not_json");
    check("", "dropped: not_json");
    check(r#"{"v":1,"op":"hel"#, "dropped: not_json");
    check("[1,2,3]", "dropped: not_json");
    check(r#"{"op":"x"}"#, "dropped: would_amplify");
}

#[test]
fn long_invalid_datagrams_are_answered() {
    assert_eq!(reply_to(&[b'x'; 200]), "1 0.0 bad_request");
    assert_eq!(reply_to(&[0xff; 200]), "1 0.0 bad_request");
    assert_eq!(reply_to(&vec![b'x'; 65_507]), "1 0.0 too_large");
    let nested = format!(
        r#"{{"v":1,"op":"close","session":"{SESSION_KEY}","seq":1,"x":{}"#,
        "[".repeat(500)
    );
    assert_eq!(reply_to(nested.as_bytes()), "1 0.0 bad_request");
    let closed = format!("{nested}{}}}", "]".repeat(500));
    assert_eq!(reply_to(closed.as_bytes()), "1 1.0 unknown_session");
    let long = format!(
        r#"{{"v":1,"op":"close","session":"{SESSION_KEY}","seq":9,"x":"{}"}}"#,
        "y".repeat(1_200)
    );
    assert_eq!(reply_to(long.as_bytes()), "1 9.0 too_large");
}

#[test]
fn replies_without_a_session_are_at_most_three_times_the_request() {
    let mut harness = Harness::new();
    let whole = format!(
        r#"{{"v":1,"op":"acquire_lock","session":"{SESSION_KEY}","seq":7,"lock":"a","wait_ms":"soon"}}"#
    );
    for len in 0..=whole.len() {
        let bytes = &whole.as_bytes()[..len];
        harness.send_bytes(peer(1), bytes);
        for datagram in std::mem::take(&mut harness.replies) {
            let mut out = Vec::new();
            datagram.encode(&mut out);
            assert!(out.len() <= 3 * len, "{} bytes for {len}", out.len());
        }
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut harness = Harness::new();
    let ann = harness.open_session(1, "ann");
    let valid = format!(
        r#"{{"v":1,"op":"append_file","session":"{}","seq":7,"file":"a","token":1,"data":"x\u00e4"}}"#,
        ann.session_key.expose().to_hex()
    );
    let mut rng = Rng::new(1);
    for _ in 0..20_000 {
        let mut bytes = valid.clone().into_bytes();
        for _ in 0..rng.below(4) {
            let position = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            match rng.below(3) {
                0 => bytes[position] = u8::try_from(rng.below(256)).unwrap(),
                1 => bytes.truncate(position.max(1)),
                _ => {
                    bytes.insert(position, b"\"{}[]:,0e-"[usize::try_from(rng.below(10)).unwrap()]);
                }
            }
        }
        harness.send_bytes(peer(1), &bytes);
        harness.replies.clear();
    }
}
