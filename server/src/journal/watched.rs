//! Stands between redb and what the journal is on, and knows afterwards what has failed.
//!
//! - redb takes an error for the end: nothing can be done with the database after it. So a
//!   growth for which there is no room is let pass, as if it had been made, and every write is
//!   refused until it has been. Whoever commits looks first whether room is short, and gives the
//!   transaction up, which takes the growth back.
//! - A flush that has failed is remembered, whatever redb makes of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::StorageBackend;

/// What redb is given in place of the medium.
#[derive(Debug)]
pub(super) struct Watched(pub(super) Arc<Watch>);

/// The medium, and what happened to it.
#[derive(Debug)]
pub(super) struct Watch {
    inner: Box<dyn StorageBackend>,
    /// The length that redb takes it to have, where there was no room for it; else 0.
    wanted: AtomicU64,
    flush_failed: AtomicBool,
    written: AtomicBool,
}

impl Watch {
    pub(super) fn new(inner: Box<dyn StorageBackend>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            wanted: AtomicU64::new(0),
            flush_failed: AtomicBool::new(false),
            written: AtomicBool::new(false),
        })
    }

    /// Whether it is shorter than redb takes it to be.
    pub(super) fn is_short(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) != 0
    }

    /// Tries again to make it as long as redb takes it to be.
    ///
    /// # Errors
    /// Where there still is no room.
    pub(super) fn make_room(&self) -> io::Result<()> {
        let wanted = self.wanted.load(Ordering::SeqCst);
        if wanted != 0 {
            self.inner.set_len(wanted)?;
            self.wanted.store(0, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether any flush has failed.
    pub(super) fn has_flush_failed(&self) -> bool {
        self.flush_failed.load(Ordering::SeqCst)
    }

    /// Forgets what was written before, so that [`Watch::was_written`] tells of the commit that
    /// comes.
    pub(super) fn begin_commit(&self) {
        self.written.store(false, Ordering::SeqCst);
    }

    /// Whether any write was begun since [`Watch::begin_commit`].
    pub(super) fn was_written(&self) -> bool {
        self.written.load(Ordering::SeqCst)
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        match self.0.wanted.load(Ordering::SeqCst) {
            0 => self.0.inner.len(),
            wanted => Ok(wanted),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.0.inner.len()?;
        let wanted = match self.0.inner.set_len(len) {
            Ok(()) => 0,
            Err(_) if grows => len,
            Err(error) => return Err(error),
        };
        self.0.wanted.store(wanted, Ordering::SeqCst);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.inner.sync_data().inspect_err(|_| self.0.flush_failed.store(true, Ordering::SeqCst))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.0.is_short() {
            return Err(no_room());
        }
        self.0.written.store(true, Ordering::SeqCst);
        self.0.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.inner.close()
    }
}

/// The error of a journal that can't grow.
pub(super) fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "there is no room for the journal to grow")
}
