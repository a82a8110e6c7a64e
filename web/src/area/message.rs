//! The messages of the page, one enum for each area.

use super::compare::CompareMsg;
use super::effect::Timer;
use super::inject::InjectMsg;
use super::layout::{LayoutMsg, OpenDialog};
use super::live::LiveMsg;
use super::panels::PanelsMsg;
use super::player::PlayerMsg;
use super::present::PresentMsg;
use super::question::QuestionMsg;
use super::scenario::ScenarioMsg;
use super::search::SearchMsg;
use super::selection::SelectionMsg;
use super::share::{ExportKind, ShareMsg};
use super::start::StartMsg;
use super::timeline::TimelineMsg;
use super::tour::TourMsg;
use super::why::WhyMsg;
use crate::model::shortcuts::Command;
use crate::model::target::Target;

/// A message to one of the areas.
pub(crate) enum Msg {
    Player(PlayerMsg),
    Scenario(ScenarioMsg),
    Question(QuestionMsg),
    Why(WhyMsg),
    Selection(SelectionMsg),
    Inject(InjectMsg),
    Timeline(TimelineMsg),
    Panels(PanelsMsg),
    Live(LiveMsg),
    Compare(CompareMsg),
    Search(SearchMsg),
    Share(ShareMsg),
    Present(PresentMsg),
    Layout(LayoutMsg),
    Start(StartMsg),
    Tour(TourMsg),
}

/// Implements the conversion of an area's messages.
macro_rules! from_messages {
    ($($area:ident($msg:ident)),+ $(,)?) => {
        $(impl From<$msg> for Msg {
            fn from(msg: $msg) -> Self {
                Self::$area(msg)
            }
        })+
    };
}

from_messages!(
    Player(PlayerMsg),
    Scenario(ScenarioMsg),
    Question(QuestionMsg),
    Why(WhyMsg),
    Selection(SelectionMsg),
    Inject(InjectMsg),
    Timeline(TimelineMsg),
    Panels(PanelsMsg),
    Live(LiveMsg),
    Compare(CompareMsg),
    Search(SearchMsg),
    Share(ShareMsg),
    Present(PresentMsg),
    Layout(LayoutMsg),
    Start(StartMsg),
    Tour(TourMsg),
);

impl Msg {
    /// Returns the message of a key or a button. `focused` is the target with the keyboard focus.
    pub(crate) fn from_command(command: Command, focused: Option<Target>) -> Self {
        match command {
            Command::PlayPause => PlayerMsg::PlayPause.into(),
            Command::Step { forward } => PlayerMsg::Step { forward }.into(),
            Command::StepImportant { forward } => PlayerMsg::StepImportant { forward }.into(),
            Command::StepOfNode { forward } => PlayerMsg::StepOfNode { forward }.into(),
            Command::GoToStart => PlayerMsg::GoToStart.into(),
            Command::GoToEnd => PlayerMsg::GoToEnd.into(),
            Command::Slower => PlayerMsg::Slower.into(),
            Command::Faster => PlayerMsg::Faster.into(),
            Command::AutoPace => PlayerMsg::AutoPace.into(),
            Command::Nudge { forward } => PlayerMsg::Nudge { forward }.into(),
            Command::GoToStop { forward } => PlayerMsg::GoToStop { forward }.into(),
            Command::NextViolation => PlayerMsg::GoToNextViolation.into(),
            Command::Vote(option) => QuestionMsg::Vote(option).into(),
            Command::RetractVote => QuestionMsg::RetractVote.into(),
            Command::ToggleQuiz => QuestionMsg::ToggleEnabled.into(),
            Command::StepExplanation { forward } => WhyMsg::Step { forward }.into(),
            Command::CloseExplanation => WhyMsg::Close.into(),
            Command::Enter => SelectionMsg::Activate(focused).into(),
            Command::FocusItem { forward } => SelectionMsg::FocusNeighbour { forward }.into(),
            Command::InjectFault(key) => InjectMsg::InjectByKey(key).into(),
            Command::ToggleProtection(protection) => {
                ScenarioMsg::ToggleProtection(protection).into()
            }
            Command::Undo => ScenarioMsg::Undo.into(),
            Command::Redo => ScenarioMsg::Redo.into(),
            Command::ToggleComparison => CompareMsg::Toggle.into(),
            Command::Zoom { zoom_in } => TimelineMsg::Zoom { zoom_in }.into(),
            Command::Pan { forward } => TimelineMsg::Pan { forward }.into(),
            Command::FitTime => TimelineMsg::Fit.into(),
            Command::ShowView(view) => LayoutMsg::ShowView(view).into(),
            Command::Scenarios => LayoutMsg::Open(OpenDialog::Scenarios).into(),
            Command::SearchLog => LayoutMsg::SearchLog.into(),
            Command::Search => LayoutMsg::Open(OpenDialog::Search).into(),
            Command::Help => LayoutMsg::Open(OpenDialog::Help).into(),
            Command::Legend => LayoutMsg::Open(OpenDialog::Legend).into(),
            Command::Export => LayoutMsg::Open(OpenDialog::Exports).into(),
            Command::CopyLink => ShareMsg::Export(ExportKind::Link).into(),
            Command::Escape => PresentMsg::Escape.into(),
            Command::TogglePresenting => PresentMsg::Toggle.into(),
            Command::Notes => PresentMsg::OpenNotes.into(),
            Command::FullScreen => PresentMsg::ToggleFullScreen.into(),
            Command::ToggleBlankScreen => PresentMsg::ToggleBlank.into(),
            Command::TogglePointerHalo => PresentMsg::TogglePointerHalo.into(),
            Command::ToggleLive => LiveMsg::Toggle.into(),
        }
    }

    /// Returns the message of a timer that has fired.
    pub(crate) fn from_timer(timer: Timer) -> Self {
        match timer {
            Timer::Toast => LayoutMsg::DismissToast.into(),
            Timer::LongPress => SelectionMsg::LongPressed.into(),
            Timer::Vote => QuestionMsg::TimerTick.into(),
            Timer::Connection => LiveMsg::Tick.into(),
            Timer::Moment => ShareMsg::SaveMoment.into(),
        }
    }
}
