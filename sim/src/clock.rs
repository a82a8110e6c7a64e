//! A node's clock: where it stands, and how fast it runs, against world time.

use leasehold_core::time::Time;

use super::moment::Moment;

/// A clock that somebody can set, and that runs too fast or too slow.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// What it showed, in microseconds, when it was last set.
    shown: u64,
    set_at: Moment,
    /// How much faster than the world it runs, in parts per million.
    rate_ppm: i64,
}

impl Clock {
    pub(super) fn new(offset_ms: u64, rate_ppm: i64) -> Self {
        Self { shown: offset_ms.saturating_mul(1_000), set_at: Moment::START, rate_ppm }
    }

    pub(super) fn rate_ppm(&self) -> i64 {
        self.rate_ppm
    }

    /// What it shows.
    pub(super) fn read(&self, now: Moment) -> Time {
        Time::from_millis(self.micros(now) / 1_000)
    }

    fn micros(&self, now: Moment) -> u64 {
        let passed = now.as_micros().saturating_sub(self.set_at.as_micros());
        // Whole seconds and the rest apart: 64 bits do for both, where one product takes 128.
        let (secs, rest) = (passed / 1_000_000, passed % 1_000_000);
        let shown = secs.saturating_mul(self.speed()) + rest * self.speed() / 1_000_000;
        self.shown.saturating_add(shown)
    }

    /// How much it goes on while a second passes in the world, in microseconds.
    fn speed(&self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.rate_ppm).max(1)
    }

    /// The first moment from `now` on at which it shows `time`.
    pub(super) fn when(&self, now: Moment, time: Time) -> Moment {
        if time == Time::NEVER {
            return Moment::NEVER;
        }
        let target = time.as_millis().saturating_mul(1_000);
        let left = target.saturating_sub(self.shown);
        // Rounded up: a moment too early would be one at which nothing is due.
        let after = if self.rate_ppm == 0 {
            left
        } else {
            let after = (u128::from(left) * 1_000_000).div_ceil(u128::from(self.speed()));
            u64::try_from(after).unwrap_or(u64::MAX)
        };
        (self.set_at + after).max(now)
    }

    /// Sets it forward by `millis`, or back where that is negative.
    pub(super) fn jump(&mut self, now: Moment, millis: i64) {
        let shown = i128::from(self.micros(now)) + i128::from(millis) * 1_000;
        self.shown = u64::try_from(shown).unwrap_or(0);
        self.set_at = now;
    }

    pub(super) fn set_rate(&mut self, now: Moment, rate_ppm: i64) {
        self.shown = self.micros(now);
        self.set_at = now;
        self.rate_ppm = rate_ppm.clamp(-900_000, 9_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_at_which_a_clock_shows_a_time_is_the_first_one() {
        for rate_ppm in [-200_000, -1, 0, 3, 10_000, 1_000_000] {
            let mut clock = Clock::new(7, rate_ppm);
            clock.jump(Moment::from_micros(1_234), 50);
            for millis in [60, 61, 1_000, 123_456] {
                let time = Time::from_millis(millis);
                let when = clock.when(Moment::from_micros(1_234), time);
                assert_eq!(clock.read(when), time, "at {rate_ppm} ppm");
                let before = Moment::from_micros(when.as_micros() - 1);
                assert!(clock.read(before) < time, "at {rate_ppm} ppm");
            }
        }
    }
}
