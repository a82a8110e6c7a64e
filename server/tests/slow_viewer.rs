//! A viewer that reads nothing while many events happen. The test measures the memory of its
//! process, so it is alone in this file.

mod common;

use std::time::Duration;

use common::{TestHttpServer, event, name, request_id, session_opened};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{SessionId, Token};
use leasehold_core::state::State;
use leasehold_server::log::LogPosition;

const EVENT_COUNT: u64 = 200_000;
const DATA: &[u8] = &[b'x'; 1_000];

/// The memory that all events would occupy if they were retained until the viewer reads them.
const TOTAL_BYTES: u64 = EVENT_COUNT * DATA.len() as u64;

/// Returns an append whose data shares no memory with other events.
fn file_appended(index: u64) -> Event {
    let kind = EventKind::FileAppended {
        file: name("f"),
        session_id: SessionId::new(1),
        client: name("ann"),
        token: Token::new(1),
        offset: (index - 3) * DATA.len() as u64,
        data: Data::new(DATA),
        request_id: request_id(index),
    };
    event(index, kind)
}

/// Returns the peak memory of this process in bytes, or 0 if the system does not report it.
fn peak_memory() -> u64 {
    if cfg!(not(target_os = "linux")) {
        return 0;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1_024
}

#[test]
fn slow_viewer_skips_to_a_snapshot_and_costs_no_memory() {
    let server = TestHttpServer::with_test_clock(State::default());
    let granted = EventKind::LockGranted {
        lock: name("f"),
        session_id: SessionId::new(1),
        client: name("ann"),
        token: Token::new(1),
        request_id: request_id(2),
        hold: None,
        from_queue: false,
    };
    server.publish([session_opened(1), event(2, granted)]);
    let mut slow_viewer = server.open_stream_from_snapshot();
    assert_eq!(slow_viewer.expect_snapshot()["index"], 2);
    let before = peak_memory();
    for first in (3..EVENT_COUNT).step_by(100) {
        let events = first..first + 100;
        server.published.publish(events.map(file_appended).collect(), LogPosition::default());
        if first % 4_000 == 3 {
            // The server sends to the viewer, whose unread messages would accumulate.
            server.wait_until_published();
            server.advance(Duration::from_millis(100));
        }
    }
    let end = server.published.state().applied_index().number();
    let growth = peak_memory() - before;
    assert!(growth < TOTAL_BYTES * 3 / 4, "memory grew by {growth} bytes");

    let (mut last, mut read, mut missed) = (2, 0, 0);
    while last < end {
        let (message, _) = server.advance_to_message(&mut slow_viewer);
        if message["type"] == "snapshot" {
            let index = message["index"].as_u64().unwrap();
            assert_eq!(message["missed"], index - last);
            missed += index - last;
            last = index;
            continue;
        }
        for event in message["events"].as_array().unwrap() {
            last += 1;
            read += 1;
            assert_eq!(event["index"], last, "a gap");
        }
    }
    assert_eq!(read + missed, end - 2);
    assert!(missed > EVENT_COUNT / 2, "it missed {missed}");
    // The viewer is up to date again.
    server.publish([file_appended(end + 1)]);
    let (message, _) = server.advance_to_message(&mut slow_viewer);
    assert_eq!(message["events"][0]["index"], end + 1);
}
