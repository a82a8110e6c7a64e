//! The last things of a kind that the checkers know.

/// How many of the last sessions, grants, executed requests of a session and lines of a file are
/// known: far more than can be under way.
const DEFAULT_CAPACITY: usize = 128;

/// The last `KEPT` of many things, in their order.
#[derive(Clone, Debug)]
pub(super) struct Recent<T, const CAPACITY: usize = DEFAULT_CAPACITY> {
    /// Forgotten ones are in front, until there are enough of them for it to be worth the while
    /// to move the others.
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
        // What was forgotten must not come back into the place of what goes.
        self.items.drain(..self.evicted_count());
        self.items.retain(keep);
    }

    fn evicted_count(&self) -> usize {
        self.items.len().saturating_sub(CAPACITY)
    }
}

impl<const CAPACITY: usize> Recent<(u32, u32), CAPACITY> {
    /// The place in history of the last entry of this number, or whatever else it stands with.
    pub(super) fn index_of(&self, number: u32) -> Option<u32> {
        self.as_slice().iter().rev().find(|(key, _)| *key == number).map(|(_, index)| *index)
    }
}
