//! The archive: what the journal keeps for good, in a redb database.
//!
//! It knows when it commits, and how it goes on after a failure.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold_core::state::State;
use redb::Database;
use tracing::debug;

use super::commit::{self, Entry, Filled, Progress};
use super::medium::Medium;
use super::reading::{self, Fold};
use super::snapshot::{Writing, encode_snapshot};
use super::tail::scan::InUse;
use super::watched::{Watch, Watched, no_room};
use super::{AppendError, OpenError, damaged};

/// An archive that has failed is opened again no sooner than this, and no sooner than ten times of
/// what the last try took: a full disk must not make a busy machine.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// Stores batches in a redb database.
#[derive(Debug)]
pub(super) struct Archive {
    medium: Arc<dyn Medium>,
    /// Unset after a failure, until it could be opened again.
    database: Option<Database>,
    watch: Arc<Watch>,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    progress: Progress,
}

impl Archive {
    /// Opens the archive on a medium.
    ///
    /// # Errors
    /// Where there is none, or it is damaged, or can't be read.
    pub(super) fn open(medium: Arc<dyn Medium>) -> Result<(Self, Fold), OpenError> {
        let watch = Watch::new(medium.open()?);
        if redb::StorageBackend::len(&Watched(Arc::clone(&watch)))? == 0 {
            return Err(damaged("it is empty"));
        }
        let database = reading::open_database(&watch)?;
        let read = reading::read(&database)?;
        let database = Some(database);
        let archive = Self { medium, database, watch, retry_at: None, progress: read.progress };
        Ok((archive, read.fold))
    }

    /// Begins an archive on an empty medium, with a state and nothing else in it.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn begin(medium: Arc<dyn Medium>, state: &State) -> Result<(), OpenError> {
        let watch = Watch::new(medium.open()?);
        let database = reading::open_database(&watch)?;
        commit::make_tables(&database).map_err(io_error)?;
        let (database, progress) = (Some(database), Progress::default());
        let mut archive = Self { medium, database, watch, retry_at: None, progress };
        if *state != State::default() {
            archive.begin_snapshot(Writing::new(
                state.applied_index().number(),
                encode_snapshot(state),
            ));
            while archive.is_under_way() {
                archive.work().map_err(|error| OpenError::Io(io::Error::other(error)))?;
            }
        }
        Ok(())
    }

    /// Begins to write a snapshot.
    pub(super) fn begin_snapshot(&mut self, writing: Writing) {
        self.progress.writing = Some(writing);
    }

    /// Goes on with a snapshot: one piece of it, or some of what it has made superfluous.
    ///
    /// # Errors
    /// As [`Archive::store`].
    pub(super) fn work(&mut self) -> Result<(), AppendError> {
        if self.is_under_way() { self.store(&Entry::default()) } else { Ok(()) }
    }

    /// Whether there is something to do for a snapshot.
    pub(super) const fn is_under_way(&self) -> bool {
        self.progress.is_under_way()
    }

    /// Whether a snapshot was begun that is not all written.
    pub(super) const fn is_writing(&self) -> bool {
        self.progress.writing.is_some()
    }

    /// The tail that is in use, and how far it is moved.
    pub(super) const fn tail(&self) -> Option<InUse> {
        self.progress.tail
    }

    /// The last place in history that it lets anybody see.
    pub(super) const fn reserved(&self) -> u64 {
        self.progress.reserved
    }

    /// Stores something, with whatever else is due.
    ///
    /// # Errors
    /// Where it is not stored.
    pub(super) fn store(&mut self, entry: &Entry<'_>) -> Result<(), AppendError> {
        self.be_ready()?;
        let database = self.database.as_ref().expect("it is open where it is ready");
        let filled = commit::fill(database, &self.progress, entry);
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
            self.look_after(error.into(), entry)?;
        }
        if self.is_under_way() && !progress.is_under_way() {
            debug!("the snapshot is complete");
        }
        self.progress = progress;
        Ok(())
    }

    /// After a commit that failed: is what was to be stored there or not? All else would be a lie
    /// to somebody.
    fn look_after(&mut self, error: redb::Error, entry: &Entry<'_>) -> Result<(), AppendError> {
        let written = self.watch.was_written();
        let failure = self.close(error);
        if !written || matches!(failure, AppendError::Flush(_)) {
            return Err(failure);
        }
        // Opening settles it for good: it decides which commit was the last, and flushes that.
        self.reopen().map_err(AppendError::Flush)?;
        let database = self.database.as_ref().expect("it was opened");
        let stored = commit::is_stored(database, entry).map_err(flush_error)?;
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
