//! A log of the steps of a test, for the reader of a failure.

use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

static ON_STANDARD_ERROR: AtomicBool = AtomicBool::new(false);

/// Prints one line: the seconds since the first line, the actor, and the message.
pub fn log(actor: &str, message: impl Display) {
    let line = format!("{:9.3} {actor:<12} {message}", started().elapsed().as_secs_f64());
    if ON_STANDARD_ERROR.load(Ordering::Relaxed) {
        eprintln!("{line}");
    } else {
        // The test runner captures what this macro prints, but not direct writes to the stream.
        println!("{line}");
    }
}

/// Sends the log to standard error, for a program that answers on standard output.
pub fn log_to_standard_error() {
    ON_STANDARD_ERROR.store(true, Ordering::Relaxed);
}

fn started() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}
