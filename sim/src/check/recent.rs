//! A bounded history, so that the checkers' memory does not grow with the run.

use crate::trace::Number;

/// The number of sessions, grants, executed requests of a session and lines of a file that are
/// retained: far more than can be in flight.
const DEFAULT_CAPACITY: usize = 128;

/// The last `CAPACITY` items, in insertion order.
#[derive(Clone, Debug)]
pub(super) struct Recent<T, const CAPACITY: usize = DEFAULT_CAPACITY> {
    /// Evicted items remain at the front until there are `CAPACITY` of them, so that moving the
    /// others is amortized.
    items: Vec<T>,
}

impl<T, const CAPACITY: usize> Default for Recent<T, CAPACITY> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T, const CAPACITY: usize> Recent<T, CAPACITY> {
    pub(super) fn push(&mut self, item: T) {
        if self.items.len() == 2 * CAPACITY {
            self.items.drain(..CAPACITY);
        }
        self.items.push(item);
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.items[self.evicted_count()..]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        let evicted = self.evicted_count();
        &mut self.items[evicted..]
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        // Evicted items must not reappear in place of removed ones.
        self.items.drain(..self.evicted_count());
        self.items.retain(keep);
    }

    fn evicted_count(&self) -> usize {
        self.items.len().saturating_sub(CAPACITY)
    }
}

impl<T: Copy, const CAPACITY: usize> Recent<(Number, T), CAPACITY> {
    /// Returns the value of the last entry with this key.
    pub(super) fn find_last(&self, number: Number) -> Option<T> {
        self.as_slice().iter().rev().find(|(key, _)| *key == number).map(|(_, value)| *value)
    }
}
