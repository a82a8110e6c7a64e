//! The clock of the client's beliefs, which includes the time in which the machine is suspended.

use std::time::Duration;

use leasehold_core::time::{Millis, Time};
use rustix::time::{ClockId, clock_gettime};

/// Returns the time since the machine was started, rounded down to milliseconds.
///
/// On Linux this is `CLOCK_BOOTTIME`, because `CLOCK_MONOTONIC` is paused while the machine is
/// suspended, so an expired lease would seem to be valid. On other systems `CLOCK_MONOTONIC`
/// includes suspensions.
pub fn now() -> Time {
    #[cfg(target_os = "linux")]
    let reading = clock_gettime(ClockId::Boottime);
    #[cfg(not(target_os = "linux"))]
    let reading = clock_gettime(ClockId::Monotonic);
    let secs = u64::try_from(reading.tv_sec).expect("time since boot is not negative");
    let nanos = u64::try_from(reading.tv_nsec).expect("nanoseconds are not negative");
    Time::from_millis(secs * 1_000 + nanos / 1_000_000)
}

/// Converts to milliseconds, rounded up: the caller wants at least this long.
pub(crate) fn millis_from_duration(duration: Duration) -> Millis {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    Millis::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Converts to the type of the standard library.
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
