//! The service's decisions as records: whom each is about, and what it rests on.
//!
//! A ledger knows what an event alone doesn't tell: who has which session, which record told last
//! of each lease and each tenure, how many lines a file has. The simulated world keeps one, and so
//! does whoever follows a server from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_core::event::{Event, EventKind, ReleaseCause};
use leasehold_core::id::{LogIndex, Name, SessionId};
use leasehold_core::refusal::Refusal;
use leasehold_core::state::{Lock, State};

use super::file_lines::{Line, Lines};
use super::message::{Message, RefusalCode};
use super::trace::{LockId, NodeId, RecordId, RecordKind, saturating_u32};

/// What records of the service's decisions are made with.
#[derive(Clone, Debug, Default)]
pub struct EventRecorder {
    locks: Arc<BTreeMap<Name, LockId>>,
    /// By the numbers of the sessions, which only grow.
    sessions: Vec<SessionEntry>,
    /// The last record about each lock's tenure: the grant, or the release after it.
    tenure_records: Vec<RecordId>,
    files: Vec<Lines>,
}

/// A session: who has it, and the last record about its lease, or its end.
#[derive(Clone, Copy, Debug)]
struct SessionEntry {
    session_id: SessionId,
    owner: NodeId,
    lease_record: RecordId,
}

/// A decision as a record tells it, and the earlier record that it rests on.
pub type EventRecord = (RecordKind, RecordId);

impl EventRecorder {
    /// With these locks, which are numbered in their order.
    pub fn new<'a>(locks: impl IntoIterator<Item = &'a Name>) -> Self {
        let mut recorder = Self::default();
        for name in locks {
            recorder.add_lock(name);
        }
        recorder
    }

    /// One more lock, where it isn't known. [`LockId::NONE`] where there are as many as there are
    /// numbers.
    pub fn add_lock(&mut self, name: &Name) -> LockId {
        let known = self.lock_id(name);
        let next = u8::try_from(self.tenure_records.len()).map_or(LockId::NONE, LockId);
        if known != LockId::NONE || next == LockId::NONE {
            return known;
        }
        Arc::make_mut(&mut self.locks).insert(name.clone(), next);
        self.tenure_records.push(RecordId::NONE);
        self.files.push(Lines::default());
        next
    }

    /// The number of a lock; [`LockId::NONE`] where it isn't known.
    pub fn lock_id(&self, name: &Name) -> LockId {
        self.locks.get(name).copied().unwrap_or(LockId::NONE)
    }

    /// Who has a session; the server where that isn't known.
    pub fn owner(&self, session_id: SessionId) -> NodeId {
        self.session(session_id).map_or(NodeId::SERVER, |entry| entry.owner)
    }

    /// Notes who has a session.
    pub fn set_owner(&mut self, session_id: SessionId, owner: NodeId) {
        self.session_entry(session_id).owner = owner;
    }

    /// Notes the last record about a lock's tenure.
    pub fn set_tenure_record(&mut self, lock: LockId, lock_id: RecordId) {
        if let Some(slot) = self.tenure_records.get_mut(usize::from(lock.0)) {
            *slot = lock_id;
        }
    }

    /// What stands in the file of a lock.
    pub fn file(&self, lock: LockId) -> Option<&Lines> {
        self.files.get(usize::from(lock.0))
    }

    /// Forgets the lines that came after this place in history.
    pub fn discard_after(&mut self, through: LogIndex) {
        self.files.iter_mut().for_each(|file| file.discard_after(through));
    }

    /// The last record about a lock's tenure.
    pub(super) fn tenure_record(&self, lock: LockId) -> RecordId {
        self.tenure_records.get(usize::from(lock.0)).copied().unwrap_or(RecordId::NONE)
    }

    fn session(&self, session_id: SessionId) -> Option<&SessionEntry> {
        let position =
            self.sessions.binary_search_by_key(&session_id, |entry| entry.session_id).ok()?;
        self.sessions.get(position)
    }

    fn session_entry(&mut self, session_id: SessionId) -> &mut SessionEntry {
        let slot = self.sessions.binary_search_by_key(&session_id, |entry| entry.session_id);
        let position = slot.unwrap_or_else(|position| {
            let (owner, lease_record) = (NodeId::SERVER, RecordId::NONE);
            self.sessions.insert(position, SessionEntry { session_id, owner, lease_record });
            position
        });
        &mut self.sessions[position]
    }

    fn lease_record(&self, session_id: SessionId) -> RecordId {
        self.session(session_id).map_or(RecordId::NONE, |entry| entry.lease_record)
    }

    /// What is told of a state with which a server begins, or somebody who looks: the tenures and
    /// the places in line, each with what it rests on.
    pub fn snapshot_records(&self, state: &State) -> Vec<EventRecord> {
        let mut records = Vec::new();
        for (name, lock) in state.locks() {
            let record = self.lock_id(name);
            if let Some(tenure) = lock.tenure() {
                let client = self.owner(tenure.session_id);
                let session = saturating_u32(tenure.session_id.number());
                let token = saturating_u32(tenure.token.number());
                records.push((
                    RecordKind::TenureRecovered { lock: record, client, session, token },
                    self.tenure_record(record),
                ));
            }
            for waiter in lock.wait_queue() {
                let client = self.owner(waiter.session_id);
                let session = saturating_u32(waiter.session_id.number());
                let seq = saturating_u32(waiter.seq.number());
                let kind = RecordKind::WaitRecovered { lock: record, client, session, seq };
                records.push((kind, RecordId::NONE));
            }
        }
        records
    }

    /// Takes in an event that `by` led to, and that was recorded under this number.
    pub fn apply(&mut self, event: &Event, by: NodeId, lock_id: RecordId) {
        match &event.kind {
            EventKind::SessionOpened { session_id, .. } => {
                let entry = self.session_entry(*session_id);
                (entry.owner, entry.lease_record) = (by, lock_id);
            }
            EventKind::LeaseRenewed { session_id, .. }
            | EventKind::SessionExpired { session_id, .. }
            | EventKind::LockQueued { session_id, .. } => {
                self.session_entry(*session_id).lease_record = lock_id
            }
            EventKind::LockGranted { lock, session_id, .. }
            | EventKind::LockReleased { lock, session_id, .. } => {
                // Whoever gets it out of the line, or loses it, was not heard of by that.
                if matches!(
                    event.kind,
                    EventKind::LockGranted { from_queue: false, .. }
                        | EventKind::LockReleased { cause: ReleaseCause::Released, .. }
                ) {
                    self.session_entry(*session_id).lease_record = lock_id;
                }
                self.set_tenure_record(self.lock_id(lock), lock_id);
            }
            EventKind::FileAppended {
                file, token, offset, data, session_id, request_id, ..
            } => {
                self.session_entry(*session_id).lease_record = lock_id;
                let line = Line {
                    record: lock_id,
                    index: event.index,
                    client: self.append_author(*session_id, by),
                    request: (
                        saturating_u32(session_id.number()),
                        saturating_u32(request_id.seq.number()),
                    ),
                    token: saturating_u32(token.number()),
                    offset: *offset,
                    text: data.text().unwrap_or("(bytes)").trim_end().to_owned(),
                };
                let file_index = usize::from(self.lock_id(file).0);
                if let Some(file) = self.files.get_mut(file_index) {
                    file.push(line);
                }
            }
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionClosed { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::DatagramDropped { .. } => {}
        }
    }

    /// Whose an append is.
    fn append_author(&self, session_id: SessionId, origin: NodeId) -> NodeId {
        if origin.is_server() { self.owner(session_id) } else { origin }
    }

    fn line_count(&self, lock: LockId) -> u16 {
        u16::try_from(self.file(lock).map_or(0, Lines::len)).unwrap_or(u16::MAX)
    }

    /// An event that `by` led to, as a record tells it; nothing where no record does. `state` is
    /// what was so after it, where there is somebody who knows.
    pub fn translate(
        &self,
        event: &Event,
        origin: NodeId,
        state: Option<&State>,
    ) -> Option<EventRecord> {
        let index = saturating_u32(event.index.number());
        let session_number = |session_id: &SessionId| saturating_u32(session_id.number());
        Some(match &event.kind {
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::DatagramDropped { .. } => {
                return None;
            }
            EventKind::SessionOpened { session_id, .. } => {
                let session = session_number(session_id);
                (RecordKind::SessionOpened { client: origin, session, index }, RecordId::NONE)
            }
            EventKind::SessionExpired { session_id, .. } => {
                let (client, session) = (self.owner(*session_id), session_number(session_id));
                let related = self.lease_record(*session_id);
                (RecordKind::SessionExpired { client, session, index }, related)
            }
            EventKind::SessionClosed { session_id, .. } => {
                let (client, session) = (self.owner(*session_id), session_number(session_id));
                (RecordKind::SessionClosed { client, session, index }, RecordId::NONE)
            }
            EventKind::LeaseRenewed { session_id, request_id, .. } => {
                let (client, session) = (self.owner(*session_id), session_number(session_id));
                let seq = saturating_u32(request_id.seq.number());
                (RecordKind::LeaseRenewed { client, session, seq }, RecordId::NONE)
            }
            EventKind::DuplicateAnswered { session_id, op, request_id, .. } => {
                let (client, session) = (self.owner(*session_id), session_number(session_id));
                let (message, seq) =
                    (Message::from_op(*op), saturating_u32(request_id.seq.number()));
                (RecordKind::DuplicateAnswered { client, message, session, seq }, RecordId::NONE)
            }
            EventKind::LockQueued { .. }
            | EventKind::LockGranted { .. }
            | EventKind::LockReleased { .. }
            | EventKind::WaitEnded { .. } => self.translate_lock_event(event, origin, state)?,
            EventKind::FileAppended { file, session_id, token, request_id, .. } => {
                let lock = self.lock_id(file);
                let client = self.append_author(*session_id, origin);
                let kind = RecordKind::FileAppended {
                    lock,
                    client,
                    session: session_number(session_id),
                    seq: saturating_u32(request_id.seq.number()),
                    token: saturating_u32(token.number()),
                    line: self.line_count(lock),
                    index,
                };
                (kind, self.tenure_record(lock))
            }
            EventKind::RequestRefused {
                session_id,
                op,
                resource_name: name,
                token,
                refusal,
                request_id,
                ..
            } => {
                let lock = name.as_ref().map_or(LockId::NONE, |name| self.lock_id(name));
                let client = match session_id {
                    Some(session_id) => self.owner(*session_id),
                    None => origin,
                };
                let (current, is_tenure_related) = deciding_tenure(refusal);
                let kind = RecordKind::RequestRefused {
                    client,
                    message: Message::from_op(*op),
                    lock,
                    token: token.map_or(0, |token| saturating_u32(token.number())),
                    current,
                    code: RefusalCode::from_refusal(refusal),
                    seq: saturating_u32(request_id.seq.number()),
                };
                (kind, if is_tenure_related { self.tenure_record(lock) } else { RecordId::NONE })
            }
        })
    }

    fn translate_lock_event(
        &self,
        event: &Event,
        origin: NodeId,
        state: Option<&State>,
    ) -> Option<EventRecord> {
        let index = saturating_u32(event.index.number());
        let session_id = event.kind.session_id()?;
        let (client, session) = (self.owner(session_id), saturating_u32(session_id.number()));
        Some(match &event.kind {
            EventKind::LockQueued { lock, request_id, .. } => {
                let lock_id = self.lock_id(lock);
                let kind = RecordKind::LockQueued {
                    lock: lock_id,
                    client,
                    session,
                    seq: saturating_u32(request_id.seq.number()),
                    position: queue_position(lock, session_id, state),
                    index,
                };
                (kind, self.tenure_record(lock_id))
            }
            EventKind::LockGranted { lock, token, request_id, from_queue, .. } => {
                let record = self.lock_id(lock);
                let kind = RecordKind::LockGranted {
                    lock: record,
                    client,
                    session,
                    seq: saturating_u32(request_id.seq.number()),
                    token: saturating_u32(token.number()),
                    from_queue: *from_queue,
                    index,
                };
                (kind, self.tenure_record(record))
            }
            EventKind::LockReleased { lock, token, cause, request_id, .. } => {
                let lock_id = self.lock_id(lock);
                let by_request = *cause == ReleaseCause::Released && !origin.is_server();
                let seq =
                    request_id.map_or(0, |request_id| saturating_u32(request_id.seq.number()));
                let kind = RecordKind::LockReleased {
                    lock: lock_id,
                    client,
                    session,
                    seq,
                    token: saturating_u32(token.number()),
                    cause: *cause,
                    origin: if by_request { origin } else { client },
                    index,
                };
                let related = match cause {
                    ReleaseCause::LeaseExpired => self.lease_record(session_id),
                    ReleaseCause::Released | ReleaseCause::HoldExpired | ReleaseCause::Closed => {
                        self.tenure_record(lock_id)
                    }
                };
                (kind, related)
            }
            EventKind::WaitEnded { lock, wait_seq: waited, cause, .. } => {
                let name = self.lock_id(lock);
                let seq = saturating_u32(waited.number());
                let kind = RecordKind::WaitEnded {
                    lock: name,
                    client,
                    session,
                    seq,
                    cause: *cause,
                    index,
                };
                (kind, RecordId::NONE)
            }
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionOpened { .. }
            | EventKind::SessionExpired { .. }
            | EventKind::SessionClosed { .. }
            | EventKind::FileAppended { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => return None,
        })
    }
}

/// The place of a session in the line for a lock, from 1 on; 0 where it has none.
fn queue_position(lock: &Name, session_id: SessionId, state: Option<&State>) -> u16 {
    let lock = state.and_then(|state| state.locks().get(lock));
    let mut waiters = lock.into_iter().flat_map(Lock::wait_queue);
    let ahead = waiters.position(|waiter| waiter.session_id == session_id);
    ahead.map_or(0, |ahead| u16::try_from(ahead + 1).unwrap_or(u16::MAX))
}

/// The token of the tenure that a refusal names, and whether it was refused for that tenure.
fn deciding_tenure(refusal: &Refusal) -> (u32, bool) {
    match refusal {
        Refusal::StaleToken { current } => (saturating_u32(current.number()), true),
        Refusal::AlreadyHeld { token } => (saturating_u32(token.number()), true),
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
