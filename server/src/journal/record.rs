//! How the journal writes events down: small, and the same in every version that reads it.
//!
//! - Each fact that has to be durable has a number, which is never used for another.
//! - Numbers are written as LEB128, texts and bytes with their length before them.
//! - What opens doors is written here, by name, and nowhere else.
//! - A batch carries the CRC-32 of its bytes: a journal that was changed is not believed.

use leasehold_core::data::Data;
use leasehold_core::digest::Digest;
use leasehold_core::event::{Event, EventKind, ReleaseCause, RequestId, WaitEndCause};
use leasehold_core::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey, Token};
use leasehold_core::op::Op;
use leasehold_core::refusal::{Limit, Refusal};
use leasehold_core::secret::Secret;
use leasehold_core::time::{Millis, Time};

/// The version of this way of writing.
const VERSION: u8 = 1;

/// Why some bytes are not a batch of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They end too soon.
    #[error("a batch is cut off")]
    CutOff,
    /// They were changed.
    #[error("the checksum of a batch is wrong")]
    Checksum,
    /// They are of another version.
    #[error("a batch is of version {0}, which this program doesn't know")]
    Version(u8),
    /// They say what can't be said.
    #[error("a batch can't be read: {0}")]
    Malformed(&'static str),
}

/// The length of what comes before the events of a batch: version and checksum.
const HEAD: usize = 5;

/// Writes the durable ones among `events`.
pub fn encode_batch(events: &[Event]) -> Vec<u8> {
    let mut batch = Vec::new();
    encode_batch_into(&mut batch, events);
    batch
}

/// Writes the durable ones among `events` behind what is there.
pub(super) fn encode_batch_into(bytes: &mut Vec<u8>, events: &[Event]) {
    let begin = bytes.len();
    bytes.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    let mut out = Writer(bytes);
    for event in events.iter().filter(|event| event.kind.is_durable()) {
        out.number(event.index.number());
        out.number(event.at.as_millis());
        out.fact(&event.kind);
    }
    seal(&mut bytes[begin..]);
}

/// Makes one batch of some that follow each other. Of none it makes nothing.
pub(super) fn join<'a>(batches: impl Iterator<Item = &'a [u8]>, joined: &mut Vec<u8>) {
    joined.clear();
    for batch in batches {
        assert!(batch.first() == Some(&VERSION), "a batch of this version");
        let events = if joined.is_empty() { batch } else { &batch[HEAD..] };
        joined.extend_from_slice(events);
    }
    if !joined.is_empty() {
        seal(joined);
    }
}

fn seal(batch: &mut [u8]) {
    let checksum = crc32fast::hash(&batch[HEAD..]);
    batch[1..HEAD].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a batch of events.
///
/// # Errors
/// Where the bytes aren't one, or aren't any more.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Event>, RecordError> {
    let (head, body) = bytes.split_at_checked(HEAD).ok_or(RecordError::CutOff)?;
    if head[0] != VERSION {
        return Err(RecordError::Version(head[0]));
    }
    if head[1..] != crc32fast::hash(body).to_le_bytes() {
        return Err(RecordError::Checksum);
    }
    let mut reader = Reader(body);
    let mut events = Vec::new();
    while !reader.0.is_empty() {
        let index = LogIndex::new(reader.number()?);
        let at = Time::from_millis(reader.number()?);
        events.push(Event { index, at, kind: reader.fact()? });
    }
    Ok(events)
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn number(&mut self, mut number: u64) {
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

    fn asked(&mut self, asked: RequestId) {
        self.number(asked.seq.number());
        self.number(asked.attempt.number());
        self.0.extend_from_slice(&asked.digest.0.to_le_bytes());
    }

    fn of(&mut self, tag: u8, session_no: SessionId, client: &Name) {
        self.0.push(tag);
        self.number(session_no.number());
        self.name(client);
    }

    fn fact(&mut self, fact: &EventKind) {
        match fact {
            EventKind::ServerStarted { unix_ms, token_floor } => {
                self.0.push(1);
                self.number(*unix_ms);
                self.number(token_floor.number());
            }
            EventKind::SessionOpened { session_id: session_no, client, lease, key: id, nonce } => {
                self.of(2, *session_no, client);
                self.number(lease.as_millis());
                self.option(*id, |out, id| out.0.extend_from_slice(&id.expose().to_bytes()));
                self.option(*nonce, |out, nonce| out.number(nonce.expose().bits()));
            }
            EventKind::SessionExpired { session_id: session_no, client } => {
                self.of(3, *session_no, client);
            }
            EventKind::SessionClosed { session_id: session_no, client, request_id: asked } => {
                self.of(4, *session_no, client);
                self.asked(*asked);
            }
            EventKind::LockQueued {
                lock,
                session_id: session_no,
                client,
                request_id: asked,
                wait,
                hold,
            } => {
                self.of(5, *session_no, client);
                self.name(lock);
                self.asked(*asked);
                self.number(wait.as_millis());
                self.option(*hold, |out, hold| out.number(hold.as_millis()));
            }
            EventKind::LockGranted {
                lock,
                session_id: session_no,
                client,
                token,
                request_id: asked,
                hold,
                from_queue,
            } => {
                self.of(6, *session_no, client);
                self.name(lock);
                self.number(token.number());
                self.asked(*asked);
                self.option(*hold, |out, hold| out.number(hold.as_millis()));
                self.0.push(u8::from(*from_queue));
            }
            EventKind::LockReleased {
                lock,
                session_id: session_no,
                client,
                token,
                cause,
                request_id: asked,
            } => {
                self.of(7, *session_no, client);
                self.name(lock);
                self.number(token.number());
                self.0.push(match cause {
                    ReleaseCause::Released => 0,
                    ReleaseCause::LeaseExpired => 1,
                    ReleaseCause::HoldExpired => 2,
                    ReleaseCause::Closed => 3,
                });
                self.option(*asked, Self::asked);
            }
            EventKind::WaitEnded {
                lock,
                session_id: session_no,
                client,
                wait_seq: waited,
                cause,
                request_id: asked,
            } => {
                self.of(8, *session_no, client);
                self.name(lock);
                self.number(waited.number());
                self.0.push(match cause {
                    WaitEndCause::Cancelled => 0,
                    WaitEndCause::Timeout => 1,
                    WaitEndCause::SessionEnded => 2,
                });
                self.option(*asked, Self::asked);
            }
            EventKind::FileAppended {
                file,
                session_id: session_no,
                client,
                token,
                offset,
                data,
                request_id: asked,
            } => {
                self.of(9, *session_no, client);
                self.name(file);
                self.number(token.number());
                self.number(*offset);
                self.bytes(data.bytes());
                self.asked(*asked);
            }
            EventKind::RequestRefused {
                session_id: session_no,
                client,
                op,
                resource_name: name,
                token,
                refusal,
                request_id: asked,
            } => {
                self.0.push(10);
                self.option(*session_no, |out, it| out.number(it.number()));
                self.option(client.as_ref(), Self::name);
                self.bytes(op.code().as_bytes());
                self.option(name.as_ref(), Self::name);
                self.option(*token, |out, token| out.number(token.number()));
                self.refusal(refusal);
                self.asked(*asked);
            }
            EventKind::ServerStopped
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => unreachable!("no durable fact"),
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        self.bytes(refusal.code().as_bytes());
        match refusal {
            Refusal::BadRequest { reason: why } => self.bytes(why.as_bytes()),
            Refusal::TooLarge { limit } => self.number(*limit),
            Refusal::WindowFull { window } => self.number(*window as u64),
            Refusal::Overloaded { limit: bound } => self.0.push(match bound {
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

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (&byte, rest) = self.0.split_first().ok_or(RecordError::CutOff)?;
        self.0 = rest;
        Ok(byte)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(RecordError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(RecordError::Malformed("a number is too long"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let len = self.number()?;
        self.take(usize::try_from(len).map_err(|_| RecordError::CutOff)?)
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RecordError::Malformed("no text"))
    }

    fn name(&mut self) -> Result<Name, RecordError> {
        Name::new(self.text()?).map_err(|_| RecordError::Malformed("no name"))
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    fn flag(&mut self) -> Result<bool, RecordError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Malformed("neither so nor not so")),
        }
    }

    fn eight(&mut self) -> Result<u64, RecordError> {
        let eight = self.take(8)?;
        Ok(u64::from_le_bytes(eight.try_into().expect("eight bytes were taken")))
    }

    fn asked(&mut self) -> Result<RequestId, RecordError> {
        let seq = Seq::new(self.number()?);
        let attempt = Attempt::new(self.number()?);
        Ok(RequestId { seq, attempt, digest: Digest(self.eight()?) })
    }

    fn span(&mut self) -> Result<Millis, RecordError> {
        self.number().map(Millis::from_millis)
    }

    fn token(&mut self) -> Result<Token, RecordError> {
        self.number().map(Token::new)
    }

    fn fact(&mut self) -> Result<EventKind, RecordError> {
        let tag = self.byte()?;
        match tag {
            1 => {
                return Ok(EventKind::ServerStarted {
                    unix_ms: self.number()?,
                    token_floor: self.token()?,
                });
            }
            10 => return self.refused(),
            _ => {}
        }
        let session_no = SessionId::new(self.number()?);
        let client = self.name()?;
        Ok(match tag {
            2 => self.opened(session_no, client)?,
            3 => EventKind::SessionExpired { session_id: session_no, client },
            4 => EventKind::SessionClosed {
                session_id: session_no,
                client,
                request_id: self.asked()?,
            },
            5 => EventKind::LockQueued {
                lock: self.name()?,
                session_id: session_no,
                client,
                request_id: self.asked()?,
                wait: self.span()?,
                hold: self.option(Self::span)?,
            },
            6 => EventKind::LockGranted {
                lock: self.name()?,
                session_id: session_no,
                client,
                token: self.token()?,
                request_id: self.asked()?,
                hold: self.option(Self::span)?,
                from_queue: self.flag()?,
            },
            7 => EventKind::LockReleased {
                lock: self.name()?,
                session_id: session_no,
                client,
                token: self.token()?,
                cause: self.release_cause()?,
                request_id: self.option(Self::asked)?,
            },
            8 => EventKind::WaitEnded {
                lock: self.name()?,
                session_id: session_no,
                client,
                wait_seq: Seq::new(self.number()?),
                cause: self.wait_end_cause()?,
                request_id: self.option(Self::asked)?,
            },
            9 => EventKind::FileAppended {
                file: self.name()?,
                session_id: session_no,
                client,
                token: self.token()?,
                offset: self.number()?,
                data: Data::new(self.bytes()?),
                request_id: self.asked()?,
            },
            _ => return Err(RecordError::Malformed("no such fact")),
        })
    }

    fn opened(&mut self, session_no: SessionId, client: Name) -> Result<EventKind, RecordError> {
        let lease = self.span()?;
        let id = self.option(|reader| {
            let bytes = reader.take(16)?.try_into().expect("16 bytes were taken");
            Ok(Secret::new(SessionKey::from_bytes(bytes)))
        })?;
        let nonce = self.option(|reader| Ok(Secret::new(Nonce::new(reader.number()?))))?;
        Ok(EventKind::SessionOpened { session_id: session_no, client, lease, key: id, nonce })
    }

    fn refused(&mut self) -> Result<EventKind, RecordError> {
        Ok(EventKind::RequestRefused {
            session_id: self.option(|reader| reader.number().map(SessionId::new))?,
            client: self.option(Self::name)?,
            op: Op::from_code(self.text()?).ok_or(RecordError::Malformed("no such op"))?,
            resource_name: self.option(Self::name)?,
            token: self.option(Self::token)?,
            refusal: self.refusal()?,
            request_id: self.asked()?,
        })
    }

    fn release_cause(&mut self) -> Result<ReleaseCause, RecordError> {
        Ok(match self.byte()? {
            0 => ReleaseCause::Released,
            1 => ReleaseCause::LeaseExpired,
            2 => ReleaseCause::HoldExpired,
            3 => ReleaseCause::Closed,
            _ => return Err(RecordError::Malformed("no such cause of a release")),
        })
    }

    fn wait_end_cause(&mut self) -> Result<WaitEndCause, RecordError> {
        Ok(match self.byte()? {
            0 => WaitEndCause::Cancelled,
            1 => WaitEndCause::Timeout,
            2 => WaitEndCause::SessionEnded,
            _ => return Err(RecordError::Malformed("no such end of a wait")),
        })
    }

    fn refusal(&mut self) -> Result<Refusal, RecordError> {
        Ok(match self.text()? {
            "bad_request" => Refusal::BadRequest { reason: self.text()?.to_owned() },
            "too_large" => Refusal::TooLarge { limit: self.number()? },
            "bad_name" => Refusal::BadName,
            "unknown_session" => Refusal::UnknownSession,
            "stale_seq" => Refusal::StaleSeq,
            "seq_reused" => Refusal::SeqReused,
            "window_full" => Refusal::WindowFull {
                window: usize::try_from(self.number()?)
                    .map_err(|_| RecordError::Malformed("a window too large"))?,
            },
            "overloaded" => Refusal::Overloaded {
                limit: match self.byte()? {
                    0 => Limit::Sessions,
                    1 => Limit::Locks,
                    2 => Limit::Waiters,
                    3 => Limit::Files,
                    _ => return Err(RecordError::Malformed("no such bound")),
                },
            },
            "rate_limited" => Refusal::RateLimited { retry_after: self.span()? },
            "storage_failed" => Refusal::StorageFailed,
            "lock_held" => Refusal::LockHeld { retry_after: self.span()? },
            "wait_timeout" => Refusal::WaitTimeout,
            "already_held" => Refusal::AlreadyHeld { token: self.token()? },
            "not_waiting" => Refusal::NotWaiting,
            "not_holder" => Refusal::NotHolder,
            "stale_token" => Refusal::StaleToken { current: self.token()? },
            _ => return Err(RecordError::Malformed("no such refusal")),
        })
    }
}
