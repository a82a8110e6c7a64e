//! What the checkers find: each of these traces is that of a good run, but for one thing, and that
//! is seen and told.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for one kind among all")]

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_sim::*;

const ANN: NodeId = NodeId(1);
const BOB: NodeId = NodeId(2);
const LEDGER: LockId = LockId(0);

/// Ann has the ledger while Bob waits for it, and then Bob; each writes a line and closes.
fn ann_and_bob() -> Run {
    let name = |text| Name::new(text).unwrap();
    let script = vec![
        ScriptStep::Acquire {
            lock: name("ledger"),
            wait_ms: 60_000,
            hold_ms: None,
            give_up_ms: None,
        },
        ScriptStep::Work { ms: 4_000 },
        ScriptStep::Append { file: name("ledger"), check: true, gap_ms: 0 },
        ScriptStep::Release { lock: name("ledger") },
        ScriptStep::Close,
    ];
    let clients = [("ann", 0), ("bob", 300)].map(|(client, starts_ms)| ClientConfig {
        name: name(client),
        script: script.clone(),
        starts_ms,
        rate_ppm: 0,
    });
    Run {
        config: Config {
            locks: vec![name("ledger")],
            clients: clients.to_vec(),
            lease_ms: 3_000,
            faults_end_ms: Some(100),
            ends_ms: 30_000,
            ..Config::default()
        },
        seed: 1,
        without: BTreeSet::new(),
        interventions: Vec::new(),
    }
}

/// Sees that a good run is found to violate this first, and how that is told, where its trace is
/// changed so.
#[track_caller]
fn check(invariant: Invariant, told: &str, change: impl FnOnce(&mut Vec<Record>)) {
    let run = ann_and_bob();
    let mut trace = run.execute().trace;
    assert!(Checkers::from_trace(&run, &trace).is_clean(), "the run itself is good");
    change(&mut trace);
    let violated = Checkers::from_trace(&run, &trace).violations();
    let Some(&(first, witness)) = violated.first() else { panic!("nothing is found") };
    let violation = Explainer::new(&run, &trace).violation(first, witness).unwrap();
    assert_eq!((first, violation.text.as_str()), (invariant, told));
}

/// The place of the `nth` record, from 0 on, that is like this.
fn find(trace: &[Record], nth: usize, like: impl Fn(&Record) -> bool) -> usize {
    let mut places = (0..trace.len()).filter(|place| like(&trace[*place]));
    places.nth(nth).expect("there is such a record")
}

/// Where the server sends this to a client, and what.
fn sent(trace: &[Record], client: NodeId, message: Message) -> (usize, PacketSummary) {
    let of = |it: &Record| match it.kind {
        RecordKind::Sent(about) if (about.peer, about.message) == (client, message) => Some(about),
        _ => None,
    };
    let place = find(trace, 0, |it| of(it).is_some());
    (place, of(&trace[place]).unwrap())
}

/// The same record again, right behind, but saying this.
fn insert(trace: &mut Vec<Record>, place: usize, kind: RecordKind) {
    let record = Record { kind, ..trace[place] };
    trace.insert(place + 1, record);
}

const fn refusal(about: PacketSummary, code: RefusalCode) -> RecordKind {
    let (message, refusal) = (Message::Refused, Some(code));
    RecordKind::Sent(PacketSummary { message, lock: LockId::NONE, value: 0, refusal, ..about })
}

#[test]
fn a_heartbeat_that_renews_a_lease_twice() {
    check(Invariant::S3, "this very request renewed the lease at 1.5 s already", |trace| {
        let beat = find(trace, 2, |it| matches!(it.kind, RecordKind::LeaseRenewed { .. }));
        insert(trace, beat, trace[beat].kind);
    });
}

#[test]
fn a_line_that_is_written_again_under_another_number() {
    check(Invariant::S3, "this very line was written at 4.7 s already", |trace| {
        let (place, ask) = {
            let place = find(
                trace,
                0,
                |it| matches!(it.kind, RecordKind::Sent(about) if about.message == Message::AppendFile),
            );
            let RecordKind::Sent(ask) = trace[place].kind else { unreachable!() };
            (place, ask)
        };
        let seq = ask.seq + 9;
        insert(trace, place, RecordKind::Sent(PacketSummary { seq, ..ask }));
        let place = find(trace, 0, |it| matches!(it.kind, RecordKind::FileAppended { .. }));
        let RecordKind::FileAppended { lock, client, session, token, index, .. } =
            trace[place].kind
        else {
            unreachable!()
        };
        let again = RecordKind::FileAppended { lock, client, session, seq, token, line: 1, index };
        insert(trace, place, again);
    });
}

#[test]
fn a_request_that_is_done_though_it_was_refused() {
    check(
        Invariant::S3,
        "this was refused at 0.8 s (wait_timeout), as bob was told then",
        |trace| {
            let (_, grant) = sent(trace, BOB, Message::Granted);
            let (place, _) = sent(trace, BOB, Message::Queued);
            insert(trace, place, refusal(grant, RefusalCode::WaitTimeout));
        },
    );
}

#[test]
fn two_answers_that_are_not_alike() {
    check(
        Invariant::S3,
        "ann was told released at 5.0 s, and is told refused (stale_token) here",
        |trace| {
            let (place, released) = sent(trace, ANN, Message::Released);
            insert(trace, place, refusal(released, RefusalCode::StaleToken));
        },
    );
}

#[test]
fn a_wait_that_is_called_cancelled_and_goes_on() {
    check(Invariant::S3, "bob is told that it has left the line, and it has not", |trace| {
        let (place, queued) = sent(trace, BOB, Message::Queued);
        let (message, seq) = (Message::Cancelled, queued.seq + 9);
        insert(trace, place, RecordKind::Sent(PacketSummary { message, seq, ..queued }));
    });
}

#[test]
fn a_caller_that_is_told_of_a_line_that_there_is_not() {
    check(Invariant::S3, "the caller is told that its line was written, and it was not", |trace| {
        let place = find(trace, 0, |it| matches!(it.kind, RecordKind::FileAppended { .. }));
        trace.remove(place);
        let lines = |it: &Record| {
            matches!(it.kind, RecordKind::Sent(it) if it.value == 1
            && it.message == Message::Appended)
        };
        trace.retain(|it| !lines(it));
    });
}

#[test]
fn a_caller_that_is_told_of_no_line_where_there_is_one() {
    for end in [CallResult::Refused, CallResult::LockLost] {
        check(
            Invariant::S3,
            "the caller is told that its line was not written, and it was at 4.7 s",
            |trace| {
                let place = find(trace, 0, |it| {
                    matches!(it.kind, RecordKind::CallEnded { message: Message::AppendFile, .. })
                });
                let RecordKind::CallEnded { message, lock, token, .. } = trace[place].kind else {
                    unreachable!()
                };
                trace[place].kind = RecordKind::CallEnded { message, lock, token, outcome: end };
            },
        );
    }
}

#[test]
fn a_lock_that_is_left_lying_though_somebody_waits() {
    check(Invariant::S8, "ledger is left lying, though bob waits for it and is heard", |trace| {
        let handed =
            |it: &Record| matches!(it.kind, RecordKind::LockGranted { from_queue: true, .. });
        trace.remove(find(trace, 0, handed));
    });
}

/// The server restarts with a journal that ends before `index`.
fn forget(trace: &mut Vec<Record>, place: usize, index: u32) {
    let (sessions, tenures, waits) = (0, 0, 0);
    insert(trace, place, RecordKind::Recovered { through: index - 1, sessions, tenures, waits });
    insert(trace, place, RecordKind::Restarted);
    insert(trace, place, RecordKind::Crashed { durable_through: index - 1 });
}

#[test]
fn an_end_that_is_told_and_then_forgotten() {
    let ends = |trace: &[Record]| {
        let of = |it: &Record| match it.kind {
            RecordKind::SessionClosed { client: ANN, index, .. } => Some(index),
            _ => None,
        };
        of(&trace[find(trace, 0, |it| of(it).is_some())]).unwrap()
    };
    check(Invariant::S5, "the server has forgotten what it had told ann already", |trace| {
        let (place, _) = sent(trace, ANN, Message::Closed);
        let index = ends(trace);
        forget(trace, place, index);
    });
    // That a session is over is found out by who asks for it, too.
    check(Invariant::S5, "the server has forgotten what it had told ann already", |trace| {
        let (place, closed) = sent(trace, ANN, Message::Closed);
        let index = ends(trace);
        let (message, code, seq) =
            (Message::Heartbeat, RefusalCode::UnknownSession, closed.seq + 9);
        trace[place].kind = RecordKind::RequestRefused {
            client: ANN,
            message,
            lock: LockId::NONE,
            token: 0,
            current: 0,
            code,
            seq,
        };
        insert(trace, place, refusal(PacketSummary { seq, ..closed }, code));
        forget(trace, place + 1, index);
    });
}

#[test]
fn a_cancelled_wait_and_a_line_found_out_about_that_are_forgotten() {
    check(Invariant::S5, "the server has forgotten what it had told bob already", |trace| {
        let place = find(trace, 0, |it| matches!(it.kind, RecordKind::LockQueued { .. }));
        let RecordKind::LockQueued { lock, client, session, seq, index, .. } = trace[place].kind
        else {
            unreachable!()
        };
        let (_, queued) = sent(trace, BOB, Message::Queued);
        let ask = PacketSummary { message: Message::CancelAcquire, seq: seq + 9, ..queued };
        let (cause, index) = (leasehold_core::event::WaitEndCause::Cancelled, index + 1);
        insert(
            trace,
            place,
            RecordKind::Sent(PacketSummary { message: Message::Cancelled, ..ask }),
        );
        insert(trace, place, RecordKind::WaitEnded { lock, client, session, seq, cause, index });
        insert(trace, place, RecordKind::Arrived(ask));
        forget(trace, place + 3, index);
    });
    check(Invariant::S5, "the server has forgotten what it had told ann already", |trace| {
        let place = find(trace, 0, |it| matches!(it.kind, RecordKind::FileAppended { .. }));
        let RecordKind::FileAppended { index, .. } = trace[place].kind else { unreachable!() };
        let (_, appended) = sent(trace, ANN, Message::Appended);
        assert_eq!((appended.lock, appended.value), (LEDGER, 1));
        let (message, seq) = (Message::Outcome, appended.seq + 9);
        insert(trace, place, RecordKind::Sent(PacketSummary { message, seq, ..appended }));
        forget(trace, place + 1, index);
    });
}

#[test]
fn a_lock_that_is_still_held_when_the_run_ends_though_its_lease_is_over() {
    check(Invariant::L1, "a lease is over, and its lock is still held", |trace| {
        let granted = find(trace, 0, |it| matches!(it.kind, RecordKind::LockGranted { .. }));
        let mut end = *trace.last().unwrap();
        trace.truncate(granted + 1);
        end.local_ms = trace[granted].local_ms + 10_000;
        end.causes = Causes::NONE;
        trace.push(end);
    });
}
