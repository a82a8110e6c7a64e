//! The question of each scenario: the answer appears when the run shows it, within a few seconds,
//! and nothing after the horizon is shown before.

use std::collections::BTreeSet;

use leasehold_core::rng::Rng;
use leasehold_sim::{Action, NodeId, Protection};

use super::*;
use crate::model::intervals::Intervals;
use crate::model::player::{FAST_FORWARD_MS, LEAD_IN_MS};
use crate::model::quiz::QuizPhase;

const FRAME_MS: f64 = 16.0;

/// The longest time on the screen between Enter and the answer, in milliseconds.
const REVEAL_MS_MAX: f64 = FAST_FORWARD_MS + LEAD_IN_MS + 4.0 * FRAME_MS;

/// Opens a scenario with these protections disabled, and plays to its question.
fn at_question(scenario: &Scenario, without: &BTreeSet<Protection>) -> Workspace {
    let names: Vec<&str> = without.iter().map(|it| it.name()).collect();
    let link = format!("?scenario={}&without={}", scenario.name, names.join(","));
    let mut workspace = Workspace::from_link(&Link::parse(&link));
    while workspace.quiz.phase == QuizPhase::NotReached {
        workspace.go_to_stop(true);
    }
    assert_eq!(workspace.quiz.phase, QuizPhase::Open, "{link}");
    workspace
}

/// All protections, those of the scenario, and without each protection that it is about.
fn protections(scenario: &Scenario) -> BTreeSet<BTreeSet<Protection>> {
    let mut all = BTreeSet::from([BTreeSet::new(), scenario.without.clone()]);
    all.extend(scenario.switches.iter().map(|it| [*it].into()));
    all
}

#[test]
fn answer_appears_within_seconds_and_only_where_the_run_shows_it() {
    for scenario in library() {
        for without in protections(&scenario) {
            let context = format!("{} without {without:?}", scenario.name);
            let mut workspace = at_question(&scenario, &without);
            let asked_at = workspace.timeline().position();
            let answer_at = workspace.quiz.answer_position().unwrap();
            assert!(answer_at > asked_at, "{context}: nothing is left to see");
            workspace.reveal_answer();
            let mut elapsed_ms = 0.0;
            while workspace.player.is_playing {
                assert_eq!(workspace.quiz.answer(), None, "{context}");
                let timeline = workspace.timeline();
                assert!(timeline.position() < answer_at, "{context}");
                assert_eq!(timeline.trace().len(), timeline.past().len(), "{context}");
                workspace.advance_frame(FRAME_MS);
                elapsed_ms += FRAME_MS;
                assert!(elapsed_ms <= REVEAL_MS_MAX, "{context}: {elapsed_ms} ms");
            }
            assert_eq!(workspace.timeline().position(), answer_at, "{context}");
            assert_eq!(workspace.quiz.answer(), workspace.quiz.correct_option(), "{context}");
            assert!(workspace.quiz.answer().is_some() && workspace.quiz.is_shown(), "{context}");
            assert_eq!(workspace.timeline().horizon(), None, "{context}");
        }
    }
}

#[test]
fn stepping_past_the_question_does_not_show_the_answer_early() {
    let scenario = Scenario::from_name("gc-pause").unwrap();
    let mut workspace = at_question(&scenario, &BTreeSet::new());
    let answer_at = workspace.quiz.answer_position().unwrap();
    while workspace.timeline().position() < answer_at {
        assert_eq!(workspace.quiz.answer(), None);
        workspace.step(true);
    }
    assert_eq!(workspace.quiz.phase, QuizPhase::Answered);
    workspace.go_to_start();
    let mut workspace = at_question(&scenario, &BTreeSet::new());
    workspace.step(true);
    assert_eq!(workspace.quiz.phase, QuizPhase::Revealing);
    workspace.step(false);
    assert_eq!(workspace.quiz.phase, QuizPhase::Open, "it is asked again");
}

#[test]
fn skipped_question_is_not_opened_between_question_and_answer() {
    let mut workspace = Workspace::from_link(&Link::parse("?scenario=client-crash&t=12000"));
    assert_eq!(workspace.quiz.phase, QuizPhase::Revealing);
    assert!(!workspace.quiz.is_shown());
    assert_eq!(workspace.timeline().trace().len(), workspace.timeline().past().len());
    let end = workspace.timeline().end();
    workspace.go_to(end);
    assert_eq!(workspace.quiz.phase, QuizPhase::Answered);
}

#[test]
fn whole_run_is_not_exported_or_searched_while_the_question_is_open() {
    let scenario = Scenario::from_name("gc-pause").unwrap();
    let mut workspace = at_question(&scenario, &[Protection::Fencing].into());
    assert!(workspace.whole_run().is_err());
    workspace.go_to_next_violation();
    assert_eq!(
        workspace.toast.as_ref().unwrap().text,
        "No invariant is violated up to the question."
    );
    workspace.toggle_comparison();
    assert_eq!(workspace.comparison.as_ref().unwrap().divergence, None);
    workspace.reveal_answer();
    assert!(workspace.whole_run().is_err());
    while workspace.player.is_playing {
        workspace.advance_frame(FRAME_MS);
    }
    assert!(workspace.whole_run().is_ok_and(|it| it.violated.len() == 2));
    assert!(workspace.comparison.as_ref().unwrap().divergence.is_some());
}

#[test]
fn fast_forward_reaches_a_distant_position_in_seconds() {
    let mut workspace = Workspace::from_link(&Link::parse("?scenario=no-grace"));
    workspace.set_quiz_enabled(false);
    let last = workspace.timeline().last_position();
    workspace.fast_forward_to(last);
    let mut elapsed_ms = 0.0;
    while workspace.player.is_playing {
        workspace.advance_frame(FRAME_MS);
        elapsed_ms += FRAME_MS;
    }
    assert_eq!(workspace.timeline().position(), last);
    assert!(elapsed_ms <= REVEAL_MS_MAX, "{elapsed_ms} ms");
    workspace.go_to_start();
    workspace.fast_forward_to(last);
    workspace.advance_frame(FRAME_MS);
    workspace.step(true);
    assert!(!workspace.player.is_fast_forwarding() && !workspace.player.is_playing);
}

fn perform_random_operation(workspace: &mut Workspace, rng: &mut Rng) {
    let end = workspace.timeline().end();
    match rng.below(16) {
        0..3 => workspace.step(rng.chance(700_000)),
        3 => workspace.go_to(VirtualTime::from_micros(rng.below(end.as_micros() + 1))),
        4..6 => workspace.go_to_stop(rng.chance(800_000)),
        6 => workspace.reveal_answer(),
        7 => workspace.toggle_quiz(),
        8 => workspace.toggle_protection(Protection::Fencing),
        9 => workspace.inject_fault(Action::Pause { node: NodeId(1), ms: 5_000 }, "Pause"),
        10 => workspace.undo(),
        11 => workspace.redo(),
        12 => workspace.toggle_comparison(),
        13 => {
            workspace.go_to_start();
            if rng.chance(500_000) {
                workspace.undo();
            }
        }
        14 => workspace.go_to_important(rng.chance(700_000)),
        _ => {
            workspace.player.is_playing = true;
            for _ in 0..rng.below(20) {
                workspace.advance_frame(FRAME_MS);
            }
        }
    }
}

/// Whatever the user does, the page ends at the horizon of the question.
#[test]
fn horizon_follows_every_operation() {
    let mut hidden = 0;
    for seed in 0..12 {
        let name = ["gc-pause", "sandbox", "clock-jump"][usize::try_from(seed % 3).unwrap()];
        let mut workspace = Workspace::from_link(&Link::parse(&format!("?scenario={name}")));
        let mut rng = Rng::new(seed);
        for operation in 0..80 {
            perform_random_operation(&mut workspace, &mut rng);
            let context = format!("{name}, seed {seed}, operation {operation}");
            let timeline = workspace.timeline();
            let expected = workspace.quiz.horizon(timeline.position());
            assert_eq!(timeline.horizon(), expected, "{context}");
            let Some(horizon) = expected else { continue };
            hidden += 1;
            let shown = timeline.trace().len();
            assert!(shown >= timeline.past().len(), "{context}");
            assert_eq!(timeline.step_records(horizon).last(), timeline.trace().last(), "{context}");
            assert!(timeline.violated().iter().all(|(_, it)| it.index().unwrap() < shown));
            let mut intervals = Intervals::default();
            intervals.extend_from(timeline.trace());
            assert_eq!(*timeline.intervals(), intervals, "{context}");
        }
    }
    assert!(hidden > 100, "{hidden}");
}
