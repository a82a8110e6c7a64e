//! Standard error, best effort: it may be closed, full or broken, or its reader may have stopped.
//!
//! - A write never fails or panics, and it does not block for long: what cannot be written is
//!   dropped.
//! - The log of the server is written by a thread of its own, through a queue.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// The longest wait until standard error accepts a message: 50 ms, a fifth of the shortest lease.
const WAIT_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The longest write, in bytes. A pipe that accepts data has at least this much space (`PIPE_BUF`).
const WRITE_LEN_MAX: usize = 4_096;

/// The number of writes that the queue of the log holds. Further ones are dropped until there is
/// space.
const QUEUE_LEN_MAX: usize = 4_096;

/// The thread that writes the log. It is started with the first write.
struct Background {
    writer: NonBlocking,
    guard: Mutex<Option<WorkerGuard>>,
}

static BACKGROUND: OnceLock<Background> = OnceLock::new();

/// Writes a formatted line to standard error, best effort.
#[macro_export]
macro_rules! report {
    ($($argument:tt)*) => {
        $crate::standard_error::write(::std::format_args!(
            "{}\n",
            ::std::format_args!($($argument)*)
        ))
    };
}

/// Writes text to standard error, best effort.
pub fn write(text: fmt::Arguments<'_>) {
    // One write for each message, so that those of several processes do not mix.
    for chunk in text.to_string().as_bytes().chunks(WRITE_LEN_MAX) {
        if !is_writable() || io::stderr().write_all(chunk).is_err() {
            return;
        }
    }
}

fn is_writable() -> bool {
    let stderr = io::stderr();
    poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&WAIT_MAX)).is_ok_and(|ready| ready > 0)
}

/// Returns the writer of the log, whose writes succeed at once.
pub fn log_writer() -> NonBlocking {
    let background = BACKGROUND.get_or_init(|| {
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUE_LEN_MAX)
            .lossy(true)
            .thread_name("log")
            .finish(BestEffort);
        Background { writer, guard: Mutex::new(Some(guard)) }
    });
    background.writer.clone()
}

/// Waits until the log has been written, or for a second if that is impossible. To be called before
/// the process exits; later lines may be dropped.
pub fn flush_log() {
    let Some(background) = BACKGROUND.get() else { return };
    drop(background.guard.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Standard error without errors: a failed write counts as written.
struct BestEffort;

impl Write for BestEffort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
