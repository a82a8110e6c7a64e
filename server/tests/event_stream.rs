//! The event stream over real sockets: nothing is missing from it, and nobody is waited for.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Feed, NONCE, PATIENCE, Page, SESSION_ID, Told, dropped, event, opened, renewed};
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{LogIndex, SessionId, Token};
use leasehold_core::state::State;
use serde_json::Value;

/// The state of a snapshot, to fold on from.
fn snapshot_state(snapshot: &Value) -> State {
    let state: State = serde_json::from_value(snapshot["state"].clone()).unwrap();
    assert_eq!(snapshot["index"], state.applied_index().number());
    assert!(snapshot["at_ms"].as_u64().unwrap() >= state.last_event_at().as_millis());
    state
}

/// Reads events until this one, each of which is the next.
fn expect_events_through(stream: &mut Feed, mut last: u64, end: u64) -> Vec<Event> {
    let mut all = Vec::new();
    while last < end {
        let events = stream.events();
        assert!(!events.is_empty() && events.len() <= 512, "{} in a message", events.len());
        for event in &events {
            last += 1;
            assert_eq!(event.index.number(), last, "a gap");
        }
        all.extend(events);
    }
    all
}

#[test]
fn viewer_reconstructs_the_state_of_the_server() {
    const END: u64 = 10_000;
    let server = Page::start();
    let published = server.published.clone();
    let publisher = thread::spawn(move || {
        for first in (2..=END).step_by(37) {
            published.publish((first..=END.min(first + 36)).map(renewed).collect());
            thread::sleep(Duration::from_millis(1));
        }
    });
    thread::sleep(Duration::from_millis(30));
    let mut stream = server.feed();
    let mut state = snapshot_state(&stream.snapshot());
    let first = state.applied_index().number();
    assert!((2..END).contains(&first), "in the midst of it: {first}");
    for event in expect_events_through(&mut stream, first, END) {
        state.apply(&event);
    }
    publisher.join().unwrap();
    let json = |state: &State| serde_json::to_value(state).unwrap();
    assert_eq!(json(&state), json(&server.published.state()));
}

#[test]
fn many_events_arrive_in_few_messages() {
    let server = Page::start();
    let mut stream = server.feed();
    stream.snapshot();
    let mut messages = 0;
    let published = server.published.clone();
    let started = Instant::now();
    let publisher = thread::spawn(move || {
        for index in 2..=1_001 {
            published.publish(vec![dropped(index)]);
            thread::sleep(Duration::from_micros(500));
        }
    });
    let mut last = 1;
    while last < 1_001 {
        last += stream.events().len() as u64;
        messages += 1;
    }
    publisher.join().unwrap();
    let messages_max = started.elapsed().as_millis() / 33 + 3;
    assert!(messages <= messages_max, "{messages} messages, more than 30 a second: {messages_max}");
}

#[test]
fn viewer_rate_is_limited_and_missed_events_are_counted() {
    const END: u64 = 600_000;
    let server = Page::start();
    let mut stream = server.feed();
    stream.snapshot();
    let published = server.published.clone();
    let started = Instant::now();
    let publisher = thread::spawn(move || {
        for first in (2..=END).step_by(500) {
            published.publish((first..=END.min(first + 499)).map(renewed).collect());
            thread::sleep(Duration::from_millis(2));
        }
    });
    let (mut last, mut bytes, mut read, mut snapshots_at) = (1, 0_u32, 0, Vec::new());
    while last < END {
        let message = stream.message();
        if message["type"] == "snapshot" {
            let index = message["index"].as_u64().unwrap();
            assert_eq!(message["missed"], index - last);
            last = index;
            snapshots_at.push(started.elapsed());
            continue;
        }
        bytes += u32::try_from(message.to_string().len()).unwrap();
        for event in message["events"].as_array().unwrap() {
            last += 1;
            read += 1;
            assert_eq!(event["index"], last, "a gap");
        }
    }
    publisher.join().unwrap();
    println!("{read} of {END} events, {bytes} bytes, lost at {snapshots_at:?}");
    // A second's worth at once, and what the last message has too much.
    let bytes_max = 4.0e6 * (started.elapsed().as_secs_f64() + 1.0) + 1.0e5;
    assert!(f64::from(bytes) < bytes_max, "{bytes} bytes, more than {bytes_max}");
    assert!(
        !snapshots_at.is_empty() && read > 20_000,
        "{read} events in {} pieces",
        snapshots_at.len()
    );
    for pair in snapshots_at.windows(2) {
        // It is seen a little later or sooner than it was sent.
        assert!(pair[1] > pair[0] + Duration::from_millis(700), "{snapshots_at:?}");
    }
}

#[test]
fn returning_viewer_continues_where_it_left_off() {
    let server = Page::start();
    server.publish((2..=40_000).map(renewed));
    let mut returning = server.follow("?from=1", &[]).unwrap();
    assert_eq!(expect_events_through(&mut returning, 1, 40_000).len(), 39_999);

    let mut up_to_date = server.follow("?from=40000", &[]).unwrap();
    assert!(up_to_date.told_within(Duration::from_millis(200)).is_none(), "nothing has happened");
    server.publish([renewed(40_001)]);
    assert_eq!(expect_events_through(&mut up_to_date, 40_000, 40_001).len(), 1);

    server.publish((40_002..=70_000).map(renewed));
    let mut too_late = server.follow("?from=1", &[]).unwrap();
    let snapshot = too_late.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &69_999.into()));
    let mut from_elsewhere = server.follow("?from=99999999", &[]).unwrap();
    let snapshot = from_elsewhere.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &Value::Null));
    assert_eq!(server.follow("?from=x", &[]).err(), Some(400));
}

#[test]
fn viewer_restarts_from_a_snapshot_after_failed_events() {
    let server = Page::start();
    let mut stream = server.feed();
    stream.snapshot();
    server.publish([renewed(2)]);
    assert_eq!(expect_events_through(&mut stream, 1, 2).len(), 1);
    server.publish([event(9, EventKind::ServerStarted { unix_ms: 0, token_floor: Token::new(0) })]);
    let snapshot = stream.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&9.into(), &7.into()));
    server.publish([renewed(10)]);
    assert_eq!(expect_events_through(&mut stream, 9, 10).len(), 1);
}

#[test]
fn idle_stream_sends_heartbeats() {
    let server = Page::start();
    let mut stream = server.feed();
    let at = |message: &Value| message["at_ms"].as_u64().unwrap();
    let snapshot = stream.snapshot();
    let started = Instant::now();
    let heartbeat = stream.message();
    assert_eq!((&heartbeat["type"], &heartbeat["index"]), (&"heartbeat".into(), &1.into()));
    assert!((4..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    let advanced = at(&heartbeat) - at(&snapshot);
    assert!((4_000..8_000).contains(&advanced), "the server's clock went on by {advanced}");
}

#[test]
fn last_events_are_sent_before_the_stream_closes() {
    for _ in 0..20 {
        let mut server = Page::start();
        let mut streams = [server.feed(), server.feed(), server.follow("?from=1", &[]).unwrap()];
        streams[0].snapshot();
        streams[1].snapshot();
        // Not waited for: the end must not come before it.
        server.published.publish((2..=20_000).map(renewed).collect());
        server.published.publish(vec![event(20_001, EventKind::ServerStopped)]);
        let readers = streams.map(|mut stream| {
            thread::spawn(move || {
                let last = loop {
                    match stream.told() {
                        Told::Message(message) => {
                            let last =
                                message["events"].as_array().map(|it| it[it.len() - 1].clone());
                            if let Some(last) = last.filter(|it| it["type"] == "server_stopped") {
                                break last;
                            }
                            // Cut over after it had happened.
                            if message["index"] == 20_001 {
                                break message;
                            }
                        }
                        Told::Closed(code) => panic!("closed before all was told: {code:?}"),
                    }
                };
                assert_eq!(last["index"], 20_001);
                let Told::Closed(code) = stream.told() else { panic!("something after the end") };
                assert_eq!(code, Some(1001));
                assert!(stream.is_over());
            })
        });
        let elapsed = server.stop();
        assert!(elapsed < Duration::from_millis(1_500), "it took {elapsed:?}");
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

#[test]
fn shutdown_does_not_wait_for_an_unresponsive_viewer() {
    let mut server = Page::start();
    let _silent = server.feed();
    let elapsed = server.stop();
    assert!(elapsed < Duration::from_millis(1_900), "it took {elapsed:?}");
}

#[test]
fn sixty_four_viewers_are_admitted() {
    let server = Page::start();
    let mut streams: Vec<_> = (0..64).map(|_| server.feed()).collect();
    assert_eq!(server.follow("", &[]).err(), Some(503));
    assert!(server.get("/metrics").text().contains("\nleasehold_viewers 64\n"));
    streams.iter_mut().for_each(|stream| drop(stream.snapshot()));
    drop(streams.pop());
    let started = Instant::now();
    while server.follow("", &[]).is_err() {
        assert!(started.elapsed() < PATIENCE, "the seat does not come free");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn requests_from_other_origins_are_rejected() {
    let server = Page::start();
    let port = server.address.port();
    for origin in [format!("http://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}")] {
        assert!(server.follow("", &[("Origin", &origin)]).is_ok(), "{origin}");
    }
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    let other_name = format!("http://localhost:{port}");
    for origin in ["http://evil.example", "null", "", "file://", &other_port, &other_name] {
        assert_eq!(server.follow("", &[("Origin", origin)]).err(), Some(403), "{origin:?}");
    }
}

#[test]
fn requests_with_a_rebound_host_are_rejected() {
    let server = Page::start();
    let port = server.address.port();
    let foreign_host = format!("evil.example:{port}");
    let (host, origin) = (("Host", foreign_host.as_str()), format!("http://{foreign_host}"));
    assert_eq!(server.follow("", &[host, ("Origin", &origin)]).err(), Some(403));
    for path in ["/", "/api/state", "/api/files/f", "/metrics", "/healthz"] {
        assert_eq!(server.ask("GET", path, &[host]).status, 403, "{path}");
    }
    for own_host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
    {
        assert_eq!(server.ask("GET", "/healthz", &[("Host", &own_host)]).status, 200, "{own_host}");
    }
}

#[test]
fn no_response_reveals_a_session_secret() {
    let server = Page::start();
    let mut all = String::new();
    let mut stream = server.feed();
    stream.snapshot();
    let closed = EventKind::SessionClosed {
        session_id: SessionId::new(1),
        client: common::name("ann"),
        request_id: common::asked(7),
    };
    server.publish([renewed(2), event(3, closed)]);
    stream.events();
    let mut again = server.follow("?from=0", &[]).unwrap();
    assert_eq!(again.events()[0], without_secrets(opened(1)));
    let mut late = server.feed();
    late.snapshot();
    for path in ["/", "/api/state", "/api/files", "/metrics", "/healthz", "/api/events"] {
        all.push_str(&server.get(path).text());
    }
    [stream, again, late].iter().for_each(|stream| all.push_str(&stream.heard));
    assert!(all.contains("session_opened") && all.contains("\"departed\""), "{all}");
    let digits: String = all.to_lowercase();
    for secret in [
        format!("{SESSION_ID:032x}"),
        format!("{SESSION_ID}"),
        format!("{NONCE:016x}"),
        format!("{NONCE}"),
    ] {
        assert!(!digits.contains(&secret), "{secret} in {all}");
    }
    // They are known, so it was possible to tell them.
    assert_eq!(server.published.state().secrets().len(), 1);
    assert_eq!(server.published.state().applied_index(), LogIndex::new(3));
}

fn without_secrets(mut event: Event) -> Event {
    if let EventKind::SessionOpened { key: id, nonce, .. } = &mut event.kind {
        (*id, *nonce) = (None, None);
    }
    event
}
