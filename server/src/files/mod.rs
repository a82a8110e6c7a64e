//! The guarded files: derived from the journal, which has every byte first.
//!
//! - No name leads out of the folder: names are checked, the folder is opened once, and what is
//!   not a plain file (a planted symlink, a pipe) is never opened.
//! - Bytes are written where the journal says, and never beyond a file's end: a file that somebody
//!   has cut gets no hole in it, but no more bytes either.
//! - What can't be written is kept and tried again. Meanwhile appends to that file are refused, so
//!   there is never more of it than was under way. Other files are not concerned.
//! - A lock is granted only after its file was looked at, so that appends to what is no plain file
//!   are refused from the first one on.

mod flush;
mod repair;
mod verified;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::Name;
use rustix::fs::{Mode, OFlags, openat};
use tracing::warn;

use verified::VerifiedNames;

pub use flush::{Flush, FlushError};
pub use repair::RepairError;

/// How many files are kept open.
const OPEN_FILES_MAX: usize = 256;

/// The folder of guarded files.
#[derive(Debug)]
pub struct FileStore {
    dir: Arc<File>,
    open_files: BTreeMap<Name, File>,
    verified: VerifiedNames,
    /// What was written since it was flushed last.
    unflushed: BTreeSet<Name>,
    /// What could not be written, in order.
    pending: BTreeMap<Name, Vec<PendingWrite>>,
    /// What can't be written at present: files with something waiting, and what is no plain file.
    unwritable: BTreeSet<Name>,
    writability_changes: Vec<(Name, bool)>,
}

/// Bytes that belong at one place of one file.
#[derive(Debug)]
struct PendingWrite {
    offset: u64,
    bytes: Vec<u8>,
}

impl FileStore {
    /// Opens the folder, and makes it where it isn't there.
    ///
    /// # Errors
    /// Where it can't be had.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .with_context(|| format!("can't make the folder {}", path.display()))?;
        let dir = File::open(path)
            .with_context(|| format!("can't open the folder {}", path.display()))?;
        Ok(Self {
            dir: Arc::new(dir),
            open_files: BTreeMap::new(),
            verified: VerifiedNames::default(),
            unflushed: BTreeSet::new(),
            pending: BTreeMap::new(),
            unwritable: BTreeSet::new(),
            writability_changes: Vec::new(),
        })
    }

    /// Writes out the appends among these events. What can't be written is kept for
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

    /// Tries again what could not be written.
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

    /// Whether everything is written that was to be.
    pub fn is_fully_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// Which files it has become possible (`true`) or impossible to write, since the last look.
    pub fn take_writability_changes(&mut self) -> Vec<(Name, bool)> {
        std::mem::take(&mut self.writability_changes)
    }

    /// Finds out whether a file of this name can be written, or could be if it were made.
    ///
    /// # Errors
    /// Where it can't: because it is no plain file, for one.
    pub fn check_writable(&self, name: &Name) -> io::Result<()> {
        match open_regular_file(&self.dir, name, OFlags::RDWR) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Flushes what was written since the last time.
    ///
    /// # Errors
    /// Where a flush fails: then it is not known what the disk holds. What could not be written is
    /// no error: the journal has it.
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

    /// How long each file in the folder is: all there is to know after a loss of the journal.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn file_lengths(&mut self) -> anyhow::Result<BTreeMap<Name, u64>> {
        let mut lengths = BTreeMap::new();
        for entry in rustix::fs::Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().and_then(|it| Name::new(it).ok())
            else {
                continue;
            };
            match self.open_or_create(&name).and_then(File::metadata) {
                Ok(metadata) => {
                    lengths.insert(name, metadata.len());
                }
                Err(error) => warn!(%name, %error, "left alone: not a file to guard"),
            }
        }
        Ok(lengths)
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
        // Behind something that waits, it waits as well: the file grows in order.
        if let Some(pending) = self.pending.get_mut(&name) {
            return pending.append(&mut writes);
        }
        let result = writes.iter().try_for_each(|write| self.write_at_offset(&name, write));
        self.set_writability(&name, result.as_ref().err());
        if result.is_err() {
            // Those that were written are written again: they stay the same.
            self.pending.insert(name, writes);
        }
    }

    fn write_at_offset(&mut self, name: &Name, write: &PendingWrite) -> io::Result<()> {
        let mut metadata = self.open_or_create(name)?.metadata()?;
        if metadata.nlink() == 0 {
            // Nobody would ever see what is written to a file that was removed.
            self.open_files.remove(name);
            metadata = self.open_or_create(name)?.metadata()?;
        }
        if metadata.len() < write.offset {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it should have {} bytes, and has {}", write.offset, metadata.len()),
            ));
        }
        self.open_or_create(name)?.write_all_at(&write.bytes, write.offset)?;
        if !self.unflushed.contains(name) {
            self.unflushed.insert(name.clone());
        }
        Ok(())
    }

    fn set_writability(&mut self, name: &Name, error: Option<&io::Error>) {
        match error {
            Some(error) if self.unwritable.insert(name.clone()) => {
                warn!(%name, %error, "a guarded file can't be written");
                self.writability_changes.push((name.clone(), false));
            }
            None if self.unwritable.remove(name) => {
                self.writability_changes.push((name.clone(), true))
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

/// Adds bytes to what is to be written, to what is there where they follow it.
fn push_write(
    writes: &mut BTreeMap<Name, Vec<PendingWrite>>,
    name: &Name,
    offset: u64,
    bytes: &[u8],
) {
    if !writes.contains_key(name) {
        writes.insert(name.clone(), Vec::new());
    }
    let writes = writes.get_mut(name).expect("it was put there");
    match writes.last_mut() {
        Some(last) if last.offset + last.bytes.len() as u64 == offset => {
            last.bytes.extend_from_slice(bytes);
        }
        Some(_) | None => writes.push(PendingWrite { offset, bytes: bytes.to_vec() }),
    }
}

/// Opens a plain file in a folder, whatever somebody may have put there in its place.
///
/// # Errors
/// Where there is none, or something else.
pub fn open_regular_file(dir: &File, name: &Name, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name.as_str(), flags, Mode::from_raw_mode(0o644))?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"))
    }
}
