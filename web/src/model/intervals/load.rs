//! The load over time: how many requests the clients send and how many of them are retries, and how
//! many the server handles, by kind.

use std::collections::BTreeMap;

use leasehold_core::event::ReleaseCause;
use leasehold_sim::{Message, NodeId, Number, Record, RecordKind, VirtualTime};

use crate::model::event_category::EventCategory;

/// The length of the finest interval in which requests are counted, in microseconds.
const BIN_US: u64 = 50_000;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadKind {
    Acquire,
    Append,
    Release,
    Heartbeat,
    Session,
}

impl LoadKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Acquire, Self::Append, Self::Release, Self::Heartbeat, Self::Session];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Acquire => "Acquire",
            Self::Append => "Append",
            Self::Release => "Release",
            Self::Heartbeat => "Heartbeat",
            Self::Session => "Session",
        }
    }

    /// Returns the category with the symbol of this kind.
    pub(crate) const fn category(self) -> EventCategory {
        match self {
            Self::Acquire => EventCategory::Acquire,
            Self::Append => EventCategory::Append,
            Self::Release => EventCategory::Release,
            Self::Heartbeat => EventCategory::Renew,
            Self::Session => EventCategory::Other,
        }
    }

    const fn from_message(message: Message) -> Self {
        match EventCategory::from_message(message) {
            EventCategory::Acquire | EventCategory::Grant => Self::Acquire,
            EventCategory::Append => Self::Append,
            EventCategory::Release => Self::Release,
            EventCategory::Renew => Self::Heartbeat,
            EventCategory::Reject
            | EventCategory::Fault
            | EventCategory::Expiry
            | EventCategory::Other => Self::Session,
        }
    }
}

/// The counts of one interval, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sent: [u32; 5],
    /// The part of `sent` that repeats earlier requests.
    retried: [u32; 5],
    handled: [u32; 5],
}

/// The requests of a run over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// The intervals with requests, in ascending order of their index.
    bins: Vec<(u64, Counts)>,
    /// The highest sequence number that each client has sent, by message.
    highest_seq: BTreeMap<(NodeId, Message), Number>,
}

/// The rate of one kind of request in one interval, in requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LoadRate {
    pub(crate) all: f64,
    /// The part that repeats earlier requests.
    pub(crate) retries: f64,
}

impl Load {
    /// Counts a record.
    pub(super) fn add(&mut self, record: &Record) {
        if let RecordKind::Sent(packet) = record.kind {
            if record.node.is_server() {
                return;
            }
            let is_retry = self.is_retry(record.node, packet.message, packet.seq);
            let kind = LoadKind::from_message(packet.message) as usize;
            let counts = self.counts_at(record.at);
            counts.sent[kind] += 1;
            counts.retried[kind] += u32::from(is_retry);
        } else if let Some(kind) = handled_kind(&record.kind) {
            self.counts_at(record.at).handled[kind as usize] += 1;
        }
    }

    fn counts_at(&mut self, at: VirtualTime) -> &mut Counts {
        let index = at.as_micros() / BIN_US;
        if self.bins.last().is_none_or(|(last, _)| *last < index) {
            self.bins.push((index, Counts::default()));
        }
        let last = self.bins.len() - 1;
        &mut self.bins[last].1
    }

    /// Returns whether a request repeats an earlier one, and remembers it.
    fn is_retry(&mut self, node: NodeId, message: Message, seq: Number) -> bool {
        if message == Message::Hello {
            // A new session counts from the beginning.
            let own = self.highest_seq.iter_mut().filter(|((client, _), _)| *client == node);
            own.for_each(|(_, seq)| *seq = Number::ZERO);
            return false;
        }
        let highest = self.highest_seq.entry((node, message)).or_insert(Number::ZERO);
        let is_retry = seq <= *highest && !highest.is_zero();
        *highest = seq.max(*highest);
        is_retry
    }

    /// Returns the rates of a kind in consecutive intervals of `step_us` from `from` up to `until`.
    /// If `is_handled` is set, they are those at the server instead of those at the clients.
    pub(crate) fn rates(
        &self,
        kind: LoadKind,
        (from, until): (VirtualTime, VirtualTime),
        step_us: u64,
        is_handled: bool,
    ) -> Vec<LoadRate> {
        let (from_us, until_us) = (from.as_micros(), until.as_micros());
        let step_us = step_us.max(BIN_US);
        let steps = until_us.saturating_sub(from_us).div_ceil(step_us);
        let mut rates = vec![LoadRate::default(); usize::try_from(steps).unwrap_or(0)];
        let first = self.bins.partition_point(|(index, _)| (index + 1) * BIN_US <= from_us);
        #[allow(clippy::cast_precision_loss, reason = "an interval of a plot")]
        let per_second = 1_000_000.0 / step_us as f64;
        for (index, counts) in &self.bins[first..] {
            let at = index * BIN_US;
            let step = usize::try_from(at.saturating_sub(from_us) / step_us).unwrap_or(usize::MAX);
            let Some(rate) = rates.get_mut(step).filter(|_| at <= until_us) else { break };
            let (all, retries) = if is_handled {
                (counts.handled[kind as usize], 0)
            } else {
                (counts.sent[kind as usize], counts.retried[kind as usize])
            };
            rate.all += f64::from(all) * per_second;
            rate.retries += f64::from(retries) * per_second;
        }
        rates
    }
}

/// Returns the kind of request that the server has handled with this record.
fn handled_kind(kind: &RecordKind) -> Option<LoadKind> {
    if let RecordKind::RequestRefused { message, .. }
    | RecordKind::DuplicateAnswered { message, .. } = *kind
    {
        return Some(LoadKind::from_message(message));
    }
    let is_release = matches!(kind, RecordKind::LockReleased { cause: ReleaseCause::Released, .. });
    let is_acquire = matches!(
        kind,
        RecordKind::LockQueued { .. } | RecordKind::LockGranted { from_queue: false, .. }
    );
    let is_session =
        matches!(kind, RecordKind::SessionOpened { .. } | RecordKind::SessionClosed { .. });
    let kinds = [
        (is_acquire, LoadKind::Acquire),
        (matches!(kind, RecordKind::FileAppended { .. }), LoadKind::Append),
        (is_release, LoadKind::Release),
        (matches!(kind, RecordKind::LeaseRenewed { .. }), LoadKind::Heartbeat),
        (is_session, LoadKind::Session),
    ];
    kinds.into_iter().find(|(is_kind, _)| *is_kind).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::intervals::Intervals;
    use leasehold_sim::{Protection, Scenario};

    fn load(scenario: &str, without: &[Protection]) -> Load {
        let scenario = Scenario::from_name(scenario).unwrap();
        let mut intervals = Intervals::default();
        let run = scenario.run_without(&without.iter().copied().collect());
        intervals.extend_from(&run.execute().trace);
        intervals.load
    }

    fn total(load: &Load, kind: LoadKind) -> (f64, f64) {
        let range = (VirtualTime::START, VirtualTime::from_millis(60_000));
        let rates = load.rates(kind, range, 1_000_000, false);
        rates.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.all, sum.1 + it.retries))
    }

    #[test]
    fn every_request_is_counted_once_whatever_the_interval() {
        let load = load("five-clients", &[]);
        let range = (VirtualTime::START, VirtualTime::from_millis(60_000));
        let (appends, _) = total(&load, LoadKind::Append);
        assert!(appends >= 5.0, "each client appends: {appends}");
        for step_us in [50_000, 200_000, 7_000_000] {
            let rates = load.rates(LoadKind::Append, range, step_us, false);
            #[allow(clippy::cast_precision_loss, reason = "a short interval")]
            let seconds = step_us as f64 / 1e6;
            let count: f64 = rates.iter().map(|it| it.all * seconds).sum();
            assert!((count - appends).abs() < 1e-6, "{step_us}: {count}");
        }
    }

    #[test]
    fn retries_are_distinguished_from_first_attempts() {
        let (all, retries) = total(&load("lost-reply", &[]), LoadKind::Append);
        assert!(retries >= 1.0 && retries < all, "{retries} of {all}");
    }
}
