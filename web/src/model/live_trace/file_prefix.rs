//! The contents of files from before the page connected. They are fetched, because the event stream
//! does not contain them.

use std::collections::BTreeMap;

use leasehold_core::id::Name;
use leasehold_core::state::State;
use leasehold_sim::{EventRecorder, Lines, LockId};

/// Longer files are not fetched: only new lines of them are shown. In bytes.
const FETCH_BYTES_MAX: u64 = 256 * 1024;

/// The maximum number of files that one call requests.
const FETCH_FILES_MAX: usize = 24;

/// The contents of a file at the beginning of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilePrefix {
    /// Its length in bytes.
    pub(crate) len: u64,
    /// The number of its lines that were observed in earlier segments.
    pub(crate) observed_lines: usize,
    /// Its contents, if they were fetched.
    pub(crate) text: Option<String>,
    is_requested: bool,
}

impl FilePrefix {
    /// Returns the number of its lines, if it is known.
    pub(crate) fn line_count(&self) -> Option<usize> {
        if self.len == 0 {
            return Some(0);
        }
        self.text.as_ref().map(|text| text.lines().count())
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct FilePrefixes(BTreeMap<LockId, FilePrefix>);

impl FilePrefixes {
    /// Creates the prefixes of all files of a state, without their contents.
    pub(super) fn from_state(state: &State, event_recorder: &EventRecorder) -> Self {
        let prefixes = state.files().iter().map(|(name, file)| {
            let lock_id = event_recorder.lock_id(name);
            let observed_lines = event_recorder.file(lock_id).map_or(0, Lines::len);
            (lock_id, FilePrefix { len: file.len(), observed_lines, ..FilePrefix::default() })
        });
        Self(prefixes.filter(|(lock_id, _)| *lock_id != LockId::NONE).collect())
    }

    pub(super) fn get(&self, lock_id: LockId) -> Option<&FilePrefix> {
        self.0.get(&lock_id)
    }

    /// Returns the files to fetch. Each is returned once.
    pub(super) fn take_unfetched(&mut self, locks: &[Name]) -> Vec<Name> {
        let unrequested = self.0.keys().filter(|lock_id| {
            let it = &self.0[*lock_id];
            !it.is_requested && (1..=FETCH_BYTES_MAX).contains(&it.len)
        });
        let requested: Vec<LockId> = unrequested.copied().take(FETCH_FILES_MAX).collect();
        let names = requested.into_iter().filter_map(|lock_id| {
            self.0.get_mut(&lock_id)?.is_requested = true;
            locks.get(usize::from(lock_id.0)).cloned()
        });
        names.collect()
    }

    /// Stores fetched contents. They may have grown since the beginning of the segment.
    pub(super) fn store_fetched(&mut self, lock_id: LockId, bytes: &[u8]) {
        let Some(prefix) = self.0.get_mut(&lock_id) else { return };
        let len = usize::try_from(prefix.len).unwrap_or(usize::MAX);
        prefix.text =
            bytes.get(..len).map(|prefix_bytes| String::from_utf8_lossy(prefix_bytes).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_from_before_watching_are_the_prefix() {
        let lock_id = LockId(0);
        let mut prefixes = FilePrefixes::default();
        prefixes.0.insert(lock_id, FilePrefix { len: 2, ..FilePrefix::default() });
        prefixes.0.insert(LockId(1), FilePrefix { len: 1 << 30, ..FilePrefix::default() });
        let locks = [Name::new("short").unwrap(), Name::new("long").unwrap()];
        assert_eq!(prefixes.take_unfetched(&locks), locks[..1]);
        assert!(prefixes.take_unfetched(&locks).is_empty());
        prefixes.store_fetched(lock_id, b"a\nb\n");
        assert_eq!(prefixes.get(lock_id).unwrap().text.as_deref(), Some("a\n"));
        prefixes.store_fetched(lock_id, b"a");
        assert_eq!(
            prefixes.get(lock_id).unwrap().text,
            None,
            "contents shorter than the prefix are ignored"
        );
    }
}
