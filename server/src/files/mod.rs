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
mod known;
mod repair;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::Name;
use rustix::fs::{Mode, OFlags, openat};
use tracing::warn;

use known::Known;

pub use flush::{Flush, FlushError};
pub use repair::RepairError;

/// How many files are kept open.
const OPEN_MAX: usize = 256;

/// The folder of guarded files.
#[derive(Debug)]
pub struct FileStore {
    folder: Arc<File>,
    open: BTreeMap<Name, File>,
    known: Known,
    /// What was written since it was flushed last.
    dirty: BTreeSet<Name>,
    /// What could not be written, in order.
    waiting: BTreeMap<Name, Vec<Span>>,
    /// What can't be written at present: files with something waiting, and what is no plain file.
    blocked: BTreeSet<Name>,
    changes: Vec<(Name, bool)>,
}

/// Bytes that belong at one place of one file.
#[derive(Debug)]
struct Span {
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
        let folder = File::open(path)
            .with_context(|| format!("can't open the folder {}", path.display()))?;
        Ok(Self {
            folder: Arc::new(folder),
            open: BTreeMap::new(),
            known: Known::default(),
            dirty: BTreeSet::new(),
            waiting: BTreeMap::new(),
            blocked: BTreeSet::new(),
            changes: Vec::new(),
        })
    }

    /// Writes out the appends among these events. What can't be written is kept for
    /// [`FileStore::retry`].
    pub fn write(&mut self, events: &[Event]) {
        let mut spans = BTreeMap::new();
        self.known.refresh(&self.folder);
        for event in events {
            if let Fact::LockGranted { lock, .. } = &event.fact {
                self.look_at(lock);
            }
            if let Fact::FileAppended { file, offset, data, .. } = &event.fact {
                add(&mut spans, file, *offset, data.bytes());
            }
        }
        for (name, spans) in spans {
            self.write_or_keep(name, spans);
        }
    }

    /// Tries again what could not be written.
    pub fn retry(&mut self) {
        for (name, spans) in std::mem::take(&mut self.waiting) {
            self.write_or_keep(name, spans);
        }
        self.known.refresh(&self.folder);
        for name in self.blocked.clone() {
            if !self.waiting.contains_key(&name) {
                self.look_at(&name);
            }
        }
    }

    /// Whether everything is written that was to be.
    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Which files it has become possible (`true`) or impossible to write, since the last look.
    pub fn changes(&mut self) -> Vec<(Name, bool)> {
        std::mem::take(&mut self.changes)
    }

    /// Finds out whether a file of this name can be written, or could be if it were made.
    ///
    /// # Errors
    /// Where it can't: because it is no plain file, for one.
    pub fn check(&self, name: &Name) -> io::Result<()> {
        match open_plain(&self.folder, name, OFlags::RDWR) {
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
        let flush = self.flush_of_what_is_written();
        match flush.run() {
            Err(FlushError::Gone { .. } | FlushError::Shut { .. }) => {
                self.flush_again(&flush);
                Ok(())
            }
            Err(FlushError::Failed { source, .. }) => Err(source),
            Ok(()) => Ok(()),
        }
    }

    /// How long each file in the folder is: all there is to know after a loss of the journal.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn lengths(&mut self) -> anyhow::Result<BTreeMap<Name, u64>> {
        let mut lengths = BTreeMap::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().and_then(|it| Name::new(it).ok())
            else {
                continue;
            };
            match self.file(&name).and_then(File::metadata) {
                Ok(found) => {
                    lengths.insert(name, found.len());
                }
                Err(error) => warn!(%name, %error, "left alone: not a file to guard"),
            }
        }
        Ok(lengths)
    }

    fn look_at(&mut self, name: &Name) {
        if self.known.contains(name) {
            return;
        }
        let is_there = |file: &File| file.metadata().is_ok_and(|found| found.nlink() > 0);
        if !self.open.get(name).is_some_and(is_there) {
            self.open.remove(name);
            let found = self.check(name);
            self.set_blocked(name, found.err().as_ref());
        }
        if !self.blocked.contains(name) {
            self.known.add(name);
        }
    }

    fn write_or_keep(&mut self, name: Name, mut spans: Vec<Span>) {
        // Behind something that waits, it waits as well: the file grows in order.
        if let Some(waiting) = self.waiting.get_mut(&name) {
            return waiting.append(&mut spans);
        }
        let written = spans.iter().try_for_each(|span| self.write_span(&name, span));
        self.set_blocked(&name, written.as_ref().err());
        if written.is_err() {
            // Those that were written are written again: they stay the same.
            self.waiting.insert(name, spans);
        }
    }

    fn write_span(&mut self, name: &Name, span: &Span) -> io::Result<()> {
        let mut found = self.file(name)?.metadata()?;
        if found.nlink() == 0 {
            // Nobody would ever see what is written to a file that was removed.
            self.open.remove(name);
            found = self.file(name)?.metadata()?;
        }
        if found.len() < span.offset {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it should have {} bytes, and has {}", span.offset, found.len()),
            ));
        }
        self.file(name)?.write_all_at(&span.bytes, span.offset)?;
        if !self.dirty.contains(name) {
            self.dirty.insert(name.clone());
        }
        Ok(())
    }

    fn set_blocked(&mut self, name: &Name, error: Option<&io::Error>) {
        match error {
            Some(error) if self.blocked.insert(name.clone()) => {
                warn!(%name, %error, "a guarded file can't be written");
                self.changes.push((name.clone(), false));
            }
            None if self.blocked.remove(name) => self.changes.push((name.clone(), true)),
            Some(_) | None => {}
        }
    }

    fn file(&mut self, name: &Name) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            if self.open.len() >= OPEN_MAX {
                self.open.pop_first();
            }
            let file = open_plain(&self.folder, name, OFlags::RDWR | OFlags::CREATE)?;
            self.open.insert(name.clone(), file);
        }
        Ok(&self.open[name])
    }
}

/// Adds bytes to what is to be written, to what is there where they follow it.
fn add(spans: &mut BTreeMap<Name, Vec<Span>>, name: &Name, offset: u64, bytes: &[u8]) {
    if !spans.contains_key(name) {
        spans.insert(name.clone(), Vec::new());
    }
    let spans = spans.get_mut(name).expect("it was put there");
    match spans.last_mut() {
        Some(last) if last.offset + last.bytes.len() as u64 == offset => {
            last.bytes.extend_from_slice(bytes);
        }
        Some(_) | None => spans.push(Span { offset, bytes: bytes.to_vec() }),
    }
}

/// Opens a plain file in a folder, whatever somebody may have put there in its place.
///
/// # Errors
/// Where there is none, or something else.
pub fn open_plain(folder: &File, name: &Name, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name.as_str(), flags, Mode::from_raw_mode(0o644))?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"))
    }
}
