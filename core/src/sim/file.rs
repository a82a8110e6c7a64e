//! What stands in the file of a lock, append by append.

use std::sync::Arc;

use crate::id::Index;
use crate::sim::trace::{NodeNo, RecordNo};

/// How many lines share one piece of memory. Snapshots of a world share all pieces but the last.
const CHUNK: usize = 64;

/// One append in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The record that tells of it.
    pub record: RecordNo,
    /// Its place in the service's history.
    pub index: Index,
    /// Whose it is.
    pub client: NodeNo,
    /// The session that sent it, and the number of its request.
    pub asked: (u32, u32),
    /// The token that it came under.
    pub token: u32,
    /// Where its bytes begin.
    pub offset: u64,
    /// The bytes.
    pub text: String,
}

/// The lines of a file, in their order. Cloning it copies hardly anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    chunks: Vec<Arc<Vec<Line>>>,
}

impl Lines {
    /// How many there are.
    pub fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        full + self.chunks.last().map_or(0, |chunk| chunk.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The line at this place, counted from 0.
    pub fn get(&self, place: usize) -> Option<&Line> {
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    /// All of them, from the first on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(super) fn push(&mut self, line: Line) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push(line),
            _ => self.chunks.push(Arc::new(vec![line])),
        }
    }

    /// Forgets what came after this place in history.
    pub(super) fn forget_after(&mut self, through: Index) {
        while let Some(chunk) = self.chunks.last_mut() {
            if chunk.last().is_some_and(|line| line.index <= through) {
                break;
            }
            Arc::make_mut(chunk).pop();
            if chunk.is_empty() {
                self.chunks.pop();
            }
        }
    }

    /// The place of the line that begins here, counted from 0.
    pub(super) fn place_of(&self, offset: u64) -> Option<usize> {
        let begins = |chunk: &Arc<Vec<Line>>| chunk.first().is_some_and(|it| it.offset <= offset);
        let chunk = self.chunks.partition_point(begins).checked_sub(1)?;
        let place = self.chunks[chunk].binary_search_by_key(&offset, |line| line.offset).ok()?;
        Some(chunk * CHUNK + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_found_and_forgotten() {
        let mut lines = Lines::default();
        for number in 0..200 {
            lines.push(Line {
                record: RecordNo(0),
                index: Index::new(number),
                client: NodeNo(1),
                asked: (1, 1),
                token: 1,
                offset: number * 10,
                text: String::new(),
            });
        }
        let before = lines.clone();
        assert_eq!((lines.len(), lines.iter().count()), (200, 200));
        assert_eq!((lines.place_of(1_370), lines.place_of(1_371)), (Some(137), None));
        assert_eq!(lines.get(137).map(|line| line.offset), Some(1_370));
        lines.forget_after(Index::new(128));
        assert_eq!((lines.len(), before.len()), (129, 200));
        lines.forget_after(Index::new(127));
        assert_eq!((lines.len(), lines.place_of(1_280)), (128, None));
    }
}
