//! The connection to the event stream, as a state machine without I/O: when to connect, when to
//! give up on a connection, and its status.
//! - The status is "live" only if a message has arrived recently: the server sends one at least
//!   every 5 s.
//! - After a loss, it reconnects with exponential backoff and jitter, up to 15 s. It reconnects at
//!   once when the network is back or the page becomes visible again.
//!
//! Times are milliseconds on the browser's monotonic clock.

/// After this long without a message, the status is no longer live: two of the server's heartbeats
/// are missing.
const STALE_AFTER: f64 = 12_000.0;

/// A connection is given up after this long without a message.
const TIMEOUT: f64 = 30_000.0;

/// An attempt to connect is given up after this long.
const CONNECT_TIMEOUT: f64 = 10_000.0;

/// The first backoff.
const BACKOFF_MIN: f64 = 500.0;

/// The longest backoff.
const BACKOFF_MAX: f64 = 15_000.0;

/// The state of the connection. The caller reports what happens, and performs the
/// [`ConnectionAction`] that is returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Connection {
    phase: Phase,
    /// The number of consecutive failures.
    failures: i32,
    was_connected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Connecting { since: f64 },
    Open { last_message: f64 },
    BackingOff { until: f64 },
}

/// An event of the WebSocket.
pub(crate) enum SocketEvent {
    Message(String),
    /// The connection was closed, or could not be opened.
    Closed,
}

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionAction {
    Wait,
    /// Open a new connection, and drop the existing one.
    Connect,
}

/// The status that the page shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ConnectionStatus {
    /// Connecting for the first time.
    Connecting,
    Live,
    /// Connected, but without a message for this long.
    Stale {
        silent_ms: f64,
    },
    /// Not connected. The next attempt starts after this time, or is in progress if it is 0.
    Lost {
        retry_in_ms: f64,
    },
}

impl Connection {
    /// Starts connecting. The caller opens the first connection.
    pub(crate) fn new(now: f64) -> Self {
        Self { phase: Phase::Connecting { since: now }, failures: 0, was_connected: false }
    }

    /// Handles a message.
    pub(crate) fn message_received(&mut self, now: f64) {
        self.phase = Phase::Open { last_message: now };
        self.failures = 0;
        self.was_connected = true;
    }

    /// Handles a closed connection, or one that sent an invalid message. `jitter` is random, from 0
    /// to 1.
    pub(crate) fn connection_lost(&mut self, now: f64, jitter: f64) {
        let backoff = (BACKOFF_MIN * 2_f64.powi(self.failures.min(10))).min(BACKOFF_MAX);
        self.failures += 1;
        self.phase = Phase::BackingOff { until: now + backoff * (0.5 + 0.5 * jitter) };
    }

    /// Checks the timeouts. `jitter` is random, from 0 to 1.
    pub(crate) fn tick(&mut self, now: f64, jitter: f64) -> ConnectionAction {
        match self.phase {
            Phase::BackingOff { until } if now >= until => {
                self.phase = Phase::Connecting { since: now };
                ConnectionAction::Connect
            }
            Phase::Connecting { since } if now - since > CONNECT_TIMEOUT => {
                self.connection_lost(now, jitter);
                ConnectionAction::Wait
            }
            Phase::Open { last_message } if now - last_message > TIMEOUT => {
                self.connection_lost(now, jitter);
                ConnectionAction::Wait
            }
            Phase::BackingOff { .. } | Phase::Connecting { .. } | Phase::Open { .. } => {
                ConnectionAction::Wait
            }
        }
    }

    /// Ends the backoff: the network is back, or the page is visible again.
    pub(crate) fn retry_now(&mut self, now: f64) -> ConnectionAction {
        match self.phase {
            Phase::BackingOff { .. } => {
                self.failures = 0;
                self.phase = Phase::Connecting { since: now };
                ConnectionAction::Connect
            }
            Phase::Connecting { .. } | Phase::Open { .. } => ConnectionAction::Wait,
        }
    }

    /// Returns whether no connection is open or being opened.
    pub(crate) const fn is_backing_off(&self) -> bool {
        matches!(self.phase, Phase::BackingOff { .. })
    }

    pub(crate) fn status(&self, now: f64) -> ConnectionStatus {
        match self.phase {
            Phase::Open { last_message } if now - last_message <= STALE_AFTER => {
                ConnectionStatus::Live
            }
            Phase::Open { last_message } => {
                ConnectionStatus::Stale { silent_ms: now - last_message }
            }
            Phase::BackingOff { until } => {
                ConnectionStatus::Lost { retry_in_ms: (until - now).max(0.0) }
            }
            Phase::Connecting { .. } if self.was_connected || self.failures > 0 => {
                ConnectionStatus::Lost { retry_in_ms: 0.0 }
            }
            Phase::Connecting { .. } => ConnectionStatus::Connecting,
        }
    }
}

impl ConnectionStatus {
    /// Returns a stable code, for styles and tests.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale { .. } => "stale",
            Self::Lost { .. } => "lost",
        }
    }

    /// Returns the text that the page shows.
    pub(crate) fn description(self) -> String {
        match self {
            Self::Connecting => "connecting…".to_owned(),
            Self::Live => "live".to_owned(),
            Self::Stale { silent_ms } => format!("no data for {} s", seconds(silent_ms)),
            Self::Lost { retry_in_ms } if retry_in_ms >= 1_000.0 => {
                format!("connection lost; reconnecting in {} s", seconds(retry_in_ms))
            }
            Self::Lost { .. } => "connection lost; reconnecting".to_owned(),
        }
    }
}

fn seconds(millis: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let seconds = (millis / 1_000.0).round() as u64;
    seconds
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "halves and doubles are exact")]
mod tests {
    use super::*;

    #[test]
    fn connection_is_live_only_while_messages_arrive() {
        let mut connection = Connection::new(0.0);
        assert_eq!(connection.status(5.0), ConnectionStatus::Connecting);
        connection.message_received(10.0);
        assert_eq!(connection.status(10.0 + STALE_AFTER), ConnectionStatus::Live);
        assert_eq!(connection.status(11.0 + STALE_AFTER).code(), "stale");
        assert_eq!(connection.tick(10.0 + TIMEOUT, 1.0), ConnectionAction::Wait);
        assert_eq!(connection.status(10.0 + TIMEOUT).code(), "stale");
        assert_eq!(connection.tick(11.0 + TIMEOUT, 1.0), ConnectionAction::Wait);
        assert_eq!(connection.status(11.0 + TIMEOUT).code(), "lost");
    }

    #[test]
    fn backoff_grows_to_its_limit_and_resets_after_success() {
        let mut connection = Connection::new(0.0);
        let mut now = 0.0;
        let mut backoffs = Vec::new();
        for _ in 0..8 {
            connection.connection_lost(now, 1.0);
            let ConnectionStatus::Lost { retry_in_ms } = connection.status(now) else {
                panic!("the connection was lost")
            };
            backoffs.push(retry_in_ms);
            assert_eq!(connection.tick(now + retry_in_ms - 1.0, 1.0), ConnectionAction::Wait);
            now += retry_in_ms;
            assert_eq!(connection.tick(now, 1.0), ConnectionAction::Connect);
            assert_eq!(connection.status(now).code(), "lost", "an attempt is not a connection");
        }
        assert_eq!(backoffs[..3], [500.0, 1_000.0, 2_000.0]);
        assert_eq!(backoffs[7], BACKOFF_MAX);
        connection.message_received(now);
        connection.connection_lost(now, 0.0);
        assert_eq!(
            connection.status(now),
            ConnectionStatus::Lost { retry_in_ms: BACKOFF_MIN / 2.0 }
        );
    }

    #[test]
    fn retry_now_skips_the_backoff() {
        let mut connection = Connection::new(0.0);
        connection.connection_lost(0.0, 1.0);
        assert_eq!(connection.retry_now(1.0), ConnectionAction::Connect);
        assert_eq!(connection.retry_now(2.0), ConnectionAction::Wait, "an attempt is in progress");
    }

    #[test]
    fn connection_attempt_times_out() {
        let mut connection = Connection::new(0.0);
        assert_eq!(connection.tick(CONNECT_TIMEOUT + 1.0, 0.5), ConnectionAction::Wait);
        assert_eq!(connection.status(CONNECT_TIMEOUT + 1.0).code(), "lost");
    }
}
