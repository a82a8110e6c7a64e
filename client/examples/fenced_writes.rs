//! Fenced writes: storage outside of the server rejects the late write of a former lock holder.
//!
//! A client may be delayed for longer than its lease, and write when another client already holds
//! the lock. It cannot prevent that itself, but the storage can: each write carries the fencing
//! token, and the storage rejects tokens that are smaller than the largest one so far.
//!
//! `cargo run -p leasehold-client --features testing --example fenced_writes`

mod common;

use std::error::Error;
use std::time::Duration;

use leasehold_client::{Client, Token};

/// A register that is protected by fencing tokens.
#[derive(Debug, Default)]
struct Storage {
    value: String,
    largest_token: Token,
}

impl Storage {
    /// Writes the value, or returns the largest token so far if `token` is smaller.
    fn write(&mut self, token: Token, value: &str) -> Result<(), Token> {
        if token < self.largest_token {
            return Err(self.largest_token);
        }
        self.largest_token = token;
        value.clone_into(&mut self.value);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = common::Server::find_or_start();
    let mut storage = Storage::default();
    let delayed = Client::connect(&server.addr, "delayed").await?;
    let other = Client::connect(&server.addr, "other").await?;

    // The hold limit ends the tenure, as the lease would for a client that is paused.
    let old_guard = delayed.lock("report").hold_limit(Duration::from_millis(300)).await?;
    println!("delayed holds the lock under token {}", old_guard.token());
    let new_guard = other.lock("report").await?;
    println!("other holds the lock under token {}", new_guard.token());

    storage.write(new_guard.token(), "by other").expect("the token is the largest so far");
    match storage.write(old_guard.token(), "by delayed") {
        Ok(()) => unreachable!("the token is smaller"),
        Err(largest) => println!(
            "storage rejects the write of delayed: token {} is smaller than {largest}",
            old_guard.token()
        ),
    }
    assert_eq!(storage.value, "by other");
    new_guard.release().await?;
    Ok(())
}
