//! What one commit puts into the database: a batch, and a bounded part of what a snapshot asks for.

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::snapshot::Writing;

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

/// How many places are reserved at a time: ten seconds of heartbeats at full load.
pub(super) const RESERVE: u64 = 1 << 20;

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
    /// The snapshot that is being written.
    pub(super) writing: Option<Writing>,
    /// The place up to which the newest snapshot goes, while there may be something that it has
    /// made superfluous.
    pub(super) superseded: Option<u64>,
}

/// A transaction that is ready to be committed, and what is so after that.
pub(super) struct Filled {
    pub(super) transaction: WriteTransaction,
    pub(super) progress: Progress,
}

impl Progress {
    /// Whether so few places are left that more have to be reserved before `through` is shown.
    pub(super) const fn is_reserve_low(&self, through: u64) -> bool {
        through + RESERVE / 2 > self.reserved
    }

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

/// Whether the batch that ends at this place is there.
pub(super) fn is_stored(database: &Database, through: u64) -> Result<bool, redb::Error> {
    Ok(database.begin_read()?.open_table(BATCHES)?.get(through)?.is_some())
}

/// Puts a batch that ends at `through` into a transaction, and what else is due.
pub(super) fn fill(
    database: &Database,
    progress: &Progress,
    batch: Option<&[u8]>,
    through: u64,
) -> Result<Filled, redb::Error> {
    let mut transaction = database.begin_write()?;
    // One flush: which commit was the last is found out by its checksums.
    transaction.set_durability(Durability::Immediate)?;
    let mut progress = progress.clone();
    if let Some(batch) = batch {
        transaction.open_table(BATCHES)?.insert(through, batch)?;
    }
    if progress.is_reserve_low(through) {
        progress.reserved = through + RESERVE;
        transaction.open_table(NUMBERS)?.insert(RESERVED, progress.reserved)?;
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
