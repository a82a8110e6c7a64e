//! The last answers of a session, so that a request which comes again is answered again and not
//! executed again (S3).
//!
//! - Answers are forgotten in the order in which they were given, so a request that waited for
//!   long is not forgotten for having a small number.
//! - A number up to the largest forgotten one is never executed again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::Asked;
use crate::id::{Attempt, Name, Seq, Token};
use crate::limits::REPLIES_KEPT;
use crate::refusal::Refusal;

/// The kept answers of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replies {
    kept: VecDeque<KeptReply>,
    forgotten: Seq,
    highest: Seq,
}

/// An answer, and the request that it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
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

impl KeptReply {
    pub(super) fn new(asked: Asked, answer: Answer) -> Self {
        let Asked { seq, attempt, digest } = asked;
        Self { seq, digest, attempt, answer }
    }
}

impl Replies {
    pub(super) fn keep(&mut self, reply: KeptReply) {
        self.highest = self.highest.max(reply.seq);
        // Room is made first: with one more at times, twice the memory would be set aside.
        if self.kept.len() == REPLIES_KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            self.forgotten = self.forgotten.max(oldest.seq);
        }
        self.kept.push_back(reply);
    }

    pub(super) fn heard(&mut self, seq: Seq, attempt: Attempt) {
        // A request that waits has no answer yet, and is newer than those that have.
        if seq > self.highest {
            return;
        }
        if let Some(reply) = self.kept.iter_mut().rev().find(|reply| reply.seq == seq) {
            reply.attempt = reply.attempt.max(attempt);
        }
    }

    /// The kept answer to the request of this number.
    pub fn find(&self, seq: Seq) -> Option<&KeptReply> {
        // Nearly every request is newer than all that were answered.
        if seq > self.highest {
            return None;
        }
        self.kept.iter().rev().find(|reply| reply.seq == seq)
    }

    /// Whether this number is as old as an answer that was forgotten: it may have been used.
    pub fn is_stale(&self, seq: Seq) -> bool {
        seq <= self.forgotten
    }

    /// Whether a request of this number will never be executed any more.
    pub fn is_settled(&self, seq: Seq) -> bool {
        self.is_stale(seq) || self.find(seq).is_some()
    }

    /// The kept answers, oldest first.
    pub const fn kept(&self) -> &VecDeque<KeptReply> {
        &self.kept
    }
}
