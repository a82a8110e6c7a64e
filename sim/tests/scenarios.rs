//! The scenarios of lectures: each shows what it is there to show, and can be read.

use std::collections::BTreeSet;

use leasehold_sim::*;

/// A run to its end.
fn go(run: &Run) -> (World, Vec<Record>) {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    (world, trace)
}

#[test]
fn each_scenario_violates_what_it_teaches_and_nothing_else() {
    for scenario in library() {
        let off: BTreeSet<Protection> =
            scenario.expected.iter().flat_map(|it| it.without.iter().copied()).collect();
        for switch in &scenario.switches {
            assert!(off.contains(switch), "{}: nothing is said of {switch}", scenario.name);
        }
        for expected in &scenario.expected {
            let (world, _) = go(&scenario.run_without(&expected.without));
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
fn each_question_has_one_right_answer_and_a_protection_that_matters_changes_it() {
    for scenario in library() {
        let mut answers = BTreeSet::new();
        for expected in &scenario.expected {
            let (world, trace) = go(&scenario.run_without(&expected.without));
            let question = &scenario.question;
            let context = format!("{} without {:?}", scenario.name, expected.without);
            let at = question.at.find(&trace).unwrap_or_else(|| panic!("no moment: {context}"));
            let value = question.measure.evaluate_trace(&world, &trace, at);
            let right: Vec<usize> = (0..question.options.len())
                .filter(|place| question.options[*place].is_correct(&value))
                .collect();
            assert_eq!(right.len(), 1, "{context}: {value:?}");
            // Whoever has seen it up to there could give the answer.
            let seen = question.measure.determined_at(&world, &trace, at);
            let up_to = &trace[..=seen.index().unwrap()];
            let known = question.measure.evaluate_trace(&world, up_to, at);
            assert!(seen >= at && known == value, "{context}: {known:?} is not {value:?}");
            answers.insert(right[0]);
        }
        // Without these the run goes on otherwise, but the question is not about that.
        let same = ["client-crash", "sandbox"].contains(&scenario.name.as_str());
        let differs = !scenario.switches.is_empty() && !same;
        assert_eq!(answers.len() > 1, differs, "{}", scenario.name);
    }
}

#[test]
fn each_stop_comes_in_its_order() {
    for scenario in library() {
        let (_, trace) = go(&scenario.resolve_run());
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

/// The guide for lecturers has the answers, with the protections and without the first of those
/// that a scenario is about.
#[test]
fn the_guide_for_lecturers_tells_the_answers() {
    let guide = include_str!("../../docs/lecturing.md");
    for scenario in library() {
        let named = format!("`{}` |", scenario.name);
        let row = guide.lines().find(|line| line.starts_with('|') && line.contains(&named));
        let row = row.unwrap_or_else(|| panic!("{} is not in the guide", scenario.name));
        let first = scenario.switches.first().filter(|_| scenario.without.is_empty());
        let without = first.map(|switch| [*switch].into());
        for without in [Some(scenario.without.clone()), without].into_iter().flatten() {
            let (world, trace) = go(&scenario.run_without(&without));
            let question = &scenario.question;
            let asked = question.at.find(&trace).expect("it is asked");
            let value = question.measure.evaluate_trace(&world, &trace, asked);
            let right = question.options.iter().find(|option| option.is_correct(&value));
            let right = format!("**{}**", right.expect("one is right").text);
            assert!(row.contains(&right), "{right} without {without:?} is not in\n{row}");
        }
    }
}
