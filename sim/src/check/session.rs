//! One session, and which of its requests were executed (S3).

use super::recent::Recent;

/// How many heartbeats of a session are known.
const HEARTBEATS_MAX: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The place in history at which it was opened.
    pub(super) opened_at: u32,
    pub(super) renewed_ms: u32,
    /// What was executed: number of the request and place in history.
    executed: Recent<(u32, u32)>,
    /// The smallest and the largest number that was ever executed.
    seq_range: (u32, u32),
    /// What has renewed the lease and done nothing else, and the largest of those numbers. The
    /// server keeps this in its memory alone.
    heartbeats: Recent<u32, HEARTBEATS_MAX>,
    highest_heartbeat: u32,
}

impl Session {
    pub(super) fn new(opened_at: u32, renewed_ms: u32) -> Self {
        Self {
            opened_at,
            renewed_ms,
            executed: Recent::default(),
            seq_range: (u32::MAX, 0),
            heartbeats: Recent::default(),
            highest_heartbeat: 0,
        }
    }

    /// Notes that a request was executed. Says whether that was the first time.
    pub(super) fn record_execution(&mut self, seq: u32, index: u32) -> bool {
        let is_first = self.executed_at(seq).is_none();
        let (smallest, largest) = self.seq_range;
        self.seq_range = (smallest.min(seq), largest.max(seq));
        self.executed.push((seq, index));
        is_first
    }

    /// Notes what has renewed the lease. Says whether that was the first time.
    pub(super) fn record_heartbeat(&mut self, seq: u32) -> bool {
        // Nearly every one is newer than all before.
        let is_first = seq > self.highest_heartbeat || !self.heartbeats.as_slice().contains(&seq);
        self.highest_heartbeat = self.highest_heartbeat.max(seq);
        self.heartbeats.push(seq);
        is_first
    }

    pub(super) fn recover(&mut self, through: u32) {
        self.executed.retain(|(_, index)| *index <= through);
        self.heartbeats = Recent::default();
    }

    /// The place in history at which this request was executed.
    pub(super) fn executed_at(&self, seq: u32) -> Option<u32> {
        // Nearly every request is newer than all that were executed, or another session's.
        let (smallest, largest) = self.seq_range;
        if seq < smallest || seq > largest {
            return None;
        }
        let mut executed =
            self.executed.as_slice().iter().filter(|(executed_seq, _)| *executed_seq == seq);
        executed.next().map(|(_, index)| *index)
    }
}
