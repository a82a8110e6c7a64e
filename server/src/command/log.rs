//! `leasehold log`: prints the event log.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::LogIndex;
use leasehold_core::op::Op;

use super::api_client::{ApiClient, EventStream, StreamMessage};
use super::error::CommandError;
use super::event_line::event_line;
use super::options::ApiOptions;
use super::signals::{Signals, exit_after};
use super::style::Style;

/// Print the events that the server still retains.
///
/// Times are seconds on the server's clock. Heartbeats and the polls of queued clients are omitted
/// unless -v or --json is given.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Log {
    /// Print new events as they happen.
    #[arg(short, long)]
    follow: bool,
    /// Print events as JSON, one per line.
    #[arg(long)]
    json: bool,
    /// Begin after the event with this index.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    options: ApiOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold log
  leasehold log --follow
  leasehold log --json | jq 'select(.type == \"lock_granted\")'";

impl Log {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let mut signals = Signals::listen()?;
        tokio::select! {
            result = self.print() => result.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(exit_after(signal)),
        }
    }

    async fn print(&self) -> Result<(), CommandError> {
        let api = ApiClient::new(&self.options)?;
        let (state, _) = api.state().await?;
        let from = LogIndex::new(self.from);
        let mut last = from;
        if from < state.applied_index() {
            last = self.print_past(&api, from, state.applied_index()).await?;
        }
        if !self.follow {
            return Ok(());
        }
        let verbosity = self.options.server.verbosity;
        loop {
            let mut stream = api.reconnect(Some(last)).await;
            let error = loop {
                match stream.next().await {
                    Ok(message) => {
                        last = self.print_message(message, last, LogIndex::new(u64::MAX))?;
                    }
                    Err(error) if error.is_no_reply() => break error,
                    Err(error) => return Err(error),
                }
            };
            verbosity.note(&format!("{error}; reconnecting"));
        }
    }

    /// Prints the retained events after `from`, up to `end`.
    async fn print_past(
        &self,
        api: &ApiClient,
        from: LogIndex,
        end: LogIndex,
    ) -> Result<LogIndex, CommandError> {
        let Some((mut stream, first)) = open_at_first_retained(api, from, end).await? else {
            return Ok(end);
        };
        let mut last = self.print_message(first, from, end)?;
        while last < end {
            last = self.print_message(stream.next().await?, last, end)?;
        }
        Ok(last)
    }

    /// Prints the events of a message up to `end`, and returns the index of the last one.
    fn print_message(
        &self,
        message: StreamMessage,
        last: LogIndex,
        end: LogIndex,
    ) -> Result<LogIndex, CommandError> {
        match message {
            StreamMessage::Heartbeat => Ok(last),
            StreamMessage::Snapshot { index, .. } => {
                if index > last {
                    self.options
                        .server
                        .verbosity
                        .note(&format!("events {} to {index} are no longer retained", last.next()));
                }
                Ok(index)
            }
            StreamMessage::Events { events } => {
                let style = Style::for_stdout();
                let mut out = io::stdout().lock();
                for event in events.iter().take_while(|event| event.index <= end) {
                    if let Some(line) = self.line(event, style)? {
                        writeln!(out, "{line}")?;
                    }
                }
                out.flush()?;
                let printed = events.iter().take_while(|event| event.index <= end).last();
                Ok(printed.map_or(last, |event| event.index))
            }
        }
    }

    fn line(&self, event: &Event, style: Style) -> Result<Option<String>, CommandError> {
        if self.json {
            let json = serde_json::to_string(event);
            return json.map(Some).map_err(|error| CommandError::refused(error.to_string()));
        }
        let is_shown = self.options.server.verbosity.verbose || !is_routine(&event.kind);
        Ok(is_shown.then(|| event_line(event, style)))
    }
}

/// Whether an event is repeated all the time: heartbeats, and the polls of queued clients.
fn is_routine(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::LeaseRenewed { .. } | EventKind::DuplicateAnswered { op: Op::AcquireLock, .. }
    )
}

/// Opens the stream at the earliest retained event after `from`, and returns it with its first
/// message. Returns none if no event up to `end` is retained.
///
/// The server reports only whether it retains all events after a given index: if not, the stream
/// begins with a snapshot. If it does for one index it does for every larger one, so this is a
/// binary search.
async fn open_at_first_retained(
    api: &ApiClient,
    from: LogIndex,
    end: LogIndex,
) -> Result<Option<(EventStream, StreamMessage)>, CommandError> {
    let (mut low, mut high) = (from.number(), end.number());
    let mut found = None;
    let mut middle = low;
    while low < high {
        let mut stream = api.event_stream(Some(LogIndex::new(middle))).await?;
        match first_message(&mut stream).await? {
            message @ StreamMessage::Events { .. } => {
                found = Some((stream, message));
                high = middle;
            }
            StreamMessage::Snapshot { .. } | StreamMessage::Heartbeat => low = middle + 1,
        }
        middle = low.midpoint(high);
    }
    Ok(found)
}

/// Returns the first message that is not a heartbeat.
async fn first_message(stream: &mut EventStream) -> Result<StreamMessage, CommandError> {
    loop {
        match stream.next().await? {
            StreamMessage::Heartbeat => {}
            message @ (StreamMessage::Events { .. } | StreamMessage::Snapshot { .. }) => {
                return Ok(message);
            }
        }
    }
}
