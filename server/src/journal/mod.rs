//! The journal: the events, durable.
//!
//! - A batch is one write and one flush, into the *tail*: a file that is as long as it will ever
//!   be. So many steps share a flush, and it has nothing else to do.
//! - What is in the tail is moved, in large pieces, to the *archive*, a redb database, while nobody
//!   waits for it. After a stop in good order the archive holds everything.
//! - A batch that is answered with [`AppendError::Write`] is not stored, and never turns up again,
//!   also not after a crash. The journal goes on when there is room again.
//! - A flush that fails ends it: what the disk holds is unknown then (Rebello et al., "Can
//!   Applications Recover from fsync Failures?", ATC 2020).
//! - It is bounded: a snapshot takes the place of the batches before it. It is written piece by
//!   piece beside them, so that nobody waits for it.
//! - No place in history is given twice, though events that need not be durable are not stored:
//!   each record sees to it that a stretch of places ahead is reserved.
//!
//! It knows nothing of files: what of an append is on disk as a file is the file store's.

mod archive;
mod caught;
mod commit;
mod medium;
mod mover;
mod reading;
mod record;
mod redb_journal;
mod snapshot;
mod tail;
mod watched;

use std::io;

use leasehold_core::data::Data;
use leasehold_core::event::Event;
use leasehold_core::id::{LogIndex, Name};
use leasehold_core::service::Durable;
use leasehold_core::state::State;

pub use medium::{FileMedium, Medium};
pub use record::{RecordError, decode_batch, encode_batch};
pub use redb_journal::{Moving, RedbJournal, TailOptions};
pub use snapshot::{decode_snapshot, encode_snapshot};

/// Makes events last. Where a journal of several servers would take the place of this one's.
pub trait Log: Send {
    /// Stores a batch: all events that happened since the last one, durable or not. Whoever gets a
    /// [`Durable`] may let its replies go and show its events.
    ///
    /// # Errors
    /// Where it is not stored; see [`AppendError`] for what may be done then.
    fn append(&mut self, events: &[Event]) -> Result<Durable, AppendError>;

    /// Begins to write a snapshot that covers everything up to `index`: made by
    /// [`encode_snapshot`] from a state whose events are all stored, and whose appends are all in
    /// their files for good, since they leave the journal for it.
    fn begin_snapshot(&mut self, index: LogIndex, bytes: Vec<u8>);

    /// Goes on with a snapshot, where nothing else is to be stored: one piece of it, or some of
    /// what it has made superfluous.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn run_maintenance(&mut self) -> Result<(), AppendError>;

    /// How much was stored since the last snapshot was begun, in bytes.
    fn bytes_since_snapshot(&self) -> u64;

    /// Whether a snapshot was begun that is not all written. Another one would take its place: of
    /// snapshots that are begun faster than they can be written, none would ever be complete.
    fn is_writing_snapshot(&self) -> bool;
}

/// Why a batch is not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It could not be written. Nothing of it is stored, and the journal may be used on.
    #[error("a write failed: {0}")]
    Write(#[source] io::Error),
    /// A flush failed, or a write in the midst of a commit, and what is stored can't be found out.
    /// The journal must not be used on, and nobody may be told anything of the batch.
    #[error("a flush failed: {0}")]
    Flush(#[source] io::Error),
}

/// Why a journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What it holds can't be believed.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else has it open.
    #[error("another server uses this data directory")]
    InUse,
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a journal holds.
#[derive(Debug)]
pub struct Recovered {
    /// The fold of all that it holds, with the secrets of the sessions.
    pub state: State,
    /// The last place in history that anybody may have seen.
    pub last_index: LogIndex,
    /// The appends that are still in it, in order, to make the files whole. What is not among them
    /// was in its file for good before a snapshot took its place.
    pub appends: Vec<RecoveredAppend>,
    /// How many events were read, beside the snapshot.
    pub event_count: usize,
}

/// Bytes that belong into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredAppend {
    /// Which file.
    pub file: Name,
    /// Where.
    pub offset: u64,
    /// What.
    pub data: Data,
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
fn damaged(why: impl ToString) -> OpenError {
    OpenError::Damaged { reason: why.to_string() }
}

fn damaged_while_running() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "journal.tail was changed by somebody else")
}
