//! Decodes arbitrary bytes as one batch of events in the log, as recovery does at every start.
#![no_main]

use leasehold_server::log::decode_batch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_batch(bytes);
});
