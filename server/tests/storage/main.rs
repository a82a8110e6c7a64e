//! The storage under faults: power cuts, full disks, failed flushes, damaged bytes, tampering.

#![allow(unreachable_pub, reason = "the modules share their items")]

use std::thread;
use std::time::{Duration, Instant};

mod batch;
mod chain;
mod conversion;
mod damage;
mod faults;
mod files;
mod pipeline;
mod power_cuts;
mod simulated_medium;
mod workload;

/// Waits until `condition` holds. The limit is generous, so that only a condition that never holds
/// fails the test.
#[track_caller]
fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "timeout: {description}");
        thread::sleep(Duration::from_millis(1));
    }
}
