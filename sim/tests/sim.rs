//! Simulated runs: they go the same way every time, and keep what has to be kept.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_core::id::Name;
use leasehold_sim::*;

/// What 300 storms have to come by.
const REACHED: &[&str] = &[
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
    "request_refused storage_failed",
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
            },
            ScriptStep::Work { ms: 1_500 },
            ScriptStep::Append { file: name(lock), check: true, gap_ms: 0 },
            ScriptStep::Release { lock: name(lock) },
        ]
    };
    let locks = ["file_0", "file_2", "file_0", "file_3", "file_3"];
    let clients = locks.iter().enumerate().map(|(no, lock)| ClientConfig {
        name: name(&format!("client_{}", no + 1)),
        script: script(lock),
        starts_ms: 200 * no as u64,
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

fn go(run: &Run) -> (World, Vec<Record>) {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    (world, trace)
}

#[test]
fn five_clients_write_three_files() {
    let (world, _) = go(&five_clients());
    let authors =
        |lock| world.file(LockId(lock)).unwrap().iter().map(|it| it.client.0).collect::<Vec<_>>();
    assert_eq!((authors(0), authors(1), authors(2)), (vec![1, 3], vec![2], vec![4, 5]));
    let status = |invariant| world.checkers().status(invariant);
    for invariant in [Invariant::S1, Invariant::S3, Invariant::S7, Invariant::S8, Invariant::L2] {
        assert_eq!(status(invariant), InvariantStatus::Ok, "{invariant}");
    }
    assert_eq!(status(Invariant::S5), InvariantStatus::NotYet, "nothing has crashed");
}

/// A run that ends while somebody waits for the lease of a dead one says nothing of who would be
/// left over; one that goes on for long enough does.
#[test]
fn who_is_not_through_yet_is_no_violation_before_there_was_time() {
    let l2 = |change: fn(&mut Run)| {
        let mut run = Scenario::from_name("five-clients").unwrap().resolve_run();
        change(&mut run);
        go(&run).0.checkers().status(Invariant::L2)
    };
    let crash = |run: &mut Run| {
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        run.interventions.push(Intervention::at(600, crash));
    };
    assert_eq!(l2(crash), InvariantStatus::NotYet);
    let never = |run: &mut Run| {
        run.config.clients[0].script.push(ScriptStep::Repeat { times: u32::MAX });
    };
    assert_eq!(l2(never), InvariantStatus::NotYet);
    let never_for_long = |run: &mut Run| {
        run.config.clients[0].script.push(ScriptStep::Repeat { times: u32::MAX });
        run.config.ends_ms = 40_000;
    };
    assert!(matches!(l2(never_for_long), InvariantStatus::Violated { .. }));
}

#[test]
fn a_run_goes_the_same_way_every_time_also_from_a_snapshot() {
    for seed in 0..20 {
        let run = storm(seed, &BTreeSet::new());
        let (world, trace) = go(&run);
        let (again, same) = go(&run);
        assert_eq!((world.fingerprint(), &trace), (again.fingerprint(), &same));
        let (mut copied, mut part) = (World::new(run), Vec::new());
        while copied.steps() < world.steps() / 2 {
            assert!(copied.step(&mut part));
        }
        let mut copy = copied.clone();
        while copied.step(&mut part) {}
        part.truncate(usize::try_from(copy.record_count()).unwrap());
        while copy.step(&mut part) {}
        assert_eq!((copy.fingerprint(), &part), (world.fingerprint(), &trace));
    }
}

#[test]
fn no_storm_violates_anything() {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..300 {
        let outcome = storm(seed, &BTreeSet::new()).execute();
        assert_eq!(outcome.first_violation, None, "seed {seed}");
        for record in &outcome.trace {
            *reached.entry(record.kind.code_with_cause()).or_default() += 1;
        }
    }
    println!("{reached:#?}");
    for word in REACHED {
        assert!(reached.contains_key(*word), "no storm has reached {word}: {reached:#?}");
    }
}
