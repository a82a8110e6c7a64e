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
use leasehold_core::id::Index;
use mio::Waker;
use tracing::{debug, error, info, warn};

use crate::files::{FileStore, Flush, FlushError};
use crate::journal::{self, AppendError, Journal as _, RedbJournal};
use crate::published::Published;
use crate::service_loop::Completion;

/// How often to look after files that could not be written, and, where nothing else is to be
/// stored, after the snapshot.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A snapshot is taken after this many bytes of events: it bounds the journal, and the time that
/// recovery takes.
const SNAPSHOT_AFTER_BYTES: u64 = 64 << 20;

/// How long to wait until the next snapshot where a file could not be flushed: each is a lot of
/// work, and somebody has to look after that file first.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(10);

/// Owns the journal and the files.
pub struct Storage {
    /// Where events go first.
    pub journal: RedbJournal,
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
enum Making {
    /// The state is being encoded.
    Encoding(Receiver<Snapshot>),
    /// The files are being flushed.
    Flushing(Arc<Flush>, Receiver<Flushed>),
    /// It came to nothing. Another is tried from this moment on.
    Resting(Instant),
}

/// A state that goes up to an event, encoded.
struct Snapshot {
    index: Index,
    bytes: Vec<u8>,
}

/// A snapshot, and what became of the flush that has to come before it.
struct Flushed {
    snapshot: Snapshot,
    result: Result<(), FlushError>,
}

impl Storage {
    /// Stores what comes until the loop is gone.
    ///
    /// # Errors
    /// Where a flush failed: what the disk holds is unknown then, so nothing can be promised any
    /// more and the process has to end.
    pub fn run(mut self, batches: &Receiver<Vec<Event>>) -> anyhow::Result<()> {
        let mut making = None;
        let mut looked_at = Instant::now();
        self.tell_writable();
        loop {
            match batches.recv_timeout(LOOK_EVERY) {
                Ok(batch) => self.store(batch)?,
                Err(RecvTimeoutError::Timeout) => self.work()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return self.files.sync_all().context("the files could not be flushed");
                }
            }
            if looked_at.elapsed() >= LOOK_EVERY {
                looked_at = Instant::now();
                self.files.retry();
                self.tell_writable();
            }
            making = self.look_after_snapshot(making)?;
        }
    }

    fn store(&mut self, batch: Vec<Event>) -> anyhow::Result<()> {
        match self.journal.append(&batch) {
            Ok(stored) => {
                self.files.write(&batch);
                self.tell_writable();
                self.published.publish(batch);
                self.complete(Completion::Stored(stored));
                Ok(())
            }
            Err(AppendError::Flush(cause)) => {
                error!(%cause, "a flush failed; nobody knows what the disk holds, so it ends");
                Err(cause).context("a flush of the journal failed")
            }
            Err(AppendError::Write(cause)) => {
                warn!(%cause, "the journal can't be written; nothing of this batch was done");
                let state = self.published.state();
                self.complete(Completion::Failed(Box::new(state.into())));
                Ok(())
            }
        }
    }

    /// Tells the loop of every file that it has become impossible, or possible, to write.
    fn tell_writable(&mut self) {
        for (file, writable) in self.files.changes() {
            if writable {
                info!(%file, "the file can be written again");
            } else {
                warn!(%file, "the file can't be written: appends to it are refused until it can");
            }
            self.complete(Completion::Writable(file, writable));
        }
    }

    fn work(&mut self) -> anyhow::Result<()> {
        match self.journal.work() {
            Err(AppendError::Flush(cause)) => Err(cause).context("a flush of the journal failed"),
            Ok(()) | Err(AppendError::Write(_)) => Ok(()),
        }
    }

    /// Goes on with the snapshot that is being made, or begins one when it is due. What takes long
    /// is done by other threads: here nothing waits for it.
    fn look_after_snapshot(&mut self, making: Option<Making>) -> anyhow::Result<Option<Making>> {
        match making {
            None => {
                let due = self.journal.bytes_since_snapshot() >= SNAPSHOT_AFTER_BYTES
                    && !self.journal.is_writing_snapshot();
                Ok((due && self.files.is_complete()).then(|| self.encode_snapshot()).flatten())
            }
            Some(Making::Encoding(encoded)) => match encoded.try_recv() {
                Ok(snapshot) => Ok(self.flush_files(snapshot)),
                Err(TryRecvError::Empty) => Ok(Some(Making::Encoding(encoded))),
                Err(TryRecvError::Disconnected) => Ok(None),
            },
            Some(Making::Resting(until)) => {
                Ok((Instant::now() < until).then_some(Making::Resting(until)))
            }
            Some(Making::Flushing(flush, flushed)) => match flushed.try_recv() {
                Ok(flushed) => self.begin_snapshot(&flush, flushed),
                Err(TryRecvError::Empty) => Ok(Some(Making::Flushing(flush, flushed))),
                Err(TryRecvError::Disconnected) => {
                    self.files.flush_again(&flush);
                    Ok(None)
                }
            },
        }
    }

    fn encode_snapshot(&self) -> Option<Making> {
        debug!("a snapshot is begun");
        let published = self.published.clone();
        let encode = move || {
            let state = published.state();
            Snapshot { index: state.index(), bytes: journal::encode_snapshot(&state) }
        };
        in_thread(encode).map(Making::Encoding)
    }

    /// What the snapshot covers leaves the journal, so the files have to hold it by then.
    fn flush_files(&mut self, snapshot: Snapshot) -> Option<Making> {
        debug!(bytes = snapshot.bytes.len(), "the snapshot is encoded");
        let flush = Arc::new(self.files.begin_flush()?);
        let its = Arc::clone(&flush);
        let run = move || {
            let result = its.run();
            Flushed { snapshot, result }
        };
        let Some(flushed) = in_thread(run) else {
            self.files.flush_again(&flush);
            return None;
        };
        Some(Making::Flushing(flush, flushed))
    }

    fn begin_snapshot(
        &mut self,
        flush: &Flush,
        flushed: Flushed,
    ) -> anyhow::Result<Option<Making>> {
        let Flushed { snapshot, result } = flushed;
        match result {
            Ok(()) => {}
            Err(error @ FlushError::Gone { .. }) => {
                warn!(%error, "the file is not what was appended to it any more");
                self.files.flush_again(flush);
            }
            Err(error @ FlushError::Shut { .. }) => {
                warn!(%error, "no snapshot is taken, and the journal grows, until it can");
                self.files.flush_again(flush);
                return Ok(Some(Making::Resting(Instant::now() + SNAPSHOT_PAUSE)));
            }
            Err(error @ FlushError::Failed { .. }) => {
                return Err(error).context("the files could not be flushed");
            }
        }
        self.journal.begin_snapshot(snapshot.index, snapshot.bytes);
        Ok(None)
    }

    fn complete(&self, completion: Completion) {
        // Where the loop has ended nobody waits for it.
        let _ = self.completions.send(completion);
        if let Err(error) = self.waker.wake() {
            error!(%error, "the loop can't be woken");
        }
    }
}

/// Does something in a thread of its own, and gives what it comes to; nothing where there can be
/// no thread just now.
fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<Receiver<T>> {
    let (sender, receiver) = channel();
    let run = move || {
        // Nobody listens any more where the server has ended meanwhile.
        let _ = sender.send(work());
    };
    thread::Builder::new().name("snapshot".to_owned()).spawn(run).ok().map(|_| receiver)
}
