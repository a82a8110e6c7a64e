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
pub struct Pace {
    /// How many events the last batch had for which replies waited.
    last: usize,
    /// Since when a batch is held back for which replies wait.
    held_since: Option<Instant>,
    /// Since when one is for which none did.
    quiet_since: Option<Instant>,
}

impl Pace {
    /// Whether a batch of `len` events goes now. The disk has to be free.
    pub fn lets_go(&mut self, len: usize, is_awaited: bool, now: Instant) -> bool {
        if is_awaited {
            let since = *self.held_since.get_or_insert(now);
            if len < self.last / 2 && now.saturating_duration_since(since) < HELD_MAX {
                return false;
            }
            self.last = len;
        } else {
            let since = *self.quiet_since.get_or_insert(now);
            if len < QUIET_LEN_MAX && now.saturating_duration_since(since) < QUIET_MAX {
                return false;
            }
        }
        (self.held_since, self.quiet_since) = (None, None);
        true
    }

    /// How soon it has to be asked again, where a batch is held back.
    pub fn asks_again_in(&self) -> Option<Duration> {
        let held = self.held_since.map(|_| Duration::ZERO);
        held.or(self.quiet_since.map(|_| QUIET_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_much_shorter_than_the_last_is_held_and_not_for_long() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        let at_once = Some(Duration::ZERO);
        assert!(pace.lets_go(1, true, start), "nothing came before");
        assert!(pace.lets_go(64, true, start));
        assert!(!pace.lets_go(1, true, start) && pace.asks_again_in() == at_once);
        assert!(!pace.lets_go(31, true, after(79)) && pace.asks_again_in() == at_once);
        assert!(pace.lets_go(32, true, after(79)) && pace.asks_again_in().is_none());
        assert!(!pace.lets_go(1, true, after(100)) && !pace.lets_go(1, true, after(179)));
        assert!(pace.lets_go(1, true, after(180)) && pace.asks_again_in().is_none());
        assert!(pace.lets_go(1, true, after(180)), "one client alone never waits");
    }

    #[test]
    fn what_nobody_waits_for_is_gathered_for_a_while() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        assert!(!pace.lets_go(1, false, start) && pace.asks_again_in() == Some(QUIET_MAX));
        assert!(!pace.lets_go(1_023, false, after(999)));
        assert!(pace.lets_go(1_023, false, after(1_000)) && pace.asks_again_in().is_none());
        assert!(pace.lets_go(1_024, false, after(1_000)));
        assert!(!pace.lets_go(9, false, after(1_000)));
        assert!(pace.lets_go(10, true, after(1_001)), "now a reply waits for it");
        assert!(!pace.lets_go(1, false, after(1_002)), "it has gone, and this is another one");
        assert!(!pace.lets_go(4, true, after(1_100)), "half as long as the last that was awaited");
        assert!(pace.lets_go(4, true, after(1_180)));
    }
}
