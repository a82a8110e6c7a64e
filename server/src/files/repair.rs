//! Repairs the guarded files at start, so that they contain everything that the log contains.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use leasehold_core::id::Name;
use leasehold_core::state::State;
use tracing::warn;

use super::{FileContradiction, FileStore, PendingWrite, push_write};
use crate::clock::unix_millis;
use crate::log::RecoveredAppend;

/// The directory beside that of the files, for bytes that were replaced.
const REPLACED_SUFFIX: &str = ".replaced";

/// Why the files cannot be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// A file contradicts the log.
    #[error(transparent)]
    Contradiction(#[from] FileContradiction),
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
    /// Writes the bytes that are missing from files, or differ from the log. A file that is not
    /// regular is left for [`FileStore::retry`].
    ///
    /// # Errors
    /// If a file contradicts the log, or cannot be written.
    pub fn repair(
        &mut self,
        state: &State,
        appends: &[RecoveredAppend],
    ) -> Result<(), RepairError> {
        let mut writes = BTreeMap::new();
        for append in appends {
            push_write(&mut writes, &append.file, append.offset, append.data.bytes());
        }
        for (name, file) in state.files() {
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
        for lock in state.locks().keys() {
            self.verify(lock);
        }
        self.sync_all().map_err(RepairError::Flush)
    }

    fn repair_file(
        &mut self,
        name: &Name,
        writes: &[PendingWrite],
        logged: u64,
    ) -> Result<(), RepairError> {
        let io_error = |source| RepairError::Io { name: name.clone(), source };
        let expected = writes.first().map_or(logged, |write| write.offset);
        let found = self.open_or_create(name).and_then(File::metadata).map_err(io_error)?.len();
        if found < expected {
            let name = name.clone();
            return Err(FileContradiction::Truncated { name, expected, found }.into());
        }
        if found > logged {
            let name = name.clone();
            return Err(FileContradiction::Unaccounted { name, logged, found }.into());
        }
        for write in writes {
            self.repair_write(name, write, found).map_err(io_error)?;
        }
        Ok(())
    }

    /// Writes bytes that belong in a file of this length, unless it contains them. Other bytes in
    /// their place are kept, except for the zeros of a power cut.
    fn repair_write(&mut self, name: &Name, write: &PendingWrite, len: u64) -> io::Result<()> {
        let available = len.saturating_sub(write.offset).min(write.bytes.len() as u64);
        let mut found = vec![0; usize::try_from(available).map_err(io::Error::other)?];
        self.open_or_create(name)?.read_exact_at(&mut found, write.offset)?;
        if found == write.bytes {
            // A crash may have prevented the flush.
            self.unflushed.insert(name.clone());
            return Ok(());
        }
        if !write.bytes.starts_with(&found) && found.iter().any(|byte| *byte != 0) {
            self.keep_replaced(name, write.offset, &found)?;
        }
        self.write_at_offset(name, write)
    }

    fn keep_replaced(&self, name: &Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut dir = self.path.clone().into_os_string();
        dir.push(REPLACED_SUFFIX);
        fs::create_dir_all(&dir)?;
        let path = std::path::Path::new(&dir).join(format!("{name}.{offset}.{}", unix_millis()));
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        warn!(
            %name, offset, path = %path.display(),
            "server replaces bytes that differ from the log, and keeps them"
        );
        Ok(())
    }
}
