//! Violations in words, for the flags on the pictures.

use leasehold_sim::{Invariant, LockId, NodeId, RecordId, VirtualTime};

use super::intervals::{Intervals, Mark, MarkKind, Tenure};

/// The violations that one record shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) at: VirtualTime,
    /// The witness.
    pub(crate) record: RecordId,
    /// One line for each violated invariant, such as "S2 · token order broken".
    pub(crate) titles: Vec<String>,
    /// What happened, such as "#1 written after #2"; can be empty.
    pub(crate) detail: String,
    /// The lock and the client that the witness is about, if it is about one.
    pub(crate) subject: Option<(LockId, NodeId)>,
}

impl Flag {
    /// Returns the names of the invariants, such as "S2 S4".
    pub(crate) fn names(&self) -> String {
        let names = self.titles.iter().filter_map(|title| title.split(' ').next());
        names.collect::<Vec<_>>().join(" ")
    }
}

/// Returns the flags of violations, in the order of time. `name` returns the name of a node.
pub(crate) fn flags(
    violations: &[(Invariant, VirtualTime, RecordId)],
    intervals: &Intervals,
    name: impl Fn(NodeId) -> String,
) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    for (invariant, at, record) in violations {
        let title = format!("{invariant} · {}", in_words(*invariant));
        if let Some(flag) = flags.iter_mut().find(|flag| flag.record == *record) {
            flag.titles.push(title);
            continue;
        }
        let witness = Witness::new(intervals, *record, *at);
        flags.push(Flag {
            at: *at,
            record: *record,
            titles: vec![title],
            detail: witness.detail(intervals, &name),
            subject: witness.subject(),
        });
    }
    flags.sort_by_key(|flag| (flag.at, flag.record));
    flags
}

/// Returns what it means that the invariant is violated.
const fn in_words(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::S1 => "two tenures at once",
        Invariant::S2 => "token order broken",
        Invariant::S3 => "not exactly once",
        Invariant::S4 => "written without the lock",
        Invariant::S5 => "acknowledged, then lost",
        Invariant::S6 => "another client's release",
        Invariant::S7 => "false belief",
        Invariant::S8 => "queue order broken",
        Invariant::L1 => "dead holder not freed",
        Invariant::L2 => "a client waits for ever",
    }
}

/// What a witness is, as far as the intervals show it.
enum Witness<'a> {
    Append(&'a Mark),
    Grant(&'a Tenure),
    Belief {
        lock: LockId,
        client: NodeId,
    },
    /// The end of a tenure.
    End(&'a Tenure),
    Other,
}

impl<'a> Witness<'a> {
    fn new(intervals: &'a Intervals, record: RecordId, at: VirtualTime) -> Self {
        let mark = intervals.marks.iter().rev().find(|it| it.record == record);
        if let Some(mark) = mark.filter(|it| it.lock != LockId::NONE) {
            return Self::Append(mark);
        }
        if let Some(tenure) = intervals.tenures.iter().rev().find(|it| it.record == record) {
            return Self::Grant(tenure);
        }
        if let Some(belief) = intervals.beliefs.iter().rev().find(|it| it.record == record) {
            return Self::Belief { lock: belief.lock, client: belief.client };
        }
        let ended = intervals.tenures.iter().rev().find(|it| it.until == Some(at));
        ended.map_or(Self::Other, Self::End)
    }

    fn subject(&self) -> Option<(LockId, NodeId)> {
        match self {
            Self::Append(mark) => Some((mark.lock, mark.client)),
            Self::Grant(tenure) | Self::End(tenure) => Some((tenure.lock, tenure.client)),
            Self::Belief { lock, client } => Some((*lock, *client)),
            Self::Other => None,
        }
    }

    fn detail(&self, intervals: &Intervals, name: &impl Fn(NodeId) -> String) -> String {
        match self {
            Self::Append(mark) => {
                let earlier = intervals.marks.iter().filter(|it| {
                    it.lock == mark.lock && it.kind == MarkKind::Appended && it.record < mark.record
                });
                let highest = earlier.map(|it| it.token).max();
                match highest {
                    Some(highest) if highest > mark.token => {
                        format!("#{} written after #{highest}", mark.token)
                    }
                    Some(_) | None => format!("{} writes with #{}", name(mark.client), mark.token),
                }
            }
            Self::Grant(tenure) => format!("#{} granted to {}", tenure.token, name(tenure.client)),
            Self::Belief { client, .. } => name(*client),
            Self::End(tenure) => format!("#{} of {} has ended", tenure.token, name(tenure.client)),
            Self::Other => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    #[test]
    fn stale_append_is_described_in_words() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let outcome = scenario.run_without(&[Protection::Fencing].into()).execute();
        let mut intervals = Intervals::default();
        intervals.extend_from(&outcome.trace);
        let violations: Vec<_> = outcome
            .violations()
            .into_iter()
            .map(|(invariant, record)| {
                (invariant, outcome.trace[record.index().unwrap()].at, record)
            })
            .collect();
        let flags = flags(&violations, &intervals, |node| format!("client_{}", node.0));
        assert_eq!(flags.len(), 1, "one record violates both: {flags:#?}");
        assert_eq!(flags[0].titles, ["S2 · token order broken", "S4 · written without the lock"]);
        assert_eq!((&*flags[0].detail, &*flags[0].names()), ("#1 written after #2", "S2 S4"));
        assert_eq!(flags[0].subject, Some((LockId(0), NodeId(1))));
    }

    #[test]
    fn titles_are_short() {
        for invariant in Invariant::ALL {
            assert!(format!("{invariant} · {}", in_words(invariant)).chars().count() <= 40);
        }
    }
}
