//! Decodes arbitrary bytes as a request datagram. The server does this for every datagram it
//! receives.
#![no_main]

use leasehold_core::wire::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Request::decode(bytes);
});
