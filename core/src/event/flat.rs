//! An event as it is read: the fields of all kinds of facts, side by side.

use serde::de::Error as _;
use serde::de::value::Error;

use super::{Asked, Event, Fact};
use crate::data::Data;
use crate::digest::Digest;
use crate::id::{Attempt, Index, Name, Seq, SessionNo, Token};
use crate::op::{DropReason, Op};
use crate::refusal::{self, Bound};
use crate::time::{Span, Time};

/// What may stand in an event.
#[derive(Default)]
pub(super) struct Flat {
    index: Option<Index>,
    at_ms: Option<Time>,
    word: String,
    unix_ms: Option<u64>,
    token_floor: Option<Token>,
    session_no: Option<SessionNo>,
    client: Option<Name>,
    lock: Option<Name>,
    file: Option<Name>,
    /// The lock or file of a refused request.
    name: Option<Name>,
    lease_ms: Option<Span>,
    wait_ms: Option<Span>,
    hold_ms: Option<Span>,
    token: Option<Token>,
    /// The token of a refused request.
    given: Option<Token>,
    from_queue: Option<bool>,
    /// Why a tenure or a wait ended, which are different words.
    cause: Option<String>,
    waited: Option<Seq>,
    offset: Option<u64>,
    data: Option<String>,
    data_b64: Option<String>,
    op: Option<Op>,
    reason: Option<DropReason>,
    seq: Option<Seq>,
    attempt: Attempt,
    code: Option<String>,
    limit: Option<u64>,
    window: Option<usize>,
    bound: Option<Bound>,
    retry_after: Option<Span>,
    current: Option<Token>,
}

fields!(Flat {
    index, at_ms, word = "type", unix_ms, token_floor, session_no, client, lock, file, name,
    lease_ms, wait_ms, hold_ms, token, given, from_queue, cause, waited, offset, data, data_b64,
    op, reason, seq, attempt, code, limit, window, bound, retry_after, current,
});

impl TryFrom<Flat> for Event {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let index = need!(flat.index)?;
        let at = need!(flat.at_ms)?;
        Ok(Self { index, at, fact: flat.try_into()? })
    }
}

impl TryFrom<Flat> for Fact {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let word = tag!(flat.word, "type");
        Ok(match word.as_str() {
            "server_started" => take!(flat, Self::ServerStarted { unix_ms, token_floor }),
            "server_stopped" => Self::ServerStopped,
            "session_opened" => Self::SessionOpened {
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                lease: need!(flat.lease_ms)?,
                id: None,
                nonce: None,
            },
            "session_expired" => take!(flat, Self::SessionExpired { session_no, client }),
            "session_closed" => {
                take!(flat, Self::SessionClosed { session_no, client, asked: flat.asked()? })
            }
            "request_refused" => flat.request_refused()?,
            "duplicate_answered" => Self::DuplicateAnswered {
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                op: need!(flat.op)?,
                asked: flat.asked()?,
            },
            "lease_renewed" => {
                take!(flat, Self::LeaseRenewed { session_no, client, op, asked: flat.asked()? })
            }
            "datagram_dropped" => take!(flat, Self::DatagramDropped { reason }),
            word => flat.of_lock(word)?,
        })
    }
}

impl Flat {
    /// What a session did with one lock, or with its file.
    fn of_lock(mut self, word: &str) -> Result<Fact, Error> {
        let asked = self.asked();
        let hold = self.hold_ms;
        let flat = &mut self;
        Ok(match word {
            "lock_queued" => Fact::LockQueued {
                lock: need!(flat.lock)?,
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                asked: asked?,
                wait: need!(flat.wait_ms)?,
                hold,
            },
            "lock_granted" => Fact::LockGranted {
                lock: need!(flat.lock)?,
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                token: need!(flat.token)?,
                asked: asked?,
                hold,
                from_queue: need!(flat.from_queue)?,
            },
            "lock_released" => Fact::LockReleased {
                lock: need!(flat.lock)?,
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                token: need!(flat.token)?,
                cause: need_word!(flat.cause)?,
                asked: asked.ok(),
            },
            "wait_ended" => Fact::WaitEnded {
                lock: need!(flat.lock)?,
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                waited: need!(flat.waited)?,
                cause: need_word!(flat.cause)?,
                asked: asked.ok(),
            },
            "file_appended" => Fact::FileAppended {
                file: need!(flat.file)?,
                session_no: need!(flat.session_no)?,
                client: need!(flat.client)?,
                token: need!(flat.token)?,
                offset: need!(flat.offset)?,
                data: flat.data()?,
                asked: asked?,
            },
            _ => return unknown!("type", word),
        })
    }

    fn request_refused(mut self) -> Result<Fact, Error> {
        let (op, asked) = (need!(self.op)?, self.asked()?);
        let code = need!(self.code)?;
        let Self { limit, window, bound, retry_after, token, current, .. } = self;
        let refusal = refusal::Flat { code, limit, window, bound, retry_after, token, current };
        Ok(Fact::RequestRefused {
            session_no: self.session_no,
            client: self.client,
            op,
            name: self.name,
            token: self.given,
            refusal: refusal.try_into()?,
            asked,
        })
    }

    /// Which request it was. Its digest is not in JSON.
    fn asked(&mut self) -> Result<Asked, Error> {
        Ok(Asked { seq: need!(self.seq)?, attempt: self.attempt, digest: Digest::default() })
    }

    fn data(&mut self) -> Result<Data, Error> {
        Data::of_fields(self.data.take(), self.data_b64.take()).map_err(Error::custom)
    }
}
