//! Starts the measurement when all sessions are open, and shows the progress on a terminal.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use leasehold_server::standard_error;
use tokio::time::sleep;

use super::report::grouped;
use super::worker::{Plan, Shared};
use crate::command::Verbosity;

/// The interval of [`Progress::tick`].
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// The number of ticks between two updates of the progress line.
const TICKS_PER_LINE: u64 = 5;

/// The delay from the last session to the start, so that every worker has seen the start in time.
const START_DELAY: Duration = Duration::from_millis(50);

pub(super) struct Progress {
    shared: Arc<Shared>,
    /// The number of sessions to be opened.
    sessions: u64,
    total: Duration,
    is_shown: bool,
    ticks: u64,
    /// When the line was last updated, and the number of operations then.
    last: Option<(Instant, u64)>,
}

impl Progress {
    /// `idle` is the number of idle sessions in addition to those of the clients.
    pub(super) fn new(plan: &Plan, idle: u32, shared: Arc<Shared>, verbosity: Verbosity) -> Self {
        let clients = u64::from(plan.clients) + u64::from(plan.mix.needs_held_lock());
        let sessions = clients + u64::from(idle);
        let is_shown = !verbosity.quiet && io::stderr().is_terminal();
        let total = plan.warm_up + plan.duration;
        Self { shared, sessions, total, is_shown, ticks: 0, last: None }
    }

    /// Waits for an interval, starts the measurement if all sessions are open, and updates the
    /// line.
    pub(super) async fn tick(&mut self) {
        sleep(TICK_INTERVAL).await;
        let opened = self.shared.opened.load(Ordering::Relaxed);
        if opened == self.sessions {
            self.shared.begin.get_or_init(|| Instant::now() + START_DELAY);
        }
        self.ticks += 1;
        if self.is_shown && self.ticks.is_multiple_of(TICKS_PER_LINE) {
            let line = self.line(opened);
            standard_error::write(format_args!("\r{line}\u{1b}[K"));
        }
    }

    /// Clears the progress line.
    pub(super) fn clear(&self) {
        if self.is_shown {
            standard_error::write(format_args!("\r\u{1b}[K"));
        }
    }

    fn line(&mut self, opened: u64) -> String {
        let Some(begin) = self.shared.begin.get() else {
            return format!("{} of {} sessions", grouped(opened), grouped(self.sessions));
        };
        let now = Instant::now();
        let completed = self.shared.completed.load(Ordering::Relaxed);
        let (at, before) = self.last.replace((now, completed)).unwrap_or((*begin, 0));
        let millis = now.saturating_duration_since(at).as_millis().max(1);
        let rate = u128::from(completed - before) * 1_000 / millis;
        let rate = grouped(u64::try_from(rate).unwrap_or(u64::MAX));
        let elapsed = now.saturating_duration_since(*begin).as_secs();
        let total = self.total.as_secs_f64();
        format!("{elapsed} of {total} s, {} operations, {rate} a second", grouped(completed))
    }
}
