//! Where what is shown comes from: a server's stream, or a search in a worker.

pub(crate) mod clock;
pub(crate) mod connection;
#[cfg(target_arch = "wasm32")]
pub(crate) mod socket;
#[cfg(target_arch = "wasm32")]
pub(crate) mod worker;
