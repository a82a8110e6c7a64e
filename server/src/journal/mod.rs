//! The journal: the events, durable, on redb.
//!
//! - One batch is one row and one commit, and one commit is one flush: so many steps share it.
//! - A write that fails leaves nothing behind, and the journal goes on when there is room again.
//!   A flush that fails ends it: what the disk holds is unknown then (Rebello et al., "Can
//!   Applications Recover from fsync Failures?", ATC 2020).
//! - It is bounded: a snapshot takes the place of the batches before it. It is written piece by
//!   piece along with the batches, so that nobody waits for it.
//! - No place in history is given twice, though events that need not be durable are not stored:
//!   each commit sees to it that a stretch of places ahead is reserved.

mod medium;
mod record;
mod snapshot;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Index, Name};
use leasehold_core::service::Stored;
use leasehold_core::state::State;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};

pub use medium::{FileMedium, Medium};
pub use record::{RecordError, decode_batch, encode_batch};
pub use snapshot::{decode_snapshot, encode_snapshot};

use medium::Watched;
use snapshot::Writing;

/// Batches, by the place of their last event.
const BATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");
/// Pieces of snapshots, by the place that the snapshot covers and their number.
const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("snapshot_pieces");
/// Single numbers, by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The place up to which the newest complete snapshot goes.
const SNAPSHOT: &str = "snapshot";
/// How many pieces it has.
const SNAPSHOT_PIECES: &str = "snapshot_pieces";
/// The last place in history that anybody may have seen.
const RESERVED: &str = "reserved";

/// How many places are reserved at a time: ten seconds of heartbeats at full load.
const RESERVE: u64 = 1 << 20;

/// How many rows that a snapshot covers are deleted along with one batch.
const PRUNED_MAX: usize = 64;

/// The memory that redb may use to keep pages.
const CACHE_BYTES: usize = 64 << 20;

/// A journal that fails is not tried more often than this.
const REOPEN_EVERY: Duration = Duration::from_millis(50);

/// Why a batch is not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It could not be written. Nothing of it is stored, and the journal may be used on.
    #[error("a write failed: {0}")]
    Write(#[source] redb::Error),
    /// It could not be flushed. What is stored is unknown: the journal must not be used on.
    #[error("a flush failed: {0}")]
    Flush(#[source] redb::Error),
}

/// Why a journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What it holds can't be believed.
    #[error("it is damaged: {why}")]
    Damaged {
        /// What is wrong with it.
        why: String,
    },
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a journal holds.
#[derive(Debug)]
pub struct Recovered {
    /// The fold of all that it holds.
    pub state: State,
    /// The last place in history that anybody may have seen.
    pub after: Index,
    /// The appends that are still in it, in order, to make the files whole.
    pub appends: Vec<Append>,
    /// How many events were read.
    pub events: usize,
}

/// Bytes that belong into a file.
#[derive(Debug)]
pub struct Append {
    /// Which file.
    pub file: Name,
    /// Where.
    pub offset: u64,
    /// What.
    pub data: Data,
}

/// Stores events.
#[derive(Debug)]
pub struct Journal {
    medium: Arc<dyn Medium>,
    database: Option<Database>,
    flush_failed: Arc<AtomicBool>,
    tried_at: Option<Instant>,
    stored: u64,
    reserved: u64,
    bytes_since_snapshot: u64,
    writing: Option<Writing>,
    prune_through: u64,
}

impl Journal {
    /// Opens the journal in a data folder, or begins one.
    ///
    /// # Errors
    /// Where it is damaged, can't be read, or belongs to a server that runs.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), OpenError> {
        Self::open_on(Arc::new(FileMedium::new(dir.join("journal.redb"))))
    }

    /// Opens the journal on a medium, or begins one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(medium: Arc<dyn Medium>) -> Result<(Self, Recovered), OpenError> {
        let flush_failed = Arc::new(AtomicBool::new(false));
        let database = open_database(&*medium, &flush_failed)?;
        let mut journal = Self {
            medium,
            database: None,
            flush_failed,
            tried_at: None,
            stored: 0,
            reserved: 0,
            bytes_since_snapshot: 0,
            writing: None,
            prune_through: 0,
        };
        // Garbage can make any reader stumble: that is damage, not a bug of this program.
        let read = std::panic::AssertUnwindSafe(|| journal.read(&database));
        let recovered = std::panic::catch_unwind(read)
            .unwrap_or_else(|_| Err(damaged("what it says can't have happened")))?;
        journal.database = Some(database);
        Ok((journal, recovered))
    }

    /// Stores a batch: all events that happened since the last one, durable or not.
    ///
    /// # Errors
    /// Where it is not stored; see [`AppendError`] for what may be done then.
    pub fn append(&mut self, events: &[Event]) -> Result<Stored, AppendError> {
        let Some(last) = events.last() else {
            return Ok(Stored { through: Index::new(self.stored) });
        };
        let through = last.index;
        let durable = events.iter().any(|event| event.fact.is_durable());
        if durable || through.number() + RESERVE / 2 > self.reserved {
            let batch = durable.then(|| encode_batch(events));
            self.commit(through.number(), batch.as_deref())?;
        }
        self.stored = self.stored.max(through.number());
        Ok(Stored { through })
    }

    /// Begins to write a snapshot that covers everything up to `index`: made by
    /// [`encode_snapshot`] from a state that was published, so from stored events alone.
    pub fn begin_snapshot(&mut self, index: Index, bytes: Vec<u8>) {
        self.bytes_since_snapshot = 0;
        self.writing = Some(Writing::new(index.number(), bytes));
    }

    /// Goes on with what there is to do, where nothing else is to be stored.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn work(&mut self) -> Result<(), AppendError> {
        if self.writing.is_none() && self.prune_through == 0 {
            return Ok(());
        }
        self.commit(self.stored, None)
    }

    /// Writes the snapshot that was begun to its end.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn finish_snapshot(&mut self) -> Result<(), AppendError> {
        while self.writing.is_some() {
            self.work()?;
        }
        Ok(())
    }

    /// How much was stored since the last snapshot was begun, in bytes.
    pub const fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    fn commit(&mut self, through: u64, batch: Option<&[u8]>) -> Result<(), AppendError> {
        let committed = self.try_commit(through, batch);
        committed.map_err(|error| {
            // redb does not go on after an error either: it has to be opened anew.
            self.database = None;
            if self.flush_failed.load(Ordering::SeqCst) {
                AppendError::Flush(error)
            } else {
                AppendError::Write(error)
            }
        })
    }

    fn try_commit(&mut self, through: u64, batch: Option<&[u8]>) -> Result<(), redb::Error> {
        self.reopen()?;
        let database = self.database.as_ref().expect("it was opened");
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let reserved =
            if through + RESERVE / 2 > self.reserved { through + RESERVE } else { self.reserved };
        let mut writing = self.writing.clone();
        let mut prune_through = self.prune_through;
        {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let mut batches = transaction.open_table(BATCHES)?;
            if let Some(batch) = batch {
                batches.insert(through, batch)?;
            }
            if reserved != self.reserved {
                numbers.insert(RESERVED, reserved)?;
            }
            if prune_through > 0 && prune(&mut batches, prune_through)? {
                prune_through = 0;
            }
            if let Some(piece) = &mut writing {
                let mut pieces = transaction.open_table(PIECES)?;
                let done = piece.write_next(&mut pieces)?;
                if let Some(count) = done {
                    let old = numbers.insert(SNAPSHOT, piece.index())?.map(|old| old.value());
                    numbers.insert(SNAPSHOT_PIECES, u64::from(count))?;
                    forget_snapshot(&mut pieces, old, piece.index())?;
                    prune_through = piece.index();
                    writing = None;
                }
            }
        }
        transaction.commit()?;
        self.reserved = reserved;
        self.writing = writing;
        self.prune_through = prune_through;
        self.bytes_since_snapshot += batch.map_or(0, |batch| batch.len() as u64);
        Ok(())
    }

    /// Opens the database again after a write that failed, and takes back what may have been
    /// stored of a batch that was answered with an error.
    fn reopen(&mut self) -> Result<(), redb::Error> {
        if self.database.is_some() {
            return Ok(());
        }
        if self.tried_at.is_some_and(|at| at.elapsed() < REOPEN_EVERY) {
            return Err(redb::Error::PreviousIo);
        }
        self.tried_at = Some(Instant::now());
        let database = open_database(&*self.medium, &self.flush_failed)
            .map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
        let transaction = database.begin_write()?;
        {
            let mut batches = transaction.open_table(BATCHES)?;
            let late: Vec<u64> = batches
                .range(self.stored + 1..)?
                .map(|row| row.map(|(key, _)| key.value()))
                .collect::<Result<_, _>>()?;
            for key in late {
                batches.remove(key)?;
            }
        }
        transaction.commit()?;
        self.database = Some(database);
        self.tried_at = None;
        Ok(())
    }

    fn read(&mut self, database: &Database) -> Result<Recovered, OpenError> {
        let transaction = database.begin_read().map_err(damaged)?;
        let Ok(batches) = transaction.open_table(BATCHES) else {
            return Ok(Recovered {
                state: State::default(),
                after: Index::default(),
                appends: Vec::new(),
                events: 0,
            });
        };
        let numbers = transaction.open_table(NUMBERS).map_err(damaged)?;
        let number = |name| -> Result<u64, OpenError> {
            Ok(numbers.get(name).map_err(damaged)?.map_or(0, |number| number.value()))
        };
        let (covered, pieces) = (number(SNAPSHOT)?, number(SNAPSHOT_PIECES)?);
        self.reserved = number(RESERVED)?;
        let mut state = if pieces > 0 {
            let table = transaction.open_table(PIECES).map_err(damaged)?;
            let bytes = snapshot::read(&table, covered, pieces).map_err(damaged)?;
            decode_snapshot(&bytes).map_err(damaged)?
        } else {
            State::default()
        };
        let (mut appends, mut count) = (Vec::new(), 0);
        for row in batches.range(covered + 1..).map_err(damaged)? {
            let (_, bytes) = row.map_err(damaged)?;
            self.bytes_since_snapshot += bytes.value().len() as u64;
            for event in decode_batch(bytes.value()).map_err(damaged)? {
                // A batch may begin before the snapshot that was taken while it was stored.
                if event.index <= state.index() {
                    continue;
                }
                state.apply(&event);
                count += 1;
                if let Fact::FileAppended { file, offset, data, .. } = event.fact {
                    appends.push(Append { file, offset, data });
                }
            }
        }
        self.stored = state.index().number();
        self.prune_through = covered;
        let after = Index::new(self.reserved.max(self.stored));
        Ok(Recovered { state, after, appends, events: count })
    }
}

fn open_database(
    medium: &dyn Medium,
    flush_failed: &Arc<AtomicBool>,
) -> Result<Database, OpenError> {
    let inner = medium.open()?;
    let backend = Watched { inner, flush_failed: Arc::clone(flush_failed) };
    let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend);
    // On bytes that were never its own redb may also panic.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))))
            if error.kind() != std::io::ErrorKind::InvalidData
                && error.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            Err(OpenError::Io(error))
        }
        Ok(Err(error)) => Err(damaged(error)),
        Err(_) => Err(damaged("it can't be read at all")),
    }
}

/// Deletes some of the batches that a snapshot covers. Says whether that were all.
fn prune(batches: &mut Table<'_, u64, &[u8]>, through: u64) -> Result<bool, redb::Error> {
    let keys: Vec<u64> = batches
        .range(..=through)?
        .take(PRUNED_MAX)
        .map(|row| row.map(|(key, _)| key.value()))
        .collect::<Result<_, _>>()?;
    for key in &keys {
        batches.remove(key)?;
    }
    Ok(keys.len() < PRUNED_MAX)
}

/// Deletes the pieces of every snapshot but the one that covers up to `index`.
fn forget_snapshot(
    pieces: &mut Table<'_, (u64, u32), &[u8]>,
    old: Option<u64>,
    index: u64,
) -> Result<(), redb::Error> {
    if old.is_some_and(|old| old != index) {
        pieces.retain(|(covered, _), _| covered == index)?;
    }
    Ok(())
}

fn damaged(why: impl ToString) -> OpenError {
    OpenError::Damaged { why: why.to_string() }
}
