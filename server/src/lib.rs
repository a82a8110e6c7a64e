//! The lock server as a library: what `leasehold serve` is made of, from the inside out: the loop
//! that decides, the storage that makes it last, what may be seen of it, and the page.

pub mod clock;
pub mod datagrams;
pub mod entropy;
pub mod files;
pub mod group_commit;
pub mod http;
pub mod journal;
pub mod published;
pub mod recovery;
pub mod serve;
pub mod service_driver;
pub mod service_loop;
pub mod state_file;
pub mod storage;
