//! A run in hand, as lecturers and students have it.

use super::*;
use crate::model::lesson::Phase;
use crate::picture::shape::Target;
use leasehold_sim::{Action, Invariant, NodeNo, Protection};

fn studio(link: &str) -> Studio {
    Studio::open(&Link::read(link))
}

#[test]
fn a_lecture_from_the_first_stop_to_the_answer() {
    let mut studio = studio("?scenario=gc-pause");
    let mut captions = Vec::new();
    for _ in 0..3 {
        studio.play_pause();
        while studio.player.is_playing {
            studio.tick(16.0);
        }
        captions.push(studio.caption());
    }
    assert!(captions[0].starts_with("client_1 stands still"), "{captions:#?}");
    assert_eq!(studio.lesson.phase, Phase::Asked);
    let asked_at = studio.film().now();
    studio.reveal();
    let mut frames = 0;
    while studio.player.is_playing {
        studio.tick(16.0);
        frames += 1;
    }
    assert_eq!(studio.lesson.answer(), Some(1));
    assert!(studio.film().now() > asked_at && frames < 1_000, "{frames} frames");
}

#[test]
fn a_protection_taken_away_shows_at_once_and_comes_back() {
    let mut studio = studio("?scenario=gc-pause&t=25000");
    assert!(studio.film().violations().is_empty());
    studio.toggle(Protection::Fencing);
    assert_eq!(studio.film().now(), Moment::from_millis(25_000));
    assert!(studio.film().violations().iter().any(|(it, ..)| *it == Invariant::S2));
    studio.undo();
    assert!(studio.film().violations().is_empty());
    studio.redo();
    assert!(!studio.film().violations().is_empty());
    studio.toggle_compare();
    assert_eq!(studio.compare.as_ref().unwrap().title, "with all protections");
}

#[test]
fn what_is_done_makes_a_branch_and_the_old_one_is_kept() {
    let mut studio = studio("?scenario=five-clients&t=700");
    let before = studio.film().fingerprint();
    studio.fault_by_key('C');
    assert!(studio.toast.as_ref().unwrap().text.starts_with("Select"));
    studio.selected = Some(Target::Node(NodeNo(1)));
    studio.fault_by_key('C');
    assert_ne!(studio.film().fingerprint(), before);
    studio.step(true);
    studio.fault_by_key('C');
    assert!(studio.toast.as_ref().unwrap().text.contains("restart it first"));
    studio.undo();
    assert_eq!(studio.film().fingerprint(), before);
}

#[test]
fn a_shared_link_opens_the_same_moment() {
    let mut first = studio("?scenario=partition&t=9000");
    first.selected = Some(Target::Node(NodeNo(1)));
    first.fault_by_key('Z');
    first.step(true);
    let link = first.link().write();
    let second = studio(&link);
    assert_eq!(second.film().now(), first.film().now());
    assert_eq!(second.film().fingerprint(), first.film().fingerprint());
    assert_eq!(second.toast, None);
    let (run, digest) = link.split_once("&d=").unwrap();
    let wrong = format!("{run}&d={}", digest.chars().rev().collect::<String>());
    assert_ne!(wrong, link);
    assert!(studio(&wrong).toast.unwrap().text.contains("newer model"));
    assert_eq!(studio(&link[..link.len() - 3]).toast, None, "it was cut off");
}

#[test]
fn the_sandbox_is_won_by_breaking_it() {
    let mut studio = studio("?scenario=sandbox&t=2500");
    assert!(studio.goal().unwrap().text.ends_with("2 faults left."));
    assert!(studio.lesson.stops.iter().any(|it| it.is_question));
    studio.meddle(Action::Pause { node: NodeNo(1), ms: 14_000 }, "Pause");
    assert!(studio.goal().unwrap().text.ends_with("1 fault left."));
    // Of a run to which something was done it isn't asked what comes of doing nothing.
    assert!(studio.lesson.stops.iter().all(|it| !it.is_question));
    let end = studio.film().end();
    studio.go_to(end);
    // Whether a pause right here is enough depends on the script; a slow packet is.
    if !studio.goal().unwrap().is_won {
        assert!(studio.goal().unwrap().text.starts_with("Missed:"), "{:?}", studio.goal());
        studio.undo();
        studio.go_to(Moment::from_millis(2_000));
        while !studio
            .scene()
            .packets
            .iter()
            .any(|packet| packet.message == leasehold_sim::Message::AppendFile)
        {
            studio.step(true);
        }
        let packet = studio
            .scene()
            .packets
            .iter()
            .find(|packet| packet.message == leasehold_sim::Message::AppendFile)
            .unwrap()
            .no;
        studio.selected = Some(Target::Packet(packet));
        studio.fault_by_key('Y');
        studio.selected = Some(Target::Node(NodeNo(1)));
        studio.fault_by_key('N');
        let end = studio.film().end();
        studio.go_to(end);
    }
    assert!(studio.goal().unwrap().is_won, "{:?}", studio.film().violations());
    studio.toggle(Protection::Dedupe);
    assert!(studio.goal().unwrap().text.starts_with("Too easy"));
}

/// Several steps are of the moment at which the question is asked: the link says after which.
#[test]
fn a_link_to_the_open_question_opens_it_and_tells_no_more() {
    for scenario in library() {
        let mut first = studio(&format!("?scenario={}", scenario.name));
        let Some(stop) = first.lesson.stops.iter().find(|it| it.is_question).cloned() else {
            panic!("{} asks nothing", scenario.name);
        };
        while first.lesson.phase == Phase::Ahead {
            first.stop(true);
        }
        assert_eq!(first.film().place(), stop.place, "{}", scenario.name);
        let second = studio(&first.link().write());
        assert_eq!(second.film().place(), stop.place, "{}", scenario.name);
        assert_eq!(second.lesson.phase, Phase::Asked, "{}", scenario.name);
        assert_eq!(second.lesson.hidden_from(), Some(stop.at));
    }
}

#[test]
fn a_second_class_is_asked_anew() {
    let mut studio = studio("?scenario=gc-pause");
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(studio.lesson.phase, Phase::Ahead);
            studio.stop(true);
        }
        assert_eq!((studio.lesson.phase, studio.lesson.votes.clone()), (Phase::Asked, vec![0; 3]));
        studio.lesson.vote(1, false);
        studio.reveal();
        while studio.player.is_playing {
            studio.tick(100.0);
        }
        assert!(studio.lesson.is_shown());
        studio.toggle_compare();
        assert!(!studio.lesson.is_shown(), "what is compared is seen");
        studio.toggle_compare();
        studio.start();
    }
}

/// What a protection decides comes after the question: that stays open.
#[test]
fn a_protection_taken_away_at_the_open_question_leaves_it_open() {
    let mut studio = studio("?scenario=gc-pause");
    for _ in 0..3 {
        studio.stop(true);
    }
    studio.toggle(Protection::Fencing);
    assert_eq!(studio.lesson.phase, Phase::Asked);
    studio.undo();
    assert_eq!(studio.lesson.phase, Phase::Asked);
}

#[test]
fn time_lines_are_zoomed_around_the_present() {
    let mut studio = studio("?scenario=gc-pause&t=10000");
    let (from, to) = studio.shown();
    studio.zoom(true);
    let (closer_from, closer_to) = studio.shown();
    assert!(closer_from > from && closer_to < to);
    studio.pan(true);
    assert!(studio.shown().0 > closer_from);
    for _ in 0..20 {
        studio.zoom(false);
    }
    assert_eq!(studio.shown(), (from, to));
}

#[test]
fn a_run_goes_on_until_what_somebody_waits_for() {
    let mut studio = studio("?scenario=gc-pause&t=1000");
    studio.lesson.is_on = false;
    studio.play_until(crate::model::until::Until::of_name("holds-2-0").unwrap());
    while studio.player.is_playing {
        studio.tick(100.0);
    }
    assert_eq!(studio.scene().locks[0].holder.as_ref().unwrap().client, "client_2");
    studio.play_until(crate::model::until::Until::Violation);
    assert!(!studio.player.is_playing && studio.toast.is_some());
}
