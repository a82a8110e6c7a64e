//! The HTTP interface: the content of responses, their headers, and what the server refuses to send.

mod common;

use std::os::unix::fs::symlink;

use common::{Answer, Page, asked, event, name};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{SessionNo, Token};

/// Starts a server on which session 1 has appended `data` to the file `f`.
fn with_file(data: &[u8]) -> Page {
    let page = Page::start();
    let (session_no, client, token) = (SessionNo::new(1), name("ann"), Token::new(7));
    let granted = Fact::LockGranted {
        lock: name("f"),
        session_no,
        client: client.clone(),
        token,
        asked: asked(1),
        hold: None,
        from_queue: false,
    };
    page.publish([event(2, granted)]);
    let append = |(seq, chunk): (u64, &[u8])| Event {
        index: leasehold_core::id::Index::new(seq + 1),
        at: leasehold_core::time::Time::from_millis(2),
        fact: Fact::FileAppended {
            file: name("f"),
            session_no,
            client: client.clone(),
            token,
            offset: (seq - 2) * 1_000,
            data: Data::new(chunk),
            asked: asked(seq),
        },
    };
    page.publish((2..).zip(data.chunks(1_000)).map(append));
    std::fs::write(page.files.path().join("f"), data).unwrap();
    page
}

#[test]
fn the_state_is_complete_but_for_the_secrets() {
    let page = with_file(b"one\n");
    let answer = page.get("/api/state");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!((&json["format"], &json["index"]), (&1.into(), &3.into()));
    assert_eq!(json["last_token"], 7);
    assert_eq!(json["state"]["locks"]["f"]["tenure"]["token"], 7);
    assert!(json["unix_ms"].as_u64().is_some());
    assert!(json.get("secrets").is_none());
    let state: leasehold_core::state::State =
        serde_json::from_value(json["state"].clone()).unwrap();
    assert_eq!(state.index().number(), 3);
}

#[test]
fn a_file_is_served_as_far_as_it_is_durable() {
    let page = with_file(b"one\n");
    assert_eq!(
        page.get("/api/files").json(),
        serde_json::json!({"files": [{"name": "f", "len": 4}]})
    );
    let path = page.files.path().join("f");
    std::fs::write(&path, "one\ntwo, which is not in the log\n").unwrap();
    let answer = page.get("/api/files/f");
    assert_eq!((answer.status, answer.text().as_str()), (200, "one\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=\"f\""));
    assert_eq!(answer.header("content-length"), Some("4"));
    // The file is shorter than the log says: the server sends what is there.
    std::fs::write(&path, "on").unwrap();
    assert_eq!(page.get("/api/files/f").text(), "on");
    let head = page.ask("HEAD", "/api/files/f", &[]);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("2"), 0));
}

#[test]
fn a_long_file_is_served_completely() {
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let page = with_file(&long);
    assert!(page.get("/api/files/f").body == long);
}

#[test]
fn only_guarded_files_are_served() {
    let page = with_file(b"one\n");
    std::fs::write(page.files.path().join("stray"), "not written by the server").unwrap();
    assert_eq!(page.get("/api/files/stray").status, 404, "the log does not contain it");
    for bad in [".hidden", "%2e%2e", "..%2ff", "a%2Fb", "%00", "a%20b", &"x".repeat(65)] {
        assert_eq!(page.get(&format!("/api/files/{bad}")).status, 400, "{bad}");
    }
    assert_eq!(page.get("/api/files/%ff").status, 400);
    let path = page.files.path().join("f");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(page.get("/api/files/f").status, 500, "a file of the log is missing");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("private"), "key").unwrap();
    symlink(elsewhere.path().join("private"), &path).unwrap();
    let answer = page.get("/api/files/f");
    assert!(answer.status == 500 && !answer.text().contains("key"), "{answer:?}");
}

#[test]
fn every_response_has_the_security_headers() {
    let page = with_file(b"<script>alert(1)</script>");
    let evil = [("Host", "evil.example")];
    let answers = [
        page.get("/"),
        page.get("/no-such-page"),
        page.get("/healthz"),
        page.get("/metrics"),
        page.get("/api/state"),
        page.get("/api/files"),
        page.get("/api/files/f"),
        page.get("/api/files/.x"),
        page.get("/api/events"),
        page.ask("POST", "/api/state", &[]),
        page.ask("GET", "/", &evil),
    ];
    answers.iter().for_each(expect_protection);
    assert_eq!(page.get("/api/files/f").header("content-type"), Some("text/plain; charset=utf-8"));
    for path in ["/api/state", "/api/files", "/api/files/f", "/metrics"] {
        assert_eq!(page.get(path).header("cache-control"), Some("no-store"), "{path}");
    }
}

fn expect_protection(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
    for rule in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'none'",
    ] {
        assert!(rules.contains(&rule), "no {rule} in {answer:?}");
    }
    assert!(!policy.contains("unsafe-inline") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer:?}");
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{answer:?}");
    assert!(answer.header("cache-control").is_some(), "{answer:?}");
}

#[test]
fn the_interface_is_read_only() {
    let page = Page::start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in ["/", "/api/state", "/api/files/f", "/api/events", "/metrics", "/nowhere"] {
            let answer = page.ask(method, path, &[]);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn the_root_is_the_page_or_says_how_to_build_it() {
    let page = Page::start();
    let answer = page.get("/");
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let text = answer.text();
    assert!(text.contains("cargo xtask serve") || text.contains("<script"), "{text}");
    for path in ["/no-such-page", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd"] {
        assert_eq!(page.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_metrics_count_events() {
    let page = with_file(b"one\n");
    let text = page.get("/metrics").text();
    for line in [
        "leasehold_events_total{type=\"session_opened\"} 1",
        "leasehold_events_total{type=\"file_appended\"} 1",
        "leasehold_appended_bytes_total 4",
        "leasehold_sessions 1",
        "leasehold_locks_held 1",
        "leasehold_waiters 0",
        "leasehold_files 1",
        "leasehold_file_bytes 4",
        "leasehold_last_token 7",
        "leasehold_viewers 0",
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
    }
    // The format requires that each family is announced once, before its values.
    let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let family = line.split(['{', ' ']).next().unwrap();
        let of_it = |it: &&&str| it.split(' ').next() == Some(family);
        assert_eq!(families.iter().filter(of_it).count(), 1, "{line}");
    }
}

#[test]
fn the_server_is_healthy_while_it_can_apply_events() {
    let page = Page::start();
    let answer = page.get("/healthz");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    // An impossible event: its session does not exist.
    let impossible = Fact::SessionExpired { session_no: SessionNo::new(5), client: name("eve") };
    page.published.publish(vec![event(9, impossible)]);
    assert_eq!(page.get("/healthz").status, 503);
    assert_eq!(page.get("/api/state").status, 503);
}
