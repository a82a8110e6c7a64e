//! The state of the page: the workspace and the areas. Messages come in, effects go out.

use std::collections::VecDeque;
use std::rc::Rc;

use super::compare::CompareArea;
use super::context::{Context, Environment, PageArea, Redraw};
use super::effect::{Effect, Timer};
use super::inject::InjectArea;
use super::layout::LayoutArea;
use super::live::{LiveArea, LiveMsg};
use super::message::Msg;
use super::panels::PanelsArea;
use super::player::PlayerArea;
use super::present::PresentArea;
use super::question::QuestionArea;
use super::scenario::ScenarioArea;
use super::search::SearchArea;
use super::selection::SelectionArea;
use super::share::ShareArea;
use super::timeline::TimelineArea;
use crate::model::link::Link;
use crate::model::shortcuts::View;
use crate::model::workspace::Workspace;
use crate::picture::workspace_pictures::{PictureSettings, WorkspacePictures};

/// How long a toast with actions is shown, in milliseconds. Other toasts are shown for half of it.
const TOAST_MS: u32 = 8_000;

pub(crate) struct PageState {
    pub(crate) workspace: Workspace,
    pub(crate) environment: Environment,
    pub(crate) player: PlayerArea,
    scenario: ScenarioArea,
    pub(crate) question: QuestionArea,
    selection: SelectionArea,
    inject: InjectArea,
    timeline: TimelineArea,
    panels: PanelsArea,
    pub(crate) live: LiveArea,
    compare: CompareArea,
    pub(crate) search: SearchArea,
    share: ShareArea,
    pub(crate) present: PresentArea,
    pub(crate) layout: LayoutArea,
}

/// What follows from a message.
#[must_use]
pub(crate) struct Outcome {
    pub(crate) redraw: Redraw,
    pub(crate) effects: Vec<Effect>,
}

/// Everything that can change the size of the pictures. If it changes, they are measured at once.
#[derive(PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "independent conditions")]
struct Arrangement {
    selected_tab: View,
    is_comparing: bool,
    is_presenting: bool,
    is_live: bool,
    is_stale: bool,
    /// The number of the shown run.
    scenario: *const (),
}

impl PageState {
    /// Opens what a link describes. Returns the state, and what follows from opening it.
    pub(crate) fn open(link: &Link, environment: Environment) -> (Self, Outcome) {
        let mut workspace = Workspace::from_link(link);
        // The default page starts to play.
        let is_default_page = link.scenario.is_none() && link.config.is_none();
        workspace.player.is_playing =
            is_default_page && !environment.reduced_motion && !link.is_live;
        let mut state = Self {
            workspace,
            environment,
            player: PlayerArea::default(),
            scenario: ScenarioArea,
            question: QuestionArea::default(),
            selection: SelectionArea::default(),
            inject: InjectArea,
            timeline: TimelineArea::new(link.view.as_deref()),
            panels: PanelsArea,
            live: LiveArea::default(),
            compare: CompareArea,
            search: SearchArea::default(),
            share: ShareArea,
            present: PresentArea::default(),
            layout: LayoutArea::default(),
        };
        let outcome = if link.is_live && environment.is_server_available {
            state.update(LiveMsg::Show(true).into())
        } else {
            Outcome { redraw: Redraw::Page, effects: Vec::new() }
        };
        (state, outcome)
    }

    /// Handles a message, and those that follow from it.
    pub(crate) fn update(&mut self, msg: Msg) -> Outcome {
        let toast = self.workspace.toast.clone();
        let arrangement = self.arrangement();
        let (mut messages, mut effects) = (VecDeque::from([msg]), Vec::new());
        let mut redraw = Redraw::Nothing;
        while let Some(msg) = messages.pop_front() {
            redraw = redraw.max(self.route(msg, &mut messages, &mut effects));
        }
        let new_arrangement = self.arrangement();
        if new_arrangement != arrangement {
            effects.push(Effect::Measure);
        }
        if new_arrangement.scenario != arrangement.scenario {
            self.player.run_replaced();
        }
        if self.workspace.toast != toast
            && let Some(toast) = &self.workspace.toast
        {
            // Toasts with buttons stay longer, because users must read and click them.
            let shown_ms = if toast.actions.is_empty() { TOAST_MS / 2 } else { TOAST_MS };
            effects.push(Effect::StartTimer(Timer::Toast, shown_ms));
        }
        let seconds_left = self.seconds_left();
        let notes = self.present.changed_notes(&self.workspace, seconds_left);
        effects.extend(notes.map(Effect::PostNotes));
        Outcome { redraw, effects }
    }

    fn route(
        &mut self,
        msg: Msg,
        messages: &mut VecDeque<Msg>,
        effects: &mut Vec<Effect>,
    ) -> Redraw {
        let settings = self.picture_settings();
        let (workspace, environment) = (&mut self.workspace, &self.environment);
        let cx = &mut Context { workspace, environment, settings, messages, effects };
        match msg {
            Msg::Player(msg) => self.player.update(msg, cx),
            Msg::Scenario(msg) => self.scenario.update(msg, cx),
            Msg::Question(msg) => self.question.update(msg, cx),
            Msg::Selection(msg) => self.selection.update(msg, cx),
            Msg::Inject(msg) => self.inject.update(msg, cx),
            Msg::Timeline(msg) => self.timeline.update(msg, cx),
            Msg::Panels(msg) => self.panels.update(msg, cx),
            Msg::Live(msg) => self.live.update(msg, cx),
            Msg::Compare(msg) => self.compare.update(msg, cx),
            Msg::Search(msg) => self.search.update(msg, cx),
            Msg::Share(msg) => self.share.update(msg, cx),
            Msg::Present(msg) => self.present.update(msg, cx),
            Msg::Layout(msg) => self.layout.update(msg, cx),
        }
    }

    /// Returns what the pictures show, according to the areas that decide it.
    pub(crate) fn picture_settings(&self) -> PictureSettings {
        PictureSettings {
            sizes: self.layout.sizes,
            timeline_view: self.timeline.view,
            is_to_scale: self.timeline.is_to_scale,
            is_presenting: self.present.is_presenting,
            reduced_motion: self.environment.reduced_motion,
        }
    }

    pub(crate) fn pictures(&self) -> WorkspacePictures<'_> {
        WorkspacePictures::new(&self.workspace, self.picture_settings())
    }

    fn arrangement(&self) -> Arrangement {
        Arrangement {
            selected_tab: self.layout.selected_tab,
            is_comparing: self.workspace.comparison.is_some(),
            is_presenting: self.present.is_presenting,
            is_live: self.workspace.is_live,
            is_stale: self.is_stale(),
            scenario: Rc::as_ptr(&self.workspace.scenario).cast(),
        }
    }

    /// Whether the live view is shown, and may be out of date.
    pub(crate) fn is_stale(&self) -> bool {
        self.live.is_stale(&self.workspace, &self.environment)
    }

    /// Returns the remaining seconds of a vote, if its time is limited.
    pub(crate) fn seconds_left(&self) -> Option<u32> {
        self.question.seconds_left((self.environment.clock)())
    }

    /// Whether time advances.
    pub(crate) fn is_animating(&self) -> bool {
        self.workspace.player.is_playing || (self.workspace.is_following && !self.is_stale())
    }

    /// Whether animation frames are needed: while time advances, or a simulation is incomplete.
    pub(crate) fn needs_frames(&self) -> bool {
        self.is_animating() || self.workspace.is_simulating()
    }
}
