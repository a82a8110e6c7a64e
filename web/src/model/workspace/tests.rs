//! The workspace as lecturers and students use it.

use super::*;
use crate::model::live_trace::StreamRecorder;
use crate::model::quiz::QuizPhase;
use crate::model::target::Target;
use leasehold_sim::{Action, Invariant, NodeId, Protection};

fn workspace(link: &str) -> Workspace {
    Workspace::from_link(&Link::parse(link))
}

#[test]
fn lecture_runs_from_the_first_stop_to_the_answer() {
    let mut workspace = workspace("?scenario=gc-pause");
    let mut captions = Vec::new();
    for _ in 0..3 {
        workspace.toggle_playback();
        while workspace.player.is_playing {
            workspace.advance_frame(16.0);
        }
        captions.push(workspace.caption());
    }
    assert!(captions[0].starts_with("client_1 is paused"), "{captions:#?}");
    assert_eq!(workspace.quiz.phase, QuizPhase::Open);
    let asked_at = workspace.timeline().now();
    workspace.reveal_answer();
    let mut frames = 0;
    while workspace.player.is_playing {
        workspace.advance_frame(16.0);
        frames += 1;
    }
    assert_eq!(workspace.quiz.answer(), Some(1));
    assert!(workspace.timeline().now() > asked_at && frames < 1_000, "{frames} frames");
}

#[test]
fn disabled_protection_takes_effect_at_once_and_can_be_undone() {
    let mut workspace = workspace("?scenario=gc-pause&t=25000");
    assert!(workspace.timeline().violations().is_empty());
    workspace.toggle_protection(Protection::Fencing);
    assert_eq!(workspace.timeline().now(), VirtualTime::from_millis(25_000));
    assert!(workspace.timeline().violations().iter().any(|(it, ..)| *it == Invariant::S2));
    workspace.undo();
    assert!(workspace.timeline().violations().is_empty());
    workspace.redo();
    assert!(!workspace.timeline().violations().is_empty());
    workspace.toggle_comparison();
    assert_eq!(workspace.comparison.as_ref().unwrap().title, "All protections on");
}

#[test]
fn fault_creates_a_branch_and_keeps_the_old_one() {
    let mut workspace = workspace("?scenario=five-clients&t=700");
    let fingerprint =
        |workspace: &Workspace| workspace.timeline().final_world().unwrap().fingerprint();
    let before = fingerprint(&workspace);
    workspace.inject_fault_by_key('C');
    assert!(workspace.toast.as_ref().unwrap().text.starts_with("Select"));
    workspace.selected = Some(Target::Node(NodeId(1)));
    workspace.inject_fault_by_key('C');
    assert_ne!(fingerprint(&workspace), before);
    workspace.step(true);
    workspace.inject_fault_by_key('C');
    assert!(workspace.toast.as_ref().unwrap().text.contains("restart it first"));
    workspace.undo();
    assert_eq!(fingerprint(&workspace), before);
}

#[test]
fn shared_link_opens_the_same_time() {
    let mut first = workspace("?scenario=partition&t=9000");
    first.selected = Some(Target::Node(NodeId(1)));
    first.inject_fault_by_key('Z');
    first.step(true);
    let link = first.link_to_now().to_query();
    let second = workspace(&link);
    assert_eq!(second.timeline().now(), first.timeline().now());
    assert_eq!(second.timeline().fingerprint(), first.timeline().fingerprint());
    assert_eq!(second.toast, None);
    let (run, digest) = link.split_once("&d=").unwrap();
    let wrong_digest_link = format!("{run}&d={}", digest.chars().rev().collect::<String>());
    assert_ne!(wrong_digest_link, link);
    assert!(workspace(&wrong_digest_link).toast.unwrap().text.contains("newer model"));
    let shortened = workspace(&link[..link.len() - 3]);
    assert!(shortened.toast.unwrap().text.contains("incomplete"));
}

#[test]
fn sandbox_goal_is_reached_by_violating_it() {
    let mut workspace = workspace("?scenario=sandbox&t=2500");
    assert!(workspace.goal_progress().unwrap().text.ends_with("2 faults left."));
    assert!(workspace.quiz.stops.iter().any(|it| it.is_question));
    workspace.inject_fault(Action::Pause { node: NodeId(1), ms: 14_000 }, "Pause");
    assert!(workspace.goal_progress().unwrap().text.ends_with("1 fault left."));
    // The question is about the unchanged run.
    assert!(workspace.quiz.stops.iter().all(|it| !it.is_question));
    let end = workspace.timeline().end();
    workspace.go_to(end);
    // Whether a pause here is enough depends on the script; a delayed packet always is.
    if !workspace.goal_progress().unwrap().is_reached {
        assert!(
            workspace.goal_progress().unwrap().text.starts_with("Missed:"),
            "{:?}",
            workspace.goal_progress()
        );
        workspace.undo();
        workspace.go_to(VirtualTime::from_millis(2_000));
        while !workspace
            .scene()
            .packets
            .iter()
            .any(|packet| packet.message == leasehold_sim::Message::AppendFile)
        {
            workspace.step(true);
        }
        let packet = workspace
            .scene()
            .packets
            .iter()
            .find(|packet| packet.message == leasehold_sim::Message::AppendFile)
            .unwrap()
            .id;
        workspace.selected = Some(Target::Packet(packet));
        workspace.inject_fault_by_key('Y');
        workspace.selected = Some(Target::Node(NodeId(1)));
        workspace.inject_fault_by_key('N');
        let end = workspace.timeline().end();
        workspace.go_to(end);
    }
    assert!(
        workspace.goal_progress().unwrap().is_reached,
        "{:?}",
        workspace.timeline().violations()
    );
    workspace.toggle_protection(Protection::Dedupe);
    assert!(workspace.goal_progress().unwrap().text.starts_with("Too easy"));
    workspace.toggle_protection(Protection::Fencing);
    assert!(workspace.goal_progress().unwrap().text.starts_with("Not possible with fencing"));
}

/// Several steps happen at the time of the question, so the link contains the position.
#[test]
fn link_to_the_open_question_hides_the_future() {
    for scenario in library() {
        let mut first = workspace(&format!("?scenario={}", scenario.name));
        let Some(stop) = first.quiz.stops.iter().find(|it| it.is_question).cloned() else {
            panic!("{} has no question", scenario.name);
        };
        while first.quiz.phase == QuizPhase::NotReached {
            first.go_to_stop(true);
        }
        assert_eq!(first.timeline().position(), stop.position, "{}", scenario.name);
        let second = workspace(&first.link_to_now().to_query());
        assert_eq!(second.timeline().position(), stop.position, "{}", scenario.name);
        assert_eq!(second.quiz.phase, QuizPhase::Open, "{}", scenario.name);
        assert_eq!(second.quiz.hidden_after(), Some(stop.at));
    }
}

#[test]
fn question_is_asked_again_after_a_restart() {
    let mut workspace = workspace("?scenario=gc-pause");
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(workspace.quiz.phase, QuizPhase::NotReached);
            workspace.go_to_stop(true);
        }
        assert_eq!(
            (workspace.quiz.phase, workspace.quiz.votes.clone()),
            (QuizPhase::Open, vec![0; 3])
        );
        workspace.quiz.vote(1, false);
        workspace.reveal_answer();
        while workspace.player.is_playing {
            workspace.advance_frame(100.0);
        }
        assert!(workspace.quiz.is_shown());
        workspace.toggle_comparison();
        assert!(!workspace.quiz.is_shown(), "a comparison shows the answer");
        workspace.toggle_comparison();
        workspace.go_to_start();
    }
}

#[test]
fn disabling_a_protection_keeps_the_question_open() {
    let mut workspace = workspace("?scenario=gc-pause");
    for _ in 0..3 {
        workspace.go_to_stop(true);
    }
    workspace.toggle_protection(Protection::Fencing);
    assert_eq!(workspace.quiz.phase, QuizPhase::Open);
    workspace.undo();
    assert_eq!(workspace.quiz.phase, QuizPhase::Open);
}

#[test]
fn zoom_keeps_the_current_time_in_view() {
    let mut workspace = workspace("?scenario=gc-pause&t=10000");
    let (from, to) = workspace.visible_range();
    workspace.zoom(true);
    let (closer_from, closer_to) = workspace.visible_range();
    assert!(closer_from > from && closer_to < to);
    workspace.pan(true);
    assert!(workspace.visible_range().0 > closer_from);
    for _ in 0..20 {
        workspace.zoom(false);
    }
    assert_eq!(workspace.visible_range(), (from, to));
}

#[test]
fn run_plays_until_the_stop_condition() {
    let mut workspace = workspace("?scenario=gc-pause&t=1000");
    workspace.set_quiz_enabled(false);
    workspace
        .play_until(crate::model::stop_condition::StopCondition::from_name("holds-2-0").unwrap());
    while workspace.player.is_playing {
        workspace.advance_frame(100.0);
    }
    assert_eq!(workspace.scene().locks[0].holder.as_ref().unwrap().client, "client_2");
    workspace.play_until(crate::model::stop_condition::StopCondition::Violation);
    assert!(!workspace.player.is_playing && workspace.toast.is_some());
}

#[test]
fn undo_reaches_the_run_before_with_its_branches_position_and_question() {
    let mut workspace = workspace("?scenario=gc-pause&seed=7");
    workspace.toggle_protection(Protection::Fencing);
    while workspace.quiz.phase != QuizPhase::Open {
        workspace.go_to_stop(true);
    }
    workspace.quiz.vote(1, true);
    workspace.filter.node = Some(NodeId(1));
    let state = |workspace: &Workspace| {
        let timeline = workspace.timeline();
        (timeline.position(), timeline.now(), timeline.fingerprint(), workspace.quiz.clone())
    };
    let left = state(&workspace);
    let library = Rc::clone(&workspace.library);
    workspace.open_scenario(library[0].clone());
    workspace.go_to(VirtualTime::from_millis(1_234));
    let second = state(&workspace);
    workspace.open_run(library[2].clone());

    workspace.undo();
    assert_eq!(state(&workspace), second, "between two steps too");
    workspace.undo();
    assert_eq!(state(&workspace), left);
    assert_eq!(
        (workspace.scenario.name.as_str(), workspace.filter.node),
        ("gc-pause", Some(NodeId(1)))
    );
    workspace.undo();
    assert!(workspace.timeline().run().without.is_empty(), "the protection is on again");
    workspace.undo();
    assert!(workspace.toast.as_ref().unwrap().text.contains("nothing to undo"));
    for _ in 0..3 {
        workspace.redo();
    }
    assert_eq!(workspace.scenario.name, library[2].name);
    assert!(!workspace.quiz.is_enabled);
}

#[test]
fn undo_returns_from_the_start_with_the_question() {
    let mut workspace = workspace("?scenario=gc-pause");
    while workspace.quiz.phase != QuizPhase::Open {
        workspace.go_to_stop(true);
    }
    workspace.quiz.vote(2, true);
    let (position, quiz) = (workspace.timeline().position(), workspace.quiz.clone());
    workspace.go_to_start();
    assert_eq!(workspace.quiz.last_vote(), None);
    workspace.undo();
    assert_eq!((workspace.timeline().position(), &workspace.quiz), (position, &quiz));
    workspace.undo();
    assert!(workspace.toast.as_ref().unwrap().text.contains("nothing to undo"));
}

#[test]
fn a_change_of_a_reopened_run_forgets_the_runs_after_it() {
    let mut workspace = workspace("?scenario=gc-pause");
    let (first, other) = (workspace.run_id(), workspace.library[0].clone());
    workspace.open_scenario(other);
    let second = workspace.run_id();
    assert!(workspace.reopen(first) && workspace.reopen(second) && workspace.reopen(first));
    workspace.reseed(9);
    assert!(!workspace.reopen(second));
    workspace.redo();
    assert!(workspace.toast.as_ref().unwrap().text.contains("nothing to redo"));
}

/// Returns a recording of an idle server, one second long.
fn recording() -> String {
    let mut recorder = StreamRecorder::new(VirtualTime::START, None);
    let state = serde_json::to_string(&leasehold_core::state::State::default()).unwrap();
    recorder.set_initial_state(format!("{{\"state\":{state}}}"));
    recorder.finish().unwrap()
}

#[test]
fn imported_recording_can_be_undone_and_redone() {
    let mut workspace = workspace("?scenario=gc-pause&t=3000");
    let text = recording();
    let recording = workspace.for_recording(&text).unwrap();
    workspace.open_workspace(recording);
    let end = workspace.timeline().end();
    workspace.go_to(end);
    workspace.undo();
    assert_eq!(
        (workspace.scenario.name.as_str(), workspace.timeline().now().as_millis()),
        ("gc-pause", 3_000)
    );
    workspace.redo();
    assert_eq!(workspace.timeline().now(), end);
    assert!(workspace.recording_json.is_some());
}

#[test]
fn address_leads_to_the_same_moment() {
    let mut first = workspace("?scenario=gc-pause");
    while first.quiz.phase != QuizPhase::Open {
        first.go_to_stop(true);
    }
    let address = first.address();
    assert_eq!(address.without, None, "short unless it must be long: {}", address.to_query());
    let second = workspace(&address.to_query());
    assert_eq!(second.timeline().position(), first.timeline().position());
    assert_eq!((second.quiz.phase, second.toast), (QuizPhase::Open, None));
}

#[test]
fn each_problem_of_a_link_is_a_sentence() {
    let cases = [
        ("?scenario=gc-paus", "There is no scenario “gc-paus” (scenario). Showing “Five clients"),
        ("?scenario=gc-pause&without=fencng", "There is no protection “fencng” (without)"),
        ("?scenario=gc-pause&seed=x&t=y", "Showing seed 7. The time “y” (t)"),
        ("?mode=recording", "Import its file again"),
    ];
    for (link, expected) in cases {
        let toast = workspace(link).toast.unwrap();
        assert!(toast.text.contains(expected), "{}", toast.text);
    }
}
