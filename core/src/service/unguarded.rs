//! What happens where the simulator has taken a protection away: a file store that believes
//! whoever writes, and a lock that whoever asks can free.

use super::LockServer;
use crate::event::{Asked, Fact, ReleaseCause};
use crate::id::{Name, Peer, SessionId};
use crate::secret::Secret;
use crate::wire::{Operation, Reply, Request, Status};

impl LockServer {
    /// Does what nobody may do who has no session. Says whether it did.
    pub(super) fn unguarded(
        &mut self,
        from: Peer,
        id: Secret<SessionId>,
        request: &Request,
    ) -> bool {
        let status = match &request.operation {
            Operation::AppendFile { .. } if !self.protections.fencing => {
                self.append_unguarded(id, request)
            }
            Operation::ReleaseLock { lock, .. } if !self.protections.holder_check => {
                self.release_unguarded(lock);
                Some(Status::Released { lock: lock.clone() })
            }
            Operation::AppendFile { .. }
            | Operation::ReleaseLock { .. }
            | Operation::Hello { .. }
            | Operation::AcquireLock { .. }
            | Operation::CancelAcquire { .. }
            | Operation::AppendOutcome { .. }
            | Operation::Heartbeat
            | Operation::Close => None,
        };
        let Some(status) = status else { return false };
        self.reply(from, Reply { re: request.seq, attempt: request.attempt, status });
        true
    }

    fn append_unguarded(&mut self, id: Secret<SessionId>, request: &Request) -> Option<Status> {
        let Operation::AppendFile { file, token, data } = &request.operation else { return None };
        let session_no = self.session_ever(id).unwrap_or_default();
        if self.protections.dedupe
            && let Some((file, applied)) = self.lookup.applied(&self.state, session_no, request.seq)
        {
            return Some(Status::Appended { file, offset: applied.offset, len: applied.len });
        }
        let offset = self.check_room(file, data).ok()?;
        let digest = request.operation.digest();
        self.record(Fact::FileAppended {
            file: file.clone(),
            session_no,
            client: Name::new("gone").ok()?,
            token: *token,
            offset,
            data: data.clone(),
            asked: Asked { seq: request.seq, attempt: request.attempt, digest },
        });
        Some(Status::Appended { file: file.clone(), offset, len: data.len() })
    }

    /// Frees a lock, whoever holds it.
    pub(super) fn release_unguarded(&mut self, lock: &Name) {
        let Some(tenure) = self.state.tenure(lock) else { return };
        let (session_no, token) = (tenure.session_no, tenure.token);
        let holder = self.state.session(session_no).expect("S1: a holder is alive");
        self.record(Fact::LockReleased {
            lock: lock.clone(),
            session_no,
            client: holder.client.clone(),
            token,
            cause: ReleaseCause::Released,
            asked: None,
        });
        self.hand_off(lock);
    }
}
