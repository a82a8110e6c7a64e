//! The numbers of a live server have 64 bits, and every one of them is compared and shown exactly.

use serde_json::json;

use super::*;
use crate::model::inspector::inspector_fields;
use crate::model::log_rows::{LogFilter, log_rows};
use crate::model::target::Target;

/// Numbers that a shorter type cannot hold, and nearly the largest of all.
const LARGE: [u64; 4] = [1 << 31, 1 << 32, 1 << 53, u64::MAX - 1_000];

/// The numbers with which a stream begins.
#[derive(Clone, Copy)]
struct First {
    session: u64,
    token: u64,
    seq: u64,
    index: u64,
}

/// The state of a server that has used the numbers below.
fn used(first: First) -> State {
    let state = json!({
        "index": first.index - 1, "now_ms": 5000, "last_token": first.token - 1,
        "last_session_no": first.session - 1, "sessions": {}, "locks": {}, "files": {}, "waiters": 0,
    });
    serde_json::from_value(state).unwrap()
}

/// The events of two clients that hold one lock one after the other. Each renews its lease and
/// appends one line.
fn story(first: First) -> Vec<String> {
    let First { session: s, token: t, seq: q, .. } = first;
    let ann = json!({"session_no": s, "client": "ann"});
    let bob = json!({"session_no": s + 1, "client": "bob"});
    let request = |seq: u64| json!({"seq": q + seq, "attempt": 0});
    let renewed = json!({"type": "lease_renewed", "op": "heartbeat"});
    let granted = json!({"type": "lock_granted", "lock": "a"});
    let appended = |offset: u64| {
        let content = json!({"offset": offset, "data": "one\n"});
        let mut event = json!({"type": "file_appended", "file": "a"});
        event.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        event
    };
    let opened = json!({"type": "session_opened", "lease_ms": 5000});
    let tokens =
        [json!({"token": t, "from_queue": false}), json!({"token": t + 1, "from_queue": true})];
    let events = [
        vec![opened.clone(), ann.clone()],
        vec![opened, bob.clone()],
        vec![granted.clone(), ann.clone(), tokens[0].clone(), request(0)],
        vec![
            json!({"type": "lock_queued", "lock": "a", "wait_ms": 60_000}),
            bob.clone(),
            request(0),
        ],
        vec![renewed.clone(), ann.clone(), request(1)],
        vec![renewed.clone(), ann.clone(), request(2)],
        vec![appended(0), ann.clone(), json!({"token": t}), request(3)],
        vec![
            json!({"type": "lock_released", "lock": "a", "cause": "released"}),
            ann.clone(),
            json!({"token": t}),
            request(4),
        ],
        vec![granted, bob.clone(), tokens[1].clone(), request(0)],
        vec![appended(4), bob, json!({"token": t + 1}), request(1)],
        vec![
            json!({"type": "request_refused", "op": "append_file", "name": "a", "given": t}),
            json!({"code": "stale_token", "current": t + 1}),
            ann,
            request(5),
        ],
    ];
    let numbered = (first.index..).zip(events);
    let merged = numbered.map(|(index, parts)| {
        let at_ms = 5_100 + 100 * (index - first.index);
        // A release and the grant that follows happen at the same time.
        let at_ms = if index - first.index == 8 { at_ms - 100 } else { at_ms };
        let mut event = json!({"index": index, "at_ms": at_ms});
        for part in parts {
            event.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        event.to_string()
    });
    merged.collect()
}

fn timeline_of(first: First, events_json: &[String]) -> Timeline {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let start = snapshot(&used(first), "\"recovered\":0");
    live_trace.apply_message(&start, VirtualTime::START, &mut intervals).unwrap();
    for event in events_json {
        live_trace.apply_message(&events(event), VirtualTime::START, &mut intervals).unwrap();
    }
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    timeline.go_to(timeline.end());
    timeline
}

fn log_text(timeline: &Timeline) -> Vec<String> {
    let filter =
        LogFilter { min_importance: leasehold_sim::Importance::Internal, ..LogFilter::default() };
    let (past, violated) = (timeline.past(), timeline.violated());
    let display = timeline.time_display();
    let (rows, _) = log_rows(timeline.run(), past, past.len(), &violated, (filter, 500), display);
    let text = rows.iter().rev().map(|row| {
        let reason = row.reason.clone().unwrap_or_default();
        format!("{} {} {} {reason}", row.at, row.actor, row.action)
    });
    text.collect()
}

#[test]
fn large_numbers_violate_nothing_and_are_shown_exactly() {
    let small = First { session: 1, token: 1, seq: 1, index: 1 };
    let small_log = log_text(&timeline_of(small, &story(small)));
    for number in LARGE {
        // All begin just below, so that all cross it.
        let first =
            First { session: number - 1, token: number - 1, seq: number - 2, index: number - 3 };
        let timeline = timeline_of(first, &story(first));
        assert!(timeline.violated().is_empty(), "{:?} near {number}", timeline.violated());
        let status = |invariant| timeline.live_trace().unwrap().status(invariant, u32::MAX);
        for invariant in [Invariant::S1, Invariant::S2, Invariant::S3, Invariant::S4] {
            assert_eq!(status(invariant), InvariantStatus::Ok, "{invariant} near {number}");
        }
        // The log is the same, except for the tokens and sessions.
        let expected = small_log.iter().map(|row| {
            let mut row = row.clone();
            for word in ["token ", "session ", "current: "] {
                for (small, large) in [("2", number), ("1", number - 1)] {
                    row = row.replace(&format!("{word}{small}"), &format!("{word}<{large}>"));
                }
            }
            row.replace(['<', '>'], "")
        });
        assert_eq!(log_text(&timeline), expected.collect::<Vec<_>>(), "near {number}");

        let scene = timeline.scene();
        let lock = &scene.locks[0];
        let holder = lock.holder.as_ref().unwrap();
        assert_eq!((holder.token.number(), holder.node), (number, NodeId(2)));
        let tokens = lock.last_lines.iter().map(|line| line.token.map(Token::number));
        assert_eq!(tokens.collect::<Vec<_>>(), [Some(number - 1), Some(number)]);
        let belief = scene.clients[1].belief.unwrap();
        assert_eq!(belief.token.number(), number);
        let lines = &timeline.file_views(None, 10)[0].lines;
        assert_eq!(lines[1].token_text(), format!("#{number}"));
        let fields =
            inspector_fields(timeline.inspector_context(), &scene, Target::Lock(LockId(0)));
        assert!(fields.iter().any(|field| field.value == number.to_string()), "{fields:?}");
        assert_eq!(timeline.intervals().tenures[1].token, Number::from(number));
    }
}

/// After an accepted loss of data, tokens are far ahead. A token that decreases by one must still
/// be noticed.
#[test]
fn token_that_decreases_violates_s2_however_large_it_is() {
    for number in [2, 1_000_000_000_000, (1 << 53) + 1, u64::MAX - 1_000] {
        let first = First { session: 1, token: number - 1, seq: 1, index: 1 };
        let mut events = story(first);
        // The refused append is applied.
        *events.last_mut().unwrap() = json!({
            "index": 11, "at_ms": 6_100, "type": "file_appended", "file": "a", "offset": 8,
            "data": "late\n", "session_no": 1, "client": "ann", "token": number - 1, "seq": 6,
            "attempt": 0,
        })
        .to_string();
        let timeline = timeline_of(first, &events);
        let violated: Vec<Invariant> = timeline.violated().iter().map(|it| it.0).collect();
        assert_eq!(violated, [Invariant::S2, Invariant::S4], "token {number}");
        let witness = timeline.violated()[0].1;
        let explainer = leasehold_sim::Explainer::new(timeline.run(), timeline.trace());
        let text = explainer.violation(Invariant::S2, witness).unwrap().text;
        let expected = format!("token {} follows token {number}, which", number - 1);
        assert!(text.starts_with(&expected), "{text}");
    }
}

/// A request that is executed twice is noticed, and one with a neighbouring number is not.
#[test]
fn request_that_is_executed_twice_violates_s3_however_large_its_number_is() {
    for number in [5, 1 << 32, (1 << 53) + 1] {
        let first = First { session: 1, token: 1, seq: number, index: 1 };
        let mut events = story(first);
        events[5] = events[5].replace(&(number + 2).to_string(), &(number + 1).to_string());
        let violated = timeline_of(first, &events).violated();
        assert_eq!(violated.iter().map(|it| it.0).collect::<Vec<_>>(), [Invariant::S3]);
    }
}
