//! Which locks this client is on its way back from: it no longer wants what it asked for, and the
//! server may not know yet.
//!
//! Whoever asks for such a lock anew has to wait until that is over. The word that takes an
//! earlier wait back names the lock, so one that comes late would take the new wait back too.

use std::collections::BTreeMap;

use leasehold_core::id::{Name, Seq};
use leasehold_core::refusal::Refusal;
use leasehold_core::wire::{Operation, Reply, Request, Status};

#[derive(Debug, Default)]
pub(crate) struct Retreat {
    /// The request for each lock that has no last answer yet.
    asked: BTreeMap<Name, Seq>,
    /// Those of them that nobody wants any more.
    leaving: BTreeMap<Name, Seq>,
    cancels: BTreeMap<Seq, Name>,
}

impl Retreat {
    /// Takes note of what is sent.
    pub(crate) fn sent(&mut self, request: &Request) {
        match &request.operation {
            Operation::AcquireLock { lock, .. } if !self.leaving.contains_key(lock) => {
                self.asked.insert(lock.clone(), request.seq);
            }
            Operation::CancelAcquire { lock } => {
                self.cancels.insert(request.seq, lock.clone());
            }
            Operation::AcquireLock { .. }
            | Operation::Hello { .. }
            | Operation::ReleaseLock { .. }
            | Operation::AppendFile { .. }
            | Operation::AppendOutcome { .. }
            | Operation::Heartbeat
            | Operation::Close => {}
        }
    }

    /// Takes note of what is answered.
    pub(crate) fn heard(&mut self, reply: &Reply) {
        if let Some(lock) = self.cancels.remove(&reply.re) {
            let over = matches!(
                reply.status,
                Status::Cancelled { .. } | Status::Refused(Refusal::AlreadyHeld { .. })
            );
            // Else it came before the request that it takes back, and that goes on.
            if over {
                self.leaving.remove(&lock);
            }
        } else if !matches!(reply.status, Status::Queued { .. }) {
            self.asked.retain(|_, seq| *seq != reply.re);
            self.leaving.retain(|_, seq| *seq != reply.re);
        }
    }

    /// What was asked for this lock is wanted no more.
    pub(crate) fn begin(&mut self, lock: &Name) {
        if let Some(seq) = self.asked.remove(lock) {
            self.leaving.insert(lock.clone(), seq);
        }
    }

    /// The session is gone, and what it waited for with it.
    pub(crate) fn session_lost(&mut self) {
        *self = Self::default();
    }

    /// Whether asking for this lock has to wait.
    pub(crate) fn is_under_way(&self, lock: &Name) -> bool {
        self.leaving.contains_key(lock)
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::id::{Attempt, Token};
    use leasehold_core::time::Span;

    use super::*;

    fn file() -> Name {
        Name::new("file_0").unwrap()
    }

    fn sent(retreat: &mut Retreat, seq: u64, operation: Operation) {
        let (seq, attempt) = (Seq::new(seq), Attempt::new(0));
        retreat.sent(&Request { session: None, seq, attempt, operation });
    }

    fn heard(retreat: &mut Retreat, re: u64, status: Status) {
        retreat.heard(&Reply { re: Seq::new(re), attempt: Attempt::new(0), status });
    }

    fn asked_and_left() -> Retreat {
        let mut retreat = Retreat::default();
        let acquire = Operation::AcquireLock { lock: file(), wait: Span::from_secs(1), hold: None };
        sent(&mut retreat, 1, acquire);
        retreat.begin(&file());
        sent(&mut retreat, 2, Operation::CancelAcquire { lock: file() });
        retreat
    }

    #[test]
    fn it_is_over_when_the_wait_is_cancelled() {
        let mut retreat = asked_and_left();
        heard(&mut retreat, 1, Status::Queued { lock: file(), position: 1 });
        assert!(retreat.is_under_way(&file()));
        heard(&mut retreat, 2, Status::Cancelled { lock: file() });
        assert!(!retreat.is_under_way(&file()));
    }

    #[test]
    fn a_word_that_overtook_the_request_is_not_the_end_of_it() {
        let mut retreat = asked_and_left();
        heard(&mut retreat, 2, Status::Refused(Refusal::NotWaiting));
        assert!(retreat.is_under_way(&file()), "the request may still arrive");
        let (token, lease) = (Token::new(3), Span::from_secs(5));
        heard(&mut retreat, 1, Status::Granted { lock: file(), token, lease, hold: None });
        assert!(!retreat.is_under_way(&file()));
    }

    #[test]
    fn what_has_its_answer_needs_no_retreat() {
        let mut retreat = Retreat::default();
        let acquire = Operation::AcquireLock { lock: file(), wait: Span::ZERO, hold: None };
        sent(&mut retreat, 1, acquire);
        heard(&mut retreat, 1, Status::Refused(Refusal::WaitTimeout));
        retreat.begin(&file());
        assert!(!retreat.is_under_way(&file()));
    }
}
