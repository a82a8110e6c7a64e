//! Why something happened: the causes of a record, direct and indirect, in the order of time.
//!
//! Packets and steps of scripts are left out: the chain contains key events only, and each of them
//! names the later event that it led to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use leasehold_sim::{
    Explainer, Importance, Invariant, NodeId, RecordId, RecordKind, Run, TimeLabels as _,
    VirtualTime,
};

use super::timeline::Timeline;

/// The maximum number of events of a chain. More cannot be followed in a lecture.
const EVENTS_MAX: usize = 7;

/// The maximum number of records that are searched for causes.
const RECORDS_MAX: usize = 4_000;

/// One event of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CauseSlide {
    pub(crate) record: RecordId,
    pub(crate) at: VirtualTime,
    /// The label of the time.
    pub(crate) time: String,
    /// The sentence of the event, without a full stop.
    pub(crate) sentence: String,
    /// The reason, as a clause that follows "because".
    pub(crate) reason: Option<String>,
    /// The client that acted, or that the event is about.
    pub(crate) client: Option<NodeId>,
    /// The sentence of the event that it led to; `None` for the last event.
    pub(crate) led_to: Option<String>,
    /// How the event violates invariants, in words.
    pub(crate) violations: Vec<String>,
}

/// A chain of causes, and the event of it that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CauseChain {
    slides: Vec<CauseSlide>,
    current: usize,
}

impl CauseChain {
    /// Returns the chain that leads to a record in the past of a timeline. It begins with the first
    /// cause. Returns `None` if the record has not happened.
    pub(crate) fn new(timeline: &Timeline, target: RecordId) -> Option<Self> {
        let explainer = Explainer::new(timeline.run(), timeline.past())
            .with_time_labels(timeline.time_display());
        let finder = CauseFinder { explainer, target };
        explainer.record(target)?;
        let events = finder.events();
        let effects = finder.effects(&events);
        let sentence_of = |record| explainer.describe(record).map(|it| it.sentence());
        let slides = events.iter().filter_map(|record| {
            let description = explainer.describe(*record)?;
            let violated = timeline.violated().into_iter();
            let violated = violated.filter(|(_, witness)| witness == record);
            Some(CauseSlide {
                record: *record,
                at: explainer.record(*record)?.at,
                time: timeline.time_display().label(explainer.record(*record)?.at),
                sentence: description.sentence(),
                reason: description.reason,
                client: client_of(timeline.run(), &explainer, *record),
                led_to: effects.get(record).and_then(|effect| sentence_of(*effect)),
                violations: violated
                    .map(|(it, _)| violation_text(&explainer, it, *record))
                    .collect(),
            })
        });
        Some(Self { slides: slides.collect(), current: 0 }).filter(|chain| !chain.slides.is_empty())
    }

    pub(crate) fn slide(&self) -> &CauseSlide {
        &self.slides[self.current]
    }

    /// Returns the number of the current event, counted from 1, and the number of events.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.current + 1, self.slides.len())
    }

    /// Goes to the next or previous event. Returns whether there is one.
    pub(crate) fn step(&mut self, forward: bool) -> bool {
        let next = if forward { self.current + 1 } else { self.current.wrapping_sub(1) };
        let exists = next < self.slides.len();
        if exists {
            self.current = next;
        }
        exists
    }
}

fn violation_text(explainer: &Explainer<'_>, invariant: Invariant, witness: RecordId) -> String {
    let text = explainer.violation(invariant, witness).map(|violation| violation.text);
    format!("{}: {}", invariant.heading(), text.unwrap_or_else(|| invariant.sentence().to_owned()))
}

fn client_of(run: &Run, explainer: &Explainer<'_>, record: RecordId) -> Option<NodeId> {
    let record = explainer.record(record)?;
    let client =
        if record.node.is_server() { record.kind.subject().client } else { Some(record.node) };
    client.filter(|node| !node.is_server() && usize::from(node.0) <= run.config.clients.len())
}

/// Whether the server hears nothing from a client with such a record.
const fn begins_silence(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::Paused { .. } | RecordKind::Crashed { .. } | RecordKind::Cut { .. })
}

const fn ends_silence(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::Resumed | RecordKind::Restarted | RecordKind::Healed { .. })
}

/// Finds the key events that led to a record.
struct CauseFinder<'a> {
    explainer: Explainer<'a>,
    target: RecordId,
}

impl CauseFinder<'_> {
    /// Returns the direct causes of a record, and the records that its reason refers to.
    fn causes(&self, of: RecordId) -> Vec<RecordId> {
        let description = self.explainer.describe(of);
        let mut causes = description.map(|it| it.causes).unwrap_or_default();
        causes.extend(self.silencing_fault(of));
        // A record later than its effect is not a cause.
        causes.retain(|cause| *cause < of);
        causes
    }

    /// Returns the fault that made the server hear nothing from a client, if a record says that the
    /// client's lease has expired.
    fn silencing_fault(&self, expiry: RecordId) -> Option<RecordId> {
        let record = self.explainer.record(expiry)?;
        let client = record.kind.subject().client?;
        let is_expiry = matches!(record.kind, RecordKind::SessionExpired { .. })
            || (record.node.is_server() && Importance::from_record(record) == Importance::Expiry);
        if !is_expiry {
            return None;
        }
        let mut earlier = (0..expiry.0).rev().map(RecordId);
        let kind = |id: RecordId| self.explainer.record(id).map(|record| record.kind);
        let last = earlier.find(|id| {
            let is_client = self.explainer.record(*id).is_some_and(|it| it.node == client);
            is_client && kind(*id).is_some_and(|kind| begins_silence(kind) || ends_silence(kind))
        });
        last.filter(|id| kind(*id).is_some_and(begins_silence))
    }

    fn is_key_event(&self, record: RecordId) -> bool {
        record == self.target
            || self
                .explainer
                .record(record)
                .is_some_and(|record| Importance::from_record(record) >= Importance::Release)
    }

    /// Returns the target and the key events nearest to it, in trace order.
    fn events(&self) -> Vec<RecordId> {
        let mut seen = BTreeSet::new();
        seen.insert(self.target);
        let mut pending = VecDeque::from([self.target]);
        let mut events = Vec::new();
        while let Some(record) = pending.pop_front() {
            if self.is_key_event(record) && !self.is_repeated(record, &events) {
                events.push(record);
            }
            if events.len() == EVENTS_MAX || seen.len() > RECORDS_MAX {
                break;
            }
            pending.extend(self.causes(record).into_iter().filter(|cause| seen.insert(*cause)));
        }
        events.sort_by_cached_key(|event| u64::from(event.0));
        events
    }

    /// Whether an event with the same sentence is in the chain, such as an earlier retry.
    fn is_repeated(&self, record: RecordId, events: &[RecordId]) -> bool {
        let sentence = |record| self.explainer.describe(record).map(|it| it.sentence());
        let own = sentence(record);
        events.iter().any(|event| sentence(*event) == own)
    }

    /// Returns the first event that each event led to, directly or through records that are not
    /// shown.
    fn effects(&self, events: &[RecordId]) -> BTreeMap<RecordId, RecordId> {
        let mut effects = BTreeMap::new();
        for event in events {
            let mut pending = self.causes(*event);
            let mut seen = BTreeSet::new();
            while let Some(cause) = pending.pop() {
                if !seen.insert(cause) || seen.len() > RECORDS_MAX {
                    continue;
                }
                if events.contains(&cause) {
                    effects.entry(cause).or_insert(*event);
                } else {
                    pending.extend(self.causes(cause));
                }
            }
        }
        // What led to nothing else is context for the target.
        for event in events.iter().filter(|event| **event != self.target) {
            effects.entry(*event).or_insert(self.target);
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario, library};

    fn timeline_at_end(scenario: &Scenario, without: &[Protection]) -> Timeline {
        let without = without.iter().copied().collect();
        let mut timeline = Timeline::new(scenario.run_without(&without));
        timeline.go_to(timeline.end());
        timeline
    }

    #[test]
    fn every_key_event_has_a_chain_that_ends_with_it() {
        for scenario in library() {
            let switch: Vec<Protection> = scenario.switches.iter().take(1).copied().collect();
            let timeline = timeline_at_end(&scenario, &switch);
            let violations = timeline.violated().into_iter().map(|(_, witness)| witness);
            let key_events = timeline
                .past()
                .iter()
                .zip(0..)
                .filter(|(record, _)| Importance::from_record(record) >= Importance::Refusal);
            let targets = key_events.map(|(_, id)| RecordId(id)).take(5).chain(violations);
            for target in targets {
                let chain = CauseChain::new(&timeline, target).unwrap();
                let records: Vec<RecordId> = chain.slides.iter().map(|it| it.record).collect();
                assert!(records.is_sorted() && records.len() <= EVENTS_MAX, "{records:?}");
                assert_eq!(records.last(), Some(&target), "{}", scenario.name);
                let (last, causes) = chain.slides.split_last().unwrap();
                assert!(last.led_to.is_none() && causes.iter().all(|it| it.led_to.is_some()));
            }
        }
    }

    #[test]
    fn stale_append_is_explained_from_the_pause_on() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let timeline = timeline_at_end(&scenario, &[Protection::Fencing]);
        let (_, witness) = timeline.violated()[0];
        let mut chain = CauseChain::new(&timeline, witness).unwrap();
        let sentences: Vec<&str> = chain.slides.iter().map(|it| it.sentence.as_str()).collect();
        let story = sentences.join("\n");
        for part in ["client_1 is paused", "client_1's lease expired", "grants file_0 to client_2"]
        {
            assert!(story.contains(part), "{part} is missing:\n{story}");
        }
        assert!(chain.slides.last().unwrap().violations[0].starts_with("S2 Token order: "));
        assert_eq!(chain.progress().0, 1);
        assert!(!chain.step(false));
        while chain.step(true) {}
        assert_eq!(chain.slide().record, witness);
        assert_eq!(chain.progress().0, chain.progress().1);
    }

    #[test]
    fn the_future_has_no_explanation() {
        let timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        assert_eq!(CauseChain::new(&timeline, RecordId(50)), None);
    }
}
