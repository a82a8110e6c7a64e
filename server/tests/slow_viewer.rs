//! A viewer that reads nothing while much happens. Alone in its process, whose memory it measures.

mod common;

use std::time::{Duration, Instant};

use common::{Page, asked, event, name, opened};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{SessionNo, Token};

const EVENTS: u64 = 200_000;
const DATA: &[u8] = &[b'x'; 1_000];

/// What would be in memory if each event were kept for it until it reads.
const ALL_BYTES: u64 = EVENTS * DATA.len() as u64;

/// Each with bytes of its own.
fn appended(index: u64) -> Event {
    let fact = Fact::FileAppended {
        file: name("f"),
        session_no: SessionNo::new(1),
        client: name("ann"),
        token: Token::new(1),
        offset: (index - 3) * DATA.len() as u64,
        data: Data::new(DATA),
        asked: asked(index),
    };
    event(index, fact)
}

/// The most memory that this process has had, in bytes; 0 where the system doesn't say.
fn memory_peak() -> u64 {
    if cfg!(not(target_os = "linux")) {
        return 0;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1_024
}

#[test]
fn a_slow_viewer_is_cut_over_and_costs_nobody_anything() {
    let page = Page::of(leasehold_core::state::State::default());
    let granted = Fact::LockGranted {
        lock: name("f"),
        session_no: SessionNo::new(1),
        client: name("ann"),
        token: Token::new(1),
        asked: asked(2),
        hold: None,
        from_queue: false,
    };
    page.publish([opened(1), event(2, granted)]);
    let mut slow = page.feed();
    assert_eq!(slow.snapshot()["index"], 2);
    let before = memory_peak();
    let begun = Instant::now();
    for first in (3..EVENTS).step_by(100) {
        let events = first..first + 100;
        page.published.publish(events.map(appended).collect());
        if first % 4_000 == 3 {
            // The viewer is told something now and then, so much would wait for it to be read.
            std::thread::sleep(Duration::from_millis(5));
            page.settle();
        }
    }
    let end = page.published.state().index().number();
    let took = begun.elapsed();
    let grown = memory_peak() - before;
    println!("{end} events in {took:?}; memory grew by {} MB", grown >> 20);
    assert!(grown < ALL_BYTES * 3 / 4, "memory grew by {grown} bytes");

    let (mut last, mut read, mut missed) = (2, 0, 0);
    while last < end {
        let message = slow.message();
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
    assert!(missed > EVENTS / 2, "it missed {missed}");
    // From there on it is as good as any other.
    page.publish([appended(end + 1)]);
    assert_eq!(slow.events()[0].index.number(), end + 1);
}
