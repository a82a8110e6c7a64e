//! The page's side of the browser: performs the effects of messages, paints the pictures, and
//! measures their areas.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::{Interval, Timeout};
use leasehold_core::id::Name;
use leasehold_sim::TimeLabels as _;
use yew::html::Scope;
use yew::platform::spawn_local;

use super::app::App;
use super::keyboard::{self, PageKeys};
use super::notes_window::{self, NotesChannel};
use super::page_history::PageHistory;
use super::painter::Painter;
use crate::area::effect::{Effect, PictureFormat, Timer};
use crate::area::layout::{LayoutMsg, Theme};
use crate::area::live::LiveMsg;
use crate::area::message::Msg;
use crate::area::page_state::PageState;
use crate::area::player::PlayerMsg;
use crate::area::present::PresentMsg;
use crate::area::search::SearchMsg;
use crate::area::selection::SelectionMsg;
use crate::area::share::ShareMsg;
use crate::browser;
use crate::feed::connection::SocketEvent;
use crate::feed::resume_point::ResumePoint;
use crate::feed::search_protocol::WorkerEvent;
use crate::feed::search_worker::SearchWorker;
use crate::feed::socket::{self, Socket};
use crate::picture::shape::Picture;
use crate::picture::workspace_pictures::Sizes;

/// The interval between measurements of the picture areas during animation, in milliseconds.
const MEASURE_INTERVAL_MS: u32 = 250;

/// How long to wait for the browser's layout before measuring otherwise, in milliseconds.
const LAYOUT_MS: u32 = 20;

/// The name under which the browser stores the user's progress.
pub(super) const PROGRESS_KEY: &str = "leasehold-progress";

pub(super) struct Host {
    link: Scope<App>,
    frames: browser::Frames,
    timers: Vec<(Timer, RunningTimer)>,
    socket: Option<Socket>,
    search_worker: Option<SearchWorker>,
    page_history: PageHistory,
    notes_channel: Option<NotesChannel>,
    painters: BTreeMap<&'static str, Painter>,
    /// The selectors of the element to focus after the next drawing.
    focus_after_draw: Option<Vec<String>>,
    /// The selector of the element to scroll to after the next drawing.
    scroll_after_draw: Option<&'static str>,
    must_measure: bool,
    /// The pending measurement of the picture areas, and its delay in milliseconds.
    pending_measurement: Option<(Timeout, u32)>,
    /// What the keyboard must know of the page.
    page_keys: Rc<Cell<PageKeys>>,
    _listeners: Vec<EventListener>,
}

/// Retained, because dropping it stops the timer.
enum RunningTimer {
    Once(#[allow(dead_code, reason = "dropped to stop it")] Timeout),
    Repeated(#[allow(dead_code, reason = "dropped to stop it")] Interval),
}

impl Host {
    pub(super) fn new(link: &Scope<App>) -> Self {
        let page_keys = Rc::default();
        let (page_history, history_listener) = PageHistory::new(link);
        let mut listeners = keyboard::listeners(link, &page_keys);
        listeners.extend(window_listeners(link));
        listeners.extend(history_listener);
        Self {
            link: link.clone(),
            frames: browser::Frames::new(link.callback(PlayerMsg::Frame)),
            timers: Vec::new(),
            socket: None,
            search_worker: None,
            page_history,
            notes_channel: NotesChannel::open(link.callback(PresentMsg::NotesWindow)),
            painters: BTreeMap::new(),
            focus_after_draw: None,
            scroll_after_draw: None,
            must_measure: true,
            pending_measurement: None,
            page_keys,
            _listeners: listeners,
        }
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Focus(selectors) => self.focus_after_draw = Some(selectors),
            Effect::ScrollTo(selector) => self.scroll_after_draw = Some(selector),
            Effect::FocusNeighbour { forward } => {
                browser::focus_neighbour(forward);
                self.link.send_message(SelectionMsg::Focused(keyboard::focused_target()));
            }
            Effect::Measure => self.must_measure = true,
            Effect::MeasureNow => self.measure_now(),
            Effect::SetAddress(address) => self.page_history.set(&address),
            Effect::SetTheme(theme) => set_theme(theme),
            Effect::StartTimer(timer, delay_ms) => self.start_timer(timer, delay_ms),
            Effect::StopTimer(timer) => self.timers.retain(|(it, _)| *it != timer),
            Effect::OpenSocket(after) => self.open_socket(after),
            Effect::CloseSocket => self.socket = None,
            Effect::FetchFile(name) => self.fetch_file(name),
            Effect::FetchState => {
                let link = self.link.clone();
                spawn_local(async move {
                    link.send_message(LiveMsg::StateFetched(socket::fetch_state().await));
                });
            }
            Effect::StartSearch(request) => {
                self.load_search_worker();
                match &self.search_worker {
                    Some(worker) => worker.start(&request),
                    None => self.link.send_message(SearchMsg::Worker(WorkerEvent::Unavailable)),
                }
            }
            Effect::StopSearch => {
                if let Some(worker) = &self.search_worker {
                    worker.stop();
                }
            }
            Effect::LoadSearch => self.load_search_worker(),
            Effect::CopyLink(query) => {
                let done = self.link.callback(ShareMsg::LinkCopied);
                browser::copy_text(&browser::page_url(&query), done);
            }
            Effect::CopyTest(text) => {
                browser::copy_text(&text, self.link.callback(ShareMsg::TestCopied));
            }
            Effect::OpenShareSheet { title, query } => {
                browser::open_share_sheet(&title, &browser::page_url(&query));
            }
            Effect::SaveText { file_name, media_type, text } => {
                browser::download_text(&file_name, media_type, &text);
            }
            Effect::SavePicture { file_name, picture, format } => {
                save_picture(&file_name, &picture, format);
            }
            Effect::ReadFile(file) => {
                browser::read_file(&file, self.link.callback(ShareMsg::FileRead));
            }
            Effect::OpenNotesWindow => notes_window::open_window(),
            Effect::PostNotes(notes) => {
                if let Some(channel) = &self.notes_channel {
                    channel.post(&notes);
                }
            }
            Effect::ToggleFullScreen => browser::toggle_full_screen(),
            Effect::KeepAwake => browser::keep_awake(),
            Effect::StoreProgress(progress) => browser::store(PROGRESS_KEY, &progress),
        }
    }

    fn open_socket(&mut self, after: Option<ResumePoint>) {
        // Close the old socket first, so that none of its messages arrive in between.
        self.socket = None;
        self.socket = Socket::open(after, &self.link.callback(LiveMsg::Socket));
        if self.socket.is_none() {
            self.link.send_message(LiveMsg::Socket(SocketEvent::Closed));
        }
    }

    fn start_timer(&mut self, timer: Timer, delay_ms: u32) {
        let link = self.link.clone();
        let fire = move || link.send_message(Msg::from_timer(timer));
        let running = if timer.is_repeated() {
            RunningTimer::Repeated(Interval::new(delay_ms, fire))
        } else {
            RunningTimer::Once(Timeout::new(delay_ms, fire))
        };
        self.timers.retain(|(it, _)| *it != timer);
        self.timers.push((timer, running));
    }

    /// Loads the worker that searches, unless it is loaded.
    fn load_search_worker(&mut self) {
        if self.search_worker.as_ref().is_none_or(|worker| !worker.is_usable()) {
            let callback = self.link.callback(SearchMsg::Worker);
            self.search_worker = browser::meta_content("leasehold-worker")
                .and_then(|script| SearchWorker::load(&script, &callback));
        }
    }

    fn fetch_file(&self, name: Name) {
        let link = self.link.clone();
        spawn_local(async move {
            let bytes = socket::fetch_file(&name).await;
            link.send_message(LiveMsg::FileFetched(name, bytes));
        });
    }

    /// Adapts to the state after a message: animation frames are requested only while they are
    /// needed, and some keys depend on what the page shows.
    pub(super) fn follow(&self, state: &PageState) {
        self.frames.set_requested(state.needs_frames());
        self.page_keys.set(PageKeys::from_state(state));
    }

    /// Paints all pictures on the page, and updates the clock.
    pub(super) fn paint(&mut self, state: &PageState) {
        if state.start.is_shown {
            return;
        }
        for (id, picture, focus) in state.pictures().shown() {
            if let Some(svg) = browser::element(id) {
                let painter = self.painters.entry(id).or_default();
                painter.paint(&svg, picture, focus, state.is_animating());
            }
        }
        let timeline = state.workspace.timeline();
        let labels = [timeline.now(), timeline.end()].map(|at| timeline.time_display().label(at));
        browser::show_time(timeline.now(), &labels[0], &labels[1]);
    }

    /// Focuses and measures as requested, after the page has been drawn.
    pub(super) fn page_drawn(&mut self, state: &PageState) {
        if let Some(selectors) = self.focus_after_draw.take() {
            browser::focus_first(&selectors);
        }
        if let Some(selector) = self.scroll_after_draw.take() {
            browser::scroll_into_view(selector);
        }
        // Opening or closing an element can resize the pictures. Unless that is known to have
        // happened, measure after the browser's layout: measuring now would force a second layout.
        if self.must_measure {
            self.measure_now();
            return;
        }
        let delay = if state.is_animating() { MEASURE_INTERVAL_MS } else { LAYOUT_MS };
        if self.pending_measurement.as_ref().is_none_or(|(_, pending)| delay < *pending) {
            let link = self.link.clone();
            let on_timeout = move || link.send_message(LayoutMsg::Measure);
            self.pending_measurement = Some((Timeout::new(delay, on_timeout), delay));
        }
    }

    /// Measures the picture areas.
    fn measure_now(&mut self) {
        (self.must_measure, self.pending_measurement) = (false, None);
        let size = |id: &str| browser::inner_size(id).unwrap_or_default();
        let sizes = Sizes { stage: size("stage"), lower: size("lower"), tape: size("tape") };
        self.link.send_message(LayoutMsg::SizesMeasured(sizes));
    }
}

/// Registers the listeners of the window. They are removed when they are dropped.
fn window_listeners(link: &Scope<App>) -> Vec<EventListener> {
    let (Some(window), Some(document)) = (browser::window(), browser::document()) else {
        return Vec::new();
    };
    let resized = link.callback(|()| LayoutMsg::Resized);
    // A reload of a playing run keeps the moment too.
    let leaving = link.callback(|()| ShareMsg::SaveMoment);
    // Hints that a lost server may be reachable again.
    let retry = link.callback(|()| LiveMsg::RetryNow);
    let visible = retry.clone();
    vec![
        EventListener::new(&window, "resize", move |_| resized.emit(())),
        EventListener::new(&document, "visibilitychange", move |_| visible.emit(())),
        EventListener::new(&window, "beforeunload", move |_| leaving.emit(())),
        EventListener::new(&window, "online", move |_| retry.emit(())),
    ]
}

fn save_picture(file_name: &str, picture: &Picture, format: PictureFormat) {
    let svg = picture.to_svg(&browser::picture_style());
    match format {
        PictureFormat::Svg => browser::download_text(file_name, "image/svg+xml", &svg),
        PictureFormat::Png(scale) => {
            let size = (picture.width, picture.height);
            browser::download_png(file_name, &svg, size, f64::from(scale));
        }
    }
}

fn set_theme(theme: Theme) {
    let Some(root) = browser::document().and_then(|document| document.document_element()) else {
        return;
    };
    // Cannot fail: the attribute's name is well formed.
    match theme {
        Theme::System => root.remove_attribute("data-theme").ok(),
        Theme::Light => root.set_attribute("data-theme", "light").ok(),
        Theme::Dark => root.set_attribute("data-theme", "dark").ok(),
    };
}
