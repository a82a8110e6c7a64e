//! The sentence of each kind of record.

use leasehold_core::event::{ReleaseCause, WaitEndCause};

use super::Explainer;
use super::phrases::{format_duration, format_millis, percent, pluralize, refusal_text};
use crate::message::RefusalCode;
use crate::trace::{BeliefEndCause, LockId, NodeId, Number, Record, RecordKind};

/// The actor of a sentence, and its action.
pub(super) type Clause = (String, String);

impl Explainer<'_> {
    /// Returns the sentence of a record, as actor and action.
    pub(super) fn clause(&self, record: &Record) -> Clause {
        let node = record.node;
        match record.kind {
            RecordKind::Started => self.node_clause(node, "starts"),
            RecordKind::Crashed { durable_through } => self.crash_clause(node, durable_through),
            RecordKind::Restarted => self.node_clause(node, "restarts"),
            RecordKind::Paused { ms } => {
                self.node_clause(node, format!("is paused for {}", format_millis(ms)))
            }
            RecordKind::Resumed => self.node_clause(node, "resumes"),
            RecordKind::ClockJumped { ms } => self.clock_jump_clause(node, ms),
            RecordKind::ClockDrifted { ppm } => self.clause_of(node, "clock", clock_rate_text(ppm)),
            RecordKind::Cut { to } => self.link_clause(node, to, "is cut"),
            RecordKind::Healed { to } => self.link_clause(node, to, "is restored"),
            RecordKind::Degraded { to } => self.link_clause(node, to, "is degraded"),
            RecordKind::DiskSlowed { by_ms } => {
                let delay = format_millis(by_ms);
                self.clause_of(node, "disk", format!("slows down: each flush takes {delay} longer"))
            }
            RecordKind::FaultsEnded => self.faults_end_clause(),
            RecordKind::Sent(packet) => self.node_clause(node, self.sent_packet_text(node, packet)),
            RecordKind::Arrived(packet) => {
                self.node_clause(node, self.received_packet_text(packet))
            }
            RecordKind::Lost { packet, .. } => self.packet_clause(node, packet, "is lost"),
            RecordKind::Duplicated { packet, .. } => {
                self.packet_clause(node, packet, "is duplicated by the network")
            }
            RecordKind::Rescheduled { packet, by_ms } if by_ms < 0 => {
                self.packet_clause(node, packet, "is delivered immediately")
            }
            RecordKind::Rescheduled { packet, by_ms } => {
                let delay = format_duration(by_ms.into());
                self.packet_clause(node, packet, &format!("is delayed by {delay}"))
            }
            RecordKind::Recovered { tenures, waits, sessions, .. } => {
                let sessions = pluralize(sessions, "session");
                let tenures = pluralize(tenures, "lock");
                let waits = pluralize(waits, "client");
                let state = format!("{sessions}, {tenures} held, {waits} waiting");
                self.node_clause(node, format!("recovers from its log: {state}"))
            }
            RecordKind::TenureRecovered { lock, client, token, .. } => {
                let (client, lock) = (self.node_name(client), self.lock_name(lock));
                let holding = format!("that {client} holds {lock} under token {token}");
                self.node_clause(node, format!("{} {holding}", self.recovered_text(record)))
            }
            RecordKind::WaitRecovered { lock, client, .. } => {
                let (client, lock) = (self.node_name(client), self.lock_name(lock));
                let text = self.recovered_text(record);
                self.node_clause(node, format!("{text} that {client} waits for {lock}"))
            }
            RecordKind::SessionOpened { client, session, .. } => {
                let client = self.node_name(client);
                self.node_clause(node, format!("opens session {session} for {client}"))
            }
            RecordKind::SessionExpired { client, session, .. } => {
                let action = format!("expired: {} ends session {session}", self.node_name(node));
                self.clause_of(client, "lease", action)
            }
            RecordKind::SessionClosed { client, session, .. } => {
                let client = self.node_name(client);
                self.node_clause(node, format!("closes session {session} at {client}'s request"))
            }
            RecordKind::LockQueued { lock, client, position, .. } => {
                let lock = self.lock_name(lock);
                self.node_clause(client, format!("is queued for {lock}, position {position}"))
            }
            RecordKind::LockGranted { lock, client, token, .. } => {
                let (lock, client) = (self.lock_name(lock), self.node_name(client));
                self.node_clause(node, format!("grants {lock} to {client} under token {token}"))
            }
            RecordKind::LockReleased { lock, client, token, cause, origin, .. } => {
                let lock = format!("{} (token {token})", self.lock_name(lock));
                let reason = self.release_text(client, cause, origin);
                self.node_clause(node, format!("releases {lock}{reason}"))
            }
            RecordKind::WaitEnded { lock, client, cause, .. } => {
                self.node_clause(client, self.wait_end_text(lock, cause))
            }
            RecordKind::FileAppended { lock, client, token, line, .. } => {
                let (line, lock, client) = (line + 1, self.lock_name(lock), self.node_name(client));
                self.node_clause(
                    node,
                    format!("writes line {line} of {lock} for {client} under token {token}"),
                )
            }
            RecordKind::RequestRefused { client, message, lock, token, current, code, .. } => {
                let (client, request) =
                    (self.node_name(client), self.request_text(message, lock, Number::ZERO));
                let reason = if code == RefusalCode::StaleToken && current.is_zero() {
                    format!("token {token} is stale (the lock is free)")
                } else if code == RefusalCode::StaleToken {
                    format!("token {token} is stale (current: {current})")
                } else {
                    refusal_text(code).to_owned()
                };
                self.node_clause(node, format!("rejects {client}'s {request}: {reason}"))
            }
            RecordKind::LeaseRenewed { client, .. } => {
                self.node_clause(node, format!("renews {}'s lease", self.node_name(client)))
            }
            RecordKind::DuplicateAnswered { client, message, .. } => {
                let (client, (request, _)) = (
                    self.node_name(client),
                    self.request_phrase(message, LockId::NONE, Number::ZERO),
                );
                let action = format!("repeats its reply to {client}: the {request} is a duplicate");
                self.node_clause(node, action)
            }
            RecordKind::Durable { through } => {
                self.clause_of(node, "log", format!("is durable through event {through}"))
            }
            RecordKind::WriteFailed => {
                self.node_clause(node, "cannot write to its log: the disk is full")
            }
            RecordKind::FlushFailed => {
                let action = "stops: a flush failed, and the state of its disk is unknown";
                self.node_clause(node, action)
            }
            RecordKind::CallStarted { message, lock, token } => {
                self.node_clause(node, self.call_text(message, lock, token))
            }
            RecordKind::CallEnded { message, lock, token, outcome } => {
                self.node_clause(node, self.call_outcome_text(message, lock, token, outcome))
            }
            RecordKind::Believed { lock, token, until } => {
                let (lock, until) = (self.lock_name(lock), self.time_label(until));
                let holding = format!("that it holds {lock} (token {token})");
                self.node_clause(node, format!("may believe until {until} {holding}"))
            }
            RecordKind::BeliefEnded { lock, cause, .. } => {
                let (lock, cause) = (self.lock_name(lock), belief_end_text(cause));
                self.node_clause(node, format!("stops believing that it holds {lock}: {cause}"))
            }
            RecordKind::Checked { lock, holds } => {
                let (lock, verb) =
                    (self.lock_name(lock), if holds { "believes" } else { "does not believe" });
                self.node_clause(node, format!("checks its lease: it {verb} that it holds {lock}"))
            }
            RecordKind::Working { ms } => {
                self.node_clause(node, format!("works for {}", format_millis(ms)))
            }
            RecordKind::SessionLost => self.node_clause(node, "learns that its session has ended"),
            RecordKind::Finished => self.node_clause(node, "finishes"),
            RecordKind::RunEnded => ("run".to_owned(), "ends".to_owned()),
            RecordKind::Gap { events } => gap_clause(events),
            RecordKind::FileRead { lock, lines, is_torn } => {
                self.node_clause(node, self.read_text(lock, lines, is_torn))
            }
        }
    }

    fn node_clause(&self, node: NodeId, action: impl Into<String>) -> Clause {
        (self.node_name(node), action.into())
    }

    /// Returns a sentence about something that belongs to a node.
    fn clause_of(&self, node: NodeId, property: &str, action: impl Into<String>) -> Clause {
        (format!("{}'s {property}", self.node_name(node)), action.into())
    }

    fn link_clause(&self, from: NodeId, to: NodeId, action: &str) -> Clause {
        self.clause_of(from, "link", format!("to {} {action}", self.node_name(to)))
    }

    fn read_text(&self, lock: LockId, lines: u32, is_torn: bool) -> String {
        let lock = self.lock_name(lock);
        let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
        if is_torn {
            format!("reads {lock} in the middle of an update: {lines}")
        } else {
            format!("reads {lock}: {lines}")
        }
    }

    /// The end of faults, after which every client must be served (L2).
    fn faults_end_clause(&self) -> Clause {
        if self.run.has_faults() {
            ("all faults".to_owned(), "end".to_owned())
        } else {
            ("run".to_owned(), "has no faults: from now on, every client must be served".to_owned())
        }
    }

    fn crash_clause(&self, node: NodeId, durable_through: Number) -> Clause {
        let disk = if node.is_server() {
            format!("; its disk holds the events through {durable_through}")
        } else {
            String::new()
        };
        self.node_clause(node, format!("crashes and loses its memory{disk}"))
    }

    fn clock_jump_clause(&self, node: NodeId, ms: i32) -> Clause {
        let direction = if ms < 0 { "back" } else { "forward" };
        let distance = format_duration(i64::from(ms).abs());
        self.clause_of(node, "wall clock", format!("jumps {direction} by {distance}"))
    }

    /// Returns the verb for a record of the state at the beginning: of a recovered server, or of a
    /// recording that starts while the server runs.
    fn recovered_text(&self, record: &Record) -> &'static str {
        let cause = self.record(record.causes.direct());
        if cause.is_some_and(|cause| matches!(cause.kind, RecordKind::Gap { .. })) {
            "reports"
        } else {
            "reads from its log"
        }
    }

    fn release_text(&self, client: NodeId, cause: ReleaseCause, origin: NodeId) -> String {
        let holder = self.node_name(client);
        match cause {
            ReleaseCause::Released if origin != client => {
                format!(" at {}'s request, though {holder} holds it", self.node_name(origin))
            }
            ReleaseCause::Released => format!(" at {holder}'s request"),
            ReleaseCause::Closed => format!(": {holder} closed its session"),
            ReleaseCause::LeaseExpired => format!(": {holder}'s lease expired"),
            ReleaseCause::HoldExpired => format!(": {holder}'s hold limit was reached"),
        }
    }

    fn wait_end_text(&self, lock: LockId, cause: WaitEndCause) -> String {
        let explanation = match cause {
            WaitEndCause::Cancelled => "it cancelled its request",
            WaitEndCause::Timeout => "its wait timed out",
            WaitEndCause::SessionEnded => "its session ended",
        };
        format!("leaves the wait queue for {}: {explanation}", self.lock_name(lock))
    }
}

fn gap_clause(events: Number) -> Clause {
    let are_missing = "are missing from the recording";
    match events.get() {
        Some(0) => ("recording".to_owned(), "starts here".to_owned()),
        Some(1) => ("1 event".to_owned(), "is missing from the recording".to_owned()),
        Some(events) => (format!("{events} events"), are_missing.to_owned()),
        None => ("events before this".to_owned(), are_missing.replace("are", "may be")),
    }
}

const fn belief_end_text(cause: BeliefEndCause) -> &'static str {
    match cause {
        BeliefEndCause::Released => "it has released the lock",
        BeliefEndCause::Expired => "its lease may have expired",
        BeliefEndCause::Crashed => "it has crashed",
    }
}

fn clock_rate_text(ppm: i32) -> String {
    let direction = match ppm {
        0 => return "runs at the correct rate again".to_owned(),
        ..0 => "slow",
        1.. => "fast",
    };
    format!("runs {} % {direction}", percent(ppm.saturating_abs()))
}
