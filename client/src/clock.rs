//! The clock that beliefs are counted by: one that goes on while the machine is suspended.

use std::time::Duration;

use leasehold_core::time::{Span, Time};
use rustix::time::{ClockId, clock_gettime};

/// What this machine's clock shows, in milliseconds since it started, rounded down.
///
/// On Linux `CLOCK_MONOTONIC` stands still while the machine sleeps, and with it a lease that has
/// long run out would seem to last; `CLOCK_BOOTTIME` goes on. Elsewhere the former does.
pub fn now() -> Time {
    #[cfg(target_os = "linux")]
    let reading = clock_gettime(ClockId::Boottime);
    #[cfg(not(target_os = "linux"))]
    let reading = clock_gettime(ClockId::Monotonic);
    let secs = u64::try_from(reading.tv_sec).expect("time since boot is not negative");
    let nanos = u64::try_from(reading.tv_nsec).expect("a part of a second is not negative");
    Time::from_millis(secs * 1_000 + nanos / 1_000_000)
}

/// A duration in whole milliseconds, rounded up: somebody wants at least that long.
pub(crate) fn span(duration: Duration) -> Span {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    Span::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A span as std has it.
pub(crate) const fn duration(span: Span) -> Duration {
    Duration::from_millis(span.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward() {
        let first = now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(first.until(now()) >= Span::from_millis(19));
    }

    #[test]
    fn a_part_of_a_millisecond_counts_as_one() {
        assert_eq!(span(Duration::from_micros(1)), Span::from_millis(1));
        assert_eq!(span(Duration::from_millis(7)), Span::from_millis(7));
        assert_eq!(span(Duration::MAX), Span::from_millis(u64::MAX));
    }
}
