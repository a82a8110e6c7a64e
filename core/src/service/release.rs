//! Releases of a lock, and the check of a token against the lock's tenure.

use super::LockServer;
use super::dispatch::RequestContext;
use crate::event::{EventKind, ReleaseCause};
use crate::id::{Name, SessionId, Token};
use crate::refusal::Refusal;
use crate::wire::Status;

impl LockServer {
    pub(super) fn release(
        &mut self,
        context: &RequestContext,
        lock: &Name,
        token: Token,
        stale: bool,
    ) {
        if let Err(refusal) = self.check_tenure(context.session_id, lock, token) {
            if self.protections.holder_check {
                self.refuse(context, refusal);
            } else {
                self.release_unprotected(lock);
                self.reply_to(context, Status::Released { lock: lock.clone() });
            }
            return;
        }
        if stale {
            self.refuse(context, Refusal::StaleSeq);
            return;
        }
        self.record(EventKind::LockReleased {
            lock: lock.clone(),
            session_id: context.session_id,
            client: context.client.clone(),
            token,
            cause: ReleaseCause::Released,
            request_id: Some(context.request_id),
        });
        self.reply_to(context, Status::Released { lock: lock.clone() });
        self.grant_to_next_waiter(lock);
    }

    /// Checks that the token is that of the lock's current tenure, and that the tenure belongs to
    /// this session (S6).
    pub(super) fn check_tenure(
        &self,
        session_id: SessionId,
        lock: &Name,
        token: Token,
    ) -> Result<(), Refusal> {
        match self.state.tenure(lock) {
            Some(tenure) if tenure.token == token => {
                if tenure.session_id == session_id {
                    Ok(())
                } else {
                    Err(Refusal::NotHolder)
                }
            }
            other => {
                let current = other.map(|tenure| tenure.token).unwrap_or_default();
                Err(Refusal::StaleToken { current })
            }
        }
    }
}
