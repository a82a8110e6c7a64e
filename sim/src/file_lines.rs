//! What stands in the file of a lock, append by append.

use std::cmp::Ordering;

use leasehold_core::chunked_queue::ChunkedQueue;
use leasehold_core::id::LogIndex;

use crate::trace::{NodeId, RecordId};

/// One append in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The record that tells of it.
    pub record: RecordId,
    /// Its place in the service's history.
    pub index: LogIndex,
    /// Whose it is.
    pub client: NodeId,
    /// The session that sent it, and the number of its request.
    pub request: (u32, u32),
    /// The token that it came under.
    pub token: u32,
    /// Where its bytes begin.
    pub offset: u64,
    /// The bytes.
    pub text: String,
}

/// The lines of a file, in their order. Cloning it copies hardly anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(ChunkedQueue<Line>);

impl Lines {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line at this place, counted from 0.
    pub fn get(&self, index: usize) -> Option<&Line> {
        self.0.get(index)
    }

    /// All of them, from the first on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, line: Line) {
        self.0.push_back(line);
    }

    /// Forgets what came after this place in history.
    pub(super) fn discard_after(&mut self, through: LogIndex) {
        while self.0.last().is_some_and(|line| line.index > through) {
            self.0.pop_back();
        }
    }

    /// The place of the line that begins here, counted from 0.
    pub(super) fn index_at_offset(&self, offset: u64) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.get(middle)?.offset.cmp(&offset) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => to = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_stored_found_and_discarded() {
        let mut lines = Lines::default();
        for number in 0..200 {
            lines.push(Line {
                record: RecordId(0),
                index: LogIndex::new(number),
                client: NodeId(1),
                request: (1, 1),
                token: 1,
                offset: number * 10,
                text: String::new(),
            });
        }
        let before = lines.clone();
        assert_eq!((lines.len(), lines.iter().count()), (200, 200));
        assert_eq!((lines.index_at_offset(1_370), lines.index_at_offset(1_371)), (Some(137), None));
        assert_eq!(lines.get(137).map(|line| line.offset), Some(1_370));
        lines.discard_after(LogIndex::new(128));
        assert_eq!((lines.len(), before.len()), (129, 200));
        lines.discard_after(LogIndex::new(127));
        assert_eq!((lines.len(), lines.index_at_offset(1_280)), (128, None));
    }
}
