//! World time: what no node can read.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A moment of a run: microseconds since it began.
///
/// Packed, so that records, of which there can be a million, waste no room before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
#[repr(Rust, packed(4))]
pub struct VirtualTime(u64);

impl VirtualTime {
    /// The beginning of the run.
    pub const START: Self = Self::from_micros(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self::from_micros(u64::MAX);

    /// So many microseconds after the beginning.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// So many milliseconds after the beginning.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the beginning.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the beginning.
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

    /// So many microseconds later.
    fn add(self, micros: u64) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros))
    }
}

impl fmt::Display for VirtualTime {
    /// Seconds with one decimal, as they are spoken of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.as_micros() / 100_000;
        write!(f, "{}.{} s", tenths / 10, tenths % 10)
    }
}
