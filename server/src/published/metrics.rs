//! Counters and gauges for the metrics. They are computed from published events, so they cost the
//! lock service nothing.

use std::collections::BTreeMap;

use leasehold_core::event::{EventKind, ReleaseCause};
use leasehold_core::id::Token;
use leasehold_core::state::State;

/// Counters since the server started.
#[derive(Clone, Debug, Default)]
pub struct Counters {
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
    /// Batches of events that could not be written to the log.
    pub log_write_failures: u64,
}

/// Current quantities.
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
    /// Bytes in the guarded files.
    pub file_bytes: u64,
    /// The largest token ever granted.
    pub last_token: Token,
}

impl Counters {
    pub(super) fn record(&mut self, kind: &EventKind) {
        *self.events.entry(kind.code()).or_default() += 1;
        match kind {
            EventKind::RequestRefused { refusal, .. } => {
                *self.refusals.entry(refusal.code()).or_default() += 1;
            }
            EventKind::LockReleased { cause, .. } => {
                *self.releases.entry(release_code(*cause)).or_default() += 1;
            }
            EventKind::DatagramDropped { reason } => {
                *self.drops.entry(reason.code()).or_default() += 1;
            }
            EventKind::FileAppended { data, .. } => self.appended_bytes += data.len(),
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionOpened { .. }
            | EventKind::SessionExpired { .. }
            | EventKind::SessionClosed { .. }
            | EventKind::LockQueued { .. }
            | EventKind::LockGranted { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. } => {}
        }
    }
}

impl Gauges {
    pub(super) fn from_state(state: &State) -> Self {
        let mut gauges = Self {
            locks_held: state.locks().values().filter(|lock| lock.tenure().is_some()).count(),
            file_bytes: state.files().values().map(leasehold_core::state::File::len).sum(),
            ..Self::default()
        };
        gauges.update_from_state(state);
        gauges
    }

    /// Updates the gauges that would take a scan of the state to compute.
    pub(super) fn record(&mut self, kind: &EventKind) {
        match kind {
            EventKind::LockGranted { .. } => self.locks_held += 1,
            EventKind::LockReleased { .. } => self.locks_held -= 1,
            EventKind::FileAppended { data, .. } => self.file_bytes += data.len(),
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionOpened { .. }
            | EventKind::SessionExpired { .. }
            | EventKind::SessionClosed { .. }
            | EventKind::LockQueued { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => {}
        }
    }

    /// Updates the gauges that the state provides in constant time.
    pub(super) fn update_from_state(&mut self, state: &State) {
        self.sessions = state.sessions().len();
        self.waiters = state.waiter_count();
        self.files = state.files().len();
        self.last_token = state.last_token();
    }
}

/// Returns the code of a cause in events and metrics.
const fn release_code(cause: ReleaseCause) -> &'static str {
    match cause {
        ReleaseCause::Released => "released",
        ReleaseCause::LeaseExpired => "lease_expired",
        ReleaseCause::HoldExpired => "hold_expired",
        ReleaseCause::Closed => "closed",
    }
}
