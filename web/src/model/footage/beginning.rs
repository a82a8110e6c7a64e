//! What was in the files before anybody looked: fetched, since the stream doesn't tell it.

use std::collections::BTreeMap;

use leasehold_core::id::Name;
use leasehold_core::state::State;
use leasehold_sim::{Ledger, Lines, LockNo};

/// Files longer than this are not fetched: what is appended from now on is shown alone.
const FETCHED_LEN_MAX: u64 = 256 * 1024;

/// So many files are fetched at most.
const FETCHED_MAX: usize = 24;

/// The beginning of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// How many bytes it had.
    pub(crate) len: u64,
    /// How many of its lines had been seen before a gap. They are in it.
    pub(crate) seen: usize,
    /// What they are, where they were fetched.
    pub(crate) text: Option<String>,
    is_asked_for: bool,
}

impl Beginning {
    /// How many lines there were, where that is known.
    pub(crate) fn lines(&self) -> Option<usize> {
        if self.len == 0 {
            return Some(0);
        }
        self.text.as_ref().map(|text| text.lines().count())
    }
}

/// The beginnings of all files.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginnings(BTreeMap<LockNo, Beginning>);

impl Beginnings {
    /// As a state has them.
    pub(super) fn of(state: &State, ledger: &Ledger) -> Self {
        let beginnings = state.files().iter().map(|(name, file)| {
            let no = ledger.lock_no(name);
            let seen = ledger.file(no).map_or(0, Lines::len);
            (no, Beginning { len: file.len(), seen, ..Beginning::default() })
        });
        Self(beginnings.filter(|(no, _)| *no != LockNo::NONE).collect())
    }

    pub(super) fn get(&self, no: LockNo) -> Option<&Beginning> {
        self.0.get(&no)
    }

    /// The files whose beginning is to be fetched. Each is named once.
    pub(super) fn unfetched(&mut self, locks: &[Name]) -> Vec<Name> {
        let unasked = self.0.keys().filter(|no| {
            let it = &self.0[*no];
            !it.is_asked_for && (1..=FETCHED_LEN_MAX).contains(&it.len)
        });
        let wanted: Vec<LockNo> = unasked.copied().take(FETCHED_MAX).collect();
        let names = wanted.into_iter().filter_map(|no| {
            self.0.get_mut(&no)?.is_asked_for = true;
            locks.get(usize::from(no.0)).cloned()
        });
        names.collect()
    }

    /// A file's bytes were fetched. There may be more of them than were there at first.
    pub(super) fn fetched(&mut self, no: LockNo, bytes: &[u8]) {
        let Some(beginning) = self.0.get_mut(&no) else { return };
        let len = usize::try_from(beginning.len).unwrap_or(usize::MAX);
        beginning.text = bytes.get(..len).map(|seen| String::from_utf8_lossy(seen).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_there_at_first_is_a_beginning() {
        let no = LockNo(0);
        let mut beginnings = Beginnings::default();
        beginnings.0.insert(no, Beginning { len: 2, ..Beginning::default() });
        beginnings.0.insert(LockNo(1), Beginning { len: 1 << 30, ..Beginning::default() });
        let locks = [Name::new("short").unwrap(), Name::new("long").unwrap()];
        assert_eq!(beginnings.unfetched(&locks), locks[..1]);
        assert!(beginnings.unfetched(&locks).is_empty());
        beginnings.fetched(no, b"a\nb\n");
        assert_eq!(beginnings.get(no).unwrap().text.as_deref(), Some("a\n"));
        beginnings.fetched(no, b"a");
        assert_eq!(beginnings.get(no).unwrap().text, None, "it has become shorter");
    }
}
