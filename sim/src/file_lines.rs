//! The content of the file of a lock, append by append.

use std::cmp::Ordering;

use leasehold_core::chunked_queue::ChunkedQueue;
use leasehold_core::id::{LogIndex, Seq, SessionId, Token};

use crate::trace::{NodeId, RecordId};

/// One append in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The record of the append.
    pub record: RecordId,
    /// The log index of the append's event.
    pub index: LogIndex,
    /// The client that appended it.
    pub client: NodeId,
    /// The session id and the sequence number of the request.
    pub request: (SessionId, Seq),
    /// The fencing token of the request.
    pub token: Token,
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The appended bytes as text.
    pub text: String,
}

/// The lines of a file, in order. A clone shares most of its memory with the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(ChunkedQueue<Line>);

impl Lines {
    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the file has no lines.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a line by its index, counted from 0.
    pub fn get(&self, index: usize) -> Option<&Line> {
        self.0.get(index)
    }

    /// Iterates over the lines, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, line: Line) {
        self.0.push_back(line);
    }

    /// Removes the lines with a log index greater than `through`.
    pub(super) fn discard_after(&mut self, through: LogIndex) {
        while self.0.last().is_some_and(|line| line.index > through) {
            self.0.pop_back();
        }
    }

    /// Returns the index of the line that begins at `offset`, counted from 0.
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
                request: (SessionId::new(1), Seq::new(1)),
                token: Token::new(1),
                offset: number * 10,
                len: 10,
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
