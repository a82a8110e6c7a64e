//! The start screen, the tour, the menus of the header, and the user's progress.

use leasehold_sim::{Protection, ScenarioGroup};

use super::effect::Effect;
use super::layout::{LayoutMsg, OpenDialog};
use super::page_state::PageState;
use super::player::PlayerMsg;
use super::question::QuestionMsg;
use super::scenario::ScenarioMsg;
use super::start::{StartMsg, group_test_id};
use super::tests::{open_page, page, press, send};
use super::tour::TourMsg;
use crate::model::progress::Achievement;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::Command;
use crate::model::tour::TOUR;

/// Returns the queries of the new entries in the browser's history.
fn new_entries(effects: &[Effect]) -> Vec<&str> {
    let mut queries = Vec::new();
    for effect in effects {
        if let Effect::SetAddress(address) = effect
            && address.is_new
        {
            queries.push(address.query.as_str());
        }
    }
    queries
}

/// Returns the progress that is stored.
fn stored(effects: &[Effect]) -> Vec<&str> {
    let mut stored = Vec::new();
    for effect in effects {
        if let Effect::StoreProgress(progress) = effect {
            stored.push(progress.as_str());
        }
    }
    stored
}

#[test]
fn start_screen_is_shown_without_a_query_only() {
    assert!(page("").start.is_shown && page("?").start.is_shown);
    for query in ["?scenario=gc-pause", "?seed=3", "?t=100"] {
        assert!(!page(query).start.is_shown, "{query}");
    }
    assert!(!open_page("?mode=live", true).0.start.is_shown);
    let page = page("");
    assert!(!page.is_animating(), "nothing moves under the start screen");
}

#[test]
fn each_way_leads_from_the_start_screen() {
    let open = |msg: StartMsg, is_server_available: bool| -> PageState {
        let mut page = open_page("", is_server_available).0;
        send(&mut page, msg);
        page
    };
    let first = open(StartMsg::Play, false);
    assert!(!first.start.is_shown && first.workspace.player.is_playing);
    assert_eq!(first.workspace.scenario.name, "five-clients");
    let puzzle = open(StartMsg::BreakIt, false);
    assert_eq!(puzzle.workspace.scenario.name, "sandbox");
    let tour = open(StartMsg::StartTour, false);
    assert!(!tour.start.is_shown && tour.tour.current().is_some());
    assert!(open(StartMsg::Live, true).workspace.is_live);
    let without_server = open(StartMsg::Live, false);
    assert!(without_server.start.is_shown);
    assert_eq!(without_server.layout.open_dialog, Some(OpenDialog::StartServer));
    let mut card = page("");
    send(&mut card, ScenarioMsg::OpenFromLibrary(4));
    assert!(!card.start.is_shown);
}

#[test]
fn home_is_undone_and_keeps_the_run() {
    let mut page = page("?scenario=gc-pause&t=9000");
    let before = page.workspace.timeline().now();
    let effects = send(&mut page, StartMsg::Home);
    assert_eq!(new_entries(&effects), [""]);
    assert!(page.start.is_shown && page.start.group == ScenarioGroup::ClientFaults);
    let effects = send(&mut page, StartMsg::Return);
    assert!(!page.start.is_shown && page.workspace.timeline().now() == before);
    assert!(new_entries(&effects)[0].contains("scenario=gc-pause"));
    // There is nothing to return to at first.
    let mut fresh = self::page("");
    send(&mut fresh, StartMsg::Return);
    assert!(fresh.start.is_shown);
}

#[test]
fn browser_history_leads_to_the_start_screen_and_away_from_it() {
    let mut page = page("");
    let entry = new_entries(&send(&mut page, StartMsg::Play))[0].to_owned();
    let run = page.workspace.run_id();
    send(&mut page, ScenarioMsg::ShowEntry(None, String::new()));
    assert!(page.start.is_shown);
    send(&mut page, ScenarioMsg::ShowEntry(Some(run), entry));
    assert!(!page.start.is_shown && page.workspace.run_id() == run);
}

#[test]
fn run_that_was_never_shown_is_not_undone() {
    let mut page = page("");
    send(&mut page, ScenarioMsg::OpenFromLibrary(4));
    send(&mut page, ScenarioMsg::Undo);
    assert_eq!(page.workspace.scenario.name, "gc-pause");
}

#[test]
fn groups_are_selected() {
    let mut page = page("");
    send(&mut page, StartMsg::SelectGroup(ScenarioGroup::ClientFaults));
    assert_eq!(page.start.group, ScenarioGroup::ClientFaults);
    assert_eq!(group_test_id(page.start.group), "group-client-faults");
}

#[test]
fn tour_has_five_stops_and_leads_back_to_the_start_screen() {
    let mut page = page("");
    send(&mut page, TourMsg::Start);
    for (index, stop) in TOUR.iter().enumerate() {
        assert_eq!(page.tour.current(), Some((index + 1, stop)));
        assert!(!page.workspace.player.is_playing && page.workspace.toast.is_none());
        send(&mut page, TourMsg::Next);
    }
    assert!(page.start.is_shown && page.tour.current().is_none());
    send(&mut page, TourMsg::Start);
    send(&mut page, TourMsg::Next);
    send(&mut page, TourMsg::Back);
    assert_eq!(page.tour.current().map(|it| it.0), Some(1));
    send(&mut page, TourMsg::Back);
    assert_eq!(page.tour.current().map(|it| it.0), Some(1));
    send(&mut page, TourMsg::Close);
    assert!(page.tour.current().is_none() && page.workspace.quiz.is_enabled);
    assert!(!page.start.is_shown, "the run stays open");
}

#[test]
fn tour_ends_if_another_run_is_opened() {
    let mut page = page("");
    send(&mut page, TourMsg::Start);
    send(&mut page, ScenarioMsg::OpenFromLibrary(3));
    assert!(page.tour.current().is_none());
    assert_eq!(page.workspace.scenario.name, "crash-after-append");
    assert!(page.workspace.quiz.is_enabled);
}

#[test]
fn task_of_the_last_stop_is_done_by_key() {
    let mut page = page("");
    send(&mut page, TourMsg::Start);
    for _ in 0..4 {
        send(&mut page, TourMsg::Next);
    }
    let is_done = |page: &PageState| page.tour.current().unwrap().1.is_done(&page.workspace);
    assert!(!is_done(&page));
    send(&mut page, ScenarioMsg::ToggleProtection(Protection::Fencing));
    assert!(is_done(&page));
}

#[test]
fn progress_is_stored_when_it_grows_and_can_be_reset() {
    let mut page = page("?scenario=gc-pause");
    while page.workspace.quiz.phase != QuizPhase::Open {
        press(&mut page, Command::GoToStop { forward: true });
    }
    send(&mut page, QuestionMsg::Vote(1));
    let effects = send(&mut page, PlayerMsg::GoToEnd);
    assert_eq!(stored(&effects), ["gc-pause:predicted"]);
    assert_eq!(page.start.progress.of("gc-pause"), Some(Achievement::Predicted));
    assert_eq!(stored(&send(&mut page, PlayerMsg::GoToEnd)), [""; 0], "only news are stored");
    assert_eq!(stored(&send(&mut page, StartMsg::Home)), [""; 0]);
    assert_eq!(stored(&send(&mut page, StartMsg::ResetProgress)), [""]);
    assert!(page.start.progress.is_empty());
}

#[test]
fn menus_of_the_header_replace_each_other() {
    let mut page = page("?scenario=gc-pause");
    for dialog in [OpenDialog::Protections, OpenDialog::Seed, OpenDialog::Menu] {
        send(&mut page, LayoutMsg::Open(dialog));
        assert_eq!(page.layout.open_dialog, Some(dialog));
    }
    let effects = send(&mut page, LayoutMsg::Open(OpenDialog::Glossary(Some("Fencing token"))));
    let focused = effects.iter().any(|effect| {
        matches!(effect, Effect::Focus(selectors) if selectors == &["#term-fencing-token"])
    });
    assert!(focused);
    send(&mut page, LayoutMsg::CloseDialog);
    assert_eq!(page.layout.open_dialog, None);
}

#[test]
fn end_of_a_run_offers_what_comes_next_and_a_presenter_asks_for_it() {
    let mut page = page("?scenario=gc-pause");
    let offered = |page: &PageState| {
        page.scenario.next_steps(&page.workspace, page.present.is_presenting).len()
    };
    assert_eq!(offered(&page), 0);
    send(&mut page, PlayerMsg::GoToEnd);
    assert_eq!(offered(&page), 2);
    press(&mut page, Command::TogglePresenting);
    assert_eq!(offered(&page), 0);
    press(&mut page, Command::GoToStop { forward: true });
    assert_eq!(offered(&page), 2);
    press(&mut page, Command::Step { forward: false });
    assert_eq!(offered(&page), 0);
    press(&mut page, Command::TogglePresenting);
    send(&mut page, PlayerMsg::GoToEnd);
    let first = page.workspace.next_steps().remove(0);
    send(&mut page, ScenarioMsg::PerformNextStep(first));
    assert!(page.workspace.timeline().run().without.contains(&Protection::Fencing));
    assert!(page.workspace.player.is_playing);
}
