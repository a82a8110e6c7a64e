//! One session, and which of its requests were executed (S3).

use super::last::Last;

/// How many heartbeats of a session are known.
const BEATS: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The place in history at which it was opened.
    pub(super) opened: u32,
    pub(super) renewed_ms: u32,
    /// What was executed: number of the request and place in history.
    executed: Last<(u32, u32)>,
    /// The smallest and the largest number that was ever executed.
    seqs: (u32, u32),
    /// What has renewed the lease and done nothing else, and the largest of those numbers. The
    /// server keeps this in its memory alone.
    beats: Last<u32, BEATS>,
    beat: u32,
}

impl Session {
    pub(super) fn new(opened: u32, renewed_ms: u32) -> Self {
        Self {
            opened,
            renewed_ms,
            executed: Last::default(),
            seqs: (u32::MAX, 0),
            beats: Last::default(),
            beat: 0,
        }
    }

    /// Notes that a request was executed. Says whether that was the first time.
    pub(super) fn execute(&mut self, seq: u32, index: u32) -> bool {
        let first = self.executed_at(seq).is_none();
        let (smallest, largest) = self.seqs;
        self.seqs = (smallest.min(seq), largest.max(seq));
        self.executed.keep((seq, index));
        first
    }

    /// Notes what has renewed the lease. Says whether that was the first time.
    pub(super) fn beat(&mut self, seq: u32) -> bool {
        // Nearly every one is newer than all before.
        let first = seq > self.beat || !self.beats.all().contains(&seq);
        self.beat = self.beat.max(seq);
        self.beats.keep(seq);
        first
    }

    pub(super) fn recover(&mut self, through: u32) {
        self.executed.retain(|(_, index)| *index <= through);
        self.beats = Last::default();
    }

    /// The place in history at which this request was executed.
    pub(super) fn executed_at(&self, seq: u32) -> Option<u32> {
        // Nearly every request is newer than all that were executed, or another session's.
        let (smallest, largest) = self.seqs;
        if seq < smallest || seq > largest {
            return None;
        }
        let mut executed = self.executed.all().iter().filter(|(known, _)| *known == seq);
        executed.next().map(|(_, index)| *index)
    }
}
