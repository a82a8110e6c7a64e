//! Leader election: the client that holds the lock `leader` is the leader, the others are queued.
//!
//! `cargo run -p leasehold-client --features testing --example leader_election`

mod common;

use std::error::Error;
use std::time::Duration;

use leasehold_client::{Client, LockGuard};
use tokio::task::JoinSet;
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = common::Server::find_or_start();
    let mut candidates = JoinSet::new();
    for number in 1..=3 {
        candidates.spawn(run_candidate(server.addr.clone(), format!("candidate_{number}")));
    }
    while let Some(result) = candidates.join_next().await {
        result??;
    }
    Ok(())
}

/// Waits to become the leader, leads for one term, and resigns.
async fn run_candidate(addr: String, name: String) -> Result<(), leasehold_client::Error> {
    let client = Client::connect(addr, &name).await?;
    let guard = client.lock("leader").await?;
    // Tokens increase from leader to leader, so the token is the number of the term.
    println!("{name} is the leader of term {}", guard.token());
    tokio::select! {
        () = lead(&name, &guard) => {
            println!("{name} resigns");
            guard.release().await?;
        }
        () = guard.lost() => println!("{name} is no longer the leader"),
    }
    client.close().await
}

/// Does the work of a leader. Checks before each step that the client is still the leader.
async fn lead(name: &str, guard: &LockGuard) {
    for step in 1..=3 {
        if !guard.is_held() {
            return;
        }
        println!("{name} does step {step}");
        sleep(Duration::from_millis(50)).await;
    }
}
