//! Sessions that are gone, remembered for a while so that `append_outcome` can say what became of
//! an append whose answer was lost, and which appends are no longer known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::{Seq, SessionId, SessionNo};
use crate::limits::DEPARTED_KEPT;
use crate::secret::Secret;

/// The last sessions that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Departed {
    /// From the one that has been gone longest to the one that went last.
    order: VecDeque<SessionNo>,
    known: BTreeSet<SessionNo>,
    /// For each session, alive or departed, the largest `seq` of an append that its file has
    /// forgotten: of those up to it nobody knows any more.
    forgotten: BTreeMap<SessionNo, Seq>,
    #[serde(skip)]
    ids: BTreeMap<Secret<SessionId>, SessionNo>,
    #[serde(skip)]
    ids_by_no: BTreeMap<SessionNo, Secret<SessionId>>,
}

impl Departed {
    /// Takes in a session that has just ended.
    pub(super) fn add(&mut self, session_no: SessionNo, id: Option<Secret<SessionId>>) {
        self.order.push_back(session_no);
        self.known.insert(session_no);
        if let Some(id) = id {
            self.identify(session_no, id);
        }
        if self.order.len() > DEPARTED_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.forgotten.remove(&oldest);
            if let Some(id) = self.ids_by_no.remove(&oldest) {
                self.ids.remove(&id);
            }
        }
    }

    /// Notes the capability that opened a session.
    pub(super) fn identify(&mut self, session_no: SessionNo, id: Secret<SessionId>) {
        self.ids.insert(id, session_no);
        self.ids_by_no.insert(session_no, id);
    }

    /// Notes that a file has forgotten an append of a session which may still be asked about.
    pub(super) fn forget(&mut self, session_no: SessionNo, seq: Seq) {
        let forgotten = self.forgotten.entry(session_no).or_default();
        *forgotten = (*forgotten).max(seq);
    }

    pub(super) fn find(&self, id: Secret<SessionId>) -> Option<SessionNo> {
        self.ids.get(&id).copied()
    }

    pub(super) fn knows(&self, session_no: SessionNo) -> bool {
        self.known.contains(&session_no)
    }

    /// Whether an append of this session may have been applied and forgotten.
    pub(super) fn forgot(&self, session_no: SessionNo, seq: Seq) -> bool {
        self.forgotten.get(&session_no).is_some_and(|&forgotten| seq <= forgotten)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (SessionNo, Secret<SessionId>)> {
        self.ids_by_no.iter().map(|(&session_no, &id)| (session_no, id))
    }
}
