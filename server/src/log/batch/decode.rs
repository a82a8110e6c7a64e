//! Decodes the events of a batch. The input may be arbitrary bytes.

use leasehold_core::data::Data;
use leasehold_core::digest::Digest;
use leasehold_core::event::{EventKind, ReleaseCause, RequestId, WaitEndCause};
use leasehold_core::id::{Attempt, Name, Nonce, Seq, SessionId, SessionKey, Token};
use leasehold_core::op::Op;
use leasehold_core::refusal::{Limit, Refusal};
use leasehold_core::secret::Secret;
use leasehold_core::time::Millis;

use super::RecordError;

/// Reads encoded values from the front of a slice.
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

impl<'a> Decoder<'a> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (&byte, rest) = self.0.split_first().ok_or(RecordError::CutOff)?;
        self.0 = rest;
        Ok(byte)
    }

    fn bytes_of_len(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(RecordError::CutOff)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordError> {
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
        self.bytes_of_len(usize::try_from(len).map_err(|_| RecordError::CutOff)?)
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RecordError::Malformed("text is not UTF-8"))
    }

    fn name(&mut self) -> Result<Name, RecordError> {
        Name::new(self.text()?).map_err(|_| RecordError::Malformed("invalid name"))
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
            _ => Err(RecordError::Malformed("a flag is neither 0 nor 1")),
        }
    }

    fn fixed_u64(&mut self) -> Result<u64, RecordError> {
        let bytes = self.bytes_of_len(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were read")))
    }

    fn request_id(&mut self) -> Result<RequestId, RecordError> {
        let seq = Seq::new(self.number()?);
        let attempt = Attempt::new(self.number()?);
        Ok(RequestId { seq, attempt, digest: Digest(self.fixed_u64()?) })
    }

    fn duration(&mut self) -> Result<Millis, RecordError> {
        self.number().map(Millis::from_millis)
    }

    fn token(&mut self) -> Result<Token, RecordError> {
        self.number().map(Token::new)
    }

    pub(super) fn event_kind(&mut self) -> Result<EventKind, RecordError> {
        let tag = self.byte()?;
        match tag {
            1 => {
                return Ok(EventKind::ServerStarted {
                    unix_ms: self.number()?,
                    token_floor: self.token()?,
                });
            }
            10 => return self.request_refused(),
            _ => {}
        }
        let session_id = SessionId::new(self.number()?);
        let client = self.name()?;
        Ok(match tag {
            2 => self.session_opened(session_id, client)?,
            3 => EventKind::SessionExpired { session_id, client },
            4 => EventKind::SessionClosed { session_id, client, request_id: self.request_id()? },
            5 => EventKind::LockQueued {
                lock: self.name()?,
                session_id,
                client,
                request_id: self.request_id()?,
                wait: self.duration()?,
                hold: self.option(Self::duration)?,
            },
            6 => EventKind::LockGranted {
                lock: self.name()?,
                session_id,
                client,
                token: self.token()?,
                request_id: self.request_id()?,
                hold: self.option(Self::duration)?,
                from_queue: self.flag()?,
            },
            7 => EventKind::LockReleased {
                lock: self.name()?,
                session_id,
                client,
                token: self.token()?,
                cause: self.release_cause()?,
                request_id: self.option(Self::request_id)?,
            },
            8 => EventKind::WaitEnded {
                lock: self.name()?,
                session_id,
                client,
                wait_seq: Seq::new(self.number()?),
                cause: self.wait_end_cause()?,
                request_id: self.option(Self::request_id)?,
            },
            9 => EventKind::FileAppended {
                file: self.name()?,
                session_id,
                client,
                token: self.token()?,
                offset: self.number()?,
                data: Data::new(self.bytes()?),
                request_id: self.request_id()?,
            },
            _ => return Err(RecordError::Malformed("unknown event")),
        })
    }

    fn session_opened(
        &mut self,
        session_id: SessionId,
        client: Name,
    ) -> Result<EventKind, RecordError> {
        let lease = self.duration()?;
        let key = self.option(|decoder| {
            let bytes = decoder.bytes_of_len(16)?.try_into().expect("16 bytes were read");
            Ok(Secret::new(SessionKey::from_bytes(bytes)))
        })?;
        let nonce = self.option(|decoder| Ok(Secret::new(Nonce::new(decoder.number()?))))?;
        Ok(EventKind::SessionOpened { session_id, client, lease, key, nonce })
    }

    fn request_refused(&mut self) -> Result<EventKind, RecordError> {
        Ok(EventKind::RequestRefused {
            session_id: self.option(|decoder| decoder.number().map(SessionId::new))?,
            client: self.option(Self::name)?,
            op: Op::from_code(self.text()?).ok_or(RecordError::Malformed("unknown operation"))?,
            resource_name: self.option(Self::name)?,
            token: self.option(Self::token)?,
            refusal: self.refusal()?,
            request_id: self.request_id()?,
        })
    }

    fn release_cause(&mut self) -> Result<ReleaseCause, RecordError> {
        Ok(match self.byte()? {
            0 => ReleaseCause::Released,
            1 => ReleaseCause::LeaseExpired,
            2 => ReleaseCause::HoldExpired,
            3 => ReleaseCause::Closed,
            _ => return Err(RecordError::Malformed("unknown cause of a release")),
        })
    }

    fn wait_end_cause(&mut self) -> Result<WaitEndCause, RecordError> {
        Ok(match self.byte()? {
            0 => WaitEndCause::Cancelled,
            1 => WaitEndCause::Timeout,
            2 => WaitEndCause::SessionEnded,
            _ => return Err(RecordError::Malformed("unknown cause of the end of a wait")),
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
                    _ => return Err(RecordError::Malformed("unknown limit")),
                },
            },
            "rate_limited" => Refusal::RateLimited { retry_after: self.duration()? },
            "storage_failed" => Refusal::StorageFailed,
            "lock_held" => Refusal::LockHeld { retry_after: self.duration()? },
            "wait_timeout" => Refusal::WaitTimeout,
            "already_held" => Refusal::AlreadyHeld { token: self.token()? },
            "not_waiting" => Refusal::NotWaiting,
            "not_holder" => Refusal::NotHolder,
            "stale_token" => Refusal::StaleToken { current: self.token()? },
            _ => return Err(RecordError::Malformed("unknown refusal")),
        })
    }
}
