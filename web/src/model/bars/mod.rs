//! What lasts, read off a trace: tenures as the server sees them, beliefs as the clients have them,
//! and what happened on them at a moment. The picture of the leases is made of this.
//!
//! A fold: it takes in records in their order, and can go on where it stopped.

#![allow(clippy::wildcard_enum_match_arm, reason = "most of what happens lasts no time")]

mod thin;

pub(crate) use thin::{Crowd, Thinned, Window};

use leasehold_core::event::ReleaseCause;
use leasehold_sim::{CallEnd, Interest, Kind, LockNo, Message, Moment, NodeNo, Record, RecordNo};

/// All that lasts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bars {
    /// In the order of their beginnings.
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) beliefs: Vec<Belief>,
    /// What happened to files and locks at a moment.
    pub(crate) marks: Vec<Mark>,
    /// When a node stood still, was dead, or was cut off.
    pub(crate) outages: Vec<Outage>,
    taken: u32,
}

/// One holding of a lock, as the server sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tenure {
    pub(crate) lock: LockNo,
    pub(crate) client: NodeNo,
    pub(crate) token: u32,
    pub(crate) record: RecordNo,
    pub(crate) from: Moment,
    /// Unset while it lasts.
    pub(crate) until: Option<Moment>,
    pub(crate) end: Option<TenureEnd>,
    /// When its holder was heard of.
    pub(crate) renewals: Vec<Moment>,
}

/// How a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenureEnd {
    Given,
    Expired,
    /// The server crashed, and did not know of it afterwards.
    Forgotten,
}

/// A client's belief that it holds a lock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) lock: LockNo,
    pub(crate) client: NodeNo,
    pub(crate) token: u32,
    pub(crate) from: Moment,
    /// How long it was held to last, and from when on it was held so.
    pub(crate) steps: Vec<(Moment, Moment)>,
    /// When it ended before its time.
    pub(crate) ended: Option<Moment>,
}

/// Something at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Moment,
    pub(crate) record: RecordNo,
    pub(crate) lock: LockNo,
    pub(crate) client: NodeNo,
    pub(crate) token: u32,
    pub(crate) what: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    Written,
    Refused,
    Answered,
    Fault,
}

/// A stretch in which a node was not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) node: NodeNo,
    pub(crate) what: OutageKind,
    pub(crate) from: Moment,
    pub(crate) until: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutageKind {
    Dead,
    Paused,
    /// Nothing gets from it to that node.
    Cut(NodeNo),
    /// Nobody looked.
    Unseen,
}

impl Belief {
    /// Until when it lasts, as it was held at this moment; none where it was not held then.
    pub(crate) fn until(&self, now: Moment) -> Option<Moment> {
        let steps = self.steps.iter().take_while(|(at, _)| *at <= now);
        let (_, until) = steps.last()?;
        Some(self.ended.filter(|ended| *ended <= now).map_or(*until, |ended| ended.min(*until)))
    }
}

impl Bars {
    /// Takes in what has come since it last did.
    pub(crate) fn take(&mut self, trace: &[Record]) {
        let from = usize::try_from(self.taken).unwrap_or(usize::MAX).min(trace.len());
        for record in &trace[from..] {
            let no = RecordNo(self.taken);
            self.taken += 1;
            self.take_record(no, record);
        }
    }

    fn take_record(&mut self, no: RecordNo, record: &Record) {
        let Record { at, node, .. } = *record;
        if Interest::of(record) == Interest::Fault {
            let what = MarkKind::Fault;
            let mark = Mark { at, record: no, lock: LockNo::NONE, client: node, token: 0, what };
            self.marks.push(mark);
        }
        match record.kind {
            Kind::Crashed { .. } => self.begin(node, OutageKind::Dead, at),
            Kind::Restarted => self.end(node, OutageKind::Dead, at),
            Kind::Paused { .. } => self.begin(node, OutageKind::Paused, at),
            Kind::Resumed => self.end(node, OutageKind::Paused, at),
            Kind::Cut { to } => self.begin(node, OutageKind::Cut(to), at),
            Kind::Healed { to } => self.end(node, OutageKind::Cut(to), at),
            Kind::Recovered { .. } | Kind::Unseen { .. } => self.forget(at),
            Kind::Kept { lock, client, token, .. } => self.keep(no, at, (lock, client, token)),
            Kind::LockGranted { lock, client, token, .. } => {
                self.finish(lock, at, TenureEnd::Forgotten);
                self.open(no, at, (lock, client, token));
            }
            Kind::LockReleased { lock, cause, .. } => {
                let end = match cause {
                    ReleaseCause::Released | ReleaseCause::Closed => TenureEnd::Given,
                    ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired => TenureEnd::Expired,
                };
                self.finish(lock, at, end);
            }
            Kind::LeaseRenewed { client, .. } => self.renew(client, at),
            Kind::FileAppended { lock, client, token, .. } => {
                self.renew(client, at);
                self.mark(no, at, (lock, client, token), MarkKind::Written);
            }
            Kind::RequestRefused { lock, client, token, message, .. }
                if lock != LockNo::NONE && message == Message::AppendFile =>
            {
                self.mark(no, at, (lock, client, token), MarkKind::Refused);
            }
            Kind::Answered { lock, token, end: CallEnd::Done, message: Message::AppendFile } => {
                self.mark(no, at, (lock, node, token), MarkKind::Answered);
            }
            Kind::Believed { lock, token, until } => self.believe(at, (lock, node, token), until),
            Kind::Disbelieved { lock, token, .. } => self.disbelieve(at, (lock, node, token)),
            _ => {}
        }
    }

    /// Nobody looked from the one to the other.
    pub(crate) fn unseen(&mut self, from: Moment, until: Moment) {
        let (node, what) = (NodeNo::SERVER, OutageKind::Unseen);
        self.outages.push(Outage { node, what, from, until: Some(until) });
    }

    fn begin(&mut self, node: NodeNo, what: OutageKind, from: Moment) {
        // Whoever dies stands still no more.
        if what == OutageKind::Dead {
            self.end(node, OutageKind::Paused, from);
        }
        self.outages.push(Outage { node, what, from, until: None });
    }

    fn end(&mut self, node: NodeNo, what: OutageKind, at: Moment) {
        let open = self
            .outages
            .iter_mut()
            .rev()
            .find(|it| it.node == node && it.what == what && it.until.is_none());
        if let Some(outage) = open {
            outage.until = Some(at);
        }
    }

    fn mark(
        &mut self,
        record: RecordNo,
        at: Moment,
        (lock, client, token): (LockNo, NodeNo, u32),
        what: MarkKind,
    ) {
        self.marks.push(Mark { at, record, lock, client, token, what });
    }

    fn open(
        &mut self,
        record: RecordNo,
        from: Moment,
        (lock, client, token): (LockNo, NodeNo, u32),
    ) {
        let renewals = Vec::new();
        let tenure = Tenure { lock, client, token, record, from, until: None, end: None, renewals };
        self.tenures.push(tenure);
    }

    fn finish(&mut self, lock: LockNo, at: Moment, end: TenureEnd) {
        for tenure in self.tenures.iter_mut().rev().filter(|it| it.lock == lock) {
            if tenure.until.is_some() {
                break;
            }
            (tenure.until, tenure.end) = (Some(at), Some(end));
        }
    }

    /// The server begins anew with what its journal holds.
    fn forget(&mut self, at: Moment) {
        for tenure in self.tenures.iter_mut().filter(|it| it.until.is_none()) {
            (tenure.until, tenure.end) = (Some(at), Some(TenureEnd::Forgotten));
        }
    }

    /// What the journal holds was never over.
    fn keep(&mut self, no: RecordNo, at: Moment, key: (LockNo, NodeNo, u32)) {
        let known = self.tenures.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        match known {
            Some(tenure) if tenure.end == Some(TenureEnd::Forgotten) => {
                (tenure.until, tenure.end) = (None, None);
                tenure.renewals.push(at);
            }
            Some(_) | None => self.open(no, at, key),
        }
    }

    fn renew(&mut self, client: NodeNo, at: Moment) {
        let live = self.tenures.iter_mut().rev().take(64);
        for tenure in live.filter(|it| it.client == client && it.until.is_none()) {
            tenure.renewals.push(at);
        }
    }

    /// A client believes something, or may, until then unless it learns more.
    pub(crate) fn believe(&mut self, at: Moment, key: (LockNo, NodeNo, u32), until: Moment) {
        let known = self.beliefs.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        match known {
            Some(belief) if belief.ended.is_none() => belief.steps.push((at, until)),
            Some(_) | None => {
                let (lock, client, token) = key;
                let steps = vec![(at, until)];
                self.beliefs.push(Belief { lock, client, token, from: at, steps, ended: None });
            }
        }
    }

    /// A client believes no longer, or may not.
    pub(crate) fn disbelieve(&mut self, at: Moment, key: (LockNo, NodeNo, u32)) {
        let known = self.beliefs.iter_mut().rev().find(|it| (it.lock, it.client, it.token) == key);
        if let Some(belief) = known {
            belief.ended = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    fn bars(scenario: &str, without: &[Protection]) -> Bars {
        let scenario = Scenario::named(scenario).unwrap();
        let without = without.iter().copied().collect();
        let mut bars = Bars::default();
        bars.take(&scenario.run_without(&without).go().trace);
        bars
    }

    #[test]
    fn a_pause_outlives_a_tenure_but_not_a_belief_that_is_looked_at() {
        let bars = bars("gc-pause", &[]);
        let first = &bars.tenures[0];
        assert_eq!(
            (first.client, first.token, first.end),
            (NodeNo(1), 1, Some(TenureEnd::Expired))
        );
        let second = &bars.tenures[1];
        assert_eq!((second.client, second.end), (NodeNo(2), Some(TenureEnd::Given)));
        assert!(first.until <= Some(second.from));
        let belief = &bars.beliefs[0];
        let until = belief.until(Moment::from_millis(3_000)).unwrap();
        assert!(until < first.until.unwrap(), "the margin");
        assert!(bars.outages.iter().any(|it| it.what == OutageKind::Paused && it.until.is_some()));
        assert!(bars.marks.iter().any(|it| it.what == MarkKind::Refused && it.client == NodeNo(1)));
    }

    #[test]
    fn what_the_journal_holds_goes_on_over_a_restart() {
        let kept = bars("amnesia", &[]);
        assert_eq!(kept.tenures.iter().filter(|it| it.token == 1).count(), 1);
        let lost = bars("amnesia", &[Protection::DurableReplies]);
        assert!(lost.tenures.iter().any(|it| it.end == Some(TenureEnd::Forgotten)));
    }
}
