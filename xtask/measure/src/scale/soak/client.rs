//! A client of a soak: it acquires, appends and releases, whatever happens to the server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use fastrand::Rng;

use super::account::{Account, Outcome, format_line};
use crate::scale::lock_client::{LockClient, Reply};

/// The lease of each session, in milliseconds. Retransmissions of a queued client do not renew it,
/// so that a client that waits for longer loses its session.
const LEASE_MS: u64 = 2_000;

/// How long a client waits in the queue of a lock, in milliseconds.
const WAIT_MS: u64 = 10_000;

/// The largest number of lines that a client appends in one tenure.
const LINES_MAX: u64 = 4;

/// One of this many tenures ends without a release: the lock stays held until the lease expires.
const ABANDON_ONE_OF: u64 = 5_000;

/// The counts of all clients.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sessions: AtomicU64,
}

pub(super) struct Client<'a> {
    number: u16,
    files: u16,
    server: SocketAddr,
    counts: &'a Counts,
    rng: Rng,
    account: Account,
}

/// The state of a session after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Usable,
    /// The session has ended, or the client abandons it.
    Ended,
}

impl<'a> Client<'a> {
    pub(super) fn new(number: u16, files: u16, server: SocketAddr, counts: &'a Counts) -> Self {
        let rng = Rng::with_seed(number.into());
        Self { number, files, server, counts, rng, account: Account::new() }
    }

    /// Runs until `stop` is set. Returns the outcomes of all appends.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<Account> {
        while !stop.load(Ordering::Relaxed) {
            let name = format!("soak-{}", self.number);
            let mut session = LockClient::open(self.server, &name, self.rng.u64(..), LEASE_MS)?;
            self.counts.sessions.fetch_add(1, Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {
                if self.run_operation(&mut session)? == Session::Ended {
                    break;
                }
            }
        }
        Ok(self.account)
    }

    fn run_operation(&mut self, session: &mut LockClient) -> Result<Session> {
        let file = self.rng.u16(..self.files);
        let name = format!("soak-{file}");
        let granted = session.acquire(&name, WAIT_MS)?;
        let Some(token) = granted.number("token").filter(|_| granted.has_status("granted")) else {
            // A client whose wait has timed out tries another lock.
            let is_timeout = granted.code() == "wait_timeout";
            return Ok(if is_timeout { Session::Usable } else { Session::Ended });
        };
        for _ in 0..self.rng.u64(1..=LINES_MAX) {
            let line = format_line(token, self.number, self.account.len());
            let reply = session.append(&name, token, &line)?;
            let outcome = outcome(file, token, &reply);
            self.account.push(outcome);
            let (count, is_applied) = match outcome {
                Outcome::Applied { .. } => (&self.counts.acknowledged, true),
                Outcome::Unknown { .. } => (&self.counts.unknown, false),
                Outcome::Refused => (&self.counts.refused, false),
            };
            count.fetch_add(1, Ordering::Relaxed);
            if !is_applied {
                return Ok(Session::Ended);
            }
        }
        if self.rng.u64(..ABANDON_ONE_OF) == 0 {
            return Ok(Session::Ended);
        }
        let is_released = session.release(&name, token)?.has_status("released");
        Ok(if is_released { Session::Usable } else { Session::Ended })
    }
}

/// Returns what a reply proves about an append.
fn outcome(file: u16, token: u64, reply: &Reply) -> Outcome {
    if reply.has_status("appended")
        && let Some(offset) = reply.number("offset")
    {
        return Outcome::Applied { file, token, offset };
    }
    // A refusal of a retransmission does not prove that the first transmission had no effect: it
    // may have been applied before the session ended.
    if reply.is_first_attempt { Outcome::Refused } else { Outcome::Unknown { file, token } }
}
