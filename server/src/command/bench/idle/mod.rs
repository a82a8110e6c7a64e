//! Idle sessions beside the clients of a bench: opened, kept alive, and closed at the end.
//!
//! - They speak the real protocol, at the pace that their lease asks for, and every reply is looked
//!   at: one that is lost makes the bench fail.
//! - All are simulated by one thread, with a few words of memory each: they are to be many, and
//!   cost the clients that are measured as little as can be.

mod crowd;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use leasehold_core::time::Millis;
use leasehold_core::wire::MacKey;
use tokio::sync::oneshot;

use super::worker::{Shared, Trouble};
use crowd::Crowd;
use session::Terms;

/// How many idle sessions there are to be, and of which kind.
#[derive(Clone, Debug)]
pub(super) struct IdlePlan {
    pub(super) sessions: u32,
    /// How many locks each holds.
    pub(super) locks: u32,
    /// The lease that each asks for.
    pub(super) lease: Millis,
    /// When what is answered begins to count, after the work has begun, and for how long.
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) server: SocketAddr,
    pub(super) key: Option<MacKey>,
}

/// What is counted of idle sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IdleTally {
    pub(super) sessions: u32,
    pub(super) locks: u32,
    /// Heartbeats that were answered within the window.
    pub(super) beats: u64,
    /// Datagrams of the whole run.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) sent_again: u64,
    pub(super) lost: u64,
}

/// Idle sessions that are at it.
pub(super) struct Idle {
    over: Arc<AtomicBool>,
    outcome: oneshot::Receiver<Result<IdleTally, Trouble>>,
}

impl IdlePlan {
    const fn terms(&self) -> Terms {
        Terms { locks: self.locks, lease: self.lease }
    }

    /// Starts their thread. Each session that is opened counts in `shared`, and where one can't be
    /// the bench is told to end.
    pub(super) fn start(self, luck: u64, shared: Arc<Shared>) -> std::io::Result<Idle> {
        let over = Arc::new(AtomicBool::new(false));
        let (done, outcome) = oneshot::channel();
        let told = Arc::clone(&over);
        let work = move || {
            let outcome = Crowd::new(self, luck).and_then(|crowd| crowd.run(&shared, &told));
            if outcome.is_err() {
                shared.stop.store(true, Ordering::Relaxed);
            }
            // Whoever waits for it may have been interrupted.
            let _ = done.send(outcome);
        };
        thread::Builder::new().name("bench-idle".to_owned()).spawn(work)?;
        Ok(Idle { over, outcome })
    }
}

impl Idle {
    /// Closes all sessions, and gives back what was counted.
    pub(super) async fn end(self) -> Result<IdleTally, Trouble> {
        self.over.store(true, Ordering::Relaxed);
        self.outcome.await.expect("a thread that panics has said why")
    }
}
