//! A disk in memory, with the two files of a journal: it notes everything that is done to them, and
//! fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use leasehold_core::rng::Rng;
use leasehold_core::state::State;
use leasehold_server::journal::{Medium, Moving, OpenError, Recovered, RedbJournal, TailOptions};
use redb::StorageBackend;

/// A disk. A copy is the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Archive,
    Tail,
}

/// The bytes of the two files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub archive: Vec<u8>,
    pub tail: Vec<u8>,
}

/// What is on it, and what happens to it.
#[derive(Debug, Default)]
pub struct Platter {
    pub files: Files,
    /// Everything that was done to it, while `noting`.
    pub notes: Vec<Note>,
    pub noting: bool,
    /// Its files together grow no further than this, where set.
    pub len_max: Option<u64>,
    /// The write, counted from now on, that fails, and how.
    pub failing_write: Option<(u64, HowItFails)>,
    /// The flush, counted from now on, that fails.
    pub failing_flush: Option<u64>,
    /// The same, of the tail's flushes alone.
    pub failing_tail_flush: Option<u64>,
    /// The next flush of the archive panics.
    pub panicking_flush: bool,
    /// How often the archive was opened.
    pub opened: u64,
    pub writes: u64,
    pub flushes: u64,
    pub tail_flushes: u64,
}

/// One thing that was done to a disk.
#[derive(Clone, Debug)]
pub enum Note {
    Write(Place, u64, Vec<u8>),
    SetLen(Place, u64),
    Flush(Place),
    /// A flush that has failed: what was to be flushed never is, unless it is written again.
    FailedFlush(Place),
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

/// One file of a disk, to open a journal on.
#[derive(Clone, Debug)]
pub struct Side(Disk, Place);

impl Disk {
    pub fn of(files: Files) -> Self {
        let disk = Self::default();
        disk.look().files = files;
        disk
    }

    pub fn look(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    pub fn files(&self) -> Files {
        self.look().files.clone()
    }

    pub fn side(&self, place: Place) -> Arc<Side> {
        Arc::new(Side(self.clone(), place))
    }

    /// Opens the journal on it, whose tail has halves of this length and moves when it is told to.
    pub fn open(&self, half_len: u64) -> Result<(RedbJournal, Recovered), OpenError> {
        let options = TailOptions { half_len, moving: Moving::ByCaller };
        RedbJournal::open_on(self.side(Place::Archive), &*self.side(Place::Tail), options)
    }

    /// Begins a journal, and to note what is done to it.
    pub fn journal(half_len: u64) -> (Self, RedbJournal) {
        let disk = Self::default();
        RedbJournal::begin_on(disk.side(Place::Archive), &State::default()).unwrap();
        let (journal, _) = disk.open(half_len).unwrap();
        disk.begin();
        (disk, journal)
    }

    /// Begins to note, and forgets what was done before.
    pub fn begin(&self) -> Files {
        let mut platter = self.look();
        platter.noting = true;
        platter.notes.clear();
        (platter.writes, platter.flushes, platter.opened) = (0, 0, 0);
        platter.tail_flushes = 0;
        platter.files.clone()
    }

    pub fn say(&self, what: usize) {
        self.look().note(Note::Said(what));
    }
}

impl Files {
    pub fn at(&self, place: Place) -> &Vec<u8> {
        match place {
            Place::Archive => &self.archive,
            Place::Tail => &self.tail,
        }
    }

    pub fn at_mut(&mut self, place: Place) -> &mut Vec<u8> {
        match place {
            Place::Archive => &mut self.archive,
            Place::Tail => &mut self.tail,
        }
    }

    pub fn len(&self) -> u64 {
        (self.archive.len() + self.tail.len()) as u64
    }
}

impl Platter {
    fn note(&mut self, note: Note) {
        if self.noting {
            self.notes.push(note);
        }
    }

    fn put(&mut self, place: Place, offset: u64, data: &[u8]) {
        self.note(Note::Write(place, offset, data.to_vec()));
        let at = usize::try_from(offset).unwrap();
        self.files.at_mut(place)[at..at + data.len()].copy_from_slice(data);
    }
}

impl Medium for Side {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.0.look().opened += u64::from(self.1 == Place::Archive);
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for Side {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.look().files.at(self.1).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.look();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = platter.files.at(self.1);
        let found = from.checked_add(out.len()).and_then(|to| bytes.get(from..to));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.0.look();
        let before = platter.files.at(self.1).len() as u64;
        let both = platter.files.len() - before + len;
        if len > before && platter.len_max.is_some_and(|len_max| both > len_max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.note(Note::SetLen(self.1, len));
        platter.files.at_mut(self.1).resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.look();
        if self.1 == Place::Archive && std::mem::take(&mut platter.panicking_flush) {
            drop(platter);
            panic!("a flush that panics");
        }
        platter.flushes += 1;
        platter.tail_flushes += u64::from(self.1 == Place::Tail);
        let fails = platter.failing_flush.is_some_and(|failing| platter.flushes == failing);
        let tail_fails = platter.failing_tail_flush == Some(platter.tail_flushes);
        if fails || tail_fails && self.1 == Place::Tail {
            platter.note(Note::FailedFlush(self.1));
            return Err(io::Error::other("a flush that fails"));
        }
        platter.note(Note::Flush(self.1));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.0.look();
        platter.writes += 1;
        let fails = platter.failing_write.filter(|(failing, _)| *failing == platter.writes);
        let Some((_, how)) = fails else {
            platter.put(self.1, offset, data);
            return Ok(());
        };
        match how {
            HowItFails::Undone => {}
            HowItFails::Half => platter.put(self.1, offset, &data[..data.len() / 2]),
            HowItFails::Done => platter.put(self.1, offset, data),
        }
        Err(io::Error::other("a write that fails"))
    }
}

/// What a disk holds for certain, and what was done to it since the last flush of each file.
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    pub flushed: Files,
    pub unflushed: Vec<&'a Note>,
}

impl<'a> Cut<'a> {
    pub fn new(flushed: Files) -> Self {
        Self { flushed, unflushed: Vec::new() }
    }

    /// Takes in the next thing that was done.
    pub fn take(&mut self, note: &'a Note) {
        match note {
            Note::Write(..) | Note::SetLen(..) => self.unflushed.push(note),
            Note::Flush(place) => {
                let is_flushed = |note: &&Note| match note {
                    Note::Write(at, ..) | Note::SetLen(at, _) => at == place,
                    Note::Flush(_) | Note::FailedFlush(_) | Note::Said(_) => false,
                };
                let (flushed, left) =
                    std::mem::take(&mut self.unflushed).into_iter().partition(is_flushed);
                self.unflushed = left;
                let flushed: Vec<&Note> = flushed;
                flushed.into_iter().for_each(|note| do_it(&mut self.flushed, note, None));
            }
            Note::FailedFlush(place) => self.unflushed.retain(|note| match note {
                Note::Write(at, ..) | Note::SetLen(at, _) => at != place,
                Note::Flush(_) | Note::FailedFlush(_) | Note::Said(_) => true,
            }),
            Note::Said(_) => {}
        }
    }

    /// The disk after the power was cut at this moment: of what was not flushed some is there,
    /// some isn't, and some is torn; the last of it in any case.
    pub fn survivor(&self, seed: u64) -> Files {
        let mut rng = Rng::new(seed);
        let mut files = self.flushed.clone();
        // Draws that lose nearly everything, nearly nothing, and about half.
        let (lost, torn) = [(0, 0), (100_000, 50_000), (500_000, 100_000), (900_000, 50_000)]
            [usize::try_from(rng.below(4)).unwrap()];
        for (place, note) in self.unflushed.iter().enumerate() {
            let last = place + 1 == self.unflushed.len();
            if !last && rng.happens(lost) {
                continue;
            }
            let tear = (last || rng.happens(torn)).then(|| rng.bits());
            do_it(&mut files, note, tear);
        }
        files
    }
}

/// Does what was done: all of it, or one end of a write that was torn.
fn do_it(files: &mut Files, note: &Note, tear: Option<u64>) {
    match note {
        Note::SetLen(place, len) => files.at_mut(*place).resize(usize::try_from(*len).unwrap(), 0),
        Note::Write(place, offset, data) => {
            let bytes = files.at_mut(*place);
            let len = data.len() as u64;
            let kept = usize::try_from(tear.map_or(len, |tear| tear % (len + 1))).unwrap();
            // No disk tears a sector, and the tail relies on that: on none of its words being torn.
            let word = if *place == Place::Tail { 8 } else { 1 };
            let kept = if kept == data.len() { kept } else { kept - kept % word };
            let from_end = tear.is_some_and(|tear| tear >> 63 == 1);
            let kept = if from_end { data.len() - kept..data.len() } else { 0..kept };
            let at = usize::try_from(*offset).unwrap();
            if bytes.len() < at + kept.end {
                bytes.resize(at + kept.end, 0);
            }
            bytes[at + kept.start..at + kept.end].copy_from_slice(&data[kept]);
        }
        Note::Flush(_) | Note::FailedFlush(_) | Note::Said(_) => {}
    }
}
