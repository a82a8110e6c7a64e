//! Decodes arbitrary bytes as a reply datagram. A client does this for every datagram it receives.
#![no_main]

use leasehold_core::wire::Reply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Reply::decode(bytes);
});
