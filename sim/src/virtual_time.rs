//! Virtual time: the simulator's own clock, which no node can read.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A point in virtual time: microseconds since the start of the run.
///
/// Packed, so that a record, of which a run can have a million, contains no padding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
#[repr(Rust, packed(4))]
pub struct VirtualTime(u64);

impl VirtualTime {
    /// The start of the run.
    pub const START: Self = Self::from_micros(0);
    /// Later than every event.
    pub const NEVER: Self = Self::from_micros(u64::MAX);

    /// Returns the time this many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the time this many milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Returns the microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.as_micros() / 1_000
    }
}

impl From<u64> for VirtualTime {
    fn from(micros: u64) -> Self {
        Self::from_micros(micros)
    }
}

impl From<VirtualTime> for u64 {
    fn from(time: VirtualTime) -> Self {
        time.as_micros()
    }
}

impl Add<u64> for VirtualTime {
    type Output = Self;

    /// Adds microseconds.
    fn add(self, micros: u64) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros))
    }
}

impl fmt::Display for VirtualTime {
    /// Writes seconds with one decimal, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.as_micros() / 100_000;
        write!(f, "{}.{} s", tenths / 10, tenths % 10)
    }
}
