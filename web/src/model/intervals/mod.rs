//! Intervals of a trace: tenures according to the server, beliefs according to the clients,
//! outages, and the marks on them. The lease diagram is drawn from these.
//! [`Intervals::extend_from`] is incremental: it continues with the first record that it has not
//! seen.

mod aggregate;
mod load;

pub(crate) use aggregate::{Aggregate, AggregatedIntervals, Viewport};
pub(crate) use load::{Load, LoadKind, LoadRate};

use leasehold_core::event::ReleaseCause;
use leasehold_sim::{
    CallResult, Importance, LockId, Message, NodeId, Number, Record, RecordId, RecordKind,
    VirtualTime,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Intervals {
    /// In the order of their start.
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) beliefs: Vec<Belief>,
    /// Events without a duration.
    pub(crate) marks: Vec<Mark>,
    /// When a node was paused, crashed or partitioned.
    pub(crate) outages: Vec<Outage>,
    /// The requests over time.
    pub(crate) load: Load,
    records_applied: u32,
}

/// One tenure of a lock, according to the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tenure {
    pub(crate) lock: LockId,
    pub(crate) client: NodeId,
    pub(crate) token: Number,
    pub(crate) record: RecordId,
    pub(crate) from: VirtualTime,
    /// Unset while it lasts.
    pub(crate) until: Option<VirtualTime>,
    pub(crate) end: Option<TenureEnd>,
    /// When the server renewed the holder's lease.
    pub(crate) renewals: Vec<VirtualTime>,
}

/// How a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenureEnd {
    Released,
    /// The lease expired.
    Expired,
    /// The hold limit expired.
    HoldLimit,
    /// The server crashed and did not recover it.
    Lost,
    /// It ended while the server was not observed: when and how is unknown.
    Unobserved,
}

/// A client's belief that it holds a lock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) lock: LockId,
    pub(crate) client: NodeId,
    pub(crate) token: Number,
    /// The record that began it; [`RecordId::NONE`] if it is inferred.
    pub(crate) record: RecordId,
    pub(crate) from: VirtualTime,
    /// The expected ends: each is the time from which it was believed, and the end.
    pub(crate) extensions: Vec<(VirtualTime, VirtualTime)>,
    /// When it ended early.
    pub(crate) ended_at: Option<VirtualTime>,
}

/// An event without a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: VirtualTime,
    pub(crate) record: RecordId,
    pub(crate) lock: LockId,
    pub(crate) client: NodeId,
    pub(crate) token: Number,
    pub(crate) kind: MarkKind,
    /// When the client sent the request, if the packet is visible.
    pub(crate) sent_at: Option<VirtualTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    Appended,
    Refused,
    Acknowledged,
    Fault,
    /// A client has read half of an update.
    TornRead,
}

/// A period in which a node was impaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) node: NodeId,
    pub(crate) kind: OutageKind,
    /// The record that began it; [`RecordId::NONE`] for a gap.
    pub(crate) record: RecordId,
    pub(crate) from: VirtualTime,
    pub(crate) until: Option<VirtualTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutageKind {
    Crashed,
    Paused,
    /// The link from the node to this other node is cut.
    Cut(NodeId),
    /// The page was not connected to the server.
    Gap,
}

impl Belief {
    /// Returns its end as believed at `now`, or `None` before it began.
    pub(crate) fn until(&self, now: VirtualTime) -> Option<VirtualTime> {
        let extensions = self.extensions.iter().take_while(|(at, _)| *at <= now);
        let (_, until_as_of) = extensions.last()?;
        Some(
            self.ended_at
                .filter(|ended| *ended <= now)
                .map_or(*until_as_of, |ended| ended.min(*until_as_of)),
        )
    }
}

impl Intervals {
    /// Applies the records that were added to the trace since the last call.
    pub(crate) fn extend_from(&mut self, trace: &[Record]) {
        let from = usize::try_from(self.records_applied).unwrap_or(usize::MAX).min(trace.len());
        for record in &trace[from..] {
            let id = RecordId(self.records_applied);
            self.records_applied += 1;
            self.load.add(record);
            // The end of all faults is no fault, and a run without any has it too.
            let is_fault = Importance::from_record(record) == Importance::Fault;
            if is_fault && record.kind != RecordKind::FaultsEnded {
                let key = (LockId::NONE, record.node, Number::ZERO);
                self.add_mark((id, record.at), key, MarkKind::Fault, None);
            }
            let sent_at = sent_time(trace, record);
            self.apply_record(id, record, sent_at);
        }
    }

    fn apply_record(&mut self, id: RecordId, record: &Record, sent_at: Option<VirtualTime>) {
        let Record { at, node, .. } = *record;
        match record.kind {
            RecordKind::Crashed { .. } => self.begin_outage(id, node, OutageKind::Crashed, at),
            RecordKind::Restarted => self.end_outage(node, OutageKind::Crashed, at),
            RecordKind::Paused { .. } => self.begin_outage(id, node, OutageKind::Paused, at),
            RecordKind::Resumed => self.end_outage(node, OutageKind::Paused, at),
            RecordKind::Cut { to } => self.begin_outage(id, node, OutageKind::Cut(to), at),
            RecordKind::Healed { to } => self.end_outage(node, OutageKind::Cut(to), at),
            RecordKind::Recovered { .. } => self.end_open_tenures(at, TenureEnd::Lost),
            RecordKind::Gap { .. } => self.end_open_tenures(at, TenureEnd::Unobserved),
            RecordKind::TenureRecovered { lock, client, token, .. } => {
                self.recover_tenure(id, at, (lock, client, token));
            }
            RecordKind::LockGranted { lock, client, token, .. } => {
                self.end_tenure(lock, at, TenureEnd::Lost);
                self.begin_tenure(id, at, (lock, client, token));
            }
            RecordKind::LockReleased { lock, cause, .. } => {
                let end = match cause {
                    ReleaseCause::Released | ReleaseCause::Closed => TenureEnd::Released,
                    ReleaseCause::LeaseExpired => TenureEnd::Expired,
                    ReleaseCause::HoldExpired => TenureEnd::HoldLimit,
                };
                self.end_tenure(lock, at, end);
            }
            RecordKind::LeaseRenewed { client, .. } => self.renew_tenures(client, at),
            RecordKind::FileAppended { lock, client, token, .. } => {
                self.renew_tenures(client, at);
                self.add_mark((id, at), (lock, client, token), MarkKind::Appended, sent_at);
            }
            RecordKind::RequestRefused { lock, client, token, message, .. }
                if lock != LockId::NONE && message == Message::AppendFile =>
            {
                self.add_mark((id, at), (lock, client, token), MarkKind::Refused, sent_at);
            }
            RecordKind::CallEnded {
                lock,
                token,
                outcome: CallResult::Succeeded,
                message: Message::AppendFile,
            } => {
                self.add_mark((id, at), (lock, node, token), MarkKind::Acknowledged, None);
            }
            RecordKind::FileRead { lock, is_torn: true, .. } => {
                self.add_mark((id, at), (lock, node, Number::ZERO), MarkKind::TornRead, None);
            }
            RecordKind::Believed { lock, token, until } => {
                self.extend_recorded_belief(id, at, (lock, node, token), until);
            }
            RecordKind::BeliefEnded { lock, token, .. } => self.end_belief(at, (lock, node, token)),
            RecordKind::Started
            | RecordKind::ClockJumped { .. }
            | RecordKind::ClockDrifted { .. }
            | RecordKind::Degraded { .. }
            | RecordKind::DiskSlowed { .. }
            | RecordKind::FaultsEnded
            | RecordKind::Sent(_)
            | RecordKind::Arrived(_)
            | RecordKind::Lost { .. }
            | RecordKind::Duplicated { .. }
            | RecordKind::Rescheduled { .. }
            | RecordKind::WaitRecovered { .. }
            | RecordKind::SessionOpened { .. }
            | RecordKind::SessionExpired { .. }
            | RecordKind::SessionClosed { .. }
            | RecordKind::LockQueued { .. }
            | RecordKind::WaitEnded { .. }
            | RecordKind::RequestRefused { .. }
            | RecordKind::DuplicateAnswered { .. }
            | RecordKind::Durable { .. }
            | RecordKind::WriteFailed
            | RecordKind::FlushFailed
            | RecordKind::CallStarted { .. }
            | RecordKind::CallEnded { .. }
            | RecordKind::Checked { .. }
            | RecordKind::Working { .. }
            | RecordKind::SessionLost
            | RecordKind::Finished
            | RecordKind::RunEnded
            | RecordKind::FileRead { is_torn: false, .. } => {}
        }
    }

    /// Adds a period in which the page was not connected.
    pub(crate) fn add_gap(&mut self, from: VirtualTime, until: VirtualTime) {
        let (node, kind) = (NodeId::SERVER, OutageKind::Gap);
        self.outages.push(Outage { node, kind, record: RecordId::NONE, from, until: Some(until) });
    }

    fn begin_outage(
        &mut self,
        record: RecordId,
        node: NodeId,
        kind: OutageKind,
        from: VirtualTime,
    ) {
        // A crash ends a pause.
        if kind == OutageKind::Crashed {
            self.end_outage(node, OutageKind::Paused, from);
        }
        self.outages.push(Outage { node, kind, record, from, until: None });
    }

    fn end_outage(&mut self, node: NodeId, kind: OutageKind, at: VirtualTime) {
        let open = self
            .outages
            .iter_mut()
            .rev()
            .find(|it| it.node == node && it.kind == kind && it.until.is_none());
        if let Some(outage) = open {
            outage.until = Some(at);
        }
    }

    fn add_mark(
        &mut self,
        (record, at): (RecordId, VirtualTime),
        (lock, client, token): (LockId, NodeId, Number),
        kind: MarkKind,
        sent_at: Option<VirtualTime>,
    ) {
        self.marks.push(Mark { at, record, lock, client, token, kind, sent_at });
    }

    fn begin_tenure(
        &mut self,
        record: RecordId,
        from: VirtualTime,
        (lock, client, token): (LockId, NodeId, Number),
    ) {
        // Nothing is drawn for a lock without a number.
        if lock == LockId::NONE {
            return;
        }
        let renewals = Vec::new();
        let tenure = Tenure { lock, client, token, record, from, until: None, end: None, renewals };
        self.tenures.push(tenure);
    }

    fn end_tenure(&mut self, lock: LockId, at: VirtualTime, end: TenureEnd) {
        for tenure in self.tenures.iter_mut().rev().filter(|it| it.lock == lock) {
            if tenure.until.is_some() {
                break;
            }
            (tenure.until, tenure.end) = (Some(at), Some(end));
        }
    }

    /// Ends open tenures: the server restarted, or was not observed. Those that continue follow.
    fn end_open_tenures(&mut self, at: VirtualTime, end: TenureEnd) {
        for tenure in self.tenures.iter_mut().filter(|it| it.until.is_none()) {
            (tenure.until, tenure.end) = (Some(at), Some(end));
        }
    }

    /// Reopens a tenure that continues after a restart or a gap: it was never interrupted.
    fn recover_tenure(&mut self, id: RecordId, at: VirtualTime, key: (LockId, NodeId, Number)) {
        let known = self.tenures.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        match known {
            Some(tenure) if matches!(tenure.end, Some(TenureEnd::Lost | TenureEnd::Unobserved)) => {
                (tenure.until, tenure.end) = (None, None);
                tenure.renewals.push(at);
            }
            Some(_) | None => self.begin_tenure(id, at, key),
        }
    }

    fn renew_tenures(&mut self, client: NodeId, at: VirtualTime) {
        // Clients without a number cannot be distinguished.
        if client == NodeId::UNKNOWN {
            return;
        }
        let recent = self.tenures.iter_mut().rev().take(64);
        for tenure in recent.filter(|it| it.client == client && it.until.is_none()) {
            tenure.renewals.push(at);
        }
    }

    /// Starts or extends an inferred belief.
    pub(crate) fn extend_belief(
        &mut self,
        at: VirtualTime,
        key: (LockId, NodeId, Number),
        until: VirtualTime,
    ) {
        self.extend_recorded_belief(RecordId::NONE, at, key, until);
    }

    fn extend_recorded_belief(
        &mut self,
        record: RecordId,
        at: VirtualTime,
        key: (LockId, NodeId, Number),
        until: VirtualTime,
    ) {
        let known = self.beliefs.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        match known {
            Some(belief) if belief.ended_at.is_none() => belief.extensions.push((at, until)),
            Some(_) | None => {
                let (lock, client, token) = key;
                let extensions = vec![(at, until)];
                self.beliefs.push(Belief {
                    lock,
                    client,
                    token,
                    record,
                    from: at,
                    extensions,
                    ended_at: None,
                });
            }
        }
    }

    /// Ends a belief before its expected end.
    pub(crate) fn end_belief(&mut self, at: VirtualTime, key: (LockId, NodeId, Number)) {
        let known = self.beliefs.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        if let Some(belief) = known {
            belief.ended_at = Some(at);
        }
    }
}

/// Returns when the packet was sent that caused a record.
fn sent_time(trace: &[Record], record: &Record) -> Option<VirtualTime> {
    let (RecordKind::FileAppended { .. } | RecordKind::RequestRefused { .. }) = record.kind else {
        return None;
    };
    let arrival = trace.get(record.causes.direct().index()?)?;
    let RecordKind::Arrived(_) = arrival.kind else { return None };
    let sent = trace.get(arrival.causes.direct().index()?)?;
    matches!(sent.kind, RecordKind::Sent(_) | RecordKind::Duplicated { .. }).then_some(sent.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    fn intervals(scenario: &str, without: &[Protection]) -> Intervals {
        let scenario = Scenario::from_name(scenario).unwrap();
        let without = without.iter().copied().collect();
        let mut intervals = Intervals::default();
        intervals.extend_from(&scenario.run_without(&without).execute().trace);
        intervals
    }

    #[test]
    fn pause_outlives_the_tenure_but_not_the_belief() {
        let intervals = intervals("gc-pause", &[]);
        let first_tenure = &intervals.tenures[0];
        assert_eq!(
            (first_tenure.client, first_tenure.token, first_tenure.end),
            (NodeId(1), Number::from(1_u32), Some(TenureEnd::Expired))
        );
        let second_tenure = &intervals.tenures[1];
        assert_eq!(
            (second_tenure.client, second_tenure.end),
            (NodeId(2), Some(TenureEnd::Released))
        );
        assert!(first_tenure.until <= Some(second_tenure.from));
        let belief = &intervals.beliefs[0];
        let until = belief.until(VirtualTime::from_millis(3_000)).unwrap();
        assert!(
            until < first_tenure.until.unwrap(),
            "the belief ends earlier by the safety margin"
        );
        assert!(
            intervals.outages.iter().any(|it| it.kind == OutageKind::Paused && it.until.is_some())
        );
        let mut marks = intervals.marks.iter();
        let refused = marks.find(|it| it.kind == MarkKind::Refused && it.client == NodeId(1));
        let resumed = intervals.outages.iter().find(|it| it.kind == OutageKind::Paused);
        let (sent_at, resumed_at) = (refused.unwrap().sent_at, resumed.unwrap().until);
        assert!(sent_at >= resumed_at && sent_at < refused.map(|it| it.at), "{sent_at:?}");
    }

    #[test]
    fn tenures_in_the_log_survive_a_restart() {
        let with_durable_replies = intervals("amnesia", &[]);
        assert_eq!(with_durable_replies.tenures.iter().filter(|it| it.token == 1).count(), 1);
        let without_durable_replies = intervals("amnesia", &[Protection::DurableReplies]);
        assert!(without_durable_replies.tenures.iter().any(|it| it.end == Some(TenureEnd::Lost)));
    }
}
