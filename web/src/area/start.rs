//! The start screen: the ways into the project, the library by groups, and the user's progress.

use leasehold_sim::ScenarioGroup;

use super::address::Address;
use super::context::{Context, Environment, PageArea, Redraw};
use super::effect::Effect;
use super::layout::{LayoutMsg, OpenDialog};
use super::live::LiveMsg;
use super::scenario::ScenarioMsg;
use super::tour::TourMsg;
use crate::model::progress::Progress;
use crate::model::workspace::Workspace;

/// The scenario that is a puzzle.
const PUZZLE: &str = "sandbox";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartMsg {
    /// Shows the start screen over the open run, as a new entry of the browser's history.
    Home,
    /// Shows the start screen over the open run, without an entry.
    Show,
    /// Returns to the run that was open before the start screen was shown.
    Return,
    /// Closes the start screen, because something was opened.
    Hide,
    /// Plays the first run.
    Play,
    StartTour,
    /// Shows the live view, or how to start a server for it.
    Live,
    /// Opens the puzzle.
    BreakIt,
    SelectGroup(ScenarioGroup),
    ResetProgress,
}

pub(crate) struct StartArea {
    pub(crate) is_shown: bool,
    /// Whether a run is open under the start screen.
    pub(crate) can_return: bool,
    /// The group whose scenarios are shown.
    pub(crate) group: ScenarioGroup,
    pub(crate) progress: Progress,
}

impl StartArea {
    pub(super) fn new(is_shown: bool, environment: &Environment) -> Self {
        let stored = (environment.load_progress)().unwrap_or_default();
        Self {
            is_shown,
            can_return: !is_shown,
            group: ScenarioGroup::default(),
            progress: Progress::parse(&stored),
        }
    }

    fn show(&mut self, cx: &mut Context<'_>) {
        self.is_shown = true;
        self.group = cx.workspace.scenario.group;
        cx.workspace.toast = None;
        cx.send(TourMsg::Abandon);
        cx.send(LayoutMsg::CloseDialog);
    }

    /// Notes what the user has achieved in the open run. Returns the effect that stores it.
    pub(super) fn observe(&mut self, workspace: &Workspace) -> Option<Effect> {
        let has_changed = !self.is_shown && self.progress.observe(workspace);
        has_changed.then(|| Effect::StoreProgress(self.progress.encode()))
    }
}

impl PageArea for StartArea {
    type Msg = StartMsg;

    fn update(&mut self, msg: StartMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            StartMsg::Home => {
                cx.request(Effect::SetAddress(Address::of_start(cx.workspace)));
                cx.request(Effect::Focus(vec!["[data-testid=start-play]".to_owned()]));
                self.show(cx);
            }
            StartMsg::Show => self.show(cx),
            StartMsg::Return => {
                if self.is_shown && self.can_return {
                    self.is_shown = false;
                    cx.push_address();
                }
            }
            StartMsg::Hide => {
                let is_first = std::mem::take(&mut self.is_shown) && !self.can_return;
                if is_first {
                    // The user has not seen the run under the start screen.
                    cx.workspace.forget_previous_runs();
                }
                self.can_return = true;
            }
            StartMsg::Play => cx.send(ScenarioMsg::OpenFromLibrary(0)),
            StartMsg::StartTour => cx.send(TourMsg::Start),
            StartMsg::Live if cx.environment.is_server_available => cx.send(LiveMsg::Show(true)),
            StartMsg::Live => cx.send(LayoutMsg::Open(OpenDialog::StartServer)),
            StartMsg::BreakIt => {
                let puzzle = cx.workspace.library.iter().position(|it| it.name == PUZZLE);
                if let Some(index) = puzzle {
                    cx.send(ScenarioMsg::OpenFromLibrary(index));
                }
            }
            StartMsg::SelectGroup(group) => {
                self.group = group;
                let tab = format!("[data-testid={}]", group_test_id(group));
                cx.request(Effect::Focus(vec![tab]));
            }
            StartMsg::ResetProgress => {
                self.progress = Progress::default();
                cx.request(Effect::StoreProgress(String::new()));
            }
        }
        Redraw::Page
    }
}

/// Returns the `data-testid` of the tab of a group.
pub(crate) fn group_test_id(group: ScenarioGroup) -> String {
    format!("group-{}", group.title().to_ascii_lowercase().replace(' ', "-"))
}
