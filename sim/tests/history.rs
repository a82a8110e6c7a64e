//! Seeking in a run, and forking it with another intervention.

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_core::rng::Rng;
use leasehold_sim::*;

/// What distinguishes the worlds at two positions.
fn world_summary(world: &World) -> (u32, u32, u64, VirtualTime) {
    (world.steps(), world.record_count(), world.fingerprint(), world.now())
}

/// The summaries of all positions of a run, in order.
fn world_summaries(run: &Run) -> Vec<(u32, u32, u64, VirtualTime)> {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    let mut summaries = vec![world_summary(&world)];
    while world.step(&mut trace) {
        summaries.push(world_summary(&world));
    }
    summaries
}

fn runs() -> Vec<Run> {
    let storms = (0..20).map(|seed| storm(seed, &BTreeSet::new()));
    library().iter().map(Scenario::resolve_run).chain(storms).collect()
}

/// A run whose clients repeat their scripts until the end.
fn endless_run(clients: u8, locks: u8, ends_ms: u64) -> Run {
    let name = |prefix: &str, index: u8| Name::new(&format!("{prefix}_{index}")).unwrap();
    let script = |lock: Name| {
        vec![
            ScriptStep::Acquire {
                lock: lock.clone(),
                wait_ms: 60_000,
                hold_ms: None,
                give_up_ms: None,
            },
            ScriptStep::Append { file: lock.clone(), check: true, gap_ms: 0 },
            ScriptStep::Release { lock },
            ScriptStep::Repeat { times: u32::MAX },
        ]
    };
    let clients = (0..clients).map(|index| ClientConfig {
        name: name("client", index),
        script: script(name("file", index % locks)),
        starts_ms: 0,
        rate_ppm: 0,
    });
    let config = Config {
        locks: (0..locks).map(|index| name("file", index)).collect(),
        clients: clients.collect(),
        network: Network { latency_min_us: 1_000, latency_max_us: 2_000, ..Network::default() },
        ends_ms,
        file_len_max: u64::MAX,
        ..Config::default()
    };
    Run { config, seed: 1, without: BTreeSet::new(), interventions: Vec::new() }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "too slow in an interpreter")]
fn seeking_forward_and_backward_reaches_equal_worlds() {
    for run in runs() {
        let summaries = world_summaries(&run);
        let mut history = History::new(run);
        for _ in 1..summaries.len() {
            history.seek(history.position() + 1);
            assert_eq!(world_summary(history.world()), summaries[history.position() as usize]);
        }
        assert!(history.is_complete());
        while history.position() > 0 {
            history.seek(history.position() - 1);
            assert_eq!(world_summary(history.world()), summaries[history.position() as usize]);
            assert_eq!(history.past().len(), history.world().record_count() as usize);
        }
    }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "too slow in an interpreter")]
fn seek_reaches_any_position_of_a_long_run() {
    let run = endless_run(5, 3, 200_000);
    let summaries = world_summaries(&run);
    assert!(summaries.len() > 100_000, "{}", summaries.len());
    let mut history = History::new(run);
    let mut rng = Rng::with_stream(1, 1);
    for _ in 0..200 {
        let position = u32::try_from(rng.below(summaries.len() as u64)).unwrap();
        history.seek(position);
        assert_eq!(world_summary(history.world()), summaries[position as usize]);
    }
    history.seek(u32::MAX);
    assert_eq!(history.position() as usize, summaries.len() - 1);
}

#[test]
fn positions_are_found_by_record_and_by_time() {
    let mut history = History::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
    history.seek(u32::MAX);
    for position in 1..=history.last_position() {
        let records = history.records_at(position - 1)..history.records_at(position);
        assert!(!records.is_empty());
        for record in records {
            assert_eq!(history.position_of(RecordId(u32::try_from(record).unwrap())), position);
        }
    }
    assert_eq!(history.position_of(RecordId(u32::MAX)), history.last_position());
    for millis in 0..60_000 {
        let time = VirtualTime::from_millis(millis);
        let position = history.position_at(time);
        history.seek(position);
        assert!(history.world().now() <= time);
        history.seek(position + 1);
        assert!(history.world().now() > time || position == history.last_position());
    }
}

/// A fork has the same trace as a fresh run with the same intervention, and does not change the
/// original history.
#[test]
fn fork_equals_a_fresh_run_with_the_same_intervention() {
    let mut rng = Rng::with_stream(7, 7);
    // If all durations are whole milliseconds, many events have the same virtual time.
    let mut exact_run = endless_run(3, 1, 1_000);
    exact_run.config.network.latency_max_us = exact_run.config.network.latency_min_us;
    exact_run.config.disk = Disk { flush_min_us: 1_000, flush_max_us: 1_000, ..Disk::default() };
    let exact_runs = (0..20).map(|seed| (Run { seed, ..exact_run.clone() }, true));
    for (run, is_exact) in runs().into_iter().map(|run| (run, false)).chain(exact_runs) {
        let mut history = History::new(run.clone());
        history.seek(u32::MAX);
        let final_summary = world_summary(history.world());
        for _ in 0..5 {
            let mut position =
                u32::try_from(rng.below(u64::from(history.last_position()))).unwrap();
            if is_exact && rng.below(2) == 0 {
                // At a snapshot, the next event has already been chosen.
                position -= position % 256;
            }
            history.seek(position);
            let at_ms = history.world().now().as_millis() + rng.below(3);
            let node = NodeId(u8::try_from(rng.below(2)).unwrap());
            let link = LinkId { from: NodeId(1), to: NodeId::SERVER };
            let selector = PacketSelector { link, message: Message::AcquireLock, nth: 1 };
            let intervention = match rng.below(4) {
                0 => Intervention::at(at_ms, Action::Crash { node, keeps_unflushed: false }),
                1 => Intervention::at(at_ms, Action::Pause { node, ms: 20_000 }),
                2 => Intervention::at(at_ms, Action::Cut { link }),
                _ => {
                    let packet_action = PacketAction::Delay { by_ms: 700 };
                    Intervention::on_send(Action::Packet { packet: selector, packet_action })
                }
            };
            let mut fork = history.fork(intervention.clone());
            let mut fresh = run.clone();
            fresh.interventions.push(intervention);
            assert_eq!(fork.run(), &fresh);
            assert!(fork.position() <= position + 1);
            fork.seek(u32::MAX);
            let expected = fresh.execute();
            assert_eq!(fork.world().fingerprint(), expected.fingerprint);
            assert_eq!(fork.trace(), expected.trace);
        }
        history.seek(u32::MAX);
        assert_eq!(world_summary(history.world()), final_summary);
    }
}

/// Injecting a fault at the current time of a long run must not take long.
#[test]
fn fork_after_the_current_position_simulates_nothing() {
    let mut history = History::new(endless_run(5, 3, 200_000));
    while history.last_position() < 100_000 {
        history.simulate(1_000);
    }
    let mut rng = Rng::with_stream(3, 3);
    for _ in 0..20 {
        let position = u32::try_from(rng.below(100_000)).unwrap();
        history.seek(position);
        let at_ms = history.world().now().as_millis() + 1;
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        let fork = history.fork(Intervention::at(at_ms, crash));
        assert_eq!((fork.position(), fork.past()), (position, history.past()));
        assert!(fork.last_position() < position + 300, "{} at {position}", fork.last_position());
    }
}

/// The world exposes packets in transit with their times, cut links, and clock rates.
#[test]
fn world_exposes_packets_links_and_clocks() {
    let scenario = Scenario::from_name("one-way-partition").unwrap();
    let mut history = History::new(scenario.resolve_run());
    history.simulate(u32::MAX);
    let (mut packet_count, mut is_cut_one_way) = (0, false);
    for position in (0..history.last_position()).step_by(5) {
        history.seek(position);
        let world = history.world();
        for packet in world.packets() {
            assert!(packet.sent_at <= world.now() && world.now() <= packet.arrives_at);
            packet_count += 1;
        }
        let link = LinkId { from: NodeId(1), to: NodeId::SERVER };
        let back = LinkId { from: NodeId::SERVER, to: NodeId(1) };
        is_cut_one_way |= world.link(link).is_cut && !world.link(back).is_cut;
        assert_eq!(world.clock_view(NodeId(1)), ClockView::default());
    }
    assert!(packet_count > 20 && is_cut_one_way, "{packet_count} packets");
    let slow = History::new(Scenario::from_name("slow-clock").unwrap().resolve_run());
    assert!(slow.world().clock_view(NodeId(1)).rate_ppm < 0);
}

#[test]
fn world_at_does_not_move_the_position() {
    let mut history = History::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
    history.seek(100);
    let before = history.world_at(37);
    assert_eq!((history.position(), before.steps()), (100, 37));
    history.seek(37);
    assert_eq!(history.world().fingerprint(), before.fingerprint());
}
