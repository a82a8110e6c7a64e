//! Reads a journal: the newest snapshot, the batches after it, and then those of the tail.

use std::sync::Arc;

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError};

use super::caught::catch;
use super::commit::{
    BATCHES, NUMBERS, PIECES, Progress, RESERVED, SNAPSHOT, SNAPSHOT_PIECES, tail_in,
};
use super::record::decode_batch;
use super::snapshot::{self, decode_snapshot};
use super::watched::{Watch, Watched};
use super::{OpenError, Recovered, RecoveredAppend, damaged};

/// The memory that redb may use to keep pages: the last ones are all that appending looks at.
const CACHE_BYTES: usize = 16 << 20;

/// What there is in a database.
pub(super) struct Read {
    pub(super) fold: Fold,
    pub(super) progress: Progress,
}

/// What the batches that were read come to.
pub(super) struct Fold {
    state: State,
    /// The place up to which the snapshot goes.
    covered: u64,
    /// The place of the last batch.
    last: u64,
    appends: Vec<RecoveredAppend>,
    events: usize,
    /// How long all batches are that the snapshot doesn't cover.
    pub(super) bytes: u64,
}

/// Opens the database and looks at all of it, so that damage is found before anybody is served.
#[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of error of others")]
pub(super) fn open_database(watch: &Arc<Watch>) -> Result<Database, OpenError> {
    let backend = Watched(Arc::clone(watch));
    let open = || {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        builder.create_with_backend(backend).map_err(|error| match error {
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    damaged(error)
                }
                _ => OpenError::Io(error),
            },
            error => damaged(error),
        })
    };
    catch(open)
}

/// Reads all that there is, and folds it.
pub(super) fn read(database: &Database) -> Result<Read, OpenError> {
    catch(|| {
        let transaction = database.begin_read().map_err(damaged)?;
        let numbers = transaction.open_table(NUMBERS).map_err(damaged)?;
        let number = |name| -> Result<Option<u64>, OpenError> {
            Ok(numbers.get(name).map_err(damaged)?.map(|number| number.value()))
        };
        let covered = number(SNAPSHOT)?;
        let reserved = number(RESERVED)?.unwrap_or(0);
        let state = match covered {
            Some(index) => read_snapshot(&transaction, index, number(SNAPSHOT_PIECES)?)?,
            None => State::default(),
        };
        let fold = read_batches(&transaction, state)?;
        let tail = tail_in(&numbers).map_err(damaged)?;
        let progress = Progress { reserved, tail, writing: None, superseded: covered };
        Ok(Read { fold, progress })
    })
}

fn read_snapshot(
    transaction: &ReadTransaction,
    index: u64,
    pieces: Option<u64>,
) -> Result<State, OpenError> {
    let table = transaction.open_table(PIECES).map_err(damaged)?;
    let pieces = pieces.ok_or_else(|| damaged("a snapshot has no pieces"))?;
    let bytes = snapshot::read(&table, index, pieces).map_err(damaged)?;
    let state = decode_snapshot(&bytes).map_err(damaged)?;
    if state.applied_index().number() == index {
        Ok(state)
    } else {
        Err(damaged("a snapshot goes up to another place than it says"))
    }
}

fn read_batches(transaction: &ReadTransaction, state: State) -> Result<Fold, OpenError> {
    let covered = state.applied_index().number();
    let (appends, events, bytes) = (Vec::new(), 0, 0);
    let mut fold = Fold { state, covered, last: 0, appends, events, bytes };
    let batches = transaction.open_table(BATCHES).map_err(damaged)?;
    for row in batches.range(covered + 1..).map_err(damaged)? {
        let (key, batch) = row.map_err(damaged)?;
        fold.take(key.value(), batch.value())?;
    }
    Ok(fold)
}

impl Fold {
    /// Takes in the next batch, which ends at `through`.
    fn take(&mut self, through: u64, batch: &[u8]) -> Result<(), OpenError> {
        self.bytes += batch.len() as u64;
        for event in decode_batch(batch).map_err(damaged)? {
            let index = event.index.number();
            if index <= self.last || through < index {
                return Err(damaged(format_args!("the event {index} is out of order")));
            }
            self.last = index;
            // A snapshot may end within a batch, whose last events were none that last.
            if index <= self.covered {
                continue;
            }
            self.state.apply(&event);
            self.events += 1;
            self.appends.extend(append_of(event));
        }
        self.last = through;
        Ok(())
    }

    /// Takes in the batches of a tail.
    pub(super) fn take_tail(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<(), OpenError> {
        catch(|| batches.iter().try_for_each(|(through, batch)| self.take(*through, batch)))
    }

    /// The place of the last event that is stored.
    pub(super) fn last(&self) -> u64 {
        self.last.max(self.covered)
    }

    /// All that was read.
    pub(super) fn finish(self, reserved: u64) -> Recovered {
        let after = LogIndex::new(reserved.max(self.last()));
        Recovered {
            state: self.state,
            last_index: after,
            appends: self.appends,
            event_count: self.events,
        }
    }
}

fn append_of(event: Event) -> Option<RecoveredAppend> {
    let EventKind::FileAppended { file, offset, data, .. } = event.kind else { return None };
    Some(RecoveredAppend { file, offset, data })
}
