//! Reads a journal: the newest snapshot, and the batches after it.

use std::sync::Arc;

use leasehold_core::event::{Event, Fact};
use leasehold_core::id::Index;
use leasehold_core::state::State;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError};

use super::caught::catch;
use super::commit::{BATCHES, NUMBERS, PIECES, Progress, RESERVED, SNAPSHOT, SNAPSHOT_PIECES};
use super::record::decode_batch;
use super::snapshot::{self, decode_snapshot};
use super::watched::{Watch, Watched};
use super::{Append, OpenError, Recovered, damaged};

/// The memory that redb may use to keep pages: the last ones are all that appending looks at.
const CACHE_BYTES: usize = 16 << 20;

/// What there is in a database.
pub(super) struct Read {
    pub(super) recovered: Recovered,
    pub(super) progress: Progress,
    pub(super) bytes_since_snapshot: u64,
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
        let (recovered, bytes) = read_batches(&transaction, state, reserved)?;
        let progress = Progress { reserved, writing: None, superseded: covered };
        Ok(Read { recovered, progress, bytes_since_snapshot: bytes })
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
    if state.index().number() == index {
        Ok(state)
    } else {
        Err(damaged("a snapshot goes up to another place than it says"))
    }
}

fn read_batches(
    transaction: &ReadTransaction,
    mut state: State,
    reserved: u64,
) -> Result<(Recovered, u64), OpenError> {
    let (mut appends, mut events, mut bytes) = (Vec::new(), 0, 0);
    let batches = transaction.open_table(BATCHES).map_err(damaged)?;
    let covered = state.index().number();
    let mut last = 0;
    for row in batches.range(covered + 1..).map_err(damaged)? {
        let (key, batch) = row.map_err(damaged)?;
        bytes += batch.value().len() as u64;
        for event in decode_batch(batch.value()).map_err(damaged)? {
            let index = event.index.number();
            if index <= last || key.value() < index {
                return Err(damaged(format_args!("the event {index} is out of order")));
            }
            last = index;
            // A snapshot may end within a batch, whose last events were none that last.
            if index <= covered {
                continue;
            }
            state.apply(&event);
            events += 1;
            appends.extend(append_of(event));
        }
        last = key.value();
    }
    let after = Index::new(reserved.max(last).max(covered));
    Ok((Recovered { state, after, appends, events }, bytes))
}

fn append_of(event: Event) -> Option<Append> {
    let Fact::FileAppended { file, offset, data, .. } = event.fact else { return None };
    Some(Append { file, offset, data })
}
