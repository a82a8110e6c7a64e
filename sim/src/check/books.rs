//! What the checkers know, from the records alone.

use super::answers::Answers;
use super::beliefs::Beliefs;
use super::calls::Calls;
use super::last::Last;
use super::lines::Lines;
use super::node::Node;
use super::session::Session;
use super::{Findings, Invariant};
use crate::message::{Code, Message};
use crate::moment::Moment;
use crate::trace::{About, Kind, LockNo, Record, RecordNo};
use leasehold_core::event::{ReleaseCause, WaitEndCause};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Books {
    lease_ms: u32,
    /// From when on everybody has to come to a good end, where that is judged.
    calm_from: Option<Moment>,
    tenures: Vec<Option<Tenure>>,
    lines: Lines,
    /// The last appends of each file.
    appends: Vec<Last<Append>>,
    /// The last sessions that were opened: number, and place in history.
    opened: Last<(u32, u32)>,
    /// The last tokens that were granted: number, and place in history.
    granted: Last<(u32, u32)>,
    /// The last tokens whose tenures ended, likewise.
    released: Last<(u32, u32)>,
    sessions: BTreeMap<u32, Session>,
    /// As long as the server's clock shows no more than this, no tenure is overdue.
    in_time_ms: u32,
    /// The first is the server.
    nodes: Vec<Node>,
    beliefs: Beliefs,
    answers: Answers,
    calls: Calls,
    /// The last place in history on which somebody was given a promise.
    promised: u32,
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

impl Books {
    pub(super) fn new(locks: usize, clients: usize, lease_ms: u64) -> Self {
        Self {
            lease_ms: u32::try_from(lease_ms).unwrap_or(u32::MAX),
            calm_from: None,
            tenures: vec![None; locks],
            lines: Lines::new(locks),
            appends: vec![Last::default(); locks],
            opened: Last::default(),
            granted: Last::default(),
            released: Last::default(),
            sessions: BTreeMap::new(),
            in_time_ms: u32::MAX,
            nodes: vec![Node::default(); clients + 1],
            beliefs: Beliefs::new(clients),
            answers: Answers::new(clients),
            calls: Calls::new(clients),
            promised: 0,
            recovering: false,
        }
    }

    /// It is judged at the end whether everybody has come to a good one, when nothing fails from
    /// this moment on.
    pub(super) const fn judge_l2(&mut self, calm_from: Moment) {
        self.calm_from = Some(calm_from);
    }

    /// No lease is longer than this.
    pub(super) fn lengthen_leases(&mut self, lease_ms: u64) {
        self.lease_ms = self.lease_ms.max(u32::try_from(lease_ms).unwrap_or(u32::MAX));
    }

    pub(super) fn take(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        self.judge_what_is_over(no, record, findings);
        match record.kind {
            Kind::Sent(about) if record.node.is_server() => {
                // What leaves most often promises nothing.
                if !matches!(about.message, Message::Alive | Message::Queued) {
                    self.say(no, about, findings);
                }
            }
            Kind::Sent(About { message: Message::AppendFile, seq, .. }) => {
                self.calls.send(record.node, seq);
            }
            Kind::Arrived(about) if record.node.is_server() => self.answers.ask(about),
            Kind::Called { message: Message::AppendFile, .. } => self.calls.call(record.node),
            Kind::Answered { message: Message::AppendFile, end, .. } => {
                findings.deny(Invariant::S3, no, !self.calls.answer(record.node, end));
            }
            Kind::Started
            | Kind::Restarted
            | Kind::Crashed { .. }
            | Kind::Paused { .. }
            | Kind::Resumed
            | Kind::Finished => self.live(record),
            Kind::Believed { lock, token, until } => {
                self.believe(no, record, (lock, token, until), findings);
            }
            Kind::Disbelieved { lock, token, .. } => {
                self.beliefs.disbelieve(record.node, lock, token);
            }
            Kind::Stored { .. } => {
                self.answers.store();
                self.calls.store();
            }
            Kind::Ended => self.end(no, record, findings),
            Kind::Recovered { .. }
            | Kind::Unseen { .. }
            | Kind::Kept { .. }
            | Kind::KeptWait { .. }
            | Kind::SessionOpened { .. }
            | Kind::SessionExpired { .. }
            | Kind::SessionClosed { .. }
            | Kind::LeaseRenewed { .. }
            | Kind::RequestRefused { .. }
            | Kind::DuplicateAnswered { .. }
            | Kind::LockQueued { .. }
            | Kind::WaitEnded { .. }
            | Kind::LockGranted { .. }
            | Kind::LockReleased { .. }
            | Kind::FileAppended { .. } => self.take_decision(no, record, findings),
            Kind::ClockJumped { .. }
            | Kind::ClockDrifted { .. }
            | Kind::Cut { .. }
            | Kind::Healed { .. }
            | Kind::Degraded { .. }
            | Kind::DiskSlowed { .. }
            | Kind::Calmed
            | Kind::Sent(_)
            | Kind::Arrived(_)
            | Kind::Lost { .. }
            | Kind::Doubled { .. }
            | Kind::Moved { .. }
            | Kind::WriteFailed
            | Kind::FlushFailed
            | Kind::Called { .. }
            | Kind::Answered { .. }
            | Kind::Checked { .. }
            | Kind::Working { .. }
            | Kind::SessionLost => {}
        }
    }

    /// What can be judged since something else has come: a recovery is told, a moment is over.
    fn judge_what_is_over(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        if self.recovering && !matches!(record.kind, Kind::Kept { .. } | Kind::KeptWait { .. }) {
            self.recovering = false;
            self.judge_all_beliefs(no, record.at, findings);
        }
        if self.lines.is_late(record.at) {
            findings.violate(Invariant::S8, no);
        }
    }

    /// How a node is.
    fn live(&mut self, record: &Record) {
        if let Some(node) = self.nodes.get_mut(usize::from(record.node.0)) {
            node.take(&record.kind);
        }
        if record.node.is_server() && matches!(record.kind, Kind::Crashed { .. }) {
            self.lines.owe_nothing();
            self.answers.crash();
            self.calls.crash();
        }
    }

    /// What the service has decided.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for the service's decisions alone")]
    fn take_decision(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        match record.kind {
            Kind::Recovered { through, .. } => self.recover(no, through, findings),
            Kind::Unseen { .. } => self.forget(),
            Kind::Kept { lock, session, token, .. } => {
                self.keep(lock, session, token);
                self.renew(session, record.local_ms);
            }
            Kind::KeptWait { lock, session, seq, .. } => {
                self.lines.keep(lock, (session, seq), record.local_ms);
                self.renew(session, record.local_ms);
            }
            Kind::SessionOpened { client, session, index } => {
                self.open(session, index, record.local_ms);
                self.answers.open(client);
            }
            Kind::SessionExpired { client, session, index } => {
                findings.hold(Invariant::L1);
                self.sessions.remove(&session);
                self.answers.end(client, index);
            }
            Kind::SessionClosed { client, session, index } => {
                self.sessions.remove(&session);
                self.answers.end(client, index);
            }
            Kind::LeaseRenewed { client, session, seq } => {
                let first = self.beat(session, seq, record.local_ms);
                let refused = self.answers.is_refused(client, seq);
                findings.deny(Invariant::S3, no, !first || refused);
                self.judge_leases(no, record.local_ms, findings);
            }
            Kind::RequestRefused { client, code, token, seq, .. } => {
                self.answers.refuse(client, seq, code, self.released.index_of(token));
                self.judge_leases(no, record.local_ms, findings);
            }
            Kind::DuplicateAnswered { session, seq, .. } => {
                if let Some(lock) = self.lines.hear(session, seq, record.local_ms) {
                    self.leave_free(lock, record);
                }
            }
            Kind::LockQueued { lock, client, session, seq, .. } => {
                findings.deny(Invariant::S3, no, self.answers.is_refused(client, seq));
                self.renew(session, record.local_ms);
                self.lines.stand(lock, (session, seq), record.local_ms);
                self.leave_free(lock, record);
                self.judge_leases(no, record.local_ms, findings);
            }
            Kind::WaitEnded { lock, client, session, seq, cause, index } => {
                self.lines.leave(lock, (session, seq));
                if cause == WaitEndCause::Cancelled {
                    self.answers.rest(client, Message::CancelAcquire, index);
                    self.renew(session, record.local_ms);
                }
            }
            Kind::LockGranted { .. } => self.grant(no, record, findings),
            Kind::LockReleased { .. } => self.release(no, record, findings),
            Kind::FileAppended { .. } => self.append(no, record, findings),
            _ => {}
        }
    }

    fn tenure(&self, lock: LockNo) -> Option<Tenure> {
        self.tenures.get(usize::from(lock.0)).copied().flatten()
    }

    fn set_tenure(&mut self, lock: LockNo, tenure: Option<Tenure>) {
        if let Some(tenure) = tenure {
            self.in_time_ms = self.in_time_ms.min(self.due_ms(tenure.session));
        }
        if let Some(place) = self.tenures.get_mut(usize::from(lock.0)) {
            *place = tenure;
        }
    }

    /// Where nobody has a lock it is owed to whoever waits for it.
    fn leave_free(&mut self, lock: LockNo, record: &Record) {
        if self.tenure(lock).is_none() {
            self.lines.free(lock, record.at, record.local_ms);
        }
    }

    fn open(&mut self, session: u32, opened: u32, renewed_ms: u32) {
        self.sessions.insert(session, Session::new(opened, renewed_ms));
        self.in_time_ms = self.in_time_ms.min(self.due_ms(session));
        self.opened.keep((session, opened));
    }

    fn renew(&mut self, session: u32, local_ms: u32) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.renewed_ms = local_ms;
            // No later than before only where the clock was set back.
            self.in_time_ms = self.in_time_ms.min(local_ms.saturating_add(self.lease_ms));
        }
    }

    /// Renews a lease by a request that does nothing else. Says whether that was the first time.
    fn beat(&mut self, session: u32, seq: u32, local_ms: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return true };
        session.renewed_ms = local_ms;
        self.in_time_ms = self.in_time_ms.min(local_ms.saturating_add(self.lease_ms));
        session.beat(seq)
    }

    /// Notes that a request was executed. Says whether that was the first time.
    fn execute(&mut self, session: u32, seq: u32, index: u32) -> bool {
        self.sessions.get_mut(&session).is_none_or(|session| session.execute(seq, index))
    }

    /// A reply leaves: what it says must be so, and have been said before if anything was.
    fn say(&mut self, no: RecordNo, about: About, findings: &mut Findings) {
        self.promise(about);
        let executed = |it: &Session| it.executed_at(about.seq).is_some();
        let lives = || self.sessions.values().any(executed);
        findings.deny(Invariant::S3, no, !self.answers.answer(about, lives));
        if about.refusal == Some(Code::StorageFailed) {
            self.calls.fail(about.peer, about.seq);
        }
    }

    /// What it says must be so for ever.
    fn promise(&mut self, about: About) {
        let index = match about.message {
            Message::Welcome => self.opened.index_of(about.number),
            Message::Granted => self.granted.index_of(about.number),
            Message::Appended | Message::Outcome => {
                self.appends.get(usize::from(about.lock.0)).and_then(|appends| {
                    let lines = appends.all();
                    let line = lines.get(lines.partition_point(|it| it.line < about.number))?;
                    (line.line == about.number).then_some(line.index)
                })
            }
            Message::Released => {
                self.sessions.values().find_map(|session| session.executed_at(about.seq))
            }
            Message::Cancelled | Message::Closed | Message::Refused => self.answers.rests_on(about),
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
        self.promised = self.promised.max(index.unwrap_or(0));
    }

    fn recover(&mut self, no: RecordNo, through: u32, findings: &mut Findings) {
        findings.judge(Invariant::S5, no, self.promised <= through);
        self.answers.recover(through, self.promised > through);
        self.calls.recover(through);
        self.promised = self.promised.min(through);
        self.tenures.fill(None);
        self.lines.clear();
        for appends in &mut self.appends {
            appends.retain(|append| append.index <= through);
        }
        self.opened.retain(|(_, index)| *index <= through);
        self.granted.retain(|(_, index)| *index <= through);
        self.released.retain(|(_, index)| *index <= through);
        self.sessions.retain(|_, session| session.opened <= through);
        for session in self.sessions.values_mut() {
            session.recover(through);
        }
        self.recovering = true;
    }

    /// Nobody looked for a while: nothing is known but what is told from here on.
    fn forget(&mut self) {
        let empty = Self::new(self.tenures.len(), self.nodes.len() - 1, u64::from(self.lease_ms));
        *self = Self { calm_from: self.calm_from, ..empty };
    }

    fn keep(&mut self, lock: LockNo, session: u32, token: u32) {
        self.set_tenure(lock, Some(Tenure { session, token }));
    }

    fn grant(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        let Kind::LockGranted { lock, client, session, seq, token, from_queue, index } =
            record.kind
        else {
            return;
        };
        findings.judge(Invariant::S1, no, self.tenure(lock).is_none());
        let first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        findings.judge(Invariant::S3, no, first);
        if let Some(others) = self.lines.passes_over(lock, (session, seq), record.local_ms) {
            findings.judge(Invariant::S8, no, !others);
        }
        self.lines.leave(lock, (session, seq));
        self.lines.take(lock);
        if !from_queue {
            self.renew(session, record.local_ms);
        }
        self.set_tenure(lock, Some(Tenure { session, token }));
        self.granted.keep((token, index));
    }

    fn release(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        let Kind::LockReleased { lock, client, session, seq, token, cause, by, index } =
            record.kind
        else {
            return;
        };
        if cause == ReleaseCause::Released {
            findings.judge(Invariant::S6, no, by == client);
            self.renew(session, record.local_ms);
            if seq > 0 {
                let first = self.execute(session, seq, index) && !self.answers.is_refused(by, seq);
                findings.judge(Invariant::S3, no, first);
            }
        }
        self.set_tenure(lock, None);
        self.released.keep((token, index));
        self.lines.free(lock, record.at, record.local_ms);
        self.judge_beliefs(no, record.at, lock, token, findings);
    }

    fn append(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        let Kind::FileAppended { lock, client, session, seq, token, line, index } = record.kind
        else {
            return;
        };
        let first = self.execute(session, seq, index) && !self.answers.is_refused(client, seq);
        let once = self.calls.write(client, seq, index);
        findings.judge(Invariant::S3, no, first && once);
        let tenure = self.tenure(lock);
        let by_holder = tenure.is_some_and(|it| (it.session, it.token) == (session, token));
        let in_time = !self.is_overdue(session, record.local_ms);
        findings.judge(Invariant::S4, no, by_holder && in_time);
        self.renew(session, record.local_ms);
        if let Some(appends) = self.appends.get_mut(usize::from(lock.0)) {
            let last = appends.all().last().map_or(0, |append| append.token);
            findings.judge(Invariant::S2, no, last <= token);
            appends.keep(Append { line: u32::from(line) + 1, index, token });
        }
        self.judge_leases(no, record.local_ms, findings);
    }

    fn is_overdue(&self, session: u32, local_ms: u32) -> bool {
        local_ms > self.due_ms(session)
    }

    /// When a session's lease runs out; never where the session is not known.
    fn due_ms(&self, session: u32) -> u32 {
        let session = self.sessions.get(&session);
        session.map_or(u32::MAX, |it| it.renewed_ms.saturating_add(self.lease_ms))
    }

    /// No tenure outlives the lease that it hangs on.
    fn judge_leases(&mut self, no: RecordNo, local_ms: u32, findings: &mut Findings) {
        if local_ms <= self.in_time_ms {
            return;
        }
        let due = self.tenures.iter().flatten().map(|tenure| self.due_ms(tenure.session));
        self.in_time_ms = due.min().unwrap_or(u32::MAX);
        if local_ms > self.in_time_ms {
            findings.violate(Invariant::L1, no);
        }
    }

    fn believe(
        &mut self,
        no: RecordNo,
        record: &Record,
        belief: (LockNo, u32, Moment),
        findings: &mut Findings,
    ) {
        let (lock, token, until) = belief;
        self.beliefs.believe(record.node, belief);
        let live = self.tenure(lock).is_some_and(|tenure| tenure.token == token);
        findings.judge(Invariant::S7, no, live || until <= record.at);
    }

    /// Whether nobody believes in a tenure that is over.
    fn judge_beliefs(
        &self,
        no: RecordNo,
        at: Moment,
        lock: LockNo,
        token: u32,
        findings: &mut Findings,
    ) {
        let believed = self.beliefs.at(at).any(|it| (it.0, it.1) == (lock, token));
        findings.judge(Invariant::S7, no, !believed);
    }

    fn judge_all_beliefs(&self, no: RecordNo, at: Moment, findings: &mut Findings) {
        for (lock, token, _) in self.beliefs.at(at) {
            let live = self.tenure(*lock).is_some_and(|tenure| tenure.token == *token);
            findings.deny(Invariant::S7, no, !live);
        }
    }

    fn end(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        // A server that does not run can't end anything.
        if self.nodes.first().is_some_and(|server| server.alive && !server.paused) {
            self.judge_leases(no, record.local_ms.saturating_sub(1), findings);
        }
        if let Some(calm_from) = self.calm_from {
            let mut clients = self.nodes.iter().skip(1);
            let stuck = clients.any(|client| client.started && client.alive && !client.finished);
            // A run that ends sooner says nothing of those who wait for the lease of a dead one.
            if !stuck || record.at >= calm_from + 2_000 * u64::from(self.lease_ms) {
                findings.judge(Invariant::L2, no, !stuck);
            }
        }
    }
}
