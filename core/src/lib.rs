//! The deterministic heart of leasehold: what a lock server decides and what its clients may
//! believe, without a socket, a clock, a thread or a draw of luck of its own.
//!
//! Time and chance are arguments, so the native server, the tests and the browser run the very
//! same code. From the bottom up: units and names ([`time`], [`id`], [`limits`], …), [`event`]
//! (everything that can happen), [`wire`] (requests and replies as datagrams), [`state`] (what is
//! so), [`service`] (what a datagram leads to), [`client`] (what a client does and believes). Each
//! may use only those before it.

pub mod chunked_queue;
pub mod client;
pub mod data;
pub mod describe;
pub mod digest;
pub mod event;
pub mod id;
pub mod limits;
pub mod op;
pub mod protections;
pub mod refusal;
pub mod rng;
pub mod secret;
pub mod service;
pub mod state;
pub mod time;
pub mod wire;
