//! Restarts of the live server, clean and by `kill -9`, and an accepted loss of data: times, files,
//! events and gaps.

use leasehold_sim::TimeLabels as _;

use super::*;
use crate::model::live_trace::files::FilePart;
use crate::model::time_display::TimeReading;

/// The fields of a snapshot that say when the server was started.
fn started(at_ms: u64, unix_ms: u64) -> String {
    format!(r#""recovered":0,"started_at_ms":{at_ms},"started_unix_ms":{unix_ms}"#)
}

fn at(message: &str, at_ms: u64) -> String {
    message.replace("\"at_ms\":5000", &format!("\"at_ms\":{at_ms}"))
}

/// A trace of a server that was started when its clock showed 4 s.
fn watched() -> (LiveTrace, Intervals) {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let first = at(&snapshot(&State::default(), &started(4_000, 1_000_000)), 4_500);
    live_trace.apply_message(&first, VirtualTime::from_millis(500), &mut intervals).unwrap();
    for event in [OPENED, GRANTED, WRITTEN] {
        let now = VirtualTime::from_millis(1_000);
        live_trace.apply_message(&events(event), now, &mut intervals).unwrap();
    }
    (live_trace, intervals)
}

/// Applies a snapshot that arrives at `now_ms`.
fn reconnect(trace: &mut (LiveTrace, Intervals), message: &str, now_ms: u64) {
    let (live_trace, intervals) = trace;
    live_trace.apply_message(message, VirtualTime::from_millis(now_ms), intervals).unwrap();
}

fn kinds(live_trace: &LiveTrace) -> Vec<&'static str> {
    live_trace.records().iter().map(|record| record.kind.code()).collect()
}

fn labels(live_trace: LiveTrace, intervals: Intervals) -> Vec<String> {
    let timeline = Timeline::from_live_trace(live_trace, intervals);
    let display = timeline.time_display();
    timeline.trace().iter().map(|record| display.label(record.at)).collect()
}

/// The lines of the only file, each with its token, as the Files panel and the stage show them.
fn shown_lines(timeline: &Timeline) -> (Vec<String>, Vec<String>) {
    let views = timeline.file_views(None, 10);
    let lines = views.first().map_or(&[][..], |file| &file.lines);
    let panel = lines.iter().map(|line| format!("{} {}", line.token_text(), line.text));
    let scene = timeline.scene();
    let sheet = scene.locks.first().map_or(&[][..], |lock| &lock.last_lines);
    let sheet = sheet.iter().map(|line| {
        let token = line.token.map_or("·".to_owned(), |token| format!("#{token}"));
        format!("{token} {}", line.text)
    });
    (panel.collect(), sheet.collect())
}

#[test]
fn times_count_from_the_start_of_the_server_in_every_tab() {
    let (live_trace, intervals) = watched();
    let state = live_trace.latest_state().clone();
    assert_eq!(labels(live_trace, intervals), ["0.5 s", "1.0 s", "1.1 s", "1.2 s"]);
    // A tab that connects later.
    let (mut later, mut intervals) = (LiveTrace::new(), Intervals::default());
    let first = at(&snapshot(&state, &started(4_000, 1_000_000)), 6_000);
    later.apply_message(&first, VirtualTime::from_millis(3), &mut intervals).unwrap();
    later.apply_message(&events(RENEWED), VirtualTime::from_millis(900), &mut intervals).unwrap();
    assert_eq!((later.start(), later.end().as_millis()), (VirtualTime::from_millis(2_000), 3_000));
    assert_eq!(labels(later, intervals), ["2.0 s", "2.0 s", "3.0 s"]);
}

/// The time of a snapshot is estimated, and may be later than the next event.
#[test]
fn events_slightly_before_a_snapshot_follow_it() {
    let (mut live_trace, mut intervals) = (LiveTrace::new(), Intervals::default());
    let first = at(&snapshot(&State::default(), &started(4_000, 1_000_000)), 5_050);
    let mut apply =
        |message: &str| live_trace.apply_message(message, VirtualTime::START, &mut intervals);
    apply(&first).unwrap();
    apply(&events(OPENED)).unwrap();
    apply(&events(GRANTED)).unwrap();
    let times = live_trace.records().iter().map(|record| record.at.as_millis());
    assert_eq!(times.collect::<Vec<_>>(), [1_050, 1_050, 1_100]);
    let local = live_trace.records().iter().map(|record| record.local_ms.get());
    assert_eq!(local.collect::<Vec<_>>(), [Some(0), Some(5_000), Some(5_100)]);
}

/// The log indices of a restarted server are far ahead, and its clock may be behind.
#[test]
fn restart_is_a_gap_of_unknown_size_and_times_begin_again() {
    let mut trace = watched();
    // The lease was renewed until 7 s, but renewals are not stored: the clock continues from 5.2 s.
    let (live_trace, intervals) = &mut trace;
    let renewed = events(RENEWED);
    live_trace.apply_message(&renewed, VirtualTime::from_millis(1_000), intervals).unwrap();
    let mut state = watched().0.latest_state().clone();
    let start = format!(
        r#"{{"index":{},"at_ms":5200,"type":"server_started","unix_ms":1030000,"token_floor":0}}"#,
        4 + (1 << 20)
    );
    state.apply(&serde_json::from_str(&start).unwrap());
    let fields = format!("\"missed\":1048577,{}", started(5_200, 1_030_000));
    reconnect(&mut trace, &at(&snapshot(&state, &fields), 5_900), 15_000);
    let (mut live_trace, mut intervals) = trace;
    assert_eq!(
        kinds(&live_trace)[5..],
        ["restarted", "unseen", "kept"],
        "the tenure survives the restart"
    );
    assert_eq!(live_trace.records()[6].kind, RecordKind::Gap { events: Number::UNKNOWN });
    assert!(live_trace.violated().is_empty());
    assert_eq!(intervals.tenures.len(), 1, "the tenure was never interrupted");
    // The last message came at 3.0 s, the snapshot at 15 s; the server had run for 0.7 s.
    let outage = intervals.outages[0];
    let ms = VirtualTime::from_millis;
    assert_eq!((outage.from, outage.until), (ms(3_000), Some(ms(15_000))));
    let released = LEASE_EXPIRED.replace("\"index\":5", &format!("\"index\":{}", 5 + (1 << 20)));
    live_trace.apply_message(&events(&released), ms(20_000), &mut intervals).unwrap();
    let at = live_trace.records().iter().map(|record| record.at.as_millis()).collect::<Vec<_>>();
    assert_eq!(at, [500, 1_000, 1_100, 1_200, 3_000, 14_300, 15_000, 15_000, 21_100]);
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    let labelled = |timeline: &Timeline| {
        let display = timeline.time_display();
        timeline.trace()[4..].iter().map(|it| display.label(it.at)).collect::<Vec<_>>()
    };
    assert_eq!(labelled(&timeline), ["3.0 s", "0.0 s", "0.7 s", "0.7 s", "6.8 s"]);
    timeline.set_time_reading(TimeReading::WallClock, 0);
    assert_eq!(
        labelled(&timeline),
        ["00:16:43.0", "00:17:10.0", "00:17:10.7", "00:17:10.7", "00:17:16.8"]
    );
    let explainer = leasehold_sim::Explainer::new(timeline.run(), timeline.trace())
        .with_time_labels(timeline.time_display());
    let sentence = |record| explainer.describe(RecordId(record)).unwrap().sentence();
    assert_eq!(sentence(6), "events before this may be missing from the recording");
    assert_eq!(sentence(7), "server reports that ann holds a under token 1");
}

/// A page that lost the connection, but whose server went on.
#[test]
fn gap_without_a_restart_counts_the_missed_events() {
    let mut trace = watched();
    let mut state = trace.0.latest_state().clone();
    state.apply(&serde_json::from_str(RENEWED).unwrap());
    let fields = format!("\"missed\":1,{}", started(4_000, 1_000_000));
    reconnect(&mut trace, &at(&snapshot(&state, &fields), 9_000), 60_000);
    assert_eq!(kinds(&trace.0)[4..], ["unseen", "kept"]);
    assert_eq!(trace.0.records()[4].kind, RecordKind::Gap { events: Number::from(1_u32) });
    assert_eq!(trace.0.records()[4].at, VirtualTime::from_millis(5_000), "by the server's clock");
    // Another snapshot of the same state is no gap.
    reconnect(&mut trace, &at(&snapshot(&state, &started(4_000, 1_000_000)), 9_500), 60_500);
    assert_eq!(trace.0.records().len(), 6);
}

/// A server that was not updated does not report when it was started.
#[test]
fn older_server_is_still_understood() {
    let (mut live_trace, mut intervals) = observed();
    assert!(live_trace.server_start().is_none() && live_trace.server_epochs().is_empty());
    let state = live_trace.latest_state().clone();
    let fields = "\"missed\":1048576,\"recovered\":6";
    let message = at(&snapshot(&state, fields), 12_000);
    live_trace.apply_message(&message, VirtualTime::from_millis(4_000), &mut intervals).unwrap();
    assert_eq!(kinds(&live_trace)[6..], ["session_expired", "restarted", "unseen"]);
    assert_eq!(live_trace.records()[8].kind, RecordKind::Gap { events: Number::UNKNOWN });
    assert_eq!(live_trace.end(), VirtualTime::from_millis(7_000));
}

/// A line that was appended after a restart is not mistaken for one before it.
#[test]
fn lines_survive_a_restart_on_the_stage_and_in_the_panel() {
    let mut trace = watched();
    let state = trace.0.latest_state().clone();
    reconnect(&mut trace, &snapshot(&state, &started(5_200, 2_000_000)), 9_000);
    let second = WRITTEN
        .replace("\"index\":3", "\"index\":4")
        .replace("\"offset\":0", "\"offset\":4")
        .replace("one", "two")
        .replace("\"seq\":2", "\"seq\":5");
    let (mut live_trace, mut intervals) = trace;
    let now = VirtualTime::from_millis(11_000);
    live_trace.apply_message(&events(&second), now, &mut intervals).unwrap();
    assert!(live_trace.files_to_fetch().is_empty(), "nothing is missing");
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    for (record, expected) in [(3, 0), (4, 1), (6, 1), (7, 1), (8, 2)] {
        timeline.go_to_position(record);
        let (panel, sheet) = shown_lines(&timeline);
        assert_eq!(panel, ["#1 one", "#1 two"][..expected], "after {record} records");
        assert_eq!(sheet, ["#1 ann", "#1 ann"][..expected], "after {record} records");
    }
}

/// What was appended while the page was not connected is fetched, and is between what it observed.
#[test]
fn unobserved_part_of_a_file_is_between_the_observed_lines() {
    let mut trace = watched();
    let mut state = trace.0.latest_state().clone();
    for (index, offset) in [(4, 4), (5, 8)] {
        let event = WRITTEN
            .replace("\"index\":3", &format!("\"index\":{index}"))
            .replace("\"offset\":0", &format!("\"offset\":{offset}"))
            .replace("\"seq\":2", &format!("\"seq\":{index}"));
        state.apply(&serde_json::from_str(&event).unwrap());
    }
    reconnect(&mut trace, &snapshot(&state, &started(5_200, 2_000_000)), 9_000);
    let (mut live_trace, mut intervals) = trace;
    let last = WRITTEN
        .replace("\"index\":3", "\"index\":6")
        .replace("\"offset\":0", "\"offset\":12")
        .replace("one", "end")
        .replace("\"seq\":2", "\"seq\":9");
    let now = VirtualTime::from_millis(11_000);
    live_trace.apply_message(&events(&last), now, &mut intervals).unwrap();
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    timeline.go_to(timeline.end());
    let (panel, sheet) = shown_lines(&timeline);
    assert_eq!(panel, ["#1 one", "· … 8 unobserved bytes", "#1 end"]);
    assert_eq!(sheet, ["#1 ann", "· … 8 unobserved bytes", "#1 ann"]);
    assert_eq!(timeline.file_views(None, 10)[0].line_count, 2);
    let name = Name::new("a").unwrap();
    let fetched = timeline.update_live_trace(|live_trace, _| {
        let files = live_trace.files_to_fetch();
        live_trace.store_fetched_file(&name, b"one\ntwo\nsix\nend\n");
        files
    });
    assert_eq!(fetched.unwrap(), [name]);
    let (panel, sheet) = shown_lines(&timeline);
    assert_eq!(panel, ["#1 one", "· two", "· six", "#1 end"]);
    assert_eq!(sheet, ["#1 ann", "· two", "· six", "#1 ann"]);
    let view = &timeline.file_views(None, 2)[0];
    assert_eq!((view.line_count, view.is_partial_count, view.has_more), (4, false, true));
    assert_eq!(
        view.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["six", "end"]
    );
    // Before the restart, only the first line was there.
    timeline.go_to_position(4);
    assert_eq!(shown_lines(&timeline).0, ["#1 one"]);
}

/// After an accepted loss of data the server knows the lengths of its files and nothing else, and
/// all its numbers are far ahead.
#[test]
fn data_loss_keeps_the_files_and_ends_everything_else() {
    const SKIPPED: u64 = 1_000_000_000_000;
    let mut trace = watched();
    let files = [(Name::new("a").unwrap(), 4)];
    let skipped = (LogIndex::new(SKIPPED + 3), Token::new(SKIPPED + 1));
    let mut state = State::after_data_loss(files, skipped.0, skipped.1);
    let start = format!(
        r#"{{"index":{},"at_ms":0,"type":"server_started","unix_ms":9,"token_floor":{}}}"#,
        SKIPPED + 4,
        SKIPPED + 1
    );
    state.apply(&serde_json::from_str(&start).unwrap());
    let fields = format!("\"missed\":{SKIPPED},{}", started(0, 3_000_000));
    reconnect(&mut trace, &at(&snapshot(&state, &fields), 100), 70_000);
    let (mut live_trace, mut intervals) = trace;
    assert_eq!(kinds(&live_trace)[4..], ["restarted", "unseen"]);
    assert_eq!(live_trace.records()[5].kind, RecordKind::Gap { events: Number::UNKNOWN });
    let ended = &intervals.tenures[0];
    assert_eq!(ended.end, Some(crate::model::intervals::TenureEnd::Unobserved));
    for (number, event) in (SKIPPED + 5..).zip([OPENED, GRANTED, WRITTEN]) {
        let index = event.find("\"at_ms\"").unwrap();
        let event = format!("{{\"index\":{number},{}", &event[index..])
            .replace("\"token\":1", &format!("\"token\":{}", SKIPPED + 2))
            .replace("\"offset\":0", "\"offset\":4");
        let now = VirtualTime::from_millis(80_000);
        live_trace.apply_message(&events(&event), now, &mut intervals).unwrap();
    }
    assert!(live_trace.violated().is_empty(), "{:?}", live_trace.violated());
    assert_eq!(live_trace.status(Invariant::S2, u32::MAX), InvariantStatus::Ok);
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    timeline.go_to(timeline.end());
    assert_eq!(shown_lines(&timeline).0, ["#1 one".to_owned(), format!("#{} one", SKIPPED + 2)]);
    assert_eq!(timeline.scene().server.counts.unwrap().last_token, SKIPPED + 2);
}

/// A server with another data directory at the same address.
#[test]
fn shorter_file_is_another_file() {
    let mut trace = watched();
    let state: State = serde_json::from_value(serde_json::json!({
        "index": 1, "now_ms": 1, "last_token": 0, "last_session_no": 0, "sessions": {},
        "locks": {}, "files": {"a": {"len": 2, "last_token": 0, "recent": []}}, "waiters": 0,
    }))
    .unwrap();
    reconnect(&mut trace, &at(&snapshot(&state, &started(0, 5_000_000)), 1), 9_000);
    let (live_trace, intervals) = trace;
    let file = live_trace.file(LockId(0), u32::MAX).unwrap();
    let parts: Vec<FilePart<'_>> = file.parts_from_end().collect();
    assert!(matches!(parts[..], [FilePart::Unobserved(part)] if part.len == 2), "{parts:?}");
    let mut timeline = Timeline::from_live_trace(live_trace, intervals);
    timeline.go_to_position(4);
    assert_eq!(shown_lines(&timeline).0, ["#1 one"], "before, it was the other file");
}

#[test]
fn recording_counts_from_the_start_of_the_server_too() {
    let state = watched().0.latest_state().clone();
    let mut recorder =
        StreamRecorder::new(VirtualTime::from_millis(100), Some(Time::from_millis(6_000)));
    recorder.record_message(&events(RENEWED), VirtualTime::from_millis(1_200));
    recorder.set_initial_state(format!(
        r#"{{"started_at_ms":4000,"started_unix_ms":1000000,"state":{}}}"#,
        serde_json::to_string(&state).unwrap()
    ));
    let recording = LiveRecording::read(&recorder.finish().unwrap()).unwrap();
    let (live_trace, _) = LiveTrace::from_recording(recording).unwrap();
    let at = live_trace.records().iter().map(|record| record.at.as_millis());
    assert_eq!(at.collect::<Vec<_>>(), [2_000, 2_000, 3_000]);
    assert_eq!(live_trace.end(), VirtualTime::from_millis(3_100));
    assert_eq!(live_trace.server_epochs().len(), 1);
}
