//! The recent answers of a session: a duplicate request gets the same answer, and is not executed
//! again (S3).
//!
//! - Answers are evicted in the order in which they were given, so the answer to a request that
//!   waited for long is not evicted early because of its small sequence number.
//! - A request whose sequence number is at most the largest evicted one is never executed.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::event::RequestId;
use crate::id::{Attempt, Name, Seq, Token};
use crate::limits::CACHED_REPLIES_MAX;
use crate::refusal::Refusal;

/// The cached answers of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyCache {
    #[serde(rename = "kept", deserialize_with = "deserialize_entries")]
    entries: VecDeque<CachedReply>,
    #[serde(rename = "forgotten")]
    highest_evicted: Seq,
    highest: Seq,
}

/// An answer, and the request that it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedReply {
    /// The sequence number of the request.
    pub seq: Seq,
    /// The digest of the operation.
    pub digest: Digest,
    /// The highest attempt that has arrived.
    pub attempt: Attempt,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a request. The remaining lease is not part of it, because it is current in every
/// reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields of the protocol")]
pub enum Answer {
    Granted { lock: Name, token: Token },
    Cancelled { lock: Name },
    Released { lock: Name },
    Appended { file: Name, offset: u64, len: u64 },
    Refused(Refusal),
}

/// Omits answers that are not final. Version 0.1.0 cached `storage_failed`.
fn deserialize_entries<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<VecDeque<CachedReply>, D::Error> {
    let mut entries = VecDeque::<CachedReply>::deserialize(deserializer)?;
    entries.retain(|reply| match &reply.answer {
        Answer::Refused(refusal) => refusal.is_cacheable(),
        Answer::Granted { .. }
        | Answer::Cancelled { .. }
        | Answer::Released { .. }
        | Answer::Appended { .. } => true,
    });
    Ok(entries)
}

impl CachedReply {
    pub(super) fn new(request_id: RequestId, answer: Answer) -> Self {
        let RequestId { seq, attempt, digest } = request_id;
        Self { seq, digest, attempt, answer }
    }
}

impl ReplyCache {
    pub(super) fn insert(&mut self, reply: CachedReply) {
        self.highest = self.highest.max(reply.seq);
        // Evict first: with one more entry, the queue would double its allocation.
        if self.entries.len() == CACHED_REPLIES_MAX
            && let Some(oldest) = self.entries.pop_front()
        {
            self.highest_evicted = self.highest_evicted.max(oldest.seq);
        }
        self.entries.push_back(reply);
    }

    pub(super) fn record_attempt(&mut self, seq: Seq, attempt: Attempt) {
        // A queued request has no answer yet, and is newer than all that have.
        if seq > self.highest {
            return;
        }
        if let Some(reply) = self.entries.iter_mut().rev().find(|reply| reply.seq == seq) {
            reply.attempt = reply.attempt.max(attempt);
        }
    }

    /// Returns the cached answer to the request with this sequence number.
    pub fn find(&self, seq: Seq) -> Option<&CachedReply> {
        // The common case: a new request.
        if seq > self.highest {
            return None;
        }
        self.entries.iter().rev().find(|reply| reply.seq == seq)
    }

    /// Returns whether the answer to this sequence number may have been evicted.
    pub fn is_stale(&self, seq: Seq) -> bool {
        seq <= self.highest_evicted
    }

    /// Returns whether a request with this sequence number will never be executed from now on.
    pub fn is_settled(&self, seq: Seq) -> bool {
        self.is_stale(seq) || self.find(seq).is_some()
    }

    /// Returns the cached answers, oldest first.
    pub const fn entries(&self) -> &VecDeque<CachedReply> {
        &self.entries
    }
}
