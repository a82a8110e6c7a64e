//! The search for a minimal violation, and the shrinking of a violating run.

use std::collections::BTreeSet;

use leasehold_sim::*;

fn search(run: Run, limits: SearchLimits) -> Search {
    let mut search = Search::new(run, limits);
    while search.explore(100_000) == SearchStage::Searching {}
    search
}

fn without_interventions(scenario: &Scenario, expected: &Expected) -> Run {
    Run { interventions: Vec::new(), ..scenario.run_without(&expected.without) }
}

/// Returns the number of faults of a scenario, and of events up to its first violation.
fn scenario_cost(scenario: &Scenario, expected: &Expected) -> (usize, u32) {
    let mut world = World::new(scenario.run_without(&expected.without));
    let mut trace = Vec::new();
    while world.step(&mut trace) && world.checkers().is_clean() {}
    // The end of a fault does not count as a fault.
    let is_end = |it: &&Intervention| {
        matches!(
            it.action,
            Action::Restart { .. }
                | Action::Rejoin { .. }
                | Action::Heal { .. }
                | Action::EndFaults
        )
    };
    let ends = scenario.interventions.iter().filter(is_end).count();
    (scenario.interventions.len() - ends, world.steps())
}

/// From the configuration of a scenario without its interventions, the search finds a violation
/// that takes at most as many faults and events as the scenario itself.
#[test]
fn search_finds_every_violation_of_the_library() {
    let mut found_count = 0;
    for scenario in library() {
        for expected in scenario.expected.iter().filter(|it| !it.violated.is_empty()) {
            let invariants = expected.violated.clone();
            let run = without_interventions(&scenario, expected);
            let search = search(run, SearchLimits { invariants, ..SearchLimits::default() });
            println!("{} without {:?}: {search}", scenario.name, expected.without);
            let found = search.found().unwrap();
            let scenario_cost = scenario_cost(&scenario, expected);
            let name = &scenario.name;
            assert!(
                (found.faults, found.events) <= scenario_cost,
                "{name}: {search}, scenario: {scenario_cost:?}"
            );
            let outcome = found.run.execute_until_violation();
            assert!(expected.violated.contains(&outcome.first_violation.unwrap().0));
            let mut world = World::new(found.run.clone());
            let mut trace = Vec::new();
            while world.steps() < found.events && world.step(&mut trace) {}
            assert_eq!(world.checkers().status(found.invariant).witness(), Some(found.witness));
            found_count += 1;
        }
    }
    assert!(found_count >= 15, "{found_count}");
}

/// With all protections enabled there is no violation, and the search reports what it has covered.
#[test]
fn search_without_result_reports_how_far_it_went() {
    let run = Scenario::from_name("gc-pause").unwrap().resolve_run();
    let run = Run { interventions: Vec::new(), ..run };
    let limits = SearchLimits { faults_max: 1, events_max: 100, ..SearchLimits::default() };
    let complete = search(run.clone(), limits.clone());
    assert_eq!((complete.stage(), complete.found()), (SearchStage::Exhausted, None));
    let text = complete.to_string();
    assert!(text.starts_with("none with at most 1 fault and 100 events ("), "{text}");
    assert!(complete.progress().states > 10_000);

    let states_max = 5_000;
    let limited = search(run, SearchLimits { states_max, ..limits });
    assert_eq!((limited.stage(), limited.found()), (SearchStage::LimitReached, None));
    let text = limited.to_string();
    assert!(text.starts_with("none with at most 0 faults and 100 events; with 1, "), "{text}");
    assert!(limited.progress().states < states_max + 200);
}

/// A search that is executed in small portions finds the same violation.
#[test]
fn search_in_portions_finds_the_same_violation() {
    let scenario = Scenario::from_name("partition").unwrap();
    let run = without_interventions(&scenario, &scenario.expected[1]);
    let complete = search(run.clone(), SearchLimits::default());
    let mut interrupted = Search::new(run, SearchLimits::default());
    let mut portions = 0;
    while interrupted.explore(500) == SearchStage::Searching {
        portions += 1;
    }
    assert!(portions > 10);
    assert_eq!(
        (interrupted.found(), interrupted.progress()),
        (complete.found(), complete.progress())
    );
}

/// If clock rates are within the limit that clients assume, no belief outlives its tenure. If they
/// exceed the limit twice, one fault is enough to show it.
#[test]
fn search_finds_clock_rates_beyond_the_assumed_limit() {
    let scenario = Scenario::from_name("slow-clock").unwrap();
    let with_rate = |times: i64| {
        let mut run = Run { interventions: Vec::new(), ..scenario.resolve_run() };
        let half = run.config.drift_ppm.cast_signed() / 2;
        run.config.clients[0].rate_ppm = -half * times;
        run.config.server_rate_ppm = half * times;
        run
    };
    let limits = SearchLimits {
        faults_max: 1,
        faults: [FaultKind::Partition].into(),
        ..SearchLimits::default()
    };
    assert_eq!(search(with_rate(1), limits.clone()).stage(), SearchStage::Exhausted);
    let beyond = search(with_rate(2), limits);
    assert_eq!(beyond.found().unwrap().invariant, Invariant::S7, "{beyond}");
}

/// A shrunk storm violates the same invariant with fewer interventions and clients.
#[test]
fn shrinking_a_storm_keeps_its_violation() {
    let without: BTreeSet<Protection> = [Protection::Fencing].into();
    let mut tried = 0;
    for run in (0..).map(|seed| storm(seed, &without)) {
        let Some((violated, _)) = run.execute_until_violation().first_violation else { continue };
        let small = run.shrink().unwrap();
        let outcome = small.run.execute_until_violation();
        assert_eq!(outcome.first_violation.unwrap().0, violated);
        assert!(small.run.interventions.len() <= run.interventions.len().min(4), "{small:#?}");
        let (clients, before) = (small.run.config.clients.len(), run.config.clients.len());
        assert!(clients <= 3 || clients < before, "{clients} of {before} clients remain");
        assert_eq!(small.run.validate(), Ok(()));
        tried += 1;
        if tried == 10 {
            break;
        }
    }
    let calm = storm(1, &BTreeSet::new());
    assert!(calm.shrink().is_none(), "a run without a violation cannot be shrunk");
}
