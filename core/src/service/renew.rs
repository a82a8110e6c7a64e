//! Requests that only renew the lease: heartbeats and outcome queries.
//!
//! Their replies are not cached. A duplicate gets a current reply, and renews nothing.

use super::LockServer;
use super::dispatch::RequestContext;
use super::outbox::PendingReply;
use crate::event::EventKind;
use crate::id::{LogIndex, Seq};
use crate::refusal::Refusal;
use crate::wire::{Reply, Status};

impl LockServer {
    pub(super) fn heartbeat(&mut self, context: &RequestContext, stale: bool) {
        if !self.renew_lease(context, stale) {
            return;
        }
        let session = self.session(context);
        let lease = self.now.until(session.expires_at);
        let status = Status::Alive { lease, held: session.held.len() as u64 };
        // The hot path: the reply waits for the log only if an event of its own session does.
        self.reply_after(context, status, session.last_durable_index);
    }

    pub(super) fn append_outcome(
        &mut self,
        context: &RequestContext,
        append_seq: Seq,
        stale: bool,
    ) {
        if !self.renew_lease(context, stale) {
            return;
        }
        let key = self.session(context).key().expect("the server has the keys of its sessions");
        let status = self.lookup.append_outcome(&self.state, key, append_seq);
        self.reply_after(context, status, self.last_durable_index);
    }

    /// Renews the lease, unless the request is a duplicate. Returns false if it was refused.
    fn renew_lease(&mut self, context: &RequestContext, stale: bool) -> bool {
        if self.session(context).replay_window.may_have_seen(context.request_id.seq) {
            self.record_duplicate(context);
            return true;
        }
        if stale {
            self.refuse(context, Refusal::StaleSeq);
            return false;
        }
        self.record(EventKind::LeaseRenewed {
            session_id: context.session_id,
            client: context.client.clone(),
            op: context.op,
            request_id: context.request_id,
        });
        true
    }

    fn reply_after(&mut self, context: &RequestContext, status: Status, send_after: LogIndex) {
        let attempt = self
            .session(context)
            .replay_window
            .highest_attempt(context.request_id.seq, context.request_id.attempt);
        let reply = Reply { request_seq: context.request_id.seq, attempt, status };
        self.step.replies.push(PendingReply::new(context.from, reply, send_after));
    }
}
