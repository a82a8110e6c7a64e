//! Converts events of the server into records, with their clients and related records.
//!
//! An event alone does not contain everything that a record needs. The recorder retains the client
//! of each session, the last record about each lease and each tenure, and the lines of each file.
//! The simulated world uses one, and so does an observer of a live server.
//!
//! For each event, call [`EventRecorder::translate`] first and [`EventRecorder::apply`] once the
//! record has an id.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_core::event::{Event, EventKind, ReleaseCause, RequestId};
use leasehold_core::id::{LogIndex, Name, SessionId};
use leasehold_core::refusal::Refusal;
use leasehold_core::state::{Lock, State};

use super::file_lines::{Line, Lines};
use super::message::{Message, RefusalCode};
use super::trace::{LockId, NodeId, Number, RecordId, RecordKind};

/// Converts events into records.
#[derive(Clone, Debug, Default)]
pub struct EventRecorder {
    locks: Arc<BTreeMap<Name, LockId>>,
    /// Sorted by session id. New ids are greater than all earlier ones, so they are appended.
    sessions: Vec<SessionEntry>,
    /// For each lock, the last record about its tenure: the grant, or its release.
    tenure_records: Vec<RecordId>,
    files: Vec<Lines>,
}

/// What the recorder retains of a session.
#[derive(Clone, Copy, Debug)]
struct SessionEntry {
    session_id: SessionId,
    owner: NodeId,
    /// The last record about the session's lease: a renewal, or its end.
    lease_record: RecordId,
}

/// What a record says about an event, and a related earlier record.
pub type EventRecord = (RecordKind, RecordId);

impl EventRecorder {
    /// Creates a recorder that assigns ids to these locks in order.
    pub fn new<'a>(locks: impl IntoIterator<Item = &'a Name>) -> Self {
        let mut recorder = Self::default();
        for name in locks {
            recorder.add_lock(name);
        }
        recorder
    }

    /// Returns the id of a lock, and assigns the next one if the lock is new. Returns
    /// [`LockId::NONE`] if no id is left.
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

    /// Returns the id of a lock, or [`LockId::NONE`] if it has none.
    pub fn lock_id(&self, name: &Name) -> LockId {
        self.locks.get(name).copied().unwrap_or(LockId::NONE)
    }

    /// Returns the client of a session, or the server if the session is unknown.
    pub fn owner(&self, session_id: SessionId) -> NodeId {
        self.session(session_id).map_or(NodeId::SERVER, |entry| entry.owner)
    }

    /// Sets the client of a session.
    pub fn set_owner(&mut self, session_id: SessionId, owner: NodeId) {
        self.session_entry(session_id).owner = owner;
    }

    /// Sets the last record about the tenure of a lock.
    pub fn set_tenure_record(&mut self, lock: LockId, record: RecordId) {
        if let Some(slot) = self.tenure_records.get_mut(usize::from(lock.0)) {
            *slot = record;
        }
    }

    /// Returns the lines in the file of a lock.
    pub fn file(&self, lock: LockId) -> Option<&Lines> {
        self.files.get(usize::from(lock.0))
    }

    /// Removes the lines with a log index greater than `through`, which a crash has lost.
    pub fn discard_after(&mut self, through: LogIndex) {
        self.files.iter_mut().for_each(|file| file.discard_after(through));
    }

    /// Returns the last record about the tenure of a lock.
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

    /// Returns records of the tenures and waiters in a state: after a recovery, or when an observer
    /// starts.
    pub fn snapshot_records(&self, state: &State) -> Vec<EventRecord> {
        let mut records = Vec::new();
        for (name, state) in state.locks() {
            let lock = self.lock_id(name);
            if let Some(tenure) = state.tenure() {
                let kind = RecordKind::TenureRecovered {
                    lock,
                    client: self.owner(tenure.session_id),
                    session: tenure.session_id.into(),
                    token: tenure.token.into(),
                };
                records.push((kind, self.tenure_record(lock)));
            }
            for waiter in state.wait_queue() {
                let kind = RecordKind::WaitRecovered {
                    lock,
                    client: self.owner(waiter.session_id),
                    session: waiter.session_id.into(),
                    seq: waiter.seq.into(),
                };
                records.push((kind, RecordId::NONE));
            }
        }
        records
    }

    /// Applies an event caused by `origin` that was recorded as `record`.
    pub fn apply(&mut self, event: &Event, origin: NodeId, record: RecordId) {
        match &event.kind {
            EventKind::SessionOpened { session_id, .. } => {
                let entry = self.session_entry(*session_id);
                (entry.owner, entry.lease_record) = (origin, record);
            }
            EventKind::LeaseRenewed { session_id, .. }
            | EventKind::SessionExpired { session_id, .. }
            | EventKind::LockQueued { session_id, .. } => {
                self.session_entry(*session_id).lease_record = record;
            }
            EventKind::LockGranted { lock, session_id, .. }
            | EventKind::LockReleased { lock, session_id, .. } => {
                // Only a request renews the lease, not a grant from the queue or an expiry.
                if matches!(
                    event.kind,
                    EventKind::LockGranted { from_queue: false, .. }
                        | EventKind::LockReleased { cause: ReleaseCause::Released, .. }
                ) {
                    self.session_entry(*session_id).lease_record = record;
                }
                self.set_tenure_record(self.lock_id(lock), record);
            }
            EventKind::FileAppended {
                file, token, offset, data, session_id, request_id, ..
            } => {
                self.session_entry(*session_id).lease_record = record;
                let line = Line {
                    record,
                    index: event.index,
                    client: self.append_author(*session_id, origin),
                    request: (*session_id, request_id.seq),
                    token: *token,
                    offset: *offset,
                    len: data.len(),
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

    /// Returns the client that sent an append. The origin is more precise than the session's owner.
    fn append_author(&self, session_id: SessionId, origin: NodeId) -> NodeId {
        if origin.is_server() { self.owner(session_id) } else { origin }
    }

    /// Returns the number of lines of a file. Each has a record, and so 32 bits are enough.
    fn line_count(&self, lock: LockId) -> u32 {
        u32::try_from(self.file(lock).map_or(0, Lines::len)).unwrap_or(u32::MAX)
    }

    /// Converts an event caused by `origin` into a record, or returns `None` if it is not recorded.
    ///
    /// `state` is the server's state after the event, if the caller knows it. Without it, the
    /// positions of waiters are 0.
    pub fn translate(
        &self,
        event: &Event,
        origin: NodeId,
        state: Option<&State>,
    ) -> Option<EventRecord> {
        let index = Number::from(event.index);
        let session_id = event.kind.session_id();
        let client = session_id.map_or(origin, |session_id| self.owner(session_id));
        let session = session_id.map_or(Number::ZERO, Number::from);
        Some(match &event.kind {
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::DatagramDropped { .. } => return None,
            EventKind::SessionOpened { .. } => {
                (RecordKind::SessionOpened { client: origin, session, index }, RecordId::NONE)
            }
            EventKind::SessionExpired { session_id, .. } => (
                RecordKind::SessionExpired { client, session, index },
                self.lease_record(*session_id),
            ),
            EventKind::SessionClosed { .. } => {
                (RecordKind::SessionClosed { client, session, index }, RecordId::NONE)
            }
            EventKind::LeaseRenewed { request_id, .. } => {
                let seq = seq_number(request_id);
                (RecordKind::LeaseRenewed { client, session, seq }, RecordId::NONE)
            }
            EventKind::DuplicateAnswered { op, request_id, .. } => {
                let (message, seq) = (Message::from_op(*op), seq_number(request_id));
                (RecordKind::DuplicateAnswered { client, message, session, seq }, RecordId::NONE)
            }
            EventKind::LockQueued { lock: name, session_id, request_id, .. } => {
                let (lock, seq) = (self.lock_id(name), seq_number(request_id));
                let position = queue_position(name, *session_id, state);
                let kind = RecordKind::LockQueued { lock, client, session, seq, position, index };
                (kind, self.tenure_record(lock))
            }
            EventKind::LockGranted { lock, token, request_id, from_queue, .. } => {
                let lock = self.lock_id(lock);
                let kind = RecordKind::LockGranted {
                    lock,
                    client,
                    session,
                    seq: seq_number(request_id),
                    token: (*token).into(),
                    from_queue: *from_queue,
                    index,
                };
                (kind, self.tenure_record(lock))
            }
            EventKind::LockReleased { lock, session_id, token, cause, request_id, .. } => {
                let lock = self.lock_id(lock);
                let by_request = *cause == ReleaseCause::Released && !origin.is_server();
                let kind = RecordKind::LockReleased {
                    lock,
                    client,
                    session,
                    seq: request_id.as_ref().map_or(Number::ZERO, seq_number),
                    token: (*token).into(),
                    cause: *cause,
                    origin: if by_request { origin } else { client },
                    index,
                };
                let related = match cause {
                    ReleaseCause::LeaseExpired => self.lease_record(*session_id),
                    ReleaseCause::Released | ReleaseCause::HoldExpired | ReleaseCause::Closed => {
                        self.tenure_record(lock)
                    }
                };
                (kind, related)
            }
            EventKind::WaitEnded { lock, wait_seq, cause, .. } => {
                let (lock, seq) = (self.lock_id(lock), Number::from(*wait_seq));
                let cause = *cause;
                let kind = RecordKind::WaitEnded { lock, client, session, seq, cause, index };
                (kind, RecordId::NONE)
            }
            EventKind::FileAppended { file, session_id, token, request_id, .. } => {
                let lock = self.lock_id(file);
                let kind = RecordKind::FileAppended {
                    lock,
                    client: self.append_author(*session_id, origin),
                    session,
                    seq: seq_number(request_id),
                    token: (*token).into(),
                    line: self.line_count(lock),
                    index,
                };
                (kind, self.tenure_record(lock))
            }
            EventKind::RequestRefused { op, resource_name, token, refusal, request_id, .. } => {
                let lock = resource_name.as_ref().map_or(LockId::NONE, |name| self.lock_id(name));
                let (current, is_tenure_related) = deciding_tenure(refusal);
                let kind = RecordKind::RequestRefused {
                    client,
                    message: Message::from_op(*op),
                    lock,
                    token: token.map_or(Number::ZERO, Number::from),
                    current,
                    code: RefusalCode::from_refusal(refusal),
                    seq: seq_number(request_id),
                };
                (kind, if is_tenure_related { self.tenure_record(lock) } else { RecordId::NONE })
            }
        })
    }
}

fn seq_number(request_id: &RequestId) -> Number {
    request_id.seq.into()
}

/// Returns the position of a session in the wait queue of a lock, counted from 1; 0 if it does not
/// wait.
fn queue_position(lock: &Name, session_id: SessionId, state: Option<&State>) -> u32 {
    let lock = state.and_then(|state| state.locks().get(lock));
    let mut waiters = lock.into_iter().flat_map(Lock::wait_queue);
    let ahead = waiters.position(|waiter| waiter.session_id == session_id);
    ahead.map_or(0, |ahead| u32::try_from(ahead + 1).unwrap_or(u32::MAX))
}

/// Returns the token that a refusal reveals, or 0, and whether the current tenure caused the
/// refusal.
fn deciding_tenure(refusal: &Refusal) -> (Number, bool) {
    match refusal {
        Refusal::StaleToken { current } => ((*current).into(), true),
        Refusal::AlreadyHeld { token } => ((*token).into(), true),
        Refusal::NotHolder | Refusal::LockHeld { .. } => (Number::ZERO, true),
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
        | Refusal::NotWaiting => (Number::ZERO, false),
    }
}
