//! Presenting: the question, its explanation, and the panels beside the stage.

use super::present::PresentMsg;
use super::tests::{page, press, send};
use super::why::WhyMsg;
use crate::area::page_state::PageState;
use crate::area::player::PlayerMsg;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use leasehold_sim::RecordId;

/// Plays until the run pauses.
fn play_on(page: &mut PageState) {
    let mut frame_time = 1_000.0;
    while page.workspace.player.is_playing {
        frame_time += 200.0;
        send(page, PlayerMsg::Advance { frame_time, elapsed_ms: 200.0 });
    }
}

/// Presents a scenario, and reveals the answer of its question.
fn revealed(scenario: &str) -> PageState {
    let mut page = page(&format!("?scenario={scenario}"));
    press(&mut page, Command::TogglePresenting);
    while page.workspace.quiz.phase != QuizPhase::Open {
        press(&mut page, Command::GoToStop { forward: true });
    }
    press(&mut page, Command::Enter);
    play_on(&mut page);
    assert_eq!(page.workspace.quiz.phase, QuizPhase::Answered);
    page
}

#[test]
fn answer_is_explained_one_event_for_each_key_and_the_play_head_follows() {
    let mut page = revealed("gc-pause");
    let answered_at = page.workspace.timeline().position();
    press(&mut page, Command::Enter);
    let (first, count) = page.why.chain().unwrap().progress();
    assert!(first == 1 && count >= 3, "{count} events");
    let mut positions = Vec::new();
    for _ in 0..count {
        let slide = page.why.chain().unwrap().slide().clone();
        assert_eq!(page.workspace.selected, Some(Target::Record(slide.record)));
        assert_eq!(page.workspace.timeline().now(), slide.at);
        positions.push(page.workspace.timeline().position());
        press(&mut page, Command::StepExplanation { forward: true });
    }
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(page.why.chain().is_none(), "it ends after the last event");
    assert_eq!(page.workspace.timeline().position(), answered_at);
    assert!(page.workspace.quiz.is_shown() && page.workspace.quiz.answer().is_some());
}

#[test]
fn explanation_ends_when_the_user_moves_on() {
    let mut page = revealed("gc-pause");
    press(&mut page, Command::Enter);
    press(&mut page, Command::Step { forward: true });
    assert!(page.why.chain().is_none());
    send(&mut page, WhyMsg::Explain(RecordId(0)));
    assert!(page.why.chain().is_some());
    press(&mut page, Command::PlayPause);
    assert!(page.why.chain().is_none());
}

#[test]
fn panels_are_shown_beside_the_stage_and_hidden_again() {
    let mut page = page("?scenario=gc-pause&t=12000");
    press(&mut page, Command::ShowView(View::Log));
    assert_eq!(page.present.view, None, "outside of a presentation all panels are visible");
    press(&mut page, Command::TogglePresenting);
    for view in [View::Inspector, View::Log, View::Invariants, View::Files] {
        press(&mut page, Command::ShowView(view));
        assert_eq!(page.present.view, Some(view));
    }
    press(&mut page, Command::ShowView(View::Load));
    assert_eq!(page.picture_settings().timeline_view, View::Load);
    press(&mut page, Command::ShowView(View::Files));
    assert_eq!(page.present.view, None, "the same key hides it");
    press(&mut page, Command::ShowView(View::Files));
    send(&mut page, PresentMsg::Escape);
    assert_eq!((page.present.view, page.present.is_presenting), (None, true));
    send(&mut page, PresentMsg::Escape);
    assert!(!page.present.is_presenting);
}

#[test]
fn reduced_motion_jumps_to_the_answer() {
    let mut page = page("?scenario=gc-pause");
    page.environment.reduced_motion = true;
    while page.workspace.quiz.phase != QuizPhase::Open {
        press(&mut page, Command::GoToStop { forward: true });
    }
    press(&mut page, Command::Enter);
    assert_eq!(page.workspace.quiz.phase, QuizPhase::Answered);
    assert!(!page.workspace.player.is_playing);
}
