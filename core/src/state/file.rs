//! One guarded file: its length, and its recent appends.
//!
//! - S2: the tokens of the appends applied to a file never decrease.
//! - The bytes are not stored here, but in the log and in the file itself.

use serde::{Deserialize, Serialize};

use crate::chunked_queue::ChunkedQueue;
use crate::id::{Seq, SessionId, Token};
use crate::limits::RECENT_APPENDS_MAX;

/// The state of a guarded file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    len: u64,
    last_token: Token,
    #[serde(rename = "recent")]
    recent_appends: ChunkedQueue<AppliedAppend>,
}

/// An append that was applied to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedAppend {
    /// The session that sent it.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The sequence number of its request.
    pub seq: Seq,
    /// The token of the tenure under which it was applied.
    pub token: Token,
    /// The offset of its first byte.
    pub offset: u64,
    /// The number of bytes.
    pub len: u64,
}

impl File {
    /// Creates a file of which only the length is known, after the log was lost.
    pub const fn with_len(len: u64) -> Self {
        Self { len, last_token: Token::new(0), recent_appends: ChunkedQueue::new() }
    }

    /// Adds an append. Returns the one that is evicted for it.
    pub(super) fn append(&mut self, applied: AppliedAppend) -> Option<AppliedAppend> {
        assert_eq!(applied.offset, self.len, "S3: an append does not begin at the end of its file");
        self.len += applied.len;
        self.last_token = self.last_token.max(applied.token);
        let is_full = self.recent_appends.len() == RECENT_APPENDS_MAX;
        let evicted = if is_full { self.recent_appends.pop_front() } else { None };
        self.recent_appends.push_back(applied);
        evicted
    }

    /// Returns the length in bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the file has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the largest token of an append to this file.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }

    /// Returns the most recent appends, oldest first.
    pub const fn recent_appends(&self) -> &ChunkedQueue<AppliedAppend> {
        &self.recent_appends
    }

    /// Returns the append with this sequence number, if it is recent.
    pub fn find_append(&self, session_id: SessionId, seq: Seq) -> Option<&AppliedAppend> {
        self.recent_appends.iter().rev().find(|it| it.session_id == session_id && it.seq == seq)
    }
}
