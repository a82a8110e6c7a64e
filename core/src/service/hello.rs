//! `hello`: a client gets a session.

use super::LockServer;
use super::cookie;
use super::step::Withheld;
use crate::event::{Asked, Fact};
use crate::id::{Index, Name, Nonce, Peer, SessionId, SessionNo};
use crate::limits::{BEATS_PER_LEASE, POLL, WINDOW};
use crate::op::{DropReason, Op};
use crate::refusal::{Bound, Refusal};
use crate::secret::Secret;
use crate::time::Span;
use crate::wire::{Cookie, Operation, Reply, Request, Status};

impl LockServer {
    pub(super) fn hello(&mut self, from: Peer, request: &Request, entropy: u128, len_max: usize) {
        let Operation::Hello { client, nonce, lease, cookie } = &request.operation else {
            unreachable!("only a hello names no session");
        };
        let reply = |status| Reply { re: request.seq, attempt: request.attempt, status };
        if let Some(cookie) = self.cookie_wanted(from, *cookie) {
            // Nothing is remembered of this, so it rests on nothing.
            let after = Index::default();
            let reply = reply(Status::Retry { cookie });
            self.step.replies.push(Withheld::answer(from, reply, after));
            return;
        }
        let asked = Asked {
            seq: request.seq,
            attempt: request.attempt,
            digest: request.operation.digest(),
        };
        if let Some(session_no) = self.lookup.session_of_hello(*nonce, client) {
            let client = client.clone();
            self.record(Fact::DuplicateAnswered { session_no, client, op: Op::Hello, asked });
            self.welcome(from, request, session_no);
        } else if self.state.sessions().len() >= self.config.bounds.sessions_max {
            let refusal = Refusal::Overloaded { bound: Bound::Sessions };
            self.record(Fact::RequestRefused {
                session_no: None,
                client: Some(client.clone()),
                op: Op::Hello,
                name: None,
                token: None,
                refusal: refusal.clone(),
                asked,
            });
            let reply = reply(Status::Refused(refusal));
            self.reply_within(from, reply, len_max, DropReason::WouldAmplify);
        } else {
            let session_no = self.open(client, *nonce, *lease, entropy);
            self.welcome(from, request, session_no);
        }
    }

    /// The cookie that this stranger has to send back, where it sent no good one.
    fn cookie_wanted(&self, from: Peer, given: Option<Cookie>) -> Option<Cookie> {
        let key = self.config.cookie_key.as_ref()?;
        let good = given.is_some_and(|given| cookie::is_good(key, from, self.now, given));
        (!good).then(|| cookie::bake(key, from, self.now))
    }

    fn open(
        &mut self,
        client: &Name,
        nonce: Secret<Nonce>,
        lease: Option<Span>,
        entropy: u128,
    ) -> SessionNo {
        let id = Secret::new(SessionId::from_entropy(entropy));
        assert!(self.lookup.session(id).is_none(), "128 bits of entropy came twice");
        let config = &self.config;
        let lease = lease.unwrap_or(config.lease_default);
        let lease = lease.clamp(config.lease_min, config.lease_max);
        let session_no = self.state.last_session_no().next();
        self.record(Fact::SessionOpened {
            session_no,
            client: client.clone(),
            lease,
            id: Some(id),
            nonce: Some(nonce),
        });
        session_no
    }

    fn welcome(&mut self, from: Peer, request: &Request, session_no: SessionNo) {
        let session = self.state.session(session_no).expect("it is open");
        let status = Status::Welcome {
            session: session.id().expect("the server knows the ids of its sessions"),
            lease: session.lease,
            heartbeat: session.lease.part(BEATS_PER_LEASE),
            poll: POLL,
            window: WINDOW as u64,
        };
        self.reply(from, Reply { re: request.seq, attempt: request.attempt, status });
    }
}
