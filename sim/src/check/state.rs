//! What the checkers know, from the records alone.

use super::answers::AnswerHistory;
use super::append_calls::AppendCalls;
use super::beliefs::Beliefs;
use super::node::NodeStatus;
use super::recent::Recent;
use super::session::Session;
use super::wait_queues::WaitQueues;
use super::{Findings, Invariant};
use crate::message::{Message, RefusalCode};
use crate::trace::{LockId, PacketSummary, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;
use leasehold_core::event::{ReleaseCause, WaitEndCause};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct CheckerState {
    lease_ms: u32,
    /// From when on everybody has to come to a good end, where that is judged.
    faults_end: Option<VirtualTime>,
    tenures: Vec<Option<Tenure>>,
    wait_queues: WaitQueues,
    /// The last appends of each file.
    appends: Vec<Recent<Append>>,
    /// The last sessions that were opened: number, and place in history.
    opened: Recent<(u32, u32)>,
    /// The last tokens that were granted: number, and place in history.
    granted: Recent<(u32, u32)>,
    /// The last tokens whose tenures ended, likewise.
    released: Recent<(u32, u32)>,
    sessions: BTreeMap<u32, Session>,
    /// As long as the server's clock shows no more than this, no tenure is overdue.
    earliest_deadline_ms: u32,
    /// The first is the server.
    nodes: Vec<NodeStatus>,
    beliefs: Beliefs,
    answers: AnswerHistory,
    append_calls: AppendCalls,
    /// The last place in history on which somebody was given a promise.
    promised_through: u32,
    /// Set from a recovery on until everything that was recovered has been told.
    recovering: bool,
}

#[derive(Clone, Copy, Debug)]
struct Tenure {
    session: u32,
    token: u32,
}

#[derive(Clone, Copy, Debug)]
struct Append {
    /// Its place in the file, from 1 on.
    line: u32,
    index: u32,
    token: u32,
}

impl CheckerState {
    pub(super) fn new(locks: usize, clients: usize, lease_ms: u64) -> Self {
        Self {
            lease_ms: u32::try_from(lease_ms).unwrap_or(u32::MAX),
            faults_end: None,
            tenures: vec![None; locks],
            wait_queues: WaitQueues::new(locks),
            appends: vec![Recent::default(); locks],
            opened: Recent::default(),
            granted: Recent::default(),
            released: Recent::default(),
            sessions: BTreeMap::new(),
            earliest_deadline_ms: u32::MAX,
            nodes: vec![NodeStatus::default(); clients + 1],
            beliefs: Beliefs::new(clients),
            answers: AnswerHistory::new(clients),
            append_calls: AppendCalls::new(clients),
            promised_through: 0,
            recovering: false,
        }
    }

    /// It is judged at the end whether everybody has come to a good one, when nothing fails from
    /// this moment on.
    pub(super) const fn enable_l2(&mut self, faults_end: VirtualTime) {
        self.faults_end = Some(faults_end);
    }

    /// No lease is longer than this.
    pub(super) fn raise_max_lease(&mut self, lease_ms: u64) {
        self.lease_ms = self.lease_ms.max(u32::try_from(lease_ms).unwrap_or(u32::MAX));
    }

    pub(super) fn observe(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        self.check_completed(id, record, findings);
        match record.kind {
            RecordKind::Sent(packet) if record.node.is_server() => {
                // What leaves most often promises nothing.
                if !matches!(packet.message, Message::Alive | Message::Queued) {
                    self.observe_reply(id, packet, findings);
                }
            }
            RecordKind::Sent(PacketSummary { message: Message::AppendFile, seq, .. }) => {
                self.append_calls.observe_request(record.node, seq);
            }
            RecordKind::Arrived(packet) if record.node.is_server() => {
                self.answers.observe_request(packet)
            }
            RecordKind::CallStarted { message: Message::AppendFile, .. } => {
                self.append_calls.start_call(record.node)
            }
            RecordKind::CallEnded { message: Message::AppendFile, outcome, .. } => {
                findings.violate_if(
                    Invariant::S3,
                    id,
                    !self.append_calls.check_outcome(record.node, outcome),
                );
            }
            RecordKind::Started
            | RecordKind::Restarted
            | RecordKind::Crashed { .. }
            | RecordKind::Paused { .. }
            | RecordKind::Resumed
            | RecordKind::Finished => self.update_node(record),
            RecordKind::Believed { lock, token, until } => {
                self.observe_belief(id, record, (lock, token, until), findings);
            }
            RecordKind::BeliefEnded { lock, token, .. } => {
                self.beliefs.remove(record.node, lock, token);
            }
            RecordKind::Durable { .. } => {
                self.answers.mark_durable();
                self.append_calls.mark_durable();
            }
            RecordKind::RunEnded => self.check_end_of_run(id, record, findings),
            RecordKind::Recovered { .. }
            | RecordKind::Gap { .. }
            | RecordKind::TenureRecovered { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionExpired { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::LeaseRenewed { .. }
            | RecordKind::RequestRefused { .. }
            | RecordKind::DuplicateAnswered { .. }
            | RecordKind::LockQueued { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::LockGranted { .. }
            | RecordKind::LockReleased { .. }
            | RecordKind::FileAppended { .. } => self.observe_decision(id, record, findings),
            RecordKind::ClockJumped { .. }
            | RecordKind::ClockDrifted { .. }
            | RecordKind::Cut { .. }
            | RecordKind::Healed { .. }
            | RecordKind::Degraded { .. }
            | RecordKind::DiskSlowed { .. }
            | RecordKind::FaultsEnded
            | RecordKind::Sent(_)
            | RecordKind::Arrived(_)
            | RecordKind::Lost { .. }
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::CallStarted { .. }
            | RecordKind::CallEnded { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost => {}
        }
    }

    /// What can be judged since something else has come: a recovery is told, a moment is over.
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
        if self.wait_queues.has_overdue_lock(record.at) {
            findings.record_violation(Invariant::S8, id);
        }
    }

    /// How a node is.
    fn update_node(&mut self, record: &Record) {
        if let Some(node) = self.nodes.get_mut(usize::from(record.node.0)) {
            node.update(&record.kind);
        }
        if record.node.is_server() && matches!(record.kind, RecordKind::Crashed { .. }) {
            self.wait_queues.clear_idle();
            self.answers.crash();
            self.append_calls.crash();
        }
    }

    /// What the service has decided.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for the service's decisions alone")]
    fn observe_decision(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        match record.kind {
            RecordKind::Recovered { through, .. } => self.observe_recovery(id, through, findings),
            RecordKind::Gap { .. } => self.reset(),
            RecordKind::TenureRecovered { lock, session, token, .. } => {
                self.restore_tenure(lock, session, token);
                self.renew(session, record.local_ms);
            }
            RecordKind::WaitRecovered { lock, session, seq, .. } => {
                self.wait_queues.restore(lock, (session, seq), record.local_ms);
                self.renew(session, record.local_ms);
            }
            RecordKind::SessionOpened { client, session, index } => {
                self.open(session, index, record.local_ms);
                self.answers.open_session(client);
            }
            RecordKind::SessionExpired { client, session, index } => {
                findings.record_holds(Invariant::L1);
                self.sessions.remove(&session);
                self.answers.end_session(client, index);
            }
            RecordKind::SessionClosed { client, session, index } => {
                self.sessions.remove(&session);
                self.answers.end_session(client, index);
            }
            RecordKind::LeaseRenewed { client, session, seq } => {
                let is_first = self.renew_by_heartbeat(session, seq, record.local_ms);
                let refused = self.answers.is_refused(client, seq);
                findings.violate_if(Invariant::S3, id, !is_first || refused);
                self.check_leases(id, record.local_ms, findings);
            }
            RecordKind::RequestRefused { client, code, token, seq, .. } => {
                self.answers.record_refusal(client, seq, code, self.released.index_of(token));
                self.check_leases(id, record.local_ms, findings);
            }
            RecordKind::DuplicateAnswered { session, seq, .. } => {
                if let Some(lock) = self.wait_queues.observe_retry(session, seq, record.local_ms) {
                    self.mark_idle_if_free(lock, record);
                }
            }
            RecordKind::LockQueued { lock, client, session, seq, .. } => {
                findings.violate_if(Invariant::S3, id, self.answers.is_refused(client, seq));
                self.renew(session, record.local_ms);
                self.wait_queues.enqueue(lock, (session, seq), record.local_ms);
                self.mark_idle_if_free(lock, record);
                self.check_leases(id, record.local_ms, findings);
            }
            RecordKind::WaitEnded { lock, client, session, seq, cause, index } => {
                self.wait_queues.dequeue(lock, (session, seq));
                if cause == WaitEndCause::Cancelled {
                    self.answers.record_effect(client, Message::CancelAcquire, index);
                    self.renew(session, record.local_ms);
                }
            }
            RecordKind::LockGranted { .. } => self.grant(id, record, findings),
            RecordKind::LockReleased { .. } => self.release(id, record, findings),
            RecordKind::FileAppended { .. } => self.append(id, record, findings),
            _ => {}
        }
    }

    fn tenure(&self, lock: LockId) -> Option<Tenure> {
        self.tenures.get(usize::from(lock.0)).copied().flatten()
    }

    fn set_tenure(&mut self, lock: LockId, tenure: Option<Tenure>) {
        if let Some(tenure) = tenure {
            self.earliest_deadline_ms =
                self.earliest_deadline_ms.min(self.lease_deadline_ms(tenure.session));
        }
        if let Some(slot) = self.tenures.get_mut(usize::from(lock.0)) {
            *slot = tenure;
        }
    }

    /// Where nobody has a lock it is owed to whoever waits for it.
    fn mark_idle_if_free(&mut self, lock: LockId, record: &Record) {
        if self.tenure(lock).is_none() {
            self.wait_queues.mark_idle(lock, record.at, record.local_ms);
        }
    }

    fn open(&mut self, session: u32, opened: u32, renewed_ms: u32) {
        self.sessions.insert(session, Session::new(opened, renewed_ms));
        self.earliest_deadline_ms = self.earliest_deadline_ms.min(self.lease_deadline_ms(session));
        self.opened.push((session, opened));
    }

    fn renew(&mut self, session: u32, local_ms: u32) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.renewed_ms = local_ms;
            // No later than before only where the clock was set back.
            self.earliest_deadline_ms =
                self.earliest_deadline_ms.min(local_ms.saturating_add(self.lease_ms));
        }
    }

    /// Renews a lease by a request that does nothing else. Says whether that was the first time.
    fn renew_by_heartbeat(&mut self, session: u32, seq: u32, local_ms: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return true };
        session.renewed_ms = local_ms;
        self.earliest_deadline_ms =
            self.earliest_deadline_ms.min(local_ms.saturating_add(self.lease_ms));
        session.record_heartbeat(seq)
    }

    /// Notes that a request was executed. Says whether that was the first time.
    fn execute(&mut self, session: u32, seq: u32, index: u32) -> bool {
        self.sessions.get_mut(&session).is_none_or(|session| session.record_execution(seq, index))
    }

    /// A reply leaves: what it says must be so, and have been said before if anything was.
    fn observe_reply(&mut self, id: RecordId, packet: PacketSummary, findings: &mut Findings) {
        self.record_promise(packet);
        let has_executed = |it: &Session| it.executed_at(packet.seq).is_some();
        let is_session_alive = || self.sessions.values().any(has_executed);
        findings.violate_if(Invariant::S3, id, !self.answers.check_reply(packet, is_session_alive));
        if packet.refusal == Some(RefusalCode::StorageFailed) {
            self.append_calls.observe_storage_failure(packet.peer, packet.seq);
        }
    }

    /// What it says must be so for ever.
    fn record_promise(&mut self, packet: PacketSummary) {
        let index = match packet.message {
            Message::Welcome => self.opened.index_of(packet.value),
            Message::Granted => self.granted.index_of(packet.value),
            Message::Appended | Message::Outcome => {
                self.appends.get(usize::from(packet.lock.0)).and_then(|appends| {
                    let lines = appends.as_slice();
                    let append = lines.get(lines.partition_point(|it| it.line < packet.value))?;
                    (append.line == packet.value).then_some(append.index)
                })
            }
            Message::Released => {
                self.sessions.values().find_map(|session| session.executed_at(packet.seq))
            }
            Message::Cancelled | Message::Closed | Message::Refused => {
                self.answers.effect_index(packet)
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
        self.promised_through = self.promised_through.max(index.unwrap_or(0));
    }

    fn observe_recovery(&mut self, id: RecordId, through: u32, findings: &mut Findings) {
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

    /// Nobody looked for a while: nothing is known but what is told from here on.
    fn reset(&mut self) {
        let initial = Self::new(self.tenures.len(), self.nodes.len() - 1, u64::from(self.lease_ms));
        *self = Self { faults_end: self.faults_end, ..initial };
    }

    fn restore_tenure(&mut self, lock: LockId, session: u32, token: u32) {
        self.set_tenure(lock, Some(Tenure { session, token }));
    }

    fn grant(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        let RecordKind::LockGranted { lock, client, session, seq, token, from_queue, index } =
            record.kind
        else {
            return;
        };
        findings.check(Invariant::S1, id, self.tenure(lock).is_none());
        let is_first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        findings.check(Invariant::S3, id, is_first);
        if let Some(passed_over) =
            self.wait_queues.would_pass_over(lock, (session, seq), record.local_ms)
        {
            findings.check(Invariant::S8, id, !passed_over);
        }
        self.wait_queues.dequeue(lock, (session, seq));
        self.wait_queues.mark_taken(lock);
        if !from_queue {
            self.renew(session, record.local_ms);
        }
        self.set_tenure(lock, Some(Tenure { session, token }));
        self.granted.push((token, index));
    }

    fn release(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        let RecordKind::LockReleased {
            lock,
            client,
            session,
            seq,
            token,
            cause,
            origin: by,
            index,
        } = record.kind
        else {
            return;
        };
        if cause == ReleaseCause::Released {
            findings.check(Invariant::S6, id, by == client);
            self.renew(session, record.local_ms);
            if seq > 0 {
                let is_first =
                    self.execute(session, seq, index) && !self.answers.is_refused(by, seq);
                findings.check(Invariant::S3, id, is_first);
            }
        }
        self.set_tenure(lock, None);
        self.released.push((token, index));
        self.wait_queues.mark_idle(lock, record.at, record.local_ms);
        self.check_beliefs(id, record.at, lock, token, findings);
    }

    fn append(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        let RecordKind::FileAppended { lock, client, session, seq, token, line, index } =
            record.kind
        else {
            return;
        };
        let is_first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        let is_only_write = self.append_calls.observe_write(client, seq, index);
        findings.check(Invariant::S3, id, is_first && is_only_write);
        let tenure = self.tenure(lock);
        let by_holder = tenure.is_some_and(|it| (it.session, it.token) == (session, token));
        let in_time = !self.is_overdue(session, record.local_ms);
        findings.check(Invariant::S4, id, by_holder && in_time);
        self.renew(session, record.local_ms);
        if let Some(appends) = self.appends.get_mut(usize::from(lock.0)) {
            let last = appends.as_slice().last().map_or(0, |append| append.token);
            findings.check(Invariant::S2, id, last <= token);
            appends.push(Append { line: u32::from(line) + 1, index, token });
        }
        self.check_leases(id, record.local_ms, findings);
    }

    fn is_overdue(&self, session: u32, local_ms: u32) -> bool {
        local_ms > self.lease_deadline_ms(session)
    }

    /// When a session's lease runs out; never where the session is not known.
    fn lease_deadline_ms(&self, session: u32) -> u32 {
        let session = self.sessions.get(&session);
        session.map_or(u32::MAX, |it| it.renewed_ms.saturating_add(self.lease_ms))
    }

    /// No tenure outlives the lease that it hangs on.
    fn check_leases(&mut self, id: RecordId, local_ms: u32, findings: &mut Findings) {
        if local_ms <= self.earliest_deadline_ms {
            return;
        }
        let deadlines =
            self.tenures.iter().flatten().map(|tenure| self.lease_deadline_ms(tenure.session));
        self.earliest_deadline_ms = deadlines.min().unwrap_or(u32::MAX);
        if local_ms > self.earliest_deadline_ms {
            findings.record_violation(Invariant::L1, id);
        }
    }

    fn observe_belief(
        &mut self,
        id: RecordId,
        record: &Record,
        belief: (LockId, u32, VirtualTime),
        findings: &mut Findings,
    ) {
        let (lock, token, until) = belief;
        self.beliefs.insert(record.node, belief);
        let is_live = self.tenure(lock).is_some_and(|tenure| tenure.token == token);
        findings.check(Invariant::S7, id, is_live || until <= record.at);
    }

    /// Whether nobody believes in a tenure that is over.
    fn check_beliefs(
        &self,
        id: RecordId,
        at: VirtualTime,
        lock: LockId,
        token: u32,
        findings: &mut Findings,
    ) {
        let is_believed = self.beliefs.active_at(at).any(|it| (it.0, it.1) == (lock, token));
        findings.check(Invariant::S7, id, !is_believed);
    }

    fn check_all_beliefs(&self, id: RecordId, at: VirtualTime, findings: &mut Findings) {
        for (lock, token, _) in self.beliefs.active_at(at) {
            let is_live = self.tenure(*lock).is_some_and(|tenure| tenure.token == *token);
            findings.violate_if(Invariant::S7, id, !is_live);
        }
    }

    fn check_end_of_run(&mut self, id: RecordId, record: &Record, findings: &mut Findings) {
        // A server that does not run can't end anything.
        if self.nodes.first().is_some_and(|server| server.alive && !server.paused) {
            self.check_leases(id, record.local_ms.saturating_sub(1), findings);
        }
        if let Some(faults_end) = self.faults_end {
            let mut clients = self.nodes.iter().skip(1);
            let is_any_stuck =
                clients.any(|client| client.started && client.alive && !client.finished);
            // A run that ends sooner says nothing of those who wait for the lease of a dead one.
            if !is_any_stuck || record.at >= faults_end + 2_000 * u64::from(self.lease_ms) {
                findings.check(Invariant::L2, id, !is_any_stuck);
            }
        }
    }
}
