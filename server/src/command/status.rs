//! `leasehold status`: who holds and waits for what.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::{Time, now};
use leasehold_core::event::{Event, EventKind};
use leasehold_core::state::State;
use tokio::time::sleep;

use super::failure::Failure;
use super::overview::overview;
use super::page::{Feed, Page, Told};
use super::paint::Paint;
use super::signals::Signals;
use super::target::Readable;

/// How often what is left of the leases is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// Show who holds and waits for what.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Show it as it changes. On a terminal: in place; else: anew after each change.
    #[arg(short, long)]
    watch: bool,
    /// Print the whole state as JSON; with --watch, one line for each change.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    readable: Readable,
}

const EXAMPLES: &str = "\
Examples:
  leasehold status
  leasehold status --watch
  leasehold status --json | jq '.state.locks | keys'";

/// The state as it is told, and how long ago that was.
struct View {
    state: State,
    /// When the last event came, on this machine's clock.
    heard_at: Time,
}

impl Status {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let page = Page::of(&self.readable)?;
        if self.watch {
            let mut signals = Signals::listen()?;
            tokio::select! {
                done = self.watch(&page) => done?,
                _ = signals.next() => {}
            }
            return Ok(ExitCode::SUCCESS);
        }
        let (state, json) = page.state().await?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{json}")?;
        } else {
            let view = View { state, heard_at: now() };
            write!(out, "{}", self.picture(&view))?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    async fn watch(&self, page: &Page) -> Result<(), Failure> {
        let mut feed = page.feed(None).await?;
        loop {
            let failure = match self.watch_feed(&mut feed).await {
                Err(failure) if failure.is_no_answer() => failure,
                Err(failure) => return Err(failure),
                Ok(never) => match never {},
            };
            let remark = format!("{failure}; waits until it is there again");
            self.readable.target.loudness.remark(&remark);
            feed = page.feed_again(None).await;
        }
    }

    async fn watch_feed(&self, feed: &mut Feed) -> Result<std::convert::Infallible, Failure> {
        let mut view = View { state: State::default(), heard_at: now() };
        let in_place = io::stdout().is_terminal() && !self.json;
        loop {
            let changed = tokio::select! {
                told = feed.next() => view.take(told?),
                () = sleep(DRAW_EVERY), if in_place => true,
            };
            if !changed {
                continue;
            }
            let mut out = io::stdout().lock();
            if self.json {
                serde_json::to_writer(&mut out, &view.state).map_err(io::Error::from)?;
                writeln!(out)?;
            } else if in_place {
                // Home, the picture with the rest of each line cleared, and all below it.
                let picture = self.picture(&view).replace('\n', "\u{1b}[K\n");
                write!(out, "\u{1b}[H{picture}\u{1b}[J")?;
            } else {
                writeln!(out, "{}", self.picture(&view))?;
            }
            out.flush()?;
        }
    }

    fn picture(&self, view: &View) -> String {
        let Readable { target, .. } = &self.readable;
        let server_now = view.state.last_event_at() + view.heard_at.until(now());
        let rows_max = if target.loudness.verbose { usize::MAX } else { 20 };
        let server = target.server.to_string();
        overview(&view.state, server_now, &server, rows_max, Paint::of_stdout())
    }
}

impl View {
    /// Takes in what the server says. Whether it is worth showing by itself.
    fn take(&mut self, told: Told) -> bool {
        match told {
            Told::Heartbeat => false,
            Told::Snapshot { state, .. } => {
                self.state = *state;
                self.heard_at = now();
                true
            }
            Told::Events { events } => {
                events.iter().for_each(|event| self.state.apply(event));
                self.heard_at = now();
                events.iter().any(changes_something)
            }
        }
    }
}

/// Whether an event changes more than how long leases last.
fn changes_something(event: &Event) -> bool {
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
