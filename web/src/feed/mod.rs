//! Where what is shown comes from: a server's stream, or a search in a worker.

pub(crate) mod connection;
#[cfg(target_arch = "wasm32")]
pub(crate) mod search_worker;
pub(crate) mod server_clock;
#[cfg(target_arch = "wasm32")]
pub(crate) mod socket;
