//! Live: the connection to the server that served this page, and what comes over it.

use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use leasehold_core::id::Name;
use leasehold_core::time::Time;
use leasehold_sim::Moment;
use yew::Context;
use yew::platform::spawn_local;

use super::app::{App, Msg};
use crate::browser::{self, now as monotonic, random};
use crate::feed::clock::ServerClock;
use crate::feed::connection::{Connection, Order, Status};
use crate::feed::socket::{self, Brought, Socket};
use crate::model::footage::{Heard, Recorder};
use crate::model::studio::{Offer, Studio};

/// How often the connection is looked after.
const TICK_MS: u32 = 250;

/// The connection.
pub(crate) struct Live {
    connection: Connection,
    socket: Option<Socket>,
    /// When it began, on the browser's clock.
    began: f64,
    clock: ServerClock,
    pub(super) recorder: Option<Recorder>,
    told: &'static str,
    /// Kept, since they end when they are dropped.
    _ticks: Interval,
    _wakers: Vec<EventListener>,
}

/// What comes in.
pub(crate) enum News {
    Brought(Brought),
    Fetched(Name, Option<Vec<u8>>),
    /// What is so on the server when a recording begins.
    Began(Option<String>),
    Tick,
    Wake,
    /// Recording begins, or ends.
    Record,
    /// Back to what happens now.
    Follow,
}

impl Live {
    fn start(ctx: &Context<App>) -> Self {
        let tick = ctx.link().callback(|()| Msg::Live(News::Tick));
        let now = monotonic();
        Self {
            connection: Connection::connecting(now),
            socket: None,
            began: now,
            clock: ServerClock::default(),
            recorder: None,
            told: "",
            _ticks: Interval::new(TICK_MS, move || tick.emit(())),
            _wakers: wakers(ctx),
        }
    }

    /// What may be said about the connection.
    pub(super) fn status(&self) -> Status {
        self.connection.status(monotonic())
    }

    /// The moment it is.
    pub(super) fn moment(&self) -> Moment {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = ((monotonic() - self.began).max(0.0) * 1_000.0) as u64;
        Moment::from_micros(micros)
    }

    /// What the server's clock shows, as long as it is heard.
    fn server_time(&self) -> Option<Time> {
        let shown = self.clock.shows(monotonic()).filter(|_| self.status() == Status::Live)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millis = shown.max(0.0) as u64;
        Some(Time::from_millis(millis))
    }

    /// A message has come. What was known of the server's clock before a silence is worth nothing:
    /// it stands still while its machine sleeps.
    #[allow(clippy::cast_precision_loss, reason = "a server's clock stays below 2^53 ms")]
    fn heard(&mut self, heard: Heard) {
        if heard.is_anew || self.status() != Status::Live {
            self.clock = ServerClock::default();
        }
        self.connection.heard(monotonic());
        if let Some(at) = heard.at {
            self.clock.heard(at.as_millis() as f64, monotonic());
        }
    }

    fn lose(&mut self) {
        self.socket = None;
        self.connection.lost(monotonic(), random());
    }
}

impl App {
    /// Shows the server, or what is simulated.
    pub(super) fn set_live(&mut self, ctx: &Context<Self>, is_live: bool) {
        if is_live && !self.ui.can_live {
            self.studio.say(
                "This page was not served by a lock server. Start one: leasehold serve.",
                Vec::new(),
            );
            return;
        }
        if is_live {
            self.enter_live(ctx);
            browser::set_query("?mode=live");
        } else {
            self.leave_live();
            self.keep_address();
        }
    }

    pub(super) fn enter_live(&mut self, ctx: &Context<Self>) {
        if self.ui.is_live {
            return;
        }
        if self.live.is_none() {
            self.live = Some(Live::start(ctx));
            self.parked = Some(self.studio.of_server());
        }
        self.change_rooms(true);
        if self.live.as_ref().is_some_and(|live| live.socket.is_none()) {
            self.connect(ctx);
        }
        self.ui.lower = crate::model::keys::View::Gantt;
    }

    /// Goes back to what is simulated. The server is listened to all the same.
    pub(super) fn leave_live(&mut self) {
        if self.ui.is_live {
            self.change_rooms(false);
        }
    }

    fn change_rooms(&mut self, is_live: bool) {
        if let Some(parked) = &mut self.parked {
            std::mem::swap(parked, &mut self.studio);
            self.ui.is_live = is_live;
            self.must_measure = true;
            self.last_frame = None;
        }
    }

    fn live_studio(&mut self) -> Option<&mut Studio> {
        if self.ui.is_live { Some(&mut self.studio) } else { self.parked.as_mut() }
    }

    fn connect(&mut self, ctx: &Context<Self>) {
        let index = self.live_studio().and_then(|studio| studio.index());
        let Some(live) = &mut self.live else { return };
        // The old one first: nothing of it may come between.
        live.socket = None;
        let brought = ctx.link().callback(|brought| Msg::Live(News::Brought(brought)));
        live.socket = Socket::open(index, &brought);
        if live.socket.is_none() {
            live.lose();
        }
    }

    /// What comes of the server. Says whether the page is to be drawn anew.
    pub(super) fn take_live(&mut self, ctx: &Context<Self>, news: News) -> bool {
        match news {
            News::Brought(Brought::Message(text)) => self.hear(ctx, &text),
            News::Brought(Brought::Closed) => {
                if let Some(live) = &mut self.live {
                    live.lose();
                }
            }
            News::Fetched(name, bytes) => {
                if let (Some(studio), Some(bytes)) = (self.live_studio(), bytes) {
                    studio.fetched(&name, &bytes);
                }
            }
            News::Began(state) => {
                self.began(state);
                return true;
            }
            News::Tick => self.obey(ctx, |live| live.connection.tick(monotonic(), random())),
            News::Wake => self.obey(ctx, |live| live.connection.wake(monotonic())),
            News::Record => {
                self.record(ctx);
                return true;
            }
            News::Follow => {
                self.studio.follow();
                return true;
            }
        }
        self.has_news()
    }

    /// Whether there is anything to see that the next frame doesn't show anyway.
    fn has_news(&mut self) -> bool {
        let Some(live) = &mut self.live else { return false };
        let told = live.status().word();
        let changed = std::mem::replace(&mut live.told, told) != told;
        self.ui.is_live && (changed || !self.studio.follows || told != "live")
    }

    fn hear(&mut self, ctx: &Context<Self>, text: &str) {
        let Some(now) = self.live.as_ref().map(Live::moment) else { return };
        let Some(studio) = self.live_studio() else { return };
        let heard = studio.hear(text, now);
        let files = studio.files_to_fetch();
        let Some(live) = &mut self.live else { return };
        match heard {
            Ok(heard) => {
                live.heard(heard);
                if let Some(recorder) = &mut live.recorder {
                    recorder.keep(text, now);
                    if recorder.is_full() {
                        self.record(ctx);
                    }
                }
            }
            // What doesn't follow can't be mended: from a snapshot on it is right again.
            Err(_) => live.lose(),
        }
        for name in files {
            let link = ctx.link().clone();
            spawn_local(async move {
                let bytes = socket::file(&name).await;
                link.send_message(Msg::Live(News::Fetched(name, bytes)));
            });
        }
    }

    fn obey(&mut self, ctx: &Context<Self>, order: impl FnOnce(&mut Live) -> Order) {
        let Some(live) = &mut self.live else { return };
        match order(live) {
            Order::Connect => self.connect(ctx),
            // A connection that was given up is closed.
            Order::Nothing if live.connection.is_pausing() => live.socket = None,
            Order::Nothing => {}
        }
    }

    /// Time has passed on the server too.
    pub(super) fn pass_live(&mut self) {
        let time = self.live.as_ref().and_then(Live::server_time);
        if let (Some(time), true) = (time, self.ui.is_live) {
            self.studio.pass(time);
        }
    }

    /// Begins to record, or ends.
    fn record(&mut self, ctx: &Context<Self>) {
        let Some(live) = &mut self.live else { return };
        let Some(recorder) = live.recorder.take() else {
            live.recorder = Some(Recorder::new(live.moment(), live.server_time()));
            let link = ctx.link().clone();
            spawn_local(async move {
                link.send_message(Msg::Live(News::Began(socket::state().await)));
            });
            return;
        };
        let Some(text) = recorder.finish() else {
            self.studio.say("Nothing was recorded: the server did not answer.", Vec::new());
            return;
        };
        match self.studio.of_recording(&text) {
            Ok(recorded) => {
                self.leave_live();
                self.studio = recorded;
                self.must_measure = true;
                let told = "Recorded. Go through it as through a run; it is not saved yet.";
                self.studio.say(told, vec![Offer::Save]);
            }
            Err(error) => {
                self.studio.say(&format!("The recording can't be read: {error}."), Vec::new());
            }
        }
    }

    fn began(&mut self, state: Option<String>) {
        let Some(live) = &mut self.live else { return };
        match (&mut live.recorder, state) {
            (Some(recorder), Some(state)) => recorder.begin_with(state),
            (Some(_), None) => {
                live.recorder = None;
                self.studio.say("The server did not answer: nothing is recorded.", Vec::new());
            }
            (None, _) => {}
        }
    }
}

/// What says that a server that was lost may be there again.
fn wakers(ctx: &Context<App>) -> Vec<EventListener> {
    let wake = ctx.link().callback(|()| Msg::Live(News::Wake));
    let visible = wake.clone();
    let seen = browser::document().map(|document| {
        EventListener::new(&document, "visibilitychange", move |_| visible.emit(()))
    });
    let online = browser::window()
        .map(|window| EventListener::new(&window, "online", move |_| wake.emit(())));
    seen.into_iter().chain(online).collect()
}
