//! Estimates the server's clock from the arrival times of its messages.
//! - The message with the smallest delay gives the best estimate, so a late message does not change
//!   it.
//! - Only recent messages count: either clock may drift, or stop while its machine sleeps.
//!
//! Times are milliseconds on the browser's monotonic clock.

/// The shortest time for which a message counts: several of the server's heartbeats.
const WINDOW_MS: f64 = 20_000.0;

/// The offset of the server's clock from the browser's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ServerClock {
    /// The start of the current window.
    window_start: f64,
    /// The largest offset observed in the current window.
    offset: Option<f64>,
    /// The largest offset observed in the previous window.
    previous_offset: Option<f64>,
}

impl ServerClock {
    /// Handles a message that contains a reading of the server's clock.
    pub(crate) fn observe(&mut self, server_ms: f64, now: f64) {
        let offset = server_ms - now;
        if now - self.window_start > WINDOW_MS {
            self.previous_offset = self.offset.take();
            self.window_start = now;
        }
        self.offset = Some(self.offset.map_or(offset, |known| known.max(offset)));
    }

    /// Returns the current reading of the server's clock, or `None` before the first message.
    pub(crate) fn estimate(&self, now: f64) -> Option<f64> {
        let offset = self.offset.into_iter().chain(self.previous_offset).reduce(f64::max)?;
        Some(now + offset)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn late_message_does_not_change_the_estimate() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.estimate(0.0), None);
        clock.observe(1_000.0, 10.0);
        clock.observe(6_000.0, 8_010.0);
        assert_eq!(clock.estimate(8_010.0), Some(9_000.0));
        clock.observe(11_000.0, 10_000.0);
        assert_eq!(clock.estimate(10_000.0), Some(11_000.0), "the first one was late");
    }

    #[test]
    fn slow_server_clock_is_tracked() {
        let mut clock = ServerClock::default();
        // The clock loses one second per minute.
        for minute in 0..5 {
            for heartbeat in 0..12 {
                let now = f64::from(minute * 60_000 + heartbeat * 5_000);
                clock.observe(now - f64::from(minute * 1_000), now);
            }
        }
        let now = 5.0 * 60_000.0;
        assert_eq!(clock.estimate(now), Some(now - 4_000.0));
    }
}
