//! Simulated runs are deterministic, and violate no invariant with all protections enabled.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use leasehold_core::id::Name;
use leasehold_sim::*;

use common::execute;

/// The codes of records that 300 storms must produce.
const EXPECTED_CODES: &[&str] = &[
    "answered lost",
    "answered no_answer",
    "believed",
    "crashed",
    "cut",
    "disbelieved crashed",
    "disbelieved lapsed",
    "doubled",
    "duplicate_answered",
    "flush_failed",
    "lost cut",
    "lost dead",
    "lost dropped",
    "lost network",
    "lock_granted from the queue",
    "lock_queued",
    "lock_released closed",
    "lock_released hold_expired",
    "lock_released lease_expired",
    "lock_released released",
    "recovered",
    "request_refused already_held",
    "request_refused lock_held",
    "request_refused not_waiting",
    "request_refused overloaded",
    "request_refused stale_token",
    "request_refused too_large",
    "request_refused unknown_session",
    "resumed",
    "session_closed",
    "session_expired",
    "session_lost",
    "wait_ended cancelled",
    "wait_ended session_ended",
    "wait_ended timeout",
    "write_failed",
];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn five_clients() -> Run {
    let script = |lock: &str| {
        vec![
            ScriptStep::Acquire {
                lock: name(lock),
                wait_ms: 60_000,
                hold_ms: None,
                give_up_ms: None,
                or_release: None,
            },
            ScriptStep::Work { ms: 1_500 },
            ScriptStep::Append { file: name(lock), check: true, gap_ms: 0 },
            ScriptStep::Release { lock: name(lock) },
        ]
    };
    let locks = ["file_0", "file_2", "file_0", "file_3", "file_3"];
    let clients = locks.iter().enumerate().map(|(index, lock)| ClientConfig {
        name: name(&format!("client_{}", index + 1)),
        script: script(lock),
        starts_ms: 200 * index as u64,
        rate_ppm: 0,
    });
    Run {
        config: Config {
            locks: ["file_0", "file_2", "file_3"].map(name).to_vec(),
            clients: clients.collect(),
            faults_end_ms: Some(100),
            ends_ms: 30_000,
            ..Config::default()
        },
        seed: 7,
        without: BTreeSet::new(),
        interventions: Vec::new(),
    }
}

#[test]
fn five_clients_append_to_three_files() {
    let (world, _) = execute(&five_clients());
    let authors =
        |lock| world.file(LockId(lock)).unwrap().iter().map(|it| it.client.0).collect::<Vec<_>>();
    assert_eq!((authors(0), authors(1), authors(2)), (vec![1, 3], vec![2], vec![4, 5]));
    let status = |invariant| world.checkers().status(invariant);
    for invariant in [Invariant::S1, Invariant::S3, Invariant::S7, Invariant::S8, Invariant::L2] {
        assert_eq!(status(invariant), InvariantStatus::Ok, "{invariant}");
    }
    assert_eq!(status(Invariant::S5), InvariantStatus::NotYet, "the server has not crashed");
}

/// L2 is not decided in a run that ends while a client may still wait for the lease of a crashed
/// client to expire. A longer run decides it.
#[test]
fn unfinished_client_violates_l2_only_after_enough_time() {
    let l2_status = |change: fn(&mut Run)| {
        let mut run = Scenario::from_name("five-clients").unwrap().resolve_run();
        change(&mut run);
        execute(&run).0.checkers().status(Invariant::L2)
    };
    let crash = |run: &mut Run| {
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        run.interventions.push(Intervention::at(600, crash));
    };
    assert_eq!(l2_status(crash), InvariantStatus::NotYet);
    let repeat_forever = |run: &mut Run| {
        run.config.clients[0].script.push(ScriptStep::Repeat { times: u32::MAX });
    };
    assert_eq!(l2_status(repeat_forever), InvariantStatus::NotYet);
    let repeat_forever_in_a_longer_run = |run: &mut Run| {
        run.config.clients[0].script.push(ScriptStep::Repeat { times: u32::MAX });
        run.config.ends_ms = 40_000;
    };
    assert!(matches!(l2_status(repeat_forever_in_a_longer_run), InvariantStatus::Violated { .. }));
}

#[test]
fn run_is_deterministic_from_the_start_and_from_a_snapshot() {
    for seed in 0..20 {
        let run = storm(seed, &BTreeSet::new());
        let (world, trace) = execute(&run);
        let (second_world, second_trace) = execute(&run);
        assert_eq!((world.fingerprint(), &trace), (second_world.fingerprint(), &second_trace));
        let (mut original, mut partial_trace) = (World::new(run), Vec::new());
        while original.steps() < world.steps() / 2 {
            assert!(original.step(&mut partial_trace));
        }
        let mut snapshot = original.clone();
        while original.step(&mut partial_trace) {}
        partial_trace.truncate(usize::try_from(snapshot.record_count()).unwrap());
        while snapshot.step(&mut partial_trace) {}
        assert_eq!((snapshot.fingerprint(), &partial_trace), (world.fingerprint(), &trace));
    }
}

#[test]
fn storms_violate_no_invariant() {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..300 {
        let outcome = storm(seed, &BTreeSet::new()).execute();
        assert_eq!(outcome.first_violation, None, "seed {seed}");
        for record in &outcome.trace {
            *reached.entry(record.kind.code_with_cause()).or_default() += 1;
        }
    }
    println!("{reached:#?}");
    for code in EXPECTED_CODES {
        assert!(reached.contains_key(*code), "no storm produces {code}: {reached:#?}");
    }
}
