//! Makes what was written last, away from the thread that nobody may hold up.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use leasehold_core::id::Name;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileStore, open_regular_file};

/// What is to be flushed.
#[derive(Debug)]
pub struct Flush {
    dir: Arc<File>,
    names: BTreeSet<Name>,
}

/// Why not everything is on the disk.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// Somebody has taken the file away since it was written; the others are on the disk. See
    /// [`FileStore::requeue_flush`].
    #[error("the guarded file {name} can't be opened: {source}")]
    Missing {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
    /// The file is there and can't be opened at present, so it is not known whether it is on the
    /// disk; the others are. See [`FileStore::requeue_flush`]: until then the journal has to keep
    /// what was appended.
    #[error("the guarded file {name} can't be opened: {source}")]
    CannotOpen {
        /// Which file.
        name: Name,
        /// Why.
        source: io::Error,
    },
    /// It is not known what the disk holds. The journal has it still; a new start puts it right.
    #[error("the guarded file {name} can't be flushed: {source}")]
    Sync {
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
        self.is_fully_written().then(|| self.take_flush())
    }

    /// Takes back a flush that came to nothing.
    pub fn requeue_flush(&mut self, flush: &Flush) {
        self.unflushed.extend(flush.names.iter().cloned());
    }

    pub(super) fn take_flush(&mut self) -> Flush {
        Flush { dir: Arc::clone(&self.dir), names: std::mem::take(&mut self.unflushed) }
    }
}

impl Flush {
    /// Does it. Takes as long as the disk takes.
    ///
    /// # Errors
    /// Where not everything is on the disk.
    pub fn run(&self) -> Result<(), FlushError> {
        let (mut missing, mut cannot_open) = (None, None);
        for name in &self.names {
            match open_regular_file(&self.dir, name, OFlags::RDWR) {
                Ok(file) => file
                    .sync_data()
                    .map_err(|source| FlushError::Sync { name: name.clone(), source })?,
                // The others have to last all the same.
                Err(source) if is_missing(&source) => {
                    missing
                        .get_or_insert_with(|| FlushError::Missing { name: name.clone(), source });
                }
                Err(source) => {
                    cannot_open.get_or_insert_with(|| FlushError::CannotOpen {
                        name: name.clone(),
                        source,
                    });
                }
            }
        }
        // Where files were made, the folder has to last too.
        if let Some(last) = self.names.last() {
            self.dir
                .sync_all()
                .map_err(|source| FlushError::Sync { name: last.clone(), source })?;
        }
        cannot_open.or(missing).map_or(Ok(()), Err)
    }
}

/// Whether a file can't be opened because it isn't there any more, or something else is.
fn is_missing(error: &io::Error) -> bool {
    let is_not_regular =
        matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput)
            || [Errno::LOOP, Errno::NXIO]
                .iter()
                .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    error.kind() == io::ErrorKind::NotFound || is_not_regular
}
