//! Moves what the tail holds to the archive, in large pieces, where no request waits for it.
//!
//! - A piece is one row and one commit: batches of clients that wait are small, and a commit costs
//!   nearly the same for a thousand of them.
//! - A record is moved only once it is acknowledged, and its half is used again only once a commit
//!   that is durable says that all of the half is moved.
//! - Whoever can't wait for that does it himself: it is done under a lock, by anybody, one piece at
//!   a time. Usually it is a thread of its own; tests do it step by step.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use redb::StorageBackend;
use tracing::{error, warn};

use super::archive::Archive;
use super::commit::{Entry, TailChange};
use super::record::join;
use super::snapshot::Writing;
use super::tail::layout::{HEADER, Half};
use super::tail::scan::InUse;
use super::tail::{End, Piece};
use super::{AppendError, damaged_while_running};

/// How long the thread rests between the commits of a snapshot, so that the flushes of batches
/// don't have to wait for many of them, and after a failure.
const PAUSE: Duration = Duration::from_millis(20);
/// See [`ERROR_DELAY`].
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Moves records, and writes snapshots.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) archive: Archive,
    tail: Arc<dyn StorageBackend>,
    /// The half, and the place in it, from which to move on; where a tail is in use.
    at: Option<(u64, u64)>,
    piece: Piece,
    row: Vec<u8>,
}

/// What the one who appends and the one who moves have to know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    common: Mutex<Common>,
    changed: Condvar,
    /// How much has to be there to be moved before the half is full.
    piece_len: u64,
}

#[derive(Debug, Default)]
struct Common {
    /// Where the tail ends, as far as it is acknowledged.
    end: Option<End>,
    /// From where to move on; the half as the archive has it.
    moved: (u64, u64),
    /// A snapshot that is to be written.
    snapshot: Option<Writing>,
    /// One that was taken to be written is not complete yet.
    is_writing: bool,
    /// A flush has failed, or the thread: nothing may be written any more.
    is_broken: bool,
    is_stopping: bool,
}

impl Shared {
    pub(super) fn new(piece_len: u64) -> Self {
        Self { common: Mutex::default(), changed: Condvar::new(), piece_len }
    }

    /// Whether a flush has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.look().is_broken
    }

    /// Lets nothing be written any more where a flush has failed.
    pub(super) fn note<T>(&self, result: Result<T, AppendError>) -> Result<T, AppendError> {
        if matches!(result, Err(AppendError::Flush(_))) {
            self.look().is_broken = true;
            self.changed.notify_all();
        }
        result
    }

    /// Tells that the tail is acknowledged up to its end.
    pub(super) fn extend(&self, end: End) {
        let mut common = self.look();
        common.end = Some(end);
        if common.is_due(self.piece_len) {
            self.changed.notify_all();
        }
    }

    /// Whether the half before the one in use is moved, so that it may be used again.
    pub(super) fn is_other_half_free(&self) -> bool {
        let common = self.look();
        common.end.is_some_and(|end| common.moved.0 >= end.half.epoch)
    }

    /// Has a snapshot written, in place of one that is being written.
    pub(super) fn begin_snapshot(&self, writing: Writing) {
        self.look().snapshot = Some(writing);
        self.changed.notify_all();
    }

    /// Whether a snapshot is not all written.
    pub(super) fn is_writing_snapshot(&self) -> bool {
        let common = self.look();
        common.snapshot.is_some() || common.is_writing
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.look().is_stopping = true;
        self.changed.notify_all();
    }

    fn look(&self) -> MutexGuard<'_, Common> {
        self.common.lock().expect("nobody panics while he holds it")
    }
}

impl Common {
    /// Whether there is so much to move that it pays.
    fn is_due(&self, piece_len: u64) -> bool {
        let (epoch, at) = self.moved;
        self.end.is_some_and(|end| epoch < end.half.epoch || at + piece_len <= end.at)
    }
}

impl Mover {
    /// Moves on from a place in the tail, where one is in use.
    pub(super) fn new(
        archive: Archive,
        tail: Arc<dyn StorageBackend>,
        end: Option<End>,
        at: Option<(u64, u64)>,
        shared: &Shared,
    ) -> Self {
        let mut common = shared.look();
        common.end = end;
        common.moved = at.unwrap_or_default();
        Self { archive, tail, at, piece: Piece::default(), row: Vec::new() }
    }

    /// Notes in the archive that a tail which begins behind `after` is in use.
    ///
    /// # Errors
    /// Where that is not stored.
    pub(super) fn begin_tail(
        &mut self,
        shared: &Shared,
        half: Half,
        after: u64,
    ) -> Result<(), AppendError> {
        let in_use = InUse { run: half.run, epoch: half.epoch, moved: after };
        let tail = TailChange::Moved(in_use);
        self.archive.store(&Entry { tail, ..Entry::default() })?;
        let at = (half.epoch, HEADER as u64);
        self.at = Some(at);
        shared.look().moved = at;
        Ok(())
    }

    /// Moves all that is in the tail, and leaves it, with a batch for which it is too small.
    ///
    /// # Errors
    /// Where the batch is not stored.
    pub(super) fn leave_tail(
        &mut self,
        shared: &Shared,
        batch: Option<(u64, &[u8])>,
        reserved: u64,
    ) -> Result<(), AppendError> {
        while self.move_piece(shared)? {}
        let tail = if self.at.is_some() { TailChange::Left } else { TailChange::Kept };
        self.archive.store(&Entry { batch, reserved, tail })?;
        self.at = None;
        shared.look().end = None;
        Ok(())
    }

    /// Does what is to be done next: moves a piece, or goes on with a snapshot. Says whether there
    /// was anything.
    ///
    /// # Errors
    /// Where nothing was done.
    pub(super) fn step(&mut self, shared: &Shared) -> Result<bool, AppendError> {
        {
            let mut common = shared.look();
            if let Some(writing) = common.snapshot.take() {
                common.is_writing = true;
                self.archive.begin_snapshot(writing);
            }
        }
        let done = self.move_or_work(shared);
        shared.look().is_writing = self.archive.is_writing();
        done
    }

    fn move_or_work(&mut self, shared: &Shared) -> Result<bool, AppendError> {
        if self.move_piece(shared)? {
            return Ok(true);
        }
        let is_under_way = self.archive.is_under_way();
        self.archive.work()?;
        Ok(is_under_way)
    }

    /// Moves a piece. Says whether there was any.
    ///
    /// # Errors
    /// Where nothing was moved.
    pub(super) fn move_piece(&mut self, shared: &Shared) -> Result<bool, AppendError> {
        let Some((end, (epoch, at))) = shared.look().end.zip(self.at) else { return Ok(false) };
        if epoch == end.half.epoch && at == end.at {
            return Ok(false);
        }
        // The half before the one in use may have been moved to its end already.
        let is_over = epoch < end.half.epoch && at == end.at_before;
        let (epoch, at) = if is_over { (end.half.epoch, HEADER as u64) } else { (epoch, at) };
        let limit = if epoch < end.half.epoch { end.at_before } else { end.at };
        let half = Half { epoch, ..end.half };
        let read = self.piece.read(&*self.tail, half, at..limit, shared.piece_len);
        if !read.map_err(AppendError::Flush)? {
            return Err(AppendError::Flush(damaged_while_running()));
        }
        let batches = self.piece.batches();
        join(batches, &mut self.row);
        let (places, next) = (self.piece.last(), at + self.piece.len());
        let is_over = epoch < end.half.epoch && next == limit;
        let next = if is_over { (epoch + 1, HEADER as u64) } else { (epoch, next) };
        let in_use = InUse { run: half.run, epoch: next.0, moved: places.through };
        self.archive.store(&Entry {
            batch: (!self.row.is_empty()).then_some((places.through, &self.row)),
            reserved: places.reserved,
            tail: TailChange::Moved(in_use),
        })?;
        self.at = Some(next);
        shared.look().moved = next;
        Ok(true)
    }
}

/// Whoever ends by a panic lets nothing be written any more.
struct Fuse<'a>(&'a Shared);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.look().is_broken = true;
        }
    }
}

/// Moves and writes whenever it pays, until it is stopped or a flush fails.
pub(super) fn run(mover: &Mutex<Mover>, shared: &Shared) {
    let _fuse = Fuse(shared);
    let (mut is_under_way, mut has_failed) = (false, false);
    loop {
        let pause = if has_failed { PAUSE_AFTER_FAILURE } else { PAUSE };
        let is_at_rest = |common: &mut Common| {
            let is_due = common.is_due(shared.piece_len) || common.snapshot.is_some();
            !common.is_stopping && !common.is_broken && (has_failed || !is_due)
        };
        let common = shared.look();
        let woken = "nobody panics while he holds it";
        let common = if is_under_way || has_failed {
            shared.changed.wait_timeout_while(common, pause, is_at_rest).expect(woken).0
        } else {
            shared.changed.wait_while(common, is_at_rest).expect(woken)
        };
        let is_over = common.is_stopping || common.is_broken;
        drop(common);
        if is_over {
            return;
        }
        let mut mover = mover.lock().expect("whoever panics with it ends the server");
        let stepped = shared.note(mover.step(shared));
        is_under_way = mover.archive.is_under_way();
        drop(mover);
        match stepped {
            Ok(_) => has_failed = false,
            Err(AppendError::Write(cause)) => {
                if !has_failed {
                    warn!(%cause, "nothing can be moved from journal.tail until there is room");
                }
                has_failed = true;
            }
            Err(AppendError::Flush(cause)) => {
                error!(%cause, "a flush of the archive failed");
                return;
            }
        }
    }
}
