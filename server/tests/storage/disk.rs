//! A disk in memory: it notes everything that is done to it, and fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use leasehold_core::rng::Rng;
use leasehold_server::journal::Medium;
use redb::StorageBackend;

/// A disk. A copy is the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

/// What is on it, and what happens to it.
#[derive(Debug, Default)]
pub struct Platter {
    pub bytes: Vec<u8>,
    /// Everything that was done to it, while `noting`.
    pub notes: Vec<Note>,
    pub noting: bool,
    /// It grows no further than this, where set.
    pub len_max: Option<u64>,
    /// The write, counted from now on, that fails, and how.
    pub failing_write: Option<(u64, HowItFails)>,
    /// The flush, counted from now on, that fails.
    pub failing_flush: Option<u64>,
    pub opened: u64,
    pub writes: u64,
    pub flushes: u64,
}

/// One thing that was done to a disk.
#[derive(Clone, Debug)]
pub enum Note {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Flush,
    /// Whoever uses the disk said this at that moment.
    Said(usize),
}

/// What of a write that fails is done nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowItFails {
    Undone,
    Half,
    Done,
}

impl Disk {
    pub fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.look().bytes = bytes;
        disk
    }

    pub fn look(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// Begins to note, and forgets what was done before.
    pub fn begin(&self) -> Vec<u8> {
        let mut platter = self.look();
        platter.noting = true;
        platter.notes.clear();
        (platter.writes, platter.flushes, platter.opened) = (0, 0, 0);
        platter.bytes.clone()
    }

    pub fn say(&self, what: usize) {
        self.look().note(Note::Said(what));
    }
}

impl Platter {
    fn note(&mut self, note: Note) {
        if self.noting {
            self.notes.push(note);
        }
    }

    fn put(&mut self, offset: u64, data: &[u8]) {
        self.note(Note::Write(offset, data.to_vec()));
        let at = usize::try_from(offset).unwrap();
        self.bytes[at..at + data.len()].copy_from_slice(data);
    }
}

impl Medium for Disk {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.look().opened += 1;
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.look().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.look();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let found = from.checked_add(out.len()).and_then(|to| platter.bytes.get(from..to));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.look();
        let grows = len > platter.bytes.len() as u64;
        if grows && platter.len_max.is_some_and(|len_max| len > len_max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.note(Note::SetLen(len));
        platter.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.look();
        platter.flushes += 1;
        if platter.failing_flush.is_some_and(|failing| platter.flushes == failing) {
            return Err(io::Error::other("a flush that fails"));
        }
        platter.note(Note::Flush);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.look();
        platter.writes += 1;
        let fails = platter.failing_write.filter(|(failing, _)| *failing == platter.writes);
        let Some((_, how)) = fails else {
            platter.put(offset, data);
            return Ok(());
        };
        match how {
            HowItFails::Undone => {}
            HowItFails::Half => platter.put(offset, &data[..data.len() / 2]),
            HowItFails::Done => platter.put(offset, data),
        }
        Err(io::Error::other("a write that fails"))
    }
}

/// What a disk holds for certain, and what was done to it since the last flush.
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    pub flushed: Vec<u8>,
    pub unflushed: Vec<&'a Note>,
}

impl<'a> Cut<'a> {
    pub fn new(flushed: Vec<u8>) -> Self {
        Self { flushed, unflushed: Vec::new() }
    }

    /// Takes in the next thing that was done.
    pub fn take(&mut self, note: &'a Note) {
        match note {
            Note::Write(..) | Note::SetLen(_) => self.unflushed.push(note),
            Note::Flush => {
                for note in std::mem::take(&mut self.unflushed) {
                    do_it(&mut self.flushed, note, None);
                }
            }
            Note::Said(_) => {}
        }
    }

    /// The disk after the power was cut at this moment: of what was not flushed some is there,
    /// some isn't, and some is torn; the last of it in any case.
    pub fn survivor(&self, seed: u64) -> Vec<u8> {
        let mut rng = Rng::new(seed);
        let mut bytes = self.flushed.clone();
        // Draws that lose nearly everything, nearly nothing, and about half.
        let (lost, torn) = [(0, 0), (100_000, 50_000), (500_000, 100_000), (900_000, 50_000)]
            [usize::try_from(rng.below(4)).unwrap()];
        for (place, note) in self.unflushed.iter().enumerate() {
            let last = place + 1 == self.unflushed.len();
            if !last && rng.happens(lost) {
                continue;
            }
            let tear = (last || rng.happens(torn)).then(|| rng.bits());
            do_it(&mut bytes, note, tear);
        }
        bytes
    }
}

fn do_it(bytes: &mut Vec<u8>, note: &Note, tear: Option<u64>) {
    match note {
        Note::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        Note::Write(offset, data) => {
            let len = data.len() as u64;
            let kept = tear.map_or(len, |tear| tear % (len + 1));
            let (at, kept) = (usize::try_from(*offset).unwrap(), usize::try_from(kept).unwrap());
            if bytes.len() < at + kept {
                bytes.resize(at + kept, 0);
            }
            bytes[at..at + kept].copy_from_slice(&data[..kept]);
        }
        Note::Flush | Note::Said(_) => {}
    }
}
