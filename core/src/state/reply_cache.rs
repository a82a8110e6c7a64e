//! The last answers of a session, so that a request which comes again is answered again and not
//! executed again (S3).
//!
//! - Answers are forgotten in the order in which they were given, so a request that waited for
//!   long is not forgotten for having a small number.
//! - A number up to the largest forgotten one is never executed again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::RequestId;
use crate::id::{Attempt, Name, Seq, Token};
use crate::limits::CACHED_REPLIES_MAX;
use crate::refusal::Refusal;

/// The kept answers of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyCache {
    #[serde(rename = "kept")]
    entries: VecDeque<CachedReply>,
    #[serde(rename = "forgotten")]
    highest_forgotten: Seq,
    highest: Seq,
}

/// An answer, and the request that it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedReply {
    /// The request's number.
    pub seq: Seq,
    /// What it asked for, in short.
    pub digest: Digest,
    /// Its highest transmission that has arrived.
    pub attempt: Attempt,
    /// The answer.
    pub answer: Answer,
}

/// What a request was answered. What is left of a lease is not part of it: that is looked up
/// whenever the answer is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the wire's own fields")]
pub enum Answer {
    Granted { lock: Name, token: Token },
    Cancelled { lock: Name },
    Released { lock: Name },
    Appended { file: Name, offset: u64, len: u64 },
    Refused(Refusal),
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
        // Room is made first: with one more at times, twice the memory would be set aside.
        if self.entries.len() == CACHED_REPLIES_MAX
            && let Some(oldest) = self.entries.pop_front()
        {
            self.highest_forgotten = self.highest_forgotten.max(oldest.seq);
        }
        self.entries.push_back(reply);
    }

    pub(super) fn record_attempt(&mut self, seq: Seq, attempt: Attempt) {
        // A request that waits has no answer yet, and is newer than those that have.
        if seq > self.highest {
            return;
        }
        if let Some(reply) = self.entries.iter_mut().rev().find(|reply| reply.seq == seq) {
            reply.attempt = reply.attempt.max(attempt);
        }
    }

    /// The kept answer to the request of this number.
    pub fn find(&self, seq: Seq) -> Option<&CachedReply> {
        // Nearly every request is newer than all that were answered.
        if seq > self.highest {
            return None;
        }
        self.entries.iter().rev().find(|reply| reply.seq == seq)
    }

    /// Whether this number is as old as an answer that was forgotten: it may have been used.
    pub fn is_stale(&self, seq: Seq) -> bool {
        seq <= self.highest_forgotten
    }

    /// Whether a request of this number will never be executed any more.
    pub fn is_settled(&self, seq: Seq) -> bool {
        self.is_stale(seq) || self.find(seq).is_some()
    }

    /// The kept answers, oldest first.
    pub const fn entries(&self) -> &VecDeque<CachedReply> {
        &self.entries
    }
}
