//! The counters of a bench: operations, latencies, failures, and datagrams.
//!
//! - Operations and requests count if they end in the window. At a fixed rate, operations that were
//!   to begin in the window count even if they end later.
//! - Datagrams, lost sessions and appended lines are those of the whole run, including warm-up and
//!   end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use leasehold_core::id::Name;

use super::schedule::Window;

/// The largest latency that the histogram distinguishes, in nanoseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// The number of significant digits of a latency.
const DIGITS: u8 = 3;

/// A kind of request, or an interval between requests, that is reported separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RequestKind {
    Acquire,
    Append,
    Release,
    Heartbeat,
    TryHeldLock,
    CloseSession,
    OpenSession,
    /// Not a request: from a client's release to the grant that the next client in the queue
    /// receives.
    HandOff,
}

/// Why a datagram is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendReason {
    /// A request is sent for the first time.
    First,
    /// The request was sent before, and no reply arrived in time.
    Retransmission,
    /// A queued client polls, as the protocol requires.
    Poll,
    /// The lease is renewed independently of the operations.
    Background,
}

/// Latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// The counters of one worker, or of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Set when the measurement begins: earlier operations do not count.
    pub(super) window: Option<Window>,
    /// At a fixed rate: the number of operations that were to begin in the window.
    pub(super) offered: Option<u64>,
    /// The number of these operations that have completed or failed.
    pub(super) offered_completed: u64,
    /// The operations that succeeded.
    pub(super) operations: Latencies,
    /// The number of these operations that ended within the window.
    pub(super) in_time: u64,
    /// The number of failed operations, by the code of the first error.
    pub(super) failed: BTreeMap<&'static str, u64>,
    pub(super) requests: BTreeMap<RequestKind, Latencies>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) retransmissions: u64,
    pub(super) polls: u64,
    pub(super) background_heartbeats: u64,
    pub(super) sessions_lost: u64,
    pub(super) appended_lines: u64,
    pub(super) appended_bytes: u64,
    /// When each contended lock was last released, and by which client.
    pub(super) last_release: BTreeMap<Name, (Instant, Name)>,
}

impl RequestKind {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Append => "append",
            Self::Release => "release",
            Self::Heartbeat => "heartbeat",
            Self::TryHeldLock => "look",
            Self::CloseSession => "close",
            Self::OpenSession => "open",
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

    /// Returns a quantile of the latencies, in microseconds.
    pub(super) fn micros_at(&self, quantile: f64) -> f64 {
        micros(self.0.value_at_quantile(quantile))
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
        Self(histogram.expect("1 is smaller than an hour"))
    }
}

impl Counters {
    /// Records the reply to a request.
    pub(super) fn record_request(&mut self, kind: RequestKind, sent_at: Instant, now: Instant) {
        if self.window.is_some_and(|window| window.contains(now)) {
            self.requests.entry(kind).or_default().record(now.saturating_duration_since(sent_at));
        }
    }

    /// Records that a client sends the release of a contended lock.
    pub(super) fn record_release(&mut self, lock: &Name, by: &Name, now: Instant) {
        self.last_release.insert(lock.clone(), (now, by.clone()));
    }

    /// Records that a client receives the grant of a contended lock. It is a hand-off if another
    /// client released the lock.
    pub(super) fn record_grant(&mut self, lock: &Name, to: &Name, now: Instant) {
        if let Some((released_at, by)) = self.last_release.remove(lock)
            && by != *to
        {
            self.record_request(RequestKind::HandOff, released_at, now);
        }
    }

    /// Records the end of an operation.
    pub(super) fn record_operation(
        &mut self,
        intended: Instant,
        now: Instant,
        outcome: Result<(), &'static str>,
    ) {
        let Some(window) = self.window else { return };
        let in_time = window.contains(now);
        let is_offered = self.offered.is_some() && window.contains(intended);
        self.offered_completed += u64::from(is_offered);
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

    /// Records an operation that had no reply long after the end. That is a failure, whenever it
    /// began.
    pub(super) fn record_abandoned(&mut self) {
        if self.window.is_some() {
            *self.failed.entry("no_answer").or_default() += 1;
        }
    }

    pub(super) fn record_sent(&mut self, reason: SendReason) {
        self.sent += 1;
        match reason {
            SendReason::First => {}
            SendReason::Retransmission => self.retransmissions += 1,
            SendReason::Poll => self.polls += 1,
            SendReason::Background => self.background_heartbeats += 1,
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// At a fixed rate: returns how many operations that were to begin in the window did not end.
    pub(super) fn not_finished(&self) -> Option<u64> {
        self.offered.map(|offered| offered.saturating_sub(self.offered_completed))
    }

    /// Adds the counters of another worker.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self {
            window, offered, offered_completed, operations, in_time, failed, requests, ..
        } = other;
        self.window = self.window.or(*window);
        if let Some(offered) = offered {
            *self.offered.get_or_insert(0) += offered;
        }
        self.offered_completed += offered_completed;
        self.operations.merge(operations);
        self.in_time += in_time;
        for (code, count) in failed {
            *self.failed.entry(code).or_default() += count;
        }
        for (kind, latencies) in requests {
            self.requests.entry(*kind).or_default().merge(latencies);
        }
        self.sent += other.sent;
        self.received += other.received;
        self.retransmissions += other.retransmissions;
        self.polls += other.polls;
        self.background_heartbeats += other.background_heartbeats;
        self.sessions_lost += other.sessions_lost;
        self.appended_lines += other.appended_lines;
        self.appended_bytes += other.appended_bytes;
    }
}

impl Latencies {
    fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same range");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(offered: Option<u64>) -> (Counters, Instant) {
        let begin = Instant::now();
        let window = Window::new(begin, Duration::from_secs(1), Duration::from_secs(2));
        (Counters { window: Some(window), offered, ..Counters::default() }, begin)
    }

    #[track_caller]
    fn check(offered: Option<u64>, from_ms: u64, to_ms: u64, counted: u64, in_time: u64) {
        let (mut counters, begin) = counters(offered);
        let at = |ms| begin + Duration::from_millis(ms);
        counters.record_operation(at(from_ms), at(to_ms), Ok(()));
        assert_eq!((counters.operations.count(), counters.in_time), (counted, in_time));
    }

    #[test]
    fn operations_that_end_in_the_window_count() {
        check(None, 900, 999, 0, 0);
        check(None, 900, 1_000, 1, 1);
        check(None, 2_900, 2_999, 1, 1);
        check(None, 2_900, 3_000, 0, 0);
    }

    #[test]
    fn at_a_fixed_rate_late_operations_count_with_their_latency() {
        check(Some(1), 2_999, 9_999, 1, 0);
        check(Some(1), 3_000, 9_999, 0, 0);
        let (mut counters, begin) = counters(Some(3));
        let from = begin + Duration::from_secs(2);
        counters.record_operation(from, from + Duration::from_secs(4), Ok(()));
        counters.record_operation(from, from, Err("no_answer"));
        // It was to begin in the warm-up, so it is not one of the three.
        counters.record_operation(begin, from, Ok(()));
        assert_eq!(counters.not_finished(), Some(1));
        let max = counters.operations.micros_max();
        assert!((max - 4_000_000.0).abs() < 4_000.0, "three significant digits: {max}");
    }

    #[test]
    fn counters_of_workers_are_added() {
        let (mut one, begin) = counters(None);
        let at = |ms: u64| begin + Duration::from_millis(1_000 + ms);
        let mut other = one.clone();
        one.record_operation(at(0), at(1), Ok(()));
        one.record_operation(at(0), at(1), Err("overloaded"));
        one.record_request(RequestKind::Acquire, at(0), at(1));
        other.record_operation(at(0), at(3), Ok(()));
        other.record_operation(at(0), at(1), Err("overloaded"));
        other.record_request(RequestKind::Acquire, at(0), at(2));
        other.record_request(RequestKind::Release, at(2), at(3));
        other.record_sent(SendReason::Retransmission);
        one.merge(&other);
        assert_eq!(one.operations.count(), 2);
        assert_eq!(one.failed, BTreeMap::from([("overloaded", 2)]));
        let requests: Vec<_> = one.requests.iter().map(|(kind, it)| (*kind, it.count())).collect();
        assert_eq!(requests, [(RequestKind::Acquire, 2), (RequestKind::Release, 1)]);
        assert_eq!((one.sent, one.retransmissions, one.polls), (1, 1, 0));
    }
}
