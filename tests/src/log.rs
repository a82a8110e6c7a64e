//! What happened in a test, line by line, for the reader of a failure.

use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that should come at once. Only a broken program takes this
/// long: machines that run many tests at a time are slow, but not by half a minute.
pub const PATIENCE: Duration = Duration::from_secs(30);

static ON_STANDARD_ERROR: AtomicBool = AtomicBool::new(false);

/// Prints one line of the story: seconds since the first line, who, and what.
pub fn tell(who: &str, what: impl Display) {
    let line = format!("{:9.3} {who:<12} {what}", started().elapsed().as_secs_f64());
    if ON_STANDARD_ERROR.load(Ordering::Relaxed) {
        eprintln!("{line}");
    } else {
        // Not straight to the stream: the test runner keeps what this macro prints.
        println!("{line}");
    }
}

/// Tells the story on standard error, in a program whose standard output is for answers.
pub fn tell_on_standard_error() {
    ON_STANDARD_ERROR.store(true, Ordering::Relaxed);
}

/// Looks every 10 ms until `look` finds something. Panics, naming `what`, after [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn started() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}
