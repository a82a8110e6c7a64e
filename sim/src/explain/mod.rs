//! Records as sentences for a student: what happened, by which rule, and because of what.
//!
//! Everything is made of the records and the configuration alone, so a trace that somebody sends
//! reads the same as one that was just run.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

mod exactly_once;
mod phrases;
mod reason;
mod violation;

use leasehold_core::event::{ReleaseCause, WaitEndCause};

use super::run::Run;
use super::trace::{BeliefEndCause, LockId, NodeId, Record, RecordId, RecordKind};

/// What is said of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// To whom it happened.
    pub actor: String,
    /// What, as the rest of a sentence that begins with who.
    pub action: String,
    /// Why, as a sentence of its own; unset where what happened says it already.
    pub reason: Option<String>,
    /// The records that the reason speaks of, and those that led here.
    pub causes: Vec<RecordId>,
}

impl Description {
    /// Who and what in one sentence, without the stop at its end.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.actor, self.action)
    }
}

pub use violation::Violation;

/// Tells what is in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Explainer<'a> {
    run: &'a Run,
    trace: &'a [Record],
}

impl<'a> Explainer<'a> {
    /// For this trace, which this run left.
    pub const fn new(run: &'a Run, trace: &'a [Record]) -> Self {
        Self { run, trace }
    }

    /// What is said of a record; nothing where there is none of this number.
    pub fn describe(&self, id: RecordId) -> Option<Description> {
        let record = self.record(id)?;
        let reason = self.reason(record);
        let mut causes: Vec<RecordId> = record.causes.both().to_vec();
        causes.extend(reason.iter().flat_map(|reason| reason.evidence.iter().copied()));
        causes.retain(|cause| *cause != RecordId::NONE);
        causes.sort();
        causes.dedup();
        Some(Description {
            actor: self.node_name(record.node),
            action: self.action_text(record),
            reason: reason.map(|reason| reason.text),
            causes,
        })
    }

    /// The record of this number.
    pub fn record(&self, id: RecordId) -> Option<&'a Record> {
        self.trace.get(id.index()?)
    }

    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> String {
        let Some(index) = usize::from(node.0).checked_sub(1) else { return "server".to_owned() };
        let client = self.run.config.clients.get(index);
        client.map_or_else(|| "somebody".to_owned(), |client| client.name.to_string())
    }

    /// The name of a lock.
    pub fn lock_name(&self, lock: LockId) -> String {
        let name = self.run.config.locks.get(usize::from(lock.0));
        name.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    }

    /// The whole way of causes that leads to a record, from its beginning on.
    pub fn causal_chain(&self, id: RecordId) -> Vec<RecordId> {
        let mut pending = vec![id];
        let mut chain = Vec::new();
        while let Some(next) = pending.pop() {
            let Some(record) = self.record(next) else { continue };
            if chain.contains(&next) {
                continue;
            }
            chain.push(next);
            // What comes later than its effect is no cause.
            pending.extend(record.causes.both().into_iter().filter(|cause| *cause < next));
        }
        chain.sort();
        chain
    }

    fn action_text(&self, record: &Record) -> String {
        match record.kind {
            RecordKind::Sent(packet) => {
                format!("sends {}", self.sent_packet_text(record.node, packet))
            }
            RecordKind::Arrived(packet) => format!("gets {}", self.received_packet_text(packet)),
            RecordKind::Lost { packet: packet, .. } => {
                format!("{}: it is lost", self.transit_text(record, packet))
            }
            RecordKind::Duplicated { packet, .. } => {
                format!(
                    "sends {}, and the network makes two of it",
                    self.sent_packet_text(record.node, packet)
                )
            }
            RecordKind::Rescheduled { packet, by_ms } if by_ms < 0 => {
                format!("{}: it arrives at once", self.transit_text(record, packet))
            }
            RecordKind::Rescheduled { packet, by_ms } => {
                format!(
                    "{}: it is held up for {}",
                    self.transit_text(record, packet),
                    format_duration(by_ms)
                )
            }
            RecordKind::TenureRecovered { lock, client, token, .. }
                if self.is_initial_state(record) =>
            {
                format!(
                    "says that {} holds {}, token {token}",
                    self.node_name(client),
                    self.lock_name(lock)
                )
            }
            RecordKind::WaitRecovered { lock, client, .. } if self.is_initial_state(record) => {
                format!("says that {} waits for {}", self.node_name(client), self.lock_name(lock))
            }
            kind => self.server_action_text(kind).unwrap_or_else(|| self.node_action_text(kind)),
        }
    }

    /// Whether it tells what was so when somebody began to look.
    fn is_initial_state(&self, record: &Record) -> bool {
        let cause = self.record(record.causes.direct());
        cause.is_some_and(|cause| matches!(cause.kind, RecordKind::Gap { .. }))
    }

    /// What a node does, or what is done to it.
    fn node_action_text(&self, kind: RecordKind) -> String {
        match kind {
            RecordKind::Started => "starts".to_owned(),
            RecordKind::Crashed { .. } => "crashes: all that it had in memory is gone".to_owned(),
            RecordKind::Restarted => "starts again".to_owned(),
            RecordKind::Paused { ms } => {
                format!("stands still for {}; the world goes on", format_duration(ms.cast_signed()))
            }
            RecordKind::Resumed => "goes on, as if no time had passed".to_owned(),
            RecordKind::ClockJumped { ms } => {
                let direction = if ms < 0 { "back" } else { "forward" };
                format!(
                    "has its wall clock set {direction} by {}",
                    format_duration(ms.saturating_abs())
                )
            }
            RecordKind::ClockDrifted { ppm: 0 } => "has a right clock again".to_owned(),
            RecordKind::ClockDrifted { ppm } => {
                let direction = if ppm < 0 { "slow" } else { "fast" };
                format!(
                    "has a clock that runs {} % {direction}",
                    phrases::percent(ppm.saturating_abs())
                )
            }
            RecordKind::Cut { to } => {
                format!("is cut off from {}: nothing gets there", self.node_name(to))
            }
            RecordKind::Healed { to } => format!("reaches {} again", self.node_name(to)),
            RecordKind::Degraded { to } => format!("has a worse line to {}", self.node_name(to)),
            RecordKind::DiskSlowed { by_ms } => {
                format!("has a slower disk, by {}", format_duration(by_ms.cast_signed()))
            }
            RecordKind::FaultsEnded => "and all others are whole again: no more faults".to_owned(),
            RecordKind::Recovered { tenures, waits, sessions, .. } => format!(
                "reads its journal: {}, {} held, {} in line",
                phrases::pluralize(sessions, "session"),
                phrases::pluralize(tenures, "lock"),
                phrases::pluralize(waits, "client"),
            ),
            RecordKind::Gap { events: 0 } => "is watched from here on".to_owned(),
            RecordKind::Gap { events } => format!("was out of sight for {events} events"),
            RecordKind::Durable { through } => format!("has event {through} on disk"),
            RecordKind::WriteFailed => "can't write: the disk is full".to_owned(),
            RecordKind::FlushFailed => {
                "can't flush, and ends: nobody knows what its disk holds".to_owned()
            }
            RecordKind::CallStarted { message, lock, token } => {
                self.call_text(message, lock, token)
            }
            RecordKind::CallEnded { message, lock, outcome, token } => {
                self.call_outcome_text(message, lock, token, outcome)
            }
            RecordKind::Believed { lock, token, until } => {
                format!(
                    "may believe that it holds {} (token {token}) until {until}",
                    self.lock_name(lock)
                )
            }
            RecordKind::BeliefEnded { lock, cause, .. } => {
                let lock = self.lock_name(lock);
                match cause {
                    BeliefEndCause::Released => format!("no longer counts on {lock}"),
                    BeliefEndCause::Expired => {
                        format!("stops believing that it holds {lock}: its time is over")
                    }
                    BeliefEndCause::Crashed => format!("no longer knows that it held {lock}"),
                }
            }
            RecordKind::Checked { lock, holds: true } => {
                format!("looks, and believes that it holds {}", self.lock_name(lock))
            }
            RecordKind::Checked { lock, .. } => {
                format!("looks, and does not believe that it holds {}", self.lock_name(lock))
            }
            RecordKind::Working { ms } => {
                format!("works for {}", format_duration(ms.cast_signed()))
            }
            RecordKind::SessionLost => "learns that its session is over".to_owned(),
            RecordKind::Finished => "has finished".to_owned(),
            RecordKind::RunEnded => "and all others: the run ends here".to_owned(),
            // All others are told of by `what` and `event`.
            _ => String::new(),
        }
    }

    /// What the service decided.
    fn server_action_text(&self, kind: RecordKind) -> Option<String> {
        Some(match kind {
            RecordKind::TenureRecovered { lock, client, token, .. } => format!(
                "knows from its journal that {} holds {} under token {token}",
                self.node_name(client),
                self.lock_name(lock)
            ),
            RecordKind::WaitRecovered { lock, client, .. } => format!(
                "knows from its journal that {} waits for {}",
                self.node_name(client),
                self.lock_name(lock)
            ),
            RecordKind::SessionOpened { client, session, .. } => {
                format!("opens session {session} for {}", self.node_name(client))
            }
            RecordKind::SessionExpired { client, session, .. } => {
                format!("ends session {session} of {}: its lease ran out", self.node_name(client))
            }
            RecordKind::SessionClosed { client, session, .. } => {
                format!("ends session {session} of {}, as it asked", self.node_name(client))
            }
            RecordKind::LockQueued { lock, client, position, .. } => {
                format!(
                    "puts {} in line for {}, place {position}",
                    self.node_name(client),
                    self.lock_name(lock)
                )
            }
            RecordKind::LockGranted { lock, client, token, .. } => {
                format!(
                    "grants {} to {} under token {token}",
                    self.lock_name(lock),
                    self.node_name(client)
                )
            }
            RecordKind::LockReleased { lock, client, token, cause, .. } => {
                self.release_text(lock, client, token, cause)
            }
            RecordKind::WaitEnded { lock, client, cause, .. } => {
                self.wait_end_text(lock, client, cause)
            }
            RecordKind::FileAppended { lock, client, token, line, .. } => format!(
                "writes line {} of {} for {}, under token {token}",
                line + 1,
                self.lock_name(lock),
                self.node_name(client)
            ),
            RecordKind::RequestRefused { client, message, lock, token, code, .. } => format!(
                "refuses {}'s {}: {}",
                self.node_name(client),
                self.request_text(message, lock, token),
                code.code()
            ),
            RecordKind::LeaseRenewed { client, .. } => {
                format!("renews the lease of {}", self.node_name(client))
            }
            RecordKind::DuplicateAnswered { client, message, .. } => {
                format!(
                    "has seen {}'s {} before",
                    self.node_name(client),
                    self.request_text(message, LockId::NONE, 0)
                )
            }
            _ => return None,
        })
    }

    /// How a place in line ended.
    fn wait_end_text(&self, lock: LockId, client: NodeId, cause: WaitEndCause) -> String {
        let explanation = match cause {
            WaitEndCause::Cancelled => "as it asked",
            WaitEndCause::Timeout => "it waited as long as it wanted to",
            WaitEndCause::SessionEnded => "its session is over",
        };
        format!(
            "takes {} out of the line for {}: {explanation}",
            self.node_name(client),
            self.lock_name(lock)
        )
    }

    /// How a tenure ended.
    fn release_text(
        &self,
        lock: LockId,
        client: NodeId,
        token: u32,
        cause: ReleaseCause,
    ) -> String {
        let (lock, client) = (self.lock_name(lock), self.node_name(client));
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
fn format_duration(ms: i32) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}
