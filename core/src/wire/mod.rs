//! Requests and replies as JSON datagrams. Knows how things are written, and no rules.
//!
//! - Bytes from the network become types here, once, and nothing further in checks them again.
//! - No bytes can make it panic, and its work is bounded by their number.

mod fields;
mod mac;
mod quick;
mod reply;
mod request;
mod text;

pub use mac::{Key, open, seal, seal_from};
pub use reply::{BadReply, Reply, Status};
pub use request::{Cookie, Malformed, Operation, Request};
