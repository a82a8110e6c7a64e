//! A correct server is never accused, and nothing is drawn that is not so.

use super::*;
use crate::model::inspector::inspector_fields;
use crate::model::target::Target;

/// Applies a message that arrives at the start.
fn apply(trace: &mut (LiveTrace, Intervals), message: &str) {
    let (live_trace, intervals) = trace;
    live_trace.apply_message(message, VirtualTime::START, intervals).unwrap();
}

fn new_trace() -> (LiveTrace, Intervals) {
    let mut trace = (LiveTrace::new(), Intervals::default());
    apply(&mut trace, &snapshot(&State::default(), "\"recovered\":0"));
    trace
}

fn event(index: u64, at_ms: u64, fields: &str) -> String {
    events(&format!(r#"{{"index":{index},"at_ms":{at_ms},{fields}}}"#))
}

fn opened(session: u64, client: &str, lease_ms: u64) -> String {
    format!(
        r#""type":"session_opened","session_no":{session},"client":"{client}","lease_ms":{lease_ms}"#
    )
}

/// A request of a session, with its sequence number.
fn of(session: u64, seq: u64) -> String {
    format!(r#""session_no":{session},"client":"c{session}","seq":{seq},"attempt":0"#)
}

fn granted(lock: &str, token: u64, request: &str) -> String {
    format!(r#""type":"lock_granted","lock":"{lock}","token":{token},"from_queue":false,{request}"#)
}

fn released(lock: &str, token: u64, session: u64, cause: &str) -> String {
    format!(
        r#""type":"lock_released","lock":"{lock}","token":{token},"cause":"{cause}","session_no":{session},"client":"c{session}""#
    )
}

/// The page estimates the server's clock. Events that arrive late have happened when they say.
#[test]
fn late_events_keep_their_times() {
    let mut trace = new_trace();
    apply(&mut trace, &event(1, 5_000, &opened(1, "c1", 5_000)));
    apply(&mut trace, &event(2, 5_000, &opened(2, "c2", 5_000)));
    apply(&mut trace, &event(3, 5_000, &granted("a", 1, &of(1, 1))));
    let queued = format!(r#""type":"lock_queued","lock":"a","wait_ms":60000,{}"#, of(2, 1));
    apply(&mut trace, &event(4, 8_000, &queued));
    // The estimate of the clock is ahead, when an append arrives from the end of the lease.
    trace.0.advance_to(Time::from_millis(10_200));
    let appended = r#""type":"file_appended","file":"a","token":1,"offset":0,"data":"x\n","#;
    apply(&mut trace, &event(5, 9_999, &format!("{appended}{}", of(1, 2))));
    // A release and the grant that follows arrive in two messages, and time passes in between.
    apply(&mut trace, &event(6, 12_000, &released("a", 1, 1, "hold_expired")));
    trace.0.advance_to(Time::from_millis(12_500));
    let from_queue = granted("a", 2, &of(2, 1)).replace("false", "true");
    apply(&mut trace, &event(7, 12_000, &from_queue));
    assert!(trace.0.violated().is_empty(), "{:?}", trace.0.violated());
    let at = trace.0.records().iter().map(|record| record.at.as_millis());
    assert_eq!(at.collect::<Vec<_>>(), [0, 0, 0, 0, 3_000, 4_999, 7_000, 7_000]);
    assert_eq!(trace.0.end(), VirtualTime::from_millis(7_500));
}

/// A waiter that was silent for long before the page connected is passed over at once.
#[test]
fn waiter_that_was_silent_before_the_page_connected_may_be_passed_over() {
    let mut trace = new_trace();
    for session in 1..=3 {
        let opened = opened(session, &format!("c{session}"), 60_000);
        apply(&mut trace, &event(session, 5_000, &opened));
    }
    apply(&mut trace, &event(4, 5_000, &granted("a", 1, &of(1, 1))));
    for (index, session) in [(5, 2), (6, 3)] {
        let queued =
            format!(r#""type":"lock_queued","lock":"a","wait_ms":60000,{}"#, of(session, 1));
        apply(&mut trace, &event(index, 5_000, &queued));
    }
    let polled = format!(r#""type":"duplicate_answered","op":"acquire_lock",{}"#, of(3, 1));
    apply(&mut trace, &event(7, 7_900, &polled));
    let state = trace.0.latest_state().clone();
    // Another page connects now. The first waiter has been silent for 2.9 s.
    let mut trace = (LiveTrace::new(), Intervals::default());
    let connected = snapshot(&state, "\"recovered\":0").replace("\"at_ms\":5000", "\"at_ms\":7900");
    apply(&mut trace, &connected);
    let released = format!("{},\"seq\":2,\"attempt\":0", released("a", 1, 1, "released"));
    apply(&mut trace, &event(8, 8_100, &released));
    let from_queue = granted("a", 2, &of(3, 1)).replace("false", "true");
    apply(&mut trace, &event(9, 8_100, &from_queue));
    assert!(trace.0.violated().is_empty(), "{:?}", trace.0.violated());
}

/// What happens between a release and the grant that follows may be missed.
#[test]
fn gap_between_a_release_and_the_next_grant_violates_nothing() {
    for restarted in [false, true] {
        let mut trace = new_trace();
        for session in [1, 2] {
            let opened = opened(session, &format!("c{session}"), 60_000);
            apply(&mut trace, &event(session, 5_000, &opened));
        }
        apply(&mut trace, &event(3, 5_000, &granted("a", 1, &of(1, 1))));
        let queued = format!(r#""type":"lock_queued","lock":"a","wait_ms":60000,{}"#, of(2, 1));
        apply(&mut trace, &event(4, 5_000, &queued));
        apply(&mut trace, &event(5, 6_000, &released("a", 1, 1, "hold_expired")));
        let mut state = trace.0.latest_state().clone();
        let from_queue = granted("a", 2, &of(2, 1)).replace("false", "true");
        let grant = format!(r#"{{"index":6,"at_ms":6000,{from_queue}}}"#);
        state.apply(&serde_json::from_str(&grant).unwrap());
        let recovered = if restarted { 5 } else { 0 };
        let fields = format!("\"missed\":1,\"recovered\":{recovered}");
        let message = snapshot(&state, &fields).replace("\"at_ms\":5000", "\"at_ms\":9000");
        let (live_trace, intervals) = &mut trace;
        live_trace.apply_message(&message, VirtualTime::from_millis(4_000), intervals).unwrap();
        assert!(live_trace.violated().is_empty(), "{:?}", live_trace.violated());
    }
}

/// Requests for locks beyond the limit renew leases as others do, and are in the log.
#[test]
fn locks_beyond_the_limit_are_neither_accused_nor_confused() {
    let mut trace = new_trace();
    apply(&mut trace, &event(1, 5_000, &opened(1, "c1", 5_000)));
    let locks = u64::try_from(LOCKS_MAX).unwrap();
    for number in 1..=locks + 5 {
        let grant = granted(&format!("l{number}"), number, &of(1, number));
        apply(&mut trace, &event(1 + number, 5_000, &grant));
    }
    let index = locks + 7;
    // These renew the lease, so that the last append is inside it.
    let unknown = locks + 3;
    let appended = |lock: u64, seq: u64| {
        format!(
            r#""type":"file_appended","file":"l{lock}","token":{lock},"offset":0,"data":"x\n",{}"#,
            of(1, seq)
        )
    };
    apply(&mut trace, &event(index, 9_000, &appended(unknown, 300)));
    let release = format!(
        "{},\"seq\":301,\"attempt\":0",
        released(&format!("l{unknown}"), unknown, 1, "released")
    );
    apply(&mut trace, &event(index + 1, 13_000, &release));
    apply(&mut trace, &event(index + 2, 17_000, &appended(1, 302)));
    assert!(trace.0.violated().is_empty(), "{:?}", trace.0.violated());
    let timeline = Timeline::from_live_trace(trace.0, trace.1);
    let explainer = leasehold_sim::Explainer::new(timeline.run(), timeline.trace());
    let last = RecordId(u32::try_from(timeline.trace().len() - 2).unwrap());
    let sentence = explainer.describe(last).unwrap().sentence();
    assert_eq!(sentence, format!("server releases unknown-lock (token {unknown}) at c1's request"));
    let intervals = timeline.intervals();
    assert!(intervals.tenures.iter().all(|tenure| tenure.lock != LockId::NONE));
    assert!(intervals.beliefs.iter().all(|belief| belief.lock != LockId::NONE));
    let mut timeline = timeline;
    timeline.go_to(timeline.end());
    let scene = timeline.scene();
    assert_eq!((scene.locks.len(), scene.more_locks), (LOCKS_MAX, 5));
    let fields =
        inspector_fields(timeline.inspector_context(), &scene, Target::Node(NodeId::SERVER));
    assert!(fields.iter().any(|it| it.name == "Locks not shown" && it.value == "5"), "{fields:?}");
}

/// Clients beyond the limit share one node, but not their leases.
#[test]
fn clients_beyond_the_limit_are_not_accused() {
    let mut trace = new_trace();
    let clients = u64::try_from(CLIENTS_MAX).unwrap() + 3;
    for session in 1..=clients {
        let opened = opened(session, &format!("c{session}"), 60_000);
        apply(&mut trace, &event(session, 5_000, &opened));
    }
    let mut index = clients;
    let mut next = |trace: &mut (LiveTrace, Intervals), at_ms: u64, fields: &str| {
        index += 1;
        apply(trace, &event(index, at_ms, fields));
    };
    let holders = [clients - 1, clients];
    for session in holders {
        next(&mut trace, 5_000, &granted(&format!("l{session}"), session, &of(session, 1)));
    }
    for session in holders {
        let appended = r#""type":"file_appended","offset":0,"data":"x\n""#;
        let file = format!(r#""file":"l{session}","token":{session}"#);
        next(&mut trace, 6_000, &format!("{appended},{file},{}", of(session, 2)));
    }
    for session in holders {
        let renewed = format!(r#""type":"lease_renewed","op":"heartbeat",{}"#, of(session, 3));
        next(&mut trace, 7_000, &renewed);
    }
    next(&mut trace, 8_000, &released(&format!("l{clients}"), clients, clients, "hold_expired"));
    assert!(trace.0.violated().is_empty(), "{:?}", trace.0.violated());
    let renewals: usize = trace.1.tenures.iter().map(|tenure| tenure.renewals.len()).sum();
    assert_eq!(renewals, 0, "a renewal is not attributed to another client");
}

/// The hold limit ends a tenure although the lease continues, and the client knows it.
#[test]
fn belief_ends_at_the_hold_limit() {
    let mut trace = new_trace();
    apply(&mut trace, &event(1, 5_000, &opened(1, "c1", 60_000)));
    let with_limit = format!("{},\"hold_ms\":2000", granted("a", 1, &of(1, 1)));
    apply(&mut trace, &event(2, 5_000, &with_limit));
    let mut timeline = Timeline::from_live_trace(trace.0, trace.1);
    timeline.go_to(timeline.end());
    let until = VirtualTime::from_millis(2_000);
    let scene = timeline.scene();
    let client = &scene.clients[0];
    assert_eq!(client.belief.unwrap().term.until, until);
    assert_eq!(client.server_lease.unwrap().until, VirtualTime::from_millis(60_000));
    assert_eq!(timeline.intervals().beliefs[0].until(timeline.end()), Some(until));
}

/// A client may not know a grant from the queue that it has not confirmed.
#[test]
fn unclaimed_grant_is_not_believed() {
    let mut trace = new_trace();
    for session in [1, 2] {
        let opened = opened(session, &format!("c{session}"), 60_000);
        apply(&mut trace, &event(session, 5_000, &opened));
    }
    apply(&mut trace, &event(3, 5_000, &granted("a", 1, &of(1, 1))));
    let queued = format!(r#""type":"lock_queued","lock":"a","wait_ms":60000,{}"#, of(2, 1));
    apply(&mut trace, &event(4, 5_000, &queued));
    let released = format!("{},\"seq\":2,\"attempt\":0", released("a", 1, 1, "released"));
    apply(&mut trace, &event(5, 6_000, &released));
    let from_queue = granted("a", 2, &of(2, 1)).replace("false", "true");
    apply(&mut trace, &event(6, 6_000, &from_queue));
    let believers = |trace: &(LiveTrace, Intervals)| {
        let beliefs = trace.1.beliefs.iter().filter(|belief| belief.ended_at.is_none());
        beliefs.map(|belief| belief.client).collect::<Vec<_>>()
    };
    assert!(believers(&trace).is_empty());
    apply(&mut trace, &event(7, 9_000, &released_by_claim()));
    assert!(believers(&trace).is_empty() && trace.0.violated().is_empty());
}

/// The server takes back a grant that was not confirmed.
fn released_by_claim() -> String {
    released("a", 2, 2, "hold_expired")
}

/// Two clients of one name are two clients, and only one of them holds the lock.
#[test]
fn clients_with_equal_names_are_distinguished() {
    let mut trace = new_trace();
    for session in [1, 2] {
        apply(&mut trace, &event(session, 5_000, &opened(session, "ann", 60_000)));
    }
    let grant = granted("a", 1, &of(2, 1)).replace("c2", "ann");
    apply(&mut trace, &event(3, 5_000, &grant));
    let mut timeline = Timeline::from_live_trace(trace.0, trace.1);
    timeline.go_to(timeline.end());
    let scene = timeline.scene();
    let held = |node| {
        let fields = inspector_fields(timeline.inspector_context(), &scene, Target::Node(node));
        let held = fields.iter().find(|field| field.name == "Holds (server's view)");
        held.unwrap().value.clone()
    };
    assert_eq!((held(NodeId(1)), held(NodeId(2))), ("nothing".to_owned(), "a #1".to_owned()));
}

/// A refusal without a session belongs to no client, unless it names one.
#[test]
fn refusal_without_a_session_concerns_no_client() {
    let mut trace = new_trace();
    apply(&mut trace, &event(1, 5_000, &opened(1, "c1", 60_000)));
    apply(&mut trace, &event(2, 5_000, &granted("a", 1, &of(1, 1))));
    let refused = r#""type":"request_refused","op":"append_file","name":"a","given":7,
        "code":"stale_token","current":1,"seq":9,"attempt":0"#;
    apply(&mut trace, &event(3, 6_000, refused));
    let overloaded = r#""type":"request_refused","op":"hello","client":"other",
        "code":"overloaded","bound":"sessions","seq":0,"attempt":0"#;
    apply(&mut trace, &event(4, 6_100, overloaded));
    assert!(trace.0.violated().is_empty());
    let mut timeline = Timeline::from_live_trace(trace.0, trace.1);
    timeline.go_to(timeline.end());
    let scene = timeline.scene();
    let decided: Vec<NodeId> = scene.decisions.iter().map(|it| it.client).collect();
    assert!(!decided.contains(&NodeId(1)), "{decided:?}");
    let sentences = timeline.trace().iter().zip(0_u32..).map(|(_, id)| {
        let explainer = leasehold_sim::Explainer::new(timeline.run(), timeline.trace());
        explainer.describe(RecordId(id)).unwrap().sentence()
    });
    let last: Vec<String> = sentences.skip(3).collect();
    assert_eq!(
        last,
        [
            "server rejects unknown-client's append to a: token 7 is stale (current: 1)",
            "server rejects unknown-client's request for a session: server limit reached",
        ]
    );
}

/// A wait that has timed out is over: the next client in the queue is served.
#[test]
fn expired_wait_is_not_passed_over() {
    let mut trace = new_trace();
    for session in 1..=3 {
        let opened = opened(session, &format!("c{session}"), 60_000);
        apply(&mut trace, &event(session, 5_000, &opened));
    }
    apply(&mut trace, &event(4, 5_000, &granted("a", 1, &of(1, 1))));
    for (index, session, wait_ms) in [(5, 2, 1_000), (6, 3, 60_000)] {
        let queued =
            format!(r#""type":"lock_queued","lock":"a","wait_ms":{wait_ms},{}"#, of(session, 1));
        apply(&mut trace, &event(index, 5_000, &queued));
    }
    let timed_out = r#""type":"wait_ended","lock":"a","session_no":2,"client":"c2","waited":1,
        "cause":"timeout""#;
    apply(&mut trace, &event(7, 6_000, timed_out));
    let released = format!("{},\"seq\":2,\"attempt\":0", released("a", 1, 1, "released"));
    apply(&mut trace, &event(8, 6_500, &released));
    let from_queue = granted("a", 2, &of(3, 1)).replace("false", "true");
    apply(&mut trace, &event(9, 6_500, &from_queue));
    assert!(trace.0.violated().is_empty(), "{:?}", trace.0.violated());
}
