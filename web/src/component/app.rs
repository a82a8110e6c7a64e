//! The root component: the state of the page.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use leasehold_sim::{Importance, Protection, RecordId};
use yew::{Callback, Component, Context, Html};

use super::keyboard::listeners;
use super::live_connection::LiveConnection;
use super::messages::{Msg, RunMsg, ViewMsg, WindowMsg};
use super::notes_window::NotesChannel;
use super::painter::Painter;
use super::panel_cache::PanelCache;
use super::question::VoteTimer;
use crate::browser;
use crate::feed::search_worker::SearchWorker;
use crate::model::fault_options::FaultOption;
use crate::model::link::Link;
use crate::model::notes::Notes;
use crate::model::shortcuts::{Command, View};
use crate::model::violation_search::ViolationSearch;
use crate::model::workspace::Workspace;
use crate::picture::shape::{Area, Picture};

/// The interval between measurements of the picture areas during animation, in milliseconds.
const MEASURE_INTERVAL_MS: u32 = 250;

/// How long to wait for the browser's layout before measuring otherwise, in milliseconds.
const LAYOUT_MS: u32 = 20;

/// How long a toast with actions is shown, in milliseconds. Other toasts are shown for half of it.
const TOAST_MS: u32 = 8_000;

/// The open dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenDialog {
    Scenarios,
    Menu,
    Help,
    Legend,
    Exports,
    Search,
}

/// The arrangement of the page.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub(crate) struct Ui {
    pub(crate) open_dialog: Option<OpenDialog>,
    /// Which of the two timelines is shown.
    pub(crate) lower_view: View,
    /// The panel that is shown if the screen has space for only one.
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

/// The sizes of the picture areas, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) stage: (f64, f64),
    pub(crate) lower: (f64, f64),
    pub(crate) tape: (f64, f64),
}

/// The callbacks of the panels. They are created once, so that a panel whose other properties are
/// unchanged is not drawn again.
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
            protection: link.callback(RunMsg::ToggleProtection),
            seed: link.callback(RunMsg::SetSeed),
            fault: link.callback(RunMsg::InjectFault),
            menu: link.callback(|()| Msg::Command(Command::Enter)),
            filter_by_selection: link.callback(|()| ViewMsg::FilterBySelection),
            record: link.callback(RunMsg::GoToRecord),
            min_importance: link.callback(ViewMsg::SetMinImportance),
            clear_filter: link.callback(|()| ViewMsg::ClearFilter),
            more_rows: link.callback(|()| ViewMsg::MoreRows),
            toggle_file_comparison: link.callback(|()| ViewMsg::ToggleFileComparison),
        }
    }
}

pub(crate) struct App {
    pub(crate) callbacks: PanelCallbacks,
    /// The workspace that is shown …
    pub(crate) workspace: Workspace,
    /// … and the one that is not: the live view or the simulation.
    pub(super) inactive_workspace: Option<Workspace>,
    pub(super) live: Option<LiveConnection>,
    pub(crate) ui: Ui,
    pub(crate) sizes: Sizes,
    pub(crate) search: ViolationSearch,
    pub(super) notes_channel: Option<NotesChannel>,
    /// The time limit for votes, if the presenter has started one.
    pub(super) vote_timer: Option<VoteTimer>,
    pub(crate) panel_cache: PanelCache,
    pub(super) painters: RefCell<BTreeMap<&'static str, Painter>>,
    /// The revision that the panels show, and when they were drawn.
    pub(super) last_panel_draw: (u64, f64),
    pub(super) search_worker: Option<SearchWorker>,
    pub(super) last_report_at: f64,
    frames: browser::Frames,
    pub(super) last_frame: Option<f64>,
    /// When the last drawing of the page started, and how long it took, in milliseconds.
    draw_started_at: f64,
    pub(super) draw_ms: f64,
    pub(super) must_measure: bool,
    /// The pending measurement of the picture areas, and its delay in milliseconds.
    measure_timeout: Option<(Timeout, u32)>,
    /// The selector of the element to focus after the next drawing.
    pub(super) focus_after_draw: Option<&'static str>,
    pub(super) long_press: Option<Timeout>,
    toast_timeout: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let link = Link::parse(&browser::query());
        let mut workspace = Workspace::from_link(&link);
        let reduced_motion = browser::matches_media("(prefers-reduced-motion: reduce)");
        // The default page starts to play.
        let is_default_page = link.scenario.is_none() && link.config.is_none();
        workspace.player.is_playing = is_default_page && !reduced_motion && !link.is_live;
        let is_live_available =
            browser::meta_content("leasehold-server").as_deref() == Some("live");
        let lower_view = match link.view.as_deref() {
            Some("spacetime") => View::SpaceTime,
            _ => View::Gantt,
        };
        let frames = browser::Frames::new(ctx.link().callback(WindowMsg::Frame));
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
            let expired = ctx.link().callback(|()| ViewMsg::ToastExpired);
            // Toasts with buttons stay longer, because users must read and click them.
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
        // The first drawing was not requested by a message.
        if self.draw_started_at > 0.0 {
            self.draw_ms = browser::now() - self.draw_started_at;
        }
        if let Some(selector) = self.focus_after_draw.take() {
            browser::focus(selector);
        }
        // Opening or closing an element can resize the pictures. Unless that is known to have
        // happened, measure after the browser's layout: measuring now would force a second layout.
        if self.must_measure {
            self.measure(ctx);
            return;
        }
        let delay = if self.is_animating() { MEASURE_INTERVAL_MS } else { LAYOUT_MS };
        if self.measure_timeout.as_ref().is_none_or(|(_, pending)| delay < *pending) {
            let measure = ctx.link().callback(|()| WindowMsg::Measure);
            self.measure_timeout = Some((Timeout::new(delay, move || measure.emit(())), delay));
        }
    }
}

impl App {
    /// Requests animation frames only while the page is animating or the run is incomplete.
    fn update_frame_request(&self) {
        self.frames.set_requested(self.is_animating() || !self.workspace.timeline().is_complete());
    }

    /// Measures the picture areas.
    pub(super) fn measure(&mut self, ctx: &Context<Self>) {
        (self.must_measure, self.measure_timeout) = (false, None);
        let size = |id: &str| browser::inner_size(id).unwrap_or_default();
        let sizes = Sizes { stage: size("stage"), lower: size("lower"), tape: size("tape") };
        if sizes != self.sizes {
            ctx.link().send_message(WindowMsg::SizesMeasured(sizes));
        }
    }

    /// Whether time advances.
    pub(super) fn is_animating(&self) -> bool {
        self.workspace.player.is_playing || (self.workspace.is_following && !self.is_stale())
    }

    /// Returns the area of a picture of this size, with a font size that is readable there.
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
