//! What is in one file, as far as it was seen: the beginning as it was fetched, and every append
//! since, each with who made it under which token.

use std::collections::VecDeque;

use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};

/// How many appends are kept, and how many lines are shown.
const PARTS_MAX: usize = 200;

/// The file, up to where the stream has told it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FileText {
    /// The bytes before the first part, where they were fetched.
    before: Option<String>,
    /// How many bytes there are before the first part.
    before_len: u64,
    parts: VecDeque<Part>,
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    offset: u64,
    text: String,
    client: Name,
    token: Token,
}

/// One line to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The offset of its first byte, or a number that no other line has.
    pub(crate) key: u64,
    pub(crate) text: String,
    /// Who wrote it under which token, where that was seen.
    pub(crate) by: Option<(Name, Token)>,
}

impl FileText {
    /// A file that has this many bytes, none of which was seen.
    pub(crate) fn new(len: u64) -> Self {
        Self { before: None, before_len: len, parts: VecDeque::new() }
    }

    /// An append to it has happened.
    pub(crate) fn append(&mut self, offset: u64, data: &Data, client: &Name, token: Token) {
        let text = String::from_utf8_lossy(data.bytes()).into_owned();
        self.parts.push_back(Part { offset, text, client: client.clone(), token });
        if self.parts.len() > PARTS_MAX {
            self.parts.pop_front();
            self.before = None;
            self.before_len = self.parts.front().map_or(0, |first| first.offset);
        }
    }

    /// Its bytes were fetched. There may be more of them than the stream has told of so far.
    pub(crate) fn begins_with(&mut self, bytes: &[u8]) {
        let Ok(len) = usize::try_from(self.before_len) else { return };
        self.before = bytes.get(..len).map(|seen| String::from_utf8_lossy(seen).into_owned());
    }

    /// How many of its first bytes are not among the lines.
    pub(crate) fn unseen(&self) -> u64 {
        if self.before.is_some() { 0 } else { self.before_len }
    }

    /// Its last lines, at most `limit`.
    pub(crate) fn lines(&self, limit: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut offset = 0;
        for line in self.before.iter().flat_map(|text| text.split_inclusive('\n')) {
            lines.push(Line { key: offset, text: line.trim_end().to_owned(), by: None });
            offset += line.len() as u64;
        }
        for part in &self.parts {
            let by = Some((part.client.clone(), part.token));
            let mut offset = part.offset;
            for line in part.text.split_inclusive('\n') {
                lines.push(Line { key: offset, text: line.trim_end().to_owned(), by: by.clone() });
                offset += line.len() as u64;
            }
        }
        lines.split_off(lines.len().saturating_sub(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(text: &mut FileText, offset: u64, data: &str, token: u64) {
        let client = Name::new("ann").unwrap();
        text.append(offset, &Data::new(data.as_bytes()), &client, Token::new(token));
    }

    fn shown(text: &FileText) -> Vec<(String, bool)> {
        text.lines(9).into_iter().map(|line| (line.text, line.by.is_some())).collect()
    }

    #[test]
    fn what_was_fetched_and_what_was_told_join_without_a_seam() {
        let mut text = FileText::new(2);
        append(&mut text, 2, "b\n", 1);
        assert_eq!((text.unseen(), shown(&text)), (2, vec![("b".to_owned(), true)]));
        // Fetched later than `c` was appended, and before the stream has told of it.
        text.begins_with(b"a\nb\nc\n");
        append(&mut text, 4, "c\nd\n", 2);
        let expected = [("a", false), ("b", true), ("c", true), ("d", true)];
        let expected: Vec<_> = expected.map(|(line, by)| (line.to_owned(), by)).into();
        assert_eq!((text.unseen(), shown(&text)), (0, expected));
    }

    #[test]
    fn a_long_file_is_shown_by_its_end() {
        let mut text = FileText::new(0);
        for at in 0..=PARTS_MAX as u64 {
            append(&mut text, at * 2, "x\n", at);
        }
        assert_eq!(text.unseen(), 2);
        assert_eq!(text.lines(3).len(), 3);
        assert_eq!(text.lines(3)[2].key, PARTS_MAX as u64 * 2);
    }

    #[test]
    fn a_file_that_got_shorter_is_not_shown() {
        let mut text = FileText::new(5);
        text.begins_with(b"ab");
        assert_eq!(text.unseen(), 5);
    }
}
