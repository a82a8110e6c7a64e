//! The storage threads: make batches durable, write appended bytes to the files, and only then
//! report to clients and viewers.
//!
//! - There are two, which take turns: while one flushes a batch, the other writes and flushes the
//!   next. Batches are written and reported in order.
//! - The order is log, files, published state, service loop, which releases the replies. Durability
//!   (S5) depends on it.
//! - A failed flush ends the process, because the contents of the disk are unknown. A failed write
//!   rolls the batch back, with the batches that were decided after it.
//! - Snapshots are encoded and files are flushed in other threads, so the storage threads never
//!   wait for them.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leasehold_core::event::Event;
use leasehold_core::service::Durable;
use mio::Waker;
use tracing::{debug, error, info, warn};

use crate::files::{self, FileStore, FlushError, extend_checksums};
use crate::log::{self, AppendError, EmbeddedLog, FileChecksums, Log as _, LogPosition, Write};
use crate::published::Published;
use crate::service_loop::{Completion, EventBatch};

/// The interval at which files that could not be written are retried, and at which an idle thread
/// advances the snapshot.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A snapshot is taken after this many bytes of events. It limits the size of the log and the time
/// that recovery takes.
const SNAPSHOT_AFTER_BYTES: u64 = 64 << 20;

/// The delay before the next snapshot after a file could not be flushed. A snapshot is expensive,
/// and the operator has to repair the file first.
const SNAPSHOT_RETRY_DELAY: Duration = Duration::from_secs(10);

/// What the storage threads share.
pub struct Storage {
    parts: Mutex<StorageParts>,
    /// Notified when it is another batch's turn to be reported.
    turn_changed: Condvar,
    batches: Mutex<Receiver<EventBatch>>,
}

/// The log, the files, and the receivers of the outcomes.
pub struct StorageParts {
    /// The log, which is written first.
    pub log: EmbeddedLog,
    /// The files, which are written second.
    pub files: FileStore,
    /// The published state, which is updated third.
    pub published: Published,
    /// Completions for the service loop, sent last.
    pub completions: Sender<Completion>,
    /// Wakes the service loop after each completion.
    pub waker: Arc<Waker>,
    /// The directory of the files.
    pub files_path: PathBuf,
    /// The checksums of the files in the last snapshot.
    pub file_checksums: Arc<FileChecksums>,
    /// The state of the threads.
    pub progress: Progress,
}

/// How far the storage threads are.
#[derive(Default)]
pub struct Progress {
    /// The number of batches that were received and not discarded.
    received: u64,
    /// The number of batches whose outcome was reported.
    reported: u64,
    /// The number of rollbacks. Batches that were decided before the last one are discarded.
    generation: u64,
    /// Whether a flush has failed.
    has_failed: bool,
    snapshot_stage: Option<SnapshotStage>,
    /// Whether a snapshot has failed and has to be made again.
    is_snapshot_overdue: bool,
    last_poll: Option<Instant>,
}

/// A batch that was written, or could not be.
struct WrittenBatch {
    ticket: u64,
    events: Vec<Event>,
    result: Result<Write, AppendError>,
}

/// The stage of the snapshot that is being made.
enum SnapshotStage {
    /// The state is being encoded.
    Encoding(Receiver<EncodedSnapshot>),
    /// The files are being flushed.
    FlushingFiles(Arc<files::Flush>, Receiver<FlushedSnapshot>),
    /// The snapshot is being written.
    Writing(Receiver<Result<(), AppendError>>),
    /// The snapshot could not be made. The next attempt starts at this time.
    BackingOff(Instant),
}

/// The encoded state at a position of the log.
struct EncodedSnapshot {
    position: LogPosition,
    bytes: Vec<u8>,
    file_checksums: Arc<FileChecksums>,
}

/// A snapshot, and the result of the flush that must precede it.
struct FlushedSnapshot {
    snapshot: EncodedSnapshot,
    result: Result<(), FlushError>,
}

impl Storage {
    /// Returns a storage that receives batches from a service loop.
    pub fn new(parts: StorageParts, batches: Receiver<EventBatch>) -> Self {
        let (parts, batches) = (Mutex::new(parts), Mutex::new(batches));
        Self { parts, turn_changed: Condvar::new(), batches }
    }

    /// Stores batches until the service loop ends. Two threads run this.
    ///
    /// # Errors
    /// If a flush failed. The contents of the disk are then unknown, so nothing can be promised any
    /// more and the process must end.
    pub fn run(&self) -> anyhow::Result<()> {
        let result = self.store_batches();
        if result.is_err() {
            self.lock().progress.has_failed = true;
        }
        self.turn_changed.notify_all();
        result
    }

    fn store_batches(&self) -> anyhow::Result<()> {
        loop {
            // Until the batch is written, no other one is received.
            let batches = self.batches.lock().expect("a storage thread has panicked");
            let batch = match batches.recv_timeout(POLL_INTERVAL) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    drop(batches);
                    return self.finish();
                }
            };
            let mut parts = self.lock();
            if parts.progress.has_failed {
                return Ok(());
            }
            let written = batch.and_then(|batch| parts.write(batch));
            if written.is_none() && parts.progress.is_idle() {
                parts.run_log_maintenance()?;
            }
            parts.poll()?;
            drop((batches, parts));
            if let Some(written) = written {
                self.flush_and_report(written)?;
            }
        }
    }

    fn flush_and_report(&self, batch: WrittenBatch) -> anyhow::Result<()> {
        let flush = batch.result.as_ref().ok().and_then(|write| write.flush.as_ref());
        let flushed = flush.map_or(Ok(()), |flush| flush.run());
        let parts = self.wait_until(|progress| progress.reported == batch.ticket);
        let Some(mut parts) = parts else { return Ok(()) };
        parts.report(batch, flushed)?;
        drop(parts);
        self.turn_changed.notify_all();
        Ok(())
    }

    fn finish(&self) -> anyhow::Result<()> {
        match self.wait_until(Progress::is_idle) {
            Some(mut parts) => parts.files.sync_all().context("cannot flush the guarded files"),
            None => Ok(()),
        }
    }

    /// Waits until a condition holds. Returns `None` if a flush has failed.
    fn wait_until(
        &self,
        condition: impl Fn(&Progress) -> bool,
    ) -> Option<MutexGuard<'_, StorageParts>> {
        let is_waiting =
            |parts: &mut StorageParts| !parts.progress.has_failed && !condition(&parts.progress);
        let parts = self.turn_changed.wait_while(self.lock(), is_waiting);
        let parts = parts.expect("a storage thread has panicked");
        (!parts.progress.has_failed).then_some(parts)
    }

    fn lock(&self) -> MutexGuard<'_, StorageParts> {
        self.parts.lock().expect("a storage thread has panicked")
    }
}

impl Progress {
    /// Returns whether the outcome of every batch was reported.
    fn is_idle(&self) -> bool {
        self.received == self.reported
    }
}

impl StorageParts {
    /// Writes a batch to the log. Returns `None` if the events were decided before a rollback, so
    /// they have never happened.
    fn write(&mut self, batch: EventBatch) -> Option<WrittenBatch> {
        if batch.generation < self.progress.generation {
            return None;
        }
        let result = self.log.write(&batch.events);
        if matches!(result, Err(AppendError::Write(_))) {
            self.progress.generation += 1;
        }
        let ticket = self.progress.received;
        self.progress.received += 1;
        Some(WrittenBatch { ticket, events: batch.events, result })
    }

    /// Reports a batch after all earlier ones.
    fn report(
        &mut self,
        batch: WrittenBatch,
        flushed: Result<(), AppendError>,
    ) -> anyhow::Result<()> {
        let result = batch.result.and_then(|write| flushed.map(|()| write.position));
        match result {
            Ok(position) => {
                self.log.acknowledge(position);
                self.files.write(&batch.events);
                self.report_writability();
                self.published.publish(batch.events, position);
                let durable = Durable { through: position.through };
                self.send_completion(Completion::Durable(durable));
            }
            Err(AppendError::Flush(cause)) => {
                self.log.fail();
                error!(%cause, "server stops: a flush of the log failed; check the disk");
                return Err(cause).context("cannot flush the log");
            }
            Err(AppendError::Write(cause)) => {
                warn!(%cause, "server cannot write the log and refuses requests; free disk space");
                self.published.record_write_failure();
                let state = self.published.state();
                self.send_completion(Completion::WriteFailed(Box::new(state.into())));
            }
        }
        self.progress.reported += 1;
        Ok(())
    }

    /// Does what is due at intervals.
    fn poll(&mut self) -> anyhow::Result<()> {
        let last_poll = self.progress.last_poll;
        if last_poll.is_none_or(|last_poll| last_poll.elapsed() >= POLL_INTERVAL) {
            self.progress.last_poll = Some(Instant::now());
            self.files.retry();
            self.report_writability();
        }
        let stage = self.progress.snapshot_stage.take();
        self.progress.snapshot_stage = self.advance_snapshot(stage)?;
        Ok(())
    }

    /// Reports each file that has become writable or unwritable to the service loop.
    fn report_writability(&mut self) {
        for (file, writable) in self.files.take_writability_changes() {
            if writable {
                info!(%file, "server can write the file again and accepts appends to it");
            } else {
                warn!(%file, "server refuses appends to the file until it can write it");
            }
            self.send_completion(Completion::WritabilityChanged(file, writable));
        }
    }

    fn run_log_maintenance(&mut self) -> anyhow::Result<()> {
        match self.log.run_maintenance() {
            Err(AppendError::Flush(cause)) => Err(cause).context("cannot flush the log"),
            Ok(()) | Err(AppendError::Write(_)) => Ok(()),
        }
    }

    /// Advances the snapshot that is being made, or starts one if the log has grown enough. Long
    /// work is done by other threads; nothing here waits for it.
    fn advance_snapshot(
        &mut self,
        stage: Option<SnapshotStage>,
    ) -> anyhow::Result<Option<SnapshotStage>> {
        match stage {
            None => {
                let is_due = self.progress.is_snapshot_overdue
                    || self.log.bytes_since_snapshot() >= SNAPSHOT_AFTER_BYTES;
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
            Some(SnapshotStage::Writing(written)) => match written.try_recv() {
                Ok(result) => self.finish_writing(result),
                Err(TryRecvError::Empty) => Ok(Some(SnapshotStage::Writing(written))),
                Err(TryRecvError::Disconnected) => Ok(None),
            },
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
        debug!("server starts a snapshot");
        let published = self.published.clone();
        let (path, previous) = (self.files_path.clone(), Arc::clone(&self.file_checksums));
        let encode = move || {
            let (state, position) = published.state_and_position();
            let lengths = state.files().iter().map(|(name, file)| (name, file.len()));
            let file_checksums = extend_checksums(&path, lengths, &previous);
            let bytes = log::encode_state(&state, file_checksums.clone());
            EncodedSnapshot { position, bytes, file_checksums: Arc::new(file_checksums) }
        };
        run_in_thread(encode).map(SnapshotStage::Encoding)
    }

    /// Flushes the files. The log drops what the snapshot covers, so the files must contain it
    /// durably first.
    fn start_flushing(&mut self, snapshot: EncodedSnapshot) -> Option<SnapshotStage> {
        debug!(bytes = snapshot.bytes.len(), "server has encoded the snapshot");
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
        flush: &files::Flush,
        flushed: FlushedSnapshot,
    ) -> anyhow::Result<Option<SnapshotStage>> {
        let FlushedSnapshot { snapshot, result } = flushed;
        match result {
            Ok(()) => {}
            Err(error @ FlushError::Missing { .. }) => {
                warn!(%error, "a guarded file is missing; restore it while the server is stopped");
                self.files.requeue_flush(flush);
            }
            Err(error @ FlushError::CannotOpen { .. }) => {
                warn!(%error, "server takes no snapshot; correct the file's permissions");
                self.files.requeue_flush(flush);
                return Ok(Some(SnapshotStage::BackingOff(Instant::now() + SNAPSHOT_RETRY_DELAY)));
            }
            Err(error @ FlushError::Sync { .. }) => {
                return Err(error).context("cannot flush the guarded files");
            }
        }
        let writer = self.log.begin_snapshot();
        // It is made again unless it is written.
        self.progress.is_snapshot_overdue = true;
        self.file_checksums = Arc::clone(&snapshot.file_checksums);
        let write = move || writer.write(&snapshot.position, &snapshot.bytes);
        Ok(run_in_thread(write).map(SnapshotStage::Writing))
    }

    fn finish_writing(
        &mut self,
        result: Result<(), AppendError>,
    ) -> anyhow::Result<Option<SnapshotStage>> {
        match result {
            Ok(()) => {
                debug!("the snapshot is complete");
                self.progress.is_snapshot_overdue = false;
                Ok(None)
            }
            Err(AppendError::Write(cause)) => {
                warn!(%cause, "server cannot write a snapshot; free disk space");
                Ok(Some(SnapshotStage::BackingOff(Instant::now() + SNAPSHOT_RETRY_DELAY)))
            }
            Err(AppendError::Flush(cause)) => {
                error!(%cause, "server stops: a flush of a snapshot failed; check the disk");
                Err(cause).context("cannot flush a snapshot")
            }
        }
    }

    fn send_completion(&self, completion: Completion) {
        // After the loop has ended, nothing receives completions.
        let _ = self.completions.send(completion);
        if let Err(error) = self.waker.wake() {
            error!(%error, "server cannot wake its event loop");
        }
    }
}

/// Runs `task` in a new thread and returns the receiver of its result, or `None` if no thread can
/// be started now.
fn run_in_thread<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<Receiver<T>> {
    let (sender, receiver) = channel();
    let run = move || {
        // The receiver is gone if the server has stopped meanwhile.
        let _ = sender.send(task());
    };
    thread::Builder::new().name("snapshot".to_owned()).spawn(run).ok().map(|_| receiver)
}
