//! The server's clock, as far as it can be told from when its messages come.
//!
//! - What comes with less delay is nearer to the truth, so a late message changes nothing.
//! - Only what came lately counts: either clock may run fast, or stand still while its machine
//!   sleeps.
//!
//! Times are milliseconds on the browser's monotonic clock.

/// For so long, at least, a message counts: several of the server's heartbeats.
const COUNTS_FOR: f64 = 20_000.0;

/// By how much the server's clock is ahead of the browser's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ServerClock {
    /// By what came since then.
    since: f64,
    ahead: Option<f64>,
    /// By what came in the stretch before.
    before: Option<f64>,
}

impl ServerClock {
    /// A message has come that says what the server's clock showed when it left.
    pub(crate) fn heard(&mut self, said: f64, now: f64) {
        let ahead = said - now;
        if now - self.since > COUNTS_FOR {
            self.before = self.ahead.take();
            self.since = now;
        }
        self.ahead = Some(self.ahead.map_or(ahead, |known| known.max(ahead)));
    }

    /// What it shows, unless nothing was heard.
    pub(crate) fn shows(&self, now: f64) -> Option<f64> {
        let ahead = self.ahead.into_iter().chain(self.before).reduce(f64::max)?;
        Some(now + ahead)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_late_message_changes_nothing() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.shows(0.0), None);
        clock.heard(1_000.0, 10.0);
        clock.heard(6_000.0, 8_010.0);
        assert_eq!(clock.shows(8_010.0), Some(9_000.0));
        clock.heard(11_000.0, 10_000.0);
        assert_eq!(clock.shows(10_000.0), Some(11_000.0), "the first one was late");
    }

    #[test]
    fn a_clock_that_falls_behind_is_followed() {
        let mut clock = ServerClock::default();
        // One second in a minute is lost.
        for minute in 0..5 {
            for beat in 0..12 {
                let now = f64::from(minute * 60_000 + beat * 5_000);
                clock.heard(now - f64::from(minute * 1_000), now);
            }
        }
        let now = 5.0 * 60_000.0;
        assert_eq!(clock.shows(now), Some(now - 4_000.0));
    }
}
