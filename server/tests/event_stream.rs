//! The event stream over real sockets: it is complete, and the server waits for no viewer.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{
    EventStream, NONCE, SESSION_KEY, StreamItem, TestHttpServer, datagram_dropped, event,
    lease_renewed, name, request_id, session_opened, wait_until,
};
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{LogIndex, SessionId, Token};
use leasehold_core::state::State;
use leasehold_server::log::LogPosition;
use serde_json::Value;

/// The server's rate limit for a viewer.
const BYTES_PER_SECOND: u64 = 4_000_000;

/// The interval at which the server sends updates.
const ROUND_INTERVAL: Duration = Duration::from_millis(33);

/// Returns the state of a snapshot, to apply events to.
fn snapshot_state(snapshot: &Value) -> State {
    let state: State = serde_json::from_value(snapshot["state"].clone()).unwrap();
    assert_eq!(snapshot["index"], state.applied_index().number());
    assert!(snapshot["at_ms"].as_u64().unwrap() >= state.last_event_at().as_millis());
    state
}

/// Reads events up to index `end`, which must follow `last` without gaps.
fn expect_events_through(stream: &mut EventStream, mut last: u64, end: u64) -> Vec<Event> {
    let mut all = Vec::new();
    while last < end {
        let events = stream.expect_events();
        assert!(!events.is_empty() && events.len() <= 512, "{} in a message", events.len());
        for event in &events {
            last += 1;
            assert_eq!(event.index.number(), last, "a gap");
        }
        all.extend(events);
    }
    all
}

/// Returns the index of the last event of a message, whose events must follow `last` without gaps.
fn expect_contiguous(message: &Value, mut last: u64) -> u64 {
    for event in message["events"].as_array().unwrap() {
        last += 1;
        assert_eq!(event["index"], last, "a gap");
    }
    last
}

/// Starts a server with one open session, whose clock the test owns, and a viewer that has
/// received its snapshot.
fn start_with_test_clock() -> (TestHttpServer, EventStream, Value) {
    let server = TestHttpServer::with_test_clock(State::default());
    server.publish([session_opened(1)]);
    let mut stream = server.open_stream_from_snapshot();
    let snapshot = stream.expect_snapshot();
    (server, stream, snapshot)
}

#[test]
fn viewer_reconstructs_the_state_of_the_server() {
    const END: u64 = 10_000;
    let server = TestHttpServer::start();
    let published = server.published.clone();
    let (report_snapshot, snapshot_received) = mpsc::channel();
    let publisher = thread::spawn(move || {
        for first in (2..=END).step_by(37) {
            if first + 37 > END {
                // The snapshot must not contain everything.
                snapshot_received.recv().unwrap();
            }
            published.publish(
                (first..=END.min(first + 36)).map(lease_renewed).collect(),
                LogPosition::default(),
            );
        }
    });
    let mut stream = server.open_stream_from_snapshot();
    let mut state = snapshot_state(&stream.expect_snapshot());
    report_snapshot.send(()).unwrap();
    let first = state.applied_index().number();
    for event in expect_events_through(&mut stream, first, END) {
        state.apply(&event);
    }
    publisher.join().unwrap();
    let json = |state: &State| serde_json::to_value(state).unwrap();
    assert_eq!(json(&state), json(&server.published.state()));
}

#[test]
fn many_events_arrive_in_few_messages() {
    let (server, mut stream, _) = start_with_test_clock();
    for index in 2..=1_001 {
        server.publish([datagram_dropped(index)]);
    }
    server.advance(ROUND_INTERVAL);
    let (mut last, mut messages) = (1, 0);
    while last < 1_001 {
        last = expect_contiguous(&server.advance_to_message(&mut stream).0, last);
        messages += 1;
    }
    // A message has at most 512 events; the first round can end before the last event.
    assert!(messages <= 3, "{messages} messages");
}

#[test]
fn viewer_rate_is_limited() {
    let (server, mut stream, _) = start_with_test_clock();
    let (mut last, mut bytes, mut advanced) = (1, 0, Duration::ZERO);
    for end in [16_000, 32_000, 48_000] {
        server.publish((last + 1..=end).map(lease_renewed));
        while last < end {
            let (message, duration) = server.advance_to_message(&mut stream);
            advanced += duration;
            last = expect_contiguous(&message, last);
            bytes += message.to_string().len() as u64;
            // One second's worth at once, and the excess of the last message.
            let millis = u64::try_from(advanced.as_millis()).unwrap();
            let bytes_max = BYTES_PER_SECOND + BYTES_PER_SECOND / 1_000 * millis + 100_000;
            assert!(bytes <= bytes_max, "{bytes} bytes in {advanced:?}, more than {bytes_max}");
        }
    }
    assert!(bytes > BYTES_PER_SECOND * 5 / 4, "the limit was not reached by {bytes} bytes");
}

#[test]
fn lagging_viewer_gets_a_snapshot_at_most_once_a_second() {
    let (server, mut stream, _) = start_with_test_clock();
    server.publish((2..=20_000).map(lease_renewed));
    // The viewer lags too far to read on, but its last snapshot is less than a second old.
    for _ in 0..30 {
        server.advance(ROUND_INTERVAL);
    }
    server.publish((20_001..=40_000).map(lease_renewed));
    let (snapshot, _) = server.advance_to_message(&mut stream);
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&40_000.into(), &39_999.into()));
    server.publish([lease_renewed(40_001)]);
    let (message, _) = server.advance_to_message(&mut stream);
    assert_eq!(expect_contiguous(&message, 40_000), 40_001);
}

#[test]
fn returning_viewer_continues_where_it_left_off() {
    let server = TestHttpServer::start();
    server.publish((2..=40_000).map(lease_renewed));
    let mut returning = server.open_stream("?from=1", &[]).unwrap();
    assert_eq!(expect_events_through(&mut returning, 1, 40_000).len(), 39_999);

    let mut up_to_date = server.open_stream("?from=40000", &[]).unwrap();
    server.publish([lease_renewed(40_001)]);
    assert_eq!(expect_events_through(&mut up_to_date, 40_000, 40_001).len(), 1);

    server.publish((40_002..=70_000).map(lease_renewed));
    let mut too_late = server.open_stream("?from=1", &[]).unwrap();
    let snapshot = too_late.expect_snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &69_999.into()));
    let mut from_elsewhere = server.open_stream("?from=99999999", &[]).unwrap();
    let snapshot = from_elsewhere.expect_snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &Value::Null));
    assert_eq!(server.open_stream("?from=x", &[]).err(), Some(400));
}

#[test]
fn viewer_of_an_earlier_run_of_the_server_gets_a_snapshot() {
    let server = TestHttpServer::start();
    server.publish([lease_renewed(2), lease_renewed(3)]);
    let snapshot = server.open_stream_from_snapshot().expect_snapshot();
    let started = snapshot["started_unix_ms"].as_u64().unwrap();
    assert!(snapshot["started_at_ms"].as_u64() <= snapshot["at_ms"].as_u64());
    let state = server.get("/api/state").json();
    for field in ["started_at_ms", "started_unix_ms"] {
        assert_eq!(state[field], snapshot[field], "every viewer counts from the same time");
    }
    let mut returning = server.open_stream(&format!("?from=2&started={started}"), &[]).unwrap();
    assert_eq!(expect_events_through(&mut returning, 2, 3).len(), 1);
    // An earlier run may have used the same index for an event that was lost.
    let earlier = format!("?from=2&started={}", started - 1);
    let snapshot = server.open_stream(&earlier, &[]).unwrap().expect_snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&3.into(), &Value::Null));
}

#[test]
fn viewer_restarts_from_a_snapshot_after_failed_events() {
    let server = TestHttpServer::start();
    let mut stream = server.open_stream_from_snapshot();
    stream.expect_snapshot();
    server.publish([lease_renewed(2)]);
    assert_eq!(expect_events_through(&mut stream, 1, 2).len(), 1);
    server.publish([event(9, EventKind::ServerStarted { unix_ms: 0, token_floor: Token::new(0) })]);
    let snapshot = stream.expect_snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&9.into(), &7.into()));
    server.publish([lease_renewed(10)]);
    assert_eq!(expect_events_through(&mut stream, 9, 10).len(), 1);
}

#[test]
fn idle_stream_sends_heartbeats() {
    let (server, mut stream, snapshot) = start_with_test_clock();
    let (heartbeat, advanced) = server.advance_to_message(&mut stream);
    assert_eq!((&heartbeat["type"], &heartbeat["index"]), (&"heartbeat".into(), &1.into()));
    assert!(advanced >= Duration::from_secs(5), "a heartbeat after {advanced:?}");
    let at = |message: &Value| message["at_ms"].as_u64().unwrap();
    assert!(at(&heartbeat) >= at(&snapshot), "the server's clock never decreases");
}

#[test]
fn last_events_are_sent_before_the_stream_closes() {
    for _ in 0..20 {
        let mut server = TestHttpServer::start();
        let mut streams = [
            server.open_stream_from_snapshot(),
            server.open_stream_from_snapshot(),
            server.open_stream("?from=1", &[]).unwrap(),
        ];
        streams[0].expect_snapshot();
        streams[1].expect_snapshot();
        // The server is stopped without waiting until these events are visible.
        server.published.publish((2..=20_000).map(lease_renewed).collect(), LogPosition::default());
        server
            .published
            .publish(vec![event(20_001, EventKind::ServerStopped)], LogPosition::default());
        let readers =
            streams.map(|mut stream| thread::spawn(move || expect_last_event(&mut stream)));
        server.stop();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

/// Reads until event 20,001, or a snapshot that contains it, after which the stream must close.
fn expect_last_event(stream: &mut EventStream) {
    let mut last = 0;
    while last < 20_001 {
        let message = stream.next_message();
        last = match message["events"].as_array() {
            Some(events) => events.last().unwrap()["index"].as_u64().unwrap(),
            None => message["index"].as_u64().unwrap(),
        };
    }
    assert_eq!(last, 20_001);
    let StreamItem::Closed(code) = stream.next_item() else { panic!("a message after the end") };
    assert_eq!(code, Some(1001));
    assert!(stream.is_closed());
}

#[test]
fn shutdown_does_not_wait_for_an_unresponsive_viewer() {
    let mut server = TestHttpServer::start();
    let _unresponsive = server.open_stream_from_snapshot();
    server.stop();
}

#[test]
fn sixty_four_viewers_are_admitted() {
    let server = TestHttpServer::start();
    let mut streams: Vec<_> = (0..64).map(|_| server.open_stream_from_snapshot()).collect();
    assert_eq!(server.open_stream("", &[]).err(), Some(503));
    assert!(server.get("/metrics").text().contains("\nleasehold_viewers 64\n"));
    streams.iter_mut().for_each(|stream| drop(stream.expect_snapshot()));
    drop(streams.pop());
    wait_until("a permit is returned", || server.open_stream("", &[]).is_ok());
}

#[test]
fn requests_from_other_origins_are_rejected() {
    let server = TestHttpServer::start();
    let port = server.address.port();
    for origin in [format!("http://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}")] {
        assert!(server.open_stream("", &[("Origin", &origin)]).is_ok(), "{origin}");
    }
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    let other_name = format!("http://localhost:{port}");
    for origin in ["http://evil.example", "null", "", "file://", &other_port, &other_name] {
        assert_eq!(server.open_stream("", &[("Origin", origin)]).err(), Some(403), "{origin:?}");
    }
}

#[test]
fn requests_with_a_rebound_host_are_rejected() {
    let server = TestHttpServer::start();
    let port = server.address.port();
    let foreign_host = format!("evil.example:{port}");
    let (host, origin) = (("Host", foreign_host.as_str()), format!("http://{foreign_host}"));
    assert_eq!(server.open_stream("", &[host, ("Origin", &origin)]).err(), Some(403));
    for path in ["/", "/api/state", "/api/files/f", "/metrics", "/healthz"] {
        assert_eq!(server.request("GET", path, &[host]).status, 403, "{path}");
    }
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
    {
        assert_eq!(server.request("GET", "/healthz", &[("Host", &host)]).status, 200, "{host}");
    }
}

#[test]
fn no_response_reveals_a_session_secret() {
    let server = TestHttpServer::start();
    let mut stream = server.open_stream_from_snapshot();
    stream.expect_snapshot();
    let closed = EventKind::SessionClosed {
        session_id: SessionId::new(1),
        client: name("ann"),
        request_id: request_id(7),
    };
    server.publish([lease_renewed(2), event(3, closed)]);
    stream.expect_events();
    let mut returning = server.open_stream("?from=0", &[]).unwrap();
    assert_eq!(returning.expect_events()[0], without_secrets(session_opened(1)));
    let mut late = server.open_stream_from_snapshot();
    late.expect_snapshot();
    let mut all = String::new();
    for path in ["/", "/api/state", "/api/files", "/metrics", "/healthz", "/api/events"] {
        all.push_str(&server.get(path).text());
    }
    [stream, returning, late].iter().for_each(|stream| all.push_str(&stream.received_text));
    assert!(all.contains("session_opened") && all.contains("\"departed\""), "{all}");
    let lowercase = all.to_lowercase();
    for secret in [
        format!("{SESSION_KEY:032x}"),
        format!("{SESSION_KEY}"),
        format!("{NONCE:016x}"),
        format!("{NONCE}"),
    ] {
        assert!(!lowercase.contains(&secret), "{secret} in {all}");
    }
    // The server has the secrets, so it could have revealed them.
    assert_eq!(server.published.state().secrets().len(), 1);
    assert_eq!(server.published.state().applied_index(), LogIndex::new(3));
}

fn without_secrets(mut event: Event) -> Event {
    if let EventKind::SessionOpened { key, nonce, .. } = &mut event.kind {
        (*key, *nonce) = (None, None);
    }
    event
}
