//! How far a bench is: begins it when all sessions are open, and shows it on a terminal.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::report::grouped;
use super::worker::{Plan, Shared};
use crate::command::Loudness;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(100);

/// How many looks are between two lines that are shown.
const SHOWN_EVERY: u64 = 5;

/// How long after the last session the work begins: every worker has heard of it by then.
const RUN_UP: Duration = Duration::from_millis(50);

pub(super) struct Watch {
    shared: Arc<Shared>,
    /// How many sessions there are to be.
    sessions: u64,
    total: Duration,
    shows: bool,
    looks: u64,
    /// When it last showed a line, and how many operations there were.
    last: Option<(Instant, u64)>,
}

impl Watch {
    /// `idle` is how many sessions there are beside those of the clients.
    pub(super) fn new(plan: &Plan, idle: u32, shared: Arc<Shared>, loudness: Loudness) -> Self {
        let clients = u64::from(plan.clients) + u64::from(plan.mix.has_looks());
        let sessions = clients + u64::from(idle);
        let shows = !loudness.quiet && io::stderr().is_terminal();
        let total = plan.warm_up + plan.duration;
        Self { shared, sessions, total, shows, looks: 0, last: None }
    }

    /// Looks once, after a while.
    pub(super) async fn look(&mut self) {
        sleep(EVERY).await;
        let opened = self.shared.opened.load(Ordering::Relaxed);
        if opened == self.sessions {
            self.shared.begin.get_or_init(|| Instant::now() + RUN_UP);
        }
        self.looks += 1;
        if self.shows && self.looks.is_multiple_of(SHOWN_EVERY) {
            let line = self.line(opened);
            eprint!("\r{line}\u{1b}[K");
        }
    }

    /// Leaves nothing of it on the terminal.
    pub(super) fn clear(&self) {
        if self.shows {
            eprint!("\r\u{1b}[K");
        }
    }

    fn line(&mut self, opened: u64) -> String {
        let Some(begin) = self.shared.begin.get() else {
            return format!("{} of {} sessions", grouped(opened), grouped(self.sessions));
        };
        let now = Instant::now();
        let ended = self.shared.ended.load(Ordering::Relaxed);
        let (at, before) = self.last.replace((now, ended)).unwrap_or((*begin, 0));
        let millis = now.saturating_duration_since(at).as_millis().max(1);
        let rate = u128::from(ended - before) * 1_000 / millis;
        let rate = grouped(u64::try_from(rate).unwrap_or(u64::MAX));
        let gone = now.saturating_duration_since(*begin).as_secs();
        let total = self.total.as_secs_f64();
        format!("{gone} of {total} s, {} operations, {rate} a second", grouped(ended))
    }
}
