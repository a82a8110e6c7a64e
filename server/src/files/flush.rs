//! Flushes files in another thread, so that the storage thread does not wait for the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use leasehold_core::id::Name;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileStore, open_regular_file};

/// The files to flush.
#[derive(Debug)]
pub struct Flush {
    dir: Arc<File>,
    names: BTreeSet<Name>,
}

/// Why a flush did not make every file durable.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The file was removed or replaced since it was written; the other files are durable. See
    /// [`FileStore::requeue_flush`].
    #[error("guarded file {name} is missing: {source}")]
    Missing {
        /// The name of the file.
        name: Name,
        /// The cause.
        source: io::Error,
    },
    /// The file exists and cannot be opened now, so its bytes may not be durable; the other files
    /// are durable. Until the flush succeeds (see [`FileStore::requeue_flush`]), the log must
    /// retain the appended bytes.
    #[error("cannot open guarded file {name}: {source}")]
    CannotOpen {
        /// The name of the file.
        name: Name,
        /// The cause.
        source: io::Error,
    },
    /// A flush failed, so the contents of the disk are unknown. The log still has the bytes, and
    /// the next start repairs the file.
    #[error("cannot flush guarded file {name}: {source}")]
    Sync {
        /// The name of the file.
        name: Name,
        /// The cause.
        source: io::Error,
    },
}

impl FileStore {
    /// Returns the flush of everything that was appended so far, after which the log may drop it.
    /// Returns `None` while writes are pending.
    pub fn begin_flush(&mut self) -> Option<Flush> {
        self.is_fully_written().then(|| self.take_flush())
    }

    /// Marks the files of a failed flush as unflushed again.
    pub fn requeue_flush(&mut self, flush: &Flush) {
        self.unflushed.extend(flush.names.iter().cloned());
    }

    pub(super) fn take_flush(&mut self) -> Flush {
        Flush { dir: Arc::clone(&self.dir), names: std::mem::take(&mut self.unflushed) }
    }
}

impl Flush {
    /// Flushes the files and the directory. Blocks until the disk has finished.
    ///
    /// # Errors
    /// If a file could not be opened or flushed.
    pub fn run(&self) -> Result<(), FlushError> {
        let (mut missing, mut cannot_open) = (None, None);
        for name in &self.names {
            match open_regular_file(&self.dir, name, OFlags::RDWR) {
                Ok(file) => file
                    .sync_data()
                    .map_err(|source| FlushError::Sync { name: name.clone(), source })?,
                // The other files are flushed nevertheless.
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
        // Files may have been created, so their directory entries must be durable too.
        if let Some(last) = self.names.last() {
            self.dir
                .sync_all()
                .map_err(|source| FlushError::Sync { name: last.clone(), source })?;
        }
        cannot_open.or(missing).map_or(Ok(()), Err)
    }
}

/// Returns whether the error means that the file does not exist or is no longer a regular file.
fn is_missing(error: &io::Error) -> bool {
    let is_not_regular =
        matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput)
            || [Errno::LOOP, Errno::NXIO]
                .iter()
                .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    error.kind() == io::ErrorKind::NotFound || is_not_regular
}
