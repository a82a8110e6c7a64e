//! The whole page as a component: what it keeps, and what comes in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use leasehold_sim::{Importance, Protection, RecordId, SearchLimits, VirtualTime};
use web_sys::File;
use yew::{Callback, Component, Context, Html};

use super::dialogs::ExportKind;
use super::figure::PointerAction;
use super::keyboard::listeners;
use super::live_connection::{LiveConnection, LiveMsg};
use super::notes_window::NotesChannel;
use super::painter::Painter;
use super::panel_cache::PanelCache;
use super::question::VoteTimer;
use crate::browser;
use crate::feed::search_worker::{SearchWorker, WorkerEvent};
use crate::model::comparison::ComparisonMode as CompareMode;
use crate::model::fault_options::FaultOption;
use crate::model::link::Link;
use crate::model::notes::Notes;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use crate::model::violation_search::ViolationSearch;
use crate::model::workspace::{ToastAction, Workspace};
use crate::picture::shape::{Area, Picture};

/// How often it is looked, while something moves, how large the places of the pictures are, in
/// milliseconds.
const MEASURE_INTERVAL_MS: u32 = 250;

/// After so long what was drawn is laid out, where nothing moves.
const LAYOUT_MS: u32 = 20;

/// How long a word on what was done stays, in milliseconds.
const TOAST_MS: u32 = 8_000;

/// What is open above the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenDialog {
    Scenarios,
    Menu,
    Help,
    Legend,
    Exports,
    Search,
}

/// How the page is arranged.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is switched by itself")]
pub(crate) struct Ui {
    pub(crate) open_dialog: Option<OpenDialog>,
    /// Which of the two time lines is shown.
    pub(crate) lower_view: View,
    /// Which panel is shown where there is room for one alone.
    pub(crate) selected_tab: View,
    pub(crate) is_live: bool,
    pub(crate) is_live_available: bool,
    pub(crate) is_presenting: bool,
    pub(crate) is_blank: bool,
    pub(crate) has_pointer_halo: bool,
    pub(crate) shortcuts_disabled: bool,
    pub(crate) is_to_scale: bool,
    pub(crate) compares_files: bool,
    pub(crate) theme: Theme,
    pub(crate) reduced_motion: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

/// How large the places of the pictures are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) stage: (f64, f64),
    pub(crate) lower: (f64, f64),
    pub(crate) tape: (f64, f64),
}

/// What the panels tell. Made once, so that a panel to which nothing else has changed is not drawn
/// anew.
pub(crate) struct PanelCallbacks {
    pub(crate) command: Callback<Command>,
    pub(crate) protection: Callback<Protection>,
    pub(crate) seed: Callback<u64>,
    pub(crate) fault: Callback<FaultOption>,
    pub(crate) menu: Callback<()>,
    pub(crate) filter_by_selection: Callback<()>,
    pub(crate) record: Callback<RecordId>,
    pub(crate) min_importance: Callback<Importance>,
    pub(crate) clear_filter: Callback<()>,
    pub(crate) more_rows: Callback<()>,
    pub(crate) toggle_file_comparison: Callback<()>,
}

impl PanelCallbacks {
    fn new(ctx: &Context<App>) -> Self {
        let link = ctx.link();
        Self {
            command: link.callback(Msg::Command),
            protection: link.callback(Msg::ToggleProtection),
            seed: link.callback(Msg::SetSeed),
            fault: link.callback(Msg::InjectFault),
            menu: link.callback(|()| Msg::Command(Command::Enter)),
            filter_by_selection: link.callback(|()| Msg::FilterBySelection),
            record: link.callback(Msg::GoToRecord),
            min_importance: link.callback(Msg::SetMinImportance),
            clear_filter: link.callback(|()| Msg::ClearFilter),
            more_rows: link.callback(|()| Msg::MoreRows),
            toggle_file_comparison: link.callback(|()| Msg::ToggleFileComparison),
        }
    }
}

pub(crate) struct App {
    pub(crate) callbacks: PanelCallbacks,
    /// What is shown …
    pub(crate) workspace: Workspace,
    /// … and what is not: the server, or what is simulated.
    pub(super) inactive_workspace: Option<Workspace>,
    pub(super) live: Option<LiveConnection>,
    pub(crate) ui: Ui,
    pub(crate) sizes: Sizes,
    pub(crate) search: ViolationSearch,
    pub(super) notes_channel: Option<NotesChannel>,
    /// How long hands may still be raised, where that is limited.
    pub(super) vote_timer: Option<VoteTimer>,
    pub(crate) panel_cache: PanelCache,
    pub(super) painters: RefCell<BTreeMap<&'static str, Painter>>,
    /// What is written on the page: which version of the run, and since when.
    pub(super) last_panel_draw: (u64, f64),
    pub(super) search_worker: Option<SearchWorker>,
    pub(super) last_report_at: f64,
    frames: browser::Frames,
    pub(super) last_frame: Option<f64>,
    /// When the page was last told to be drawn, and how long that took, in milliseconds.
    draw_started_at: f64,
    pub(super) draw_ms: f64,
    pub(super) must_measure: bool,
    /// Set where it is to be looked how large the places of the pictures are; and after how long.
    measure_timeout: Option<(Timeout, u32)>,
    /// What gets the focus when it is there.
    pub(super) focus_after_draw: Option<&'static str>,
    pub(super) long_press: Option<Timeout>,
    toast_timeout: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

pub(crate) enum Msg {
    Command(Command),
    Frame(f64),
    Resized,
    Measure,
    SizesMeasured(Sizes),
    Pointed(View, PointerAction),
    PressStarted(Option<Target>),
    LongPressed(Target),
    GoToTime(VirtualTime),
    /// The run is to go on to what has this name.
    PlayUntil(String),
    GoToRecord(RecordId),
    InjectFault(FaultOption),
    ToggleProtection(Protection),
    SetSeed(u64),
    OpenScenario(usize),
    CloseDialog,
    Vote(usize),
    Reveal,
    ShowExplanation,
    CloseAnswer,
    SetMinImportance(Importance),
    /// In the log what concerns the selected thing alone; or all of it.
    FilterBySelection,
    ClearFilter,
    MoreRows,
    SelectTab(View),
    SelectLowerView(View),
    ToggleTimeScale,
    HideSelectedLane,
    ShowAllLanes,
    ToggleFileComparison,
    SetComparisonMode(CompareMode),
    ToastAction(ToastAction),
    ToastExpired,
    ToggleShortcuts,
    CycleTheme,
    SetSearchLimits(SearchLimits),
    StartSearch,
    StopSearch,
    SearchEvent(WorkerEvent),
    PlaySearchResult,
    Export(ExportKind),
    ImportFile(File),
    FileRead(Option<String>),
    LinkCopied(bool),
    SetLive {
        is_live: bool,
    },
    Live(LiveMsg),
    /// The second window has said something.
    NotesMessage(String),
    /// Hands may be raised for so long; time passes.
    StartVoteTimer,
    VoteTimerTick,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let link = Link::parse(&browser::query());
        let mut workspace = Workspace::from_link(&link);
        let reduced_motion = browser::matches_media("(prefers-reduced-motion: reduce)");
        // Whoever comes without a wish sees something move.
        let is_default_page = link.scenario.is_none() && link.config.is_none();
        workspace.player.is_playing = is_default_page && !reduced_motion && !link.is_live;
        let is_live_available =
            browser::meta_content("leasehold-server").as_deref() == Some("live");
        let lower_view = match link.view.as_deref() {
            Some("spacetime") => View::SpaceTime,
            _ => View::Gantt,
        };
        let frames = browser::Frames::new(ctx.link().callback(Msg::Frame));
        let starts_live = is_live_available && link.is_live;
        let mut app = Self {
            callbacks: PanelCallbacks::new(ctx),
            workspace,
            inactive_workspace: None,
            live: None,
            ui: Ui {
                open_dialog: None,
                lower_view,
                selected_tab: View::Gantt,
                is_live: false,
                is_live_available,
                is_presenting: false,
                is_blank: false,
                has_pointer_halo: false,
                shortcuts_disabled: false,
                is_to_scale: false,
                compares_files: false,
                theme: Theme::System,
                reduced_motion,
            },
            sizes: Sizes::default(),
            search: ViolationSearch::new(),
            notes_channel: NotesChannel::open(ctx.link().callback(Msg::NotesMessage)),
            vote_timer: None,
            panel_cache: PanelCache::default(),
            painters: RefCell::default(),
            last_panel_draw: (0, 0.0),
            search_worker: None,
            last_report_at: 0.0,
            frames,
            last_frame: None,
            draw_started_at: 0.0,
            draw_ms: 0.0,
            must_measure: true,
            measure_timeout: None,
            focus_after_draw: None,
            long_press: None,
            toast_timeout: None,
            _listeners: listeners(ctx),
        };
        if starts_live {
            app.enter_live(ctx);
        }
        app.update_frame_request();
        app
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let toast = self.workspace.toast.clone();
        let layout =
            |app: &Self| (app.workspace.comparison.is_some(), app.is_stale(), app.ui.is_presenting);
        let before = layout(self);
        let must_draw = self.handle(ctx, msg);
        self.must_measure |= layout(self) != before;
        self.update_frame_request();
        if let Some(notes) = &mut self.notes_channel {
            let seconds_left = self.vote_timer.as_ref().map(VoteTimer::seconds_left);
            notes.publish(|| Notes::from_workspace(&self.workspace, seconds_left));
        }
        if self.workspace.toast.is_some() && self.workspace.toast != toast {
            let expired = ctx.link().callback(|()| Msg::ToastExpired);
            // What offers something is to be read and pressed.
            let has_actions =
                self.workspace.toast.as_ref().is_some_and(|it| !it.actions.is_empty());
            let shown_ms = if has_actions { TOAST_MS } else { TOAST_MS / 2 };
            self.toast_timeout = Some(Timeout::new(shown_ms, move || expired.emit(())));
        }
        if must_draw {
            self.draw_started_at = browser::now();
        }
        must_draw
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        self.page_view(ctx)
    }

    fn rendered(&mut self, ctx: &Context<Self>, _: bool) {
        self.paint();
        // The first time nobody has asked for it.
        if self.draw_started_at > 0.0 {
            self.draw_ms = browser::now() - self.draw_started_at;
        }
        if let Some(selector) = self.focus_after_draw.take() {
            browser::focus(selector);
        }
        // Whatever opens or closes leaves the pictures more room or less. Where nothing is known to
        // have done so it is looked when all is laid out: asked at once, the browser would have to
        // do that twice.
        if self.must_measure {
            self.measure(ctx);
            return;
        }
        let wait = if self.is_animating() { MEASURE_INTERVAL_MS } else { LAYOUT_MS };
        if self.measure_timeout.as_ref().is_none_or(|(_, longer)| wait < *longer) {
            let measure = ctx.link().callback(|()| Msg::Measure);
            self.measure_timeout = Some((Timeout::new(wait, move || measure.emit(())), wait));
        }
    }
}

impl App {
    /// Frames are asked for only while something moves.
    fn update_frame_request(&self) {
        self.frames.set_requested(self.is_animating() || !self.workspace.timeline().is_complete());
    }

    /// Looks how large the places of the pictures are.
    pub(super) fn measure(&mut self, ctx: &Context<Self>) {
        (self.must_measure, self.measure_timeout) = (false, None);
        let size = |id: &str| browser::inner_size(id).unwrap_or_default();
        let sizes = Sizes { stage: size("stage"), lower: size("lower"), tape: size("tape") };
        if sizes != self.sizes {
            ctx.link().send_message(Msg::SizesMeasured(sizes));
        }
    }

    /// Whether time goes by.
    pub(super) fn is_animating(&self) -> bool {
        self.workspace.player.is_playing || (self.workspace.is_following && !self.is_stale())
    }

    /// The place of a picture of this size, with letters as large as one reads them there.
    pub(crate) fn area(&self, (width, height): (f64, f64)) -> Area {
        let em = if self.ui.is_presenting {
            27.0
        } else if width < 480.0 {
            12.0
        } else {
            13.0
        };
        Area { width: width.max(120.0), height: height.max(60.0), em }
    }
}

pub(crate) type Pictures = Rc<Vec<(&'static str, Rc<Picture>)>>;
