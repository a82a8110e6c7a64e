//! Idle sessions in addition to the clients of a bench: opened, kept alive, and closed at the end.
//!
//! - They use the real protocol, and send heartbeats at the interval of their lease. Every reply is
//!   checked: a lost session makes the bench fail.
//! - One thread simulates all of them with little memory each: there are many, and they must cost
//!   the measured clients as little as possible.

mod session;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use leasehold_core::time::Millis;
use leasehold_core::wire::MacKey;
use tokio::sync::oneshot;

use super::worker::{BenchError, Shared};
use session::SessionOptions;
use worker::IdleWorker;

/// The number and the kind of the idle sessions.
#[derive(Clone, Debug)]
pub(super) struct IdlePlan {
    pub(super) sessions: u32,
    /// The number of locks of each session.
    pub(super) locks: u32,
    /// The lease that each session requests.
    pub(super) lease: Millis,
    /// The offset of the measurement from the start, and its duration.
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) server: SocketAddr,
    pub(super) key: Option<MacKey>,
}

/// The counters of the idle sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IdleCounters {
    pub(super) sessions: u32,
    pub(super) locks: u32,
    /// The heartbeats that were acknowledged within the window.
    pub(super) heartbeats: u64,
    /// The datagrams of the whole run.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) retransmissions: u64,
    pub(super) sessions_lost: u64,
}

/// The running thread of the idle sessions.
pub(super) struct IdleSessions {
    stop: Arc<AtomicBool>,
    outcome: oneshot::Receiver<Result<IdleCounters, BenchError>>,
}

impl IdlePlan {
    const fn session_options(&self) -> SessionOptions {
        SessionOptions { locks: self.locks, lease: self.lease }
    }

    /// Starts the thread. Counts each session that is opened in `shared`, and stops the bench if
    /// one cannot be opened.
    pub(super) fn start(self, seed: u64, shared: Arc<Shared>) -> std::io::Result<IdleSessions> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, outcome) = oneshot::channel();
        let stop_for_thread = Arc::clone(&stop);
        let work = move || {
            let worker = IdleWorker::new(self, seed);
            let outcome = worker.and_then(|worker| worker.run(&shared, &stop_for_thread));
            if outcome.is_err() {
                shared.stop.store(true, Ordering::Relaxed);
            }
            // An error means that the bench was interrupted.
            let _ = sender.send(outcome);
        };
        thread::Builder::new().name("bench-idle".to_owned()).spawn(work)?;
        Ok(IdleSessions { stop, outcome })
    }
}

impl IdleSessions {
    /// Closes all sessions and returns the counters.
    pub(super) async fn stop(self) -> Result<IdleCounters, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        self.outcome.await.expect("the thread of the idle sessions panicked")
    }
}
