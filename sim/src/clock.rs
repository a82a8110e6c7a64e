//! The clock of a node: its reading and its rate, relative to virtual time.

use leasehold_core::time::Time;

use super::virtual_time::VirtualTime;

/// A clock that can be set, and that can run too fast or too slow.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The reading at `set_at`, in microseconds.
    reading_us: u64,
    /// When the reading or the rate was last changed.
    set_at: VirtualTime,
    /// The deviation from virtual time in parts per million; a positive rate runs fast.
    rate_ppm: i64,
}

impl Clock {
    pub(super) fn new(offset_ms: u64, rate_ppm: i64) -> Self {
        Self { reading_us: offset_ms.saturating_mul(1_000), set_at: VirtualTime::START, rate_ppm }
    }

    pub(super) fn rate_ppm(&self) -> i64 {
        self.rate_ppm
    }

    /// Returns the reading at `now`, rounded down to milliseconds.
    pub(super) fn read(&self, now: VirtualTime) -> Time {
        Time::from_millis(self.read_micros(now) / 1_000)
    }

    fn read_micros(&self, now: VirtualTime) -> u64 {
        let elapsed = now.as_micros().saturating_sub(self.set_at.as_micros());
        // Whole seconds and the remainder are multiplied separately: both products fit 64 bits.
        let (secs, remainder) = (elapsed / 1_000_000, elapsed % 1_000_000);
        let advanced = secs.saturating_mul(self.micros_per_second())
            + remainder * self.micros_per_second() / 1_000_000;
        self.reading_us.saturating_add(advanced)
    }

    /// Returns how far the clock advances in one second of virtual time, in microseconds.
    fn micros_per_second(&self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.rate_ppm).max(1)
    }

    /// Returns the first time, not before `now`, at which the clock shows `reading`.
    pub(super) fn time_of_reading(&self, now: VirtualTime, reading: Time) -> VirtualTime {
        if reading == Time::NEVER {
            return VirtualTime::NEVER;
        }
        let target_us = reading.as_millis().saturating_mul(1_000);
        let remaining = target_us.saturating_sub(self.reading_us);
        // Rounds up: a timer that fires too early would find nothing expired.
        let delay = if self.rate_ppm == 0 {
            remaining
        } else {
            let delay =
                (u128::from(remaining) * 1_000_000).div_ceil(u128::from(self.micros_per_second()));
            u64::try_from(delay).unwrap_or(u64::MAX)
        };
        (self.set_at + delay).max(now)
    }

    /// Moves the clock forward by `millis`, or back if that is negative.
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
