//! Points in time and durations, in whole milliseconds.
//!
//! - Readings of different machines are never compared: only a [`Millis`] crosses the wire.
//! - Nothing in this crate reads a clock. The caller passes the current time as an argument.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A reading of one machine's clock: milliseconds since an origin that only this machine knows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(u64);

/// A duration in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(u64);

impl Time {
    /// The origin of a machine's clock.
    pub const ZERO: Self = Self(0);
    /// Later than every deadline: a timer set for this time never fires.
    pub const NEVER: Self = Self(u64::MAX);

    /// Creates the time at which the clock reads `millis`.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the reading in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is later than this time.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the duration until `later`, or zero if `later` has passed.
    pub const fn until(self, later: Self) -> Millis {
        later.since(self)
    }
}

impl Millis {
    /// The empty duration.
    pub const ZERO: Self = Self(0);

    /// Creates a duration of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Creates a duration of `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// Returns the number of milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns whether the duration is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns this duration times `factor`, or the longest duration if that overflows.
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// Returns one of `parts` equal parts of this duration. Rounds down.
    pub const fn divided_by(self, parts: u64) -> Self {
        Self(self.0 / parts)
    }

    /// Returns this duration minus `other`, or zero if `other` is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns how much of this duration is certain to remain on a clock whose rate may be off by
    /// `drift_ppm`. Rounds down, because the caller is about to rely on the result.
    pub const fn shortened_by(self, drift_ppm: u64) -> Self {
        assert!(drift_ppm <= 1_000_000, "a drift bound is at most 1,000,000 ppm");
        let remaining = self.0 as u128 * (1_000_000 - drift_ppm) as u128 / 1_000_000;
        #[allow(clippy::cast_possible_truncation, reason = "it is at most the original value")]
        Self(remaining as u64)
    }
}

impl Add<Millis> for Time {
    type Output = Self;

    /// Saturates at [`Time::NEVER`], because a client may request any number of milliseconds.
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
    /// Writes seconds with one decimal, rounded down: `10.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{}", self.0 / 1_000, self.0 % 1_000 / 100);
        f.pad(&text)
    }
}

impl fmt::Display for Millis {
    /// Writes milliseconds below one second, else seconds with one decimal, rounded down:
    /// `250 ms`, `1.5 s`.
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
