//! When things are to happen: the time that counts, and the intended starts of a fixed rate.
//!
//! - At a fixed rate each operation has a moment at which it is to begin, whatever became of those
//!   before it. Its latency counts from there, so a server that stalls can't hide it by keeping the
//!   clients from asking.

use std::time::{Duration, Instant};

use leasehold_client::{Time, now};

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// One moment on both clocks: the client's, in whole milliseconds, and the one for latencies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) time: Time,
    pub(super) instant: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { time: now(), instant: Instant::now() }
    }
}

/// The time that counts: after the warm-up.
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

/// The intended starts of one worker's operations, where all workers together keep a fixed rate.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    begin: Instant,
    per_second: u64,
    /// The number of the next one, among those of all workers.
    next: u64,
    workers: u64,
}

impl Arrivals {
    /// Those of `worker`, of so many workers.
    pub(super) fn new(begin: Instant, per_second: u64, worker: u64, workers: u64) -> Self {
        Self { begin, per_second, next: worker, workers }
    }

    /// When the next one is to begin.
    pub(super) fn next_at(&self) -> Instant {
        self.begin + self.offset(self.next)
    }

    /// Takes the next one, where it is due: gives back when it was to begin.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let at = self.next_at();
        if at > now {
            return None;
        }
        self.next += self.workers;
        Some(at)
    }

    /// How many of them begin within the window.
    pub(super) fn offered(&self, window: Window) -> u64 {
        let worker = self.next % self.workers;
        let before = |end: Instant| {
            let first = self.first_from(end.saturating_duration_since(self.begin));
            first.saturating_sub(worker).div_ceil(self.workers)
        };
        before(window.until) - before(window.from)
    }

    /// Counted from the beginning each time, so that no error adds up. Rounded down to the
    /// nanosecond.
    fn offset(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS_PER_SEC / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The number of the first one that begins at this offset or later.
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
    fn what_is_late_keeps_its_intended_start() {
        let begin = Instant::now();
        let mut arrivals = Arrivals::new(begin, 10, 0, 1);
        assert_eq!(arrivals.take(begin), Some(begin));
        assert_eq!(arrivals.take(begin), None, "the second is due in 100 ms");
        // Nobody was free for a while: three are due at once, each with the start it should have.
        let late = begin + Duration::from_millis(350);
        let taken: Vec<Instant> = std::iter::from_fn(|| arrivals.take(late)).collect();
        let intended = [100, 200, 300].map(|ms| begin + Duration::from_millis(ms));
        assert_eq!(taken, intended);
        assert_eq!(arrivals.next_at(), begin + Duration::from_millis(400));
    }

    #[test]
    fn workers_share_the_starts_without_a_gap() {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(2);
        let mut all: Vec<Instant> = Vec::new();
        for worker in 0..3 {
            let mut arrivals = Arrivals::new(begin, 7, worker, 3);
            all.extend(std::iter::from_fn(|| arrivals.take(end)));
        }
        all.sort();
        let alone = Arrivals::new(begin, 7, 0, 1);
        let expected: Vec<Instant> = (0..15).map(|n| begin + alone.offset(n)).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_offered_is_what_would_be_taken() {
        let begin = Instant::now();
        for (rate, workers) in [(1, 1), (7, 3), (1_000, 2), (999, 4), (3, 5)] {
            let (warm_up, duration) = (Duration::from_millis(700), Duration::from_millis(1_300));
            let window = Window::new(begin, warm_up, duration);
            let mut total = 0;
            for worker in 0..workers {
                let mut arrivals = Arrivals::new(begin, rate, worker, workers);
                let offered = arrivals.offered(window);
                let taken = std::iter::from_fn(|| arrivals.take(begin + 2 * duration));
                let counted = taken.filter(|at| window.contains(*at)).count();
                assert_eq!(offered, counted as u64, "{rate} a second, {worker} of {workers}");
                assert_eq!(arrivals.offered(window), offered, "the same, whatever was taken");
                total += offered;
            }
            let expected = Arrivals::new(begin, rate, 0, 1).offered(window);
            assert_eq!(total, expected, "{rate} a second");
        }
    }
}
