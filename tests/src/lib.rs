//! The harness of the end-to-end tests: the real program in a process, clients that control each
//! packet they send, and a relay that injects network faults between them.
//!
//! The harness implements the protocol and the HTTP interface as they are documented and uses none
//! of the project's own crates, so that a mistake in their reading of the protocol is not repeated
//! here. It is a library because it can test any server that speaks the protocol.
//!
//! Each step is logged to standard output, which the test runner shows if a test fails.

#[cfg(feature = "browser")]
pub mod browser;
pub mod client;
pub mod client_process;
pub mod color;
pub mod command;
pub mod data_dir;
pub mod datagram;
pub mod event_stream;
pub mod http;
pub mod log;
#[cfg(feature = "browser")]
pub mod page_host;
pub mod process;
pub mod relay;
pub mod rng;
pub mod server;
pub mod small_disk;
pub mod storm;
#[cfg(target_os = "linux")]
pub mod terminal;
#[cfg(feature = "browser")]
pub mod visual_audit;
pub mod wait;
