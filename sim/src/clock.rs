//! A node's clock: where it stands, and how fast it runs, against world time.

use leasehold_core::time::Time;

use super::virtual_time::VirtualTime;

/// A clock that somebody can set, and that runs too fast or too slow.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// What it showed, in microseconds, when it was last set.
    reading_us: u64,
    set_at: VirtualTime,
    /// How much faster than the world it runs, in parts per million.
    rate_ppm: i64,
}

impl Clock {
    pub(super) fn new(offset_ms: u64, rate_ppm: i64) -> Self {
        Self { reading_us: offset_ms.saturating_mul(1_000), set_at: VirtualTime::START, rate_ppm }
    }

    pub(super) fn rate_ppm(&self) -> i64 {
        self.rate_ppm
    }

    /// What it shows.
    pub(super) fn read(&self, now: VirtualTime) -> Time {
        Time::from_millis(self.read_micros(now) / 1_000)
    }

    fn read_micros(&self, now: VirtualTime) -> u64 {
        let elapsed = now.as_micros().saturating_sub(self.set_at.as_micros());
        // Whole seconds and the rest apart: 64 bits do for both, where one product takes 128.
        let (secs, remainder) = (elapsed / 1_000_000, elapsed % 1_000_000);
        let advanced = secs.saturating_mul(self.micros_per_second())
            + remainder * self.micros_per_second() / 1_000_000;
        self.reading_us.saturating_add(advanced)
    }

    /// How much it goes on while a second passes in the world, in microseconds.
    fn micros_per_second(&self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.rate_ppm).max(1)
    }

    /// The first moment from `now` on at which it shows `time`.
    pub(super) fn time_of_reading(&self, now: VirtualTime, reading: Time) -> VirtualTime {
        if reading == Time::NEVER {
            return VirtualTime::NEVER;
        }
        let target_us = reading.as_millis().saturating_mul(1_000);
        let remaining = target_us.saturating_sub(self.reading_us);
        // Rounded up: a moment too early would be one at which nothing is due.
        let delay = if self.rate_ppm == 0 {
            remaining
        } else {
            let delay =
                (u128::from(remaining) * 1_000_000).div_ceil(u128::from(self.micros_per_second()));
            u64::try_from(delay).unwrap_or(u64::MAX)
        };
        (self.set_at + delay).max(now)
    }

    /// Sets it forward by `millis`, or back where that is negative.
    pub(super) fn jump(&mut self, now: VirtualTime, millis: i64) {
        let reading_us = i128::from(self.read_micros(now)) + i128::from(millis) * 1_000;
        self.reading_us = u64::try_from(reading_us).unwrap_or(0);
        self.set_at = now;
    }

    pub(super) fn set_rate(&mut self, now: VirtualTime, rate_ppm: i64) {
        self.reading_us = self.read_micros(now);
        self.set_at = now;
        self.rate_ppm = rate_ppm.clamp(-900_000, 9_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_reading_is_the_first_time_that_shows_it() {
        for rate_ppm in [-200_000, -1, 0, 3, 10_000, 1_000_000] {
            let mut clock = Clock::new(7, rate_ppm);
            clock.jump(VirtualTime::from_micros(1_234), 50);
            for millis in [60, 61, 1_000, 123_456] {
                let reading = Time::from_millis(millis);
                let at = clock.time_of_reading(VirtualTime::from_micros(1_234), reading);
                assert_eq!(clock.read(at), reading, "at {rate_ppm} ppm");
                let before = VirtualTime::from_micros(at.as_micros() - 1);
                assert!(clock.read(before) < reading, "at {rate_ppm} ppm");
            }
        }
    }
}
