//! A client of the lock server, for tokio programs.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), leasehold_client::Error> {
//! # let server = leasehold_client::testing::Server::start();
//! # let addr = server.addr();
//! use leasehold_client::Client;
//!
//! let client = Client::connect(addr, "client_1").await?;
//! let guard = client.lock("file_0").await?;
//! guard.append("Log entry from client_1 writing to file_0\n").await?;
//! guard.release().await?;
//! client.close().await?;
//! # assert_eq!(server.file("file_0"), b"Log entry from client_1 writing to file_0\n");
//! # Ok(())
//! # }
//! ```
//!
//! A lock is held under a *lease*: the client renews it by heartbeats in the background, and
//! whoever can't be heard by the server for that long loses it. So a lock can be lost at any
//! moment, and there are three answers to that, from the strongest to the weakest:
//!
//! - [`LockGuard::append_call`] names the guard's *token*, by which the server refuses whoever is late. Do
//!   the same with your own storage: send [`LockGuard::any_token`] along, and let it refuse tokens smaller
//!   than the largest it has seen.
//! - [`LockGuard::is_held`] compares the clock with what the server has proved. While it says
//!   `true` nobody else has the lock.
//! - [`LockGuard::lost`] wakes a task that is busy with something else.
//!
//! To stop waiting for a lock, drop the future; its place in line is given back. Don't block the
//! runtime's thread for longer than a third of the lease: the heartbeats are sent from it.

mod actor;
mod client;
mod clock;
mod error;
mod guard;
mod local_locks;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod transport;

pub use client::{Acquire, Client, ClientBuilder};
pub use clock::now;
pub use error::Error;
pub use guard::{Appended, LockGuard};
pub use leasehold_core::id::{BadName, Name, Token};
pub use leasehold_core::refusal::Refusal;
pub use leasehold_core::time::Time;
