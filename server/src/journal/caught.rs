//! Turns a panic over bytes that were never written by this program into an error.
//!
//! Garbage can make any reader stumble over an assertion: that is damage, not a bug, and the
//! operator is told of it in one line, not by a panic's report.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::{OpenError, damaged};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `read`, and takes a panic in it for damage.
pub(super) fn catch<T>(read: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                report(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    QUIET.set(before);
    result.unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(damaged(format_args!("what it says can't have happened: {why}")))
    })
}
