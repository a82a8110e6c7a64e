//! The lock server as a library: what `leasehold serve` consists of.
//!
//! Each layer uses only the layers before it: the service loop, which decides; storage, which makes
//! decisions durable; publication, which shows what is durable; HTTP and the page.

pub mod clock;
pub mod data_dir;
pub mod datagrams;
pub mod entropy;
pub mod files;
pub mod group_commit;
pub mod http;
pub mod log;
pub mod published;
pub mod recovery;
pub mod restore;
pub mod serve;
pub mod service_driver;
pub mod service_loop;
pub mod standard_error;
pub mod state_file;
pub mod storage;
