//! Going back and forth in a run, and making another future of it.

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_core::rng::Rng;
use leasehold_sim::*;

/// What there is to tell one place from another.
fn picture(world: &World) -> (u32, u32, u64, VirtualTime) {
    (world.steps(), world.record_count(), world.fingerprint(), world.now())
}

/// Every place of a run, in order.
fn pictures(run: &Run) -> Vec<(u32, u32, u64, VirtualTime)> {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    let mut pictures = vec![picture(&world)];
    while world.step(&mut trace) {
        pictures.push(picture(&world));
    }
    pictures
}

fn runs() -> Vec<Run> {
    let storms = (0..20).map(|seed| storm(seed, &BTreeSet::new()));
    library().iter().map(Scenario::resolve_run).chain(storms).collect()
}

/// A run that goes on and on.
fn endless(clients: u8, locks: u8, ends_ms: u64) -> Run {
    let name = |prefix: &str, no: u8| Name::new(&format!("{prefix}_{no}")).unwrap();
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
    let clients = (0..clients).map(|no| ClientConfig {
        name: name("client", no),
        script: script(name("file", no % locks)),
        starts_ms: 0,
        rate_ppm: 0,
    });
    let config = Config {
        locks: (0..locks).map(|no| name("file", no)).collect(),
        clients: clients.collect(),
        network: Network { latency_min_us: 1_000, latency_max_us: 2_000, ..Network::default() },
        ends_ms,
        file_len_max: u64::MAX,
        ..Config::default()
    };
    Run { config, seed: 1, without: BTreeSet::new(), interventions: Vec::new() }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "an interpreter takes too long for it")]
fn every_place_looks_the_same_from_both_sides() {
    for run in runs() {
        let places = pictures(&run);
        let mut history = History::new(run);
        for _ in 1..places.len() {
            history.seek(history.position() + 1);
            assert_eq!(picture(history.world()), places[history.position() as usize]);
        }
        assert!(history.is_complete());
        while history.position() > 0 {
            history.seek(history.position() - 1);
            assert_eq!(picture(history.world()), places[history.position() as usize]);
            assert_eq!(history.past().len(), history.world().record_count() as usize);
        }
    }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "an interpreter takes too long for it")]
fn any_place_of_a_long_run_is_reached() {
    let run = endless(5, 3, 200_000);
    let places = pictures(&run);
    assert!(places.len() > 100_000, "{}", places.len());
    let mut history = History::new(run);
    let mut rng = Rng::with_stream(1, 1);
    for _ in 0..200 {
        let place = u32::try_from(rng.below(places.len() as u64)).unwrap();
        history.seek(place);
        assert_eq!(picture(history.world()), places[place as usize]);
    }
    history.seek(u32::MAX);
    assert_eq!(history.position() as usize, places.len() - 1);
}

#[test]
fn places_are_found_by_record_and_by_moment() {
    let mut history = History::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
    history.seek(u32::MAX);
    for place in 1..=history.last_position() {
        let records = history.records_at(place - 1)..history.records_at(place);
        assert!(!records.is_empty());
        for record in records {
            assert_eq!(history.position_of(RecordId(u32::try_from(record).unwrap())), place);
        }
    }
    assert_eq!(history.position_of(RecordId(u32::MAX)), history.last_position());
    for millis in 0..60_000 {
        let moment = VirtualTime::from_millis(millis);
        let place = history.position_at(moment);
        history.seek(place);
        assert!(history.world().now() <= moment);
        history.seek(place + 1);
        assert!(history.world().now() > moment || place == history.last_position());
    }
}

/// Whatever is done where somebody looks, what comes of it is what comes of a fresh run to which
/// that is done; and the old future is still there.
#[test]
fn another_future_is_that_of_a_fresh_run() {
    let mut rng = Rng::with_stream(7, 7);
    // Where everything takes whole milliseconds, much happens at the very same moment.
    let mut exact = endless(3, 1, 1_000);
    exact.config.network.latency_max_us = exact.config.network.latency_min_us;
    exact.config.disk = Disk { flush_min_us: 1_000, flush_max_us: 1_000, ..Disk::default() };
    let exact = (0..20).map(|seed| Run { seed, ..exact.clone() });
    let exact = exact.map(|run| (run, true));
    for (run, is_exact) in runs().into_iter().map(|run| (run, false)).chain(exact) {
        let mut history = History::new(run.clone());
        history.seek(u32::MAX);
        let whole = picture(history.world());
        for _ in 0..5 {
            let mut place = u32::try_from(rng.below(u64::from(history.last_position()))).unwrap();
            if is_exact {
                // At a snapshot, it is decided already what comes next.
                place -= place % 256;
            }
            history.seek(place);
            let at_ms = history.world().now().as_millis() + rng.below(3);
            let node = NodeId(u8::try_from(rng.below(2)).unwrap());
            let link = LinkId { from: NodeId(1), to: NodeId::SERVER };
            let packet = PacketSelector { link, message: Message::AcquireLock, nth: 1 };
            let intervention = match rng.below(4) {
                0 => Intervention::at(at_ms, Action::Crash { node, keeps_unflushed: false }),
                1 => Intervention::at(at_ms, Action::Pause { node, ms: 20_000 }),
                2 => Intervention::at(at_ms, Action::Cut { link }),
                _ => {
                    let fate = PacketAction::Delay { by_ms: 700 };
                    Intervention::on_send(Action::Packet { packet, packet_action: fate })
                }
            };
            let mut fork = history.fork(intervention.clone());
            let mut fresh = run.clone();
            fresh.interventions.push(intervention);
            assert_eq!(fork.run(), &fresh);
            assert!(fork.position() <= place + 1);
            fork.seek(u32::MAX);
            let expected = fresh.execute();
            assert_eq!(fork.world().fingerprint(), expected.fingerprint);
            assert_eq!(fork.trace(), expected.trace);
        }
        history.seek(u32::MAX);
        assert_eq!(picture(history.world()), whole);
    }
}

/// What is on its way is seen, and where it will be when; so are cut links and wrong clocks.
#[test]
fn a_world_can_be_looked_at() {
    let scenario = Scenario::from_name("one-way-partition").unwrap();
    let mut history = History::new(scenario.resolve_run());
    history.simulate(u32::MAX);
    let (mut seen, mut cut) = (0, false);
    for place in (0..history.last_position()).step_by(5) {
        history.seek(place);
        let world = history.world();
        for packet in world.packets() {
            assert!(packet.sent_at <= world.now() && world.now() <= packet.arrives_at);
            seen += 1;
        }
        let link = LinkId { from: NodeId(1), to: NodeId::SERVER };
        let back = LinkId { from: NodeId::SERVER, to: NodeId(1) };
        cut |= world.link(link).is_cut && !world.link(back).is_cut;
        assert_eq!(world.clock_view(NodeId(1)), ClockView::default());
    }
    assert!(seen > 20 && cut, "{seen} packets");
    let slow = History::new(Scenario::from_name("slow-clock").unwrap().resolve_run());
    assert!(slow.world().clock_view(NodeId(1)).rate_ppm < 0);
}

/// The world of another place is had without going there.
#[test]
fn one_can_look_at_another_place_from_where_one_is() {
    let mut history = History::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
    history.seek(100);
    let before = history.world_at(37);
    assert_eq!((history.position(), before.steps()), (100, 37));
    history.seek(37);
    assert_eq!(history.world().fingerprint(), before.fingerprint());
}
