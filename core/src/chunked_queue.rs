//! A double-ended queue in chunks of fixed size, which clones share until they are modified.
//!
//! - Cloning copies no items. A later push or pop copies at most one chunk (copy on write).
//! - All chunks but the last are full, so an index is found by division.
//!
//! The simulator takes many snapshots of a run: with this queue they share most of their memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of items in a full chunk: few enough that copying one chunk is cheap.
const CHUNK_LEN: usize = 64;

/// Items in insertion order.
#[derive(Clone)]
pub struct ChunkedQueue<T> {
    /// All chunks but the last are full; none is empty.
    chunks: VecDeque<Arc<Vec<T>>>,
    /// The number of items of the first chunk that were popped: fewer than it contains.
    popped: usize,
}

impl<T> ChunkedQueue<T> {
    /// Returns an empty queue.
    pub const fn new() -> Self {
        Self { chunks: VecDeque::new(), popped: 0 }
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        let items_in_full_chunks = self.chunks.len().saturating_sub(1) * CHUNK_LEN;
        items_in_full_chunks + self.chunks.back().map_or(0, |chunk| chunk.len()) - self.popped
    }

    /// Returns whether the queue has no items.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns the item at `index`, counted from 0 at the front.
    pub fn get(&self, index: usize) -> Option<&T> {
        let index = index + self.popped;
        self.chunks.get(index / CHUNK_LEN)?.get(index % CHUNK_LEN)
    }

    /// Returns the item at the back.
    pub fn last(&self) -> Option<&T> {
        self.chunks.back()?.last()
    }

    /// Iterates over the items from front to back.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let chunks = self.chunks.iter().enumerate();
        chunks.flat_map(|(chunk_index, chunk)| {
            chunk[if chunk_index == 0 { self.popped } else { 0 }..].iter()
        })
    }
}

impl<T: Clone> ChunkedQueue<T> {
    /// Appends an item at the back.
    pub fn push_back(&mut self, item: T) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => Arc::make_mut(chunk).push(item),
            Some(_) | None => self.chunks.push_back(Arc::new(vec![item])),
        }
    }

    /// Removes and returns the item at the front.
    pub fn pop_front(&mut self) -> Option<T> {
        let chunk = self.chunks.front()?;
        let item = chunk[self.popped].clone();
        self.popped += 1;
        if self.popped == chunk.len() {
            self.chunks.pop_front();
            self.popped = 0;
        }
        Some(item)
    }

    /// Removes and returns the item at the back.
    pub fn pop_back(&mut self) -> Option<T> {
        let is_only = self.chunks.len() == 1;
        let chunk = self.chunks.back_mut()?;
        let item = Arc::make_mut(chunk).pop();
        if is_only && chunk.len() == self.popped {
            *self = Self::new();
        } else if chunk.is_empty() {
            self.chunks.pop_back();
        }
        item
    }
}

impl<T> Default for ChunkedQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> PartialEq for ChunkedQueue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for ChunkedQueue<T> {}

impl<T: fmt::Debug> fmt::Debug for ChunkedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Serialize> Serialize for ChunkedQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for ChunkedQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(QueueVisitor(Self::new()))
    }
}

/// The part of a queue that is deserialized so far.
struct QueueVisitor<T>(ChunkedQueue<T>);

impl<'de, T: Clone + Deserialize<'de>> Visitor<'de> for QueueVisitor<T> {
    type Value = ChunkedQueue<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = access.next_element()? {
            self.0.push_back(item);
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn queue_matches_vec_deque_and_clones_are_unaffected() {
        let mut rng = Rng::with_stream(7, 0);
        let (mut queue, mut model) = (ChunkedQueue::new(), VecDeque::new());
        let mut clones = Vec::new();
        for number in 0..20_000_u64 {
            // The queue grows during the first 8,000 operations and is empty in the end.
            match rng.below(if number < 8_000 { 8 } else { 4 }) {
                0 => assert_eq!(queue.pop_front(), model.pop_front()),
                1 => assert_eq!(queue.pop_back(), model.pop_back()),
                2 if number % 32 == 0 => clones.push((queue.clone(), model.clone())),
                2 if number >= 8_000 => assert_eq!(queue.pop_front(), model.pop_front()),
                _ => {
                    queue.push_back(number);
                    model.push_back(number);
                }
            }
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            assert_eq!((queue.last(), queue.get(3)), (model.back(), model.get(3)));
        }
        clones.push((queue, model));
        for (queue, model) in clones {
            assert!(queue.iter().eq(&model));
            assert!(queue.iter().rev().eq(model.iter().rev()));
            assert!((0..model.len()).all(|index| queue.get(index) == model.get(index)));
        }
    }

    #[test]
    fn clones_share_unchanged_chunks() {
        let mut queue: ChunkedQueue<usize> = ChunkedQueue::new();
        (0..10 * CHUNK_LEN).for_each(|item| queue.push_back(item));
        let clone = queue.clone();
        queue.pop_front();
        queue.pop_back();
        queue.push_back(7);
        let shared =
            queue.chunks.iter().zip(&clone.chunks).filter(|(left, right)| Arc::ptr_eq(left, right));
        assert_eq!(shared.count(), 9);
    }
}
