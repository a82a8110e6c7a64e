//! `hello`: a client opens a session.

use super::LockServer;
use super::cookie;
use super::outbox::PendingReply;
use crate::event::{EventKind, RequestId};
use crate::id::{LogIndex, Name, Nonce, Peer, SessionId, SessionKey};
use crate::limits::{HEARTBEATS_PER_LEASE, POLL_INTERVAL, WINDOW};
use crate::op::{DropReason, Op};
use crate::refusal::{Limit, Refusal};
use crate::secret::Secret;
use crate::time::Millis;
use crate::wire::{Cookie, Operation, Reply, Request, Status};

impl LockServer {
    pub(super) fn hello(
        &mut self,
        from: Peer,
        request: &Request,
        entropy: u128,
        reply_len_max: usize,
    ) {
        let Operation::Hello { client, nonce, lease, cookie } = &request.operation else {
            unreachable!("only a hello names no session");
        };
        let reply = |status| Reply { request_seq: request.seq, attempt: request.attempt, status };
        if let Some(cookie) = self.required_cookie(from, *cookie) {
            // The server stores nothing for this client, so the reply depends on no event.
            let send_after = LogIndex::default();
            let reply = reply(Status::Retry { cookie });
            self.step.replies.push(PendingReply::new(from, reply, send_after));
            return;
        }
        let request_id = RequestId {
            seq: request.seq,
            attempt: request.attempt,
            digest: request.operation.digest(),
        };
        if let Some(session_id) = self.lookup.session_by_hello(*nonce, client) {
            let client = client.clone();
            self.record(EventKind::DuplicateAnswered {
                session_id,
                client,
                op: Op::Hello,
                request_id,
            });
            self.send_welcome(from, request, session_id);
        } else if self.state.sessions().len() >= self.config.limits.sessions_max {
            let refusal = Refusal::Overloaded { limit: Limit::Sessions };
            self.record(EventKind::RequestRefused {
                session_id: None,
                client: Some(client.clone()),
                op: Op::Hello,
                resource_name: None,
                token: None,
                refusal: refusal.clone(),
                request_id,
            });
            let reply = reply(Status::Refused(refusal));
            self.reply_within(from, reply, reply_len_max, DropReason::WouldAmplify);
        } else {
            let session_id = self.open_session(client, *nonce, *lease, entropy);
            self.send_welcome(from, request, session_id);
        }
    }

    /// Returns the cookie that the client has to send back, if it has not sent a valid one.
    fn required_cookie(&self, from: Peer, given: Option<Cookie>) -> Option<Cookie> {
        let key = self.config.cookie_key.as_ref()?;
        let valid = given.is_some_and(|given| cookie::is_valid(key, from, self.now, given));
        (!valid).then(|| cookie::generate(key, from, self.now))
    }

    fn open_session(
        &mut self,
        client: &Name,
        nonce: Secret<Nonce>,
        lease: Option<Millis>,
        entropy: u128,
    ) -> SessionId {
        let key = Secret::new(SessionKey::from_entropy(entropy));
        assert!(
            self.lookup.session_by_key(key).is_none(),
            "the same 128 bits of entropy were used twice"
        );
        let config = &self.config;
        let lease = lease.unwrap_or(config.lease_default);
        let lease = lease.clamp(config.lease_min, config.lease_max);
        let session_id = self.state.last_session_id().next();
        self.record(EventKind::SessionOpened {
            session_id,
            client: client.clone(),
            lease,
            key: Some(key),
            nonce: Some(nonce),
        });
        session_id
    }

    fn send_welcome(&mut self, from: Peer, request: &Request, session_id: SessionId) {
        let session = self.state.session(session_id).expect("the session is open");
        let status = Status::Welcome {
            session_key: session.key().expect("the server has the keys of its sessions"),
            lease: session.lease,
            heartbeat: session.lease.divided_by(HEARTBEATS_PER_LEASE),
            poll: POLL_INTERVAL,
            window: WINDOW as u64,
        };
        self.reply(from, Reply { request_seq: request.seq, attempt: request.attempt, status });
    }
}
