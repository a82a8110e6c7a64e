//! The guarded files of a live server: which lines the page has observed, and the parts of each
//! file between and before them, which the event stream does not contain.
//!
//! - A file only grows, so what was observed stays in it, also after a restart of the server. At
//!   each snapshot, the length of a file shows how much was appended unobserved.
//! - The unobserved parts are fetched, unless the file is long.
//! - A file that is shorter than what was observed is another file: its lines begin again.
//! - Everything is known for earlier times as well: parts belong to the time at which they were
//!   noticed.

use std::collections::BTreeMap;
use std::ops::Range;

use leasehold_core::id::Name;
use leasehold_core::state::State;
use leasehold_sim::{EventRecorder, Line, Lines, LockId, RecordId};

/// Longer files are not fetched: only new lines of them are shown. In bytes.
const FETCH_BYTES_MAX: u64 = 256 * 1024;

/// The maximum number of files that one call requests.
const FETCH_FILES_MAX: usize = 24;

/// A part of a file that was appended while the page did not observe the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnobservedPart {
    /// The offset of its first byte.
    pub(crate) offset: u64,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Its lines, if it was fetched.
    pub(crate) lines: Option<Vec<String>>,
    /// The record with which it was noticed.
    noticed: RecordId,
    is_requested: bool,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilePart<'a> {
    Line(&'a Line),
    Unobserved(&'a UnobservedPart),
}

/// A file at one time.
#[derive(Clone, Debug)]
pub(crate) struct LiveFile<'a> {
    lines: &'a Lines,
    /// The indices of its observed lines.
    observed: Range<usize>,
    unobserved: &'a [UnobservedPart],
}

/// One file. If it is replaced by another of the same name, a new content begins.
#[derive(Clone, Debug, Default)]
struct Content {
    /// The record with which it was noticed; `None` if it began empty.
    noticed: Option<RecordId>,
    /// The number of lines that were observed before, in other contents.
    first_line: usize,
    unobserved: Vec<UnobservedPart>,
    /// The known length in bytes.
    len: u64,
}

/// The contents of each file, the last one is the current one.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveFiles(BTreeMap<LockId, Vec<Content>>);

impl LiveFiles {
    /// Compares the lengths of all files with what was observed, at a snapshot. `noticed` is the
    /// record of the snapshot.
    pub(super) fn observe_state(
        &mut self,
        state: &State,
        event_recorder: &EventRecorder,
        noticed: RecordId,
    ) {
        for (name, file) in state.files() {
            let lock_id = event_recorder.lock_id(name);
            if lock_id == LockId::NONE {
                continue;
            }
            let contents = self.0.entry(lock_id).or_default();
            if contents.last().is_none_or(|content| content.len > file.len()) {
                let first_line = event_recorder.file(lock_id).map_or(0, Lines::len);
                let noticed = Some(noticed);
                contents.push(Content { noticed, first_line, ..Content::default() });
            }
            if let Some(content) = contents.last_mut() {
                content.grow_unobserved(file.len(), noticed);
            }
        }
    }

    /// Records that a line was appended up to this length of the file.
    pub(super) fn observe_line(&mut self, lock_id: LockId, len: u64) {
        let contents = self.0.entry(lock_id).or_default();
        if contents.is_empty() {
            contents.push(Content::default());
        }
        if let Some(content) = contents.last_mut() {
            content.len = content.len.max(len);
        }
    }

    /// Returns a file after the first `records` records.
    pub(super) fn at<'a>(
        &'a self,
        lock_id: LockId,
        lines: &'a Lines,
        records: u32,
    ) -> LiveFile<'a> {
        let is_known = |record: RecordId| record.0 < records;
        let contents = self.0.get(&lock_id).map_or(&[][..], Vec::as_slice);
        let begun = contents.partition_point(|content| content.noticed.is_none_or(is_known));
        let content = begun.checked_sub(1).and_then(|it| contents.get(it));
        let end = contents.get(begun).map_or(lines.len(), |next| next.first_line);
        let start = content.map_or(0, |content| content.first_line).min(end);
        let unobserved = content.map_or(&[][..], |content| content.unobserved.as_slice());
        let noticed = unobserved.partition_point(|part| is_known(part.noticed));
        let observed = start..partition_point(lines, start..end, |line| is_known(line.record));
        LiveFile { lines, observed, unobserved: &unobserved[..noticed] }
    }

    /// Returns the files to fetch. Each is returned once for each unobserved part.
    pub(super) fn take_unfetched(&mut self, locks: &[Name]) -> Vec<Name> {
        let current = self.0.iter_mut().filter_map(|(lock_id, contents)| {
            let content = contents.last_mut()?;
            let name = locks.get(usize::from(lock_id.0))?;
            let is_short = (1..=FETCH_BYTES_MAX).contains(&content.len);
            let is_unrequested = content.unobserved.iter().any(|part| !part.is_requested);
            (is_short && is_unrequested).then_some((name, content))
        });
        let names = current.take(FETCH_FILES_MAX).map(|(name, content)| {
            content.unobserved.iter_mut().for_each(|part| part.is_requested = true);
            name.clone()
        });
        names.collect()
    }

    /// Stores fetched contents. The file may have grown meanwhile.
    pub(super) fn store_fetched(&mut self, lock_id: LockId, bytes: &[u8]) {
        let Some(content) = self.0.get_mut(&lock_id).and_then(|contents| contents.last_mut())
        else {
            return;
        };
        for part in content.unobserved.iter_mut().filter(|part| part.lines.is_none()) {
            let range = usize::try_from(part.offset).ok().zip(usize::try_from(part.len).ok());
            let part_bytes = range.and_then(|(from, len)| bytes.get(from..)?.get(..len));
            let text = part_bytes.map(String::from_utf8_lossy);
            part.lines = text.map(|text| text.lines().map(str::to_owned).collect());
        }
    }
}

impl Content {
    /// Extends the content to this length by a part that was not observed.
    fn grow_unobserved(&mut self, len: u64, noticed: RecordId) {
        if len > self.len {
            let (offset, lines, is_requested) = (self.len, None, false);
            let len_unobserved = len - self.len;
            let part = UnobservedPart { offset, len: len_unobserved, lines, noticed, is_requested };
            self.unobserved.push(part);
            self.len = len;
        }
    }
}

impl<'a> LiveFile<'a> {
    /// Returns the number of lines that are known, and whether there may be more.
    pub(crate) fn line_count(&self) -> (usize, bool) {
        let fetched = self.unobserved.iter().filter_map(|part| part.lines.as_ref());
        let (parts, lines) =
            fetched.fold((0, 0), |(parts, count), it| (parts + 1, count + it.len()));
        (self.observed.len() + lines, parts < self.unobserved.len())
    }

    /// Iterates over the observed lines, oldest first.
    pub(crate) fn observed(&self) -> impl DoubleEndedIterator<Item = &'a Line> + use<'a> {
        let lines = self.lines;
        self.observed.clone().filter_map(move |index| lines.get(index))
    }

    /// Iterates over all parts, the last one of the file first.
    pub(crate) fn parts_from_end(&self) -> impl Iterator<Item = FilePart<'a>> + use<'a> {
        let mut observed = self.observed().rev().peekable();
        let mut unobserved = self.unobserved.iter().rev().peekable();
        std::iter::from_fn(move || {
            // An empty line has the same offset as the part after it.
            let line_offset = observed.peek().map(|line| line.offset);
            match unobserved.next_if(|part| line_offset.is_none_or(|it| it <= part.offset)) {
                Some(part) => Some(FilePart::Unobserved(part)),
                None => observed.next().map(FilePart::Line),
            }
        })
    }
}

impl UnobservedPart {
    /// Describes a part that was not fetched.
    pub(crate) fn description(&self) -> String {
        let when = if self.offset == 0 { "earlier" } else { "unobserved" };
        format!("… {} {when} bytes", self.len)
    }
}

/// Returns the first index in the range whose line does not satisfy the predicate, as
/// [`slice::partition_point`].
fn partition_point(lines: &Lines, range: Range<usize>, pred: impl Fn(&Line) -> bool) -> usize {
    let (mut from, mut to) = (range.start, range.end);
    while from < to {
        let middle = from.midpoint(to);
        if lines.get(middle).is_some_and(&pred) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of_length(len: u64) -> (Content, RecordId) {
        let noticed = RecordId(3);
        let mut content = Content { noticed: Some(noticed), ..Content::default() };
        content.grow_unobserved(len, noticed);
        (content, noticed)
    }

    #[test]
    fn only_short_files_with_unobserved_parts_are_fetched() {
        let mut files = LiveFiles::default();
        for (index, len) in [(0, 2), (1, 1 << 30), (2, 0)] {
            files.0.insert(LockId(index), vec![file_of_length(len).0]);
        }
        let locks = ["short", "long", "empty"].map(|name| Name::new(name).unwrap());
        assert_eq!(files.take_unfetched(&locks), locks[..1]);
        assert!(files.take_unfetched(&locks).is_empty(), "each is returned once");
        let (content, noticed) = (&mut files.0.get_mut(&LockId(0)).unwrap()[0], RecordId(9));
        content.grow_unobserved(6, noticed);
        assert_eq!(files.take_unfetched(&locks), locks[..1], "more was appended unobserved");
        files.store_fetched(LockId(0), b"a\nb\nc\nd\n");
        let parts = files.0[&LockId(0)][0].unobserved.iter();
        let lines: Vec<&[String]> = parts.map(|part| part.lines.as_deref().unwrap()).collect();
        assert_eq!(lines, [vec!["a"], vec!["b", "c"]]);
    }

    #[test]
    fn contents_shorter_than_known_are_ignored() {
        let mut files = LiveFiles::default();
        files.0.insert(LockId(0), vec![file_of_length(4).0]);
        files.store_fetched(LockId(0), b"a\n");
        let lines = Lines::default();
        let file = files.at(LockId(0), &lines, 4);
        assert_eq!((file.line_count(), file.parts_from_end().count()), ((0, true), 1));
        assert_eq!(files.at(LockId(0), &lines, 3).parts_from_end().count(), 0, "noticed later");
    }
}
