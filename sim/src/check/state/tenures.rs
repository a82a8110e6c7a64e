//! Tenures, the appends under them, their leases, and the beliefs in them.

use leasehold_core::event::ReleaseCause;

use super::{Append, CheckerState, Tenure};
use crate::check::{Findings, Invariant};
use crate::trace::{LockId, Number, Record, RecordId, RecordKind};
use crate::virtual_time::VirtualTime;

impl CheckerState {
    pub(super) fn grant(
        &mut self,
        id: RecordId,
        record: &Record,
        local_ms: u64,
        findings: &mut Findings,
    ) -> Option<()> {
        let RecordKind::LockGranted { lock, client, session, seq, token, from_queue, index } =
            record.kind
        else {
            return Some(());
        };
        let (session, seq) = (session.known()?, seq.known()?);
        let (token, index) = (token.known()?, index.known()?);
        if self.is_tracked(lock) {
            findings.check(Invariant::S1, id, self.tenure(lock).is_none());
        }
        let is_first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        findings.check(Invariant::S3, id, is_first);
        if let Some(passed_over) = self.wait_queues.would_pass_over(lock, (session, seq), local_ms)
        {
            findings.check(Invariant::S8, id, !passed_over);
        }
        self.wait_queues.dequeue(lock, (session, seq));
        self.wait_queues.mark_taken(lock);
        if !from_queue {
            self.renew(session, local_ms);
        }
        self.set_tenure(lock, Some(Tenure { session, token }));
        self.granted.push((token, index));
        Some(())
    }

    pub(super) fn release(
        &mut self,
        id: RecordId,
        record: &Record,
        local_ms: u64,
        findings: &mut Findings,
    ) -> Option<()> {
        let RecordKind::LockReleased { lock, client, session, seq, token, cause, origin, index } =
            record.kind
        else {
            return Some(());
        };
        let (session, seq) = (session.known()?, seq.known()?);
        let (token, index) = (token.known()?, index.known()?);
        if cause == ReleaseCause::Released {
            findings.check(Invariant::S6, id, origin == client);
            self.renew(session, local_ms);
            if !seq.is_zero() {
                let is_first =
                    self.execute(session, seq, index) && !self.answers.is_refused(origin, seq);
                findings.check(Invariant::S3, id, is_first);
            }
        }
        self.set_tenure(lock, None);
        self.released.push((token, index));
        self.wait_queues.mark_idle(lock, record.at, local_ms);
        self.check_beliefs(id, record.at, lock, token, findings);
        Some(())
    }

    pub(super) fn append(
        &mut self,
        id: RecordId,
        record: &Record,
        local_ms: u64,
        findings: &mut Findings,
    ) -> Option<()> {
        let RecordKind::FileAppended { lock, client, session, seq, token, line, index } =
            record.kind
        else {
            return Some(());
        };
        let (session, seq) = (session.known()?, seq.known()?);
        let (token, index) = (token.known()?, index.known()?);
        let is_first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        let is_only_write = self.append_calls.observe_write(client, seq, index);
        findings.check(Invariant::S3, id, is_first && is_only_write);
        let tenure = self.tenure(lock);
        let by_holder = tenure.is_some_and(|it| (it.session, it.token) == (session, token));
        let in_time = !self.is_overdue(session, local_ms);
        findings.check(Invariant::S4, id, (by_holder || !self.is_tracked(lock)) && in_time);
        self.renew(session, local_ms);
        if let Some(appends) = self.appends.get_mut(usize::from(lock.0)) {
            let last = appends.as_slice().last().map_or(Number::ZERO, |append| append.token);
            findings.check(Invariant::S2, id, last <= token);
            let line = Number::from(u64::from(line) + 1);
            appends.push(Append { line, index, token });
        }
        self.check_leases(id, local_ms, findings);
        Some(())
    }

    fn is_overdue(&self, session: Number, local_ms: u64) -> bool {
        local_ms > self.lease_deadline_ms(session)
    }

    /// Returns when a session's lease expires; never if the session is unknown.
    pub(super) fn lease_deadline_ms(&self, session: Number) -> u64 {
        let session = self.sessions.get(&session);
        session.map_or(u64::MAX, |it| it.renewed_ms.saturating_add(self.lease_ms))
    }

    /// Checks that no tenure outlives the lease of its session (L1).
    pub(super) fn check_leases(&mut self, id: RecordId, local_ms: u64, findings: &mut Findings) {
        if local_ms <= self.earliest_deadline_ms {
            return;
        }
        let deadlines =
            self.tenures.iter().flatten().map(|tenure| self.lease_deadline_ms(tenure.session));
        self.earliest_deadline_ms = deadlines.min().unwrap_or(u64::MAX);
        if local_ms > self.earliest_deadline_ms {
            findings.record_violation(Invariant::L1, id);
        }
    }

    pub(super) fn observe_belief(
        &mut self,
        id: RecordId,
        record: &Record,
        belief: (LockId, Number, VirtualTime),
        findings: &mut Findings,
    ) {
        let (lock, token, until) = belief;
        self.beliefs.insert(record.node, belief);
        let is_live = self.tenure(lock).is_some_and(|tenure| tenure.token == token);
        findings.check(Invariant::S7, id, is_live || until <= record.at);
    }

    /// Checks that no client believes in a tenure that has ended (S7).
    fn check_beliefs(
        &self,
        id: RecordId,
        at: VirtualTime,
        lock: LockId,
        token: Number,
        findings: &mut Findings,
    ) {
        let is_believed = self.beliefs.active_at(at).any(|it| (it.0, it.1) == (lock, token));
        findings.check(Invariant::S7, id, !is_believed);
    }

    pub(super) fn check_all_beliefs(&self, id: RecordId, at: VirtualTime, findings: &mut Findings) {
        for (lock, token, _) in self.beliefs.active_at(at) {
            let is_live = self.tenure(*lock).is_some_and(|tenure| tenure.token == *token);
            findings.violate_if(Invariant::S7, id, !is_live);
        }
    }

    /// Whether the tenures of a lock are known: an observer does not number every lock.
    fn is_tracked(&self, lock: LockId) -> bool {
        usize::from(lock.0) < self.tenures.len()
    }

    pub(super) fn tenure(&self, lock: LockId) -> Option<Tenure> {
        self.tenures.get(usize::from(lock.0)).copied().flatten()
    }

    pub(super) fn set_tenure(&mut self, lock: LockId, tenure: Option<Tenure>) {
        if let Some(tenure) = tenure {
            self.earliest_deadline_ms =
                self.earliest_deadline_ms.min(self.lease_deadline_ms(tenure.session));
        }
        if let Some(slot) = self.tenures.get_mut(usize::from(lock.0)) {
            *slot = tenure;
        }
    }

    /// Records that a lock is free although a client waits for it.
    pub(super) fn mark_idle_if_free(&mut self, lock: LockId, at: VirtualTime, local_ms: u64) {
        if self.tenure(lock).is_none() {
            self.wait_queues.mark_idle(lock, at, local_ms);
        }
    }
}
