//! The storage thread: makes batches durable, writes out what was appended, and then, not
//! before, lets clients and viewers know.
//!
//! The order is what everything rests on: journal, files, the published state, and only then the
//! loop, which lets the replies go.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leasehold_core::event::Event;
use leasehold_core::id::Index;
use mio::Waker;
use tracing::{debug, error, info, warn};

use crate::files::FileStore;
use crate::journal::{self, AppendError, Journal as _, RedbJournal};
use crate::published::Published;
use crate::service_loop::Completion;

/// How often to look after files that could not be written, and, where nothing else is to be
/// stored, after the snapshot.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A snapshot is taken after this many bytes of events: it bounds the journal, and the time that
/// recovery takes.
const SNAPSHOT_AFTER_BYTES: u64 = 64 << 20;

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

/// A snapshot that is being encoded by a thread of its own.
type Encoding = Receiver<(Index, Vec<u8>)>;

impl Storage {
    /// Stores what comes until the loop is gone.
    ///
    /// # Errors
    /// Where a flush failed: what the disk holds is unknown then, so nothing can be promised any
    /// more and the process has to end.
    pub fn run(mut self, batches: &Receiver<Vec<Event>>) -> anyhow::Result<()> {
        let mut encoding = None;
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
            encoding = self.look_after_snapshot(encoding)?;
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
                self.complete(Completion::Failed(Box::new(state)));
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

    /// Begins a snapshot when one is due: encoded by another thread, written piece by piece.
    fn look_after_snapshot(
        &mut self,
        encoding: Option<Encoding>,
    ) -> anyhow::Result<Option<Encoding>> {
        let Some(encoding) = encoding else {
            let due = self.journal.bytes_since_snapshot() >= SNAPSHOT_AFTER_BYTES;
            return Ok((due && self.files.is_complete()).then(|| self.encode_snapshot()).flatten());
        };
        let Ok((index, bytes)) = encoding.try_recv() else { return Ok(Some(encoding)) };
        // What the snapshot covers leaves the journal, so the files have to hold it by then.
        if !self.files.is_complete() {
            return Ok(None);
        }
        self.files.sync_all().context("the files could not be flushed")?;
        debug!(bytes = bytes.len(), "the snapshot is encoded");
        self.journal.begin_snapshot(index, bytes);
        Ok(None)
    }

    fn encode_snapshot(&self) -> Option<Encoding> {
        debug!("a snapshot is begun");
        let (sender, receiver) = channel();
        let published = self.published.clone();
        let encode = move || {
            let state = published.state();
            // Nobody listens any more where the server has ended meanwhile.
            let _ = sender.send((state.index(), journal::encode_snapshot(&state)));
        };
        thread::Builder::new().name("snapshot".to_owned()).spawn(encode).ok().map(|_| receiver)
    }

    fn complete(&self, completion: Completion) {
        // Where the loop has ended nobody waits for it.
        let _ = self.completions.send(completion);
        if let Err(error) = self.waker.wake() {
            error!(%error, "the loop can't be woken");
        }
    }
}
