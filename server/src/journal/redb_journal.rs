//! The journal of one server: a tail before a redb database, which is its archive.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::service::Durable;
use leasehold_core::state::State;
use redb::StorageBackend;
use tracing::warn;

use super::archive::Archive;
use super::medium::{FileMedium, Medium};
use super::mover::{self, Mover, Shared};
use super::snapshot::Writing;
use super::tail::scan::scan;
use super::tail::{self, Tail};
use super::{AppendError, Log, OpenError, Recovered, damaged};

/// The archive's name in the data folder.
const NAME: &str = "journal.redb";
/// Its name until it is complete.
const NEW: &str = "journal.redb.new";
/// The tail's name.
const TAIL: &str = "journal.tail";

/// How many places are reserved at a time: ten seconds of heartbeats at full load.
const RESERVE: u64 = 1 << 20;

/// How a tail is kept.
#[derive(Clone, Copy, Debug)]
pub struct TailOptions {
    /// How long each of its two halves is, in bytes: a multiple of 8.
    pub half_len: u64,
    /// Who moves what is in it to the archive.
    pub moving: Moving,
}

/// Who moves what is in the tail to the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moving {
    /// A thread of its own.
    ByThread,
    /// Whoever calls [`Log::work`], one piece with each call.
    ByCaller,
}

impl Default for TailOptions {
    /// Halves of 4 MiB: a second of full load, so that the archive may be slow for as long without
    /// being felt; read in a few milliseconds; and little beside the 64 MiB between snapshots.
    fn default() -> Self {
        Self { half_len: 4 << 20, moving: Moving::ByThread }
    }
}

/// Stores events in a tail and a redb database.
#[derive(Debug)]
pub struct RedbJournal {
    tail: Tail,
    mover: Arc<Mutex<Mover>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The last place in history that was let pass.
    passed: u64,
    /// The place of the last event of the last batch that was stored.
    stored: u64,
    /// The last place in history that anybody may have seen.
    reserved: u64,
    bytes_since_snapshot: u64,
}

impl RedbJournal {
    /// Opens the journal in a data folder, or begins one where there is none.
    ///
    /// # Errors
    /// Where it is damaged, can't be read, or belongs to a server that runs.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), OpenError> {
        if !dir.join(NAME).try_exists()? {
            if tail::holds_anything(&dir.join(TAIL))? {
                return Err(damaged("it is missing, though journal.tail holds its last events"));
            }
            Self::create(dir, &State::default())?;
        }
        let archive = FileMedium::open(dir, NAME)?;
        let tail = archive.beside(dir, TAIL)?;
        Self::open_on(Arc::new(archive), &tail, TailOptions::default())
    }

    /// Begins a journal that holds a state and nothing else. What journal there was before is gone
    /// then. There is either the old one or the new one, whenever the power fails: a tail of the
    /// old one is not in use for the new one.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn create(dir: &Path, state: &State) -> Result<(), OpenError> {
        let medium = Arc::new(FileMedium::create(dir, NEW)?);
        Self::create_on(Arc::clone(&medium) as Arc<dyn Medium>, state)?;
        Ok(medium.rename(dir, NEW, NAME)?)
    }

    /// Opens the journal on two media.
    ///
    /// # Errors
    /// As [`RedbJournal::open`], and where there is none.
    pub fn open_on(
        archive: Arc<dyn Medium>,
        tail: &dyn Medium,
        options: TailOptions,
    ) -> Result<(Self, Recovered), OpenError> {
        assert!(options.half_len.is_multiple_of(8), "records begin at multiples of 8");
        let (archive, mut fold) = Archive::open(archive)?;
        let backend: Arc<dyn StorageBackend> = tail.open()?.into();
        let (mut stored, mut reserved) = (fold.last(), archive.reserved());
        let (tail, from) = if let Some(in_use) = archive.tail() {
            let scan = scan(&*backend, in_use)?;
            fold.take_tail(&scan.batches)?;
            (stored, reserved) = (stored.max(scan.through), reserved.max(scan.reserved));
            (Tail::going_on(Arc::clone(&backend), &scan), Some(scan.from))
        } else {
            let mut tail = Tail::unused(Arc::clone(&backend), options.half_len);
            tail.make(options.half_len)?;
            (tail, None)
        };
        let bytes_since_snapshot = fold.bytes;
        let recovered = fold.finish(reserved);
        let shared = Arc::new(Shared::new(options.piece_len()));
        let mover = Mover::new(archive, backend, tail.end(), from, &shared);
        let mut this = Self {
            tail,
            mover: Arc::new(Mutex::new(mover)),
            shared,
            thread: None,
            passed: recovered.state.applied_index().number(),
            stored,
            reserved,
            bytes_since_snapshot,
        };
        if options.moving == Moving::ByThread {
            this.thread = Some(this.start_mover()?);
        }
        Ok((this, recovered))
    }

    /// Begins a journal on an empty medium.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn create_on(archive: Arc<dyn Medium>, state: &State) -> Result<(), OpenError> {
        Archive::begin(archive, state)
    }

    /// Moves all that is in the tail, and writes the snapshot that was begun to its end.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn finish_snapshot(&mut self) -> Result<(), AppendError> {
        while self.step()? {}
        Ok(())
    }

    fn start_mover(&self) -> io::Result<JoinHandle<()>> {
        let (mover, shared) = (Arc::clone(&self.mover), Arc::clone(&self.shared));
        thread::Builder::new().name("mover".to_owned()).spawn(move || mover::run(&mover, &shared))
    }

    fn step(&self) -> Result<bool, AppendError> {
        self.shared.note(self.mover()?.step(&self.shared))
    }

    /// Stores a batch, or only reserves places where it has no durable events.
    fn store(
        &mut self,
        events: Option<&[Event]>,
        through: u64,
        reserved: u64,
    ) -> Result<(), AppendError> {
        self.tail.encode(events);
        if self.tail.is_too_long() {
            return self.store_past_tail(through, reserved);
        }
        if self.tail.end().is_none() {
            self.begin_tail()?;
        }
        while !self.tail.has_room() && !self.shared.is_other_half_free() {
            // The disk can't keep up. Whoever has the mover is waited for; then there is less.
            self.mover()?.move_piece(&self.shared)?;
        }
        let end = self.tail.write(through, reserved)?;
        self.shared.extend(end);
        Ok(())
    }

    /// Takes the tail into use: the archive has everything so far.
    fn begin_tail(&mut self) -> Result<(), AppendError> {
        let run = getrandom::u64().expect("the system has random bits");
        let half = self.tail.begin(run, self.stored)?;
        self.mover()?.begin_tail(&self.shared, half, self.stored)?;
        self.tail.take_into_use(half, self.stored);
        Ok(())
    }

    /// Stores a batch for which the tail is too small: in the archive, behind all that was in the
    /// tail, which is taken into use again with the next batch.
    fn store_past_tail(&mut self, through: u64, reserved: u64) -> Result<(), AppendError> {
        let batch = Some((through, self.tail.batch()));
        self.mover()?.leave_tail(&self.shared, batch, reserved)?;
        self.tail.leave();
        Ok(())
    }

    /// Ends in good order: everything is in the archive then.
    fn put_away(&mut self) -> Result<(), AppendError> {
        if self.tail.end().is_some() {
            self.mover()?.leave_tail(&self.shared, None, self.reserved)?;
            self.tail.empty().map_err(AppendError::Write)?;
        }
        Ok(())
    }

    /// Where a flush has failed nothing may be done any more.
    fn be_whole(&self) -> Result<(), AppendError> {
        if self.shared.is_broken() {
            return Err(AppendError::Flush(io::Error::other("a flush has failed before")));
        }
        Ok(())
    }

    /// The mover, for whoever can't wait for the thread. It may have been waited for: what has
    /// failed meanwhile must not be tried again.
    fn mover(&self) -> Result<MutexGuard<'_, Mover>, AppendError> {
        let mover = self.mover.lock();
        self.be_whole()?;
        // Whoever panics with it says so a moment later.
        mover.map_err(|_| AppendError::Flush(io::Error::other("the mover has ended")))
    }
}

impl Log for RedbJournal {
    fn append(&mut self, events: &[Event]) -> Result<Durable, AppendError> {
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Ok(Durable { through: LogIndex::new(self.passed) });
        };
        let through = last.index.number();
        assert!(self.passed < first.index.number(), "events come to the journal in order");
        self.be_whole()?;
        let durable = events.iter().any(|event| event.kind.is_durable());
        // Before so few places are left that a batch might go beyond them.
        let is_reserve_low = through + RESERVE / 2 > self.reserved;
        if durable || is_reserve_low {
            let reserved = if is_reserve_low { through + RESERVE } else { self.reserved };
            let stored = self.store(durable.then_some(events), through, reserved);
            self.shared.note(stored)?;
            self.bytes_since_snapshot += self.tail.batch().len() as u64;
            (self.stored, self.reserved) = (through, reserved);
        }
        self.passed = through;
        Ok(Durable { through: last.index })
    }

    fn begin_snapshot(&mut self, index: LogIndex, bytes: Vec<u8>) {
        assert!(index.number() <= self.passed, "a snapshot is made of what is stored");
        self.bytes_since_snapshot = 0;
        self.shared.begin_snapshot(Writing::new(index.number(), bytes));
    }

    fn run_maintenance(&mut self) -> Result<(), AppendError> {
        if self.thread.is_none() { self.step().map(drop) } else { self.be_whole() }
    }

    fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    fn is_writing_snapshot(&self) -> bool {
        self.shared.is_writing_snapshot()
    }
}

impl Drop for RedbJournal {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            return;
        }
        if self.shared.is_broken() || thread::panicking() {
            return;
        }
        if let Err(error) = self.put_away() {
            warn!(%error, "the last events stay in journal.tail, which belongs to the journal");
        }
    }
}

impl TailOptions {
    /// How much is moved at a time: a commit of a few milliseconds. A little less than a power of
    /// two, which is what redb sets aside for it.
    const fn piece_len(&self) -> u64 {
        self.half_len / 4 - self.half_len / 1024
    }
}
