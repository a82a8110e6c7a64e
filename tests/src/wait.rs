//! Waiting for a condition, with a limit that only a broken program reaches.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once.
///
/// A slow machine that runs many tests at a time is not slow by half a minute.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// How often a condition is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `poll` until it returns a value.
///
/// # Panics
/// If that takes longer than [`WAIT_LIMIT`]; the message names `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_LIMIT;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        thread::sleep(POLL_INTERVAL);
    }
}
