//! Encodes the events of a batch. Numbers are LEB128; texts and bytes are preceded by their length.
//!
//! Secrets are encoded here, by name, and nowhere else.

use leasehold_core::event::{EventKind, ReleaseCause, RequestId, WaitEndCause};
use leasehold_core::id::{Name, SessionId};
use leasehold_core::refusal::{Limit, Refusal};

/// Appends encoded values to a buffer.
pub(super) struct Encoder<'a>(pub(super) &'a mut Vec<u8>);

impl Encoder<'_> {
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn name(&mut self, name: &Name) {
        self.bytes(name.as_str().as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn request_id(&mut self, id: RequestId) {
        self.number(id.seq.number());
        self.number(id.attempt.number());
        self.0.extend_from_slice(&id.digest.0.to_le_bytes());
    }

    fn session(&mut self, tag: u8, session_id: SessionId, client: &Name) {
        self.0.push(tag);
        self.number(session_id.number());
        self.name(client);
    }

    pub(super) fn event_kind(&mut self, kind: &EventKind) {
        match kind {
            EventKind::ServerStarted { unix_ms, token_floor } => {
                self.0.push(1);
                self.number(*unix_ms);
                self.number(token_floor.number());
            }
            EventKind::SessionOpened { session_id, client, lease, key, nonce } => {
                self.session(2, *session_id, client);
                self.number(lease.as_millis());
                self.option(*key, |out, key| out.0.extend_from_slice(&key.expose().to_bytes()));
                self.option(*nonce, |out, nonce| out.number(nonce.expose().bits()));
            }
            EventKind::SessionExpired { session_id, client } => {
                self.session(3, *session_id, client);
            }
            EventKind::SessionClosed { session_id, client, request_id } => {
                self.session(4, *session_id, client);
                self.request_id(*request_id);
            }
            EventKind::LockQueued { lock, session_id, client, request_id, wait, hold } => {
                self.session(5, *session_id, client);
                self.name(lock);
                self.request_id(*request_id);
                self.number(wait.as_millis());
                self.option(*hold, |out, hold| out.number(hold.as_millis()));
            }
            EventKind::LockGranted {
                lock,
                session_id,
                client,
                token,
                request_id,
                hold,
                from_queue,
            } => {
                self.session(6, *session_id, client);
                self.name(lock);
                self.number(token.number());
                self.request_id(*request_id);
                self.option(*hold, |out, hold| out.number(hold.as_millis()));
                self.0.push(u8::from(*from_queue));
            }
            EventKind::LockReleased { lock, session_id, client, token, cause, request_id } => {
                self.session(7, *session_id, client);
                self.name(lock);
                self.number(token.number());
                self.0.push(match cause {
                    ReleaseCause::Released => 0,
                    ReleaseCause::LeaseExpired => 1,
                    ReleaseCause::HoldExpired => 2,
                    ReleaseCause::Closed => 3,
                });
                self.option(*request_id, Self::request_id);
            }
            EventKind::WaitEnded { lock, session_id, client, wait_seq, cause, request_id } => {
                self.session(8, *session_id, client);
                self.name(lock);
                self.number(wait_seq.number());
                self.0.push(match cause {
                    WaitEndCause::Cancelled => 0,
                    WaitEndCause::Timeout => 1,
                    WaitEndCause::SessionEnded => 2,
                });
                self.option(*request_id, Self::request_id);
            }
            EventKind::FileAppended {
                file,
                session_id,
                client,
                token,
                offset,
                data,
                request_id,
            } => {
                self.session(9, *session_id, client);
                self.name(file);
                self.number(token.number());
                self.number(*offset);
                self.bytes(data.bytes());
                self.request_id(*request_id);
            }
            EventKind::RequestRefused {
                session_id,
                client,
                op,
                resource_name,
                token,
                refusal,
                request_id,
            } => {
                self.0.push(10);
                self.option(*session_id, |out, it| out.number(it.number()));
                self.option(client.as_ref(), Self::name);
                self.bytes(op.code().as_bytes());
                self.option(resource_name.as_ref(), Self::name);
                self.option(*token, |out, token| out.number(token.number()));
                self.refusal(refusal);
                self.request_id(*request_id);
            }
            EventKind::ServerStopped
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => unreachable!("not a durable event"),
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        self.bytes(refusal.code().as_bytes());
        match refusal {
            Refusal::BadRequest { reason } => self.bytes(reason.as_bytes()),
            Refusal::TooLarge { limit } => self.number(*limit),
            Refusal::WindowFull { window } => self.number(*window as u64),
            Refusal::Overloaded { limit } => self.0.push(match limit {
                Limit::Sessions => 0,
                Limit::Locks => 1,
                Limit::Waiters => 2,
                Limit::Files => 3,
            }),
            Refusal::RateLimited { retry_after } | Refusal::LockHeld { retry_after } => {
                self.number(retry_after.as_millis());
            }
            Refusal::AlreadyHeld { token } => self.number(token.number()),
            Refusal::StaleToken { current } => self.number(current.number()),
            Refusal::BadName
            | Refusal::UnknownSession
            | Refusal::StaleSeq
            | Refusal::SeqReused
            | Refusal::StorageFailed
            | Refusal::WaitTimeout
            | Refusal::NotWaiting
            | Refusal::NotHolder => {}
        }
    }
}
