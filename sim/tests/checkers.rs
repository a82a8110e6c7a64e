//! The checkers detect a violation in the trace of a correct run after one change, and explain it.

mod common;

use std::collections::BTreeSet;

use leasehold_core::event::WaitEndCause;
use leasehold_core::id::Name;
use leasehold_sim::*;

use common::execute;

const ANN: NodeId = NodeId(1);
const BOB: NodeId = NodeId(2);
const LEDGER: LockId = LockId(0);

/// A run in which ann holds the lock while bob waits for it; each client appends a line and closes.
fn two_client_run() -> Run {
    let name = |text| Name::new(text).unwrap();
    let script = vec![
        ScriptStep::Acquire {
            lock: name("ledger"),
            wait_ms: 60_000,
            hold_ms: None,
            give_up_ms: None,
            or_release: None,
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

/// Checks that the changed trace violates this invariant first, with this explanation.
#[track_caller]
fn check(invariant: Invariant, expected_text: &str, change: impl FnOnce(&mut Vec<Record>)) {
    let run = two_client_run();
    let (_, mut trace) = execute(&run);
    assert!(Checkers::from_trace(&run, &trace).is_clean(), "the unchanged run violates nothing");
    change(&mut trace);
    let violated = Checkers::from_trace(&run, &trace).violations();
    let Some(&(first, witness)) = violated.first() else { panic!("no violation is detected") };
    let violation = Explainer::new(&run, &trace).violation(first, witness).unwrap();
    assert_eq!((first, violation.text.as_str()), (invariant, expected_text));
}

/// Returns the position of the `nth` record, from 0, that matches.
fn find(trace: &[Record], nth: usize, matches: impl Fn(&Record) -> bool) -> usize {
    let mut matching = (0..trace.len()).filter(|position| matches(&trace[*position]));
    matching.nth(nth).expect("the trace contains such a record")
}

/// Returns the first packet of this type that a client or the server sends, with its position.
fn find_sent(
    trace: &[Record],
    message: Message,
    matches: impl Fn(&PacketSummary) -> bool,
) -> (usize, PacketSummary) {
    let matching = trace.iter().enumerate().filter_map(|(position, record)| {
        let RecordKind::Sent(packet) = record.kind else { return None };
        (packet.message == message && matches(&packet)).then_some((position, packet))
    });
    matching.into_iter().next().expect("the trace contains such a packet")
}

/// Returns the first reply of this type to a client, with its position.
fn find_reply(trace: &[Record], client: NodeId, message: Message) -> (usize, PacketSummary) {
    find_sent(trace, message, |packet| packet.peer == client)
}

/// Inserts a copy of the record at `position` after it, with another kind.
fn insert_after(trace: &mut Vec<Record>, position: usize, kind: RecordKind) {
    let record = Record { kind, ..trace[position] };
    trace.insert(position + 1, record);
}

const fn refusal_record(reply: PacketSummary, code: RefusalCode) -> RecordKind {
    let (message, lock, value) = (Message::Refused, LockId::NONE, Number::ZERO);
    RecordKind::Sent(PacketSummary { message, lock, value, refusal: Some(code), ..reply })
}

/// Returns the number that is larger by `distance`.
fn after(number: Number, distance: u64) -> Number {
    Number::from(number.get().expect("the number is known") + distance)
}

fn is_append(record: &Record) -> bool {
    matches!(record.kind, RecordKind::FileAppended { .. })
}

#[test]
fn heartbeat_that_renews_a_lease_twice_violates_s3() {
    check(Invariant::S3, "this request already renewed the lease at 1.5 s", |trace| {
        let renewal = find(trace, 2, |it| matches!(it.kind, RecordKind::LeaseRenewed { .. }));
        insert_after(trace, renewal, trace[renewal].kind);
    });
}

#[test]
fn line_written_again_under_another_sequence_number_violates_s3() {
    check(Invariant::S3, "this line was already written at 4.7 s", |trace| {
        let (position, request) = find_sent(trace, Message::AppendFile, |_| true);
        let seq = after(request.seq, 9);
        insert_after(trace, position, RecordKind::Sent(PacketSummary { seq, ..request }));
        let position = find(trace, 0, is_append);
        let RecordKind::FileAppended { lock, client, session, token, index, .. } =
            trace[position].kind
        else {
            unreachable!()
        };
        let line = 1;
        let duplicate = RecordKind::FileAppended { lock, client, session, seq, token, line, index };
        insert_after(trace, position, duplicate);
    });
}

#[test]
fn request_executed_after_its_refusal_violates_s3() {
    check(
        Invariant::S3,
        "the server rejected this request of bob at 0.8 s (the wait timed out)",
        |trace| {
            let (_, grant) = find_reply(trace, BOB, Message::Granted);
            let (position, _) = find_reply(trace, BOB, Message::Queued);
            insert_after(trace, position, refusal_record(grant, RefusalCode::WaitTimeout));
        },
    );
}

#[test]
fn contradictory_replies_violate_s3() {
    check(
        Invariant::S3,
        "the server replied \"ledger released\" at 5.0 s, and now replies \"rejected, stale token\"",
        |trace| {
            let (position, released) = find_reply(trace, ANN, Message::Released);
            insert_after(trace, position, refusal_record(released, RefusalCode::StaleToken));
        },
    );
}

#[test]
fn wait_that_continues_after_its_cancellation_violates_s3() {
    check(Invariant::S3, "the server confirms a cancellation, but bob is still queued", |trace| {
        let (position, queued) = find_reply(trace, BOB, Message::Queued);
        let (message, seq) = (Message::Cancelled, after(queued.seq, 9));
        let reply = PacketSummary { message, seq, ..queued };
        insert_after(trace, position, RecordKind::Sent(reply));
    });
}

#[test]
fn acknowledged_append_missing_from_the_file_violates_s3() {
    check(Invariant::S3, "the client learns that its line was written, but it was not", |trace| {
        trace.remove(find(trace, 0, is_append));
        let acknowledges_line_1 = |it: &Record| {
            matches!(it.kind, RecordKind::Sent(packet)
                    if packet.value == 1 && packet.message == Message::Appended)
        };
        trace.retain(|it| !acknowledges_line_1(it));
    });
}

#[test]
fn append_reported_failed_but_written_violates_s3() {
    for outcome in [CallResult::Refused, CallResult::LockLost] {
        check(
            Invariant::S3,
            "the client learns that its line was not written, but it was, at 4.7 s",
            |trace| {
                let position = find(trace, 0, |it| {
                    matches!(it.kind, RecordKind::CallEnded { message: Message::AppendFile, .. })
                });
                let RecordKind::CallEnded { message, lock, token, .. } = trace[position].kind
                else {
                    unreachable!()
                };
                trace[position].kind = RecordKind::CallEnded { message, lock, token, outcome };
            },
        );
    }
}

#[test]
fn free_lock_with_an_active_waiter_violates_s8() {
    check(
        Invariant::S8,
        "ledger stays free although bob waits for it and is not silent",
        |trace| {
            let is_granted_from_queue =
                |it: &Record| matches!(it.kind, RecordKind::LockGranted { from_queue: true, .. });
            trace.remove(find(trace, 0, is_granted_from_queue));
        },
    );
}

/// Inserts a restart of the server with a log that ends before `index`.
fn insert_amnesiac_restart(trace: &mut Vec<Record>, position: usize, index: Number) {
    let through = Number::from(index.get().expect("the number is known") - 1);
    let (sessions, tenures, waits) = (0, 0, 0);
    let recovered = RecordKind::Recovered { through, sessions, tenures, waits };
    insert_after(trace, position, recovered);
    insert_after(trace, position, RecordKind::Restarted);
    insert_after(trace, position, RecordKind::Crashed { durable_through: through });
}

/// Returns the log index at which ann's session is closed.
fn session_end_index(trace: &[Record]) -> Number {
    let mut ends = trace.iter().filter_map(|it| {
        let RecordKind::SessionClosed { client: ANN, index, .. } = it.kind else { return None };
        Some(index)
    });
    ends.next().expect("ann closes its session")
}

#[test]
fn acknowledged_session_end_lost_in_a_crash_violates_s5() {
    let expected_text = "the server has lost what it had acknowledged to ann";
    check(Invariant::S5, expected_text, |trace| {
        let (position, _) = find_reply(trace, ANN, Message::Closed);
        let index = session_end_index(trace);
        insert_amnesiac_restart(trace, position, index);
    });
    // A refusal of a later request acknowledges the end of the session, too.
    check(Invariant::S5, expected_text, |trace| {
        let (position, closed) = find_reply(trace, ANN, Message::Closed);
        let index = session_end_index(trace);
        let (code, seq) = (RefusalCode::UnknownSession, after(closed.seq, 9));
        trace[position].kind = RecordKind::RequestRefused {
            client: ANN,
            message: Message::Heartbeat,
            lock: LockId::NONE,
            token: Number::ZERO,
            current: Number::ZERO,
            code,
            seq,
        };
        let reply = refusal_record(PacketSummary { seq, ..closed }, code);
        insert_after(trace, position, reply);
        insert_amnesiac_restart(trace, position + 1, index);
    });
}

#[test]
fn acknowledged_cancellation_lost_in_a_crash_violates_s5() {
    check(Invariant::S5, "the server has lost what it had acknowledged to bob", |trace| {
        let position = find(trace, 0, |it| matches!(it.kind, RecordKind::LockQueued { .. }));
        let RecordKind::LockQueued { lock, client, session, seq, index, .. } = trace[position].kind
        else {
            unreachable!()
        };
        let (_, queued) = find_reply(trace, BOB, Message::Queued);
        let request =
            PacketSummary { message: Message::CancelAcquire, seq: after(seq, 9), ..queued };
        let reply = PacketSummary { message: Message::Cancelled, ..request };
        let (cause, index) = (WaitEndCause::Cancelled, after(index, 1));
        let wait_ended = RecordKind::WaitEnded { lock, client, session, seq, cause, index };
        insert_after(trace, position, RecordKind::Sent(reply));
        insert_after(trace, position, wait_ended);
        insert_after(trace, position, RecordKind::Arrived(request));
        insert_amnesiac_restart(trace, position + 3, index);
    });
}

#[test]
fn acknowledged_append_outcome_lost_in_a_crash_violates_s5() {
    check(Invariant::S5, "the server has lost what it had acknowledged to ann", |trace| {
        let position = find(trace, 0, is_append);
        let RecordKind::FileAppended { index, .. } = trace[position].kind else { unreachable!() };
        let (_, appended) = find_reply(trace, ANN, Message::Appended);
        assert_eq!((appended.lock, appended.value), (LEDGER, Number::from(1_u32)));
        let (message, seq) = (Message::Outcome, after(appended.seq, 9));
        let reply = PacketSummary { message, seq, ..appended };
        insert_after(trace, position, RecordKind::Sent(reply));
        insert_amnesiac_restart(trace, position + 1, index);
    });
}

#[test]
fn lock_held_after_its_lease_expired_violates_l1() {
    check(Invariant::L1, "a lease has expired, but its lock is still held", |trace| {
        let granted = find(trace, 0, |it| matches!(it.kind, RecordKind::LockGranted { .. }));
        let mut last_record = *trace.last().unwrap();
        trace.truncate(granted + 1);
        last_record.local_ms = after(trace[granted].local_ms, 10_000);
        last_record.causes = Causes::NONE;
        trace.push(last_record);
    });
}
