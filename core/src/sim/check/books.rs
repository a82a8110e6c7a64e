//! What the checkers know, from the records alone.

use std::collections::BTreeMap;

use super::last::Last;
use super::{Findings, Invariant};
use crate::event::{ReleaseCause, WaitEndCause};
use crate::limits::SILENCE_MAX;
use crate::sim::message::Message;
use crate::sim::moment::Moment;
use crate::sim::run::Run;
use crate::sim::trace::{About, Kind, LockNo, NodeNo, Record, RecordNo};

#[derive(Clone, Debug)]
pub(super) struct Books {
    lease_ms: u32,
    judges_l2: bool,
    tenures: Vec<Option<Tenure>>,
    lines: Vec<Vec<Waiter>>,
    /// The last appends of each file.
    appends: Vec<Last<Append>>,
    /// The last sessions that were opened: number, and place in history.
    opened: Last<(u32, u32)>,
    /// The last tokens that were granted: number, and place in history.
    granted: Last<(u32, u32)>,
    sessions: BTreeMap<u32, Session>,
    /// As long as the server's clock shows no more than this, no tenure is overdue.
    in_time_ms: u32,
    clients: Vec<Client>,
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

#[derive(Clone, Copy, Debug)]
struct Waiter {
    session: u32,
    seq: u32,
    heard_ms: u32,
}

#[derive(Clone, Debug)]
struct Session {
    opened: u32,
    renewed_ms: u32,
    /// What was executed: number of the request and place in history.
    executed: Last<(u32, u32)>,
    /// The smallest and the largest number that was ever executed.
    seqs: (u32, u32),
}

impl Session {
    /// The place in history at which this request was executed.
    fn executed_at(&self, seq: u32) -> Option<u32> {
        // Nearly every request is newer than all that were executed, or another session's.
        let (smallest, largest) = self.seqs;
        if seq < smallest || seq > largest {
            return None;
        }
        let mut executed = self.executed.all().iter().filter(|(known, _)| *known == seq);
        executed.next().map(|(_, index)| *index)
    }
}

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is so or not, apart from the others")]
struct Client {
    started: bool,
    alive: bool,
    paused: bool,
    finished: bool,
    beliefs: Vec<(LockNo, u32, Moment)>,
}

impl Books {
    pub(super) fn new(run: &Run) -> Self {
        let locks = run.config.locks.len();
        Self {
            lease_ms: u32::try_from(run.config.lease_ms).unwrap_or(u32::MAX),
            judges_l2: run.config.faults_end_ms.is_some(),
            tenures: vec![None; locks],
            lines: vec![Vec::new(); locks],
            appends: vec![Last::default(); locks],
            opened: Last::default(),
            granted: Last::default(),
            sessions: BTreeMap::new(),
            in_time_ms: u32::MAX,
            clients: vec![Client::default(); run.config.clients.len() + 1],
            promised: 0,
            recovering: false,
        }
    }

    pub(super) fn take(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        if self.recovering && !matches!(record.kind, Kind::Kept { .. } | Kind::KeptWait { .. }) {
            self.recovering = false;
            self.judge_all_beliefs(no, record.at, findings);
        }
        match record.kind {
            Kind::Sent(about) if record.node.is_server() => self.promise(about),
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
                if let Some(client) = self.client(record.node) {
                    client.beliefs.retain(|it| (it.0, it.1) != (lock, token));
                }
            }
            Kind::Ended => self.end(no, record, findings),
            Kind::Recovered { .. }
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
            | Kind::Stored { .. }
            | Kind::WriteFailed
            | Kind::FlushFailed
            | Kind::Called { .. }
            | Kind::Answered { .. }
            | Kind::Checked { .. }
            | Kind::Working { .. }
            | Kind::SessionLost => {}
        }
    }

    /// How a node is.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for what becomes of nodes alone")]
    fn live(&mut self, record: &Record) {
        let Some(node) = self.client(record.node) else { return };
        match record.kind {
            Kind::Started | Kind::Restarted => {
                (node.started, node.alive, node.finished) = (true, true, false);
            }
            Kind::Crashed { .. } => (node.alive, node.paused) = (false, false),
            Kind::Paused { .. } => node.paused = true,
            Kind::Resumed => node.paused = false,
            Kind::Finished => node.finished = true,
            _ => {}
        }
    }

    /// What the service has decided.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for the service's decisions alone")]
    fn take_decision(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        match record.kind {
            Kind::Recovered { through, .. } => self.recover(no, through, findings),
            Kind::Kept { lock, session, token, .. } => {
                self.keep(lock, session, token);
                self.renew(session, record.local_ms);
            }
            Kind::KeptWait { lock, session, seq, .. } => {
                self.stand(lock, session, seq, record.local_ms);
                self.renew(session, record.local_ms);
            }
            Kind::SessionOpened { session, index, .. } => {
                self.open(session, index, record.local_ms);
            }
            Kind::SessionExpired { session, .. } => {
                findings.hold(Invariant::L1);
                self.sessions.remove(&session);
            }
            Kind::SessionClosed { session, .. } => {
                self.sessions.remove(&session);
            }
            Kind::LeaseRenewed { session, .. } => {
                self.renew(session, record.local_ms);
                self.judge_leases(no, record.local_ms, findings);
            }
            Kind::RequestRefused { .. } => self.judge_leases(no, record.local_ms, findings),
            Kind::DuplicateAnswered { session, seq, .. } => {
                let waiters = self.lines.iter_mut().flatten();
                for waiter in waiters.filter(|it| (it.session, it.seq) == (session, seq)) {
                    waiter.heard_ms = record.local_ms;
                }
            }
            Kind::LockQueued { lock, session, seq, .. } => {
                self.renew(session, record.local_ms);
                self.stand(lock, session, seq, record.local_ms);
                self.judge_leases(no, record.local_ms, findings);
            }
            Kind::WaitEnded { lock, session, seq, cause, .. } => {
                self.leave(lock, session, seq);
                if cause == WaitEndCause::Cancelled {
                    self.renew(session, record.local_ms);
                }
            }
            Kind::LockGranted { .. } => self.grant(no, record, findings),
            Kind::LockReleased { .. } => self.release(no, record, findings),
            Kind::FileAppended { .. } => self.append(no, record, findings),
            _ => {}
        }
    }

    fn client(&mut self, node: NodeNo) -> Option<&mut Client> {
        if node.is_server() { None } else { self.clients.get_mut(usize::from(node.0)) }
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

    fn line(&mut self, lock: LockNo) -> Option<&mut Vec<Waiter>> {
        self.lines.get_mut(usize::from(lock.0))
    }

    fn stand(&mut self, lock: LockNo, session: u32, seq: u32, heard_ms: u32) {
        if let Some(line) = self.line(lock) {
            line.push(Waiter { session, seq, heard_ms });
        }
    }

    fn leave(&mut self, lock: LockNo, session: u32, seq: u32) {
        if let Some(line) = self.line(lock) {
            line.retain(|it| (it.session, it.seq) != (session, seq));
        }
    }

    fn open(&mut self, session: u32, opened: u32, renewed_ms: u32) {
        let (executed, seqs) = (Last::default(), (u32::MAX, 0));
        self.sessions.insert(session, Session { opened, renewed_ms, executed, seqs });
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

    /// Notes that a request was executed. Says whether that was the first time.
    fn execute(&mut self, session: u32, seq: u32, index: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return true };
        let first = session.executed_at(seq).is_none();
        let (smallest, largest) = session.seqs;
        session.seqs = (smallest.min(seq), largest.max(seq));
        session.executed.keep((seq, index));
        first
    }

    /// A reply leaves: what it says must be so for ever.
    fn promise(&mut self, about: About) {
        let index = match about.message {
            Message::Welcome => self.opened.index_of(about.number),
            Message::Granted => self.granted.index_of(about.number),
            Message::Appended => self.appends.get(usize::from(about.lock.0)).and_then(|appends| {
                let lines = appends.all();
                let line = lines.get(lines.partition_point(|it| it.line < about.number))?;
                (line.line == about.number).then_some(line.index)
            }),
            Message::Released => {
                self.sessions.values().find_map(|session| session.executed_at(about.seq))
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
            | Message::Cancelled
            | Message::Outcome
            | Message::Alive
            | Message::Closed
            | Message::Refused => None,
        };
        self.promised = self.promised.max(index.unwrap_or(0));
    }

    fn recover(&mut self, no: RecordNo, through: u32, findings: &mut Findings) {
        findings.judge(Invariant::S5, no, self.promised <= through);
        self.promised = self.promised.min(through);
        self.tenures.fill(None);
        self.lines.iter_mut().for_each(Vec::clear);
        for appends in &mut self.appends {
            appends.retain(|append| append.index <= through);
        }
        self.opened.retain(|(_, index)| *index <= through);
        self.granted.retain(|(_, index)| *index <= through);
        self.sessions.retain(|_, session| session.opened <= through);
        for session in self.sessions.values_mut() {
            session.executed.retain(|(_, index)| *index <= through);
        }
        self.recovering = true;
    }

    fn keep(&mut self, lock: LockNo, session: u32, token: u32) {
        self.set_tenure(lock, Some(Tenure { session, token }));
    }

    fn grant(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        let Kind::LockGranted { lock, session, seq, token, from_queue, index, .. } = record.kind
        else {
            return;
        };
        findings.judge(Invariant::S1, no, self.tenure(lock).is_none());
        let first = self.execute(session, seq, index);
        findings.judge(Invariant::S3, no, first);
        let silence_ms = u32::try_from(SILENCE_MAX.as_millis()).unwrap_or(u32::MAX);
        if let Some(line) = self.line(lock) {
            let place = line.iter().position(|it| (it.session, it.seq) == (session, seq));
            let before = &line[..place.unwrap_or(line.len())];
            let heard = |it: &Waiter| record.local_ms.saturating_sub(it.heard_ms) < silence_ms;
            let others = before.iter().any(|it| it.session != session && heard(it));
            let contended = from_queue || !line.is_empty();
            if contended {
                findings.judge(Invariant::S8, no, !others);
            }
        }
        self.leave(lock, session, seq);
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
                let first = self.execute(session, seq, index);
                findings.judge(Invariant::S3, no, first);
            }
        }
        self.set_tenure(lock, None);
        self.judge_beliefs(no, record.at, lock, token, findings);
    }

    fn append(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        let Kind::FileAppended { lock, session, seq, token, line, index, .. } = record.kind else {
            return;
        };
        let first = self.execute(session, seq, index);
        findings.judge(Invariant::S3, no, first);
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
        if let Some(client) = self.client(record.node) {
            client.beliefs.retain(|it| (it.0, it.1) != (lock, token));
            client.beliefs.push(belief);
        }
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
        let beliefs = self.clients.iter().flat_map(|client| &client.beliefs);
        let believed = beliefs.into_iter().any(|it| (it.0, it.1) == (lock, token) && it.2 > at);
        findings.judge(Invariant::S7, no, !believed);
    }

    fn judge_all_beliefs(&self, no: RecordNo, at: Moment, findings: &mut Findings) {
        let beliefs = self.clients.iter().flat_map(|client| &client.beliefs);
        for (lock, token, until) in beliefs {
            let live = self.tenure(*lock).is_some_and(|tenure| tenure.token == *token);
            if !live && *until > at {
                findings.violate(Invariant::S7, no);
            }
        }
    }

    fn end(&mut self, no: RecordNo, record: &Record, findings: &mut Findings) {
        // A server that does not run can't end anything.
        if self.client(NodeNo::SERVER).is_some_and(|server| server.alive && !server.paused) {
            self.judge_leases(no, record.local_ms.saturating_sub(1), findings);
        }
        if self.judges_l2 {
            let stuck = self
                .clients
                .iter()
                .any(|client| client.started && client.alive && !client.finished);
            findings.judge(Invariant::L2, no, !stuck);
        }
    }
}
