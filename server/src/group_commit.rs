//! Group commit: decides whether a batch goes to the disk at once or is delayed so that more events
//! join it.
//!
//! Replies to one batch trigger the requests of the next. If the first of these were flushed alone,
//! the others would wait for two flushes. Therefore a batch that is much shorter than the previous
//! one is delayed, for less time than a flush takes (DeWitt et al., "Implementation Techniques for
//! Main Memory Database Systems", SIGMOD 1984).
//!
//! A batch that no reply depends on, such as one of heartbeats only, is delayed longer. Viewers do
//! not notice, and the storage and publishing threads are woken less often.

use std::time::{Duration, Instant};

/// How long a batch is delayed at most if replies depend on it: about half of the duration of a
/// flush on a good disk.
const DELAY_MAX: Duration = Duration::from_micros(80);

/// How long a batch is delayed at most if no reply depends on it.
const BACKGROUND_DELAY_MAX: Duration = Duration::from_millis(1);

/// A batch that no reply depends on is submitted early once it has this many events.
const BACKGROUND_LEN_MAX: usize = 1_024;

/// A batch is stored at the same time as another one only if it has this many events.
const OVERLAP_LEN_MIN: usize = 8;

/// Decides when batches are submitted.
#[derive(Debug, Default)]
pub struct GroupCommit {
    /// The number of events in the last batch that replies depended on.
    last_batch_len: usize,
    /// When the delay of a batch with pending replies began.
    delayed_since: Option<Instant>,
    /// When the delay of a batch without pending replies began.
    background_since: Option<Instant>,
}

impl GroupCommit {
    /// Returns whether to submit a batch of `len` events now. The caller ensures that no other
    /// batch is in flight.
    pub fn should_submit(&mut self, len: usize, has_pending_replies: bool, now: Instant) -> bool {
        if has_pending_replies {
            let since = *self.delayed_since.get_or_insert(now);
            if len < self.last_batch_len / 2 && now.saturating_duration_since(since) < DELAY_MAX {
                return false;
            }
            self.last_batch_len = len;
        } else {
            let since = *self.background_since.get_or_insert(now);
            if len < BACKGROUND_LEN_MAX
                && now.saturating_duration_since(since) < BACKGROUND_DELAY_MAX
            {
                return false;
            }
        }
        (self.delayed_since, self.background_since) = (None, None);
        true
    }

    /// Returns whether to submit a batch of `len` events while another one is in flight: if enough
    /// clients wait for it to be worth a flush of its own.
    pub fn should_overlap(&mut self, len: usize, has_pending_replies: bool) -> bool {
        let is_worth_it =
            has_pending_replies && len >= self.last_batch_len.div_ceil(2).max(OVERLAP_LEN_MIN);
        if is_worth_it {
            self.last_batch_len = len;
            (self.delayed_since, self.background_since) = (None, None);
        }
        is_worth_it
    }

    /// Returns how soon to call [`GroupCommit::should_submit`] again, if a batch is being delayed.
    pub fn recheck_after(&self) -> Option<Duration> {
        let delayed = self.delayed_since.map(|_| Duration::ZERO);
        delayed.or(self.background_since.map(|_| BACKGROUND_DELAY_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_much_shorter_than_the_last_is_delayed_and_only_briefly() {
        let (mut group_commit, start) = (GroupCommit::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        let immediately = Some(Duration::ZERO);
        assert!(group_commit.should_submit(1, true, start), "there was no batch before");
        assert!(group_commit.should_submit(64, true, start));
        assert!(
            !group_commit.should_submit(1, true, start)
                && group_commit.recheck_after() == immediately
        );
        assert!(
            !group_commit.should_submit(31, true, after(79))
                && group_commit.recheck_after() == immediately
        );
        assert!(
            group_commit.should_submit(32, true, after(79))
                && group_commit.recheck_after().is_none()
        );
        assert!(
            !group_commit.should_submit(1, true, after(100))
                && !group_commit.should_submit(1, true, after(179))
        );
        assert!(
            group_commit.should_submit(1, true, after(180))
                && group_commit.recheck_after().is_none()
        );
        assert!(group_commit.should_submit(1, true, after(180)), "a single client never waits");
    }

    #[test]
    fn batches_without_pending_replies_are_delayed_longer() {
        let (mut group_commit, start) = (GroupCommit::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        assert!(
            !group_commit.should_submit(1, false, start)
                && group_commit.recheck_after() == Some(BACKGROUND_DELAY_MAX)
        );
        assert!(!group_commit.should_submit(1_023, false, after(999)));
        assert!(
            group_commit.should_submit(1_023, false, after(1_000))
                && group_commit.recheck_after().is_none()
        );
        assert!(group_commit.should_submit(1_024, false, after(1_000)));
        assert!(!group_commit.should_submit(9, false, after(1_000)));
        assert!(group_commit.should_submit(10, true, after(1_001)), "a reply depends on it now");
        assert!(
            !group_commit.should_submit(1, false, after(1_002)),
            "the previous one was submitted; this is a new one"
        );
        assert!(
            !group_commit.should_submit(4, true, after(1_100)),
            "less than half of the last batch with pending replies"
        );
        assert!(group_commit.should_submit(4, true, after(1_180)));
    }

    #[test]
    fn a_second_batch_is_stored_at_the_same_time_only_if_many_clients_wait_for_it() {
        let mut group_commit = GroupCommit::default();
        assert!(group_commit.should_submit(64, true, Instant::now()));
        assert!(!group_commit.should_overlap(31, true));
        assert!(!group_commit.should_overlap(64, false), "no reply depends on it");
        assert!(group_commit.should_overlap(32, true));
        assert!(group_commit.should_overlap(16, true), "half of the last one");
        assert!(group_commit.should_overlap(8, true));
        assert!(!group_commit.should_overlap(7, true), "too few");
    }
}
