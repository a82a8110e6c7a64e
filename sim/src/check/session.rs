//! One session, and its executed requests (S3).

use super::recent::Recent;
use crate::trace::Number;

/// The number of heartbeats that are retained for each session.
const HEARTBEATS_MAX: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The log index of the event that opened the session.
    pub(super) opened_at: Number,
    pub(super) renewed_ms: u64,
    /// Executed requests: sequence number and log index.
    executed: Recent<(Number, Number)>,
    /// The smallest and the largest sequence number that was executed.
    seq_range: Option<(Number, Number)>,
    /// Sequence numbers of requests that only renewed the lease, and the largest of them. The
    /// server does not log these, so a crash discards them.
    heartbeats: Recent<Number, HEARTBEATS_MAX>,
    highest_heartbeat: Number,
}

impl Session {
    pub(super) fn new(opened_at: Number, renewed_ms: u64) -> Self {
        Self {
            opened_at,
            renewed_ms,
            executed: Recent::default(),
            seq_range: None,
            heartbeats: Recent::default(),
            highest_heartbeat: Number::ZERO,
        }
    }

    /// Records an execution, and returns whether it is the first one of the request.
    pub(super) fn record_execution(&mut self, seq: Number, index: Number) -> bool {
        let is_first = self.executed_at(seq).is_none();
        let (smallest, largest) = self.seq_range.unwrap_or((seq, seq));
        self.seq_range = Some((smallest.min(seq), largest.max(seq)));
        self.executed.push((seq, index));
        is_first
    }

    /// Records a renewal, and returns whether it is the first one of the request.
    pub(super) fn record_heartbeat(&mut self, seq: Number) -> bool {
        // The search is skipped for new requests, which is nearly every one.
        let is_first = seq > self.highest_heartbeat || !self.heartbeats.as_slice().contains(&seq);
        self.highest_heartbeat = self.highest_heartbeat.max(seq);
        self.heartbeats.push(seq);
        is_first
    }

    pub(super) fn recover(&mut self, through: Number) {
        self.executed.retain(|(_, index)| *index <= through);
        self.heartbeats = Recent::default();
    }

    /// Returns the log index at which a request was executed.
    pub(super) fn executed_at(&self, seq: Number) -> Option<Number> {
        // The search is skipped for new requests and for those of other sessions.
        let (smallest, largest) = self.seq_range?;
        if seq < smallest || seq > largest {
            return None;
        }
        let mut executed =
            self.executed.as_slice().iter().filter(|(executed_seq, _)| *executed_seq == seq);
        executed.next().map(|(_, index)| *index)
    }
}
