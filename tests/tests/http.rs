//! The HTTP interface of the server: the API, the event stream, and that neither reveals a secret.

use std::net::UdpSocket;
use std::time::Duration;

use leasehold_tests::client::{LONG_LEASE_MS, RawClient, SHORT_LEASE_MS, expect_status, number};
use leasehold_tests::event_stream::{EventStream, StreamItem};
use leasehold_tests::http::{Response, get, request};
use leasehold_tests::log::log;
use leasehold_tests::server::Server;
use serde_json::{Value, json};

#[test]
fn the_api_shows_state_and_files_but_no_session_key() {
    let server = Server::start();
    assert_eq!(get(server.http(), "/healthz").status, 200);
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect("bob", server.udp());
    let held = ann.acquire("ledger");
    ann.append_ok("ledger", held, "one\n");
    bob.join_queue("ledger");

    let state = get(server.http(), "/api/state");
    assert_eq!(state.status, 200);
    assert!(state.json().is_object(), "{}", state.text());
    for word in ["\"ledger\"", "\"ann\"", "\"bob\""] {
        assert!(state.text().contains(word), "no {word} in {}", state.text());
    }
    let files = get(server.http(), "/api/files");
    assert!(files.text().contains("\"ledger\""), "{}", files.text());
    let file = get(server.http(), "/api/files/ledger");
    assert_eq!((file.status, file.text().as_str()), (200, "one\n"));
    assert_eq!(get(server.http(), "/api/files/nothing").status, 404);
    let metrics = get(server.http(), "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("# TYPE "), "{}", metrics.text());
    for response in [state, files, file, metrics] {
        expect_no_secret(&response.text(), &[&ann, &bob]);
    }
}

#[test]
fn invalid_file_names_are_refused() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("f", "A");
    let paths = [
        "/api/files/..%2fserver_state.json",
        "/api/files/%2e%2e/server_state.json",
        "/api/files/../server_state.json",
        "/api/files/..%5cserver_state.json",
        "/api/files/.hidden",
        "/api/files/%00",
        "/api/files/%ff",
        "/api/files//etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ];
    for path in paths {
        let response = get(server.http(), path);
        assert!((400..500).contains(&response.status), "{path}: {}", response.status);
        expect_no_secret(&response.text(), &[&ann]);
    }
    assert_eq!(get(server.http(), "/api/files/f").text(), "A");
}

#[test]
fn the_api_is_read_only() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("f", "A");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/api/state", "/api/files/f", "/api/files"] {
            let status = request(server.http(), method, path, &[]).status;
            assert_eq!(status, 405, "{method} {path}");
        }
    }
    server.data_dir().expect_contents("f", "A");
}

#[test]
fn every_response_has_security_headers() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("f", "<script>alert(1)</script>");
    for path in ["/", "/healthz", "/api/state", "/api/files/f", "/nothing-here"] {
        let response = get(server.http(), path);
        expect_security_headers(path, &response);
    }
    // The contents of a guarded file are untrusted, so the browser must not render them as HTML.
    let file = get(server.http(), "/api/files/f");
    let content_type = file.header("content-type").unwrap_or_default();
    assert!(!content_type.contains("html"), "a guarded file is served as {content_type}");
}

fn expect_security_headers(path: &str, response: &Response) {
    let policy = response.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy:?}");
    let script = policy.split(';').map(str::trim).find(|part| part.starts_with("script-src"));
    let rule = script.or(policy.split(';').find(|part| part.trim().starts_with("default-src")));
    let rule = rule.unwrap_or_else(|| panic!("{path}: any script may run: {policy:?}"));
    assert!(!rule.contains("'unsafe-inline'") && !rule.contains('*'), "{path}: {rule}");
    assert!(!rule.contains("'unsafe-eval'"), "{path}: {rule}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
}

#[test]
fn the_stream_starts_with_a_snapshot_and_contains_every_event() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("before", "A");
    let mut stream = EventStream::open(server.http());
    let snapshot = stream.snapshot();
    assert!(snapshot["state"].to_string().contains("\"before\""), "{snapshot}");

    let held = ann.acquire("f");
    ann.append_ok("f", held, "B");
    ann.release("f", held);
    let granted = stream.next_event_of_type("lock_granted");
    assert_eq!((&granted["lock"], &granted["token"]), (&json!("f"), &json!(held)));
    let appended = stream.next_event_of_type("file_appended");
    assert_eq!((&appended["file"], &appended["data"]), (&json!("f"), &json!("B")));
    assert_eq!(appended["session_no"], granted["session_no"]);
    let released = stream.next_event_of_type("lock_released");
    assert_eq!((&released["lock"], &released["cause"]), (&json!("f"), &json!("released")));
    assert!(number(&granted, "at_ms") <= number(&released, "at_ms"));
}

#[test]
fn a_reader_can_resume_the_stream_after_an_index() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    ann.append_under_lock("f", "A");
    stream.next_event_of_type("lock_released");
    let seen = stream.last_index();
    drop(stream);

    ann.append_under_lock("f", "B");
    let mut stream = EventStream::resume_after(server.http(), seen);
    let appended = stream.next_event_of_type("file_appended");
    assert_eq!(appended["data"], "B", "the first event after the index");
    stream.next_event_of_type("lock_released");
    let end = stream.last_index();

    // The index of the last event is valid: the stream waits for the next one.
    let mut idle = EventStream::resume_after(server.http(), end);
    ann.append_under_lock("f", "C");
    assert_eq!(idle.next_event_of_type("file_appended")["data"], "C");
    // For an unknown index the server sends a snapshot.
    let mut unknown =
        EventStream::try_open(server.http(), "/api/events?from=999999999", None).unwrap();
    unknown.snapshot();
}

#[test]
fn the_stream_reports_why_each_tenure_and_each_wait_ended() {
    let server = Server::start();
    let mut stream = EventStream::open(server.http());
    stream.snapshot();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect_with_lease("bob", server.udp(), SHORT_LEASE_MS);

    bob.acquire("f");
    assert_eq!(stream.next_event_of_type("lock_released")["cause"], "lease_expired");
    assert_eq!(stream.next_event_of_type("session_expired")["client"], "bob");
    ann.call("acquire_lock", &json!({"lock": "f", "hold_ms": 300}));
    assert_eq!(stream.next_event_of_type("lock_released")["cause"], "hold_expired");
    let held = ann.acquire("f");
    bob.open_session(SHORT_LEASE_MS);
    bob.join_queue("f");
    assert_eq!(stream.next_event_of_type("lock_queued")["client"], "bob");
    assert_eq!(stream.next_event_of_type("wait_ended")["cause"], "session_ended");
    bob.open_session(LONG_LEASE_MS);
    bob.join_queue("f");
    bob.call("cancel_acquire", &json!({"lock": "f"}));
    assert_eq!(stream.next_event_of_type("wait_ended")["cause"], "cancelled");
    bob.call("acquire_lock", &json!({"lock": "f", "wait_ms": 100}));
    assert_eq!(stream.next_event_of_type("wait_ended")["cause"], "timeout");
    ann.append("f", held + 1, "late");
    let refused = stream.next_event_of_type("request_refused");
    assert_eq!((&refused["code"], &refused["op"]), (&json!("stale_token"), &json!("append_file")));
    expect_status(&ann.call("close", &json!({})), "closed");
    assert_eq!(stream.next_event_of_type("lock_released")["cause"], "closed");
    assert_eq!(stream.next_event_of_type("session_closed")["client"], "ann");
    expect_no_secret(stream.transcript(), &[&ann, &bob]);
}

#[test]
fn the_stream_refuses_pages_of_other_origins() {
    let server = Server::start();
    let http = server.http();
    let own = format!("http://{http}");
    assert!(EventStream::try_open(http, "/api/events", Some(&own)).is_ok(), "its own page");
    let other_port = format!("http://127.0.0.1:{}", http.port() ^ 1);
    for origin in ["http://evil.example", "https://127.0.0.1", "null", "", &other_port] {
        let refused = EventStream::try_open(http, "/api/events", Some(origin)).err();
        assert_eq!(refused, Some(403), "{origin:?}");
    }
}

#[test]
fn requests_with_another_host_name_are_refused() {
    let server = Server::start();
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        let response = request(server.http(), "GET", "/api/state", &[("host", host)]);
        assert_eq!(response.status, 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:80"] {
        let response = request(server.http(), "GET", "/api/state", &[("host", host)]);
        assert_eq!(response.status, 200, "{host}");
    }
}

/// A reader that does not read while many events happen. Its receive buffer is small, but the
/// server's send buffer holds a few megabytes, so the test causes more events than that.
#[test]
fn a_slow_reader_gets_a_new_snapshot_and_delays_no_client() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let held = ann.acquire("f");
    let mut slow = EventStream::open(server.http());
    let first = number(&slow.snapshot(), "index");
    cause_events(&mut ann, &server, 100_000);
    ann.append_ok("f", held, "A");

    // While it catches up, the reader may fall behind again, and then gets another snapshot.
    let end = number(&EventStream::open(server.http()).snapshot(), "index");
    let (mut last, mut snapshots) = (first, 0);
    while last < end {
        match slow.next_item() {
            StreamItem::Event(_) => last += 1,
            StreamItem::Snapshot(snapshot) => {
                let index = number(&snapshot, "index");
                log("slow", format_args!("a snapshot at {index} after event {last}"));
                assert!(index > last, "the snapshot replaces at least one event");
                assert_eq!(number(&snapshot, "missed"), index - last, "the number of events");
                (last, snapshots) = (index, snapshots + 1);
            }
        }
    }
    assert!(snapshots > 0, "the reader is too slow for all events");
    // Now that it has caught up, it receives every event.
    ann.release("f", held);
    slow.next_event_of_type("lock_released");
    server.data_dir().expect_contents("f", "A");
}

/// Sends heartbeats, each of which is an event, in batches that fit into the buffer of a socket.
fn cause_events(client: &mut RawClient, server: &Server, heartbeats: u64) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    // A lost datagram must not stop the test.
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 2_000];
    let mut answered = 0;
    for _ in 0..heartbeats / 50 {
        let batch: Vec<Value> = (0..50).map(|_| client.request("heartbeat", &json!({}))).collect();
        for heartbeat in &batch {
            socket.send_to(heartbeat.to_string().as_bytes(), server.udp()).unwrap();
        }
        for _ in &batch {
            answered += u64::from(socket.recv(&mut buffer).is_ok());
        }
    }
    assert!(answered > heartbeats * 99 / 100, "{answered} of {heartbeats} were answered");
}

#[test]
fn the_stream_contains_no_session_key() {
    let server = Server::start();
    let mut stream = EventStream::open(server.http());
    let snapshot = stream.snapshot();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.append_under_lock("f", "A");
    ann.send(&ann.hello_request(1_000));
    stream.next_event_of_type("lock_released");
    expect_status(&ann.call("close", &json!({})), "closed");
    stream.next_event_of_type("session_closed");
    let late = EventStream::open(server.http()).snapshot();
    for text in [snapshot.to_string(), late.to_string(), stream.transcript().to_owned()] {
        expect_no_secret(&text, &[&ann]);
    }
}

/// Checks that a text contains no session key, and nothing that has the form of one.
#[track_caller]
fn expect_no_secret(text: &str, clients: &[&RawClient]) {
    for client in clients {
        assert!(!text.contains(client.session()), "a session key in {text}");
    }
    let mut digits = 0;
    for (offset, byte) in text.bytes().enumerate() {
        digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
        assert!(digits < 32, "32 hex digits that end at {offset} in {text}");
    }
}
