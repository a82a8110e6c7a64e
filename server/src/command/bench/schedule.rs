//! The measurement window, and the intended starts of operations at a fixed rate.
//!
//! - At a fixed rate each operation has an intended start that does not depend on earlier
//!   operations. Its latency is measured from there, so a server that stalls cannot hide the stall
//!   by delaying the clients' next requests (coordinated omission).

use std::time::{Duration, Instant};

use leasehold_client::{Time, now};

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// A reading of both clocks: the one of the client state machine, in whole milliseconds, and the
/// one for latencies.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    pub(super) time: Time,
    pub(super) instant: Instant,
}

impl ClockReading {
    pub(super) fn now() -> Self {
        Self { time: now(), instant: Instant::now() }
    }
}

/// The time in which operations count, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

impl Window {
    pub(super) fn new(begin: Instant, warm_up: Duration, duration: Duration) -> Self {
        let from = begin + warm_up;
        Self { from, until: from + duration }
    }

    pub(super) fn contains(&self, instant: Instant) -> bool {
        self.from <= instant && instant < self.until
    }
}

/// The intended starts of the operations of one worker. All workers together have a fixed rate.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    begin: Instant,
    per_second: u64,
    /// The number of the next operation among those of all workers.
    next: u64,
    workers: u64,
}

impl Arrivals {
    /// Returns the starts of one worker out of `workers`.
    pub(super) fn new(begin: Instant, per_second: u64, worker: u64, workers: u64) -> Self {
        Self { begin, per_second, next: worker, workers }
    }

    /// Returns the intended start of the next operation.
    pub(super) fn next_at(&self) -> Instant {
        self.begin + self.offset(self.next)
    }

    /// Advances to the following operation and returns the start of this one, if it is not later
    /// than `now`.
    pub(super) fn next_before(&mut self, now: Instant) -> Option<Instant> {
        let at = self.next_at();
        if at > now {
            return None;
        }
        self.next += self.workers;
        Some(at)
    }

    /// Returns the number of operations of this worker that begin within the window.
    pub(super) fn offered(&self, window: Window) -> u64 {
        let worker = self.next % self.workers;
        let before = |end: Instant| {
            let first = self.first_from(end.saturating_duration_since(self.begin));
            first.saturating_sub(worker).div_ceil(self.workers)
        };
        before(window.until) - before(window.from)
    }

    /// Returns the offset of an operation, rounded down to the nanosecond. It is computed from the
    /// beginning each time, so that errors do not add up.
    fn offset(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS_PER_SEC / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the number of the first operation at this offset or later.
    fn first_from(&self, offset: Duration) -> u64 {
        let number = (offset.as_nanos() * u128::from(self.per_second)).div_ceil(NANOS_PER_SEC);
        u64::try_from(number).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intended_starts_are_evenly_apart_and_do_not_drift() {
        let begin = Instant::now();
        let arrivals = Arrivals::new(begin, 3, 0, 1);
        let offsets: Vec<u128> = (0..4).map(|n| arrivals.offset(n).as_nanos()).collect();
        assert_eq!(offsets, [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(arrivals.offset(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn late_operations_keep_their_intended_start() {
        let begin = Instant::now();
        let mut arrivals = Arrivals::new(begin, 10, 0, 1);
        assert_eq!(arrivals.next_before(begin), Some(begin));
        assert_eq!(arrivals.next_before(begin), None, "the second one begins 100 ms later");
        // No client was idle for a while: three operations are late, and each keeps its start.
        let late = begin + Duration::from_millis(350);
        let starts: Vec<Instant> = std::iter::from_fn(|| arrivals.next_before(late)).collect();
        let intended = [100, 200, 300].map(|ms| begin + Duration::from_millis(ms));
        assert_eq!(starts, intended);
        assert_eq!(arrivals.next_at(), begin + Duration::from_millis(400));
    }

    #[test]
    fn workers_share_the_starts_without_a_gap() {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(2);
        let mut all: Vec<Instant> = Vec::new();
        for worker in 0..3 {
            let mut arrivals = Arrivals::new(begin, 7, worker, 3);
            all.extend(std::iter::from_fn(|| arrivals.next_before(end)));
        }
        all.sort();
        let alone = Arrivals::new(begin, 7, 0, 1);
        let expected: Vec<Instant> = (0..15).map(|n| begin + alone.offset(n)).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn the_offered_count_matches_the_starts() {
        let begin = Instant::now();
        for (rate, workers) in [(1, 1), (7, 3), (1_000, 2), (999, 4), (3, 5)] {
            let (warm_up, duration) = (Duration::from_millis(700), Duration::from_millis(1_300));
            let window = Window::new(begin, warm_up, duration);
            let mut total = 0;
            for worker in 0..workers {
                let mut arrivals = Arrivals::new(begin, rate, worker, workers);
                let offered = arrivals.offered(window);
                let starts = std::iter::from_fn(|| arrivals.next_before(begin + 2 * duration));
                let counted = starts.filter(|at| window.contains(*at)).count();
                assert_eq!(offered, counted as u64, "{rate} a second, {worker} of {workers}");
                assert_eq!(
                    arrivals.offered(window),
                    offered,
                    "the count does not depend on the position"
                );
                total += offered;
            }
            let expected = Arrivals::new(begin, rate, 0, 1).offered(window);
            assert_eq!(total, expected, "{rate} a second");
        }
    }
}
