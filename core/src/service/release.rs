//! Giving a lock back, and whose tenure a token stands for.

use super::LockServer;
use super::request::Ask;
use crate::event::{Fact, ReleaseCause};
use crate::id::{Name, SessionNo, Token};
use crate::refusal::Refusal;
use crate::wire::Status;

impl LockServer {
    pub(super) fn release(&mut self, ask: &Ask, lock: &Name, token: Token, stale: bool) {
        if let Err(refusal) = self.check_tenure(ask.session_no, lock, token) {
            if self.protections.holder_check {
                self.refuse(ask, refusal);
            } else {
                self.release_unguarded(lock);
                self.answer(ask, Status::Released { lock: lock.clone() });
            }
            return;
        }
        if stale {
            self.refuse(ask, Refusal::StaleSeq);
            return;
        }
        self.record(Fact::LockReleased {
            lock: lock.clone(),
            session_no: ask.session_no,
            client: ask.client.clone(),
            token,
            cause: ReleaseCause::Released,
            asked: Some(ask.asked),
        });
        self.answer(ask, Status::Released { lock: lock.clone() });
        self.hand_off(lock);
    }

    /// Whether this token is that of the lock's live tenure, and the tenure this session's.
    pub(super) fn check_tenure(
        &self,
        session_no: SessionNo,
        lock: &Name,
        token: Token,
    ) -> Result<(), Refusal> {
        match self.state.tenure(lock) {
            Some(tenure) if tenure.token == token => {
                if tenure.session_no == session_no {
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
