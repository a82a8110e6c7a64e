//! Makes what was written last, away from the thread that nobody may hold up.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use leasehold_core::id::Name;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileStore, open_plain};

/// What is to be flushed.
#[derive(Debug)]
pub struct Flush {
    folder: Arc<File>,
    names: BTreeSet<Name>,
}

/// Why not everything is on the disk.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// Somebody has taken the file away since it was written; the others are on the disk. See
    /// [`FileStore::flush_again`].
    #[error("the guarded file {name} can't be opened: {source}")]
    Gone {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
    /// The file is there and can't be opened at present, so it is not known whether it is on the
    /// disk; the others are. See [`FileStore::flush_again`]: until then the journal has to keep
    /// what was appended.
    #[error("the guarded file {name} can't be opened: {source}")]
    Shut {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
    /// It is not known what the disk holds. The journal has it still; a new start puts it right.
    #[error("the guarded file {name} can't be flushed: {source}")]
    Failed {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
}

impl FileStore {
    /// Begins to flush everything that was appended until now, so that the journal need not keep
    /// it. Not possible while something could not be written.
    pub fn begin_flush(&mut self) -> Option<Flush> {
        self.is_complete().then(|| self.flush_of_what_is_written())
    }

    /// Takes back a flush that came to nothing.
    pub fn flush_again(&mut self, flush: &Flush) {
        self.dirty.extend(flush.names.iter().cloned());
    }

    pub(super) fn flush_of_what_is_written(&mut self) -> Flush {
        Flush { folder: Arc::clone(&self.folder), names: std::mem::take(&mut self.dirty) }
    }
}

impl Flush {
    /// Does it. Takes as long as the disk takes.
    ///
    /// # Errors
    /// Where not everything is on the disk.
    pub fn run(&self) -> Result<(), FlushError> {
        let (mut gone, mut shut) = (None, None);
        for name in &self.names {
            match open_plain(&self.folder, name, OFlags::RDWR) {
                Ok(file) => file
                    .sync_data()
                    .map_err(|source| FlushError::Failed { name: name.clone(), source })?,
                // The others have to last all the same.
                Err(source) if is_gone(&source) => {
                    gone.get_or_insert_with(|| FlushError::Gone { name: name.clone(), source });
                }
                Err(source) => {
                    shut.get_or_insert_with(|| FlushError::Shut { name: name.clone(), source });
                }
            }
        }
        // Where files were made, the folder has to last too.
        if let Some(last) = self.names.last() {
            self.folder
                .sync_all()
                .map_err(|source| FlushError::Failed { name: last.clone(), source })?;
        }
        shut.or(gone).map_or(Ok(()), Err)
    }
}

/// Whether a file can't be opened because it isn't there any more, or something else is.
fn is_gone(error: &io::Error) -> bool {
    let something_else =
        matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput)
            || [Errno::LOOP, Errno::NXIO]
                .iter()
                .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    error.kind() == io::ErrorKind::NotFound || something_else
}
