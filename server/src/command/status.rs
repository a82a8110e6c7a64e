//! `leasehold status`: shows locks, sessions and files.

use std::convert::Infallible;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::{Time, now};
use leasehold_core::event::{Event, EventKind};
use leasehold_core::state::State;
use tokio::time::sleep;

use super::api_client::{ApiClient, EventStream, StreamMessage};
use super::error::CommandError;
use super::options::ApiOptions;
use super::signals::Signals;
use super::style::Style;
use super::tables::status_tables;

/// How often the remaining leases are redrawn on a terminal.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

/// The number of rows of a table without --verbose.
const ROWS_MAX: usize = 20;

/// Show which clients hold locks and which are queued for them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Show changes as they happen: in place on a terminal, else after each change.
    #[arg(short, long)]
    watch: bool,
    /// Print the whole state as JSON; with --watch, one line per change.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ApiOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold status
  leasehold status --watch
  leasehold status --json | jq '.state.locks | keys'";

/// A copy of the server's state.
struct View {
    state: State,
    /// When the last event was received, on the clock of this machine.
    received_at: Time,
}

impl Status {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let api = ApiClient::new(&self.options)?;
        if self.watch {
            let mut signals = Signals::listen()?;
            tokio::select! {
                result = self.watch(&api) => result?,
                _ = signals.next() => {}
            }
            return Ok(ExitCode::SUCCESS);
        }
        let (state, json) = api.state().await?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{json}")?;
        } else {
            let view = View { state, received_at: now() };
            write!(out, "{}", self.text(&view))?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    async fn watch(&self, api: &ApiClient) -> Result<(), CommandError> {
        let mut stream = api.event_stream(None).await?;
        loop {
            let error = match self.watch_stream(&mut stream).await {
                Err(error) if error.is_no_reply() => error,
                Err(error) => return Err(error),
                Ok(never) => match never {},
            };
            self.options.server.verbosity.note(&format!("{error}; reconnecting"));
            stream = api.reconnect(None).await;
        }
    }

    async fn watch_stream(&self, stream: &mut EventStream) -> Result<Infallible, CommandError> {
        let mut view = View { state: State::default(), received_at: now() };
        let in_place = io::stdout().is_terminal() && !self.json;
        loop {
            let has_changed = tokio::select! {
                message = stream.next() => view.update(message?),
                () = sleep(REDRAW_INTERVAL), if in_place => true,
            };
            if !has_changed {
                continue;
            }
            let mut out = io::stdout().lock();
            if self.json {
                serde_json::to_writer(&mut out, &view.state).map_err(io::Error::from)?;
                writeln!(out)?;
            } else if in_place {
                // Moves the cursor home, clears the rest of each line, then the rest of the screen.
                let text = self.text(&view).replace('\n', "\u{1b}[K\n");
                write!(out, "\u{1b}[H{text}\u{1b}[J")?;
            } else {
                writeln!(out, "{}", self.text(&view))?;
            }
            out.flush()?;
        }
    }

    fn text(&self, view: &View) -> String {
        let server_options = &self.options.server;
        let server_now = view.state.last_event_at() + view.received_at.until(now());
        let rows_max = if server_options.verbosity.verbose { usize::MAX } else { ROWS_MAX };
        let server = server_options.server.to_string();
        status_tables(&view.state, server_now, &server, rows_max, Style::for_stdout())
    }
}

impl View {
    /// Applies a message, and returns whether it has to be shown.
    fn update(&mut self, message: StreamMessage) -> bool {
        match message {
            StreamMessage::Heartbeat => false,
            StreamMessage::Snapshot { state, .. } => {
                self.state = *state;
                self.received_at = now();
                true
            }
            StreamMessage::Events { events } => {
                events.iter().for_each(|event| self.state.apply(event));
                self.received_at = now();
                events.iter().any(is_visible_change)
            }
        }
    }
}

/// Whether an event changes more than the end of a lease.
fn is_visible_change(event: &Event) -> bool {
    match event.kind {
        EventKind::ServerStarted { .. }
        | EventKind::SessionOpened { .. }
        | EventKind::SessionExpired { .. }
        | EventKind::SessionClosed { .. }
        | EventKind::LockQueued { .. }
        | EventKind::LockGranted { .. }
        | EventKind::LockReleased { .. }
        | EventKind::WaitEnded { .. }
        | EventKind::FileAppended { .. } => true,
        EventKind::ServerStopped
        | EventKind::RequestRefused { .. }
        | EventKind::DuplicateAnswered { .. }
        | EventKind::LeaseRenewed { .. }
        | EventKind::DatagramDropped { .. } => false,
    }
}
