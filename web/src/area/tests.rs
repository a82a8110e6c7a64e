//! Messages to the page, and what follows from them.

use std::cell::Cell;

use leasehold_core::state::State;
use leasehold_sim::{Protection, SearchStage, TimeLabels as _, VirtualTime};

use super::address::Address;
use super::context::{Environment, Redraw};
use super::effect::{Effect, PictureFormat, Timer};
use super::layout::{LayoutMsg, OpenDialog, Theme};
use super::live::LiveMsg;
use super::message::Msg;
use super::page_state::{Outcome, PageState};
use super::player::PlayerMsg;
use super::scenario::ScenarioMsg;
use super::search::SearchMsg;
use super::selection::{PointerAction, SelectionMsg};
use super::share::{Destination, ExportKind, ShareMsg};
use super::start::StartMsg;
use crate::feed::connection::SocketEvent;
use crate::feed::search_protocol::WorkerEvent;
use crate::model::link::Link;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use crate::model::workspace::ToastAction;
use crate::picture::workspace_pictures::Sizes;

thread_local! {
    /// The reading of the monotonic clock, in milliseconds.
    static NOW: Cell<f64> = const { Cell::new(1_000.0) };
}

const SIZES: Sizes = Sizes { stage: (840.0, 260.0), lower: (840.0, 220.0), tape: (660.0, 52.0) };

pub(super) fn open_page(query: &str, is_server_available: bool) -> (PageState, Outcome) {
    let environment = Environment {
        clock: || NOW.get(),
        random: || 0.5,
        utc_offset_minutes: || 60,
        is_narrow: || false,
        reduced_motion: false,
        load_progress: || None,
        is_touch: false,
        is_server_available,
    };
    let (mut page, outcome) = PageState::open(&Link::parse(query), environment);
    send(&mut page, LayoutMsg::SizesMeasured(SIZES));
    (page, outcome)
}

pub(super) fn page(query: &str) -> PageState {
    open_page(query, false).0
}

/// Opens the page at the start screen, and plays the first run.
fn playing_page() -> PageState {
    let mut page = page("");
    send(&mut page, StartMsg::Play);
    page
}

/// Sends a message, and returns its effects.
pub(super) fn send(page: &mut PageState, msg: impl Into<Msg>) -> Vec<Effect> {
    page.update(msg.into()).effects
}

pub(super) fn press(page: &mut PageState, command: Command) -> Vec<Effect> {
    send(page, Msg::from_command(command, None))
}

fn toast(page: &PageState) -> &str {
    page.workspace.toast.as_ref().map_or("", |toast| &toast.text)
}

#[test]
fn run_pauses_behind_every_dialog_and_continues_afterwards() {
    for dialog in [
        OpenDialog::Scenarios,
        OpenDialog::FaultMenu,
        OpenDialog::Help,
        OpenDialog::Legend,
        OpenDialog::Exports,
        OpenDialog::Search,
    ] {
        let mut page = playing_page();
        assert!(page.workspace.player.is_playing, "the first run plays");
        send(&mut page, LayoutMsg::Open(dialog));
        assert!(!page.workspace.player.is_playing, "{dialog:?}");
        send(&mut page, LayoutMsg::CloseDialog);
        assert!(page.workspace.player.is_playing, "{dialog:?}");

        press(&mut page, Command::PlayPause);
        send(&mut page, LayoutMsg::Open(dialog));
        send(&mut page, LayoutMsg::CloseDialog);
        assert!(!page.workspace.player.is_playing, "a paused run stays paused: {dialog:?}");
    }
}

#[test]
fn fault_that_is_chosen_in_the_menu_lets_the_run_continue() {
    let mut page = playing_page();
    send(&mut page, PlayerMsg::GoToTime(VirtualTime::from_millis(2_000)));
    press(&mut page, Command::PlayPause);
    let node = Target::Node(leasehold_sim::NodeId(1));
    let action = PointerAction { target: Some(node), is_menu: true, x: 0.0 };
    send(&mut page, SelectionMsg::Pointed(View::Stage, action));
    assert_eq!(page.layout.open_dialog, Some(OpenDialog::FaultMenu));
    let faults = page.workspace.available_faults(node);
    let fault = faults.into_iter().find(|it| it.unavailable_reason.is_none()).unwrap();
    send(&mut page, super::inject::InjectMsg::Inject(fault));
    assert_eq!(page.layout.open_dialog, None);
    assert!(page.workspace.player.is_playing);
    assert_eq!(page.workspace.timeline().run().interventions.len(), 1);
}

#[test]
fn scenario_that_is_chosen_in_the_dialog_plays() {
    let mut page = page("?scenario=gc-pause");
    press(&mut page, Command::Scenarios);
    let effects = send(&mut page, ScenarioMsg::OpenFromLibrary(7));
    assert_eq!(page.layout.open_dialog, None);
    assert_eq!(page.workspace.scenario.name, "lost-reply");
    assert!(page.workspace.player.is_playing);
    let opens_scenario = |address: &Address| address.is_new && address.query.contains("lost-reply");
    let is_new_address =
        |it: &Effect| matches!(it, Effect::SetAddress(address) if opens_scenario(address));
    assert!(effects.iter().any(is_new_address));
    assert!(effects.iter().any(|it| matches!(it, Effect::Measure)), "the header has changed");
}

#[test]
fn toasts_close_after_a_while_and_their_buttons_work() {
    let mut page = page("?scenario=gc-pause");
    let effects = send(&mut page, ScenarioMsg::ToggleProtection(Protection::Fencing));
    let toast_ms = |effects: &[Effect]| {
        effects.iter().find_map(|it| {
            if let Effect::StartTimer(Timer::Toast, delay_ms) = it { Some(*delay_ms) } else { None }
        })
    };
    let with_actions = toast_ms(&effects).unwrap();
    send(&mut page, LayoutMsg::RunToastAction(ToastAction::Compare));
    assert!(page.workspace.comparison.is_some());
    let effects = send(&mut page, LayoutMsg::RunToastAction(ToastAction::Undo));
    assert!(page.workspace.timeline().run().without.is_empty());
    assert_eq!(toast(&page), "Undone: fencing off.");
    assert!(toast_ms(&effects).unwrap() < with_actions);
    send(&mut page, Msg::from_timer(Timer::Toast));
    assert_eq!(toast(&page), "");
}

#[test]
fn escape_closes_the_topmost_thing_first() {
    let mut page = page("?scenario=gc-pause");
    let effects = press(&mut page, Command::TogglePresenting);
    assert!(effects.iter().any(|it| matches!(it, Effect::KeepAwake)));
    assert!(effects.iter().any(|it| matches!(it, Effect::SetTheme(Theme::Light))));
    press(&mut page, Command::ToggleBlankScreen);
    press(&mut page, Command::ToggleComparison);
    press(&mut page, Command::Escape);
    assert!(!page.present.is_blank && page.workspace.comparison.is_some());
    press(&mut page, Command::Escape);
    assert!(page.workspace.comparison.is_none() && page.present.is_presenting);
    press(&mut page, Command::Escape);
    assert!(!page.present.is_presenting);
    assert_eq!(page.layout.theme, Theme::System);
}

#[test]
fn keys_of_views_show_and_focus_their_panels() {
    let mut page = page("?scenario=gc-pause");
    for view in View::ALL {
        let effects = press(&mut page, Command::ShowView(view));
        let panel = format!("#panel-{}", view.test_id());
        let is_focus = |it: &Effect| matches!(it, Effect::Focus(to) if to.last() == Some(&panel));
        assert!(effects.iter().any(is_focus), "{view:?}");
        assert_eq!(page.layout.selected_tab, view);
    }
    assert_eq!(page.picture_settings().timeline_view, View::Load, "the last timeline stays");
}

#[test]
fn live_view_connects_once_and_reconnects() {
    let (mut page, outcome) = open_page("?mode=live", true);
    let opens = |effects: &[Effect]| {
        effects.iter().filter(|it| matches!(it, Effect::OpenSocket(_))).count()
    };
    assert!(page.workspace.is_live);
    assert_eq!(opens(&outcome.effects), 1);
    assert!(page.is_stale(), "nothing has arrived yet");
    // A second visit uses the same connection.
    send(&mut page, LiveMsg::Show(false));
    assert!(!page.workspace.is_live);
    assert_eq!(opens(&send(&mut page, LiveMsg::Show(true))), 0);
    let effects = send(&mut page, LiveMsg::Socket(SocketEvent::Closed));
    assert!(effects.iter().any(|it| matches!(it, Effect::CloseSocket)));
    assert_eq!(opens(&send(&mut page, LiveMsg::Tick)), 0, "it backs off");
    NOW.set(NOW.get() + 20_000.0);
    assert_eq!(opens(&send(&mut page, LiveMsg::Tick)), 1);
    // A scenario opens in the simulation.
    send(&mut page, ScenarioMsg::OpenFromLibrary(0));
    assert!(!page.workspace.is_live);
    assert_eq!(page.workspace.scenario.name, "five-clients");
}

#[test]
fn live_times_are_since_the_start_of_the_server_or_the_time_of_day() {
    let (mut page, _) = open_page("?mode=live", true);
    let state = serde_json::to_string(&State::default()).unwrap();
    // 2024-01-02 03:04:05 UTC; the page is one hour ahead.
    let snapshot = format!(
        r#"{{"type":"snapshot","index":0,"at_ms":9000,"started_at_ms":2000,"started_unix_ms":1704164645000,"recovered":0,"state":{state}}}"#
    );
    send(&mut page, LiveMsg::Socket(SocketEvent::Message(snapshot)));
    let label = |page: &PageState| {
        let timeline = page.workspace.timeline();
        timeline.time_display().label(VirtualTime::from_millis(7_000))
    };
    assert_eq!(label(&page), "7.0 s");
    send(&mut page, LiveMsg::SwitchClock);
    assert_eq!(label(&page), "04:04:12.0");
    send(&mut page, LiveMsg::SwitchClock);
    assert_eq!(label(&page), "7.0 s");
}

#[test]
fn search_that_cannot_start_says_so_and_offers_to_start_again() {
    let mut page = page("?scenario=gc-pause");
    press(&mut page, Command::Search);
    let effects = send(&mut page, SearchMsg::Start);
    assert!(effects.iter().any(|it| matches!(it, Effect::StartSearch(_))));
    assert!(page.search.search.is_running);
    let effects = send(&mut page, SearchMsg::Worker(WorkerEvent::Unavailable));
    assert!(page.search.search.text.contains("does not allow workers"));
    let is_button = |it: &Effect| matches!(it, Effect::Focus(to) if to[0].contains("search-start"));
    assert!(effects.iter().any(is_button));
}

#[test]
fn violation_that_is_found_opens_shortly_before_it() {
    let mut page = page("?scenario=gc-pause");
    press(&mut page, Command::Search);
    send(&mut page, SearchMsg::Start);
    let mut limits = page.search.search.limits.clone();
    limits.faults_max = 1;
    let mut run = page.workspace.timeline().run().clone();
    run.without.insert(Protection::Fencing);
    let mut search = leasehold_sim::Search::new(run, limits);
    while search.explore(10_000) == SearchStage::Searching {}
    let report = crate::feed::search_protocol::SearchReport::from_search(&search);
    let text = serde_json::to_string(&report).unwrap();
    send(&mut page, SearchMsg::Worker(WorkerEvent::Report(text)));
    let effects = send(&mut page, SearchMsg::SaveTest(Destination::File));
    assert!(matches!(&effects[0], Effect::SaveText { file_name, .. } if file_name == "found.rs"));
    send(&mut page, SearchMsg::PlayResult);
    assert_eq!(page.layout.open_dialog, None);
    assert!(page.workspace.player.is_playing);
    assert!(!page.workspace.timeline().violated().is_empty());
}

#[test]
fn every_picture_is_saved_under_a_name_of_its_own() {
    let mut page = page("?scenario=gc-pause&t=9000");
    let mut file_names = Vec::new();
    for name in page.pictures().names() {
        for format in [PictureFormat::Svg, PictureFormat::Png(1), PictureFormat::Png(2)] {
            let export = ShareMsg::Export(ExportKind::Picture(name, format));
            for effect in send(&mut page, export) {
                if let Effect::SavePicture { file_name, picture, .. } = effect {
                    assert!(!picture.shapes.is_empty(), "{name}");
                    file_names.push(file_name);
                }
            }
        }
    }
    let count = file_names.len();
    assert_eq!(count, 3 * page.pictures().names().len());
    file_names.sort_unstable();
    file_names.dedup();
    assert_eq!(file_names.len(), count, "{file_names:#?}");
}

#[test]
fn frames_draw_the_pictures_and_sometimes_the_panels() {
    let mut page = playing_page();
    // Playback must not pause at a stop.
    press(&mut page, Command::ToggleQuiz);
    let (mut pictures, mut pages) = (0, 0);
    for frame in 0..200 {
        match page.update(PlayerMsg::Frame(f64::from(frame) * 16.0).into()).redraw {
            Redraw::Nothing => {}
            Redraw::Pictures => pictures += 1,
            Redraw::Page => pages += 1,
        }
    }
    assert!(page.needs_frames());
    assert!(pictures > 100 && pages > 5 && pages < 40, "{pictures} and {pages}");
    press(&mut page, Command::PlayPause);
    assert!(!page.needs_frames(), "nothing moves");
}
