//! The connection to the stream of events, as a machine without I/O: when to connect, when to
//! give up on a connection, and what may be said about it.
//!
//! - "Live" is said only where the server was heard of a moment ago: it says something at least
//!   every 5 s.
//! - After a loss it waits twice as long each time, with jitter, at most 15 s; not at all where
//!   the browser says that the network is back or somebody looks at the page again.
//!
//! Times are milliseconds on the browser's monotonic clock.

/// A server that has said nothing for this long is not called live any more: two of its
/// heartbeats are missing.
const STALE_AFTER: f64 = 12_000.0;

/// A connection is given up when nothing came of it for this long.
const DEAD_AFTER: f64 = 30_000.0;

/// An attempt to connect is given up after this long.
const CONNECT_MAX: f64 = 10_000.0;

/// The first pause before connecting again.
const PAUSE_MIN: f64 = 500.0;

/// The longest pause.
const PAUSE_MAX: f64 = 15_000.0;

/// The connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Connection {
    phase: Phase,
    /// How often in a row connecting has failed.
    failures: i32,
    was_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Connecting { since: f64 },
    Open { heard: f64 },
    Pausing { until: f64 },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Nothing,
    /// Open a new connection; one that is there is worth nothing.
    Connect,
}

/// What may be said about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Status {
    /// For the first time.
    Connecting,
    Live,
    /// Connected, but nothing was heard for so many milliseconds.
    Stale {
        silent: f64,
    },
    /// Not connected; it is tried again in so many milliseconds.
    Lost {
        again: f64,
    },
}

impl Connection {
    /// Begins to connect: the caller opens the first connection.
    pub(crate) fn connecting(now: f64) -> Self {
        Self { phase: Phase::Connecting { since: now }, failures: 0, was_open: false }
    }

    /// A message has come.
    pub(crate) fn heard(&mut self, now: f64) {
        self.phase = Phase::Open { heard: now };
        self.failures = 0;
        self.was_open = true;
    }

    /// The connection is gone, or what came over it made no sense. `jitter` is drawn from 0 to 1.
    pub(crate) fn lost(&mut self, now: f64, jitter: f64) {
        let pause = (PAUSE_MIN * 2_f64.powi(self.failures.min(10))).min(PAUSE_MAX);
        self.failures += 1;
        self.phase = Phase::Pausing { until: now + pause * (0.5 + 0.5 * jitter) };
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: f64, jitter: f64) -> Order {
        match self.phase {
            Phase::Pausing { until } if now >= until => {
                self.phase = Phase::Connecting { since: now };
                Order::Connect
            }
            Phase::Connecting { since } if now - since > CONNECT_MAX => {
                self.lost(now, jitter);
                Order::Nothing
            }
            Phase::Open { heard } if now - heard > DEAD_AFTER => {
                self.lost(now, jitter);
                Order::Nothing
            }
            Phase::Pausing { .. } | Phase::Connecting { .. } | Phase::Open { .. } => Order::Nothing,
        }
    }

    /// The network is back, or somebody looks again: no more waiting.
    pub(crate) fn wake(&mut self, now: f64) -> Order {
        match self.phase {
            Phase::Pausing { .. } => {
                self.failures = 0;
                self.phase = Phase::Connecting { since: now };
                Order::Connect
            }
            Phase::Connecting { .. } | Phase::Open { .. } => Order::Nothing,
        }
    }

    /// Whether there is no connection, and none is being made.
    pub(crate) const fn is_pausing(&self) -> bool {
        matches!(self.phase, Phase::Pausing { .. })
    }

    pub(crate) fn status(&self, now: f64) -> Status {
        match self.phase {
            Phase::Open { heard } if now - heard <= STALE_AFTER => Status::Live,
            Phase::Open { heard } => Status::Stale { silent: now - heard },
            Phase::Pausing { until } => Status::Lost { again: (until - now).max(0.0) },
            Phase::Connecting { .. } if self.was_open || self.failures > 0 => {
                Status::Lost { again: 0.0 }
            }
            Phase::Connecting { .. } => Status::Connecting,
        }
    }
}

impl Status {
    /// One word, for styles and tests.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale { .. } => "stale",
            Self::Lost { .. } => "lost",
        }
    }

    /// What a person reads.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Connecting => "connecting…".to_owned(),
            Self::Live => "live".to_owned(),
            Self::Stale { silent } => format!("nothing heard for {} s", seconds(silent)),
            Self::Lost { again } if again >= 1_000.0 => {
                format!("server lost; trying again in {} s", seconds(again))
            }
            Self::Lost { .. } => "server lost; trying again…".to_owned(),
        }
    }
}

fn seconds(millis: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds")]
    let seconds = (millis / 1_000.0).round() as u64;
    seconds
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "halves and doubles are exact")]
mod tests {
    use super::*;

    #[test]
    fn it_is_live_only_while_the_server_is_heard() {
        let mut feed = Connection::connecting(0.0);
        assert_eq!(feed.status(5.0), Status::Connecting);
        feed.heard(10.0);
        assert_eq!(feed.status(10.0 + STALE_AFTER), Status::Live);
        assert_eq!(feed.status(11.0 + STALE_AFTER).word(), "stale");
        assert_eq!(feed.tick(10.0 + DEAD_AFTER, 1.0), Order::Nothing);
        assert_eq!(feed.status(10.0 + DEAD_AFTER).word(), "stale");
        assert_eq!(feed.tick(11.0 + DEAD_AFTER, 1.0), Order::Nothing);
        assert_eq!(feed.status(11.0 + DEAD_AFTER).word(), "lost");
    }

    #[test]
    fn pauses_grow_to_an_end_and_begin_anew_after_a_success() {
        let mut feed = Connection::connecting(0.0);
        let mut now = 0.0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            feed.lost(now, 1.0);
            let Status::Lost { again } = feed.status(now) else { panic!("it was lost") };
            pauses.push(again);
            assert_eq!(feed.tick(now + again - 1.0, 1.0), Order::Nothing);
            now += again;
            assert_eq!(feed.tick(now, 1.0), Order::Connect);
            assert_eq!(feed.status(now).word(), "lost", "it is tried, not there");
        }
        assert_eq!(pauses[..3], [500.0, 1_000.0, 2_000.0]);
        assert_eq!(pauses[7], PAUSE_MAX);
        feed.heard(now);
        feed.lost(now, 0.0);
        assert_eq!(feed.status(now), Status::Lost { again: PAUSE_MIN / 2.0 });
    }

    #[test]
    fn nobody_waits_who_looks_again() {
        let mut feed = Connection::connecting(0.0);
        feed.lost(0.0, 1.0);
        assert_eq!(feed.wake(1.0), Order::Connect);
        assert_eq!(feed.wake(2.0), Order::Nothing, "it is on its way");
    }

    #[test]
    fn an_attempt_that_leads_nowhere_is_given_up() {
        let mut feed = Connection::connecting(0.0);
        assert_eq!(feed.tick(CONNECT_MAX + 1.0, 0.5), Order::Nothing);
        assert_eq!(feed.status(CONNECT_MAX + 1.0).word(), "lost");
    }
}
