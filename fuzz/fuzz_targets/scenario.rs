//! Reads arbitrary text as a scenario, as the page does when a user opens a file.
#![no_main]

use leasehold_core::json;
use leasehold_sim::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = json::read::<Scenario>(text);
});
