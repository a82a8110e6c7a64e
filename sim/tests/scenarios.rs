//! The scenarios of the library: each one violates what it teaches, and its texts match the run.

mod common;

use std::collections::BTreeSet;

use leasehold_sim::*;

use common::execute;

#[test]
fn scenarios_violate_exactly_the_expected_invariants() {
    for scenario in library() {
        let disabled: BTreeSet<Protection> =
            scenario.expected.iter().flat_map(|it| it.without.iter().copied()).collect();
        for protection in &scenario.switches {
            let name = &scenario.name;
            assert!(disabled.contains(protection), "{name}: no expectation without {protection}");
        }
        for expected in &scenario.expected {
            let (world, _) = execute(&scenario.run_without(&expected.without));
            let context = format!("{} without {:?}", scenario.name, expected.without);
            let violated = world.checkers().violations();
            let violated: BTreeSet<Invariant> = violated.iter().map(|(it, _)| *it).collect();
            assert_eq!(violated, expected.violated, "{context}");
            for invariant in &expected.holds {
                assert_eq!(
                    world.checkers().status(*invariant),
                    InvariantStatus::Ok,
                    "{context}: {invariant}"
                );
            }
        }
    }
}

#[test]
fn questions_have_one_correct_answer_that_depends_on_the_protection() {
    for scenario in library() {
        let mut answers = BTreeSet::new();
        for expected in &scenario.expected {
            let (world, trace) = execute(&scenario.run_without(&expected.without));
            let question = &scenario.question;
            let context = format!("{} without {:?}", scenario.name, expected.without);
            let at = question
                .at
                .find(&trace)
                .unwrap_or_else(|| panic!("the question is not asked: {context}"));
            let value = question.measure.evaluate_trace(&world, &trace, at);
            let correct: Vec<usize> = (0..question.options.len())
                .filter(|index| question.options[*index].is_correct(&value))
                .collect();
            assert_eq!(correct.len(), 1, "{context}: {value:?}");
            // The trace up to this record determines the answer.
            let determined = question.measure.determined_at(&world, &trace, at);
            let up_to = &trace[..=determined.index().unwrap()];
            let early_value = question.measure.evaluate_trace(&world, up_to, at);
            assert!(determined >= at, "{context}");
            assert_eq!(early_value, value, "{context}");
            answers.insert(correct[0]);
        }
        // In these two, the protection changes the run, but not the answer to the question.
        let is_unaffected = ["client-crash", "sandbox"].contains(&scenario.name.as_str());
        let differs = !scenario.switches.is_empty() && !is_unaffected;
        assert_eq!(answers.len() > 1, differs, "{}", scenario.name);
    }
}

/// Each run of a scenario: with all protections, as in the file, as expected, and without each
/// protection that it is about.
fn runs(scenario: &Scenario) -> Vec<Run> {
    let mut without = BTreeSet::from([BTreeSet::new(), scenario.without.clone()]);
    without.extend(scenario.expected.iter().map(|it| it.without.clone()));
    without.extend(scenario.switches.iter().map(|it| [*it].into()));
    without.iter().map(|without| scenario.run_without(without)).collect()
}

/// The answer appears only after a record that shows it, and nothing shows it at the question.
#[test]
fn answers_are_revealed_by_a_record_after_the_question() {
    for scenario in library() {
        for run in runs(&scenario) {
            let context = format!("{} without {:?}", scenario.name, run.without);
            let (question, mut history) = (&scenario.question, History::new(run));
            while !history.simulate(1_000) {}
            let (world, trace) = (history.head(), history.trace());
            let asked = question.at.find(trace).expect("the question is asked");
            let revealed = question.revealed_at(world, trace, asked);
            let (asked_at, revealed_at) =
                (history.position_of(asked), history.position_of(revealed));
            assert!(asked_at < revealed_at, "{context}: revealed in the step of the question");
            let value = question.measure.evaluate_trace(world, trace, asked);
            let seen = &trace[..=revealed.index().unwrap()];
            assert_eq!(question.measure.evaluate_trace(world, seen, asked), value, "{context}");
            // A value that depends on all of the run is not shown before it is determined.
            assert!(revealed >= question.measure.determined_at(world, trace, asked), "{context}");
            for (invariant, witness) in world.checkers().violations() {
                let position = history.position_of(witness);
                assert!(position != asked_at, "{context}: {invariant} answers the question");
            }
        }
    }
}

#[test]
fn hints_belong_to_puzzles_and_are_short() {
    for scenario in library() {
        let count = if scenario.goal.is_some() { 3 } else { 0 };
        assert_eq!(scenario.hints.len(), count, "{}", scenario.name);
        assert!(scenario.hints.iter().all(|hint| hint.len() <= 120 && hint.ends_with('.')));
    }
}

/// The third hint of the sandbox is its solution.
#[test]
fn last_hint_of_the_sandbox_solves_it() {
    let scenario = Scenario::from_name("sandbox").unwrap();
    let mut run = scenario.resolve_run();
    let link = LinkId { from: NodeId(1), to: NodeId::SERVER };
    let packet = PacketSelector { link, message: Message::AppendFile, nth: 1 };
    let delay = PacketAction::Delay { by_ms: 14_000 };
    run.interventions = vec![
        Intervention::at(2_700, Action::Packet { packet, packet_action: delay }),
        Intervention::at(2_700, Action::Isolate { node: NodeId(1) }),
    ];
    let violated = run.execute().violations();
    let goal = scenario.goal.unwrap();
    assert!(violated.iter().any(|(it, _)| *it == goal.violate), "{violated:?}");
    assert!(run.interventions.len() <= goal.faults_max);
}

#[test]
fn stops_occur_in_order() {
    for scenario in library() {
        let (_, trace) = execute(&scenario.resolve_run());
        let mut last = RecordId(0);
        for stop in &scenario.stops {
            let name = &scenario.name;
            let at = stop.at.find(&trace).unwrap_or_else(|| panic!("{name}: {}", stop.caption));
            assert!(last <= at, "{name}: {}", stop.caption);
            assert!((1..=90).contains(&stop.caption.len()), "{name}: {}", stop.caption);
            last = at;
        }
        assert!(scenario.question.at.find(&trace).is_some(), "{}", scenario.name);
    }
}

/// The lecturing guide contains each answer, with the protections of the scenario and without the
/// first protection that the scenario is about.
#[test]
#[cfg(not(target_family = "wasm"))]
fn lecturing_guide_contains_the_answers() {
    // Read at run time, because a packaged crate does not contain the guide.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lecturing.md");
    let guide =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    for scenario in library() {
        let named = format!("`{}` |", scenario.name);
        let row = guide.lines().find(|line| line.starts_with('|') && line.contains(&named));
        let row = row.unwrap_or_else(|| panic!("the guide does not contain {}", scenario.name));
        let first = scenario.switches.first().filter(|_| scenario.without.is_empty());
        let without = first.map(|protection| [*protection].into());
        for without in [Some(scenario.without.clone()), without].into_iter().flatten() {
            let (world, trace) = execute(&scenario.run_without(&without));
            let question = &scenario.question;
            let start = question.at.find(&trace).expect("the question is asked");
            let value = question.measure.evaluate_trace(&world, &trace, start);
            let correct = question.options.iter().find(|option| option.is_correct(&value));
            let correct = format!("**{}**", correct.expect("one answer is correct").text);
            assert!(row.contains(&correct), "{correct} without {without:?} is not in\n{row}");
        }
    }
}
