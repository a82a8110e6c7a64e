//! The whole page: takes in keys, frames, and what is pressed, and hands them to the studio.

use std::rc::Rc;

use gloo_events::{EventListener, EventListenerOptions};
use gloo_timers::callback::Timeout;
use leasehold_core::sim::{Interest, Moment, Protection, RecordNo, Run, Scenario, Trace};
use wasm_bindgen::JsCast as _;
use web_sys::{File, KeyboardEvent};
use yew::{Component, Context, Html};

use super::derived::Derived;
use super::dialogs::Export;
use super::draw::Pointing;
use super::exports;
use crate::browser;
use crate::feed::worker::{Searcher, Told};
use crate::model::compare::Mode as CompareMode;
use crate::model::faults::Fault;
use crate::model::hunt::{Hunt, Report};
use crate::model::keys::{Act, Press, View, Where, act};
use crate::model::lesson::Phase;
use crate::model::link::Link;
use crate::model::studio::{Offer, Studio};
use crate::picture::axis::Axis;
use crate::picture::gantt::label_width;
use crate::picture::shape::{Place, Target};

/// How long a finger rests on something before its menu opens, in milliseconds.
const LONG_PRESS_MS: u32 = 500;

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
    /// Whether the answer's panel was closed.
    pub(crate) has_closed_answer: bool,
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

pub(crate) struct App {
    pub(crate) studio: Studio,
    pub(crate) ui: Ui,
    pub(crate) sizes: Sizes,
    pub(crate) hunt: Hunt,
    pub(crate) derived: Derived,
    searcher: Option<Searcher>,
    heard_at: f64,
    frames: browser::Frames,
    last_frame: Option<f64>,
    must_measure: bool,
    press: Option<Timeout>,
    toast_ends: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

pub(crate) enum Msg {
    Act(Act),
    Frame(f64),
    Resized,
    Measured(Sizes),
    Point(View, Pointing),
    Press(Option<Target>),
    LongPressed(Target),
    Time(Moment),
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
    All,
    MoreRows,
    Tab(View),
    Lower(View),
    Scale,
    AgainstCorrect,
    CompareMode(CompareMode),
    Offer(Offer),
    ToastEnds,
    Quiet,
    Theme,
    Bounds(leasehold_core::sim::Bounds),
    SearchStart,
    SearchStop,
    SearchTold(Told),
    SearchPlay,
    Export(Export),
    Import(File),
    Imported(Option<String>),
    Copied(bool),
    Live(bool),
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
        let app = Self {
            studio,
            ui: Ui {
                open: None,
                lower,
                tab: View::Gantt,
                is_live: can_live && link.is_live,
                can_live,
                presents: false,
                is_blank: false,
                has_halo: false,
                is_quiet: false,
                is_to_scale: false,
                compares_files: false,
                has_closed_answer: false,
                theme: Theme::System,
                is_still,
            },
            sizes: Sizes::default(),
            hunt: Hunt::new(),
            derived: Derived::default(),
            searcher: None,
            heard_at: 0.0,
            frames,
            last_frame: None,
            must_measure: true,
            press: None,
            toast_ends: None,
            _listeners: listeners(ctx),
        };
        app.want_frames();
        app
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let toast = self.studio.toast.clone();
        let draws = self.take(ctx, msg);
        self.want_frames();
        if self.studio.toast.is_some() && self.studio.toast != toast {
            let ends = ctx.link().callback(|()| Msg::ToastEnds);
            self.toast_ends = Some(Timeout::new(TOAST_MS, move || ends.emit(())));
        }
        draws
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        self.page(ctx)
    }

    fn rendered(&mut self, ctx: &Context<Self>, _: bool) {
        if !std::mem::take(&mut self.must_measure) {
            return;
        }
        let size = |id: &str| browser::size_of(id).unwrap_or_default();
        let sizes = Sizes { stage: size("stage"), lower: size("lower"), tape: size("tape") };
        if sizes != self.sizes {
            ctx.link().send_message(Msg::Measured(sizes));
        }
    }
}

fn listeners(ctx: &Context<App>) -> Vec<EventListener> {
    let Some(window) = browser::window() else { return Vec::new() };
    let link = ctx.link().clone();
    let keys = move |event: &web_sys::Event| {
        if let Some(event) = event.dyn_ref::<KeyboardEvent>() {
            take_key(&link, event);
        }
    };
    let resized = ctx.link().callback(|()| Msg::Resized);
    let options = EventListenerOptions::enable_prevent_default();
    vec![
        EventListener::new_with_options(&window, "keydown", options, keys),
        EventListener::new(&window, "resize", move |_| resized.emit(())),
    ]
}

/// Reads a key. Where it is one of the page's, the browser doesn't do what it would.
fn take_key(link: &yew::html::Scope<App>, event: &KeyboardEvent) {
    let is_open = browser::focus_is_in("dialog");
    let asked = browser::element("question").is_some_and(|it| it.class_name() == "asked");
    let (key, code) = (event.key(), event.code());
    let press = Press {
        key: &key,
        code: &code,
        shift: event.shift_key(),
        control: event.ctrl_key() || event.meta_key(),
        alt: event.alt_key(),
    };
    let on_range = browser::focus_is_in("input[type=range]");
    let at = Where {
        types: browser::focus_is_in("input:not([type=range]), textarea, select"),
        presses: browser::focus_is_in("button, a, label, summary") && !on_range,
        on_time: browser::focus_is_in("[data-time]"),
        in_picture: browser::focus_is_in("svg.picture"),
        is_asked: asked,
        presents: browser::element("page").is_some_and(|it| it.class_list().contains("presenting")),
        is_quiet: browser::element("page").is_some_and(|it| it.class_list().contains("quiet-keys")),
    };
    // A dialog has its own keys: the browser's.
    if is_open {
        return;
    }
    if let Some(act) = act(press, at) {
        event.prevent_default();
        link.send_message(Msg::Act(act));
    }
}

impl App {
    /// Frames are asked for only while something moves.
    fn want_frames(&self) {
        let film = self.studio.film();
        let moves = self.studio.player.is_playing && !self.ui.is_live;
        self.frames.want(moves || !film.is_whole());
    }

    fn take(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Act(act) => return self.act(ctx, act),
            Msg::Frame(at) => {
                let passed = self.last_frame.map_or(16.0, |last| at - last);
                let was_playing = self.studio.player.is_playing;
                let draws = self.studio.tick(passed);
                let goes_on = self.studio.player.is_playing;
                self.last_frame = goes_on.then_some(at);
                if was_playing && !goes_on && self.studio.lesson.phase == Phase::Asked {
                    self.ui.has_closed_answer = false;
                }
                return draws;
            }
            Msg::Resized => self.must_measure = true,
            Msg::Measured(sizes) => self.sizes = sizes,
            Msg::Point(view, pointing) => self.point(view, pointing),
            Msg::Press(target) => {
                self.press = target.map(|target| {
                    let link = ctx.link().clone();
                    let pressed = move || link.send_message(Msg::LongPressed(target));
                    Timeout::new(LONG_PRESS_MS, pressed)
                });
                return false;
            }
            Msg::LongPressed(target) => self.open_menu(target),
            Msg::Time(moment) => self.studio.go_to(moment),
            Msg::Record(record) => self.studio.go_to_record(record),
            Msg::Fault(fault) => {
                self.ui.open = None;
                match fault.barred {
                    None => self.studio.meddle(fault.action, &fault.text),
                    Some(why) => self.studio.say(&format!("{}: {why}.", fault.text), Vec::new()),
                }
            }
            Msg::Protection(protection) => {
                self.studio.toggle(protection);
                self.keep_address();
            }
            Msg::Seed(seed) => {
                self.studio.reseed(seed);
                self.keep_address();
            }
            Msg::Choose(no) => {
                let scenario = self.studio.library.get(no).cloned();
                self.ui.open = None;
                if let Some(scenario) = scenario {
                    self.show(scenario);
                }
            }
            Msg::Close => self.ui.open = None,
            Msg::Vote(option) => self.studio.lesson.vote(option),
            Msg::Reveal => self.studio.reveal(),
            Msg::Why => self.why(),
            Msg::CloseAnswer => self.ui.has_closed_answer = true,
            other => return self.take_more(ctx, other),
        }
        true
    }

    fn take_more(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Least(least) => self.studio.filter.least = least,
            Msg::All => (self.studio.filter.node, self.studio.filter.lock) = (None, None),
            Msg::MoreRows => self.studio.rows += crate::model::log::ROWS_STEP,
            Msg::Tab(view) => {
                self.ui.tab = view;
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower = view;
                }
                self.must_measure = true;
            }
            Msg::Lower(view) => self.ui.lower = view,
            Msg::Scale => self.ui.is_to_scale = !self.ui.is_to_scale,
            Msg::AgainstCorrect => self.ui.compares_files = !self.ui.compares_files,
            Msg::CompareMode(mode) => {
                if let Some(compare) = &mut self.studio.compare {
                    compare.mode = mode;
                }
            }
            Msg::Offer(offer) => self.take_offer(offer),
            Msg::ToastEnds => self.studio.toast = None,
            Msg::Quiet => self.ui.is_quiet = !self.ui.is_quiet,
            Msg::Theme => self.next_theme(),
            Msg::Export(export) => exports::export(self, ctx, export),
            Msg::Import(file) => {
                let imported = ctx.link().callback(Msg::Imported);
                browser::read_file(&file, imported);
                return false;
            }
            Msg::Imported(text) => self.import(text.as_deref()),
            Msg::Copied(done) => {
                let text = if done {
                    "The link is on the clipboard."
                } else {
                    self.ui.open = Some(Open::Exports);
                    "The browser keeps the clipboard closed: copy the link from here."
                };
                self.studio.say(text, Vec::new());
            }
            Msg::Live(is_live) => self.set_live(is_live),
            Msg::Bounds(bounds) => self.hunt.bounds = bounds,
            Msg::SearchStart => self.start_search(ctx),
            Msg::SearchStop => {
                self.searcher = None;
                self.hunt.stop();
            }
            Msg::SearchTold(told) => self.hear_search(told),
            Msg::SearchPlay => {
                let found = self.hunt.found.as_ref().and_then(|found| found.scenario());
                if let Some(scenario) = found {
                    self.ui.open = None;
                    self.studio.show(scenario);
                    self.studio.player.is_playing = !self.ui.is_still;
                }
            }
            _ => return false,
        }
        true
    }

    /// What a key or a button asks for.
    fn act(&mut self, ctx: &Context<Self>, act: Act) -> bool {
        let studio = &mut self.studio;
        match act {
            Act::PlayPause => studio.play_pause(),
            Act::Step { forward } => studio.step(forward),
            Act::Interesting { forward } => studio.interesting(forward),
            Act::OfNode { forward } => studio.of_selected_node(forward),
            Act::Start => studio.go_to(Moment::START),
            Act::End => {
                let end = studio.film().end();
                studio.go_to(end);
            }
            Act::Slower => studio.player.slower(),
            Act::Faster => studio.player.faster(),
            Act::AutoPace => studio.player.speed = crate::model::player::Speed::Auto,
            Act::Nudge { forward } => studio.nudge(forward),
            Act::Stop { forward } => studio.stop(forward),
            Act::Vote(option) => studio.lesson.vote(option),
            Act::Fault(key) => studio.fault_by_key(key),
            Act::NextViolation => studio.next_violation(),
            Act::Protection(no) => {
                if let Some(protection) = Protection::ALL.get(no) {
                    studio.toggle(*protection);
                    self.keep_address();
                }
            }
            Act::Compare => studio.toggle_compare(),
            Act::Undo => studio.undo(),
            Act::Redo => studio.redo(),
            Act::Zoom { closer } => studio.zoom(closer),
            Act::Pan { forward } => studio.pan(forward),
            Act::FitTime => studio.window = None,
            Act::Quiz => studio.toggle_lesson(),
            Act::Enter | Act::Escape | Act::View(_) | Act::Item { .. } => self.look(act),
            other => return self.arrange(ctx, other),
        }
        if matches!(act, Act::Undo | Act::Redo | Act::Compare) {
            self.keep_address();
            self.must_measure = true;
        }
        true
    }

    /// What changes where one looks.
    fn look(&mut self, act: Act) {
        match act {
            Act::Enter => {
                if self.studio.lesson.phase == Phase::Asked {
                    self.studio.reveal();
                } else if let Some(target) = focused_target().or(self.studio.selected) {
                    self.open_menu(target);
                }
            }
            Act::Escape => {
                let studio = &mut self.studio;
                if self.ui.is_blank {
                    self.ui.is_blank = false;
                } else if studio.toast.take().is_some() {
                } else if studio.compare.take().is_some() {
                    self.must_measure = true;
                } else if studio.lesson.phase == Phase::Out && !self.ui.has_closed_answer {
                    self.ui.has_closed_answer = true;
                } else if studio.selected.take().is_none() && self.ui.presents {
                    self.present();
                }
            }
            Act::View(view) => {
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower = view;
                }
                self.ui.tab = view;
                self.must_measure = true;
                let inside = "[tabindex='0'], button";
                browser::focus(&format!("#panel-{} :is({inside})", view.hook()));
            }
            Act::Item { forward } => {
                browser::focus_neighbour(forward);
                self.studio.selected = focused_target().or(self.studio.selected);
            }
            _ => {}
        }
    }

    /// What changes how the page is arranged.
    fn arrange(&mut self, ctx: &Context<Self>, act: Act) -> bool {
        match act {
            Act::Scenarios => self.ui.open = Some(Open::Scenarios),
            Act::Search => self.ui.open = Some(Open::Search),
            Act::Help => self.ui.open = Some(Open::Help),
            Act::Legend => self.ui.open = Some(Open::Legend),
            Act::Export => self.ui.open = Some(Open::Exports),
            Act::CopyLink => exports::export(self, ctx, Export::Link),
            Act::Present => self.present(),
            Act::FullScreen => browser::toggle_full_screen(),
            Act::Blank => self.ui.is_blank = !self.ui.is_blank,
            Act::Halo => self.ui.has_halo = !self.ui.has_halo,
            Act::Live => self.set_live(!self.ui.is_live),
            _ => return false,
        }
        true
    }

    fn present(&mut self) {
        self.ui.presents = !self.ui.presents;
        self.must_measure = true;
        if self.ui.presents {
            // Projectors show light grounds better.
            self.ui.theme = Theme::Light;
            browser::keep_awake();
        } else {
            self.ui.theme = Theme::System;
        }
        set_theme(self.ui.theme);
    }

    fn next_theme(&mut self) {
        self.ui.theme = match self.ui.theme {
            Theme::System => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::System,
        };
        set_theme(self.ui.theme);
    }

    fn point(&mut self, view: View, pointing: Pointing) {
        self.press = None;
        match (pointing.target, pointing.menu) {
            (Some(target), Some(_)) => self.open_menu(target),
            (Some(Target::Record(record)), None) => self.studio.go_to_record(record),
            (Some(target), None) => {
                let again = self.studio.selected == Some(target);
                self.studio.selected = (!again).then_some(target);
            }
            (None, _) => match self.axis_of(view) {
                Some(axis) if pointing.x >= axis.left => {
                    self.studio.go_to(axis.moment(pointing.x));
                }
                Some(_) | None => self.studio.selected = None,
            },
        }
    }

    fn axis_of(&self, view: View) -> Option<Axis> {
        let place = self.place(self.sizes.lower);
        let (from, to) = self.studio.shown();
        let left = label_width(place);
        (view == View::Gantt).then_some(Axis { from, to, left, right: place.width - place.em })
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

    fn open_menu(&mut self, target: Target) {
        if matches!(target, Target::Lock(_) | Target::Record(_)) {
            self.studio.selected = Some(target);
            return;
        }
        self.studio.player.is_playing = false;
        self.studio.selected = Some(target);
        self.ui.open = Some(Open::Menu);
    }

    fn take_offer(&mut self, offer: Offer) {
        self.studio.toast = None;
        match offer {
            Offer::Undo => self.studio.undo(),
            Offer::Compare => {
                self.studio.compare = None;
                self.studio.toggle_compare();
                self.must_measure = true;
            }
            Offer::FromStart => {
                self.studio.go_to(Moment::START);
                self.studio.player.is_playing = !self.ui.is_still;
            }
        }
        self.keep_address();
    }

    /// Goes to what the answer rests on.
    fn why(&mut self) {
        if let Some(place) = self.studio.lesson.seen_at() {
            let film = self.studio.film();
            let records = film.step_at(place);
            let last = records.iter().rposition(|it| Interest::of(it) >= Interest::Release);
            let first = film.first_record_of(place);
            let record = RecordNo(first + u32::try_from(last.unwrap_or(0)).unwrap_or(0));
            self.studio.go_to_record(record);
        }
    }

    fn show(&mut self, scenario: Scenario) {
        self.studio.choose(scenario);
        self.ui.has_closed_answer = false;
        self.ui.is_live = false;
        self.studio.player.is_playing = !self.ui.is_still;
        self.must_measure = true;
        self.keep_address();
    }

    /// The address says which run this is, so that it is the same one when the page is loaded anew.
    fn keep_address(&self) {
        let mut link = self.studio.link();
        (link.at, link.digest) = (None, None);
        let query = link.write();
        if query.len() <= crate::model::link::LINK_LEN_MAX {
            browser::set_query(&query);
        }
    }

    fn set_live(&mut self, is_live: bool) {
        if is_live && !self.ui.can_live {
            self.studio.say(
                "This page was not served by a lock server. Start one: leasehold serve.",
                Vec::new(),
            );
            return;
        }
        self.ui.is_live = is_live;
        self.must_measure = true;
        self.last_frame = None;
        if is_live {
            browser::set_query("?mode=live");
        } else {
            self.keep_address();
        }
    }

    fn start_search(&mut self, ctx: &Context<Self>) {
        let order = self.hunt.begin(self.studio.film().run(), &self.studio.scenario);
        self.heard_at = browser::now();
        self.searcher = Searcher::start(&order, &ctx.link().callback(Msg::SearchTold));
        if self.searcher.is_none() {
            self.hunt.stop();
            self.hunt.text = "The browser can't start a worker for the search here.".to_owned();
        }
    }

    fn hear_search(&mut self, told: Told) {
        let now = browser::now();
        match told {
            Told::Report(text) => match serde_json::from_str::<Report>(&text) {
                Ok(report) => self.hunt.hear(report, now - self.heard_at),
                Err(error) => self.hunt.text = format!("The worker is not understood: {error}"),
            },
            Told::Failed => {
                self.hunt.stop();
                self.hunt.text = "The search could not be loaded.".to_owned();
            }
        }
        self.heard_at = now;
        if !self.hunt.is_running {
            self.searcher = None;
        }
    }

    fn import(&mut self, text: Option<&str>) {
        match read_trace(text.unwrap_or_default()) {
            Ok((scenario, note)) => {
                self.ui.open = None;
                self.studio.show(scenario);
                self.studio.say(&note, Vec::new());
                self.must_measure = true;
            }
            Err(error) => self.studio.say(&format!("That is no trace: {error}."), Vec::new()),
        }
    }
}

/// The target of the item that has the focus.
fn focused_target() -> Option<Target> {
    let focused = browser::document()?.active_element()?;
    Target::of_key(&focused.get_attribute("data-target")?)
}

fn set_theme(theme: Theme) {
    let Some(root) = browser::document().and_then(|document| document.document_element()) else {
        return;
    };
    // These can't fail: the names are well formed.
    match theme {
        Theme::System => root.remove_attribute("data-theme").ok(),
        Theme::Light => root.set_attribute("data-theme", "light").ok(),
        Theme::Dark => root.set_attribute("data-theme", "dark").ok(),
    };
}

/// A scenario, a run or a recording, whichever the text is; and a word on it.
fn read_trace(text: &str) -> Result<(Scenario, String), String> {
    if let Ok(scenario) = serde_json::from_str::<Scenario>(text) {
        scenario.run().validate().map_err(|error| error.to_string())?;
        let note = format!("A scenario: {}.", scenario.title);
        return Ok((scenario, note));
    }
    if let Ok(run) = serde_json::from_str::<Run>(text) {
        run.validate().map_err(|error| error.to_string())?;
        return Ok((of_run("run", &run), "A run, from its beginning.".to_owned()));
    }
    let trace = Trace::read(text)?;
    let same = trace.fingerprint == format!("{:016x}", trace.run.go().fingerprint);
    let note = if same {
        "A trace: it is replayed exactly as it was recorded."
    } else {
        "A trace, replayed with a newer model: the result differs from what was recorded."
    };
    Ok((of_run("trace", &trace.run), note.to_owned()))
}

/// A scenario around a run that has none: what it violates, or just the run.
fn of_run(name: &str, run: &Run) -> Scenario {
    Scenario::keep(name, run).unwrap_or_else(|| Scenario::around(name, run))
}

pub(crate) type Pictures = Rc<Vec<(&'static str, Rc<crate::picture::shape::Picture>)>>;
