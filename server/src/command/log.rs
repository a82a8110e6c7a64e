//! `leasehold log`: what happened, event by event.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::LogIndex;
use leasehold_core::op::Op;

use super::failure::Failure;
use super::narrate;
use super::page::{Feed, Page, Told};
use super::paint::Paint;
use super::signals::{Signals, exit_code};
use super::target::Readable;

/// Print what happened, as far back as the server remembers.
///
/// Times are seconds on the server's clock. Heartbeats, and the polls of those who wait, are
/// left out unless -v or --json is given.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Log {
    /// Go on with what happens from now on.
    #[arg(short, long)]
    follow: bool,
    /// Print events as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Begin after the event of this index.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    readable: Readable,
}

const EXAMPLES: &str = "\
Examples:
  leasehold log
  leasehold log --follow
  leasehold log --json | jq 'select(.type == \"lock_granted\")'";

impl Log {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen()?;
        tokio::select! {
            done = self.print() => done.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(ExitCode::from(exit_code(signal.as_raw()))),
        }
    }

    async fn print(&self) -> Result<(), Failure> {
        let page = Page::of(&self.readable)?;
        let (state, _) = page.state().await?;
        let from = LogIndex::new(self.from);
        let mut last = from;
        if from < state.applied_index() {
            last = self.print_past(&page, from, state.applied_index()).await?;
        }
        if !self.follow {
            return Ok(());
        }
        let loudness = self.readable.target.loudness;
        loop {
            let mut feed = page.feed_again(Some(last)).await;
            let failure = loop {
                match feed.next().await {
                    Ok(told) => last = self.print_told(told, last, LogIndex::new(u64::MAX))?,
                    Err(failure) if failure.is_no_answer() => break failure,
                    Err(failure) => return Err(failure),
                }
            };
            loudness.remark(&format!("{failure}; waits until it is there again"));
        }
    }

    /// Prints what happened after `from` up to `end`, as far as the server remembers it.
    async fn print_past(
        &self,
        page: &Page,
        from: LogIndex,
        end: LogIndex,
    ) -> Result<LogIndex, Failure> {
        let Some((mut feed, first)) = remembered(page, from, end).await? else {
            return Ok(end);
        };
        let mut last = self.print_told(first, from, end)?;
        while last < end {
            last = self.print_told(feed.next().await?, last, end)?;
        }
        Ok(last)
    }

    /// Prints one message's events up to `end`, and says which was the last.
    fn print_told(&self, told: Told, last: LogIndex, end: LogIndex) -> Result<LogIndex, Failure> {
        match told {
            Told::Heartbeat => Ok(last),
            Told::Snapshot { index, .. } => {
                if index > last {
                    self.readable.target.loudness.remark(&format!(
                        "the events {} to {index} are not remembered",
                        last.next()
                    ));
                }
                Ok(index)
            }
            Told::Events { events } => {
                let paint = Paint::of_stdout();
                let mut out = io::stdout().lock();
                for event in events.iter().take_while(|event| event.index <= end) {
                    if let Some(line) = self.line(event, paint)? {
                        writeln!(out, "{line}")?;
                    }
                }
                out.flush()?;
                let shown = events.iter().take_while(|event| event.index <= end).last();
                Ok(shown.map_or(last, |event| event.index))
            }
        }
    }

    fn line(&self, event: &Event, paint: Paint) -> Result<Option<String>, Failure> {
        if self.json {
            let json = serde_json::to_string(event);
            return json.map(Some).map_err(|error| Failure::refused(error.to_string()));
        }
        let shown = self.readable.target.loudness.verbose || !is_routine(&event.kind);
        Ok(shown.then(|| narrate::line(event, paint)))
    }
}

/// What happens again and again while nothing happens: heartbeats, and asking for a lock anew.
fn is_routine(fact: &EventKind) -> bool {
    matches!(
        fact,
        EventKind::LeaseRenewed { .. } | EventKind::DuplicateAnswered { op: Op::AcquireLock, .. }
    )
}

/// The stream from the earliest event after `from` that the server remembers, and its first
/// message. None where it remembers nothing of what was before `end`.
///
/// The server says only whether it can go on after a given event: where it can't, a snapshot comes
/// first. It can go on after all that are later than one that it can go on after.
async fn remembered(
    page: &Page,
    from: LogIndex,
    end: LogIndex,
) -> Result<Option<(Feed, Told)>, Failure> {
    let (mut low, mut high) = (from.number(), end.number());
    let mut found = None;
    let mut middle = low;
    while low < high {
        let mut feed = page.feed(Some(LogIndex::new(middle))).await?;
        match first(&mut feed).await? {
            told @ Told::Events { .. } => {
                found = Some((feed, told));
                high = middle;
            }
            Told::Snapshot { .. } | Told::Heartbeat => low = middle + 1,
        }
        middle = low.midpoint(high);
    }
    Ok(found)
}

async fn first(feed: &mut Feed) -> Result<Told, Failure> {
    loop {
        match feed.next().await? {
            Told::Heartbeat => {}
            told @ (Told::Events { .. } | Told::Snapshot { .. }) => return Ok(told),
        }
    }
}
