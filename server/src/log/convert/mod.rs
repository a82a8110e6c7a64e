//! Reads the log of versions up to 0.1: a redb database, `journal.redb`, and in front of it a
//! write-ahead log, `journal.tail`, whose batches are newer.
//!
//! It is read once, at the first start of a newer version, and never written. The database and
//! the write-ahead log each have their own checks for damage.

mod tail;

use std::cell::Cell;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use leasehold_core::event::EventKind;
use leasehold_core::id::{LogIndex, Token};
use leasehold_core::state::State;
use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::batch::decode_batch;
use super::snapshot::decode_state;
use super::{OpenError, RecoveredAppend};

/// The name of the database.
pub const DATABASE: &str = "journal.redb";
/// The name of the write-ahead log.
pub const TAIL: &str = "journal.tail";

/// Batches, by the index of their last event.
const BATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");
/// Chunks of snapshots, by the index that the snapshot covers and their number.
const CHUNKS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("snapshot_pieces");
/// Numbers, by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The contents of an old log.
#[derive(Debug, Default)]
pub struct OldLog {
    /// The fold of all events.
    pub state: State,
    /// The last log index that may have been assigned.
    pub last_index: LogIndex,
    /// The appends that the log still contains.
    pub appends: Vec<RecoveredAppend>,
    /// The index of the last batch.
    last: u64,
    /// The index that the snapshot covers.
    covered: u64,
    reserved: u64,
}

/// Returns whether the data directory contains an old log.
pub fn exists(data_dir: &Path) -> bool {
    data_dir.join(DATABASE).exists() || data_dir.join(TAIL).exists()
}

/// Reads the old log in a data directory.
///
/// # Errors
/// If it is damaged or incomplete.
pub fn read(data_dir: &Path) -> Result<OldLog, OpenError> {
    if !data_dir.join(DATABASE).exists() {
        return Err(damaged(format_args!("{DATABASE} is missing")));
    }
    catch_panics(|| {
        let mut log = OldLog::default();
        let in_use = log.read_database(&data_dir.join(DATABASE))?;
        if let Some(in_use) = in_use {
            let bytes = match fs::read(data_dir.join(TAIL)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(damaged(format_args!("{TAIL} is missing")));
                }
                bytes => bytes?,
            };
            for record in tail::records(&bytes, &in_use).map_err(damaged)? {
                log.reserved = log.reserved.max(record.reserved);
                if in_use.moved < record.through && !record.body.is_empty() {
                    log.apply(record.through, record.body)?;
                }
            }
        }
        let last = log.reserved.max(log.last).max(log.covered);
        log.last_index = LogIndex::new(last).max(log.state.applied_index());
        Ok(log)
    })
}

impl OldLog {
    /// Reads the database. Returns which part of the write-ahead log continues it.
    fn read_database(&mut self, path: &Path) -> Result<Option<tail::InUse>, OpenError> {
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true);
        let database = builder.open(path).map_err(damaged)?;
        let transaction = database.begin_read().map_err(damaged)?;
        let numbers = transaction.open_table(NUMBERS).map_err(damaged)?;
        let number = |name| -> Result<Option<u64>, OpenError> {
            Ok(numbers.get(name).map_err(damaged)?.map(|number| number.value()))
        };
        self.reserved = number("reserved")?.unwrap_or(0);
        if let Some(index) = number("snapshot")? {
            let chunks = transaction.open_table(CHUNKS).map_err(damaged)?;
            let mut bytes = Vec::new();
            for chunk in 0..number("snapshot_pieces")?.unwrap_or(0) {
                let chunk = u32::try_from(chunk).map_err(damaged)?;
                let row = chunks.get((index, chunk)).map_err(damaged)?;
                let row = row.ok_or_else(|| damaged("a part of the snapshot is missing"))?;
                bytes.extend_from_slice(row.value());
            }
            self.state = decode_snapshot(&bytes)?;
            self.covered = index;
            if self.state.applied_index().number() != index {
                return Err(damaged("the snapshot is of another index than its name"));
            }
        }
        let batches = transaction.open_table(BATCHES).map_err(damaged)?;
        for row in batches.range(self.covered + 1..).map_err(damaged)? {
            let (through, batch) = row.map_err(damaged)?;
            self.apply(through.value(), batch.value())?;
        }
        let Some(run) = number("tail")? else { return Ok(None) };
        let (epoch, moved) = (number("tail_epoch")?, number("tail_moved")?);
        Ok(Some(tail::InUse { run, epoch: epoch.unwrap_or(0), moved: moved.unwrap_or(0) }))
    }

    fn apply(&mut self, through: u64, batch: &[u8]) -> Result<(), OpenError> {
        for event in decode_batch(batch).map_err(damaged)? {
            let index = event.index.number();
            if index <= self.last || through < index {
                return Err(damaged(format_args!("event {index} is out of order")));
            }
            self.last = index;
            // A snapshot may end within a batch.
            if index <= self.covered {
                continue;
            }
            self.state.apply(&event);
            if let EventKind::FileAppended { file, offset, data, .. } = event.kind {
                self.appends.push(RecoveredAppend { file, offset, data });
            }
        }
        self.last = through;
        Ok(())
    }
}

/// A snapshot is preceded by its CRC-32.
fn decode_snapshot(bytes: &[u8]) -> Result<State, OpenError> {
    let (checksum, json) =
        bytes.split_at_checked(4).ok_or_else(|| damaged("the snapshot is truncated"))?;
    if checksum != crc32fast::hash(json).to_le_bytes() {
        return Err(damaged("the checksum of the snapshot is wrong"));
    }
    Ok(decode_state(json).map_err(damaged)?.0)
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
fn damaged(reason: impl ToString) -> OpenError {
    let reason = format!("the log of an older version is damaged: {}", reason.to_string());
    OpenError::Damaged { reason, legible: (Token::default(), LogIndex::default()) }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Calls `read`, and reports a panic as damage: redb asserts what damaged bytes can contradict.
fn catch_panics<T>(read: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                report(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    IS_QUIET.set(false);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(damaged(text.unwrap_or("it contradicts itself")))
    })
}
