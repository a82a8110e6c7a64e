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
use super::start::StartArea;
use super::timeline::TimelineArea;
use super::tour::TourArea;
use super::why::WhyArea;
use crate::model::link::Link;
use crate::model::shortcuts::View;
use crate::model::workspace::Workspace;
use crate::picture::workspace_pictures::{PictureSettings, WorkspacePictures};

/// How long a toast with actions is shown, in milliseconds. Other toasts are shown for half of it.
const TOAST_MS: u32 = 8_000;

/// How long a toast is shown for each of its characters, in milliseconds.
const READING_MS: u32 = 70;

pub(crate) struct PageState {
    pub(crate) workspace: Workspace,
    pub(crate) environment: Environment,
    pub(crate) player: PlayerArea,
    pub(crate) scenario: ScenarioArea,
    pub(crate) question: QuestionArea,
    pub(crate) why: WhyArea,
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
    pub(crate) start: StartArea,
    pub(crate) tour: TourArea,
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
    is_start_shown: bool,
    /// The number of the shown run.
    scenario: *const (),
}

impl PageState {
    /// Opens what a link describes. Returns the state, and what follows from opening it.
    pub(crate) fn open(link: &Link, environment: Environment) -> (Self, Outcome) {
        let mut workspace = Workspace::from_link(link);
        // Without a query, the start screen is shown. A query that names no scenario plays the
        // first.
        let shows_start = *link == Link::default();
        let is_first_run = link.scenario.is_none() && link.config.is_none();
        workspace.player.is_playing =
            is_first_run && !shows_start && !environment.reduced_motion && !link.is_live;
        let mut state = Self {
            workspace,
            environment,
            player: PlayerArea::default(),
            scenario: ScenarioArea::default(),
            question: QuestionArea::default(),
            why: WhyArea::default(),
            selection: SelectionArea::default(),
            inject: InjectArea,
            timeline: TimelineArea::new(link.view.as_deref()),
            panels: PanelsArea,
            live: LiveArea::default(),
            compare: CompareArea,
            search: SearchArea::default(),
            share: ShareArea::default(),
            present: PresentArea::default(),
            layout: LayoutArea::default(),
            start: StartArea::new(shows_start, &environment),
            tour: TourArea::default(),
        };
        state.share.page_opened(&state.workspace);
        let mut outcome = if link.is_live && environment.is_server_available {
            state.update(LiveMsg::Enter.into())
        } else {
            Outcome { redraw: Redraw::Page, effects: Vec::new() }
        };
        // At once, so that the search works if the host is gone from now on.
        outcome.effects.push(Effect::LoadSearch);
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
        QuestionArea::follow(&mut self.workspace, self.environment.reduced_motion);
        self.why.follow(&self.workspace);
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
            // Toasts with buttons stay longer, because users must read and click them; so do
            // long texts.
            let shown_ms = if toast.actions.is_empty() { TOAST_MS / 2 } else { TOAST_MS };
            let reading_ms = u32::try_from(toast.text.len()).unwrap_or(0) * READING_MS;
            let shown_ms = shown_ms.max(reading_ms);
            effects.push(Effect::StartTimer(Timer::Toast, shown_ms));
        }
        effects.extend(self.start.observe(&self.workspace));
        let seconds_left = self.seconds_left();
        let notes = self.present.changed_notes(&self.workspace, seconds_left);
        effects.extend(notes.map(Effect::PostNotes));
        if !self.start.is_shown {
            effects.extend(self.share.moment_changed(&self.workspace));
        }
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
        let is_start_shown = self.start.is_shown;
        let cx =
            &mut Context { workspace, environment, is_start_shown, settings, messages, effects };
        match msg {
            Msg::Player(msg) => self.player.update(msg, cx),
            Msg::Scenario(msg) => self.scenario.update(msg, cx),
            Msg::Question(msg) => self.question.update(msg, cx),
            Msg::Why(msg) => self.why.update(msg, cx),
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
            Msg::Start(msg) => self.start.update(msg, cx),
            Msg::Tour(msg) => self.tour.update(msg, cx),
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
            hovered: self.selection.hovered.map(|it| (it.view, it.target, it.at)),
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
            is_start_shown: self.start.is_shown,
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
        let is_following = self.workspace.is_following && !self.is_stale();
        !self.start.is_shown && (self.workspace.player.is_playing || is_following)
    }

    /// Whether animation frames are needed: while time advances, or a simulation is incomplete.
    pub(crate) fn needs_frames(&self) -> bool {
        self.is_animating() || self.workspace.is_simulating()
    }
}
