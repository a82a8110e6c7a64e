//! Requests that succeed only if the simulator has disabled a protection: appends with any token,
//! and releases by any client.

use super::LockServer;
use crate::event::{EventKind, ReleaseCause, RequestId};
use crate::id::{Name, Peer, SessionKey};
use crate::secret::Secret;
use crate::wire::{Operation, Reply, Request, Status};

impl LockServer {
    /// Executes a request without a live session if the protection against it is disabled. Returns
    /// whether it did.
    pub(super) fn handle_unprotected(
        &mut self,
        from: Peer,
        key: Secret<SessionKey>,
        request: &Request,
    ) -> bool {
        let status = match &request.operation {
            Operation::AppendFile { .. } if !self.protections.fencing => {
                self.append_unprotected(key, request)
            }
            Operation::ReleaseLock { lock, .. } if !self.protections.holder_check => {
                self.release_unprotected(lock);
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
        self.reply(from, Reply { request_seq: request.seq, attempt: request.attempt, status });
        true
    }

    fn append_unprotected(&mut self, key: Secret<SessionKey>, request: &Request) -> Option<Status> {
        let Operation::AppendFile { file, token, data } = &request.operation else { return None };
        let session_id = self.live_or_ended_session(key).unwrap_or_default();
        if self.protections.dedupe
            && let Some((file, applied)) =
                self.lookup.find_append(&self.state, session_id, request.seq)
        {
            return Some(Status::Appended { file, offset: applied.offset, len: applied.len });
        }
        let offset = self.check_file_capacity(file, data).ok()?;
        let digest = request.operation.digest();
        self.record(EventKind::FileAppended {
            file: file.clone(),
            session_id,
            client: Name::new("gone").ok()?,
            token: *token,
            offset,
            data: data.clone(),
            request_id: RequestId { seq: request.seq, attempt: request.attempt, digest },
        });
        Some(Status::Appended { file: file.clone(), offset, len: data.len() })
    }

    /// Releases a lock that any session holds.
    pub(super) fn release_unprotected(&mut self, lock: &Name) {
        let Some(tenure) = self.state.tenure(lock) else { return };
        let (session_id, token) = (tenure.session_id, tenure.token);
        let holder = self.state.session(session_id).expect("S1: a holder is alive");
        self.record(EventKind::LockReleased {
            lock: lock.clone(),
            session_id,
            client: holder.client.clone(),
            token,
            cause: ReleaseCause::Released,
            request_id: None,
        });
        self.grant_to_next_waiter(lock);
    }
}
