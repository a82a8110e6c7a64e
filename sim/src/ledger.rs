//! The service's decisions as records: whom each is about, and what it rests on.
//!
//! A ledger knows what an event alone doesn't tell: who has which session, which record told last
//! of each lease and each tenure, how many lines a file has. The simulated world keeps one, and so
//! does whoever follows a server from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_core::event::{Event, Fact, ReleaseCause};
use leasehold_core::id::{Index, Name, SessionNo};
use leasehold_core::refusal::Refusal;
use leasehold_core::state::{Lock, State};

use super::file::{Line, Lines};
use super::message::{Code, Message};
use super::trace::{Kind, LockNo, NodeNo, RecordNo, number};

/// What records of the service's decisions are made with.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    locks: Arc<BTreeMap<Name, LockNo>>,
    /// By the numbers of the sessions, which only grow.
    sessions: Vec<Held>,
    /// The last record about each lock's tenure: the grant, or the release after it.
    tenures: Vec<RecordNo>,
    files: Vec<Lines>,
}

/// A session: who has it, and the last record about its lease, or its end.
#[derive(Clone, Copy, Debug)]
struct Held {
    session_no: SessionNo,
    owner: NodeNo,
    lease: RecordNo,
}

/// A decision as a record tells it, and the earlier record that it rests on.
pub type Decision = (Kind, RecordNo);

impl Ledger {
    /// With these locks, which are numbered in their order.
    pub fn new<'a>(locks: impl IntoIterator<Item = &'a Name>) -> Self {
        let mut ledger = Self::default();
        for name in locks {
            ledger.add_lock(name);
        }
        ledger
    }

    /// One more lock, where it isn't known. [`LockNo::NONE`] where there are as many as there are
    /// numbers.
    pub fn add_lock(&mut self, name: &Name) -> LockNo {
        let known = self.lock_no(name);
        let next = u8::try_from(self.tenures.len()).map_or(LockNo::NONE, LockNo);
        if known != LockNo::NONE || next == LockNo::NONE {
            return known;
        }
        Arc::make_mut(&mut self.locks).insert(name.clone(), next);
        self.tenures.push(RecordNo::NONE);
        self.files.push(Lines::default());
        next
    }

    /// The number of a lock; [`LockNo::NONE`] where it isn't known.
    pub fn lock_no(&self, name: &Name) -> LockNo {
        self.locks.get(name).copied().unwrap_or(LockNo::NONE)
    }

    /// Who has a session; the server where that isn't known.
    pub fn owner(&self, session_no: SessionNo) -> NodeNo {
        self.session(session_no).map_or(NodeNo::SERVER, |held| held.owner)
    }

    /// Notes who has a session.
    pub fn set_owner(&mut self, session_no: SessionNo, owner: NodeNo) {
        self.session_mut(session_no).owner = owner;
    }

    /// Notes the last record about a lock's tenure.
    pub fn set_tenure(&mut self, lock: LockNo, no: RecordNo) {
        if let Some(tenure) = self.tenures.get_mut(usize::from(lock.0)) {
            *tenure = no;
        }
    }

    /// What stands in the file of a lock.
    pub fn file(&self, lock: LockNo) -> Option<&Lines> {
        self.files.get(usize::from(lock.0))
    }

    /// Forgets the lines that came after this place in history.
    pub fn forget_after(&mut self, through: Index) {
        self.files.iter_mut().for_each(|file| file.forget_after(through));
    }

    /// The last record about a lock's tenure.
    pub(super) fn tenure(&self, lock: LockNo) -> RecordNo {
        self.tenures.get(usize::from(lock.0)).copied().unwrap_or(RecordNo::NONE)
    }

    fn session(&self, session_no: SessionNo) -> Option<&Held> {
        let place = self.sessions.binary_search_by_key(&session_no, |held| held.session_no).ok()?;
        self.sessions.get(place)
    }

    fn session_mut(&mut self, session_no: SessionNo) -> &mut Held {
        let found = self.sessions.binary_search_by_key(&session_no, |held| held.session_no);
        let place = found.unwrap_or_else(|place| {
            let (owner, lease) = (NodeNo::SERVER, RecordNo::NONE);
            self.sessions.insert(place, Held { session_no, owner, lease });
            place
        });
        &mut self.sessions[place]
    }

    fn lease(&self, session_no: SessionNo) -> RecordNo {
        self.session(session_no).map_or(RecordNo::NONE, |held| held.lease)
    }

    /// What is told of a state with which a server begins, or somebody who looks: the tenures and
    /// the places in line, each with what it rests on.
    pub fn kept(&self, state: &State) -> Vec<Decision> {
        let mut kept = Vec::new();
        for (name, lock) in state.locks() {
            let no = self.lock_no(name);
            if let Some(tenure) = lock.tenure() {
                let client = self.owner(tenure.session_no);
                let session = number(tenure.session_no.number());
                let token = number(tenure.token.number());
                kept.push((Kind::Kept { lock: no, client, session, token }, self.tenure(no)));
            }
            for waiter in lock.line() {
                let client = self.owner(waiter.session_no);
                let session = number(waiter.session_no.number());
                let seq = number(waiter.seq.number());
                let kind = Kind::KeptWait { lock: no, client, session, seq };
                kept.push((kind, RecordNo::NONE));
            }
        }
        kept
    }

    /// Takes in an event that `by` led to, and that was recorded under this number.
    pub fn take(&mut self, event: &Event, by: NodeNo, no: RecordNo) {
        match &event.fact {
            Fact::SessionOpened { session_no, .. } => {
                let held = self.session_mut(*session_no);
                (held.owner, held.lease) = (by, no);
            }
            Fact::LeaseRenewed { session_no, .. }
            | Fact::SessionExpired { session_no, .. }
            | Fact::LockQueued { session_no, .. } => self.session_mut(*session_no).lease = no,
            Fact::LockGranted { lock, session_no, .. }
            | Fact::LockReleased { lock, session_no, .. } => {
                // Whoever gets it out of the line, or loses it, was not heard of by that.
                if matches!(
                    event.fact,
                    Fact::LockGranted { from_queue: false, .. }
                        | Fact::LockReleased { cause: ReleaseCause::Released, .. }
                ) {
                    self.session_mut(*session_no).lease = no;
                }
                self.set_tenure(self.lock_no(lock), no);
            }
            Fact::FileAppended { file, token, offset, data, session_no, asked, .. } => {
                self.session_mut(*session_no).lease = no;
                let line = Line {
                    record: no,
                    index: event.index,
                    client: self.author(*session_no, by),
                    asked: (number(session_no.number()), number(asked.seq.number())),
                    token: number(token.number()),
                    offset: *offset,
                    text: data.text().unwrap_or("(bytes)").trim_end().to_owned(),
                };
                let place = usize::from(self.lock_no(file).0);
                if let Some(file) = self.files.get_mut(place) {
                    file.push(line);
                }
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionClosed { .. }
            | Fact::WaitEnded { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::DatagramDropped { .. } => {}
        }
    }

    /// Whose an append is.
    fn author(&self, session_no: SessionNo, by: NodeNo) -> NodeNo {
        if by.is_server() { self.owner(session_no) } else { by }
    }

    fn lines_of(&self, lock: LockNo) -> u16 {
        u16::try_from(self.file(lock).map_or(0, Lines::len)).unwrap_or(u16::MAX)
    }

    /// An event that `by` led to, as a record tells it; nothing where no record does. `state` is
    /// what was so after it, where there is somebody who knows.
    pub fn decision(&self, event: &Event, by: NodeNo, state: Option<&State>) -> Option<Decision> {
        let index = number(event.index.number());
        let at = |session_no: &SessionNo| number(session_no.number());
        Some(match &event.fact {
            Fact::ServerStarted { .. } | Fact::ServerStopped | Fact::DatagramDropped { .. } => {
                return None;
            }
            Fact::SessionOpened { session_no, .. } => {
                let session = at(session_no);
                (Kind::SessionOpened { client: by, session, index }, RecordNo::NONE)
            }
            Fact::SessionExpired { session_no, .. } => {
                let (client, session) = (self.owner(*session_no), at(session_no));
                let also = self.lease(*session_no);
                (Kind::SessionExpired { client, session, index }, also)
            }
            Fact::SessionClosed { session_no, .. } => {
                let (client, session) = (self.owner(*session_no), at(session_no));
                (Kind::SessionClosed { client, session, index }, RecordNo::NONE)
            }
            Fact::LeaseRenewed { session_no, asked, .. } => {
                let (client, session) = (self.owner(*session_no), at(session_no));
                let seq = number(asked.seq.number());
                (Kind::LeaseRenewed { client, session, seq }, RecordNo::NONE)
            }
            Fact::DuplicateAnswered { session_no, op, asked, .. } => {
                let (client, session) = (self.owner(*session_no), at(session_no));
                let (message, seq) = (Message::of_op(*op), number(asked.seq.number()));
                (Kind::DuplicateAnswered { client, message, session, seq }, RecordNo::NONE)
            }
            Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. } => self.of_lock(event, by, state)?,
            Fact::FileAppended { file, session_no, token, asked, .. } => {
                let lock = self.lock_no(file);
                let client = self.author(*session_no, by);
                let kind = Kind::FileAppended {
                    lock,
                    client,
                    session: at(session_no),
                    seq: number(asked.seq.number()),
                    token: number(token.number()),
                    line: self.lines_of(lock),
                    index,
                };
                (kind, self.tenure(lock))
            }
            Fact::RequestRefused { session_no, op, name, token, refusal, asked, .. } => {
                let lock = name.as_ref().map_or(LockNo::NONE, |name| self.lock_no(name));
                let client = match session_no {
                    Some(session_no) => self.owner(*session_no),
                    None => by,
                };
                let (current, rests) = rests_on_tenure(refusal);
                let kind = Kind::RequestRefused {
                    client,
                    message: Message::of_op(*op),
                    lock,
                    token: token.map_or(0, |token| number(token.number())),
                    current,
                    code: Code::of(refusal),
                    seq: number(asked.seq.number()),
                };
                (kind, if rests { self.tenure(lock) } else { RecordNo::NONE })
            }
        })
    }

    fn of_lock(&self, event: &Event, by: NodeNo, state: Option<&State>) -> Option<Decision> {
        let index = number(event.index.number());
        let session_no = event.fact.session_no()?;
        let (client, session) = (self.owner(session_no), number(session_no.number()));
        Some(match &event.fact {
            Fact::LockQueued { lock, asked, .. } => {
                let no = self.lock_no(lock);
                let kind = Kind::LockQueued {
                    lock: no,
                    client,
                    session,
                    seq: number(asked.seq.number()),
                    position: position_of(lock, session_no, state),
                    index,
                };
                (kind, self.tenure(no))
            }
            Fact::LockGranted { lock, token, asked, from_queue, .. } => {
                let no = self.lock_no(lock);
                let kind = Kind::LockGranted {
                    lock: no,
                    client,
                    session,
                    seq: number(asked.seq.number()),
                    token: number(token.number()),
                    from_queue: *from_queue,
                    index,
                };
                (kind, self.tenure(no))
            }
            Fact::LockReleased { lock, token, cause, asked, .. } => {
                let no = self.lock_no(lock);
                let by_request = *cause == ReleaseCause::Released && !by.is_server();
                let seq = asked.map_or(0, |asked| number(asked.seq.number()));
                let kind = Kind::LockReleased {
                    lock: no,
                    client,
                    session,
                    seq,
                    token: number(token.number()),
                    cause: *cause,
                    by: if by_request { by } else { client },
                    index,
                };
                let also = match cause {
                    ReleaseCause::LeaseExpired => self.lease(session_no),
                    ReleaseCause::Released | ReleaseCause::HoldExpired | ReleaseCause::Closed => {
                        self.tenure(no)
                    }
                };
                (kind, also)
            }
            Fact::WaitEnded { lock, waited, cause, .. } => {
                let lock = self.lock_no(lock);
                let seq = number(waited.number());
                let kind = Kind::WaitEnded { lock, client, session, seq, cause: *cause, index };
                (kind, RecordNo::NONE)
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionOpened { .. }
            | Fact::SessionExpired { .. }
            | Fact::SessionClosed { .. }
            | Fact::FileAppended { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => return None,
        })
    }
}

/// The place of a session in the line for a lock, from 1 on; 0 where it has none.
fn position_of(lock: &Name, session_no: SessionNo, state: Option<&State>) -> u16 {
    let line = state.and_then(|state| state.locks().get(lock));
    let mut waiters = line.into_iter().flat_map(Lock::line);
    let place = waiters.position(|waiter| waiter.session_no == session_no);
    place.map_or(0, |place| u16::try_from(place + 1).unwrap_or(u16::MAX))
}

/// The token of the tenure that a refusal names, and whether it was refused for that tenure.
fn rests_on_tenure(refusal: &Refusal) -> (u32, bool) {
    match refusal {
        Refusal::StaleToken { current } => (number(current.number()), true),
        Refusal::AlreadyHeld { token } => (number(token.number()), true),
        Refusal::NotHolder | Refusal::LockHeld { .. } => (0, true),
        Refusal::BadRequest { .. }
        | Refusal::TooLarge { .. }
        | Refusal::BadName
        | Refusal::UnknownSession
        | Refusal::StaleSeq
        | Refusal::SeqReused
        | Refusal::WindowFull { .. }
        | Refusal::Overloaded { .. }
        | Refusal::RateLimited { .. }
        | Refusal::StorageFailed
        | Refusal::WaitTimeout
        | Refusal::NotWaiting => (0, false),
    }
}
