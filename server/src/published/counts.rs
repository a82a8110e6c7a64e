//! What the metrics tell: how often things have happened, and how much there is. All of it comes
//! from what was published, so counting costs the lock service nothing.

use std::collections::BTreeMap;

use leasehold_core::event::{Fact, ReleaseCause};
use leasehold_core::id::Token;
use leasehold_core::state::State;

/// How often things have happened since this server was started.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events, by type.
    pub events: BTreeMap<&'static str, u64>,
    /// Refused requests, by code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Tenures that ended, by cause.
    pub releases: BTreeMap<&'static str, u64>,
    /// Dropped datagrams, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Bytes appended.
    pub appended_bytes: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Live sessions.
    pub sessions: usize,
    /// Locks that are held.
    pub locks_held: usize,
    /// Requests that wait for a lock.
    pub waiters: usize,
    /// Guarded files.
    pub files: usize,
    /// Bytes in them.
    pub file_bytes: u64,
    /// The largest token ever granted.
    pub last_token: Token,
}

impl Counts {
    pub(super) fn take(&mut self, fact: &Fact) {
        *self.events.entry(fact.word()).or_default() += 1;
        match fact {
            Fact::RequestRefused { refusal, .. } => {
                *self.refusals.entry(refusal.code()).or_default() += 1;
            }
            Fact::LockReleased { cause, .. } => {
                *self.releases.entry(word(*cause)).or_default() += 1;
            }
            Fact::DatagramDropped { reason } => {
                *self.drops.entry(reason.word()).or_default() += 1;
            }
            Fact::FileAppended { data, .. } => self.appended_bytes += data.len(),
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionOpened { .. }
            | Fact::SessionExpired { .. }
            | Fact::SessionClosed { .. }
            | Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::WaitEnded { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. } => {}
        }
    }
}

impl Gauges {
    pub(super) fn of(state: &State) -> Self {
        let mut gauges = Self {
            locks_held: state.locks().values().filter(|lock| lock.tenure().is_some()).count(),
            file_bytes: state.files().values().map(leasehold_core::state::File::len).sum(),
            ..Self::default()
        };
        gauges.take_state(state);
        gauges
    }

    /// What the state would have to be gone through for.
    pub(super) fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::LockGranted { .. } => self.locks_held += 1,
            Fact::LockReleased { .. } => self.locks_held -= 1,
            Fact::FileAppended { data, .. } => self.file_bytes += data.len(),
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionOpened { .. }
            | Fact::SessionExpired { .. }
            | Fact::SessionClosed { .. }
            | Fact::LockQueued { .. }
            | Fact::WaitEnded { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => {}
        }
    }

    /// What the state knows at once.
    pub(super) fn take_state(&mut self, state: &State) {
        self.sessions = state.sessions().len();
        self.waiters = state.waiters();
        self.files = state.files().len();
        self.last_token = state.last_token();
    }
}

/// The word in events and metrics.
const fn word(cause: ReleaseCause) -> &'static str {
    match cause {
        ReleaseCause::Released => "released",
        ReleaseCause::LeaseExpired => "lease_expired",
        ReleaseCause::HoldExpired => "hold_expired",
        ReleaseCause::Closed => "closed",
    }
}
