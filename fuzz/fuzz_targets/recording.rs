//! Reads arbitrary text as a recording, as the page does when a user opens a file.
#![no_main]

use leasehold_sim::Recording;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Recording::from_json(text);
});
