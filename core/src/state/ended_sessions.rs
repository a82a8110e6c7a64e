//! Sessions that have ended, retained for a while so that `append_outcome` can return the outcome
//! of an append whose reply was lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::{Seq, SessionId, SessionKey};
use crate::limits::ENDED_SESSIONS_MAX;
use crate::secret::Secret;

/// The sessions that ended most recently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedSessions {
    /// The sessions in the order in which they ended.
    order: VecDeque<SessionId>,
    known: BTreeSet<SessionId>,
    /// For each session, alive or ended, the largest sequence number of an append that its file has
    /// evicted. The outcome of appends up to it is unknown.
    #[serde(rename = "forgotten")]
    evicted_appends: BTreeMap<SessionId, Seq>,
    #[serde(skip)]
    ids_by_key: BTreeMap<Secret<SessionKey>, SessionId>,
    #[serde(skip)]
    keys_by_id: BTreeMap<SessionId, Secret<SessionKey>>,
}

impl EndedSessions {
    /// Adds a session that has just ended. Evicts the oldest one if there are too many.
    pub(super) fn insert(&mut self, session_id: SessionId, key: Option<Secret<SessionKey>>) {
        self.order.push_back(session_id);
        self.known.insert(session_id);
        if let Some(key) = key {
            self.insert_key(session_id, key);
        }
        if self.order.len() > ENDED_SESSIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.evicted_appends.remove(&oldest);
            if let Some(key) = self.keys_by_id.remove(&oldest) {
                self.ids_by_key.remove(&key);
            }
        }
    }

    /// Adds the key of an ended session.
    pub(super) fn insert_key(&mut self, session_id: SessionId, key: Secret<SessionKey>) {
        self.ids_by_key.insert(key, session_id);
        self.keys_by_id.insert(session_id, key);
    }

    /// Records that a file has evicted an append whose outcome may still be queried.
    pub(super) fn note_evicted_append(&mut self, session_id: SessionId, seq: Seq) {
        let highest = self.evicted_appends.entry(session_id).or_default();
        *highest = (*highest).max(seq);
    }

    pub(super) fn find_by_key(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.ids_by_key.get(&key).copied()
    }

    pub(super) fn contains(&self, session_id: SessionId) -> bool {
        self.known.contains(&session_id)
    }

    /// Returns whether an append with this sequence number may have been applied and then evicted.
    pub(super) fn may_have_evicted_append(&self, session_id: SessionId, seq: Seq) -> bool {
        self.evicted_appends.get(&session_id).is_some_and(|&highest| seq <= highest)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (SessionId, Secret<SessionKey>)> {
        self.keys_by_id.iter().map(|(&session_id, &key)| (session_id, key))
    }
}
