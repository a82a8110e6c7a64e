//! When a batch goes to the disk: at once, or a moment later, with more in it.
//!
//! The replies to a batch lead to the requests of the next one. The first of them must not go to
//! the disk alone: the others would wait for two flushes. So a batch much shorter than the last is
//! held back, for less than a flush takes. It is known as group commit with a delay (DeWitt et al.,
//! "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984).

use std::time::{Duration, Instant};

/// How long a batch is held back at most: about half of what a flush takes on a good disk.
const HELD_MAX: Duration = Duration::from_micros(80);

/// Decides when batches go.
#[derive(Debug, Default)]
pub struct Pace {
    /// How many events the last batch had.
    last: usize,
    /// Since when a batch is held back.
    held_since: Option<Instant>,
}

impl Pace {
    /// Whether a batch of `len` events goes now. The disk has to be free.
    pub fn lets_go(&mut self, len: usize, now: Instant) -> bool {
        let held_since = *self.held_since.get_or_insert(now);
        if len < self.last / 2 && now.saturating_duration_since(held_since) < HELD_MAX {
            return false;
        }
        *self = Self { last: len, held_since: None };
        true
    }

    /// Whether a batch is held back, so that it has to be asked again soon.
    pub const fn holds(&self) -> bool {
        self.held_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_much_shorter_than_the_last_is_held_and_not_for_long() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        assert!(pace.lets_go(1, start), "nothing came before");
        assert!(pace.lets_go(64, start));
        assert!(!pace.lets_go(1, start) && pace.holds());
        assert!(!pace.lets_go(31, after(79)) && pace.holds());
        assert!(pace.lets_go(32, after(79)) && !pace.holds());
        assert!(!pace.lets_go(1, after(100)) && !pace.lets_go(1, after(179)));
        assert!(pace.lets_go(1, after(180)) && !pace.holds());
        assert!(pace.lets_go(1, after(180)), "one client alone never waits");
    }
}
