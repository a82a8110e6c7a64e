//! A queue in pieces, which copies of it share as long as nothing changes there.
//!
//! Cloning it copies no items, and what is put in or taken out afterwards copies one piece at most.
//! So the snapshots of a long run have most of what they remember in common.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many items a piece has: few enough to be copied in a blink.
const PIECE_LEN: usize = 64;

/// Items in the order in which they came.
#[derive(Clone)]
pub struct Queue<T> {
    /// All but the last are full.
    pieces: VecDeque<Arc<Vec<T>>>,
    /// How many of the first piece have been taken out: fewer than it has.
    gone: usize,
}

impl<T> Queue<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { pieces: VecDeque::new(), gone: 0 }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE_LEN;
        full + self.pieces.back().map_or(0, |piece| piece.len()) - self.gone
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The item at this place, counted from 0.
    pub fn get(&self, place: usize) -> Option<&T> {
        let place = place + self.gone;
        self.pieces.get(place / PIECE_LEN)?.get(place % PIECE_LEN)
    }

    /// The youngest item.
    pub fn last(&self) -> Option<&T> {
        self.pieces.back()?.last()
    }

    /// All of them, from the oldest on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let pieces = self.pieces.iter().enumerate();
        pieces.flat_map(|(no, piece)| piece[if no == 0 { self.gone } else { 0 }..].iter())
    }
}

impl<T: Clone> Queue<T> {
    /// Puts in one behind all others.
    pub fn push_back(&mut self, item: T) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE_LEN => Arc::make_mut(piece).push(item),
            Some(_) | None => self.pieces.push_back(Arc::new(vec![item])),
        }
    }

    /// Takes out the oldest.
    pub fn pop_front(&mut self) -> Option<T> {
        let piece = self.pieces.front()?;
        let item = piece[self.gone].clone();
        self.gone += 1;
        if self.gone == piece.len() {
            self.pieces.pop_front();
            self.gone = 0;
        }
        Some(item)
    }

    /// Takes out the youngest.
    pub fn pop_back(&mut self) -> Option<T> {
        let is_only = self.pieces.len() == 1;
        let piece = self.pieces.back_mut()?;
        let item = Arc::make_mut(piece).pop();
        if is_only && piece.len() == self.gone {
            *self = Self::new();
        } else if piece.is_empty() {
            self.pieces.pop_back();
        }
        item
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> PartialEq for Queue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Queue<T> {}

impl<T: fmt::Debug> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Serialize> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reading(Self::new()))
    }
}

/// A queue that is being read.
struct Reading<T>(Queue<T>);

impl<'de, T: Clone + Deserialize<'de>> Visitor<'de> for Reading<T> {
    type Value = Queue<T>;

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
    fn it_does_what_one_of_the_standard_library_does_and_copies_keep_what_they_had() {
        let mut rng = Rng::keyed(7, 0);
        let (mut queue, mut model) = (Queue::new(), VecDeque::new());
        let mut copies = Vec::new();
        for number in 0..20_000_u64 {
            // First it grows, and in the end there is nothing left.
            match rng.below(if number < 8_000 { 8 } else { 4 }) {
                0 => assert_eq!(queue.pop_front(), model.pop_front()),
                1 => assert_eq!(queue.pop_back(), model.pop_back()),
                2 if number % 32 == 0 => copies.push((queue.clone(), model.clone())),
                2 if number >= 8_000 => assert_eq!(queue.pop_front(), model.pop_front()),
                _ => {
                    queue.push_back(number);
                    model.push_back(number);
                }
            }
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            assert_eq!((queue.last(), queue.get(3)), (model.back(), model.get(3)));
        }
        copies.push((queue, model));
        for (queue, model) in copies {
            assert!(queue.iter().eq(&model));
            assert!(queue.iter().rev().eq(model.iter().rev()));
            assert!((0..model.len()).all(|place| queue.get(place) == model.get(place)));
        }
    }

    #[test]
    fn copies_share_what_has_not_changed() {
        let mut queue: Queue<usize> = Queue::new();
        (0..10 * PIECE_LEN).for_each(|item| queue.push_back(item));
        let copy = queue.clone();
        queue.pop_front();
        queue.pop_back();
        queue.push_back(7);
        let shared =
            queue.pieces.iter().zip(&copy.pieces).filter(|(one, other)| Arc::ptr_eq(one, other));
        assert_eq!(shared.count(), 9);
    }
}
