//! Requests and replies as JSON datagrams. Knows how things are written, and no rules.
//!
//! - Bytes from the network become types here, once, and nothing further in checks them again.
//! - No bytes can make it panic, and its work is bounded by their number.

mod mac;
mod object_writer;
mod quick;
mod reply;
mod request;
mod request_fields;

pub use mac::{MacKey, append_mac, append_mac_from, verify_mac};
pub use reply::{DecodeReplyError, Reply, Status};
pub use request::{Cookie, DecodeRequestError, Operation, Request};
