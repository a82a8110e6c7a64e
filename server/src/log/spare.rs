//! The segment that is allocated in advance: so that starting a segment takes no time, and so that
//! the log can continue for a while on a full disk.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::format::SPARE;
use super::medium::{LogFile, Medium};

/// After a failure, the next attempt starts no earlier than this.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The size of a write.
const CHUNK: usize = 256 << 10;

/// The spare segment.
#[derive(Debug)]
pub(super) struct Spare {
    medium: Arc<dyn Medium>,
    len: u64,
    in_background: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Absent { retry_at: Option<Instant> },
    Allocating(JoinHandle<io::Result<()>>),
    Ready,
}

impl Spare {
    /// Returns a spare that is not allocated yet. A thread allocates it if `in_background` is set,
    /// and otherwise the caller of [`Spare::prepare`].
    pub(super) const fn new(medium: Arc<dyn Medium>, len: u64, in_background: bool) -> Self {
        Self { medium, len, in_background, stage: Stage::Absent { retry_at: None } }
    }

    /// Allocates the spare if it is absent, or starts to.
    pub(super) fn prepare(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Allocating(thread) if thread.is_finished() => joined(thread),
            Stage::Absent { retry_at } if retry_at.is_none_or(|at| at <= Instant::now()) => {
                self.start()
            }
            stage @ (Stage::Ready | Stage::Allocating(_) | Stage::Absent { .. }) => stage,
        };
    }

    fn start(&self) -> Stage {
        let (medium, len) = (Arc::clone(&self.medium), self.len);
        let allocate = move || allocate(&*medium, len);
        if !self.in_background {
            return finished(&allocate());
        }
        let thread = thread::Builder::new().name("spare".to_owned()).spawn(allocate);
        thread.map_or_else(|_| absent(), Stage::Allocating)
    }

    /// Returns the spare, which has at least this length, for [`Spare::use_up`].
    ///
    /// # Errors
    /// If it is absent and cannot be allocated.
    pub(super) fn get(&mut self, len_min: u64) -> io::Result<(Arc<dyn LogFile>, u64)> {
        self.stage = match std::mem::replace(&mut self.stage, absent_at(None)) {
            Stage::Allocating(thread) => joined(thread),
            stage @ (Stage::Ready | Stage::Absent { .. }) => stage,
        };
        // A longer one than usual is allocated for a single huge batch.
        let is_ready = matches!(self.stage, Stage::Ready) && len_min <= self.len;
        let len = self.len.max(len_min);
        if !is_ready {
            if let Stage::Absent { retry_at: Some(at) } = self.stage
                && Instant::now() < at
            {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "there is no free segment"));
            }
            let result = allocate(&*self.medium, len);
            self.stage = if len == self.len { finished(&result) } else { absent() };
            result?;
        }
        Ok((self.medium.open(SPARE)?, len))
    }

    /// Records that the spare has become a segment.
    pub(super) fn use_up(&mut self) {
        self.stage = absent_at(None);
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Stage::Allocating(thread) = std::mem::replace(&mut self.stage, Stage::Ready) {
            let _ = thread.join();
        }
    }
}

fn joined(thread: JoinHandle<io::Result<()>>) -> Stage {
    thread.join().map_or_else(|_| absent(), |result| finished(&result))
}

fn finished(result: &io::Result<()>) -> Stage {
    if result.is_ok() { Stage::Ready } else { absent() }
}

fn absent() -> Stage {
    absent_at(Some(Instant::now() + RETRY_DELAY))
}

const fn absent_at(retry_at: Option<Instant>) -> Stage {
    Stage::Absent { retry_at }
}

/// Allocates a file of zeros, unless there is one already. They are written, not only reserved:
/// otherwise the first flush of each page would also have to change the file's metadata.
pub(super) fn allocate(medium: &dyn Medium, len: u64) -> io::Result<()> {
    // On a full disk, the one of the previous run could not be replaced.
    if is_allocated(medium, len) {
        return medium.open(SPARE)?.sync();
    }
    let fill = || {
        let file = medium.create(SPARE, len)?;
        let mut offset = 0;
        while offset < len {
            let chunk_len = (len - offset).min(CHUNK as u64);
            let chunk = vec![0; usize::try_from(chunk_len).map_err(io::Error::other)?];
            file.write_at(&chunk, offset)?;
            offset += chunk_len;
        }
        // If this fails, nothing is lost: the file is not in use yet, and is not going to be.
        file.sync()
    };
    fill().inspect_err(|_| {
        // Part of the space may have been taken, which the log may need elsewhere.
        let _ = medium.remove(SPARE);
    })
}

fn is_allocated(medium: &dyn Medium, len: u64) -> bool {
    let bytes = medium.read(SPARE);
    bytes.is_ok_and(|bytes| bytes.len() as u64 == len && bytes.iter().all(|byte| *byte == 0))
}
