//! A client of the Leasehold lock server, for tokio programs.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), leasehold_client::Error> {
//! # let server = leasehold_client::testing::TestServer::start();
//! # let addr = server.addr();
//! use leasehold_client::Client;
//!
//! let client = Client::connect(addr, "client_1").await?;
//! let guard = client.lock("file_0").await?;
//! guard.append("Log entry from client_1 writing to file_0\n").await?;
//! guard.release().await?;
//! client.close().await?;
//! # assert_eq!(server.file_contents("file_0"), b"Log entry from client_1 writing to file_0\n");
//! # Ok(())
//! # }
//! ```
//!
//! A lock is held under a *lease*. The client renews it by heartbeats in the background. If the
//! server does not receive a request for the duration of the lease, the client loses its locks. So
//! a lock can be lost at any time. There are three ways to deal with that, from the strongest to
//! the weakest:
//!
//! - [`LockGuard::append`] sends the guard's *fencing token*, and the server rejects appends with
//!   an old token. Do the same with your own storage: send [`LockGuard::token`] with each write,
//!   and reject tokens that are smaller than the largest one so far.
//! - [`LockGuard::is_held`] compares the clock with the lease that the server has confirmed. While
//!   it returns `true`, no other client holds the lock.
//! - [`LockGuard::lost`] completes when the lock is lost, which interrupts a task that is waiting.
//!
//! To cancel a request for a lock, drop its future: the client leaves the wait queue. Do not block
//! the runtime's thread for longer than a third of the lease, because heartbeats are sent from it.
//!
//! The folder `examples` contains a mutex, a leader election, and fenced writes to other storage.
//!
//! # Features
//!
//! - `testing`: the module `testing` with a server for tests, and `Client::crash`.

mod actor;
mod client;
mod clock;
mod error;
mod guard;
mod local_locks;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

pub use client::{Acquire, Client, ClientBuilder};
pub use clock::now;
pub use error::Error;
pub use guard::{Appended, LockGuard};
pub use leasehold_core::id::{BadName, Name, Token};
pub use leasehold_core::refusal::Refusal;
pub use leasehold_core::time::Time;
