//! The state of the checkers, derived from the records alone.
//!
//! - [`CheckerState::observe`] handles each kind of record in one place.
//! - Only recent history is retained (see [`Recent`]), so memory does not grow with the run.

mod tenures;

use std::collections::BTreeMap;

use leasehold_core::event::WaitEndCause;

use super::answers::AnswerHistory;
use super::append_calls::AppendCalls;
use super::beliefs::Beliefs;
use super::node::NodeStatus;
use super::recent::Recent;
use super::session::Session;
use super::wait_queues::WaitQueues;
use super::{Findings, Invariant};
use crate::message::Message;
use crate::trace::{Number, PacketSummary, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

#[derive(Clone, Debug)]
pub(super) struct CheckerState {
    lease_ms: u64,
    /// The end of all faults; `None` if L2 is unchecked.
    faults_end: Option<VirtualTime>,
    tenures: Vec<Option<Tenure>>,
    wait_queues: WaitQueues,
    /// The last appends of each file.
    appends: Vec<Recent<Append>>,
    /// The last sessions that were opened: session number and log index.
    opened: Recent<(Number, Number)>,
    /// The last grants: token and log index.
    granted: Recent<(Number, Number)>,
    /// The last ends of tenures: token and log index.
    released: Recent<(Number, Number)>,
    sessions: BTreeMap<Number, Session>,
    /// No tenure is overdue while the server's clock is at or before this time.
    earliest_deadline_ms: u64,
    /// The status of each node; the first one is the server.
    nodes: Vec<NodeStatus>,
    beliefs: Beliefs,
    answers: AnswerHistory,
    append_calls: AppendCalls,
    /// The largest log index that a reply has acknowledged.
    promised_through: Number,
    /// Set between a recovery and the first record that does not report recovered state.
    recovering: bool,
}

#[derive(Clone, Copy, Debug)]
struct Tenure {
    session: Number,
    token: Number,
}

#[derive(Clone, Copy, Debug)]
struct Append {
    /// The number of the line in its file, from 1.
    line: Number,
    index: Number,
    token: Number,
}

impl CheckerState {
    pub(super) fn new(locks: usize, clients: usize, lease_ms: u64) -> Self {
        Self {
            lease_ms,
            faults_end: None,
            tenures: vec![None; locks],
            wait_queues: WaitQueues::new(locks),
            appends: vec![Recent::default(); locks],
            opened: Recent::default(),
            granted: Recent::default(),
            released: Recent::default(),
            sessions: BTreeMap::new(),
            earliest_deadline_ms: u64::MAX,
            nodes: vec![NodeStatus::default(); clients + 1],
            beliefs: Beliefs::new(clients),
            answers: AnswerHistory::new(clients),
            append_calls: AppendCalls::new(clients),
            promised_through: Number::ZERO,
            recovering: false,
        }
    }

    /// Enables L2: all live clients must finish after the end of faults.
    pub(super) const fn enable_l2(&mut self, faults_end: VirtualTime) {
        self.faults_end = Some(faults_end);
    }

    /// Raises the lease length if this one is longer.
    pub(super) fn raise_max_lease(&mut self, lease_ms: u64) {
        self.lease_ms = self.lease_ms.max(lease_ms);
    }

    /// Checks the next record. Returns `None` if the record contains an unknown number. The state
    /// is then incomplete, and no later record may be checked.
    pub(super) fn observe(
        &mut self,
        id: RecordId,
        record: &Record,
        findings: &mut Findings,
    ) -> Option<()> {
        self.check_completed(id, record, findings);
        let local_ms = record.local_ms.get()?;
        match record.kind {
            RecordKind::Sent(packet) => self.observe_sent(id, record, packet, findings)?,
            RecordKind::Arrived(packet) => {
                if record.node.is_server() {
                    let PacketSummary { peer, message, seq, .. } = packet;
                    self.answers.observe_request(peer, message, seq.known()?);
                }
            }
            RecordKind::CallStarted { message, .. } => {
                if message == Message::AppendFile {
                    self.append_calls.start_call(record.node);
                }
            }
            RecordKind::CallEnded { message, outcome, .. } => {
                let is_false = message == Message::AppendFile
                    && !self.append_calls.check_outcome(record.node, outcome);
                findings.violate_if(Invariant::S3, id, is_false);
            }
            RecordKind::Started | RecordKind::Restarted => {
                self.update_node(record, NodeStatus::start);
            }
            RecordKind::Crashed { .. } => self.observe_crash(record),
            RecordKind::Paused { .. } => self.update_node(record, |node| node.paused = true),
            RecordKind::Resumed => self.update_node(record, |node| node.paused = false),
            RecordKind::Finished => self.update_node(record, |node| node.finished = true),
            RecordKind::Believed { lock, token, until } => {
                self.observe_belief(id, record, (lock, token.known()?, until), findings);
            }
            RecordKind::BeliefEnded { lock, token, .. } => {
                self.beliefs.remove(record.node, lock, token.known()?);
            }
            RecordKind::RunEnded => self.check_end_of_run(id, record.at, local_ms, findings),
            RecordKind::Recovered { through, .. } => {
                self.observe_recovery(id, through.known()?, findings);
            }
            RecordKind::Gap { .. } => self.reset(),
            RecordKind::TenureRecovered { lock, session, token, .. } => {
                let (session, token) = (session.known()?, token.known()?);
                self.set_tenure(lock, Some(Tenure { session, token }));
                self.renew(session, local_ms);
            }
            RecordKind::WaitRecovered { lock, session, seq, .. } => {
                let (session, seq) = (session.known()?, seq.known()?);
                let heard_ms = self.recovering.then_some(local_ms);
                self.wait_queues.restore(lock, (session, seq), heard_ms);
                self.renew(session, local_ms);
            }
            RecordKind::SessionOpened { client, session, index } => {
                self.open(session.known()?, index.known()?, local_ms);
                self.answers.open_session(client);
            }
            RecordKind::SessionExpired { client, session, index } => {
                findings.record_holds(Invariant::L1);
                self.sessions.remove(&session.known()?);
                self.answers.end_session(client, index.known()?);
            }
            RecordKind::SessionClosed { client, session, index } => {
                self.sessions.remove(&session.known()?);
                self.answers.end_session(client, index.known()?);
            }
            RecordKind::LeaseRenewed { client, session, seq } => {
                let (session, seq) = (session.known()?, seq.known()?);
                let is_first = self.renew_by_heartbeat(session, seq, local_ms);
                let is_refused = self.answers.is_refused(client, seq);
                findings.violate_if(Invariant::S3, id, !is_first || is_refused);
                self.check_leases(id, local_ms, findings);
            }
            RecordKind::RequestRefused { client, code, token, seq, .. } => {
                let released = self.released.find_last(token.known()?);
                self.answers.record_refusal(client, seq.known()?, code, released);
                self.check_leases(id, local_ms, findings);
            }
            RecordKind::DuplicateAnswered { session, seq, .. } => {
                let (session, seq) = (session.known()?, seq.known()?);
                if let Some(lock) = self.wait_queues.observe_retry(session, seq, local_ms) {
                    self.mark_idle_if_free(lock, record.at, local_ms);
                }
            }
            RecordKind::LockQueued { lock, client, session, seq, .. } => {
                let (session, seq) = (session.known()?, seq.known()?);
                findings.violate_if(Invariant::S3, id, self.answers.is_refused(client, seq));
                self.renew(session, local_ms);
                self.wait_queues.enqueue(lock, (session, seq), local_ms);
                self.mark_idle_if_free(lock, record.at, local_ms);
                self.check_leases(id, local_ms, findings);
            }
            RecordKind::WaitEnded { lock, client, session, seq, cause, index } => {
                let session = session.known()?;
                self.wait_queues.dequeue(lock, (session, seq.known()?));
                if cause == WaitEndCause::Cancelled {
                    self.answers.record_effect(client, Message::CancelAcquire, index.known()?);
                    self.renew(session, local_ms);
                }
            }
            RecordKind::LockGranted { .. } => self.grant(id, record, local_ms, findings)?,
            RecordKind::LockReleased { .. } => self.release(id, record, local_ms, findings)?,
            RecordKind::FileAppended { .. } => self.append(id, record, local_ms, findings)?,
            RecordKind::ClockJumped { .. }
            | RecordKind::ClockDrifted { .. }
            | RecordKind::Cut { .. }
            | RecordKind::Healed { .. }
            | RecordKind::Degraded { .. }
            | RecordKind::DiskSlowed { .. }
            | RecordKind::FaultsEnded
            | RecordKind::Lost { .. }
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::Durable { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost
            | RecordKind::FileRead { .. } => {}
        }
        Some(())
    }

    /// Checks what the previous records have completed: the report of a recovery, or an instant.
    fn check_completed(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        if self.recovering
            && !matches!(
                record.kind,
                RecordKind::TenureRecovered { .. } | RecordKind::WaitRecovered { .. }
            )
        {
            self.recovering = false;
            self.check_all_beliefs(id, record.at, findings);
        }
        // What a server did before a restart or a gap need not have been observed.
        let is_gap = matches!(record.kind, RecordKind::Gap { .. } | RecordKind::Restarted);
        if is_gap && record.node.is_server() {
            self.wait_queues.clear_idle();
        }
        if self.wait_queues.has_overdue_lock(record.at) {
            findings.record_violation(Invariant::S8, id);
        }
    }

    fn observe_sent(
        &mut self,
        id: RecordId,
        record: &Record,
        packet: PacketSummary,
        findings: &mut Findings,
    ) -> Option<()> {
        if !record.node.is_server() {
            if packet.message == Message::AppendFile {
                self.append_calls.observe_request(record.node, packet.seq.known()?);
            }
        } else if !matches!(packet.message, Message::Alive | Message::Queued) {
            // These two are the most frequent replies, and acknowledge no event.
            self.observe_reply(id, packet, findings)?;
        }
        Some(())
    }

    fn observe_crash(&mut self, record: &Record) {
        self.update_node(record, NodeStatus::crash);
        if record.node.is_server() {
            self.wait_queues.clear_idle();
        }
    }

    fn update_node(&mut self, record: &Record, update: impl FnOnce(&mut NodeStatus)) {
        if let Some(node) = self.nodes.get_mut(usize::from(record.node.0)) {
            update(node);
        }
    }

    fn open(&mut self, session: Number, opened: Number, renewed_ms: u64) {
        self.sessions.insert(session, Session::new(opened, renewed_ms));
        self.earliest_deadline_ms = self.earliest_deadline_ms.min(self.lease_deadline_ms(session));
        self.opened.push((session, opened));
    }

    fn renew(&mut self, session: Number, local_ms: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.renewed_ms = local_ms;
            // The deadline is earlier than before if the clock was set back.
            self.earliest_deadline_ms =
                self.earliest_deadline_ms.min(local_ms.saturating_add(self.lease_ms));
        }
    }

    /// Records a request that only renews a lease, and returns whether it is the first one with
    /// this sequence number.
    fn renew_by_heartbeat(&mut self, session: Number, seq: Number, local_ms: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return true };
        session.renewed_ms = local_ms;
        self.earliest_deadline_ms =
            self.earliest_deadline_ms.min(local_ms.saturating_add(self.lease_ms));
        session.record_heartbeat(seq)
    }

    /// Records an execution, and returns whether it is the first one of the request.
    fn execute(&mut self, session: Number, seq: Number, index: Number) -> bool {
        self.sessions.get_mut(&session).is_none_or(|session| session.record_execution(seq, index))
    }

    /// Records a reply, which must be true and consistent with earlier replies to the request.
    fn observe_reply(
        &mut self,
        id: RecordId,
        packet: PacketSummary,
        findings: &mut Findings,
    ) -> Option<()> {
        let seq = packet.seq.known()?;
        self.record_promise(packet, seq, packet.value.known()?);
        let has_executed = |it: &Session| it.executed_at(seq).is_some();
        let is_session_alive = || self.sessions.values().any(has_executed);
        let is_consistent = self.answers.check_reply(packet, seq, is_session_alive);
        findings.violate_if(Invariant::S3, id, !is_consistent);
        Some(())
    }

    /// Records the log index that a reply acknowledges: it must survive every crash.
    fn record_promise(&mut self, packet: PacketSummary, seq: Number, value: Number) {
        let index = match packet.message {
            Message::Welcome => self.opened.find_last(value),
            Message::Granted => self.granted.find_last(value),
            Message::Appended | Message::Outcome => {
                self.appends.get(usize::from(packet.lock.0)).and_then(|appends| {
                    let lines = appends.as_slice();
                    let append = lines.get(lines.partition_point(|it| it.line < value))?;
                    (append.line == value).then_some(append.index)
                })
            }
            Message::Released => self.sessions.values().find_map(|it| it.executed_at(seq)),
            Message::Cancelled | Message::Closed | Message::Refused => {
                self.answers.effect_index(packet, seq)
            }
            Message::Hello
            | Message::AcquireLock
            | Message::CancelAcquire
            | Message::ReleaseLock
            | Message::AppendFile
            | Message::AppendOutcome
            | Message::Heartbeat
            | Message::Close
            | Message::Retry
            | Message::Queued
            | Message::Alive => None,
        };
        self.promised_through = self.promised_through.max(index.unwrap_or(Number::ZERO));
    }

    fn observe_recovery(&mut self, id: RecordId, through: Number, findings: &mut Findings) {
        findings.check(Invariant::S5, id, self.promised_through <= through);
        self.answers.recover(through, self.promised_through > through);
        self.append_calls.recover(through);
        self.promised_through = self.promised_through.min(through);
        self.tenures.fill(None);
        self.wait_queues.clear();
        for appends in &mut self.appends {
            appends.retain(|append| append.index <= through);
        }
        self.opened.retain(|(_, index)| *index <= through);
        self.granted.retain(|(_, index)| *index <= through);
        self.released.retain(|(_, index)| *index <= through);
        self.sessions.retain(|_, session| session.opened_at <= through);
        for session in self.sessions.values_mut() {
            session.recover(through);
        }
        self.recovering = true;
    }

    /// Discards everything after a gap in the trace. The records that follow report the new state.
    fn reset(&mut self) {
        let initial = Self::new(self.tenures.len(), self.nodes.len() - 1, self.lease_ms);
        *self = Self { faults_end: self.faults_end, ..initial };
    }

    fn check_end_of_run(
        &mut self,
        id: RecordId,
        at: VirtualTime,
        local_ms: u64,
        findings: &mut Findings,
    ) {
        // A server that is down or paused cannot end a tenure.
        if self.nodes.first().is_some_and(|server| server.alive && !server.paused) {
            self.check_leases(id, local_ms.saturating_sub(1), findings);
        }
        if let Some(faults_end) = self.faults_end {
            let mut clients = self.nodes.iter().skip(1);
            let is_any_stuck =
                clients.any(|client| client.started && client.alive && !client.finished);
            // In a shorter run, a client may still wait for the lease of a crashed one to expire.
            if !is_any_stuck || at >= faults_end + self.lease_ms.saturating_mul(2_000) {
                findings.check(Invariant::L2, id, !is_any_stuck);
            }
        }
    }
}
