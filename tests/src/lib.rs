//! The harness of the end-to-end tests: the real program as a process, clients whose every packet
//! is the test's own, and a network between them that fails when told to.
//!
//! It knows nothing but what the protocol and the interface promise to everybody: no crate of the
//! house is used in here, so a mistake in the core's reading of the protocol is not repeated.
//!
//! Each step is printed. The test runner shows what a failed test printed, which is its story.

#[cfg(feature = "browser")]
pub mod browser;
pub mod client;
pub mod client_process;
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
pub mod storm;
