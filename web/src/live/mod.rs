//! Live: what happens on the server that served this page, as it happens.

mod feed;
mod file_text;
mod model;
mod rows;
#[cfg(target_arch = "wasm32")]
mod socket;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
