//! When a batch goes to the disk: at once, or a moment later, with more in it.
//!
//! The replies to a batch lead to the requests of the next one. The first of them must not go to
//! the disk alone: the others would wait for two flushes. So a batch much shorter than the last is
//! held back, for less than a flush takes. It is known as group commit with a delay (DeWitt et al.,
//! "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984).
//!
//! A batch for which no reply waits, such as one of heartbeats alone, is held back for longer:
//! whoever watches doesn't see it, and the threads behind need not be woken for every few events.

use std::time::{Duration, Instant};

/// How long a batch is held back at most: about half of what a flush takes on a good disk.
const HELD_MAX: Duration = Duration::from_micros(80);

/// How long a batch is held back at most for which no reply waits.
const QUIET_MAX: Duration = Duration::from_millis(1);

/// Such a batch goes sooner when it has so many events.
const QUIET_LEN_MAX: usize = 1_024;

/// Decides when batches go.
#[derive(Debug, Default)]
pub struct GroupCommit {
    /// How many events the last batch had for which replies waited.
    last_batch_len: usize,
    /// Since when a batch is held back for which replies wait.
    delayed_since: Option<Instant>,
    /// Since when one is for which none did.
    background_since: Option<Instant>,
}

impl GroupCommit {
    /// Whether a batch of `len` events goes now. The disk has to be free.
    pub fn should_submit(&mut self, len: usize, has_pending_replies: bool, now: Instant) -> bool {
        if has_pending_replies {
            let since = *self.delayed_since.get_or_insert(now);
            if len < self.last_batch_len / 2 && now.saturating_duration_since(since) < HELD_MAX {
                return false;
            }
            self.last_batch_len = len;
        } else {
            let since = *self.background_since.get_or_insert(now);
            if len < QUIET_LEN_MAX && now.saturating_duration_since(since) < QUIET_MAX {
                return false;
            }
        }
        (self.delayed_since, self.background_since) = (None, None);
        true
    }

    /// How soon it has to be asked again, where a batch is held back.
    pub fn recheck_after(&self) -> Option<Duration> {
        let delayed = self.delayed_since.map(|_| Duration::ZERO);
        delayed.or(self.background_since.map(|_| QUIET_MAX))
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
        assert!(group_commit.should_submit(1, true, start), "nothing came before");
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
        assert!(group_commit.should_submit(1, true, after(180)), "one client alone never waits");
    }

    #[test]
    fn batches_without_pending_replies_are_delayed_longer() {
        let (mut group_commit, start) = (GroupCommit::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        assert!(
            !group_commit.should_submit(1, false, start)
                && group_commit.recheck_after() == Some(QUIET_MAX)
        );
        assert!(!group_commit.should_submit(1_023, false, after(999)));
        assert!(
            group_commit.should_submit(1_023, false, after(1_000))
                && group_commit.recheck_after().is_none()
        );
        assert!(group_commit.should_submit(1_024, false, after(1_000)));
        assert!(!group_commit.should_submit(9, false, after(1_000)));
        assert!(group_commit.should_submit(10, true, after(1_001)), "now a reply waits for it");
        assert!(
            !group_commit.should_submit(1, false, after(1_002)),
            "it has gone, and this is another one"
        );
        assert!(
            !group_commit.should_submit(4, true, after(1_100)),
            "half as long as the last that was awaited"
        );
        assert!(group_commit.should_submit(4, true, after(1_180)));
    }
}
