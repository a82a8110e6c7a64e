//! The last things of a kind that the checkers know.

/// How many of the last sessions, grants, executed requests of a session and lines of a file are
/// known: far more than can be under way.
const MANY: usize = 128;

/// The last `KEPT` of many things, in their order.
#[derive(Clone, Debug)]
pub(super) struct Last<T, const KEPT: usize = MANY> {
    /// Forgotten ones are in front, until there are enough of them for it to be worth the while
    /// to move the others.
    items: Vec<T>,
}

impl<T, const KEPT: usize> Default for Last<T, KEPT> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T, const KEPT: usize> Last<T, KEPT> {
    pub(super) fn keep(&mut self, item: T) {
        if self.items.len() == 2 * KEPT {
            self.items.drain(..KEPT);
        }
        self.items.push(item);
    }

    pub(super) fn all(&self) -> &[T] {
        &self.items[self.forgotten()..]
    }

    pub(super) fn all_mut(&mut self) -> &mut [T] {
        let forgotten = self.forgotten();
        &mut self.items[forgotten..]
    }

    pub(super) fn retain(&mut self, keeps: impl FnMut(&T) -> bool) {
        // What was forgotten must not come back into the place of what goes.
        self.items.drain(..self.forgotten());
        self.items.retain(keeps);
    }

    fn forgotten(&self) -> usize {
        self.items.len().saturating_sub(KEPT)
    }
}

impl<const KEPT: usize> Last<(u32, u32), KEPT> {
    /// The place in history of the last entry of this number, or whatever else it stands with.
    pub(super) fn index_of(&self, number: u32) -> Option<u32> {
        self.all().iter().rev().find(|(known, _)| *known == number).map(|(_, index)| *index)
    }
}
