//! Repairs the guarded files at start, so that they match the log.

use std::collections::BTreeMap;
use std::io;

use leasehold_core::id::Name;
use tracing::warn;

use super::{FileStore, PendingWrite, push_write};
use crate::journal::Recovered;

/// Why the files cannot be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Bytes are missing that the log no longer contains, because a snapshot covers them.
    #[error(
        "guarded file {name} has only {found} bytes, and the log no longer contains the bytes \
         before {expected}; restore the file from a copy"
    )]
    Truncated {
        /// The name of the file.
        name: Name,
        /// The length that the file should have at least.
        expected: u64,
        /// The length that the file has.
        found: u64,
    },
    /// The file cannot be read or written.
    #[error("cannot repair guarded file {name}: {source}")]
    Io {
        /// The name of the file.
        name: Name,
        /// The cause.
        source: io::Error,
    },
    /// The files cannot be flushed.
    #[error("cannot flush the guarded files: {0}")]
    Flush(#[source] io::Error),
}

impl FileStore {
    /// Makes every file match the log: missing bytes are written, and bytes that were never
    /// acknowledged are removed. A file that is not regular is left for [`FileStore::retry`].
    ///
    /// # Errors
    /// If the log no longer contains the missing bytes, or a file cannot be written.
    pub fn repair(&mut self, recovered: &Recovered) -> Result<(), RepairError> {
        let mut writes = BTreeMap::new();
        for append in &recovered.appends {
            push_write(&mut writes, &append.file, append.offset, append.data.bytes());
        }
        for (name, file) in recovered.state.files() {
            let writes = writes.remove(name).unwrap_or_default();
            if let Err(error) = self.check_writable(name) {
                warn!(%name, "server cannot repair the guarded file until it is regular");
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
