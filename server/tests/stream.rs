//! The event stream over real sockets: nothing is missing from it, and nobody is waited for.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Feed, NONCE, PATIENCE, Page, SESSION_ID, Told, dropped, event, opened, renewed};
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Index, SessionNo, Token};
use leasehold_core::state::State;
use serde_json::Value;

/// The state of a snapshot, to fold on from.
fn state_of(snapshot: &Value) -> State {
    let state: State = serde_json::from_value(snapshot["state"].clone()).unwrap();
    assert_eq!(snapshot["index"], state.index().number());
    assert!(snapshot["at_ms"].as_u64().unwrap() >= state.now().as_millis());
    state
}

/// Reads events until this one, each of which is the next.
fn read_until(feed: &mut Feed, mut last: u64, end: u64) -> Vec<Event> {
    let mut all = Vec::new();
    while last < end {
        let events = feed.events();
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
fn a_viewer_folds_the_stream_to_the_state_of_the_server() {
    const END: u64 = 10_000;
    let page = Page::start();
    let published = page.published.clone();
    let busy = thread::spawn(move || {
        for first in (2..=END).step_by(37) {
            published.publish((first..=END.min(first + 36)).map(renewed).collect());
            thread::sleep(Duration::from_millis(1));
        }
    });
    thread::sleep(Duration::from_millis(30));
    let mut feed = page.feed();
    let mut state = state_of(&feed.snapshot());
    let first = state.index().number();
    assert!((2..END).contains(&first), "in the midst of it: {first}");
    for event in read_until(&mut feed, first, END) {
        state.apply(&event);
    }
    busy.join().unwrap();
    let json = |state: &State| serde_json::to_value(state).unwrap();
    assert_eq!(json(&state), json(&page.published.state()));
}

#[test]
fn many_events_come_in_few_messages() {
    let page = Page::start();
    let mut feed = page.feed();
    feed.snapshot();
    let mut messages = 0;
    let published = page.published.clone();
    let begun = Instant::now();
    let busy = thread::spawn(move || {
        for index in 2..=1_001 {
            published.publish(vec![dropped(index)]);
            thread::sleep(Duration::from_micros(500));
        }
    });
    let mut last = 1;
    while last < 1_001 {
        last += feed.events().len() as u64;
        messages += 1;
    }
    busy.join().unwrap();
    let most = begun.elapsed().as_millis() / 33 + 3;
    assert!(messages <= most, "{messages} messages, more than 30 a second: {most}");
}

#[test]
fn a_viewer_has_what_a_person_can_follow_and_is_told_what_it_misses() {
    const END: u64 = 600_000;
    let page = Page::start();
    let mut feed = page.feed();
    feed.snapshot();
    let published = page.published.clone();
    let begun = Instant::now();
    let busy = thread::spawn(move || {
        for first in (2..=END).step_by(500) {
            published.publish((first..=END.min(first + 499)).map(renewed).collect());
            thread::sleep(Duration::from_millis(2));
        }
    });
    let (mut last, mut bytes, mut read, mut begins) = (1, 0_u32, 0, Vec::new());
    while last < END {
        let message = feed.message();
        if message["type"] == "snapshot" {
            let index = message["index"].as_u64().unwrap();
            assert_eq!(message["missed"], index - last);
            last = index;
            begins.push(begun.elapsed());
            continue;
        }
        bytes += u32::try_from(message.to_string().len()).unwrap();
        for event in message["events"].as_array().unwrap() {
            last += 1;
            read += 1;
            assert_eq!(event["index"], last, "a gap");
        }
    }
    busy.join().unwrap();
    println!("{read} of {END} events, {bytes} bytes, lost at {begins:?}");
    // A second's worth at once, and what the last message has too much.
    let most = 4.0e6 * (begun.elapsed().as_secs_f64() + 1.0) + 1.0e5;
    assert!(f64::from(bytes) < most, "{bytes} bytes, more than {most}");
    assert!(!begins.is_empty() && read > 20_000, "{read} events in {} pieces", begins.len());
    for pair in begins.windows(2) {
        // It is seen a little later or sooner than it was sent.
        assert!(pair[1] > pair[0] + Duration::from_millis(700), "{begins:?}");
    }
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let page = Page::start();
    page.publish((2..=40_000).map(renewed));
    let mut back = page.follow("?from=1", &[]).unwrap();
    assert_eq!(read_until(&mut back, 1, 40_000).len(), 39_999);

    let mut up_to_date = page.follow("?from=40000", &[]).unwrap();
    assert!(up_to_date.told_within(Duration::from_millis(200)).is_none(), "nothing has happened");
    page.publish([renewed(40_001)]);
    assert_eq!(read_until(&mut up_to_date, 40_000, 40_001).len(), 1);

    page.publish((40_002..=70_000).map(renewed));
    let mut too_late = page.follow("?from=1", &[]).unwrap();
    let snapshot = too_late.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &69_999.into()));
    let mut from_elsewhere = page.follow("?from=99999999", &[]).unwrap();
    let snapshot = from_elsewhere.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&70_000.into(), &Value::Null));
    assert_eq!(page.follow("?from=x", &[]).err(), Some(400));
}

#[test]
fn after_events_that_could_not_be_stored_a_viewer_begins_again() {
    let page = Page::start();
    let mut feed = page.feed();
    feed.snapshot();
    page.publish([renewed(2)]);
    assert_eq!(read_until(&mut feed, 1, 2).len(), 1);
    page.publish([event(9, Fact::ServerStarted { unix_ms: 0, token_floor: Token::new(0) })]);
    let snapshot = feed.snapshot();
    assert_eq!((&snapshot["index"], &snapshot["missed"]), (&9.into(), &7.into()));
    page.publish([renewed(10)]);
    assert_eq!(read_until(&mut feed, 9, 10).len(), 1);
}

#[test]
fn where_nothing_happens_a_viewer_is_told_so() {
    let page = Page::start();
    let mut feed = page.feed();
    let at = |message: &Value| message["at_ms"].as_u64().unwrap();
    let snapshot = feed.snapshot();
    let begun = Instant::now();
    let beat = feed.message();
    assert_eq!((&beat["type"], &beat["index"]), (&"heartbeat".into(), &1.into()));
    assert!((4..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let went_on = at(&beat) - at(&snapshot);
    assert!((4_000..8_000).contains(&went_on), "the server's clock went on by {went_on}");
}

#[test]
fn what_happened_last_is_told_before_the_stream_ends() {
    for _ in 0..20 {
        let mut page = Page::start();
        let mut feeds = [page.feed(), page.feed(), page.follow("?from=1", &[]).unwrap()];
        feeds[0].snapshot();
        feeds[1].snapshot();
        // Not waited for: the end must not come before it.
        page.published.publish((2..=20_000).map(renewed).collect());
        page.published.publish(vec![event(20_001, Fact::ServerStopped)]);
        let readers = feeds.map(|mut feed| {
            thread::spawn(move || {
                let last = loop {
                    match feed.told() {
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
                let Told::Closed(code) = feed.told() else { panic!("something after the end") };
                assert_eq!(code, Some(1001));
                assert!(feed.is_over());
            })
        });
        let took = page.stop();
        assert!(took < Duration::from_millis(1_500), "it took {took:?}");
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

#[test]
fn a_viewer_that_does_not_say_goodbye_is_not_waited_for() {
    let mut page = Page::start();
    let _silent = page.feed();
    let took = page.stop();
    assert!(took < Duration::from_millis(1_900), "it took {took:?}");
}

#[test]
fn there_is_room_for_64_viewers() {
    let page = Page::start();
    let mut feeds: Vec<_> = (0..64).map(|_| page.feed()).collect();
    assert_eq!(page.follow("", &[]).err(), Some(503));
    assert!(page.get("/metrics").text().contains("\nleasehold_viewers 64\n"));
    feeds.iter_mut().for_each(|feed| drop(feed.snapshot()));
    drop(feeds.pop());
    let begun = Instant::now();
    while page.follow("", &[]).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the seat does not come free");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn pages_of_other_origins_are_kept_out() {
    let page = Page::start();
    let port = page.address.port();
    for origin in [format!("http://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}")] {
        assert!(page.follow("", &[("Origin", &origin)]).is_ok(), "{origin}");
    }
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    let other_name = format!("http://localhost:{port}");
    for origin in ["http://evil.example", "null", "", "file://", &other_port, &other_name] {
        assert_eq!(page.follow("", &[("Origin", origin)]).err(), Some(403), "{origin:?}");
    }
}

#[test]
fn a_name_that_was_made_to_point_here_is_kept_out() {
    let page = Page::start();
    let port = page.address.port();
    let evil = format!("evil.example:{port}");
    let (host, origin) = (("Host", evil.as_str()), format!("http://{evil}"));
    assert_eq!(page.follow("", &[host, ("Origin", &origin)]).err(), Some(403));
    for path in ["/", "/api/state", "/api/files/f", "/metrics", "/healthz"] {
        assert_eq!(page.ask("GET", path, &[host]).status, 403, "{path}");
    }
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(page.ask("GET", "/healthz", &[("Host", &own)]).status, 200, "{own}");
    }
}

#[test]
fn nothing_that_anybody_is_told_opens_a_session() {
    let page = Page::start();
    let mut all = String::new();
    let mut feed = page.feed();
    feed.snapshot();
    let closed = Fact::SessionClosed {
        session_no: SessionNo::new(1),
        client: common::name("ann"),
        asked: common::asked(7),
    };
    page.publish([renewed(2), event(3, closed)]);
    feed.events();
    let mut again = page.follow("?from=0", &[]).unwrap();
    assert_eq!(again.events()[0], without_secrets(opened(1)));
    let mut late = page.feed();
    late.snapshot();
    for path in ["/", "/api/state", "/api/files", "/metrics", "/healthz", "/api/events"] {
        all.push_str(&page.get(path).text());
    }
    [feed, again, late].iter().for_each(|feed| all.push_str(&feed.heard));
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
    assert_eq!(page.published.state().secrets().len(), 1);
    assert_eq!(page.published.state().index(), Index::new(3));
}

fn without_secrets(mut event: Event) -> Event {
    if let Fact::SessionOpened { id, nonce, .. } = &mut event.fact {
        (*id, *nonce) = (None, None);
    }
    event
}
