//! The server's clock: one that goes on while the machine is suspended, and is never set.
//!
//! Each server begins where the journal ended, so that its time goes forward over a restart.

use leasehold_core::time::{Millis, Time};
use rustix::time::{ClockId, clock_gettime};

/// Reads the time since some fixed moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the machine's clock showed when this one was started.
    machine_start: u64,
    /// What this one showed then.
    clock_start: Time,
}

impl Clock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Time) -> Self {
        Self { machine_start: monotonic_millis(), clock_start: start }
    }

    /// What it shows now, in whole milliseconds, rounded down.
    pub fn now(&self) -> Time {
        self.clock_start
            + Millis::from_millis(monotonic_millis().saturating_sub(self.machine_start))
    }
}

/// On Linux `CLOCK_MONOTONIC` stands still while the machine sleeps, and `CLOCK_BOOTTIME` doesn't;
/// elsewhere the former goes on.
fn monotonic_millis() -> u64 {
    #[cfg(target_os = "linux")]
    let reading = clock_gettime(ClockId::Boottime);
    #[cfg(not(target_os = "linux"))]
    let reading = clock_gettime(ClockId::Monotonic);
    let secs = u64::try_from(reading.tv_sec).expect("time since boot is not negative");
    let nanos = u64::try_from(reading.tv_nsec).expect("a part of a second is not negative");
    secs * 1_000 + nanos / 1_000_000
}

/// The wall clock in milliseconds since 1970, for people alone.
pub fn unix_millis() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_advances_from_its_starting_time() {
        let clock = Clock::starting_at(Time::from_millis(5_000));
        let first = clock.now();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(first >= Time::from_millis(5_000));
        assert!(first.until(clock.now()) >= Millis::from_millis(19), "{first} {}", clock.now());
    }
}
