//! Lookup tables for what requests name: session keys, hellos and appends.
//!
//! They are derived from the state, so they are never stored. Only a server has them: recovery and
//! the page need no lookups.

use std::collections::BTreeMap;

use crate::event::EventKind;
use crate::id::{Name, Nonce, Seq, SessionId, SessionKey};
use crate::limits::RECENT_APPENDS_MAX;
use crate::secret::Secret;
use crate::state::{AppliedAppend, File, State};
use crate::wire::Status;

/// Lookup tables over a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lookup {
    ids_by_key: BTreeMap<Secret<SessionKey>, SessionId>,
    ids_by_hello: BTreeMap<(Secret<Nonce>, Name), SessionId>,
    /// The file of each recent append. A list of the files of each session would be smaller, but a
    /// client could make the search through its files take arbitrarily long.
    files_by_append: BTreeMap<(SessionId, Seq), Name>,
}

impl Lookup {
    /// Builds the tables of a state.
    pub(super) fn from_state(state: &State) -> Self {
        let mut lookup = Self::default();
        for (&session_id, session) in state.sessions() {
            lookup.insert_session(session_id, session.key(), session.nonce(), &session.client);
        }
        for (name, file) in state.files() {
            for AppliedAppend { session_id, seq, .. } in file.recent_appends().iter() {
                lookup.files_by_append.insert((*session_id, *seq), name.clone());
            }
        }
        lookup
    }

    /// Updates the tables for an event that is about to be applied to the state.
    pub(super) fn before_apply(&mut self, state: &State, kind: &EventKind) {
        match kind {
            EventKind::SessionOpened { session_id, client, key, nonce, .. } => {
                self.insert_session(*session_id, *key, *nonce, client);
            }
            EventKind::SessionExpired { session_id, .. }
            | EventKind::SessionClosed { session_id, .. } => {
                let Some(session) = state.session(*session_id) else { return };
                session.key().map(|key| self.ids_by_key.remove(&key));
                let nonce = session.nonce();
                nonce.map(|nonce| self.ids_by_hello.remove(&(nonce, session.client.clone())));
            }
            EventKind::FileAppended { file: name, session_id, request_id, .. } => {
                // This append evicts the file's oldest one.
                let recent = state.files().get(name).map(File::recent_appends);
                let oldest =
                    recent.filter(|it| it.len() == RECENT_APPENDS_MAX).and_then(|it| it.get(0));
                oldest.map(|it| self.files_by_append.remove(&(it.session_id, it.seq)));
                self.files_by_append.insert((*session_id, request_id.seq), name.clone());
            }
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::LockQueued { .. }
            | EventKind::LockGranted { .. }
            | EventKind::LockReleased { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => {}
        }
    }

    fn insert_session(
        &mut self,
        session_id: SessionId,
        key: Option<Secret<SessionKey>>,
        nonce: Option<Secret<Nonce>>,
        client: &Name,
    ) {
        key.map(|key| self.ids_by_key.insert(key, session_id));
        nonce.map(|nonce| self.ids_by_hello.insert((nonce, client.clone()), session_id));
    }

    /// Returns the live session that this key belongs to.
    pub(super) fn session_by_key(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.ids_by_key.get(&key).copied()
    }

    /// Returns the live session that an earlier transmission of this `hello` opened.
    pub(super) fn session_by_hello(
        &self,
        nonce: Secret<Nonce>,
        client: &Name,
    ) -> Option<SessionId> {
        self.ids_by_hello.get(&(nonce, client.clone())).copied()
    }

    /// Returns the session that this key belongs to, or belonged to before the session ended.
    pub(super) fn live_or_ended_session(
        &self,
        state: &State,
        key: Secret<SessionKey>,
    ) -> Option<SessionId> {
        self.session_by_key(key).or_else(|| state.ended_session(key))
    }

    /// Returns the recent append with this sequence number, and its file.
    pub(super) fn find_append(
        &self,
        state: &State,
        session_id: SessionId,
        seq: Seq,
    ) -> Option<(Name, AppliedAppend)> {
        let name = self.files_by_append.get(&(session_id, seq))?;
        Some((name.clone(), *state.files().get(name)?.find_append(session_id, seq)?))
    }

    /// Returns the outcome of the append that the session with this key, alive or ended, sent with
    /// this sequence number. Returns [`Status::NotApplied`] only if it can never be applied.
    pub(super) fn append_outcome(
        &self,
        state: &State,
        key: Secret<SessionKey>,
        append_seq: Seq,
    ) -> Status {
        let Some(session_id) = self.live_or_ended_session(state, key) else {
            return Status::Forgotten;
        };
        if let Some((file, AppliedAppend { offset, len, .. })) =
            self.find_append(state, session_id, append_seq)
        {
            return Status::Applied { file, offset, len };
        }
        // A request of a live session that has no answer yet can still arrive. It has no effect if
        // the session holds no lock: it names the token of a tenure that is over.
        let live = state.session(session_id);
        let settled = live.is_none_or(|session| {
            session.replies.is_settled(append_seq) || session.held.is_empty()
        });
        if settled && !state.may_have_evicted_append(session_id, append_seq) {
            Status::NotApplied
        } else {
            Status::Forgotten
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use crate::digest::Digest;
    use crate::event::{Event, RequestId};
    use crate::id::{Attempt, Token};
    use crate::time::{Millis, Time};

    const ANN: SessionId = SessionId::new(1);
    const BEN: SessionId = SessionId::new(2);

    #[derive(Default)]
    struct Fixture {
        state: State,
        lookup: Lookup,
    }

    impl Fixture {
        fn apply(&mut self, kind: EventKind) {
            self.lookup.before_apply(&self.state, &kind);
            let index = self.state.applied_index().next();
            self.state.apply(&Event { index, at: Time::default(), kind });
        }

        fn open(&mut self, session_id: SessionId) {
            let entropy = u128::from(session_id.number());
            self.apply(EventKind::SessionOpened {
                session_id,
                client: Name::new("client").unwrap(),
                lease: Millis::from_millis(1_000),
                key: Some(Secret::new(SessionKey::from_entropy(entropy))),
                nonce: Some(Secret::new(Nonce::new(session_id.number()))),
            });
        }

        fn append(&mut self, session_id: SessionId, file: &str, seq: u64) {
            let file = Name::new(file).unwrap();
            let offset = self.state.files().get(&file).map_or(0, File::len);
            let request_id =
                RequestId { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) };
            self.apply(EventKind::FileAppended {
                file,
                session_id,
                client: Name::new("client").unwrap(),
                token: Token::new(1),
                offset,
                data: Data::new(b"line"),
                request_id,
            });
        }

        fn file_of_append(&self, session_id: SessionId, seq: u64) -> Option<String> {
            let found = self.lookup.find_append(&self.state, session_id, Seq::new(seq));
            found.map(|(name, _)| name.to_string())
        }
    }

    #[test]
    fn lookup_matches_the_state_after_every_event() {
        let mut fixture = Fixture::default();
        fixture.open(ANN);
        fixture.open(BEN);
        fixture.append(ANN, "a", 1);
        fixture.append(ANN, "b", 2);
        for seq in 3..RECENT_APPENDS_MAX as u64 + 2 {
            fixture.append(if seq % 7 == 0 { ANN } else { BEN }, "b", seq);
            assert_eq!(fixture.lookup, Lookup::from_state(&fixture.state), "after {seq}");
        }
        assert_eq!(fixture.file_of_append(ANN, 1).as_deref(), Some("a"));
        assert_eq!(fixture.file_of_append(ANN, 2).as_deref(), Some("b"));
        assert_eq!((fixture.file_of_append(BEN, 2), fixture.file_of_append(ANN, 3)), (None, None));
        fixture.append(BEN, "b", 5_000);
        assert_eq!(
            fixture.file_of_append(ANN, 2),
            None,
            "a file retains a limited number of appends"
        );
        (0..RECENT_APPENDS_MAX as u64).for_each(|seq| fixture.append(BEN, "b", 6_000 + seq));
        assert_eq!(fixture.lookup, Lookup::from_state(&fixture.state));
        assert_eq!(
            fixture.lookup.files_by_append.len(),
            RECENT_APPENDS_MAX + 1,
            "and the append to a"
        );
        fixture.apply(EventKind::SessionExpired {
            session_id: BEN,
            client: Name::new("client").unwrap(),
        });
        assert_eq!(fixture.lookup, Lookup::from_state(&fixture.state));
        assert_eq!((fixture.lookup.ids_by_key.len(), fixture.lookup.ids_by_hello.len()), (1, 1));
    }
}
