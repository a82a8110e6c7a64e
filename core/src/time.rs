//! Moments and durations, in whole milliseconds.
//!
//! - Readings of different machines are never compared: only a [`Millis`] crosses the wire.
//! - Nothing here reads a clock. A moment comes in as an argument, from whoever has one.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A reading of one machine's clock: milliseconds since some moment of that machine's own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(u64);

/// A length of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(u64);

impl Time {
    /// The beginning of a machine's clock.
    pub const ZERO: Self = Self(0);
    /// Later than every moment that anything can be set for.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment at which a clock shows this many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// What the clock shows, in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it isn't after it.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// How long from here until `later`; zero where that has come.
    pub const fn until(self, later: Self) -> Millis {
        later.since(self)
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of this many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A span of this many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whether there is nothing left of it.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This span `factor` times, at most the longest there is.
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// One of `parts` equal parts of it, rounded down.
    pub const fn divided_by(self, parts: u64) -> Self {
        Self(self.0 / parts)
    }

    /// What is left of it when `other` is taken away; zero where `other` is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// What is sure to be left of this span on a clock that is off by up to `drift_ppm`.
    /// Rounds down, because somebody is about to trust the result.
    pub const fn shortened_by(self, drift_ppm: u64) -> Self {
        assert!(drift_ppm <= 1_000_000, "a clock can't be off by more than all of the time");
        let remaining = self.0 as u128 * (1_000_000 - drift_ppm) as u128 / 1_000_000;
        // It can't be more than it was, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        Self(remaining as u64)
    }
}

impl Add<Millis> for Time {
    type Output = Self;

    /// Stops at [`GoToTime::NEVER`]: a client may ask for any number of milliseconds.
    fn add(self, duration: Millis) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Time {
    /// Seconds with one decimal, as a story tells it: `10.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{}", self.0 / 1_000, self.0 % 1_000 / 100);
        f.pad(&text)
    }
}

impl fmt::Display for Millis {
    /// Milliseconds up to a second, then seconds with one decimal: `250 ms`, `1.5 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.0 < 1_000 {
            format!("{} ms", self.0)
        } else {
            format!("{}.{} s", self.0 / 1_000, self.0 % 1_000 / 100)
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_by_rounds_down() {
        assert_eq!(Millis::from_millis(5_000).shortened_by(10_000), Millis::from_millis(4_950));
        assert_eq!(Millis::from_millis(99).shortened_by(10_000), Millis::from_millis(98));
        assert_eq!(Millis::from_millis(u64::MAX).shortened_by(0), Millis::from_millis(u64::MAX));
        assert_eq!(Millis::from_millis(7).shortened_by(1_000_000), Millis::ZERO);
    }

    #[test]
    fn additions_saturate_instead_of_wrapping() {
        assert_eq!(Time::from_millis(5) + Millis::from_millis(u64::MAX), Time::NEVER);
        assert_eq!(Time::from_millis(5).since(Time::from_millis(9)), Millis::ZERO);
    }

    #[test]
    fn times_and_durations_display_in_readable_units() {
        assert_eq!(Millis::from_millis(250).to_string(), "250 ms");
        assert_eq!(Millis::from_millis(1_550).to_string(), "1.5 s");
        assert_eq!(format!("{:>6}", Time::from_millis(10_149)), "  10.1");
    }
}
