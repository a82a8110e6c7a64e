//! The server's clock: it keeps running while the machine is suspended, and nothing ever sets it.
//!
//! It starts at the time of the last event in the log, so the server's time never decreases across
//! a restart.

use leasehold_core::time::Time;

/// A monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The machine's clock reading when this clock was started.
    machine_start: Time,
    /// The time of this clock at that moment.
    clock_start: Time,
}

impl Clock {
    /// Returns a clock whose current time is `start`.
    pub fn starting_at(start: Time) -> Self {
        Self { machine_start: leasehold_client::now(), clock_start: start }
    }

    /// Returns the current time, rounded down to whole milliseconds.
    pub fn now(&self) -> Time {
        self.clock_start + self.machine_start.until(leasehold_client::now())
    }
}

/// Returns the wall-clock time in milliseconds since 1970. It is shown to people; no decision
/// depends on it.
pub fn unix_millis() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the wall-clock time in microseconds since 1970.
pub fn unix_micros() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_advances_from_its_starting_time() {
        let clock = Clock::starting_at(Time::from_millis(5_000));
        let first = clock.now();
        assert!(first >= Time::from_millis(5_000));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while clock.now() <= first {
            assert!(std::time::Instant::now() < deadline, "the clock does not advance");
            std::thread::yield_now();
        }
    }
}
