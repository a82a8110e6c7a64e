//! The log: the events, durable.
//!
//! - It consists of *segments*, preallocated files that batches are appended to, and *snapshots*,
//!   which replace the segments before them.
//! - A batch is one record: all of it is stored, or nothing. Each record contains the chain value
//!   of the record before it, so a piece that is missing, older or of another log is detected.
//! - Only a record that was never acknowledged can be torn by a power cut. Anything else that does
//!   not fit is damage, and is refused: the log never continues from less than was acknowledged.
//! - A batch that was answered with [`AppendError::Write`] is not stored and never reappears. After
//!   a failed flush the contents of the disk are unknown (Rebello et al., "Can Applications Recover
//!   from fsync Failures?", ATC 2020), so the log must not be used any more.
//! - No log index is assigned twice, although events that need not be durable are not stored: each
//!   record reserves the indices that follow it.
//!
//! The log knows nothing of the guarded files. What is written where is in `format.rs`.

mod batch;
pub mod convert;
mod embedded;
mod format;
mod load;
mod medium;
mod snapshot;
mod spare;
mod tail;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use leasehold_core::data::Data;
use leasehold_core::event::Event;
use leasehold_core::id::{LogIndex, Name, Token};
use leasehold_core::state::State;
use serde::{Deserialize, Serialize};

pub use batch::{RecordError, decode_batch, encode_batch};
pub use embedded::{EmbeddedLog, Options};
pub use load::{Loaded, load};
pub use medium::{Directory, LogFile, Medium};
pub use snapshot::{decode_state, encode_state};

/// The name of the log's directory in the data directory.
pub const DIRECTORY: &str = "log";

/// Makes events durable. A replicated log can take the place of the embedded one.
///
/// Call [`Log::write`] with each batch, run its flush on any thread, then call
/// [`Log::acknowledge`]; a second batch may be written meanwhile. [`Log::append`] does all three.
pub trait Log: Send {
    /// Writes a batch: all events since the last one, durable or not. It is durable once its
    /// flush and those of all earlier batches have succeeded.
    ///
    /// # Errors
    /// Returns an [`AppendError`] if the batch is not stored.
    fn write(&mut self, events: &[Event]) -> Result<Write, AppendError>;

    /// Records that the batch at this position, and all before it, are durable.
    fn acknowledge(&mut self, position: LogPosition);

    /// Marks the log as unusable after a flush has failed.
    fn fail(&mut self);

    /// Stores a batch.
    ///
    /// # Errors
    /// Returns an [`AppendError`] if the batch is not stored.
    fn append(&mut self, events: &[Event]) -> Result<LogPosition, AppendError> {
        let write = self.write(events)?;
        if let Some(flush) = &write.flush
            && let Err(error) = flush.run()
        {
            self.fail();
            return Err(error);
        }
        self.acknowledge(write.position);
        Ok(write.position)
    }

    /// Returns a writer of snapshots for another thread. From now on,
    /// [`Log::bytes_since_snapshot`] counts from zero.
    fn begin_snapshot(&mut self) -> Box<dyn SnapshotWriter>;

    /// Returns the number of bytes stored since a snapshot was last begun.
    fn bytes_since_snapshot(&self) -> u64;

    /// Does what can wait until the log is idle.
    ///
    /// # Errors
    /// Returns an [`AppendError`] if a write or a flush failed.
    fn run_maintenance(&mut self) -> Result<(), AppendError>;
}

/// A batch that was written.
#[must_use = "a batch is durable only after its flush"]
#[derive(Debug)]
pub struct Write {
    /// The position after the batch.
    pub position: LogPosition,
    /// The flush that makes it durable, or none if it contains nothing durable.
    pub flush: Option<Box<dyn Flush>>,
}

/// Makes a batch durable, on any thread.
pub trait Flush: fmt::Debug + Send {
    /// Flushes the batch. Blocks until that has finished.
    ///
    /// # Errors
    /// Returns [`AppendError::Flush`] if the flush fails.
    fn run(&self) -> Result<(), AppendError>;
}

/// Writes a snapshot, on any thread, and deletes what it replaces.
pub trait SnapshotWriter: fmt::Debug + Send {
    /// Stores the state at `position`, which must be acknowledged, in the encoding of
    /// [`encode_state`]. The appends up to there must be durable in their files: the log drops
    /// them.
    ///
    /// # Errors
    /// Returns an [`AppendError`] if the snapshot is not stored.
    fn write(&self, position: &LogPosition, state: &[u8]) -> Result<(), AppendError>;
}

/// A position in the log: that of a record, which stands for everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The log.
    pub log_id: LogId,
    /// The number of the record; 0 is the beginning of the log.
    pub record: u64,
    /// The chain value at this record.
    pub chain: Chain,
    /// The index of the last event up to here, stored or not.
    pub through: LogIndex,
}

/// The identity of a log, random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogId(u128);

/// A checksum over a record and, through the checksum of the previous record, all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chain(u64);

/// Evidence outside the log's records that the log had reached a position.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The file that contains it.
    pub source: String,
    /// The position.
    pub position: LogPosition,
}

/// Why a batch is not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It could not be written. Nothing of it is stored, and the log can still be used.
    #[error("a write failed: {0}")]
    Write(#[source] io::Error),
    /// A flush failed, or a write that could not be undone. It is unknown what is stored, so the
    /// log must not be used any more, and nothing of the batch may be reported.
    #[error("a flush failed: {0}")]
    Flush(#[source] io::Error),
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its contents are damaged or incomplete.
    #[error("{reason}")]
    Damaged {
        /// What is damaged or missing.
        reason: String,
        /// The largest token and log index that are still legible.
        legible: (Token, LogIndex),
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The contents of a log.
#[derive(Debug)]
pub struct Recovered {
    /// The fold of all events, with the secrets of the sessions.
    pub state: State,
    /// The last log index that may have been assigned.
    pub last_index: LogIndex,
    /// The position of the last record.
    pub position: LogPosition,
    /// The appends that the log still contains, in order, to repair the files with. The others
    /// were durable in their files before a snapshot replaced them.
    pub appends: Vec<RecoveredAppend>,
    /// The checksums of what the files contained when the snapshot was taken.
    pub file_checksums: FileChecksums,
    /// The number of events read, in addition to the snapshot.
    pub event_count: usize,
    /// Whether the log was created after a loss of data and has not been appended to since, so
    /// that clients may still believe in leases that it does not know.
    pub follows_data_loss: bool,
    /// What was noticed and does no harm.
    pub notes: Vec<String>,
}

/// The checksum of the first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChecksum {
    /// The number of bytes.
    pub len: u64,
    /// Their CRC-32, which can be continued when the file has grown.
    pub crc32: u32,
}

/// The checksums of files. A file that could not be read has none.
pub type FileChecksums = BTreeMap<Name, FileChecksum>;

/// Bytes that belong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredAppend {
    /// The file.
    pub file: Name,
    /// The offset of the bytes.
    pub offset: u64,
    /// The bytes.
    pub data: Data,
}

/// What a new log begins with.
#[derive(Debug)]
pub struct Genesis<'a> {
    /// The state, whose appends are durable in their files.
    pub state: &'a State,
    /// The checksums of the files.
    pub file_checksums: &'a FileChecksums,
    /// The last log index that may have been assigned.
    pub last_index: LogIndex,
    /// Whether this log takes the place of one that is lost.
    pub follows_data_loss: bool,
}

/// Creates a log in the data directory. It exists completely or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn create(data_dir: &Path, genesis: &Genesis<'_>) -> io::Result<()> {
    let temporary = data_dir.join("log.new");
    match std::fs::remove_dir_all(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let directory = Directory::create(&temporary)?;
    EmbeddedLog::create_on(&directory, genesis, Options::default())?;
    std::fs::rename(&temporary, data_dir.join(DIRECTORY))?;
    std::fs::File::open(data_dir)?.sync_all()
}

/// Reads the log in the data directory without changing it. `witnesses` are positions that it must
/// have reached.
///
/// # Errors
/// If it is damaged or cannot be read.
pub fn read(data_dir: &Path, witnesses: &[Witness]) -> Result<Loaded, OpenError> {
    load(&Directory::open(&data_dir.join(DIRECTORY))?, witnesses)
}

/// Opens the log in the data directory for appends, after it was read.
///
/// # Errors
/// If it cannot be written.
pub fn resume(data_dir: &Path, loaded: Loaded) -> io::Result<(EmbeddedLog, Recovered)> {
    let directory = Arc::new(Directory::open(&data_dir.join(DIRECTORY))?);
    EmbeddedLog::resume(directory, loaded, Options::default())
}

impl LogId {
    fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system provides randomness");
        Self(u128::from_le_bytes(bytes))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<LogId> for String {
    fn from(id: LogId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for LogId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        format!("{:016x}", chain.0)
    }
}

impl TryFrom<String> for Chain {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}
