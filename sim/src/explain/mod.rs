//! Records as sentences for a student: what happened, by which rule, and because of what.
//!
//! Everything is made of the records and the configuration alone, so a trace that somebody sends
//! reads the same as one that was just run.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

mod because;
mod once;
mod violation;
mod words;

use leasehold_core::event::{ReleaseCause, WaitEndCause};

use super::run::Run;
use super::trace::{DisbeliefCause, Kind, LockNo, NodeNo, Record, RecordNo};

/// What is said of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// To whom it happened.
    pub who: String,
    /// What, as the rest of a sentence that begins with who.
    pub what: String,
    /// Why, as a sentence of its own; unset where what happened says it already.
    pub because: Option<String>,
    /// The records that the reason speaks of, and those that led here.
    pub causes: Vec<RecordNo>,
}

impl Told {
    /// Who and what in one sentence, without the stop at its end.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.who, self.what)
    }
}

pub use violation::Violation;

/// Tells what is in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    run: &'a Run,
    trace: &'a [Record],
}

impl<'a> Teller<'a> {
    /// For this trace, which this run left.
    pub const fn new(run: &'a Run, trace: &'a [Record]) -> Self {
        Self { run, trace }
    }

    /// What is said of a record; nothing where there is none of this number.
    pub fn tell(&self, no: RecordNo) -> Option<Told> {
        let record = self.record(no)?;
        let because = self.because(record);
        let mut causes: Vec<RecordNo> = record.causes.both().to_vec();
        causes.extend(because.iter().flat_map(|because| because.rests_on.iter().copied()));
        causes.retain(|cause| *cause != RecordNo::NONE);
        causes.sort();
        causes.dedup();
        Some(Told {
            who: self.node(record.node),
            what: self.what(record),
            because: because.map(|because| because.text),
            causes,
        })
    }

    /// The record of this number.
    pub fn record(&self, no: RecordNo) -> Option<&'a Record> {
        self.trace.get(no.place()?)
    }

    /// The name of a node.
    pub fn node(&self, node: NodeNo) -> String {
        let Some(place) = usize::from(node.0).checked_sub(1) else { return "server".to_owned() };
        let client = self.run.config.clients.get(place);
        client.map_or_else(|| "somebody".to_owned(), |client| client.name.to_string())
    }

    /// The name of a lock.
    pub fn lock(&self, lock: LockNo) -> String {
        let name = self.run.config.locks.get(usize::from(lock.0));
        name.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    }

    /// The whole way of causes that leads to a record, from its beginning on.
    pub fn chain(&self, no: RecordNo) -> Vec<RecordNo> {
        let mut open = vec![no];
        let mut chain = Vec::new();
        while let Some(next) = open.pop() {
            let Some(record) = self.record(next) else { continue };
            if chain.contains(&next) {
                continue;
            }
            chain.push(next);
            // What comes later than its effect is no cause.
            open.extend(record.causes.both().into_iter().filter(|cause| *cause < next));
        }
        chain.sort();
        chain
    }

    fn what(&self, record: &Record) -> String {
        match record.kind {
            Kind::Sent(about) => format!("sends {}", self.letter(record.node, about)),
            Kind::Arrived(about) => format!("gets {}", self.letter_from(about)),
            Kind::Lost { about, .. } => format!("{}: it is lost", self.travels(record, about)),
            Kind::Doubled { about, .. } => {
                format!(
                    "sends {}, and the network makes two of it",
                    self.letter(record.node, about)
                )
            }
            Kind::Moved { about, by_ms } if by_ms < 0 => {
                format!("{}: it arrives at once", self.travels(record, about))
            }
            Kind::Moved { about, by_ms } => {
                format!("{}: it is held up for {}", self.travels(record, about), seconds(by_ms))
            }
            Kind::Kept { lock, client, token, .. } if self.is_seen_first(record) => {
                format!("says that {} holds {}, token {token}", self.node(client), self.lock(lock))
            }
            Kind::KeptWait { lock, client, .. } if self.is_seen_first(record) => {
                format!("says that {} waits for {}", self.node(client), self.lock(lock))
            }
            kind => self.event(kind).unwrap_or_else(|| self.of_a_node(kind)),
        }
    }

    /// Whether it tells what was so when somebody began to look.
    fn is_seen_first(&self, record: &Record) -> bool {
        let cause = self.record(record.causes.direct());
        cause.is_some_and(|cause| matches!(cause.kind, Kind::Unseen { .. }))
    }

    /// What a node does, or what is done to it.
    fn of_a_node(&self, kind: Kind) -> String {
        match kind {
            Kind::Started => "starts".to_owned(),
            Kind::Crashed { .. } => "crashes: all that it had in memory is gone".to_owned(),
            Kind::Restarted => "starts again".to_owned(),
            Kind::Paused { ms } => {
                format!("stands still for {}; the world goes on", seconds(ms.cast_signed()))
            }
            Kind::Resumed => "goes on, as if no time had passed".to_owned(),
            Kind::ClockJumped { ms } => {
                let way = if ms < 0 { "back" } else { "forward" };
                format!("has its wall clock set {way} by {}", seconds(ms.saturating_abs()))
            }
            Kind::ClockDrifted { ppm: 0 } => "has a right clock again".to_owned(),
            Kind::ClockDrifted { ppm } => {
                let way = if ppm < 0 { "slow" } else { "fast" };
                format!("has a clock that runs {} % {way}", words::percent(ppm.saturating_abs()))
            }
            Kind::Cut { to } => format!("is cut off from {}: nothing gets there", self.node(to)),
            Kind::Healed { to } => format!("reaches {} again", self.node(to)),
            Kind::Degraded { to } => format!("has a worse line to {}", self.node(to)),
            Kind::DiskSlowed { by_ms } => {
                format!("has a slower disk, by {}", seconds(by_ms.cast_signed()))
            }
            Kind::Calmed => "and all others are whole again: no more faults".to_owned(),
            Kind::Recovered { tenures, waits, sessions, .. } => format!(
                "reads its journal: {}, {} held, {} in line",
                words::count(sessions, "session"),
                words::count(tenures, "lock"),
                words::count(waits, "client"),
            ),
            Kind::Unseen { events: 0 } => "is watched from here on".to_owned(),
            Kind::Unseen { events } => format!("was out of sight for {events} events"),
            Kind::Stored { through } => format!("has event {through} on disk"),
            Kind::WriteFailed => "can't write: the disk is full".to_owned(),
            Kind::FlushFailed => {
                "can't flush, and ends: nobody knows what its disk holds".to_owned()
            }
            Kind::Called { message, lock, token } => self.wish(message, lock, token),
            Kind::Answered { message, lock, end, token } => self.end(message, lock, token, end),
            Kind::Believed { lock, token, until } => {
                format!(
                    "may believe that it holds {} (token {token}) until {until}",
                    self.lock(lock)
                )
            }
            Kind::Disbelieved { lock, cause, .. } => {
                let lock = self.lock(lock);
                match cause {
                    DisbeliefCause::Released => format!("no longer counts on {lock}"),
                    DisbeliefCause::Lapsed => {
                        format!("stops believing that it holds {lock}: its time is over")
                    }
                    DisbeliefCause::Crashed => format!("no longer knows that it held {lock}"),
                }
            }
            Kind::Checked { lock, holds: true } => {
                format!("looks, and believes that it holds {}", self.lock(lock))
            }
            Kind::Checked { lock, .. } => {
                format!("looks, and does not believe that it holds {}", self.lock(lock))
            }
            Kind::Working { ms } => format!("works for {}", seconds(ms.cast_signed())),
            Kind::SessionLost => "learns that its session is over".to_owned(),
            Kind::Finished => "has finished".to_owned(),
            Kind::Ended => "and all others: the run ends here".to_owned(),
            // All others are told of by `what` and `event`.
            _ => String::new(),
        }
    }

    /// What the service decided.
    fn event(&self, kind: Kind) -> Option<String> {
        Some(match kind {
            Kind::Kept { lock, client, token, .. } => format!(
                "knows from its journal that {} holds {} under token {token}",
                self.node(client),
                self.lock(lock)
            ),
            Kind::KeptWait { lock, client, .. } => format!(
                "knows from its journal that {} waits for {}",
                self.node(client),
                self.lock(lock)
            ),
            Kind::SessionOpened { client, session, .. } => {
                format!("opens session {session} for {}", self.node(client))
            }
            Kind::SessionExpired { client, session, .. } => {
                format!("ends session {session} of {}: its lease ran out", self.node(client))
            }
            Kind::SessionClosed { client, session, .. } => {
                format!("ends session {session} of {}, as it asked", self.node(client))
            }
            Kind::LockQueued { lock, client, position, .. } => {
                format!(
                    "puts {} in line for {}, place {position}",
                    self.node(client),
                    self.lock(lock)
                )
            }
            Kind::LockGranted { lock, client, token, .. } => {
                format!("grants {} to {} under token {token}", self.lock(lock), self.node(client))
            }
            Kind::LockReleased { lock, client, token, cause, .. } => {
                self.release(lock, client, token, cause)
            }
            Kind::WaitEnded { lock, client, cause, .. } => self.wait_end(lock, client, cause),
            Kind::FileAppended { lock, client, token, line, .. } => format!(
                "writes line {} of {} for {}, under token {token}",
                line + 1,
                self.lock(lock),
                self.node(client)
            ),
            Kind::RequestRefused { client, message, lock, token, code, .. } => format!(
                "refuses {}'s {}: {}",
                self.node(client),
                self.request(message, lock, token),
                code.word()
            ),
            Kind::LeaseRenewed { client, .. } => {
                format!("renews the lease of {}", self.node(client))
            }
            Kind::DuplicateAnswered { client, message, .. } => {
                format!(
                    "has seen {}'s {} before",
                    self.node(client),
                    self.request(message, LockNo::NONE, 0)
                )
            }
            _ => return None,
        })
    }

    /// How a place in line ended.
    fn wait_end(&self, lock: LockNo, client: NodeNo, cause: WaitEndCause) -> String {
        let why = match cause {
            WaitEndCause::Cancelled => "as it asked",
            WaitEndCause::Timeout => "it waited as long as it wanted to",
            WaitEndCause::SessionEnded => "its session is over",
        };
        format!("takes {} out of the line for {}: {why}", self.node(client), self.lock(lock))
    }

    /// How a tenure ended.
    fn release(&self, lock: LockNo, client: NodeNo, token: u32, cause: ReleaseCause) -> String {
        let (lock, client) = (self.lock(lock), self.node(client));
        match cause {
            ReleaseCause::Released => format!("frees {lock}: token {token} of {client}"),
            ReleaseCause::Closed => {
                format!("frees {lock}, token {token}: {client} closes its session")
            }
            ReleaseCause::LeaseExpired => {
                format!("takes {lock} from {client}, token {token}: its lease is over")
            }
            ReleaseCause::HoldExpired => {
                format!("takes {lock} from {client}, token {token}: its time is over")
            }
        }
    }
}

/// A span of milliseconds, as one says it.
fn seconds(ms: i32) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}
