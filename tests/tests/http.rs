//! The page's side of the server: the API, the event stream, and what neither may ever say.

use std::net::UdpSocket;
use std::time::Duration;

use leasehold_tests::client::{RawClient, SHORT, expect_status, number};
use leasehold_tests::event_stream::{Feed, Told};
use leasehold_tests::http::{Answer, get, request};
use leasehold_tests::log::tell;
use leasehold_tests::server::Server;
use serde_json::{Value, json};

#[test]
fn the_api_tells_state_and_files_and_no_secret() {
    let server = Server::start();
    assert_eq!(get(server.http(), "/healthz").status, 200);
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect("bob", server.udp());
    let held = ann.acquire("ledger");
    ann.write("ledger", held, "one\n");
    bob.stand_in_line("ledger");

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
    for answer in [state, files, file, metrics] {
        expect_no_secret(&answer.text(), &[&ann, &bob]);
    }
}

#[test]
fn names_that_are_no_files_reach_nothing() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("f", "A");
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
        let answer = get(server.http(), path);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        expect_no_secret(&answer.text(), &[&ann]);
    }
    assert_eq!(get(server.http(), "/api/files/f").text(), "A");
}

#[test]
fn the_api_is_for_reading_only() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("f", "A");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/api/state", "/api/files/f", "/api/files"] {
            let status = request(server.http(), method, path, &[]).status;
            assert_eq!(status, 405, "{method} {path}");
        }
    }
    server.data().expect("f", "A");
}

#[test]
fn every_answer_carries_the_headers_that_protect_its_reader() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("f", "<script>alert(1)</script>");
    for path in ["/", "/healthz", "/api/state", "/api/files/f", "/nothing-here"] {
        let answer = get(server.http(), path);
        expect_protection(path, &answer);
    }
    // A guarded file is somebody's text, never a page of this server's.
    let file = get(server.http(), "/api/files/f");
    let kind = file.header("content-type").unwrap_or_default();
    assert!(!kind.contains("html"), "a guarded file is served as {kind}");
}

fn expect_protection(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy:?}");
    let script = policy.split(';').map(str::trim).find(|part| part.starts_with("script-src"));
    let rule = script.or(policy.split(';').find(|part| part.trim().starts_with("default-src")));
    let rule = rule.unwrap_or_else(|| panic!("{path}: any script may run: {policy:?}"));
    assert!(!rule.contains("'unsafe-inline'") && !rule.contains('*'), "{path}: {rule}");
    assert!(!rule.contains("'unsafe-eval'"), "{path}: {rule}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
}

#[test]
fn the_stream_begins_with_a_snapshot_and_misses_nothing() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("before", "A");
    let mut feed = Feed::open(server.http());
    let snapshot = feed.snapshot();
    assert!(snapshot["state"].to_string().contains("\"before\""), "{snapshot}");

    let held = ann.acquire("f");
    ann.write("f", held, "B");
    ann.release("f", held);
    let granted = feed.event_of("lock_granted");
    assert_eq!((&granted["lock"], &granted["token"]), (&json!("f"), &json!(held)));
    let appended = feed.event_of("file_appended");
    assert_eq!((&appended["file"], &appended["data"]), (&json!("f"), &json!("B")));
    assert_eq!(appended["session_no"], granted["session_no"]);
    let released = feed.event_of("lock_released");
    assert_eq!((&released["lock"], &released["cause"]), (&json!("f"), &json!("released")));
    assert!(number(&granted, "at_ms") <= number(&released, "at_ms"));
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut feed = Feed::open(server.http());
    feed.snapshot();
    ann.turn("f", "A");
    feed.event_of("lock_released");
    let seen = feed.last();
    drop(feed);

    ann.turn("f", "B");
    let mut feed = Feed::open_from(server.http(), seen);
    let appended = feed.event_of("file_appended");
    assert_eq!(appended["data"], "B", "what happened in between, and not what was seen before");
    feed.event_of("lock_released");
    let end = feed.last();

    // From where nothing has happened yet there is nothing to tell, until something does.
    let mut idle = Feed::open_from(server.http(), end);
    ann.turn("f", "C");
    assert_eq!(idle.event_of("file_appended")["data"], "C");
    // An index that was never given is answered by the whole state.
    let mut lost = Feed::open_at(server.http(), "/api/events?from=999999999", None).unwrap();
    lost.snapshot();
}

#[test]
fn the_stream_tells_each_way_in_which_a_tenure_and_a_wait_end() {
    let server = Server::start();
    let mut feed = Feed::open(server.http());
    feed.snapshot();
    let mut ann = RawClient::connect("ann", server.udp());
    let mut bob = RawClient::connect_for("bob", server.udp(), SHORT);

    bob.acquire("f");
    assert_eq!(feed.event_of("lock_released")["cause"], "lease_expired");
    assert_eq!(feed.event_of("session_expired")["client"], "bob");
    ann.ask("acquire_lock", &json!({"lock": "f", "hold_ms": 300}));
    assert_eq!(feed.event_of("lock_released")["cause"], "hold_expired");
    let held = ann.acquire("f");
    bob.hello(SHORT);
    bob.stand_in_line("f");
    assert_eq!(feed.event_of("lock_queued")["client"], "bob");
    assert_eq!(feed.event_of("wait_ended")["cause"], "session_ended");
    bob.hello(SHORT);
    bob.stand_in_line("f");
    bob.ask("cancel_acquire", &json!({"lock": "f"}));
    assert_eq!(feed.event_of("wait_ended")["cause"], "cancelled");
    bob.ask("acquire_lock", &json!({"lock": "f", "wait_ms": 100}));
    assert_eq!(feed.event_of("wait_ended")["cause"], "timeout");
    ann.append("f", held + 1, "late");
    let refused = feed.event_of("request_refused");
    assert_eq!((&refused["code"], &refused["op"]), (&json!("stale_token"), &json!("append_file")));
    expect_status(&ann.ask("close", &json!({})), "closed");
    assert_eq!(feed.event_of("lock_released")["cause"], "closed");
    assert_eq!(feed.event_of("session_closed")["client"], "ann");
    expect_no_secret(feed.heard(), &[&ann, &bob]);
}

#[test]
fn pages_of_other_origins_are_kept_out_of_the_stream() {
    let server = Server::start();
    let http = server.http();
    let own = format!("http://{http}");
    assert!(Feed::open_at(http, "/api/events", Some(&own)).is_ok(), "its own page");
    let other_port = format!("http://127.0.0.1:{}", http.port() ^ 1);
    for origin in ["http://evil.example", "https://127.0.0.1", "null", "", &other_port] {
        let refused = Feed::open_at(http, "/api/events", Some(origin)).err();
        assert_eq!(refused, Some(403), "{origin:?}");
    }
}

#[test]
fn a_name_that_was_made_to_point_here_reaches_nothing() {
    let server = Server::start();
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        let answer = request(server.http(), "GET", "/api/state", &[("host", host)]);
        assert_eq!(answer.status, 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:80"] {
        let answer = request(server.http(), "GET", "/api/state", &[("host", host)]);
        assert_eq!(answer.status, 200, "{host}");
    }
}

/// A reader that reads nothing while much happens. Its buffers are small on its own side; on the
/// server's side the kernel holds a few megabytes, so more than those are sent.
#[test]
fn a_slow_reader_is_cut_over_to_a_snapshot_and_slows_nobody_down() {
    let server = Server::start();
    let mut ann = RawClient::connect("ann", server.udp());
    let held = ann.acquire("f");
    let mut slow = Feed::open(server.http());
    let first = number(&slow.snapshot(), "index");
    make_noise(&mut ann, &server, 100_000);
    ann.write("f", held, "A");

    let mut events = 0_u64;
    let second = loop {
        match slow.told_within(Duration::from_secs(30)).expect("the stream goes on") {
            Told::Event(_) => events += 1,
            Told::Snapshot(snapshot) => break snapshot,
        }
    };
    let index = number(&second, "index");
    tell("slow", format_args!("{events} events, then a snapshot that skips to {index}"));
    assert!(index > first + events, "it skips nothing");
    assert_eq!(number(&second, "missed"), index - first - events, "it is told what it missed");
    // From there on it is as good as any other reader.
    ann.release("f", held);
    slow.event_of("lock_released");
    server.data().expect("f", "A");
}

/// Heartbeats, each of which is an event, in steps that no socket's buffer is too small for.
fn make_noise(client: &mut RawClient, server: &Server, beats: u64) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 2_000];
    let mut answered = 0;
    for _ in 0..beats / 50 {
        let step: Vec<Value> = (0..50).map(|_| client.request("heartbeat", &json!({}))).collect();
        for beat in &step {
            socket.send_to(beat.to_string().as_bytes(), server.udp()).unwrap();
        }
        for _ in &step {
            answered += u64::from(socket.recv(&mut buffer).is_ok());
        }
    }
    assert!(answered > beats * 99 / 100, "only {answered} of {beats} were answered");
}

#[test]
fn nothing_that_the_page_is_told_opens_a_session() {
    let server = Server::start();
    let mut feed = Feed::open(server.http());
    let snapshot = feed.snapshot();
    let mut ann = RawClient::connect("ann", server.udp());
    ann.turn("f", "A");
    ann.send(&ann.hello_request(1_000));
    feed.event_of("lock_released");
    expect_status(&ann.ask("close", &json!({})), "closed");
    feed.event_of("session_closed");
    let late = Feed::open(server.http()).snapshot();
    for text in [snapshot.to_string(), late.to_string(), feed.heard().to_owned()] {
        expect_no_secret(&text, &[&ann]);
    }
}

/// Panics where a session's id is in there, or anything that looks like one.
#[track_caller]
fn expect_no_secret(text: &str, clients: &[&RawClient]) {
    for client in clients {
        assert!(!text.contains(client.session()), "a session's id in {text}");
    }
    let mut run = 0;
    for (place, letter) in text.bytes().enumerate() {
        run = if letter.is_ascii_hexdigit() { run + 1 } else { 0 };
        assert!(run < 32, "32 hex digits that end at {place} in {text}");
    }
}
