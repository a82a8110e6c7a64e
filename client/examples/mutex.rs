//! A lock as a mutex: clients increment a counter by a read and a write, and no increment is lost.
//!
//! `cargo run -p leasehold-client --features testing --example mutex`

mod common;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leasehold_client::Client;
use tokio::task::{JoinSet, yield_now};

const CLIENTS: u64 = 4;
const INCREMENTS: u64 = 25;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = common::Server::find_or_start();
    let counter = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let (addr, counter) = (server.addr.clone(), Arc::clone(&counter));
        tasks.spawn(async move {
            let client = Client::connect(addr, &format!("counter_{number}")).await?;
            for _ in 0..INCREMENTS {
                let guard = client.lock("counter").await?;
                let value = counter.load(Ordering::SeqCst);
                yield_now().await; // without the lock, another task would read the same value
                counter.store(value + 1, Ordering::SeqCst);
                guard.release().await?;
            }
            client.close().await
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    let value = counter.load(Ordering::SeqCst);
    println!("{CLIENTS} clients have incremented the counter to {value}");
    assert_eq!(value, CLIENTS * INCREMENTS);
    Ok(())
}
