//! A record as it is read: the fields of all kinds, side by side.

use serde::Deserialize;
use serde::de::value::Error;

use super::{About, CallEnd, Causes, Kind, LockNo, LossCause, NodeNo, PacketNo, Record, RecordNo};
use crate::message::{Code, Message};
use crate::moment::Moment;

/// What may stand in a record.
#[derive(Deserialize)]
pub(super) struct Flat {
    at_us: Option<Moment>,
    local_ms: Option<u32>,
    node: Option<NodeNo>,
    causes: Option<Vec<Option<RecordNo>>>,
    kind: String,
    kept: Option<u32>,
    /// A clock jumps back too.
    ms: Option<i64>,
    ppm: Option<i32>,
    to: Option<NodeNo>,
    by: Option<NodeNo>,
    /// A packet comes earlier too, but a disk is never faster than it is.
    by_ms: Option<i64>,
    about: Option<About>,
    packet: Option<PacketNo>,
    copy: Option<PacketNo>,
    peer: Option<NodeNo>,
    client: Option<NodeNo>,
    message: Option<Message>,
    lock: Option<LockNo>,
    number: Option<u32>,
    seq: Option<u32>,
    why: Option<LossCause>,
    end: Option<CallEnd>,
    code: Option<Code>,
    refusal: Option<Code>,
    /// Why a tenure, a wait or a belief ended, which are different words.
    cause: Option<String>,
    through: Option<u32>,
    events: Option<u32>,
    sessions: Option<u16>,
    tenures: Option<u16>,
    waits: Option<u16>,
    session: Option<u32>,
    token: Option<u32>,
    current: Option<u32>,
    index: Option<u32>,
    position: Option<u16>,
    line: Option<u16>,
    from_queue: Option<bool>,
    holds: Option<bool>,
    until_us: Option<Moment>,
}

impl TryFrom<Flat> for Record {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let causes = need!(flat.causes)?;
        if causes.iter().flatten().any(|it| *it >= Causes::END) {
            return Err(serde::de::Error::custom("a cause is out of range"));
        }
        let cause = |place: usize| causes.get(place).copied().flatten().unwrap_or(RecordNo::NONE);
        Ok(Self {
            at: need!(flat.at_us)?,
            local_ms: need!(flat.local_ms)?,
            node: need!(flat.node)?,
            causes: Causes::new([cause(0), cause(1)]),
            kind: flat.try_into()?,
        })
    }
}

impl TryFrom<Flat> for Kind {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let kind = std::mem::take(&mut flat.kind);
        let flat = &mut flat;
        Ok(match kind.as_str() {
            "started" => Self::Started,
            "crashed" => take!(flat, Self::Crashed { kept }),
            "restarted" => Self::Restarted,
            "paused" => Self::Paused { ms: need_narrow!(flat.ms)? },
            "resumed" => Self::Resumed,
            "clock_jumped" => Self::ClockJumped { ms: need_narrow!(flat.ms)? },
            "clock_drifted" => take!(flat, Self::ClockDrifted { ppm }),
            "cut" => take!(flat, Self::Cut { to }),
            "healed" => take!(flat, Self::Healed { to }),
            "degraded" => take!(flat, Self::Degraded { to }),
            "disk_slowed" => Self::DiskSlowed { by_ms: need_narrow!(flat.by_ms)? },
            "calmed" => Self::Calmed,
            "sent" => Self::Sent(flat.packet()?),
            "arrived" => Self::Arrived(flat.packet()?),
            "lost" => take!(flat, Self::Lost { about, why }),
            "doubled" => take!(flat, Self::Doubled { about, copy }),
            "moved" => take!(flat, Self::Moved { about, by_ms: need_narrow!(flat.by_ms)? }),
            "recovered" => take!(flat, Self::Recovered { through, sessions, tenures, waits }),
            "stored" => take!(flat, Self::Stored { through }),
            "write_failed" => Self::WriteFailed,
            "flush_failed" => Self::FlushFailed,
            "called" => take!(flat, Self::Called { message, lock, token }),
            "answered" => take!(flat, Self::Answered { message, lock, token, end }),
            "believed" => {
                take!(flat, Self::Believed { lock, token, until: need!(flat.until_us)? })
            }
            "disbelieved" => {
                take!(flat, Self::Disbelieved { lock, token, cause: need_word!(flat.cause)? })
            }
            "checked" => take!(flat, Self::Checked { lock, holds }),
            "working" => Self::Working { ms: need_narrow!(flat.ms)? },
            "session_lost" => Self::SessionLost,
            "finished" => Self::Finished,
            "ended" => Self::Ended,
            "unseen" => take!(flat, Self::Unseen { events }),
            word => flat.of_service(word)?,
        })
    }
}

impl Flat {
    /// What the service did.
    fn of_service(&mut self, word: &str) -> Result<Kind, Error> {
        Ok(match word {
            "kept" => take!(self, Kind::Kept { lock, client, session, token }),
            "kept_wait" => take!(self, Kind::KeptWait { lock, client, session, seq }),
            "session_opened" => take!(self, Kind::SessionOpened { client, session, index }),
            "session_expired" => take!(self, Kind::SessionExpired { client, session, index }),
            "session_closed" => take!(self, Kind::SessionClosed { client, session, index }),
            "lock_queued" => {
                take!(self, Kind::LockQueued { lock, client, session, seq, position, index })
            }
            "lock_granted" => take!(
                self,
                Kind::LockGranted { lock, client, session, seq, token, from_queue, index }
            ),
            "lock_released" => take!(
                self,
                Kind::LockReleased {
                    lock,
                    client,
                    session,
                    seq,
                    token,
                    cause: need_word!(self.cause)?,
                    by,
                    index
                }
            ),
            "wait_ended" => take!(
                self,
                Kind::WaitEnded {
                    lock,
                    client,
                    session,
                    seq,
                    cause: need_word!(self.cause)?,
                    index
                }
            ),
            "file_appended" => {
                take!(self, Kind::FileAppended { lock, client, session, seq, token, line, index })
            }
            "request_refused" => take!(
                self,
                Kind::RequestRefused { client, message, lock, token, current, code, seq }
            ),
            "lease_renewed" => take!(self, Kind::LeaseRenewed { client, session, seq }),
            "duplicate_answered" => {
                take!(self, Kind::DuplicateAnswered { client, message, session, seq })
            }
            _ => return unknown!("kind", word),
        })
    }

    /// A packet whose fields stand beside those of the record.
    fn packet(&mut self) -> Result<About, Error> {
        Ok(take!(
            self,
            About { packet, peer, message, lock, number, seq, refusal: self.refusal.take() }
        ))
    }
}
