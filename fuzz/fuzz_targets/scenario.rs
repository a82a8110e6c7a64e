//! Reads arbitrary text as a scenario, as the page does when a user opens a file.
#![no_main]

use leasehold_sim::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = serde_json::from_str::<Scenario>(text);
});
