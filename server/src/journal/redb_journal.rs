//! The journal on redb: when it commits, and how it goes on after a failure.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::service::Stored;
use leasehold_core::state::State;
use redb::Database;

use super::commit::{self, Filled, Progress};
use super::medium::{FileMedium, Medium};
use super::reading;
use super::record::encode_batch;
use super::snapshot::{Writing, encode_snapshot};
use super::watched::{Watch, no_room};
use super::{AppendError, Journal, OpenError, Recovered};

/// The journal's name in the data folder.
const NAME: &str = "journal.redb";
/// Its name until it is complete.
const NEW: &str = "journal.redb.new";

/// A journal that has failed is opened again no sooner than this, and no sooner than ten times of
/// what the last try took: a full disk must not make a busy machine.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// Stores events in a redb database.
#[derive(Debug)]
pub struct RedbJournal {
    medium: Arc<dyn Medium>,
    /// Unset after a failure, until it could be opened again.
    database: Option<Database>,
    watch: Arc<Watch>,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    /// The last place in history that was let pass.
    passed: u64,
    progress: Progress,
    bytes_since_snapshot: u64,
}

impl RedbJournal {
    /// Opens the journal in a data folder, or begins one where there is none.
    ///
    /// # Errors
    /// Where it is damaged, can't be read, or belongs to a server that runs.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), OpenError> {
        if !dir.join(NAME).try_exists()? {
            Self::begin(dir, &State::default())?;
        }
        Self::open_on(Arc::new(FileMedium::open(dir, NAME)?))
    }

    /// Begins a journal that holds a state and nothing else. What journal there was before is gone
    /// then. There is either the old one or the new one, whenever the power fails.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn begin(dir: &Path, state: &State) -> Result<(), OpenError> {
        let medium = Arc::new(FileMedium::create(dir, NEW)?);
        Self::begin_on(Arc::clone(&medium) as Arc<dyn Medium>, state)?;
        Ok(medium.rename(dir, NEW, NAME)?)
    }

    /// Opens the journal on a medium.
    ///
    /// # Errors
    /// As [`RedbJournal::open`], and where there is none.
    pub fn open_on(medium: Arc<dyn Medium>) -> Result<(Self, Recovered), OpenError> {
        let watch = Watch::new(medium.open()?);
        if redb::StorageBackend::len(&super::watched::Watched(Arc::clone(&watch)))? == 0 {
            return Err(super::damaged("it is empty"));
        }
        let database = reading::open_database(&watch)?;
        let read = reading::read(&database)?;
        let journal = Self {
            medium,
            database: Some(database),
            watch,
            retry_at: None,
            passed: read.recovered.state.index().number(),
            progress: read.progress,
            bytes_since_snapshot: read.bytes_since_snapshot,
        };
        Ok((journal, read.recovered))
    }

    /// Begins a journal on an empty medium.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn begin_on(medium: Arc<dyn Medium>, state: &State) -> Result<(), OpenError> {
        let watch = Watch::new(medium.open()?);
        let database = reading::open_database(&watch)?;
        commit::make_tables(&database).map_err(io_error)?;
        let mut journal = Self {
            medium,
            database: Some(database),
            watch,
            retry_at: None,
            passed: state.index().number(),
            progress: Progress::default(),
            bytes_since_snapshot: 0,
        };
        if *state != State::default() {
            journal.begin_snapshot(state.index(), encode_snapshot(state));
            journal.finish_snapshot().map_err(|error| OpenError::Io(io::Error::other(error)))?;
        }
        Ok(())
    }

    /// Writes the snapshot that was begun to its end.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn finish_snapshot(&mut self) -> Result<(), AppendError> {
        while self.progress.is_under_way() {
            self.work()?;
        }
        Ok(())
    }

    fn commit(&mut self, batch: Option<&[u8]>, through: u64) -> Result<(), AppendError> {
        self.be_ready()?;
        let database = self.database.as_ref().expect("it is open where it is ready");
        let filled = commit::fill(database, &self.progress, batch, through);
        let Filled { transaction, progress } = match filled {
            Ok(filled) => filled,
            // Nothing of a transaction is in the file before its commit.
            Err(error) => return Err(self.close(error)),
        };
        if self.watch.is_short() {
            return match transaction.abort() {
                Ok(()) => Err(AppendError::Write(no_room())),
                Err(error) => Err(self.close(error.into())),
            };
        }
        self.watch.begin_commit();
        if let Err(error) = transaction.commit() {
            self.look_after(error.into(), batch, through)?;
        }
        if self.progress.is_under_way() && !progress.is_under_way() {
            tracing::debug!("the snapshot is complete");
        }
        self.progress = progress;
        self.bytes_since_snapshot += batch.map_or(0, |batch| batch.len() as u64);
        Ok(())
    }

    /// After a commit that failed: is what was to be stored there or not? All else would be a lie
    /// to somebody.
    fn look_after(
        &mut self,
        error: redb::Error,
        batch: Option<&[u8]>,
        through: u64,
    ) -> Result<(), AppendError> {
        let written = self.watch.was_written();
        let failure = self.close(error);
        if !written || matches!(failure, AppendError::Flush(_)) {
            return Err(failure);
        }
        // Opening settles it for good: it decides which commit was the last, and flushes that.
        self.reopen().map_err(AppendError::Flush)?;
        let database = self.database.as_ref().expect("it was opened");
        let stored =
            batch.is_some() && commit::is_stored(database, through).map_err(flush_error)?;
        if stored { Ok(()) } else { Err(failure) }
    }

    /// Gives the database up: redb does nothing more with it either.
    fn close(&mut self, error: redb::Error) -> AppendError {
        self.database = None;
        self.pause(Duration::ZERO);
        if self.watch.has_flush_failed() { flush_error(error) } else { write_error(error) }
    }

    /// Sees to it that something can be stored, if it can.
    fn be_ready(&mut self) -> Result<(), AppendError> {
        if self.database.is_some() && !self.watch.is_short() {
            return Ok(());
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(AppendError::Write(no_room_yet()));
        }
        let begun = Instant::now();
        let tried = self.try_again();
        if tried.is_err() {
            self.pause(begun.elapsed());
        }
        tried.map_err(|error| {
            if self.watch.has_flush_failed() {
                AppendError::Flush(error)
            } else {
                AppendError::Write(error)
            }
        })
    }

    fn try_again(&mut self) -> io::Result<()> {
        // First, since it is cheap: opening reads everything.
        self.watch.make_room()?;
        if self.database.is_none() { self.reopen() } else { Ok(()) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.watch = Watch::new(self.medium.open()?);
        let database = reading::open_database(&self.watch);
        self.database = Some(database.map_err(io::Error::other)?);
        self.retry_at = None;
        Ok(())
    }

    fn pause(&mut self, took: Duration) {
        self.retry_at = Some(Instant::now() + REOPEN_PAUSE.max(took * 10));
    }
}

impl Journal for RedbJournal {
    fn append(&mut self, events: &[Event]) -> Result<Stored, AppendError> {
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Ok(Stored { through: Index::new(self.passed) });
        };
        let through = last.index.number();
        assert!(self.passed < first.index.number(), "events come to the journal in order");
        let durable = events.iter().any(|event| event.fact.is_durable());
        if durable || self.progress.is_reserve_low(through) {
            let batch = durable.then(|| encode_batch(events));
            self.commit(batch.as_deref(), through)?;
        }
        self.passed = through;
        Ok(Stored { through: last.index })
    }

    fn begin_snapshot(&mut self, index: Index, bytes: Vec<u8>) {
        assert!(index.number() <= self.passed, "a snapshot is made of what is stored");
        self.bytes_since_snapshot = 0;
        self.progress.writing = Some(Writing::new(index.number(), bytes));
    }

    fn work(&mut self) -> Result<(), AppendError> {
        if self.progress.is_under_way() { self.commit(None, self.passed) } else { Ok(()) }
    }

    fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }
}

fn io_error(error: redb::Error) -> io::Error {
    if let redb::Error::Io(error) = error { error } else { io::Error::other(error) }
}

fn write_error(error: redb::Error) -> AppendError {
    AppendError::Write(io_error(error))
}

fn flush_error(error: redb::Error) -> AppendError {
    AppendError::Flush(io_error(error))
}

fn no_room_yet() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "the journal has failed a moment ago")
}
