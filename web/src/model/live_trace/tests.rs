//! Live traces of scripted event streams.

mod honesty;
mod numbers;
mod real_server;
mod restarts;

use leasehold_core::id::{SessionId, Token};
use leasehold_sim::{NodeId, Number, RecordKind};

use super::segment::CHECKPOINT_INTERVAL;
use super::*;
use crate::model::intervals::Intervals;
use crate::model::timeline::Timeline;

const EMPTY: &str = r#"{"type":"snapshot","index":0,"at_ms":5000,"recovered":0,"state":STATE}"#;

fn snapshot(state: &State, fields: &str) -> String {
    let json = serde_json::to_string(state).unwrap();
    EMPTY.replace("STATE", &json).replace("\"recovered\":0", fields)
}

fn events(json: &str) -> String {
    format!(r#"{{"type":"events","events":[{json}]}}"#)
}

const OPENED: &str = r#"{"index":1,"at_ms":5000,"type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}"#;
const GRANTED: &str = r#"{"index":2,"at_ms":5100,"type":"lock_granted","lock":"a","session_no":1,
    "client":"ann","token":1,"seq":1,"attempt":0,"from_queue":false}"#;
const WRITTEN: &str = r#"{"index":3,"at_ms":5200,"type":"file_appended","file":"a","session_no":1,
    "client":"ann","token":1,"offset":0,"data":"one\n","seq":2,"attempt":0}"#;
const RENEWED: &str = r#"{"index":4,"at_ms":7000,"type":"lease_renewed","session_no":1,
    "client":"ann","op":"heartbeat","seq":3,"attempt":0}"#;
const LEASE_EXPIRED: &str = r#"{"index":5,"at_ms":12000,"type":"lock_released","lock":"a","session_no":1,
    "client":"ann","token":1,"cause":"lease_expired"}"#;
const EXPIRED: &str =
    r#"{"index":6,"at_ms":12000,"type":"session_expired","session_no":1,"client":"ann"}"#;

fn observed() -> (LiveTrace, Intervals) {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    live_trace
        .apply_message(
            &snapshot(&State::default(), "\"recovered\":0"),
            VirtualTime::START,
            &mut intervals,
        )
        .unwrap();
    for event in [OPENED, GRANTED, WRITTEN, RENEWED, LEASE_EXPIRED, EXPIRED] {
        live_trace.apply_message(&events(event), VirtualTime::START, &mut intervals).unwrap();
    }
    (live_trace, intervals)
}

fn timeline() -> Timeline {
    let (live_trace, intervals) = observed();
    Timeline::from_live_trace(live_trace, intervals)
}

#[test]
fn live_events_are_explained_like_a_simulated_run() {
    let timeline = timeline();
    let explainer = leasehold_sim::Explainer::new(timeline.run(), timeline.trace());
    let describe = |record| explainer.describe(RecordId(record)).unwrap();
    assert_eq!(describe(0).sentence(), "recording starts here");
    assert_eq!(describe(2).sentence(), "server grants a to ann under token 1");
    let expiry = describe(5);
    assert_eq!(expiry.sentence(), "server releases a (token 1): ann's lease expired");
    // The length of the lease is not part of the reason, because each session has its own.
    let reason = "the server last heard from ann at 2.0 s";
    assert_eq!(expiry.reason.as_deref(), Some(reason));
    let statuses = timeline.statuses();
    let status = |it| statuses.iter().find(|(invariant, ..)| *invariant == it).unwrap().2;
    assert_eq!(status(Invariant::S1), InvariantStatus::Ok);
    assert_eq!(status(Invariant::L1), InvariantStatus::Ok);
    assert_eq!(status(Invariant::S7), InvariantStatus::Unchecked);
}

#[test]
fn earlier_states_can_be_shown() {
    let mut timeline = timeline();
    timeline.go_to(VirtualTime::from_millis(150));
    let scene = timeline.scene();
    assert_eq!((timeline.position(), scene.clients.len()), (3, 1));
    assert_eq!(scene.clients[0].activity, "holds a");
    assert!(scene.clients[0].belief.unwrap().is_inferred);
    assert_eq!(scene.locks[0].line_count, 0);
    timeline.go_to(VirtualTime::from_millis(250));
    let scene = timeline.scene();
    let [line] = &scene.locks[0].last_lines[..] else { panic!("one line: {scene:?}") };
    assert_eq!((line.token.map(Token::number), line.text.as_str()), (Some(1), "ann"));
    let truth = timeline.scene().clients[0].server_lease.unwrap();
    assert_eq!(truth.until, VirtualTime::from_millis(5_200), "the append renewed the lease");
    timeline.go_to(timeline.end());
    assert_eq!(timeline.scene().clients[0].activity, "lease expired");
    let intervals = timeline.intervals();
    assert_eq!(intervals.tenures.len(), 1);
    assert_eq!(intervals.beliefs[0].until(timeline.end()), Some(VirtualTime::from_millis(7_000)));
}

#[test]
fn gap_is_marked_and_tenures_continue_after_it() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let ms = VirtualTime::from_millis;
    live_trace
        .apply_message(&snapshot(&State::default(), "\"recovered\":0"), ms(0), &mut intervals)
        .unwrap();
    for event in [OPENED, GRANTED] {
        live_trace.apply_message(&events(event), ms(0), &mut intervals).unwrap();
    }
    let state = live_trace.latest_state().clone();
    let missed = r#""missed":3,"recovered":0"#;
    live_trace.apply_message(&snapshot(&state, missed), ms(9_000), &mut intervals).unwrap();
    let kinds: Vec<RecordKind> = live_trace.records().iter().map(|record| record.kind).collect();
    assert_eq!(kinds[3], RecordKind::Gap { events: Number::from(3_u32) });
    assert!(
        matches!(kinds[4], RecordKind::TenureRecovered { token, client, .. }
            if (token, client) == (Number::from(1_u32), NodeId(1))),
        "{kinds:?}"
    );
    assert_eq!(intervals.tenures.len(), 1, "the tenure was never interrupted");
    assert_eq!(live_trace.end(), ms(9_000));
    let gaps: Vec<_> = intervals.outages.iter().map(|it| (it.from, it.until)).collect();
    assert_eq!(gaps, [(ms(100), Some(ms(9_000)))], "the gap starts at the last message");
    let restarted = r#""missed":0,"recovered":2"#;
    live_trace.apply_message(&snapshot(&state, restarted), ms(12_000), &mut intervals).unwrap();
    assert!(live_trace.records().iter().any(|record| record.kind == RecordKind::Restarted));
    assert!(live_trace.violated().is_empty());
}

#[test]
fn missing_event_is_reported() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let mut apply =
        |message: &str| live_trace.apply_message(message, VirtualTime::START, &mut intervals);
    assert!(apply(&events(OPENED)).is_err(), "the state before is unknown");
    apply(&snapshot(&State::default(), "\"recovered\":0")).unwrap();
    assert!(apply(&events(GRANTED)).is_err());
    assert!(apply("nonsense").is_err());
    assert!(apply(r#"{"type":"news","of":"a later version"}"#).is_ok());
}

#[test]
fn oldest_events_are_dropped_and_the_rest_stays_correct() {
    let (mut live_trace, mut intervals) = observed();
    live_trace.events_max = 10_000;
    for index in 7..25_000 {
        let event = format!(
            r#"{{"index":{index},"at_ms":{},"type":"datagram_dropped","reason":"not_json"}}"#,
            12_000 + index
        );
        live_trace.apply_message(&events(&event), VirtualTime::START, &mut intervals).unwrap();
    }
    assert!(live_trace.dropped_events > 10_000, "{}", live_trace.dropped_events);
    assert!(live_trace.generation() > 0);
    assert_eq!(live_trace.last_log_index(), Some(LogIndex::new(24_999)));
    assert_eq!(live_trace.end(), VirtualTime::from_millis(12_000 + 24_999 - 5_000));
    let events = Number::from(live_trace.dropped_events);
    assert_eq!(live_trace.records()[0].kind, RecordKind::Gap { events });
    let mut expected = Intervals::default();
    expected.extend_from(live_trace.records());
    assert_eq!(intervals, expected);
}

/// The event that opens session `session_id` for ann.
fn session_of_ann(session_id: u64) -> String {
    OPENED
        .replace("\"index\":1", &format!("\"index\":{session_id}"))
        .replace("\"session_no\":1", &format!("\"session_no\":{session_id}"))
}

#[test]
fn two_sessions_of_one_name_keep_their_rows_across_a_gap() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let mut apply = |message: &str| {
        live_trace.apply_message(message, VirtualTime::START, &mut intervals).unwrap()
    };
    let mut state = State::default();
    apply(&snapshot(&state, "\"recovered\":0"));
    for opened in [session_of_ann(1), session_of_ann(2)] {
        apply(&events(&opened));
        state.apply(&serde_json::from_str(&opened).unwrap());
    }
    let closed = r#"{"index":3,"at_ms":5000,"type":"session_closed","session_no":1,
        "client":"ann","seq":1,"attempt":0}"#;
    state.apply(&serde_json::from_str(closed).unwrap());
    apply(&snapshot(&state, "\"missed\":1,\"recovered\":0"));
    let node = |session_id| live_trace.event_recorder().owner(SessionId::new(session_id));
    assert_eq!((node(1), node(2)), (NodeId(1), NodeId(2)), "the second session keeps its node");
    live_trace
        .apply_message(&events(&session_of_ann(4)), VirtualTime::START, &mut intervals)
        .unwrap();
    assert_eq!(
        live_trace.event_recorder().owner(SessionId::new(4)),
        NodeId(1),
        "the first node is free again"
    );
}

#[test]
fn memory_is_limited_after_many_gaps() {
    let (mut live_trace, mut intervals) = observed();
    let state = live_trace.latest_state().clone();
    let at = |second| VirtualTime::from_millis(12_000 + second * 1_000);
    let mut checkpoints_max = 0;
    for second in 1..1_000 {
        live_trace
            .apply_message(&snapshot(&state, "\"missed\":1"), at(second), &mut intervals)
            .unwrap();
        checkpoints_max =
            checkpoints_max.max(live_trace.segments.iter().map(Segment::checkpoint_count).sum());
    }
    assert!(
        checkpoints_max <= GAPS_RETAINED_MIN + EVENTS_MAX / CHECKPOINT_INTERVAL,
        "{checkpoints_max}"
    );
    assert!(live_trace.segments.len() >= GAPS_RETAINED_MIN, "the latest gaps are retained");
    assert_eq!((live_trace.dropped_events, live_trace.end()), (6, at(999)));
    let first = live_trace.records()[0];
    assert_eq!(first.kind, RecordKind::Gap { events: Number::from(6_u32) });
    assert_eq!(first.at, at(999 - live_trace.segments.len() as u64 + 1), "the gap keeps its time");
    assert!(live_trace.records().len() < 500 && intervals.outages.len() < 500);
}

#[test]
fn ended_clients_are_dropped_and_the_generation_changes() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let mut state = State::default();
    for number in 1..=240 {
        let client = session_of_ann(number).replace("\"ann\"", &format!("\"c{number}\""));
        state.apply(&serde_json::from_str(&client).unwrap());
    }
    live_trace
        .apply_message(&snapshot(&state, "\"recovered\":0"), VirtualTime::START, &mut intervals)
        .unwrap();
    let previous = live_trace.generation();
    assert_eq!(live_trace.run().config.clients.len(), CLIENTS_MAX);
    let no_sessions = snapshot(&State::default(), "\"recovered\":0");
    live_trace.apply_message(&no_sessions, VirtualTime::from_millis(10), &mut intervals).unwrap();
    assert_eq!(live_trace.run().config.clients.len(), 0);
    assert_eq!(live_trace.dropped_events, 0, "there were no events");
    assert_ne!(live_trace.generation(), previous, "client numbers have changed");
}

#[test]
fn append_after_lease_expiry_violates_s4() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    live_trace
        .apply_message(
            &snapshot(&State::default(), "\"recovered\":0"),
            VirtualTime::START,
            &mut intervals,
        )
        .unwrap();
    for event in [OPENED, GRANTED] {
        live_trace.apply_message(&events(event), VirtualTime::START, &mut intervals).unwrap();
    }
    // The lease has expired, but an append is in the file.
    let late_append = WRITTEN.replace("5200", "70000");
    live_trace.apply_message(&events(&late_append), VirtualTime::START, &mut intervals).unwrap();
    assert_eq!(live_trace.violated()[0].0, Invariant::S4);
    assert_eq!(live_trace.status(Invariant::S4, 3), InvariantStatus::NotYet);
}

#[test]
fn recording_is_replayed() {
    let mut recorder = StreamRecorder::new(VirtualTime::from_millis(100), None);
    for (number, event) in (1..).zip([OPENED, GRANTED, WRITTEN, RENEWED, LEASE_EXPIRED, EXPIRED]) {
        recorder.record_message(&events(event), VirtualTime::from_millis(100 + number * 10));
    }
    // The initial state arrived after the first event.
    let mut initial_state = State::default();
    initial_state.apply(&serde_json::from_str(OPENED).unwrap());
    recorder.set_initial_state(format!(
        "{{\"state\":{}}}",
        serde_json::to_string(&initial_state).unwrap()
    ));
    let text = recorder.finish().unwrap();
    assert!(LiveRecording::matches(&text));
    let (live_trace, _) = LiveTrace::from_recording(LiveRecording::read(&text).unwrap()).unwrap();
    let kinds: Vec<&str> = live_trace.records().iter().map(|record| record.kind.code()).collect();
    let expected = [
        "unseen",
        "lock_granted",
        "file_appended",
        "lease_renewed",
        "lock_released",
        "session_expired",
    ];
    assert_eq!(kinds, expected);
    assert!(LiveRecording::read(&text.replace("\"version\":1", "\"version\":9")).is_err());
    assert!(LiveRecording::read("{}").is_err());
}

#[test]
fn recording_starts_at_the_time_it_was_started() {
    let replay_from = |at: Option<u64>| {
        let mut recorder =
            StreamRecorder::new(VirtualTime::from_millis(100), at.map(Time::from_millis));
        let granted = GRANTED.replace("5100", "905000");
        recorder.record_message(&events(&granted), VirtualTime::from_millis(1_100));
        recorder.record_message(
            &snapshot(&State::default(), "\"missed\":1"),
            VirtualTime::from_millis(2_000),
        );
        let mut initial_state = State::default();
        initial_state.apply(&serde_json::from_str(OPENED).unwrap());
        recorder.set_initial_state(format!(
            "{{\"state\":{}}}",
            serde_json::to_string(&initial_state).unwrap()
        ));
        let recording = LiveRecording::read(&recorder.finish().unwrap()).unwrap();
        let (live_trace, _) = LiveTrace::from_recording(recording).unwrap();
        let at = live_trace.records().iter().map(|record| record.at.as_millis());
        (live_trace.start(), at.collect::<Vec<_>>(), live_trace.end())
    };
    // The server was idle for 15 minutes.
    let end = VirtualTime::from_millis(1_900);
    assert_eq!(replay_from(Some(904_010)), (VirtualTime::START, vec![0, 990, 1_900], end));
    // With an imprecise clock, events still follow the beginning.
    assert_eq!(replay_from(Some(905_300)), (VirtualTime::START, vec![0, 1, 1_900], end));
    // With an unknown clock, the recording begins at the last event of the initial state.
    let with_unknown_clock = replay_from(None);
    assert_eq!(
        (with_unknown_clock.0, &with_unknown_clock.1[..2]),
        (VirtualTime::START, &[0, 900_000][..])
    );
}

#[test]
fn refusal_without_a_lock_is_recorded() {
    let (mut live_trace, mut intervals) = observed();
    let refused = r#"{"index":7,"at_ms":12100,"type":"request_refused","op":"heartbeat",
        "code":"unknown_session","seq":9,"attempt":0}"#;
    live_trace.apply_message(&events(refused), VirtualTime::START, &mut intervals).unwrap();
    let last = live_trace.records().last().unwrap();
    assert!(
        matches!(last.kind, RecordKind::RequestRefused { client: NodeId::UNKNOWN, .. }),
        "{last:?}"
    );
}
