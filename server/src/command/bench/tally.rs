//! What a bench counts: operations, their latencies, what failed, and datagrams.
//!
//! - Operations and requests count that end in the window; at a fixed rate also those that were to
//!   begin in it and end later.
//! - Datagrams, sessions that were lost and appended lines are those of the whole run, with warm-up
//!   and end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use leasehold_core::id::Name;

use super::schedule::Window;

/// The longest latency that is told apart from longer ones, in nanoseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// How many digits of a latency are right.
const DIGITS: u8 = 3;

/// One kind of request, as it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Acquire,
    Append,
    Release,
    Heartbeat,
    Look,
    Close,
    Open,
    /// No request: from a client's release to the grant that the next in line hears of.
    HandOff,
}

/// Why a datagram leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Something is asked for the first time.
    First,
    /// It was asked before, and there was no answer in time.
    Again,
    /// Who stands in line asks again, as the protocol wants it.
    Poll,
    /// The lease is renewed beside the work.
    Background,
}

/// Latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// The counts of one worker, or of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Set when the work begins: nothing before that counts.
    pub(super) window: Option<Window>,
    /// Operations that were to begin in the window, at a fixed rate.
    pub(super) offered: Option<u64>,
    /// Those of them that have ended, well or badly.
    pub(super) settled: u64,
    /// Operations that ended well.
    pub(super) operations: Latencies,
    /// Those of them that ended within the window.
    pub(super) in_time: u64,
    /// Operations that ended badly, by the code of the first thing that went wrong.
    pub(super) failed: BTreeMap<&'static str, u64>,
    pub(super) calls: BTreeMap<Call, Latencies>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) sent_again: u64,
    pub(super) polls: u64,
    pub(super) background: u64,
    pub(super) sessions_lost: u64,
    pub(super) appended_lines: u64,
    pub(super) appended_bytes: u64,
    /// When a lock that goes from hand to hand was last released, and by whom.
    pub(super) released: BTreeMap<Name, (Instant, Name)>,
}

impl Call {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Append => "append",
            Self::Release => "release",
            Self::Heartbeat => "heartbeat",
            Self::Look => "look",
            Self::Close => "close",
            Self::Open => "open",
            Self::HandOff => "hand_off",
        }
    }
}

impl Latencies {
    fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this share of all operations kept within, in microseconds.
    pub(super) fn micros_at(&self, share: f64) -> f64 {
        micros(self.0.value_at_quantile(share))
    }

    pub(super) fn micros_max(&self) -> f64 {
        micros(self.0.max())
    }

    pub(super) fn micros_mean(&self) -> f64 {
        self.0.mean() / 1_000.0
    }
}

#[allow(clippy::cast_precision_loss, reason = "an hour in nanoseconds is counted exactly")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS);
        Self(histogram.expect("the bounds are in order"))
    }
}

impl Tally {
    /// A request was answered.
    pub(super) fn call(&mut self, call: Call, asked: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(now)) {
            self.calls.entry(call).or_default().record(now.saturating_duration_since(asked));
        }
    }

    /// A client sends the release of a lock that others wait for.
    pub(super) fn released(&mut self, lock: &Name, by: &Name, now: Instant) {
        self.released.insert(lock.clone(), (now, by.clone()));
    }

    /// A client hears that such a lock is its own now. Where it comes from somebody else, it was
    /// handed over.
    pub(super) fn granted(&mut self, lock: &Name, to: &Name, now: Instant) {
        if let Some((released, by)) = self.released.remove(lock)
            && by != *to
        {
            self.call(Call::HandOff, released, now);
        }
    }

    /// An operation has come to its end.
    pub(super) fn end(
        &mut self,
        intended: Instant,
        now: Instant,
        outcome: Result<(), &'static str>,
    ) {
        let Some(window) = self.window else { return };
        let in_time = window.contains(now);
        let is_offered = self.offered.is_some() && window.contains(intended);
        self.settled += u64::from(is_offered);
        if !in_time && !is_offered {
            return;
        }
        match outcome {
            Ok(()) => {
                self.operations.record(now.saturating_duration_since(intended));
                self.in_time += u64::from(in_time);
            }
            Err(code) => *self.failed.entry(code).or_default() += 1,
        }
    }

    /// An operation was not answered long after the end: that is a failure, whenever it began.
    pub(super) fn gave_up(&mut self) {
        if self.window.is_some() {
            *self.failed.entry("no_answer").or_default() += 1;
        }
    }

    pub(super) fn sent(&mut self, sort: Sort) {
        self.sent += 1;
        match sort {
            Sort::First => {}
            Sort::Again => self.sent_again += 1,
            Sort::Poll => self.polls += 1,
            Sort::Background => self.background += 1,
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// How many were to begin in the window, at a fixed rate, and never came to an end.
    pub(super) fn not_finished(&self) -> Option<u64> {
        self.offered.map(|offered| offered.saturating_sub(self.settled))
    }

    /// Takes in what another worker has counted.
    pub(super) fn add(&mut self, other: &Self) {
        let Self { window, offered, settled, operations, in_time, failed, calls, .. } = other;
        self.window = self.window.or(*window);
        if let Some(offered) = offered {
            *self.offered.get_or_insert(0) += offered;
        }
        self.settled += settled;
        self.operations.add(operations);
        self.in_time += in_time;
        for (code, count) in failed {
            *self.failed.entry(code).or_default() += count;
        }
        for (call, latencies) in calls {
            self.calls.entry(*call).or_default().add(latencies);
        }
        self.sent += other.sent;
        self.received += other.received;
        self.sent_again += other.sent_again;
        self.polls += other.polls;
        self.background += other.background;
        self.sessions_lost += other.sessions_lost;
        self.appended_lines += other.appended_lines;
        self.appended_bytes += other.appended_bytes;
    }
}

impl Latencies {
    fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(offered: Option<u64>) -> (Tally, Instant) {
        let begin = Instant::now();
        let window = Window::new(begin, Duration::from_secs(1), Duration::from_secs(2));
        (Tally { window: Some(window), offered, ..Tally::default() }, begin)
    }

    #[track_caller]
    fn check(offered: Option<u64>, from_ms: u64, to_ms: u64, counted: u64, in_time: u64) {
        let (mut tally, begin) = tally(offered);
        let at = |ms| begin + Duration::from_millis(ms);
        tally.end(at(from_ms), at(to_ms), Ok(()));
        assert_eq!((tally.operations.count(), tally.in_time), (counted, in_time));
    }

    #[test]
    fn what_ends_in_the_window_counts() {
        check(None, 900, 999, 0, 0);
        check(None, 900, 1_000, 1, 1);
        check(None, 2_900, 2_999, 1, 1);
        check(None, 2_900, 3_000, 0, 0);
    }

    #[test]
    fn at_a_fixed_rate_what_ends_late_has_its_latency() {
        check(Some(1), 2_999, 9_999, 1, 0);
        check(Some(1), 3_000, 9_999, 0, 0);
        let (mut tally, begin) = tally(Some(3));
        let from = begin + Duration::from_secs(2);
        tally.end(from, from + Duration::from_secs(4), Ok(()));
        tally.end(from, from, Err("no_answer"));
        // It was offered in the warm-up, so it is none of the three.
        tally.end(begin, from, Ok(()));
        assert_eq!(tally.not_finished(), Some(1));
        let max = tally.operations.micros_max();
        assert!((max - 4_000_000.0).abs() < 4_000.0, "three digits are right: {max}");
    }

    #[test]
    fn counts_of_workers_add_up() {
        let (mut one, begin) = tally(None);
        let at = |ms: u64| begin + Duration::from_millis(1_000 + ms);
        let mut other = one.clone();
        one.end(at(0), at(1), Ok(()));
        one.end(at(0), at(1), Err("overloaded"));
        one.call(Call::Acquire, at(0), at(1));
        other.end(at(0), at(3), Ok(()));
        other.end(at(0), at(1), Err("overloaded"));
        other.call(Call::Acquire, at(0), at(2));
        other.call(Call::Release, at(2), at(3));
        other.sent(Sort::Again);
        one.add(&other);
        assert_eq!(one.operations.count(), 2);
        assert_eq!(one.failed, BTreeMap::from([("overloaded", 2)]));
        let calls: Vec<_> = one.calls.iter().map(|(call, it)| (*call, it.count())).collect();
        assert_eq!(calls, [(Call::Acquire, 2), (Call::Release, 1)]);
        assert_eq!((one.sent, one.sent_again, one.polls), (1, 1, 0));
    }
}
