//! The storage thread: makes batches durable, writes out what was appended, and then, not
//! before, lets clients and viewers know.
//!
//! The order is what everything rests on: journal, files, the published state, and only then the
//! loop, which lets the replies go.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use mio::Waker;
use tracing::{debug, error, info, warn};

use crate::files::{FileStore, Flush, FlushError};
use crate::journal::{self, AppendError, Log as _, RedbJournal};
use crate::published::Published;
use crate::service_loop::Completion;

/// How often to look after files that could not be written, and, where nothing else is to be
/// stored, after the snapshot.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A snapshot is taken after this many bytes of events: it bounds the journal, and the time that
/// recovery takes.
const SNAPSHOT_AFTER_BYTES: u64 = 64 << 20;

/// How long to wait until the next snapshot where a file could not be flushed: each is a lot of
/// work, and somebody has to look after that file first.
const SNAPSHOT_RETRY_DELAY: Duration = Duration::from_secs(10);

/// Owns the journal and the files.
pub struct Storage {
    /// Where events go first.
    pub log: RedbJournal,
    /// Where appended bytes go then.
    pub files: FileStore,
    /// Who may see them then.
    pub published: Published,
    /// Where the loop hears of it.
    pub completions: Sender<Completion>,
    /// How the loop is woken to hear it.
    pub waker: Arc<Waker>,
}

/// A snapshot that another thread is at work for.
enum SnapshotStage {
    /// The state is being encoded.
    Encoding(Receiver<EncodedSnapshot>),
    /// The files are being flushed.
    FlushingFiles(Arc<Flush>, Receiver<FlushedSnapshot>),
    /// It came to nothing. Another is tried from this moment on.
    BackingOff(Instant),
}

/// A state that goes up to an event, encoded.
struct EncodedSnapshot {
    index: LogIndex,
    bytes: Vec<u8>,
}

/// A snapshot, and what became of the flush that has to come before it.
struct FlushedSnapshot {
    snapshot: EncodedSnapshot,
    result: Result<(), FlushError>,
}

impl Storage {
    /// Stores what comes until the loop is gone.
    ///
    /// # Errors
    /// Where a flush failed: what the disk holds is unknown then, so nothing can be promised any
    /// more and the process has to end.
    pub fn run(mut self, batches: &Receiver<Vec<Event>>) -> anyhow::Result<()> {
        let mut snapshot_stage = None;
        let mut last_poll = Instant::now();
        self.report_writability();
        loop {
            match batches.recv_timeout(POLL_INTERVAL) {
                Ok(batch) => self.store(batch)?,
                Err(RecvTimeoutError::Timeout) => self.run_log_maintenance()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return self.files.sync_all().context("the files could not be flushed");
                }
            }
            if last_poll.elapsed() >= POLL_INTERVAL {
                last_poll = Instant::now();
                self.files.retry();
                self.report_writability();
            }
            snapshot_stage = self.advance_snapshot(snapshot_stage)?;
        }
    }

    fn store(&mut self, batch: Vec<Event>) -> anyhow::Result<()> {
        match self.log.append(&batch) {
            Ok(durable) => {
                self.files.write(&batch);
                self.report_writability();
                self.published.publish(batch);
                self.send_completion(Completion::Durable(durable));
                Ok(())
            }
            Err(AppendError::Flush(cause)) => {
                error!(%cause, "a flush failed; nobody knows what the disk holds, so it ends");
                Err(cause).context("a flush of the journal failed")
            }
            Err(AppendError::Write(cause)) => {
                warn!(%cause, "the journal can't be written; nothing of this batch was done");
                let state = self.published.state();
                self.send_completion(Completion::WriteFailed(Box::new(state.into())));
                Ok(())
            }
        }
    }

    /// Tells the loop of every file that it has become impossible, or possible, to write.
    fn report_writability(&mut self) {
        for (file, writable) in self.files.take_writability_changes() {
            if writable {
                info!(%file, "the file can be written again");
            } else {
                warn!(%file, "the file can't be written: appends to it are refused until it can");
            }
            self.send_completion(Completion::WritabilityChanged(file, writable));
        }
    }

    fn run_log_maintenance(&mut self) -> anyhow::Result<()> {
        match self.log.run_maintenance() {
            Err(AppendError::Flush(cause)) => Err(cause).context("a flush of the journal failed"),
            Ok(()) | Err(AppendError::Write(_)) => Ok(()),
        }
    }

    /// Goes on with the snapshot that is being made, or begins one when it is due. What takes long
    /// is done by other threads: here nothing waits for it.
    fn advance_snapshot(
        &mut self,
        stage: Option<SnapshotStage>,
    ) -> anyhow::Result<Option<SnapshotStage>> {
        match stage {
            None => {
                let is_due = self.log.bytes_since_snapshot() >= SNAPSHOT_AFTER_BYTES
                    && !self.log.is_writing_snapshot();
                Ok((is_due && self.files.is_fully_written())
                    .then(|| self.start_encoding())
                    .flatten())
            }
            Some(SnapshotStage::Encoding(encoded)) => match encoded.try_recv() {
                Ok(snapshot) => Ok(self.start_flushing(snapshot)),
                Err(TryRecvError::Empty) => Ok(Some(SnapshotStage::Encoding(encoded))),
                Err(TryRecvError::Disconnected) => Ok(None),
            },
            Some(SnapshotStage::BackingOff(retry_at)) => {
                Ok((Instant::now() < retry_at).then_some(SnapshotStage::BackingOff(retry_at)))
            }
            Some(SnapshotStage::FlushingFiles(flush, flushed)) => match flushed.try_recv() {
                Ok(flushed) => self.finish_flushing(&flush, flushed),
                Err(TryRecvError::Empty) => Ok(Some(SnapshotStage::FlushingFiles(flush, flushed))),
                Err(TryRecvError::Disconnected) => {
                    self.files.requeue_flush(&flush);
                    Ok(None)
                }
            },
        }
    }

    fn start_encoding(&self) -> Option<SnapshotStage> {
        debug!("a snapshot is begun");
        let published = self.published.clone();
        let encode = move || {
            let state = published.state();
            EncodedSnapshot {
                index: state.applied_index(),
                bytes: journal::encode_snapshot(&state),
            }
        };
        run_in_thread(encode).map(SnapshotStage::Encoding)
    }

    /// What the snapshot covers leaves the journal, so the files have to hold it by then.
    fn start_flushing(&mut self, snapshot: EncodedSnapshot) -> Option<SnapshotStage> {
        debug!(bytes = snapshot.bytes.len(), "the snapshot is encoded");
        let flush = Arc::new(self.files.begin_flush()?);
        let flush_for_thread = Arc::clone(&flush);
        let run = move || {
            let result = flush_for_thread.run();
            FlushedSnapshot { snapshot, result }
        };
        let Some(flushed) = run_in_thread(run) else {
            self.files.requeue_flush(&flush);
            return None;
        };
        Some(SnapshotStage::FlushingFiles(flush, flushed))
    }

    fn finish_flushing(
        &mut self,
        flush: &Flush,
        flushed: FlushedSnapshot,
    ) -> anyhow::Result<Option<SnapshotStage>> {
        let FlushedSnapshot { snapshot, result } = flushed;
        match result {
            Ok(()) => {}
            Err(error @ FlushError::Missing { .. }) => {
                warn!(%error, "the file is not what was appended to it any more");
                self.files.requeue_flush(flush);
            }
            Err(error @ FlushError::CannotOpen { .. }) => {
                warn!(%error, "no snapshot is taken, and the journal grows, until it can");
                self.files.requeue_flush(flush);
                return Ok(Some(SnapshotStage::BackingOff(Instant::now() + SNAPSHOT_RETRY_DELAY)));
            }
            Err(error @ FlushError::Sync { .. }) => {
                return Err(error).context("the files could not be flushed");
            }
        }
        self.log.begin_snapshot(snapshot.index, snapshot.bytes);
        Ok(None)
    }

    fn send_completion(&self, completion: Completion) {
        // Where the loop has ended nobody waits for it.
        let _ = self.completions.send(completion);
        if let Err(error) = self.waker.wake() {
            error!(%error, "the loop can't be woken");
        }
    }
}

/// Does something in a thread of its own, and gives what it comes to; nothing where there can be
/// no thread just now.
fn run_in_thread<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<Receiver<T>> {
    let (sender, receiver) = channel();
    let run = move || {
        // Nobody listens any more where the server has ended meanwhile.
        let _ = sender.send(task());
    };
    thread::Builder::new().name("snapshot".to_owned()).spawn(run).ok().map(|_| receiver)
}
