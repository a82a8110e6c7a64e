//! Ways to find what a request names: the state the other way round. Derived from it, so never
//! written anywhere, and kept by nobody who answers no requests.

use std::collections::BTreeMap;

use crate::event::Fact;
use crate::id::{Name, Nonce, Seq, SessionId, SessionNo};
use crate::limits::APPENDS_KEPT;
use crate::secret::Secret;
use crate::state::{Applied, File, State};
use crate::wire::Status;

/// What sessions and files say of themselves, by what one asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lookup {
    ids: BTreeMap<Secret<SessionId>, SessionNo>,
    hellos: BTreeMap<(Secret<Nonce>, Name), SessionNo>,
    /// Exactly those that the files remember. A list of the files of a session would be smaller,
    /// but to find that an append is in none of them would take as long as whoever asks likes.
    appends: BTreeMap<(SessionNo, Seq), Name>,
}

impl Lookup {
    /// All that this state knows.
    pub(super) fn of(state: &State) -> Self {
        let mut lookup = Self::default();
        for (&session_no, session) in state.sessions() {
            lookup.open(session_no, session.id(), session.nonce(), &session.client);
        }
        for (name, file) in state.files() {
            for Applied { session_no, seq, .. } in file.recent().iter() {
                lookup.appends.insert((*session_no, *seq), name.clone());
            }
        }
        lookup
    }

    /// Takes in what an event, not yet applied to this state, changes.
    pub(super) fn before(&mut self, state: &State, fact: &Fact) {
        match fact {
            Fact::SessionOpened { session_no, client, id, nonce, .. } => {
                self.open(*session_no, *id, *nonce, client);
            }
            Fact::SessionExpired { session_no, .. } | Fact::SessionClosed { session_no, .. } => {
                let Some(session) = state.session(*session_no) else { return };
                session.id().map(|id| self.ids.remove(&id));
                let nonce = session.nonce();
                nonce.map(|nonce| self.hellos.remove(&(nonce, session.client.clone())));
            }
            Fact::FileAppended { file: name, session_no, asked, .. } => {
                // With this one the oldest is forgotten.
                let full = state.files().get(name).map(File::recent);
                let oldest = full.filter(|it| it.len() == APPENDS_KEPT).and_then(|it| it.get(0));
                oldest.map(|it| self.appends.remove(&(it.session_no, it.seq)));
                self.appends.insert((*session_no, asked.seq), name.clone());
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => {}
        }
    }

    fn open(
        &mut self,
        session_no: SessionNo,
        id: Option<Secret<SessionId>>,
        nonce: Option<Secret<Nonce>>,
        client: &Name,
    ) {
        id.map(|id| self.ids.insert(id, session_no));
        nonce.map(|nonce| self.hellos.insert((nonce, client.clone()), session_no));
    }

    /// The live session that this capability opens.
    pub(super) fn session(&self, id: Secret<SessionId>) -> Option<SessionNo> {
        self.ids.get(&id).copied()
    }

    /// The live session that this `hello` opened before.
    pub(super) fn session_of_hello(
        &self,
        nonce: Secret<Nonce>,
        client: &Name,
    ) -> Option<SessionNo> {
        self.hellos.get(&(nonce, client.clone())).copied()
    }

    /// The session that this capability opens, or opened before it went.
    pub(super) fn session_ever(&self, state: &State, id: Secret<SessionId>) -> Option<SessionNo> {
        self.session(id).or_else(|| state.departed(id))
    }

    /// The append of this number, and its file, where it is in one.
    pub(super) fn applied(
        &self,
        state: &State,
        session_no: SessionNo,
        seq: Seq,
    ) -> Option<(Name, Applied)> {
        let name = self.appends.get(&(session_no, seq))?;
        Some((name.clone(), *state.files().get(name)?.find(session_no, seq)?))
    }

    /// What became of the append that the session with this capability, alive or gone, sent as
    /// `of`. Says [`Status::NotApplied`] only where it never can be applied any more.
    pub(super) fn outcome(&self, state: &State, id: Secret<SessionId>, of: Seq) -> Status {
        let Some(session_no) = self.session_ever(state, id) else { return Status::Forgotten };
        if let Some((file, Applied { offset, len, .. })) = self.applied(state, session_no, of) {
            return Status::Applied { file, offset, len };
        }
        // A live session's request that has no answer yet can still arrive.
        let alive = state.session(session_no);
        let settled = alive.is_none_or(|session| session.replies.is_settled(of));
        if settled && !state.has_forgotten_append(session_no, of) {
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
    use crate::event::{Asked, Event};
    use crate::id::{Attempt, Token};
    use crate::time::{Span, Time};

    const ANN: SessionNo = SessionNo::new(1);
    const BEN: SessionNo = SessionNo::new(2);

    #[derive(Default)]
    struct Rig {
        state: State,
        lookup: Lookup,
    }

    impl Rig {
        fn take(&mut self, fact: Fact) {
            self.lookup.before(&self.state, &fact);
            let index = self.state.index().next();
            self.state.apply(&Event { index, at: Time::default(), fact });
        }

        fn open(&mut self, session_no: SessionNo) {
            let secret = u128::from(session_no.number());
            self.take(Fact::SessionOpened {
                session_no,
                client: Name::new("client").unwrap(),
                lease: Span::from_millis(1_000),
                id: Some(Secret::new(SessionId::from_entropy(secret))),
                nonce: Some(Secret::new(Nonce::new(session_no.number()))),
            });
        }

        fn append(&mut self, session_no: SessionNo, file: &str, seq: u64) {
            let file = Name::new(file).unwrap();
            let offset = self.state.files().get(&file).map_or(0, File::len);
            let asked = Asked { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) };
            self.take(Fact::FileAppended {
                file,
                session_no,
                client: Name::new("client").unwrap(),
                token: Token::new(1),
                offset,
                data: Data::new(b"line"),
                asked,
            });
        }

        fn file_of(&self, session_no: SessionNo, seq: u64) -> Option<String> {
            let found = self.lookup.applied(&self.state, session_no, Seq::new(seq));
            found.map(|(name, _)| name.to_string())
        }
    }

    #[test]
    fn it_knows_what_the_state_knows_and_forgets_what_the_state_forgets() {
        let mut rig = Rig::default();
        rig.open(ANN);
        rig.open(BEN);
        rig.append(ANN, "a", 1);
        rig.append(ANN, "b", 2);
        for seq in 3..APPENDS_KEPT as u64 + 2 {
            rig.append(if seq % 7 == 0 { ANN } else { BEN }, "b", seq);
            assert_eq!(rig.lookup, Lookup::of(&rig.state), "after {seq}");
        }
        assert_eq!(rig.file_of(ANN, 1).as_deref(), Some("a"));
        assert_eq!(rig.file_of(ANN, 2).as_deref(), Some("b"));
        assert_eq!((rig.file_of(BEN, 2), rig.file_of(ANN, 3)), (None, None));
        rig.append(BEN, "b", 5_000);
        assert_eq!(rig.file_of(ANN, 2), None, "the file remembers as many as it may");
        (0..APPENDS_KEPT as u64).for_each(|seq| rig.append(BEN, "b", 6_000 + seq));
        assert_eq!(rig.lookup, Lookup::of(&rig.state));
        assert_eq!(rig.lookup.appends.len(), APPENDS_KEPT + 1, "and the one of a");
        rig.take(Fact::SessionExpired { session_no: BEN, client: Name::new("client").unwrap() });
        assert_eq!(rig.lookup, Lookup::of(&rig.state));
        assert_eq!((rig.lookup.ids.len(), rig.lookup.hellos.len()), (1, 1));
    }
}
