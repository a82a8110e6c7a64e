//! The guarded files, derived from the log, which contains every byte first.
//!
//! - No name leads out of the directory: names are validated, the directory is opened once, and
//!   anything but a regular file (a planted symlink, a pipe) is never opened.
//! - Bytes are written at the offset that the log specifies, which must be the end of the file: a
//!   file that was truncated from outside gets no hole, and bytes that another program has appended
//!   are not overwritten.
//! - Writes that fail are retained and retried. Until they succeed, the service refuses appends to
//!   that file, so only appends that were already in progress accumulate. Other files are not
//!   affected.
//! - Bytes that recovery replaces are kept in `files.replaced/`, and no file is ever truncated.
//! - A lock is granted only after its file was verified, so that appends to anything but a regular
//!   file are refused from the first one on.

mod checksum;
mod compare;
mod flush;
mod repair;
mod verified;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::Name;
use rustix::fs::{Mode, OFlags, openat};
use tracing::warn;

use verified::VerifiedNames;

pub use checksum::extend_checksums;
pub use compare::{FileContradiction, compare_files, regular_file_lengths};
pub use flush::{Flush, FlushError};
pub use repair::RepairError;

/// The maximum number of files that are kept open.
const OPEN_FILES_MAX: usize = 256;

/// The directory of the guarded files.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    dir: Arc<File>,
    open_files: BTreeMap<Name, File>,
    verified: VerifiedNames,
    /// The files that were written since the last flush.
    unflushed: BTreeSet<Name>,
    /// Writes that failed, in order.
    pending: BTreeMap<Name, Vec<PendingWrite>>,
    /// The files that cannot be written now: those with pending writes, and those that are not
    /// regular files.
    unwritable: BTreeSet<Name>,
    writability_changes: Vec<(Name, bool)>,
}

/// Bytes to write at an offset of a file.
#[derive(Debug)]
struct PendingWrite {
    offset: u64,
    bytes: Vec<u8>,
}

impl FileStore {
    /// Opens the directory and creates it if it does not exist.
    ///
    /// # Errors
    /// If the directory cannot be created or opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .with_context(|| format!("cannot create directory {}", path.display()))?;
        let dir = File::open(path)
            .with_context(|| format!("cannot open directory {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            dir: Arc::new(dir),
            open_files: BTreeMap::new(),
            verified: VerifiedNames::default(),
            unflushed: BTreeSet::new(),
            pending: BTreeMap::new(),
            unwritable: BTreeSet::new(),
            writability_changes: Vec::new(),
        })
    }

    /// Writes the appends among these events to their files. Writes that fail are retained for
    /// [`FileStore::retry`].
    pub fn write(&mut self, events: &[Event]) {
        let mut writes = BTreeMap::new();
        self.verified.refresh(&self.dir);
        for event in events {
            if let EventKind::LockGranted { lock, .. } = &event.kind {
                self.verify(lock);
            }
            if let EventKind::FileAppended { file, offset, data, .. } = &event.kind {
                push_write(&mut writes, file, *offset, data.bytes());
            }
        }
        for (name, writes) in writes {
            self.write_or_defer(name, writes);
        }
    }

    /// Retries the writes that failed, and checks whether unwritable files have become writable.
    pub fn retry(&mut self) {
        for (name, writes) in std::mem::take(&mut self.pending) {
            self.write_or_defer(name, writes);
        }
        self.verified.refresh(&self.dir);
        for name in self.unwritable.clone() {
            if !self.pending.contains_key(&name) {
                self.verify(&name);
            }
        }
    }

    /// Returns whether no writes are pending.
    pub fn is_fully_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// Removes and returns the changes of writability since the last call: `true` for files that
    /// have become writable.
    pub fn take_writability_changes(&mut self) -> Vec<(Name, bool)> {
        std::mem::take(&mut self.writability_changes)
    }

    /// Checks that the file can be opened for writing, or could be created.
    ///
    /// # Errors
    /// If the file cannot be opened, for example because it is not a regular file.
    pub fn check_writable(&self, name: &Name) -> io::Result<()> {
        match open_regular_file(&self.dir, name, OFlags::RDWR) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Flushes the files that were written since the last flush.
    ///
    /// # Errors
    /// If a flush fails; the contents of the disk are then unknown. Files that cannot be opened are
    /// not an error, because the log still contains their bytes.
    pub fn sync_all(&mut self) -> io::Result<()> {
        let flush = self.take_flush();
        match flush.run() {
            Err(FlushError::Missing { .. } | FlushError::CannotOpen { .. }) => {
                self.requeue_flush(&flush);
                Ok(())
            }
            Err(FlushError::Sync { source, .. }) => Err(source),
            Ok(()) => Ok(()),
        }
    }

    fn verify(&mut self, name: &Name) {
        if self.verified.contains(name) {
            return;
        }
        let is_linked = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
        if !self.open_files.get(name).is_some_and(is_linked) {
            self.open_files.remove(name);
            let result = self.check_writable(name);
            self.set_writability(name, result.err().as_ref());
        }
        if !self.unwritable.contains(name) {
            self.verified.insert(name);
        }
    }

    fn write_or_defer(&mut self, name: Name, mut writes: Vec<PendingWrite>) {
        // Writes to a file stay in order, so a write behind a pending one is pending too.
        if let Some(pending) = self.pending.get_mut(&name) {
            return pending.append(&mut writes);
        }
        let mut result = Ok(());
        let written = writes.iter().take_while(|write| {
            result = self.append_at_offset(&name, write);
            result.is_ok()
        });
        let written = written.count();
        self.set_writability(&name, result.as_ref().err());
        if result.is_err() {
            writes.drain(..written);
            self.pending.insert(name, writes);
        }
    }

    /// Writes bytes at the end of a file. A part of them that is there already was written before.
    fn append_at_offset(&mut self, name: &Name, write: &PendingWrite) -> io::Result<()> {
        let len = self.linked_len(name)?;
        if let Some(excess) = len.checked_sub(write.offset).filter(|excess| *excess > 0) {
            let mut found = vec![0; write.bytes.len().min(usize::try_from(excess).unwrap_or(0))];
            self.open_or_create(name)?.read_exact_at(&mut found, write.offset)?;
            if excess > write.bytes.len() as u64 || !write.bytes.starts_with(&found) {
                return Err(unexpected_len(len, write.offset));
            }
        }
        self.write_within(name, write, len)
    }

    /// Writes bytes in the place of others.
    fn write_at_offset(&mut self, name: &Name, write: &PendingWrite) -> io::Result<()> {
        let len = self.linked_len(name)?;
        self.write_within(name, write, len)
    }

    /// Writes bytes that begin within a file of this length, or at its end.
    fn write_within(&mut self, name: &Name, write: &PendingWrite, len: u64) -> io::Result<()> {
        if len < write.offset {
            return Err(unexpected_len(len, write.offset));
        }
        self.open_or_create(name)?.write_all_at(&write.bytes, write.offset)?;
        if !self.unflushed.contains(name) {
            self.unflushed.insert(name.clone());
        }
        Ok(())
    }

    /// Returns the length of a file. One that was removed is created again, because bytes written
    /// to it would be lost.
    fn linked_len(&mut self, name: &Name) -> io::Result<u64> {
        let metadata = self.open_or_create(name)?.metadata()?;
        if metadata.nlink() > 0 {
            return Ok(metadata.len());
        }
        self.open_files.remove(name);
        Ok(self.open_or_create(name)?.metadata()?.len())
    }

    fn set_writability(&mut self, name: &Name, error: Option<&io::Error>) {
        match error {
            Some(error) if self.unwritable.insert(name.clone()) => {
                warn!(%name, %error, "server cannot write a guarded file; the log has its bytes");
                self.writability_changes.push((name.clone(), false));
            }
            None if self.unwritable.remove(name) => {
                self.writability_changes.push((name.clone(), true));
            }
            Some(_) | None => {}
        }
    }

    fn open_or_create(&mut self, name: &Name) -> io::Result<&File> {
        if !self.open_files.contains_key(name) {
            if self.open_files.len() >= OPEN_FILES_MAX {
                self.open_files.pop_first();
            }
            let file = open_regular_file(&self.dir, name, OFlags::RDWR | OFlags::CREATE)?;
            self.open_files.insert(name.clone(), file);
        }
        Ok(&self.open_files[name])
    }
}

fn unexpected_len(found: u64, expected: u64) -> io::Error {
    let reason = format!("it has {found} bytes instead of {expected}");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Adds bytes to the writes of a file. They extend the last write if they continue it.
fn push_write(
    writes: &mut BTreeMap<Name, Vec<PendingWrite>>,
    name: &Name,
    offset: u64,
    bytes: &[u8],
) {
    if !writes.contains_key(name) {
        writes.insert(name.clone(), Vec::new());
    }
    let writes = writes.get_mut(name).expect("it was inserted above");
    match writes.last_mut() {
        Some(last) if last.offset + last.bytes.len() as u64 == offset => {
            last.bytes.extend_from_slice(bytes);
        }
        Some(_) | None => writes.push(PendingWrite { offset, bytes: bytes.to_vec() }),
    }
}

/// Opens a regular file in a directory, without following symlinks or blocking on pipes.
///
/// # Errors
/// If the file does not exist, cannot be opened, or is not a regular file.
pub fn open_regular_file(dir: &File, name: &Name, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name.as_str(), flags, Mode::from_raw_mode(0o644))?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}
