//! The search for the smallest violation, and making one smaller.

use std::collections::BTreeSet;

use leasehold_sim::*;

fn search(run: Run, bounds: SearchLimits) -> Search {
    let mut search = Search::new(run, bounds);
    while search.explore(100_000) == SearchStage::Searching {}
    search
}

fn bare(scenario: &Scenario, expected: &Expected) -> Run {
    Run { interventions: Vec::new(), ..scenario.run_without(&expected.without) }
}

/// How many faults a scenario has, and how many events there are up to its first violation.
fn own(scenario: &Scenario, expected: &Expected) -> (usize, u32) {
    let mut world = World::new(scenario.run_without(&expected.without));
    let mut trace = Vec::new();
    while world.step(&mut trace) && world.checkers().is_clean() {}
    // The end of a fault is none of its own.
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

/// Given what a scenario is made of, and nothing that is done to it, its violation is found, and
/// what is found is no longer than what the scenario does.
#[test]
fn the_violations_of_the_library_are_found() {
    let mut found_count = 0;
    for scenario in library() {
        for expected in scenario.expected.iter().filter(|it| !it.violated.is_empty()) {
            let invariants = expected.violated.clone();
            let run = bare(&scenario, expected);
            let search = search(run, SearchLimits { invariants, ..SearchLimits::default() });
            println!("{} without {:?}: {search}", scenario.name, expected.without);
            let found = search.found().unwrap();
            let own = own(&scenario, expected);
            let name = &scenario.name;
            assert!((found.faults, found.events) <= own, "{name}: {search}, its own {own:?}");
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

/// With all protections there is nothing to find, and the search says how far it looked.
#[test]
fn an_honest_end_says_how_far_it_went() {
    let run = Scenario::from_name("gc-pause").unwrap().resolve_run();
    let run = Run { interventions: Vec::new(), ..run };
    let bounds = SearchLimits { faults_max: 1, events_max: 100, ..SearchLimits::default() };
    let whole = search(run.clone(), bounds.clone());
    assert_eq!((whole.stage(), whole.found()), (SearchStage::Exhausted, None));
    let text = whole.to_string();
    assert!(text.starts_with("none with at most 1 fault and 100 events ("), "{text}");
    assert!(whole.progress().states > 10_000);

    let states_max = 5_000;
    let short = search(run, SearchLimits { states_max, ..bounds });
    assert_eq!((short.stage(), short.found()), (SearchStage::LimitReached, None));
    let text = short.to_string();
    assert!(text.starts_with("none with at most 0 faults and 100 events; with 1, "), "{text}");
    assert!(short.progress().states < states_max + 200);
}

/// A search that goes on in small portions finds the same.
#[test]
fn a_search_can_be_interrupted() {
    let scenario = Scenario::from_name("partition").unwrap();
    let run = bare(&scenario, &scenario.expected[1]);
    let whole = search(run.clone(), SearchLimits::default());
    let mut parts = Search::new(run, SearchLimits::default());
    let mut portions = 0;
    while parts.explore(500) == SearchStage::Searching {
        portions += 1;
    }
    assert!(portions > 10);
    assert_eq!((parts.found(), parts.progress()), (whole.found(), whole.progress()));
}

/// Where clocks are as bad as clients assume, nobody believes for too long; where they are twice
/// as bad, it takes one fault to show it.
#[test]
fn clocks_beyond_the_assumed_bound_are_found_out() {
    let scenario = Scenario::from_name("slow-clock").unwrap();
    let with_rate = |times: i64| {
        let mut run = Run { interventions: Vec::new(), ..scenario.resolve_run() };
        let half = run.config.drift_ppm.cast_signed() / 2;
        run.config.clients[0].rate_ppm = -half * times;
        run.config.server_rate_ppm = half * times;
        run
    };
    let bounds = SearchLimits {
        faults_max: 1,
        faults: [FaultKind::Partition].into(),
        ..SearchLimits::default()
    };
    assert_eq!(search(with_rate(1), bounds.clone()).stage(), SearchStage::Exhausted);
    let beyond = search(with_rate(2), bounds);
    assert_eq!(beyond.found().unwrap().invariant, Invariant::S7, "{beyond}");
}

/// What is left of a storm violates the same, and is much smaller.
#[test]
fn a_storm_is_made_smaller() {
    let without: BTreeSet<Protection> = [Protection::Fencing].into();
    let mut tried = 0;
    for run in (0..).map(|seed| storm(seed, &without)) {
        let Some((violated, _)) = run.execute_until_violation().first_violation else { continue };
        let small = run.shrink().unwrap();
        let outcome = small.run.execute_until_violation();
        assert_eq!(outcome.first_violation.unwrap().0, violated);
        assert!(small.run.interventions.len() <= run.interventions.len().min(4), "{small:#?}");
        assert!(small.run.config.clients.len() <= 3);
        assert_eq!(small.run.validate(), Ok(()));
        tried += 1;
        if tried == 10 {
            break;
        }
    }
    let calm = storm(1, &BTreeSet::new());
    assert!(calm.shrink().is_none(), "there is nothing to make smaller");
}
