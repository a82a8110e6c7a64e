//! A server that says what a test wants, and what is made of it.

use super::*;
use crate::model::film::Film;

const EMPTY: &str = r#"{"type":"snapshot","index":0,"at_ms":5000,"recovered":0,"state":STATE}"#;

fn snapshot(state: &State, more: &str) -> String {
    let json = serde_json::to_string(state).unwrap();
    EMPTY.replace("STATE", &json).replace("\"recovered\":0", more)
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
const TAKEN: &str = r#"{"index":5,"at_ms":12000,"type":"lock_released","lock":"a","session_no":1,
    "client":"ann","token":1,"cause":"lease_expired"}"#;
const EXPIRED: &str =
    r#"{"index":6,"at_ms":12000,"type":"session_expired","session_no":1,"client":"ann"}"#;

fn seen() -> (Footage, Bars) {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    footage
        .take(&snapshot(&State::default(), "\"recovered\":0"), Moment::START, &mut bars)
        .unwrap();
    for event in [OPENED, GRANTED, WRITTEN, RENEWED, TAKEN, EXPIRED] {
        footage.take(&events(event), Moment::START, &mut bars).unwrap();
    }
    (footage, bars)
}

fn film() -> Film {
    let (footage, bars) = seen();
    Film::seen(footage, bars)
}

#[test]
fn what_a_server_says_is_told_like_a_simulated_run() {
    let film = film();
    let teller = leasehold_sim::Teller::new(film.run(), film.trace());
    let told = |no| teller.tell(RecordNo(no)).unwrap();
    assert_eq!(told(0).sentence(), "server is watched from here on");
    assert_eq!(told(2).sentence(), "server grants a to ann under token 1");
    let expired = told(5);
    assert_eq!(expired.sentence(), "server takes a from ann, token 1: its lease is over");
    // Each session has a lease of its own, so nobody says how long it was.
    let because = "the server had last heard of ann at 2.0 s";
    assert_eq!(expired.because.as_deref(), Some(because));
    let statuses = film.statuses();
    let status = |it| statuses.iter().find(|(invariant, ..)| *invariant == it).unwrap().2;
    assert_eq!(status(Invariant::S1), Status::Ok);
    assert_eq!(status(Invariant::L1), Status::Ok);
    assert_eq!(status(Invariant::S7), Status::Unchecked);
}

#[test]
fn one_can_go_back_to_what_was_so() {
    let mut film = film();
    film.go_to(Moment::from_millis(150));
    let scene = film.scene();
    assert_eq!((film.place(), scene.clients.len()), (3, 1));
    assert_eq!(scene.clients[0].doing, "holds a");
    assert!(scene.clients[0].belief.unwrap().is_inferred);
    assert_eq!(scene.locks[0].lines, 0);
    film.go_to(Moment::from_millis(250));
    assert_eq!(film.scene().locks[0].last, [(1, "ann".to_owned())]);
    let truth = film.scene().clients[0].truth.unwrap();
    assert_eq!(truth.until, Moment::from_millis(5_200), "its append renewed its lease");
    film.go_to(film.end());
    assert_eq!(film.scene().clients[0].doing, "its lease ran out");
    let bars = film.bars();
    assert_eq!(bars.tenures.len(), 1);
    assert_eq!(bars.beliefs[0].until(film.end()), Some(Moment::from_millis(7_000)));
}

#[test]
fn a_gap_is_marked_and_what_is_so_after_it_goes_on() {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    let at = Moment::from_millis;
    footage.take(&snapshot(&State::default(), "\"recovered\":0"), at(0), &mut bars).unwrap();
    for event in [OPENED, GRANTED] {
        footage.take(&events(event), at(0), &mut bars).unwrap();
    }
    let state = footage.head().clone();
    let missed = r#""missed":3,"recovered":0"#;
    footage.take(&snapshot(&state, missed), at(9_000), &mut bars).unwrap();
    let kinds: Vec<Kind> = footage.records().iter().map(|record| record.kind).collect();
    assert_eq!(kinds[3], Kind::Unseen { events: 3 });
    assert!(matches!(kinds[4], Kind::Kept { token: 1, client: NodeNo(1), .. }), "{kinds:?}");
    assert_eq!(bars.tenures.len(), 1, "it was never over");
    assert_eq!(footage.end(), at(9_000));
    let gaps: Vec<_> = bars.outages.iter().map(|it| (it.from, it.until)).collect();
    assert_eq!(gaps, [(at(100), Some(at(9_000)))], "from when it was last heard");
    let restarted = r#""missed":0,"recovered":2"#;
    footage.take(&snapshot(&state, restarted), at(12_000), &mut bars).unwrap();
    assert!(footage.records().iter().any(|record| record.kind == Kind::Restarted));
    assert!(footage.violated().is_empty());
}

#[test]
fn a_hole_in_the_stream_is_noticed() {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    let mut take = |message: &str| footage.take(message, Moment::START, &mut bars);
    assert!(take(&events(OPENED)).is_err(), "nobody knows what was so before");
    take(&snapshot(&State::default(), "\"recovered\":0")).unwrap();
    assert!(take(&events(GRANTED)).is_err());
    assert!(take("nonsense").is_err());
    assert!(take(r#"{"type":"news","of":"a later version"}"#).is_ok());
}

#[test]
fn what_is_oldest_is_dropped_and_the_rest_stays_true() {
    let (mut footage, mut bars) = seen();
    footage.events_max = 10_000;
    for index in 7..25_000 {
        let event = format!(
            r#"{{"index":{index},"at_ms":{},"type":"datagram_dropped","reason":"not_json"}}"#,
            12_000 + index
        );
        footage.take(&events(&event), Moment::START, &mut bars).unwrap();
    }
    assert!(footage.dropped > 10_000, "{}", footage.dropped);
    assert!(footage.generation() > 0);
    assert_eq!(footage.index(), Some(Index::new(24_999)));
    assert_eq!(footage.end(), Moment::from_millis(12_000 + 24_999 - 5_000));
    let events = u32::try_from(footage.dropped).unwrap();
    assert_eq!(footage.records()[0].kind, Kind::Unseen { events });
    assert_eq!(bars, Bars::default().tap(|it| it.take(footage.records())));
}

/// A session of ann of this number begins.
fn ann(no: u64) -> String {
    OPENED
        .replace("\"index\":1", &format!("\"index\":{no}"))
        .replace("\"session_no\":1", &format!("\"session_no\":{no}"))
}

#[test]
fn two_sessions_of_a_name_keep_their_rows_over_a_gap() {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    let mut take = |message: &str| footage.take(message, Moment::START, &mut bars).unwrap();
    let mut state = State::default();
    take(&snapshot(&state, "\"recovered\":0"));
    for opened in [ann(1), ann(2)] {
        take(&events(&opened));
        state.apply(&serde_json::from_str(&opened).unwrap());
    }
    let closed = r#"{"index":3,"at_ms":5000,"type":"session_closed","session_no":1,
        "client":"ann","seq":1,"attempt":0}"#;
    state.apply(&serde_json::from_str(closed).unwrap());
    take(&snapshot(&state, "\"missed\":1,\"recovered\":0"));
    let node = |no| footage.ledger().owner(SessionNo::new(no));
    assert_eq!((node(1), node(2)), (NodeNo(1), NodeNo(2)), "the second one stays the second");
    footage.take(&events(&ann(4)), Moment::START, &mut bars).unwrap();
    assert_eq!(footage.ledger().owner(SessionNo::new(4)), NodeNo(1), "that one is free");
}

#[test]
fn gap_upon_gap_takes_no_more_room_in_the_end() {
    let (mut footage, mut bars) = seen();
    let state = footage.head().clone();
    let at = |nth| Moment::from_millis(12_000 + nth * 1_000);
    let mut states = 0;
    for nth in 1..1_000 {
        footage.take(&snapshot(&state, "\"missed\":1"), at(nth), &mut bars).unwrap();
        states = states.max(footage.pieces.iter().map(Piece::states).sum());
    }
    assert!(states <= GAPS_MIN + EVENTS_MAX / INTERVAL, "{states}");
    assert!(footage.pieces.len() >= GAPS_MIN, "the last ones are still there");
    assert_eq!((footage.dropped, footage.end()), (6, at(999)));
    let first = footage.records()[0];
    assert_eq!(first.kind, Kind::Unseen { events: 6 });
    assert_eq!(first.at, at(999 - footage.pieces.len() as u64 + 1), "when it was seen");
    assert!(footage.records().len() < 500 && bars.outages.len() < 500);
}

#[test]
fn whom_nobody_remembers_gives_way_and_that_is_noticed() {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    let mut state = State::default();
    for no in 1..=240 {
        let client = ann(no).replace("\"ann\"", &format!("\"c{no}\""));
        state.apply(&serde_json::from_str(&client).unwrap());
    }
    footage.take(&snapshot(&state, "\"recovered\":0"), Moment::START, &mut bars).unwrap();
    let before = footage.generation();
    assert_eq!(footage.run().config.clients.len(), CLIENTS_MAX);
    let nobody = snapshot(&State::default(), "\"recovered\":0");
    footage.take(&nobody, Moment::from_millis(10), &mut bars).unwrap();
    assert_eq!(footage.run().config.clients.len(), 0);
    assert_eq!(footage.dropped, 0, "there was no event at all");
    assert_ne!(footage.generation(), before, "who selects the 7th client means nobody now");
}

#[test]
fn a_server_that_breaks_its_word_is_found_out() {
    let (mut footage, mut bars) = (Footage::new(), Bars::default());
    footage
        .take(&snapshot(&State::default(), "\"recovered\":0"), Moment::START, &mut bars)
        .unwrap();
    for event in [OPENED, GRANTED] {
        footage.take(&events(event), Moment::START, &mut bars).unwrap();
    }
    // Its lease is over, and an append of it is in the file all the same.
    let late = WRITTEN.replace("5200", "70000");
    footage.take(&events(&late), Moment::START, &mut bars).unwrap();
    assert_eq!(footage.violated()[0].0, Invariant::S4);
    assert_eq!(footage.status(Invariant::S4, 3), Status::NotYet);
}

#[test]
fn a_recording_is_gone_through_again() {
    let mut recorder = Recorder::new(Moment::from_millis(100), None);
    for (no, event) in (1..).zip([OPENED, GRANTED, WRITTEN, RENEWED, TAKEN, EXPIRED]) {
        recorder.keep(&events(event), Moment::from_millis(100 + no * 10));
    }
    // It was asked for when the first event had happened already.
    let mut first = State::default();
    first.apply(&serde_json::from_str(OPENED).unwrap());
    recorder.begin_with(format!("{{\"state\":{}}}", serde_json::to_string(&first).unwrap()));
    let text = recorder.finish().unwrap();
    assert!(Recording::is_one(&text));
    let (footage, _) = Footage::replay(Recording::read(&text).unwrap()).unwrap();
    let kinds: Vec<&str> = footage.records().iter().map(|record| record.kind.name()).collect();
    let expected = [
        "unseen",
        "lock_granted",
        "file_appended",
        "lease_renewed",
        "lock_released",
        "session_expired",
    ];
    assert_eq!(kinds, expected);
    assert!(Recording::read(&text.replace("\"version\":1", "\"version\":9")).is_err());
    assert!(Recording::read("{}").is_err());
}

#[test]
fn a_recording_begins_when_it_was_begun() {
    let recorded = |at: Option<u64>| {
        let mut recorder = Recorder::new(Moment::from_millis(100), at.map(Time::from_millis));
        let granted = GRANTED.replace("5100", "905000");
        recorder.keep(&events(&granted), Moment::from_millis(1_100));
        recorder.keep(&snapshot(&State::default(), "\"missed\":1"), Moment::from_millis(2_000));
        let mut first = State::default();
        first.apply(&serde_json::from_str(OPENED).unwrap());
        recorder.begin_with(format!("{{\"state\":{}}}", serde_json::to_string(&first).unwrap()));
        let recording = Recording::read(&recorder.finish().unwrap()).unwrap();
        let (footage, _) = Footage::replay(recording).unwrap();
        let at = footage.records().iter().map(|record| record.at.as_millis());
        (footage.begin(), at.collect::<Vec<_>>(), footage.end())
    };
    // The server had been idle for a quarter of an hour.
    let end = Moment::from_millis(1_900);
    assert_eq!(recorded(Some(904_010)), (Moment::START, vec![0, 990, 1_900], end));
    // Its clock was not known well: even so nothing happens before the beginning, or at it.
    assert_eq!(recorded(Some(905_300)), (Moment::START, vec![0, 1, 1_900], end));
    // Nothing was known of its clock: then it begins with what the server knew last.
    let long = recorded(None);
    assert_eq!((long.0, &long.1[..2]), (Moment::START, &[0, 900_000][..]));
}

#[test]
fn a_refusal_that_names_no_lock_is_told_too() {
    let (mut footage, mut bars) = seen();
    let refused = r#"{"index":7,"at_ms":12100,"type":"request_refused","op":"heartbeat",
        "code":"unknown_session","seq":9,"attempt":0}"#;
    footage.take(&events(refused), Moment::START, &mut bars).unwrap();
    let last = footage.records().last().unwrap();
    assert!(matches!(last.kind, Kind::RequestRefused { client: NodeNo::UNKNOWN, .. }), "{last:?}");
}

trait Tap: Sized {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Tap for Bars {}
