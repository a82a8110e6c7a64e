//! The data directory: one process at a time uses it.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, bail};

/// The exclusive use of a data directory, until dropped.
#[derive(Debug)]
pub struct DataDirLock(#[allow(dead_code, reason = "it is locked while it is open")] File);

impl DataDirLock {
    /// Locks a data directory. The directory itself is locked, so nothing in it is changed.
    ///
    /// # Errors
    /// If another process uses it, or it does not exist.
    pub fn acquire(dir: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot open data directory {}", dir.display());
        let file = File::open(dir).with_context(context)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                bail!("another server uses the data directory {}; stop it first", dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(context),
        }
    }
}
