//! One guarded file: how long it is, and which appends made it so last.
//!
//! - S2: the tokens of the appends applied to a file never decrease.
//! - The bytes themselves are not here: the journal has them, and the file.

use serde::{Deserialize, Serialize};

use crate::chunked_queue::ChunkedQueue;
use crate::id::{Seq, SessionId, Token};
use crate::limits::RECENT_APPENDS_MAX;

/// What the service knows of a guarded file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    len: u64,
    last_token: Token,
    #[serde(rename = "recent")]
    recent_appends: ChunkedQueue<AppliedAppend>,
}

/// One append that is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedAppend {
    /// Whose it was.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The number of its request.
    pub seq: Seq,
    /// The token of the tenure under which it was applied.
    pub token: Token,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are.
    pub len: u64,
}

impl File {
    /// A file of which nothing is known but its length: what is left after a loss of the journal.
    pub const fn with_len(len: u64) -> Self {
        Self { len, last_token: Token::new(0), recent_appends: ChunkedQueue::new() }
    }

    /// Takes in an append; gives back the one that is forgotten for it.
    pub(super) fn append(&mut self, applied: AppliedAppend) -> Option<AppliedAppend> {
        assert_eq!(applied.offset, self.len, "S3: an append begins where the file ends");
        self.len += applied.len;
        self.last_token = self.last_token.max(applied.token);
        let is_full = self.recent_appends.len() == RECENT_APPENDS_MAX;
        let forgotten = if is_full { self.recent_appends.pop_front() } else { None };
        self.recent_appends.push_back(applied);
        forgotten
    }

    /// Its length in bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The largest token under which it was appended to.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }

    /// Its last appends, oldest first.
    pub const fn recent_appends(&self) -> &ChunkedQueue<AppliedAppend> {
        &self.recent_appends
    }

    /// The append of this number.
    pub fn find_append(&self, session_id: SessionId, seq: Seq) -> Option<&AppliedAppend> {
        self.recent_appends.iter().rev().find(|it| it.session_id == session_id && it.seq == seq)
    }
}
