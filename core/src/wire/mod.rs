//! The wire protocol: encodes and decodes requests and replies as JSON datagrams.
//!
//! - Datagrams are parsed into types here and nowhere else. Code behind this module does not
//!   validate their fields again.
//! - No input can cause a panic, and the work is proportional to the length of the input.
//! - The rules of the protocol (what is granted, refused or cached) are in the `service` module.

mod mac;
mod object_writer;
mod reply;
mod request;
mod request_fields;

pub use mac::{MacKey, append_mac, append_mac_from, verify_mac};
pub use reply::{DecodeReplyError, Reply, Status};
pub use request::{Cookie, DecodeRequestError, Operation, Request};
