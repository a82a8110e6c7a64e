//! Sessions that are gone, remembered for a while so that `append_outcome` can say what became of
//! an append whose answer was lost, and which appends are no longer known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::{Seq, SessionId, SessionKey};
use crate::limits::ENDED_SESSIONS_MAX;
use crate::secret::Secret;

/// The last sessions that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedSessions {
    /// From the one that has been gone longest to the one that went last.
    order: VecDeque<SessionId>,
    known: BTreeSet<SessionId>,
    /// For each session, alive or departed, the largest `seq` of an append that its file has
    /// forgotten: of those up to it nobody knows any more.
    forgotten: BTreeMap<SessionId, Seq>,
    #[serde(skip)]
    ids_by_key: BTreeMap<Secret<SessionKey>, SessionId>,
    #[serde(skip)]
    keys_by_id: BTreeMap<SessionId, Secret<SessionKey>>,
}

impl EndedSessions {
    /// Takes in a session that has just ended.
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
            self.forgotten.remove(&oldest);
            if let Some(key) = self.keys_by_id.remove(&oldest) {
                self.ids_by_key.remove(&key);
            }
        }
    }

    /// Notes the capability that opened a session.
    pub(super) fn insert_key(&mut self, session_id: SessionId, key: Secret<SessionKey>) {
        self.ids_by_key.insert(key, session_id);
        self.keys_by_id.insert(session_id, key);
    }

    /// Notes that a file has forgotten an append of a session which may still be asked about.
    pub(super) fn note_forgotten_append(&mut self, session_id: SessionId, seq: Seq) {
        let forgotten = self.forgotten.entry(session_id).or_default();
        *forgotten = (*forgotten).max(seq);
    }

    pub(super) fn find_by_key(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.ids_by_key.get(&key).copied()
    }

    pub(super) fn contains(&self, session_id: SessionId) -> bool {
        self.known.contains(&session_id)
    }

    /// Whether an append of this session may have been applied and forgotten.
    pub(super) fn has_forgotten_append(&self, session_id: SessionId, seq: Seq) -> bool {
        self.forgotten.get(&session_id).is_some_and(|&forgotten| seq <= forgotten)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (SessionId, Secret<SessionKey>)> {
        self.keys_by_id.iter().map(|(&session_id, &key)| (session_id, key))
    }
}
