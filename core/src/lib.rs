//! The deterministic core of Leasehold, a lock server with leases: what the server decides, and
//! what its clients may believe.
//!
//! The crate has no socket, file, clock, thread or source of randomness. Time and entropy are
//! arguments, so the native server, the simulator and the web page run the same code, and a
//! recorded list of inputs replays a run exactly.
//!
//! # A lock service as a state machine
//!
//! - An **input** is a datagram, an expired timer, or a report about the disk.
//! - A **decision** turns an input and the current [`state`] into events. It is made by
//!   [`service::LockServer`], and nowhere else.
//! - An **event** ([`event::EventKind`]) is a decision that was made. [`state::State::apply`] is
//!   the only way to change the state; service, recovery and simulation all use it.
//! - A **reply** is a promise. It stays inside the [`service::Step`] until the log has made the
//!   events that it depends on durable.
//! - The **outbox** ([`service::Outbox`]) holds the replies that wait for the log.
//!
//! For each input, the caller
//!
//! 1. passes the input and the time to the server, and receives a [`service::Step`];
//! 2. moves the step into the outbox, sends the replies that are released at once, and appends the
//!    events to its log;
//! 3. when the log is flushed, reports [`service::Durable`] to the server and to the outbox, and
//!    sends the replies that this releases;
//! 4. calls the server again at [`service::LockServer::next_deadline`], or earlier with the next
//!    input.
//!
//! ```
//! use leasehold_core::id::Peer;
//! use leasehold_core::service::{Config, Durable, Input, LockServer, Outbox, StartParams};
//! use leasehold_core::time::Time;
//!
//! let (mut server, step) =
//!     LockServer::start(Config::default(), StartParams::default(), Time::ZERO);
//! let (mut outbox, mut replies) = (Outbox::default(), Vec::new());
//! let mut log = outbox.hold(step, &mut replies);
//!
//! let now = Time::from_millis(5);
//! let from = Peer::new(([127, 0, 0, 1], 4_000).into());
//! let bytes = br#"{"v":1,"op":"hello","client":"me","nonce":"00000000000000a1"}"#;
//! let step = server.handle(now, Input::Datagram { from, bytes, entropy: 0x5eed });
//! log.extend(outbox.hold(step, &mut replies));
//! assert!(replies.is_empty(), "the session is not durable yet");
//!
//! // The caller writes `log` to disk and flushes it.
//! let durable = Durable { through: server.last_index() };
//! outbox.release_durable(durable, &mut replies);
//! assert_eq!(replies[0].reply.status.code(), "welcome");
//! ```
//!
//! # Modules
//!
//! A module uses only modules before it in this list: units and identifiers ([`time`], [`id`],
//! [`limits`], …), [`event`], [`wire`] (requests and replies as datagrams), [`state`], [`service`]
//! and [`client`] (the state machine of a client).

pub mod chunked_queue;
pub mod client;
pub mod data;
pub mod describe;
pub mod digest;
pub mod event;
pub mod fields;
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
