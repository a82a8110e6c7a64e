//! The service's events as records, each with what else it rests on.

use super::World;
use super::server::number;
use crate::event::{Event, Fact, ReleaseCause};
use crate::id::{Name, SessionNo};
use crate::refusal::Refusal;
use crate::sim::message::{Code, Message};
use crate::sim::trace::{Kind, LockNo, NodeNo, RecordNo};
use crate::state::Lock;

impl World {
    /// The record of an event that `by` led to, and the earlier record that it rests on.
    pub(super) fn kind_of(&self, event: &Event, by: NodeNo) -> Option<(Kind, RecordNo)> {
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
                let (client, session) = (self.owner_of(*session_no), at(session_no));
                let also = self.lease_record(*session_no);
                (Kind::SessionExpired { client, session, index }, also)
            }
            Fact::SessionClosed { session_no, .. } => {
                let (client, session) = (self.owner_of(*session_no), at(session_no));
                (Kind::SessionClosed { client, session, index }, RecordNo::NONE)
            }
            Fact::LeaseRenewed { session_no, asked, .. } => {
                let (client, session) = (self.owner_of(*session_no), at(session_no));
                let seq = number(asked.seq.number());
                (Kind::LeaseRenewed { client, session, seq }, RecordNo::NONE)
            }
            Fact::DuplicateAnswered { session_no, op, asked, .. } => {
                let (client, session) = (self.owner_of(*session_no), at(session_no));
                let (message, seq) = (Message::of_op(*op), number(asked.seq.number()));
                (Kind::DuplicateAnswered { client, message, session, seq }, RecordNo::NONE)
            }
            Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. } => self.kind_of_lock(event, by, index)?,
            Fact::FileAppended { file, session_no, token, asked, .. } => {
                let lock = self.lock_no(file);
                let client = if by.is_server() { self.owner_of(*session_no) } else { by };
                let kind = Kind::FileAppended {
                    lock,
                    client,
                    session: at(session_no),
                    seq: number(asked.seq.number()),
                    token: number(token.number()),
                    line: self.lines_of(file),
                    index,
                };
                (kind, self.tenure_record(lock))
            }
            Fact::RequestRefused { session_no, op, name, token, refusal, asked, .. } => {
                let lock = name.as_ref().map_or(LockNo::NONE, |name| self.lock_no(name));
                let client = match session_no {
                    Some(session_no) => self.owner_of(*session_no),
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
                (kind, if rests { self.tenure_record(lock) } else { RecordNo::NONE })
            }
        })
    }

    fn kind_of_lock(&self, event: &Event, by: NodeNo, index: u32) -> Option<(Kind, RecordNo)> {
        let session_no = event.fact.session_no()?;
        let (client, session) = (self.owner_of(session_no), number(session_no.number()));
        Some(match &event.fact {
            Fact::LockQueued { lock, asked, .. } => {
                let no = self.lock_no(lock);
                let kind = Kind::LockQueued {
                    lock: no,
                    client,
                    session,
                    seq: number(asked.seq.number()),
                    position: self.position_of(lock, session_no),
                    index,
                };
                (kind, self.tenure_record(no))
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
                (kind, self.tenure_record(no))
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
                    ReleaseCause::LeaseExpired => self.lease_record(session_no),
                    ReleaseCause::Released | ReleaseCause::HoldExpired | ReleaseCause::Closed => {
                        self.tenure_record(no)
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

    /// The place of a session in the line for a lock, from 1 on; 0 where it has none.
    fn position_of(&self, lock: &Name, session_no: SessionNo) -> u16 {
        let line = self.server().state.and_then(|state| state.locks().get(lock));
        let mut waiters = line.into_iter().flat_map(Lock::line);
        let place = waiters.position(|waiter| waiter.session_no == session_no);
        place.map_or(0, |place| u16::try_from(place + 1).unwrap_or(u16::MAX))
    }
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
