//! The messages of the page, one enum for each area. The root only routes them.

use leasehold_sim::{Importance, Protection, RecordId, SearchLimits, VirtualTime};
use web_sys::File;

use super::app::Sizes;
use super::dialogs::ExportKind;
use super::figure::PointerAction;
use super::live_connection::LiveMsg;
use crate::feed::search_worker::WorkerEvent;
use crate::model::comparison::ComparisonMode;
use crate::model::fault_options::FaultOption;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use crate::model::workspace::ToastAction;

pub(crate) enum Msg {
    Command(Command),
    Window(WindowMsg),
    Pointer(PointerMsg),
    Run(RunMsg),
    Quiz(QuizMsg),
    View(ViewMsg),
    Search(SearchMsg),
    Export(ExportMsg),
    /// Switches between the live view and the simulation.
    SetLive {
        is_live: bool,
    },
    Live(LiveMsg),
    /// The notes window has sent a message.
    NotesMessage(String),
}

/// The browser's window: animation frames and sizes.
pub(crate) enum WindowMsg {
    /// An animation frame at this time, in milliseconds.
    Frame(f64),
    Resized,
    Measure,
    SizesMeasured(Sizes),
}

/// Pointers on pictures.
pub(crate) enum PointerMsg {
    Pointed(View, PointerAction),
    /// A touch has started on this target, or has ended.
    PressStarted(Option<Target>),
    LongPressed(Target),
}

/// The run, and the position in it.
pub(crate) enum RunMsg {
    GoToTime(VirtualTime),
    /// Plays until the stop condition of this name is met.
    PlayUntil(String),
    GoToRecord(RecordId),
    InjectFault(FaultOption),
    ToggleProtection(Protection),
    SetSeed(u64),
    OpenScenario(usize),
}

/// The scenario's question.
pub(crate) enum QuizMsg {
    Vote(usize),
    Reveal,
    ShowExplanation,
    CloseAnswer,
    StartVoteTimer,
    VoteTimerTick,
}

/// The arrangement of the page.
pub(crate) enum ViewMsg {
    SetMinImportance(Importance),
    /// Restricts the log to events of the selected target.
    FilterBySelection,
    ClearFilter,
    MoreRows,
    SelectTab(View),
    SelectLowerView(View),
    ToggleTimeScale,
    HideSelectedLane,
    ShowAllLanes,
    ToggleFileComparison,
    SetComparisonMode(ComparisonMode),
    CloseDialog,
    ToggleShortcuts,
    CycleTheme,
    ToastAction(ToastAction),
    ToastExpired,
}

/// The search for a violation.
pub(crate) enum SearchMsg {
    SetLimits(SearchLimits),
    Start,
    Stop,
    Worker(WorkerEvent),
    PlayResult,
}

/// Links and files.
pub(crate) enum ExportMsg {
    Export(ExportKind),
    ImportFile(File),
    /// The text of an imported file, unless it cannot be read.
    FileRead(Option<String>),
    LinkCopied(bool),
}

impl From<WindowMsg> for Msg {
    fn from(msg: WindowMsg) -> Self {
        Self::Window(msg)
    }
}

impl From<PointerMsg> for Msg {
    fn from(msg: PointerMsg) -> Self {
        Self::Pointer(msg)
    }
}

impl From<RunMsg> for Msg {
    fn from(msg: RunMsg) -> Self {
        Self::Run(msg)
    }
}

impl From<QuizMsg> for Msg {
    fn from(msg: QuizMsg) -> Self {
        Self::Quiz(msg)
    }
}

impl From<ViewMsg> for Msg {
    fn from(msg: ViewMsg) -> Self {
        Self::View(msg)
    }
}

impl From<SearchMsg> for Msg {
    fn from(msg: SearchMsg) -> Self {
        Self::Search(msg)
    }
}

impl From<ExportMsg> for Msg {
    fn from(msg: ExportMsg) -> Self {
        Self::Export(msg)
    }
}

impl From<LiveMsg> for Msg {
    fn from(msg: LiveMsg) -> Self {
        Self::Live(msg)
    }
}
