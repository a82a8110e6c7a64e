//! A viewer that reads nothing while much happens. Alone in its process, whose memory it measures.

mod common;

use std::time::{Duration, Instant};

use common::{Page, asked, event, name, opened};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{SessionId, Token};

const EVENT_COUNT: u64 = 200_000;
const DATA: &[u8] = &[b'x'; 1_000];

/// What would be in memory if each event were kept for it until it reads.
const TOTAL_BYTES: u64 = EVENT_COUNT * DATA.len() as u64;

/// Each with bytes of its own.
fn file_appended(index: u64) -> Event {
    let kind = EventKind::FileAppended {
        file: name("f"),
        session_id: SessionId::new(1),
        client: name("ann"),
        token: Token::new(1),
        offset: (index - 3) * DATA.len() as u64,
        data: Data::new(DATA),
        request_id: asked(index),
    };
    event(index, kind)
}

/// The most memory that this process has had, in bytes; 0 where the system doesn't say.
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
    let server = Page::of(leasehold_core::state::State::default());
    let granted = EventKind::LockGranted {
        lock: name("f"),
        session_id: SessionId::new(1),
        client: name("ann"),
        token: Token::new(1),
        request_id: asked(2),
        hold: None,
        from_queue: false,
    };
    server.publish([opened(1), event(2, granted)]);
    let mut slow_viewer = server.feed();
    assert_eq!(slow_viewer.snapshot()["index"], 2);
    let before = peak_memory();
    let started = Instant::now();
    for first in (3..EVENT_COUNT).step_by(100) {
        let events = first..first + 100;
        server.published.publish(events.map(file_appended).collect());
        if first % 4_000 == 3 {
            // The viewer is told something now and then, so much would wait for it to be read.
            std::thread::sleep(Duration::from_millis(5));
            server.settle();
        }
    }
    let end = server.published.state().applied_index().number();
    let elapsed = started.elapsed();
    let growth = peak_memory() - before;
    println!("{end} events in {elapsed:?}; memory grew by {} MB", growth >> 20);
    assert!(growth < TOTAL_BYTES * 3 / 4, "memory grew by {growth} bytes");

    let (mut last, mut read, mut missed) = (2, 0, 0);
    while last < end {
        let message = slow_viewer.message();
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
    println!("it was told {read} events, and missed {missed}");
    assert_eq!(read + missed, end - 2);
    assert!(missed > EVENT_COUNT / 2, "it missed {missed}");
    // From there on it is as good as any other.
    server.publish([file_appended(end + 1)]);
    assert_eq!(slow_viewer.events()[0].index.number(), end + 1);
}
