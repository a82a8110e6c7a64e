//! What one commit puts into the database: a batch, how far the tail is moved by that, and a
//! bounded part of what a snapshot asks for.

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::snapshot::Writing;
use super::tail::scan::InUse;

/// Batches, by the place of their last event.
pub(super) const BATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");
/// Pieces of snapshots, by the place that the snapshot covers and their number.
pub(super) const PIECES: TableDefinition<'_, (u64, u32), &[u8]> =
    TableDefinition::new("snapshot_pieces");
/// Single numbers, by name.
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The place up to which the newest complete snapshot goes.
pub(super) const SNAPSHOT: &str = "snapshot";
/// How many pieces it has.
pub(super) const SNAPSHOT_PIECES: &str = "snapshot_pieces";
/// The last place in history that anybody may have seen.
pub(super) const RESERVED: &str = "reserved";

/// Which tail is in use: absent where none is.
const TAIL: &str = "tail";
/// The half of the tail from which the next record is to be moved.
const TAIL_EPOCH: &str = "tail_epoch";
/// The place of the last event that was moved from the tail.
const TAIL_MOVED: &str = "tail_moved";

/// How many rows that a snapshot has made superfluous are deleted in one commit, and about how
/// many bytes: together a few milliseconds.
const PRUNED_MAX: usize = 64;
/// See [`PRUNED_MAX`].
const PRUNED_BYTES_MAX: usize = 1 << 20;

/// What the database holds beside the batches, and what there is to do to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The last place in history that anybody may have seen.
    pub(super) reserved: u64,
    /// How far the tail is moved, where one is in use.
    pub(super) tail: Option<InUse>,
    /// The snapshot that is being written.
    pub(super) writing: Option<Writing>,
    /// The place up to which the newest snapshot goes, while there may be something that it has
    /// made superfluous.
    pub(super) superseded: Option<u64>,
}

/// What is to be stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<'a> {
    /// A batch, and the place of its last event.
    pub(super) batch: Option<(u64, &'a [u8])>,
    /// The last place in history that anybody may see then.
    pub(super) reserved: u64,
    /// What becomes of the tail.
    pub(super) tail: TailChange,
}

/// What becomes of the tail with a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum TailChange {
    /// It stays what it was.
    #[default]
    Kept,
    /// This tail is in use, and moved so far.
    Moved(InUse),
    /// All that it held is stored, and it is in use no more.
    Left,
}

/// A transaction that is ready to be committed, and what is so after that.
pub(super) struct Filled {
    pub(super) transaction: WriteTransaction,
    pub(super) progress: Progress,
}

impl Progress {
    /// Whether there is something to do where no batch is to be stored.
    pub(super) const fn is_under_way(&self) -> bool {
        self.writing.is_some() || self.superseded.is_some()
    }
}

/// Makes what every journal has, so that a table which is missing is damage.
pub(super) fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(BATCHES)?;
    transaction.open_table(PIECES)?;
    transaction.open_table(NUMBERS)?;
    Ok(transaction.commit()?)
}

/// Whether this is stored. What has neither a batch nor a change of the tail can't be found out.
pub(super) fn is_stored(database: &Database, entry: &Entry<'_>) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    let found = tail_in(&transaction.open_table(NUMBERS)?)?;
    Ok(match (entry.tail, entry.batch) {
        (TailChange::Moved(tail), _) => found == Some(tail),
        (TailChange::Left, _) => found.is_none(),
        (TailChange::Kept, Some((through, _))) => {
            transaction.open_table(BATCHES)?.get(through)?.is_some()
        }
        (TailChange::Kept, None) => false,
    })
}

/// The tail that is in use.
pub(super) fn tail_in(
    numbers: &impl ReadableTable<&'static str, u64>,
) -> Result<Option<InUse>, redb::Error> {
    let number = |name| -> Result<u64, redb::Error> {
        Ok(numbers.get(name)?.map_or(0, |number| number.value()))
    };
    let Some(run) = numbers.get(TAIL)? else { return Ok(None) };
    let (epoch, moved) = (number(TAIL_EPOCH)?, number(TAIL_MOVED)?);
    Ok(Some(InUse { run: run.value(), epoch, moved }))
}

/// Puts what is to be stored into a transaction, and what else is due.
pub(super) fn fill(
    database: &Database,
    progress: &Progress,
    entry: &Entry<'_>,
) -> Result<Filled, redb::Error> {
    let mut transaction = database.begin_write()?;
    // One flush: which commit was the last is found out by its checksums.
    transaction.set_durability(Durability::Immediate)?;
    let mut progress = progress.clone();
    if let Some((through, batch)) = entry.batch {
        transaction.open_table(BATCHES)?.insert(through, batch)?;
    }
    if progress.reserved < entry.reserved {
        progress.reserved = entry.reserved;
        transaction.open_table(NUMBERS)?.insert(RESERVED, progress.reserved)?;
    }
    match entry.tail {
        TailChange::Kept => {}
        TailChange::Moved(tail) => {
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert(TAIL, tail.run)?;
            numbers.insert(TAIL_EPOCH, tail.epoch)?;
            numbers.insert(TAIL_MOVED, tail.moved)?;
            progress.tail = Some(tail);
        }
        TailChange::Left => {
            transaction.open_table(NUMBERS)?.remove(TAIL)?;
            progress.tail = None;
        }
    }
    if let Some(index) = progress.superseded
        && prune(&transaction, index)?
    {
        progress.superseded = None;
    }
    if let Some(mut writing) = progress.writing.take() {
        let pieces = writing.write_next(&mut transaction.open_table(PIECES)?)?;
        if let Some(pieces) = pieces {
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert(SNAPSHOT, writing.index())?;
            numbers.insert(SNAPSHOT_PIECES, u64::from(pieces))?;
            progress.superseded = Some(writing.index());
        } else {
            progress.writing = Some(writing);
        }
    }
    Ok(Filled { transaction, progress })
}

/// Deletes some of what the snapshot that goes up to `index` has made superfluous: batches, and
/// pieces of older snapshots. Says whether that were all.
fn prune(transaction: &WriteTransaction, index: u64) -> Result<bool, redb::Error> {
    let mut batches = transaction.open_table(BATCHES)?;
    let mut pieces = transaction.open_table(PIECES)?;
    let mut bytes = 0;
    for _ in 0..PRUNED_MAX {
        let len = batches.first()?.filter(|(key, _)| key.value() <= index);
        if let Some(len) = len.map(|(_, batch)| batch.value().len()) {
            batches.pop_first()?;
            bytes += len;
        } else {
            let len = pieces.first()?.filter(|(key, _)| key.value().0 < index);
            let Some(len) = len.map(|(_, piece)| piece.value().len()) else { return Ok(true) };
            pieces.pop_first()?;
            bytes += len;
        }
        if bytes >= PRUNED_BYTES_MAX {
            break;
        }
    }
    Ok(false)
}
