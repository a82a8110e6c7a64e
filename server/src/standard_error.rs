//! Standard error, best effort: it may be closed, full or broken, or nobody may read it.
//!
//! - A write never fails, panics or blocks: a thread of its own writes, and what does not fit its
//!   queue is dropped.
//! - The order of the writes is kept.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// The number of writes that the queue holds. Further ones are dropped until there is space.
const QUEUE_LEN_MAX: usize = 4_096;

/// The thread that writes. It is started with the first write.
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
    // One write for each call, so that lines of several threads do not mix.
    let _ = writer().write_all(text.to_string().as_bytes());
}

/// Returns a writer to standard error whose writes succeed at once.
pub fn writer() -> NonBlocking {
    background().writer.clone()
}

/// Waits until everything has been written, or for a second if that is impossible. To be called
/// before the process exits; later writes may be dropped.
pub fn flush() {
    let Some(background) = BACKGROUND.get() else { return };
    let guard = background.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(guard);
}

fn background() -> &'static Background {
    BACKGROUND.get_or_init(|| {
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUE_LEN_MAX)
            .lossy(true)
            .thread_name("standard-error")
            .finish(BestEffort);
        Background { writer, guard: Mutex::new(Some(guard)) }
    })
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
