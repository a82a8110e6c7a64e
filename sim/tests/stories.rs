//! What is told of the scenarios: each file is read as it stands, and each story as it was read.
#![cfg(not(target_family = "wasm"))]

use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;
use leasehold_sim::*;

/// A run to its end.
fn go(run: &Run) -> (World, Vec<Record>) {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    (world, trace)
}

#[test]
fn there_are_22_scenarios_and_each_file_has_its_own_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenario/library");
    let library = library();
    assert_eq!(library.len(), 22);
    for scenario in &library {
        let file = folder.join(format!("{}.json", scenario.name));
        assert!(file.exists(), "{}", file.display());
        assert_eq!(Scenario::from_name(&scenario.name).as_ref(), Some(scenario));
        let one_line = |text: &str| !text.is_empty() && text.len() <= 120 && !text.contains('\n');
        assert!(one_line(&scenario.title) && one_line(&scenario.point), "{}", scenario.name);
    }
}

/// Whoever changes what is told reads it here.
#[test]
fn each_story_reads_as_it_was_read() {
    for scenario in library() {
        let mut text = format!("{}\n{}\n", scenario.title, scenario.point);
        for expected in &scenario.expected {
            let run = scenario.run_without(&expected.without);
            let (world, trace) = go(&run);
            let violated = world.checkers().violations();
            let names: Vec<&str> = expected.without.iter().map(|it| it.name()).collect();
            let (head, story) = if names.is_empty() {
                let story = Story::from_run(&run, &trace, &violated, Importance::Append);
                ("with all protections".to_owned(), story)
            } else if violated.is_empty() {
                let story = Story::from_run(&run, &trace, &violated, Importance::Append);
                (format!("without {}", names.join(", ")), story)
            } else {
                let story = Story::from_violation(&run, &trace, &violated);
                (format!("without {}, up to the first violation", names.join(", ")), story)
            };
            writeln!(text, "\n== {head}\n\n{}", story.text().trim_end()).unwrap();
        }
        let file = format!("{}/tests/stories/{}.txt", env!("CARGO_MANIFEST_DIR"), scenario.name);
        expect_file![file].assert_eq(&text);
    }
}
