//! The live view's connection to the server that served this page.

use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use leasehold_core::id::Name;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;
use yew::Context;
use yew::platform::spawn_local;

use super::app::App;
use crate::browser::{self, now as monotonic, random};
use crate::feed::connection::{Connection, ConnectionAction, ConnectionStatus};
use crate::feed::resume_point::ResumePoint;
use crate::feed::server_clock::ServerClock;
use crate::feed::socket::{self, Socket, SocketEvent};
use crate::model::live_trace::{MessageOutcome, StreamRecorder};
use crate::model::workspace::{ToastAction, Workspace};

/// The interval between checks of the connection, in milliseconds.
const TICK_MS: u32 = 250;

pub(crate) struct LiveConnection {
    connection: Connection,
    socket: Option<Socket>,
    /// When the live view started, on the browser's clock in milliseconds.
    started_at: f64,
    clock: ServerClock,
    pub(super) recorder: Option<StreamRecorder>,
    last_status: &'static str,
    /// Retained, because dropping it stops the ticks.
    _ticks: Interval,
    _retry_listeners: Vec<EventListener>,
}

pub(crate) enum LiveMsg {
    Socket(SocketEvent),
    FileFetched(Name, Option<Vec<u8>>),
    /// The state of the server at the start of a recording, unless it did not answer.
    RecordingStarted(Option<String>),
    Tick,
    RetryNow,
    ToggleRecording,
    /// Returns to the present.
    Follow,
}

impl LiveConnection {
    fn start(ctx: &Context<App>) -> Self {
        let tick = ctx.link().callback(|()| LiveMsg::Tick);
        let now = monotonic();
        Self {
            connection: Connection::new(now),
            socket: None,
            started_at: now,
            clock: ServerClock::default(),
            recorder: None,
            last_status: "",
            _ticks: Interval::new(TICK_MS, move || tick.emit(())),
            _retry_listeners: retry_listeners(ctx),
        }
    }

    pub(super) fn status(&self) -> ConnectionStatus {
        self.connection.status(monotonic())
    }

    /// Returns the current time of the live trace.
    pub(super) fn now(&self) -> VirtualTime {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = ((monotonic() - self.started_at).max(0.0) * 1_000.0) as u64;
        VirtualTime::from_micros(micros)
    }

    /// Returns the estimated reading of the server's clock while the connection is live.
    fn server_time(&self) -> Option<Time> {
        let server_ms =
            self.clock.estimate(monotonic()).filter(|_| self.status() == ConnectionStatus::Live)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millis = server_ms.max(0.0) as u64;
        Some(Time::from_millis(millis))
    }

    /// Records a received message. A clock estimate from before a silence is discarded, because the
    /// server's clock stops while its machine sleeps.
    #[allow(clippy::cast_precision_loss, reason = "a server's clock stays below 2^53 ms")]
    fn message_received(&mut self, outcome: MessageOutcome) {
        if outcome.is_snapshot || self.status() != ConnectionStatus::Live {
            self.clock = ServerClock::default();
        }
        self.connection.message_received(monotonic());
        if let Some(at) = outcome.server_time {
            self.clock.observe(at.as_millis() as f64, monotonic());
        }
    }

    fn disconnect(&mut self) {
        self.socket = None;
        self.connection.connection_lost(monotonic(), random());
    }
}

impl App {
    /// Switches between the live view and the simulation.
    pub(super) fn set_live(&mut self, ctx: &Context<Self>, is_live: bool) {
        if is_live && !self.ui.is_live_available {
            self.workspace.show_toast(
                "Live mode needs a lock server. Start one with: leasehold serve",
                Vec::new(),
            );
            return;
        }
        if is_live {
            self.enter_live(ctx);
            browser::set_query("?mode=live");
        } else {
            self.leave_live();
            self.update_address();
        }
    }

    pub(super) fn enter_live(&mut self, ctx: &Context<Self>) {
        if self.ui.is_live {
            return;
        }
        if self.live.is_none() {
            self.live = Some(LiveConnection::start(ctx));
            self.inactive_workspace = Some(self.workspace.for_server());
        }
        self.swap_workspaces(true);
        if self.live.as_ref().is_some_and(|live| live.socket.is_none()) {
            self.connect(ctx);
        }
        self.ui.lower_view = crate::model::shortcuts::View::Gantt;
    }

    /// Returns to the simulation. The connection stays open.
    pub(super) fn leave_live(&mut self) {
        if self.ui.is_live {
            self.swap_workspaces(false);
        }
    }

    fn swap_workspaces(&mut self, is_live: bool) {
        if let Some(inactive) = &mut self.inactive_workspace {
            std::mem::swap(inactive, &mut self.workspace);
            self.ui.is_live = is_live;
            self.must_measure = true;
            self.last_frame = None;
        }
    }

    fn live_workspace(&mut self) -> Option<&mut Workspace> {
        if self.ui.is_live { Some(&mut self.workspace) } else { self.inactive_workspace.as_mut() }
    }

    fn connect(&mut self, ctx: &Context<Self>) {
        let last_event = self.live_workspace().and_then(|workspace| workspace.last_event());
        let resume_point =
            last_event.map(|(index, started_unix_ms)| ResumePoint { index, started_unix_ms });
        let Some(live) = &mut self.live else { return };
        // Close the old socket first, so that none of its messages arrive in between.
        live.socket = None;
        let on_socket_event = ctx.link().callback(LiveMsg::Socket);
        live.socket = Socket::open(resume_point, &on_socket_event);
        if live.socket.is_none() {
            live.disconnect();
        }
    }

    /// Handles a live message. Returns whether the page must be drawn again.
    pub(super) fn handle_live(&mut self, ctx: &Context<Self>, msg: LiveMsg) -> bool {
        match msg {
            LiveMsg::Socket(SocketEvent::Message(text)) => self.handle_message(ctx, &text),
            LiveMsg::Socket(SocketEvent::Closed) => {
                if let Some(live) = &mut self.live {
                    live.disconnect();
                }
            }
            LiveMsg::FileFetched(name, bytes) => {
                if let (Some(workspace), Some(bytes)) = (self.live_workspace(), bytes) {
                    workspace.store_fetched_file(&name, &bytes);
                }
            }
            LiveMsg::RecordingStarted(state) => {
                self.start_recording(state);
                return true;
            }
            LiveMsg::Tick => {
                self.run_connection_action(ctx, |live| live.connection.tick(monotonic(), random()));
            }
            LiveMsg::RetryNow => {
                self.run_connection_action(ctx, |live| live.connection.retry_now(monotonic()));
            }
            LiveMsg::ToggleRecording => {
                self.toggle_recording(ctx);
                return true;
            }
            LiveMsg::Follow => {
                self.workspace.follow_live();
                return true;
            }
        }
        self.must_redraw()
    }

    /// Whether there is a change that the next animation frame does not show anyway.
    fn must_redraw(&mut self) -> bool {
        let Some(live) = &mut self.live else { return false };
        let status = live.status().code();
        let changed = std::mem::replace(&mut live.last_status, status) != status;
        self.ui.is_live && (changed || !self.workspace.is_following || status != "live")
    }

    fn handle_message(&mut self, ctx: &Context<Self>, text: &str) {
        let Some(now) = self.live.as_ref().map(LiveConnection::now) else { return };
        let Some(workspace) = self.live_workspace() else { return };
        let outcome = workspace.apply_message(text, now);
        let files = workspace.files_to_fetch();
        let Some(live) = &mut self.live else { return };
        match outcome {
            Ok(outcome) => {
                live.message_received(outcome);
                if let Some(recorder) = &mut live.recorder {
                    recorder.record_message(text, now);
                    if recorder.is_full() {
                        self.toggle_recording(ctx);
                    }
                }
            }
            // A gap cannot be repaired. Reconnecting starts again from a snapshot.
            Err(_) => live.disconnect(),
        }
        for name in files {
            let link = ctx.link().clone();
            spawn_local(async move {
                let bytes = socket::fetch_file(&name).await;
                link.send_message(LiveMsg::FileFetched(name, bytes));
            });
        }
    }

    fn run_connection_action(
        &mut self,
        ctx: &Context<Self>,
        action: impl FnOnce(&mut LiveConnection) -> ConnectionAction,
    ) {
        let Some(live) = &mut self.live else { return };
        match action(live) {
            ConnectionAction::Connect => self.connect(ctx),
            // Close an abandoned connection.
            ConnectionAction::Wait if live.connection.is_backing_off() => live.socket = None,
            ConnectionAction::Wait => {}
        }
    }

    /// Advances the live trace to the server's current time.
    pub(super) fn advance_live(&mut self) {
        let time = self.live.as_ref().and_then(LiveConnection::server_time);
        if let (Some(time), true) = (time, self.ui.is_live) {
            self.workspace.advance_to(time);
        }
    }

    /// Starts or finishes a recording.
    fn toggle_recording(&mut self, ctx: &Context<Self>) {
        let Some(live) = &mut self.live else { return };
        let Some(recorder) = live.recorder.take() else {
            live.recorder = Some(StreamRecorder::new(live.now(), live.server_time()));
            let link = ctx.link().clone();
            spawn_local(async move {
                link.send_message(LiveMsg::RecordingStarted(socket::fetch_state().await));
            });
            return;
        };
        let Some(text) = recorder.finish() else {
            self.workspace.show_toast("Nothing recorded: the server did not answer", Vec::new());
            return;
        };
        match self.workspace.for_recording(&text) {
            Ok(recorded) => {
                self.leave_live();
                self.workspace = recorded;
                self.must_measure = true;
                let notice = "Recording finished. It is not saved yet.";
                self.workspace.show_toast(notice, vec![ToastAction::SaveRecording]);
            }
            Err(error) => {
                self.workspace
                    .show_toast(&format!("Cannot open the recording: {error}"), Vec::new());
            }
        }
    }

    fn start_recording(&mut self, state: Option<String>) {
        let Some(live) = &mut self.live else { return };
        match (&mut live.recorder, state) {
            (Some(recorder), Some(state)) => recorder.set_initial_state(state),
            (Some(_), None) => {
                live.recorder = None;
                self.workspace.show_toast("Cannot record: the server did not answer", Vec::new());
            }
            (None, _) => {}
        }
    }
}

/// Listens for hints that a lost server may be reachable again.
fn retry_listeners(ctx: &Context<App>) -> Vec<EventListener> {
    let retry = ctx.link().callback(|()| LiveMsg::RetryNow);
    let visible = retry.clone();
    let on_visible = browser::document().map(|document| {
        EventListener::new(&document, "visibilitychange", move |_| visible.emit(()))
    });
    let online = browser::window()
        .map(|window| EventListener::new(&window, "online", move |_| retry.emit(())));
    on_visible.into_iter().chain(online).collect()
}
