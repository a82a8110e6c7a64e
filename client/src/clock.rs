//! The clock that beliefs are counted by: one that goes on while the machine is suspended.

use std::time::Duration;

use leasehold_core::time::{Millis, Time};
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
pub(crate) fn millis_from_duration(duration: Duration) -> Millis {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    Millis::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A span as std has it.
pub(crate) const fn duration_from_millis(millis: Millis) -> Duration {
    Duration::from_millis(millis.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_advances() {
        let first = now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(first.until(now()) >= Millis::from_millis(19));
    }

    #[test]
    fn durations_round_up_to_whole_milliseconds() {
        assert_eq!(millis_from_duration(Duration::from_micros(1)), Millis::from_millis(1));
        assert_eq!(millis_from_duration(Duration::from_millis(7)), Millis::from_millis(7));
        assert_eq!(millis_from_duration(Duration::MAX), Millis::from_millis(u64::MAX));
    }
}
