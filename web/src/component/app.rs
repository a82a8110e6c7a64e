//! The whole page as a component: what it keeps, and what comes in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use leasehold_sim::{Bounds, Interest, Moment, Protection, RecordNo};
use web_sys::File;
use yew::{Callback, Component, Context, Html};

use super::derived::Derived;
use super::dialogs::Export;
use super::draw::Pointing;
use super::keyboard::listeners;
use super::live::{Live, News};
use super::notes::Channel;
use super::paint::Painter;
use super::question::Timer;
use crate::browser;
use crate::feed::worker::{Searcher, Told};
use crate::model::compare::Mode as CompareMode;
use crate::model::faults::Fault;
use crate::model::hunt::Hunt;
use crate::model::keys::{Act, View};
use crate::model::link::Link;
use crate::model::notes::Notes;
use crate::model::studio::{Offer, Studio};
use crate::picture::shape::{Picture, Place, Target};

/// How often it is looked, while something moves, how large the places of the pictures are, in
/// milliseconds.
const MEASURE_EVERY_MS: u32 = 250;

/// After so long what was drawn is laid out, where nothing moves.
const LAID_OUT_MS: u32 = 20;

/// How long a word on what was done stays, in milliseconds.
const TOAST_MS: u32 = 8_000;

/// What is open above the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
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
    pub(crate) open: Option<Open>,
    /// Which of the two time lines is shown.
    pub(crate) lower: View,
    /// Which panel is shown where there is room for one alone.
    pub(crate) tab: View,
    pub(crate) is_live: bool,
    pub(crate) can_live: bool,
    pub(crate) presents: bool,
    pub(crate) is_blank: bool,
    pub(crate) has_halo: bool,
    pub(crate) is_quiet: bool,
    pub(crate) is_to_scale: bool,
    pub(crate) compares_files: bool,
    pub(crate) theme: Theme,
    pub(crate) is_still: bool,
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
pub(crate) struct On {
    pub(crate) act: Callback<Act>,
    pub(crate) protection: Callback<Protection>,
    pub(crate) seed: Callback<u64>,
    pub(crate) fault: Callback<Fault>,
    pub(crate) menu: Callback<()>,
    pub(crate) only: Callback<()>,
    pub(crate) record: Callback<RecordNo>,
    pub(crate) least: Callback<Interest>,
    pub(crate) all: Callback<()>,
    pub(crate) more: Callback<()>,
    pub(crate) against: Callback<()>,
}

impl On {
    fn of(ctx: &Context<App>) -> Self {
        let link = ctx.link();
        Self {
            act: link.callback(Msg::Act),
            protection: link.callback(Msg::Protection),
            seed: link.callback(Msg::Seed),
            fault: link.callback(Msg::Fault),
            menu: link.callback(|()| Msg::Act(Act::Enter)),
            only: link.callback(|()| Msg::Only),
            record: link.callback(Msg::Record),
            least: link.callback(Msg::Least),
            all: link.callback(|()| Msg::All),
            more: link.callback(|()| Msg::MoreRows),
            against: link.callback(|()| Msg::AgainstCorrect),
        }
    }
}

pub(crate) struct App {
    pub(crate) on: On,
    /// What is shown …
    pub(crate) studio: Studio,
    /// … and what is not: the server, or what is simulated.
    pub(super) parked: Option<Studio>,
    pub(super) live: Option<Live>,
    pub(crate) ui: Ui,
    pub(crate) sizes: Sizes,
    pub(crate) hunt: Hunt,
    pub(super) notes: Option<Channel>,
    /// How long hands may still be raised, where that is limited.
    pub(super) timer: Option<Timer>,
    pub(crate) derived: Derived,
    pub(super) painters: RefCell<BTreeMap<&'static str, Painter>>,
    /// What is written on the page: which version of the run, and since when.
    pub(super) written: (u64, f64),
    pub(super) searcher: Option<Searcher>,
    pub(super) heard_at: f64,
    frames: browser::Frames,
    pub(super) last_frame: Option<f64>,
    /// When the page was last told to be drawn, and how long that took, in milliseconds.
    draw_began: f64,
    pub(super) draw_ms: f64,
    pub(super) must_measure: bool,
    /// Set where it is to be looked how large the places of the pictures are; and after how long.
    look: Option<(Timeout, u32)>,
    /// What gets the focus when it is there.
    pub(super) focus_next: Option<&'static str>,
    pub(super) press: Option<Timeout>,
    toast_ends: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

pub(crate) enum Msg {
    Act(Act),
    Frame(f64),
    Resized,
    Look,
    Measured(Sizes),
    Point(View, Pointing),
    Press(Option<Target>),
    LongPressed(Target),
    Time(Moment),
    /// The run is to go on to what has this name.
    Until(String),
    Record(RecordNo),
    Fault(Fault),
    Protection(Protection),
    Seed(u64),
    Choose(usize),
    Close,
    Vote(usize),
    Reveal,
    Why,
    CloseAnswer,
    Least(Interest),
    /// In the log what concerns the selected thing alone; or all of it.
    Only,
    All,
    MoreRows,
    Tab(View),
    Lower(View),
    Scale,
    HideLane,
    AllLanes,
    AgainstCorrect,
    CompareMode(CompareMode),
    Offer(Offer),
    ToastEnds,
    Quiet,
    Theme,
    Bounds(Bounds),
    SearchStart,
    SearchStop,
    SearchTold(Told),
    SearchPlay,
    Export(Export),
    Import(File),
    Imported(Option<String>),
    Copied(bool),
    Mode {
        is_live: bool,
    },
    Live(News),
    /// The second window has said something.
    Noted(String),
    /// Hands may be raised for so long; time passes.
    TimerStart,
    TimerTick,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let link = Link::read(&browser::query());
        let mut studio = Studio::open(&link);
        let is_still = browser::prefers("(prefers-reduced-motion: reduce)");
        // Whoever comes without a wish sees something move.
        let is_home = link.scenario.is_none() && link.config.is_none();
        studio.player.is_playing = is_home && !is_still && !link.is_live;
        let can_live = browser::meta("leasehold-server").as_deref() == Some("live");
        let lower = match link.view.as_deref() {
            Some("spacetime") => View::SpaceTime,
            _ => View::Gantt,
        };
        let frames = browser::Frames::new(ctx.link().callback(Msg::Frame));
        let starts_live = can_live && link.is_live;
        let mut app = Self {
            on: On::of(ctx),
            studio,
            parked: None,
            live: None,
            ui: Ui {
                open: None,
                lower,
                tab: View::Gantt,
                is_live: false,
                can_live,
                presents: false,
                is_blank: false,
                has_halo: false,
                is_quiet: false,
                is_to_scale: false,
                compares_files: false,
                theme: Theme::System,
                is_still,
            },
            sizes: Sizes::default(),
            hunt: Hunt::new(),
            notes: Channel::open(ctx.link().callback(Msg::Noted)),
            timer: None,
            derived: Derived::default(),
            painters: RefCell::default(),
            written: (0, 0.0),
            searcher: None,
            heard_at: 0.0,
            frames,
            last_frame: None,
            draw_began: 0.0,
            draw_ms: 0.0,
            must_measure: true,
            look: None,
            focus_next: None,
            press: None,
            toast_ends: None,
            _listeners: listeners(ctx),
        };
        if starts_live {
            app.enter_live(ctx);
        }
        app.want_frames();
        app
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let toast = self.studio.toast.clone();
        let layout = |app: &Self| (app.studio.compare.is_some(), app.is_stale(), app.ui.presents);
        let before = layout(self);
        let draws = self.take(ctx, msg);
        self.must_measure |= layout(self) != before;
        self.want_frames();
        if let Some(notes) = &mut self.notes {
            let left = self.timer.as_ref().map(Timer::left);
            notes.tell(|| Notes::of(&self.studio, left));
        }
        if self.studio.toast.is_some() && self.studio.toast != toast {
            let ends = ctx.link().callback(|()| Msg::ToastEnds);
            // What offers something is to be read and pressed.
            let offers = self.studio.toast.as_ref().is_some_and(|it| !it.offers.is_empty());
            let shown_ms = if offers { TOAST_MS } else { TOAST_MS / 2 };
            self.toast_ends = Some(Timeout::new(shown_ms, move || ends.emit(())));
        }
        if draws {
            self.draw_began = browser::now();
        }
        draws
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        self.page(ctx)
    }

    fn rendered(&mut self, ctx: &Context<Self>, _: bool) {
        self.paint();
        // The first time nobody has asked for it.
        if self.draw_began > 0.0 {
            self.draw_ms = browser::now() - self.draw_began;
        }
        if let Some(wanted) = self.focus_next.take() {
            browser::focus(wanted);
        }
        // Whatever opens or closes leaves the pictures more room or less. Where nothing is known to
        // have done so it is looked when all is laid out: asked at once, the browser would have to
        // do that twice.
        if self.must_measure {
            self.look_around(ctx);
            return;
        }
        let wait = if self.moves() { MEASURE_EVERY_MS } else { LAID_OUT_MS };
        if self.look.as_ref().is_none_or(|(_, longer)| wait < *longer) {
            let look = ctx.link().callback(|()| Msg::Look);
            self.look = Some((Timeout::new(wait, move || look.emit(())), wait));
        }
    }
}

impl App {
    /// Frames are asked for only while something moves.
    fn want_frames(&self) {
        self.frames.want(self.moves() || !self.studio.film().is_whole());
    }

    /// Looks how large the places of the pictures are.
    pub(super) fn look_around(&mut self, ctx: &Context<Self>) {
        (self.must_measure, self.look) = (false, None);
        let size = |id: &str| browser::size_of(id).unwrap_or_default();
        let sizes = Sizes { stage: size("stage"), lower: size("lower"), tape: size("tape") };
        if sizes != self.sizes {
            ctx.link().send_message(Msg::Measured(sizes));
        }
    }

    /// Whether time goes by.
    pub(super) fn moves(&self) -> bool {
        self.studio.player.is_playing || (self.studio.follows && !self.is_stale())
    }

    /// The place of a picture of this size, with letters as large as one reads them there.
    pub(crate) fn place(&self, (width, height): (f64, f64)) -> Place {
        let em = if self.ui.presents {
            27.0
        } else if width < 480.0 {
            12.0
        } else {
            13.0
        };
        Place { width: width.max(120.0), height: height.max(60.0), em }
    }
}

pub(crate) type Pictures = Rc<Vec<(&'static str, Rc<Picture>)>>;
