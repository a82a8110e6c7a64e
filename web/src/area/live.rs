//! The live view of the server that served this page: its connection, its own workspace, and
//! recordings.

use leasehold_core::id::Name;
use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;

use super::context::{Context, Environment, PageArea, Redraw};
use super::effect::{Effect, Timer};
use super::layout::{LayoutMsg, OpenDialog};
use super::start::StartMsg;
use super::timeline::TimelineMsg;
use super::tour::TourMsg;
use crate::feed::connection::{Connection, ConnectionAction, ConnectionStatus, SocketEvent};
use crate::feed::resume_point::ResumePoint;
use crate::feed::server_clock::ServerClock;
use crate::model::live_trace::{MessageOutcome, StreamRecorder};
use crate::model::shortcuts::View;
use crate::model::time_display::TimeReading;
use crate::model::workspace::{ToastAction, Workspace};

/// The interval between checks of the connection, in milliseconds.
const TICK_MS: u32 = 250;

pub(crate) enum LiveMsg {
    /// Switches to the live view if this is set, or else to the simulation.
    Show(bool),
    /// Switches between the live view and the simulation. A live view that does not follow the
    /// present first returns to it.
    Toggle,
    /// Switches to the live view, without an entry in the browser's history.
    Enter,
    /// Switches to the simulation, likewise. The connection stays open.
    Leave,
    /// Returns to the present.
    Follow,
    Socket(SocketEvent),
    FileFetched(Name, Option<Vec<u8>>),
    /// The state of the server at the start of a recording, unless it did not answer.
    StateFetched(Option<String>),
    /// Checks the connection.
    Tick,
    /// The server may be reachable again.
    RetryNow,
    /// Advances the trace to the server's current time.
    AdvanceClock,
    /// Switches between the time since the server's start and the time of day.
    SwitchClock,
    /// Starts or finishes a recording.
    ToggleRecording,
    /// Opens the text of a recording.
    OpenRecording(String),
}

#[derive(Default)]
pub(crate) struct LiveArea {
    connection: Option<LiveConnection>,
    /// The workspace that is not shown: that of the live view or that of the simulation.
    inactive_workspace: Option<Workspace>,
}

struct LiveConnection {
    connection: Connection,
    has_socket: bool,
    /// When the live view started, in milliseconds on the monotonic clock.
    started_at: f64,
    clock: ServerClock,
    recorder: Option<StreamRecorder>,
    last_status: &'static str,
}

impl PageArea for LiveArea {
    type Msg = LiveMsg;

    fn update(&mut self, msg: LiveMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            LiveMsg::Show(is_live) => self.show(is_live, cx),
            LiveMsg::Toggle => {
                if cx.workspace.is_live && !cx.workspace.is_following {
                    cx.workspace.follow_live();
                } else {
                    self.show(!cx.workspace.is_live, cx);
                }
            }
            LiveMsg::Enter if cx.environment.is_server_available => self.enter(cx),
            LiveMsg::Enter => cx.send(LayoutMsg::Open(OpenDialog::StartServer)),
            LiveMsg::Leave => self.leave(cx),
            LiveMsg::Follow => cx.workspace.follow_live(),
            LiveMsg::Socket(SocketEvent::Message(text)) => {
                self.apply_message(&text, cx);
                return self.redraw_if_not_following(cx);
            }
            LiveMsg::Socket(SocketEvent::Closed) => {
                self.disconnect(cx);
                return self.redraw_if_not_following(cx);
            }
            LiveMsg::FileFetched(name, bytes) => {
                if let Some(bytes) = bytes {
                    self.live_workspace(cx).store_fetched_file(&name, &bytes);
                }
                return self.redraw_if_not_following(cx);
            }
            LiveMsg::StateFetched(state) => self.start_recording(state, cx),
            LiveMsg::Tick => {
                let random = (cx.environment.random)();
                self.check_connection(cx, |connection, now| connection.tick(now, random));
                return self.redraw_if_not_following(cx);
            }
            LiveMsg::RetryNow => {
                self.check_connection(cx, Connection::retry_now);
                return self.redraw_if_not_following(cx);
            }
            LiveMsg::AdvanceClock => {
                let time = self.connection.as_ref().and_then(|it| it.server_time(cx.now()));
                if let (Some(time), true) = (time, cx.workspace.is_live) {
                    cx.workspace.advance_to(time);
                }
                return Redraw::Nothing;
            }
            LiveMsg::SwitchClock => {
                let reading = match cx.workspace.timeline().time_display().reading() {
                    TimeReading::SinceStart => TimeReading::WallClock,
                    TimeReading::WallClock => TimeReading::SinceStart,
                };
                cx.workspace.set_time_reading(reading, (cx.environment.utc_offset_minutes)());
            }
            LiveMsg::ToggleRecording => self.toggle_recording(cx),
            LiveMsg::OpenRecording(text) => {
                self.open_recording(&text, cx, "Opened a recording of a lock server", Vec::new());
            }
        }
        Redraw::Page
    }
}

/// What the header shows of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LiveStatus {
    pub(crate) connection: ConnectionStatus,
    /// The length of the recording in seconds, if there is one.
    pub(crate) recorded_s: Option<u64>,
}

impl LiveArea {
    /// Returns the status of the connection, if the live view was ever shown.
    pub(crate) fn status(&self, environment: &Environment) -> Option<LiveStatus> {
        let live = self.connection.as_ref()?;
        let now = (environment.clock)();
        let recorded_s = live.recorder.as_ref().map(|recorder| {
            let since = recorder.started_at().as_millis();
            live.trace_time(now).as_millis().saturating_sub(since) / 1_000
        });
        Some(LiveStatus { connection: live.connection.status(now), recorded_s })
    }

    /// Whether the live view is shown, and may be out of date.
    pub(crate) fn is_stale(&self, workspace: &Workspace, environment: &Environment) -> bool {
        let is_live =
            self.status(environment).is_some_and(|it| it.connection == ConnectionStatus::Live);
        workspace.is_live && !is_live
    }

    fn live_workspace<'a>(&'a mut self, cx: &'a mut Context<'_>) -> &'a mut Workspace {
        match &mut self.inactive_workspace {
            Some(inactive) if !cx.workspace.is_live => inactive,
            _ => cx.workspace,
        }
    }

    fn show(&mut self, is_live: bool, cx: &mut Context<'_>) {
        let was_live = cx.workspace.is_live;
        if !is_live {
            self.leave(cx);
            if was_live {
                cx.push_address();
            }
        } else if cx.environment.is_server_available {
            self.enter(cx);
            if !was_live {
                cx.push_address();
            }
        } else {
            cx.send(LayoutMsg::Open(OpenDialog::StartServer));
        }
    }

    fn enter(&mut self, cx: &mut Context<'_>) {
        cx.send(StartMsg::Hide);
        cx.send(TourMsg::Abandon);
        if cx.workspace.is_live {
            return;
        }
        if self.connection.is_none() {
            self.connection = Some(LiveConnection::new(cx.now()));
            self.inactive_workspace = Some(cx.workspace.for_server());
            cx.request(Effect::StartTimer(Timer::Connection, TICK_MS));
        }
        self.swap_workspaces(cx);
        if self.connection.as_ref().is_some_and(|live| !live.has_socket) {
            self.connect(cx);
        }
        cx.send(TimelineMsg::Show(View::Gantt));
    }

    fn leave(&mut self, cx: &mut Context<'_>) {
        if cx.workspace.is_live {
            self.swap_workspaces(cx);
        }
    }

    fn swap_workspaces(&mut self, cx: &mut Context<'_>) {
        if let Some(inactive) = &mut self.inactive_workspace {
            std::mem::swap(inactive, cx.workspace);
        }
    }

    fn connect(&mut self, cx: &mut Context<'_>) {
        let last_event = self.live_workspace(cx).last_event();
        let after =
            last_event.map(|(index, started_unix_ms)| ResumePoint { index, started_unix_ms });
        if let Some(live) = &mut self.connection {
            live.has_socket = true;
            cx.request(Effect::OpenSocket(after));
        }
    }

    fn disconnect(&mut self, cx: &mut Context<'_>) {
        if let Some(live) = &mut self.connection {
            live.has_socket = false;
            live.connection.connection_lost(cx.now(), (cx.environment.random)());
            cx.request(Effect::CloseSocket);
        }
    }

    fn check_connection(
        &mut self,
        cx: &mut Context<'_>,
        check: impl FnOnce(&mut Connection, f64) -> ConnectionAction,
    ) {
        let Some(live) = &mut self.connection else { return };
        match check(&mut live.connection, cx.now()) {
            ConnectionAction::Connect => self.connect(cx),
            // Close an abandoned connection.
            ConnectionAction::Wait if live.connection.is_backing_off() => {
                live.has_socket = false;
                cx.request(Effect::CloseSocket);
            }
            ConnectionAction::Wait => {}
        }
    }

    /// Returns what must be drawn again. While the view follows the present, the next animation
    /// frame shows all changes but those of the connection's status.
    fn redraw_if_not_following(&mut self, cx: &Context<'_>) -> Redraw {
        let Some(live) = &mut self.connection else { return Redraw::Nothing };
        let status = live.connection.status(cx.now()).code();
        let changed = std::mem::replace(&mut live.last_status, status) != status;
        let must_draw =
            cx.workspace.is_live && (changed || !cx.workspace.is_following || status != "live");
        if must_draw { Redraw::Page } else { Redraw::Nothing }
    }

    fn apply_message(&mut self, text: &str, cx: &mut Context<'_>) {
        let monotonic_now = cx.now();
        let Some(trace_time) = self.connection.as_ref().map(|it| it.trace_time(monotonic_now))
        else {
            return;
        };
        let workspace = self.live_workspace(cx);
        let outcome = workspace.apply_message(text, trace_time);
        let files = workspace.files_to_fetch();
        match (outcome, &mut self.connection) {
            (Ok(outcome), Some(live)) => {
                live.message_applied(outcome, monotonic_now);
                if let Some(recorder) = &mut live.recorder {
                    recorder.record_message(text, trace_time);
                    if recorder.is_full() {
                        cx.send(LiveMsg::ToggleRecording);
                    }
                }
            }
            // A gap cannot be repaired. Reconnecting starts again from a snapshot.
            (Err(_), _) => self.disconnect(cx),
            (Ok(_), None) => {}
        }
        for name in files {
            cx.request(Effect::FetchFile(name));
        }
    }

    fn toggle_recording(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        let Some(live) = &mut self.connection else { return };
        let Some(recorder) = live.recorder.take() else {
            live.recorder = Some(StreamRecorder::new(live.trace_time(now), live.server_time(now)));
            cx.request(Effect::FetchState);
            return;
        };
        match recorder.finish() {
            None => cx.show_toast("Nothing recorded: the server did not answer"),
            Some(text) => {
                let notice = "Recording finished. It is not saved yet.";
                self.open_recording(&text, cx, notice, vec![ToastAction::SaveRecording]);
            }
        }
    }

    fn start_recording(&mut self, state: Option<String>, cx: &mut Context<'_>) {
        let Some(live) = &mut self.connection else { return };
        match (&mut live.recorder, state) {
            (Some(recorder), Some(state)) => recorder.set_initial_state(state),
            (Some(_), None) => {
                live.recorder = None;
                cx.show_toast("Cannot record: the server did not answer");
            }
            (None, _) => {}
        }
    }

    /// Shows a recording instead of the simulation.
    fn open_recording(
        &mut self,
        text: &str,
        cx: &mut Context<'_>,
        notice: &str,
        actions: Vec<ToastAction>,
    ) {
        match cx.workspace.for_recording(text) {
            Ok(workspace) => {
                self.leave(cx);
                cx.workspace.open_workspace(workspace);
                cx.send(StartMsg::Hide);
                cx.send(TourMsg::Abandon);
                cx.workspace.show_toast(notice, actions);
                cx.push_address();
                cx.send(LayoutMsg::CloseDialog);
            }
            Err(error) => cx.show_toast(&format!("Cannot open the recording: {error}")),
        }
    }
}

impl LiveConnection {
    fn new(now: f64) -> Self {
        Self {
            connection: Connection::new(now),
            has_socket: false,
            started_at: now,
            clock: ServerClock::default(),
            recorder: None,
            last_status: "",
        }
    }

    /// Returns the current time of the live trace.
    fn trace_time(&self, now: f64) -> VirtualTime {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = ((now - self.started_at).max(0.0) * 1_000.0) as u64;
        VirtualTime::from_micros(micros)
    }

    /// Returns the estimated reading of the server's clock while the connection is live.
    fn server_time(&self, now: f64) -> Option<Time> {
        let is_live = self.connection.status(now) == ConnectionStatus::Live;
        let server_ms = self.clock.estimate(now).filter(|_| is_live)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millis = server_ms.max(0.0) as u64;
        Some(Time::from_millis(millis))
    }

    /// Notes a message. A clock estimate from before a silence is discarded, because the server's
    /// clock stops while its machine sleeps.
    #[allow(clippy::cast_precision_loss, reason = "a server's clock stays below 2^53 ms")]
    fn message_applied(&mut self, outcome: MessageOutcome, now: f64) {
        if outcome.is_snapshot || self.connection.status(now) != ConnectionStatus::Live {
            self.clock = ServerClock::default();
        }
        self.connection.message_received(now);
        if let Some(at) = outcome.server_time {
            self.clock.observe(at.as_millis() as f64, now);
        }
    }
}
