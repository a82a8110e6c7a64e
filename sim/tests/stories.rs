//! The texts of the scenarios: the names of their files, and their stories.
#![cfg(not(target_family = "wasm"))]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;
use leasehold_sim::*;

use common::execute;

#[test]
fn library_has_26_scenarios_and_each_file_is_named_after_its_scenario() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenario/library");
    let library = library();
    assert_eq!(library.len(), 26);
    for scenario in &library {
        let file = folder.join(format!("{}.json", scenario.name));
        let text = std::fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains("\"group\": "), "{}", file.display());
        assert_eq!(Scenario::from_name(&scenario.name).as_ref(), Some(scenario));
        let one_line = |text: &str| !text.is_empty() && text.len() <= 120 && !text.contains('\n');
        assert!(one_line(&scenario.title) && one_line(&scenario.point), "{}", scenario.name);
    }
}

/// A change of the sentences shows here. `UPDATE_EXPECT=1` records the stories again.
#[test]
fn stories_match_the_recorded_text() {
    for scenario in library() {
        let mut text = format!("{}\n{}\n", scenario.title, scenario.point);
        for expected in &scenario.expected {
            let run = scenario.run_without(&expected.without);
            let (world, trace) = execute(&run);
            let violated = world.checkers().violations();
            let names: Vec<&str> = expected.without.iter().map(|it| it.name()).collect();
            let (heading, story) = if names.is_empty() {
                let story = Story::from_run(&run, &trace, &violated, Importance::Append);
                ("with all protections".to_owned(), story)
            } else if violated.is_empty() {
                let story = Story::from_run(&run, &trace, &violated, Importance::Append);
                (format!("without {}", names.join(", ")), story)
            } else {
                let story = Story::from_violation(&run, &trace, &violated);
                (format!("without {}, up to the first violation", names.join(", ")), story)
            };
            writeln!(text, "\n== {heading}\n\n{}", story.text().trim_end()).unwrap();
        }
        let file = format!("{}/tests/stories/{}.txt", env!("CARGO_MANIFEST_DIR"), scenario.name);
        expect_file![file].assert_eq(&text);
    }
}
