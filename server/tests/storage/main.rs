//! The storage under faults: power cuts, full disks, failing flushes, damaged bytes, tampering.

#![allow(
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    reason = "nothing here is for anybody else, and what isn't expected is a failure"
)]

mod damage;
mod faults;
mod files;
mod power_cuts;
mod record;
mod simulated_disk;
mod tail;
mod tail_faults;
mod workload;
