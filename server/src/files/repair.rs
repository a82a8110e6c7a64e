//! Makes the files what the journal says, at the start.

use std::collections::BTreeMap;
use std::io;

use leasehold_core::id::Name;
use tracing::warn;

use super::{FileStore, PendingWrite, push_write};
use crate::journal::Recovered;

/// Why the files can't be made what the journal says.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Bytes are gone that a snapshot of the journal relies on.
    #[error(
        "the guarded file {name} has {found} bytes, and the journal has none before byte \
         {expected} any more; put the file back from a copy"
    )]
    Truncated {
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
        let mut writes = BTreeMap::new();
        for append in &recovered.appends {
            push_write(&mut writes, &append.file, append.offset, append.data.bytes());
        }
        for (name, file) in recovered.state.files() {
            let writes = writes.remove(name).unwrap_or_default();
            if let Err(error) = self.check_writable(name) {
                warn!(%name, "left as it is until it is a plain file again");
                self.set_writability(name, Some(&error));
                if !writes.is_empty() {
                    self.pending.insert(name.clone(), writes);
                }
                continue;
            }
            self.repair_file(name, &writes, file.len())?;
        }
        for lock in recovered.state.locks().keys() {
            self.verify(lock);
        }
        self.sync_all().map_err(RepairError::Flush)
    }

    fn repair_file(
        &mut self,
        name: &Name,
        writes: &[PendingWrite],
        len: u64,
    ) -> Result<(), RepairError> {
        let io_error = |source| RepairError::Io { name: name.clone(), source };
        let expected = writes.first().map_or(len, |write| write.offset);
        let found =
            self.open_or_create(name).and_then(std::fs::File::metadata).map_err(io_error)?.len();
        if found < expected {
            return Err(RepairError::Truncated { name: name.clone(), expected, found });
        }
        writes.iter().try_for_each(|write| self.write_at_offset(name, write)).map_err(io_error)?;
        if found > len {
            self.open_or_create(name).and_then(|file| file.set_len(len)).map_err(io_error)?;
            self.unflushed.insert(name.clone());
        }
        Ok(())
    }
}
