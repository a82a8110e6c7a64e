//! Violations in words, for the flags on the pictures.

use std::cell::RefCell;
use std::rc::Rc;

use leasehold_sim::{Explainer, Invariant, LockId, NodeId, RecordId, VirtualTime};

use super::intervals::Intervals;
use super::timeline::Timeline;

/// The violations that one record shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) at: VirtualTime,
    /// The witness.
    pub(crate) record: RecordId,
    /// One line for each violated invariant, such as "S2 · token went backwards: 1 after 2".
    pub(crate) lines: Vec<String>,
    /// The lock and the client that the witness is about, if it is about one.
    pub(crate) subject: Option<(LockId, NodeId)>,
}

impl Flag {
    /// Returns the names of the invariants, such as "S2, S4".
    pub(crate) fn names(&self) -> String {
        let names = self.lines.iter().filter_map(|line| line.split(' ').next());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The violated invariants with their witnesses.
type Violated = Vec<(Invariant, RecordId)>;

/// The flags of a timeline. Their words can depend on the whole trace, and pictures are drawn 60
/// times a second, so they are computed again only after another violation.
#[derive(Default)]
pub(super) struct FlagCache(RefCell<(Violated, Rc<Vec<Flag>>)>);

impl Timeline {
    /// Returns the flags of the violations that may be shown, in the order of time.
    pub(crate) fn flags(&self) -> Rc<Vec<Flag>> {
        let violated = self.violated();
        let mut cache = self.flag_cache.0.borrow_mut();
        if cache.0 != violated {
            let flags = Rc::new(self.compute_flags(&violated));
            *cache = (violated, flags);
        }
        Rc::clone(&cache.1)
    }

    fn compute_flags(&self, violated: &[(Invariant, RecordId)]) -> Vec<Flag> {
        let explainer =
            Explainer::new(self.run(), self.trace()).with_time_labels(self.time_display());
        let intervals = self.intervals();
        let mut flags: Vec<Flag> = Vec::new();
        for (invariant, record) in violated.iter().copied() {
            let line = explainer.flag(invariant, record);
            if let Some(flag) = flags.iter_mut().find(|flag| flag.record == record) {
                flag.lines.push(line);
                continue;
            }
            let Some(at) = explainer.record(record).map(|it| it.at) else { continue };
            let subject = subject(&intervals, record, at);
            let index = flags.partition_point(|it| (it.at, it.record) < (at, record));
            flags.insert(index, Flag { at, record, lines: vec![line], subject });
        }
        flags
    }
}

/// Returns the lock and the client of the mark or interval that a record is drawn as.
fn subject(intervals: &Intervals, record: RecordId, at: VirtualTime) -> Option<(LockId, NodeId)> {
    let marks = intervals.marks.iter().rev().filter(|it| it.lock != LockId::NONE);
    let mark = marks.map(|it| (it.record, (it.lock, it.client)));
    let tenures = intervals.tenures.iter().rev();
    let tenure = tenures.clone().map(|it| (it.record, (it.lock, it.client)));
    let belief = intervals.beliefs.iter().rev().map(|it| (it.record, (it.lock, it.client)));
    let drawn = mark.chain(tenure).chain(belief).find(|(it, _)| *it == record);
    // Or else of the tenure that ends with it.
    let ended = || tenures.clone().find(|it| it.until == Some(at)).map(|it| (it.lock, it.client));
    drawn.map(|(_, subject)| subject).or_else(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    #[test]
    fn stale_append_is_described_in_words() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let timeline = Timeline::new(scenario.run_without(&[Protection::Fencing].into()));
        let flags = timeline.flags();
        assert_eq!(flags.len(), 1, "one record violates both: {flags:#?}");
        assert_eq!(flags[0].lines[0], "S2 · token went backwards: 1 after 2");
        assert!(flags[0].lines[1].starts_with("S4 · "), "{flags:#?}");
        assert_eq!(flags[0].names(), "S2, S4");
        assert_eq!(flags[0].subject, Some((LockId(0), NodeId(1))));
        assert!(Rc::ptr_eq(&flags, &timeline.flags()), "computed once");
    }
}
