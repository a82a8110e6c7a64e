//! What the clients of a live server may believe. It cannot be observed, and is inferred from the
//! server's replies: an upper limit.

use leasehold_core::event::EventKind;
use leasehold_core::id::SessionId;
use leasehold_core::state::{Session, Tenure};
use leasehold_core::time::Time;
use leasehold_sim::{LockId, RecordKind, VirtualTime};

use super::LiveTrace;
use crate::model::intervals::Intervals;

/// Returns until when a client may believe in a tenure of its session, if it has received all
/// replies: until its lease or its hold limit ends. Returns `None` if it may not know of the
/// tenure, because it has sent nothing since the grant.
pub(crate) fn believed_until(session: &Session, tenure: &Tenure) -> Option<Time> {
    let may_know = tenure.claim_by.is_none() || session.has_claimed(tenure);
    let until = tenure.hold_until.map_or(session.expires_at, |hold| hold.min(session.expires_at));
    may_know.then_some(until)
}

impl LiveTrace {
    /// Updates the beliefs that follow from an event.
    pub(super) fn infer_belief(
        &self,
        at: VirtualTime,
        event_kind: &EventKind,
        kind: RecordKind,
        intervals: &mut Intervals,
    ) {
        match (event_kind, kind) {
            (
                EventKind::LockReleased { .. },
                RecordKind::LockReleased { lock, client, token, .. },
            ) => {
                intervals.end_belief(at, (lock, client, token));
            }
            // The client has sent nothing since, so it may not know of the grant.
            (EventKind::LockGranted { from_queue: true, .. }, _) => {}
            _ => {
                if let Some(session_id) = event_kind.session_id() {
                    self.infer_session_beliefs(at, session_id, intervals);
                }
            }
        }
    }

    pub(super) fn infer_all_beliefs(&self, at: VirtualTime, intervals: &mut Intervals) {
        self.latest_state
            .sessions()
            .keys()
            .for_each(|session_id| self.infer_session_beliefs(at, *session_id, intervals));
    }

    fn infer_session_beliefs(
        &self,
        at: VirtualTime,
        session_id: SessionId,
        intervals: &mut Intervals,
    ) {
        let Some(session) = self.latest_state.session(session_id) else { return };
        let client = self.event_recorder.owner(session_id);
        for name in &session.held {
            let lock = self.event_recorder.lock_id(name);
            let tenure = self.latest_state.tenure(name).filter(|_| lock != LockId::NONE);
            if let Some(tenure) = tenure
                && let Some(until) = believed_until(session, tenure)
            {
                let until = self.virtual_time(until, self.record_count());
                intervals.extend_belief(at, (lock, client, tenure.token.into()), until);
            }
        }
    }
}
