//! Sources of what the page shows: the event stream of a server, and a search in a worker.
//!
//! Nothing here names another layer of the page.

pub(crate) mod connection;
pub(crate) mod resume_point;
pub(crate) mod search_protocol;
#[cfg(target_arch = "wasm32")]
pub(crate) mod search_worker;
pub(crate) mod server_clock;
#[cfg(target_arch = "wasm32")]
pub(crate) mod socket;
