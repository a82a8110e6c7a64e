//! The HTTP API and the page: contents, access, and security headers.

mod common;

use std::os::unix::fs::symlink;

use common::{HttpResponse, TestHttpServer, event, name, request_id};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{SessionId, Token};
use leasehold_server::log::LogPosition;

/// Returns a server on which session 1 has appended `data` to the file `f`.
fn server_with_file(data: &[u8]) -> TestHttpServer {
    let server = TestHttpServer::start();
    let (session_id, client, token) = (SessionId::new(1), name("ann"), Token::new(7));
    let granted = EventKind::LockGranted {
        lock: name("f"),
        session_id,
        client: client.clone(),
        token,
        request_id: request_id(1),
        hold: None,
        from_queue: false,
    };
    server.publish([event(2, granted)]);
    let append = |(seq, chunk): (u64, &[u8])| Event {
        index: leasehold_core::id::LogIndex::new(seq + 1),
        at: leasehold_core::time::Time::from_millis(2),
        kind: EventKind::FileAppended {
            file: name("f"),
            session_id,
            client: client.clone(),
            token,
            offset: (seq - 2) * 1_000,
            data: Data::new(chunk),
            request_id: request_id(seq),
        },
    };
    server.publish((2..).zip(data.chunks(1_000)).map(append));
    std::fs::write(server.files_dir.path().join("f"), data).unwrap();
    server
}

#[test]
fn state_endpoint_returns_everything_except_secrets() {
    let server = server_with_file(b"one\n");
    let response = server.get("/api/state");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let json = response.json();
    assert_eq!((&json["format"], &json["index"]), (&1.into(), &3.into()));
    assert_eq!(json["last_token"], 7);
    assert_eq!(json["state"]["locks"]["f"]["tenure"]["token"], 7);
    assert!(json["unix_ms"].as_u64().is_some());
    assert!(json.get("secrets").is_none());
    let state: leasehold_core::state::State =
        serde_json::from_value(json["state"].clone()).unwrap();
    assert_eq!(state.applied_index().number(), 3);
}

#[test]
fn file_endpoint_returns_only_durable_bytes() {
    let server = server_with_file(b"one\n");
    assert_eq!(
        server.get("/api/files").json(),
        serde_json::json!({"files": [{"name": "f", "len": 4}]})
    );
    let path = server.files_dir.path().join("f");
    std::fs::write(&path, "one\ntwo, which is not in the log\n").unwrap();
    let response = server.get("/api/files/f");
    assert_eq!((response.status, response.text().as_str()), (200, "one\n"));
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.header("content-disposition"), Some("inline; filename=\"f\""));
    assert_eq!(response.header("content-length"), Some("4"));
    // Bytes that are not written yet are not promised.
    std::fs::write(&path, "on").unwrap();
    assert_eq!(server.get("/api/files/f").text(), "on");
    let head = server.request("HEAD", "/api/files/f", &[]);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("2"), 0));
}

#[test]
fn long_file_is_returned_whole() {
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let server = server_with_file(&long);
    assert!(server.get("/api/files/f").body == long);
}

#[test]
fn only_guarded_files_are_served() {
    let server = server_with_file(b"one\n");
    std::fs::write(server.files_dir.path().join("stray"), "not a guarded file").unwrap();
    assert_eq!(server.get("/api/files/stray").status, 404, "the log does not contain it");
    for bad in [".hidden", "%2e%2e", "..%2ff", "a%2Fb", "%00", "a%20b", &"x".repeat(65)] {
        assert_eq!(server.get(&format!("/api/files/{bad}")).status, 400, "{bad}");
    }
    assert_eq!(server.get("/api/files/%ff").status, 400);
    let path = server.files_dir.path().join("f");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.get("/api/files/f").status, 500, "a guarded file is missing");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("private"), "key").unwrap();
    symlink(elsewhere.path().join("private"), &path).unwrap();
    let response = server.get("/api/files/f");
    assert!(response.status == 500 && !response.text().contains("key"), "{response:?}");
}

#[test]
fn every_response_carries_the_security_headers() {
    let server = server_with_file(b"<script>alert(1)</script>");
    let foreign_host = [("Host", "evil.example")];
    let responses = [
        server.get("/"),
        server.get("/no-such-page"),
        server.get("/healthz"),
        server.get("/metrics"),
        server.get("/api/state"),
        server.get("/api/files"),
        server.get("/api/files/f"),
        server.get("/api/files/.x"),
        server.get("/api/events"),
        server.request("POST", "/api/state", &[]),
        server.request("GET", "/", &foreign_host),
    ];
    responses.iter().for_each(expect_security_headers);
    assert_eq!(
        server.get("/api/files/f").header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    for path in ["/api/state", "/api/files", "/api/files/f", "/metrics"] {
        assert_eq!(server.get(path).header("cache-control"), Some("no-store"), "{path}");
    }
}

fn expect_security_headers(response: &HttpResponse) {
    let policy = response.header("content-security-policy").unwrap_or_default();
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
        assert!(rules.contains(&rule), "no {rule} in {response:?}");
    }
    assert!(!policy.contains("unsafe-inline") && !policy.contains('*'), "{policy}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{response:?}");
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"), "{response:?}");
    assert_eq!(
        response.header("cross-origin-resource-policy"),
        Some("same-origin"),
        "{response:?}"
    );
    assert!(response.header("cache-control").is_some(), "{response:?}");
}

#[test]
fn only_get_and_head_are_allowed() {
    let server = TestHttpServer::start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in ["/", "/api/state", "/api/files/f", "/api/events", "/metrics", "/nowhere"] {
            let response = server.request(method, path, &[]);
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn index_is_served_or_explains_how_to_build_it() {
    let server = TestHttpServer::start();
    let response = server.get("/");
    assert_eq!(response.status, 200);
    let content_type = response.header("content-type").unwrap();
    assert!(content_type.starts_with("text/html"), "{content_type}");
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    let text = response.text();
    assert!(text.contains("cargo xtask serve") || text.contains("<script"), "{text}");
    for path in ["/no-such-page", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn metrics_report_the_published_events() {
    let server = server_with_file(b"one\n");
    let text = server.get("/metrics").text();
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
    // The format requires that each family is declared once.
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let family = line.split(['{', ' ']).next().unwrap();
        let is_of_family = |it: &&&str| it.split(' ').next() == Some(family);
        assert_eq!(types.iter().filter(is_of_family).count(), 1, "{line}");
    }
}

#[test]
fn health_check_fails_once_the_publisher_has_stopped() {
    let server = TestHttpServer::start();
    let response = server.get("/healthz");
    assert_eq!((response.status, response.text().as_str()), (200, "ok\n"));
    // An impossible event stops the publisher, since its state can no longer be trusted.
    let impossible =
        EventKind::SessionExpired { session_id: SessionId::new(5), client: name("eve") };
    server.published.publish(vec![event(9, impossible)], LogPosition::default());
    assert_eq!(server.get("/healthz").status, 503);
    assert_eq!(server.get("/api/state").status, 503);
}
