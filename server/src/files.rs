//! The guarded files: derived from the journal, which has every byte first.
//!
//! - No name leads out of the folder: names are checked, the folder is opened once, and what is
//!   not a plain file (a planted symlink, a pipe) is never opened.
//! - What can't be written is kept and tried again. Meanwhile appends to that file are refused, so
//!   there is never more of it than was under way.
//! - A lock is granted only after its file was looked at, so that appends to what is no plain file
//!   are refused from the first one on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::Name;
use rustix::fs::{Mode, OFlags, openat};
use tracing::warn;

use crate::journal::Recovered;

/// How many files are kept open.
const OPEN_MAX: usize = 256;

/// The folder of guarded files.
#[derive(Debug)]
pub struct FileStore {
    folder: File,
    open: BTreeMap<Name, File>,
    dirty: BTreeSet<Name>,
    /// What could not be written, in order.
    pending: Vec<Span>,
    /// What can't be written at present: files with something pending, and what is no plain file.
    blocked: BTreeSet<Name>,
    changes: Vec<(Name, bool)>,
}

/// Bytes that belong at one place of one file.
#[derive(Debug)]
struct Span {
    name: Name,
    offset: u64,
    bytes: Vec<u8>,
}

impl FileStore {
    /// Opens the folder, and makes it where it isn't there.
    ///
    /// # Errors
    /// Where it can't be had.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("can't make the folder {}", path.display()))?;
        let folder = File::open(path)
            .with_context(|| format!("can't open the folder {}", path.display()))?;
        Ok(Self {
            folder,
            open: BTreeMap::new(),
            dirty: BTreeSet::new(),
            pending: Vec::new(),
            blocked: BTreeSet::new(),
            changes: Vec::new(),
        })
    }

    /// Writes out the appends among these events. What can't be written is kept for
    /// [`FileStore::retry`].
    pub fn write(&mut self, events: &[Event]) {
        let mut spans: Vec<Span> = Vec::new();
        for event in events {
            if let Fact::LockGranted { lock, .. } = &event.fact {
                self.look_at(lock);
            }
            let Fact::FileAppended { file, offset, data, .. } = &event.fact else { continue };
            let fits = spans
                .iter_mut()
                .rev()
                .find(|span| span.name == *file)
                .filter(|span| span.offset + span.bytes.len() as u64 == *offset);
            if let Some(span) = fits {
                span.bytes.extend_from_slice(data.bytes());
            } else {
                let (name, bytes) = (file.clone(), data.bytes().to_vec());
                spans.push(Span { name, offset: *offset, bytes });
            }
        }
        for span in spans {
            self.write_or_keep(span);
        }
    }

    /// Tries again what could not be written.
    pub fn retry(&mut self) {
        for span in std::mem::take(&mut self.pending) {
            self.write_or_keep(span);
        }
        for name in self.blocked.clone() {
            if self.pending.iter().all(|span| span.name != name) {
                self.look_at(&name);
            }
        }
    }

    /// Whether everything is written that was to be.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }

    /// Which files it has become possible (`true`) or impossible to write, since the last look.
    pub fn changes(&mut self) -> Vec<(Name, bool)> {
        std::mem::take(&mut self.changes)
    }

    /// Finds out whether a file of this name can be written, or could be if it were made.
    pub fn look_at(&mut self, name: &Name) {
        let found = if self.open.contains_key(name) {
            Ok(())
        } else {
            match open_plain(&self.folder, name, OFlags::RDWR) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.set_blocked(name, found.err().as_ref());
    }

    /// Flushes what was written since the last time.
    ///
    /// # Errors
    /// Where a flush fails: then it is not known what the disk holds.
    pub fn sync_all(&mut self) -> io::Result<()> {
        for name in std::mem::take(&mut self.dirty) {
            self.file(&name)?.sync_data()?;
        }
        self.folder.sync_all()
    }

    /// Makes every file what the journal says: bytes that are missing are written, bytes that were
    /// never acknowledged are cut off.
    ///
    /// # Errors
    /// Where the journal doesn't have the missing bytes any more, or a file can't be written.
    pub fn repair(&mut self, recovered: &Recovered) -> anyhow::Result<()> {
        let mut first = BTreeMap::new();
        for append in &recovered.appends {
            first.entry(append.file.clone()).or_insert(append.offset);
        }
        for (name, file) in recovered.state.files() {
            let refilled_from = first.get(name).copied().unwrap_or(file.len());
            let found = self.file(name).and_then(File::metadata).map(|it| it.len());
            let found = found.with_context(|| format!("can't open the guarded file {name}"))?;
            ensure!(
                found >= refilled_from,
                "the guarded file {name} has {found} bytes, and the journal has none before byte \
                 {refilled_from} any more; put the file back from a copy"
            );
        }
        for append in &recovered.appends {
            let file = self.file(&append.file)?;
            file.write_all_at(append.data.bytes(), append.offset)
                .with_context(|| format!("can't write the guarded file {}", append.file))?;
            self.dirty.insert(append.file.clone());
        }
        for (name, file) in recovered.state.files() {
            let cut = self.file(name).and_then(|it| it.set_len(file.len()));
            cut.with_context(|| format!("can't cut the guarded file {name}"))?;
        }
        for lock in recovered.state.locks().keys() {
            self.look_at(lock);
        }
        self.sync_all().context("can't flush the guarded files")
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

    fn write_or_keep(&mut self, span: Span) {
        // Behind something that waits, it waits as well: the file grows in order.
        let waits = self.pending.iter().any(|earlier| earlier.name == span.name);
        let written = if waits {
            return self.pending.push(span);
        } else {
            self.file(&span.name).and_then(|file| file.write_all_at(&span.bytes, span.offset))
        };
        self.set_blocked(&span.name, written.as_ref().err());
        match written {
            Ok(()) => {
                self.dirty.insert(span.name);
            }
            Err(_) => self.pending.push(span),
        }
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
