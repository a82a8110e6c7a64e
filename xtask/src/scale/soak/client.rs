//! A client of a soak: lock, append, release, whatever becomes of the server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::account::{Account, Fate, line};
use crate::scale::peer::{Answer, Peer};
use crate::scale::rng::Rng;

/// The lease of each session, in milliseconds. To ask again while it stands in line renews nothing,
/// so a client that waits for longer than this loses its session.
const LEASE_MS: u64 = 2_000;

/// How long to stand in line, in milliseconds.
const WAIT_MS: u64 = 10_000;

/// How many lines one tenure appends at most.
const LINES_MAX: u64 = 4;

/// Of so many turns one ends without a word: the lock stays behind until the lease is over.
const DESERTS_ONE_OF: u64 = 5_000;

/// What all clients count together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: AtomicU64,
    pub(super) unanswered: AtomicU64,
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

/// The session is gone, or has to be left behind.
struct Gone;

impl<'a> Client<'a> {
    pub(super) fn new(number: u16, files: u16, server: SocketAddr, counts: &'a Counts) -> Self {
        let rng = Rng::new(u64::from(number) << 32);
        Self { number, files, server, counts, rng, account: Account::new() }
    }

    /// Goes on until it is told to stop. Gives back what it was told of each append.
    pub(super) fn run(mut self, stop: &AtomicBool) -> anyhow::Result<Account> {
        while !stop.load(Ordering::Relaxed) {
            let name = format!("soak-{}", self.number);
            let mut peer = Peer::open(self.server, &name, self.rng.bits(), LEASE_MS)?;
            self.counts.sessions.fetch_add(1, Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {
                if self.turn(&mut peer)?.is_err() {
                    break;
                }
            }
        }
        Ok(self.account)
    }

    fn turn(&mut self, peer: &mut Peer) -> anyhow::Result<Result<(), Gone>> {
        let files = u64::from(self.files) - 1;
        let file = u16::try_from(self.rng.between(0, files)).expect("not more than there are");
        let name = format!("soak-{file}");
        let granted = peer.acquire(&name, WAIT_MS)?;
        let Some(token) = granted.number("token").filter(|_| granted.is("granted")) else {
            // Whoever has waited for too long tries another one.
            return Ok(if granted.code() == "wait_timeout" { Ok(()) } else { Err(Gone) });
        };
        for _ in 0..self.rng.between(1, LINES_MAX) {
            let line = line(token, self.number, self.account.len());
            let answer = peer.append(&name, token, &line)?;
            let fate = fate(file, token, &answer);
            self.account.push(fate);
            let (count, is_applied) = match fate {
                Fate::Applied { .. } => (&self.counts.acknowledged, true),
                Fate::Unknown { .. } => (&self.counts.unanswered, false),
                Fate::Refused => (&self.counts.refused, false),
            };
            count.fetch_add(1, Ordering::Relaxed);
            if !is_applied {
                return Ok(Err(Gone));
            }
        }
        if self.rng.between(1, DESERTS_ONE_OF) == 1 {
            return Ok(Err(Gone));
        }
        Ok(if peer.release(&name, token)?.is("released") { Ok(()) } else { Err(Gone) })
    }
}

/// What an answer says of an append.
fn fate(file: u16, token: u64, answer: &Answer) -> Fate {
    if answer.is("appended")
        && let Some(offset) = answer.number("offset")
    {
        return Fate::Applied { file, token, offset };
    }
    // A refusal that came to a second asking says nothing of the first: that may have been done
    // before the session ended.
    if answer.at_once { Fate::Refused } else { Fate::Unknown { file, token } }
}
