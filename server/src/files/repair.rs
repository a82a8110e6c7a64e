//! Makes the files what the journal says, at the start.

use std::collections::BTreeMap;
use std::io;

use leasehold_core::id::Name;
use tracing::warn;

use super::{FileStore, Span, add};
use crate::journal::Recovered;

/// Why the files can't be made what the journal says.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Bytes are gone that a snapshot of the journal relies on.
    #[error(
        "the guarded file {name} has {found} bytes, and the journal has none before byte \
         {expected} any more; put the file back from a copy"
    )]
    Damaged {
        /// Which file.
        name: Name,
        /// How many bytes it should have at least.
        expected: u64,
        /// How many it has.
        found: u64,
    },
    /// It can't be written.
    #[error("the guarded file {name} can't be repaired: {source}")]
    Io {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
    /// It can't be flushed.
    #[error("the guarded files can't be flushed: {0}")]
    Flush(#[source] io::Error),
}

impl FileStore {
    /// Makes every file what the journal says: bytes that are missing are written, bytes that were
    /// never acknowledged are cut off. What is no plain file is left for [`FileStore::retry`].
    ///
    /// # Errors
    /// Where the journal doesn't have the missing bytes any more, or a file can't be written.
    pub fn repair(&mut self, recovered: &Recovered) -> Result<(), RepairError> {
        let mut spans = BTreeMap::new();
        for append in &recovered.appends {
            add(&mut spans, &append.file, append.offset, append.data.bytes());
        }
        for (name, file) in recovered.state.files() {
            let spans = spans.remove(name).unwrap_or_default();
            if let Err(error) = self.check(name) {
                warn!(%name, "left as it is until it is a plain file again");
                self.set_blocked(name, Some(&error));
                if !spans.is_empty() {
                    self.waiting.insert(name.clone(), spans);
                }
                continue;
            }
            self.repair_one(name, &spans, file.len())?;
        }
        for lock in recovered.state.locks().keys() {
            self.look_at(lock);
        }
        self.sync_all().map_err(RepairError::Flush)
    }

    fn repair_one(&mut self, name: &Name, spans: &[Span], len: u64) -> Result<(), RepairError> {
        let failed = |source| RepairError::Io { name: name.clone(), source };
        let expected = spans.first().map_or(len, |span| span.offset);
        let found = self.file(name).and_then(std::fs::File::metadata).map_err(failed)?.len();
        if found < expected {
            return Err(RepairError::Damaged { name: name.clone(), expected, found });
        }
        spans.iter().try_for_each(|span| self.write_span(name, span)).map_err(failed)?;
        if found > len {
            self.file(name).and_then(|file| file.set_len(len)).map_err(failed)?;
            self.dirty.insert(name.clone());
        }
        Ok(())
    }
}
