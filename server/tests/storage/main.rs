//! The storage under faults: power cuts, full disks, failing flushes, damaged bytes, tampering.

#![allow(
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    reason = "nothing here is for anybody else, and what isn't expected is a failure"
)]

mod damage;
mod disk;
mod faults;
mod files;
mod power;
mod record;
mod run;
mod tail;
mod tail_faults;
