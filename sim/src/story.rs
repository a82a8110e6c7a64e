//! A run, or what led to a violation, as a story that one reads from top to bottom.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::Invariant;
use super::explain::Explainer;
use super::importance::Importance;
use super::run::Run;
use super::trace::{Record, RecordId, RecordKind};

/// A story: what mattered, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its parts.
    pub entries: Vec<StoryEntry>,
}

/// One thing that mattered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryEntry {
    /// The record.
    pub record: RecordId,
    /// When, in the world: `12.4 s`.
    pub at: String,
    /// What happened.
    pub sentence: String,
    /// Why.
    pub reason: Option<String>,
    /// What it violates, and how.
    pub violations: Vec<(Invariant, String)>,
}

impl Story {
    /// What mattered in a whole run, at least so much, and what was violated in it.
    pub fn from_run(
        run: &Run,
        trace: &[Record],
        violated: &[(Invariant, RecordId)],
        min_importance: Importance,
    ) -> Self {
        let numbered = (0_u32..).zip(trace);
        let important =
            numbered.filter(|(_, record)| Importance::from_record(record) >= min_importance);
        let mut selected = BTreeSet::new();
        selected.extend(important.map(|(index, _)| RecordId(index)));
        Self::from_records(run, trace, violated, selected)
    }

    /// What led to the first violation: the records that it rests on, directly or not.
    pub fn from_violation(run: &Run, trace: &[Record], violated: &[(Invariant, RecordId)]) -> Self {
        let Some((invariant, witness)) = violated.first() else {
            return Self { entries: Vec::new() };
        };
        let explainer = Explainer::new(run, trace);
        let mut selected: BTreeSet<RecordId> = BTreeSet::new();
        // What a reason speaks of belongs to the story too.
        let mut pending = vec![*witness];
        let violation = explainer.violation(*invariant, *witness);
        pending.extend(violation.into_iter().flat_map(|it| it.evidence));
        while let Some(id) = pending.pop() {
            for cause in explainer.causal_chain(id) {
                if selected.insert(cause) {
                    let causes =
                        explainer.describe(cause).into_iter().flat_map(|causes| causes.causes);
                    pending.extend(causes.filter(|cause| cause < witness));
                }
            }
        }
        // Faults are what it is about, whether they caused anything that was written down or not.
        let numbered = (0_u32..).zip(trace).map(|(index, record)| (RecordId(index), record));
        let faults = numbered.take_while(|(id, _)| id < witness).filter(|(_, record)| {
            Importance::from_record(record) == Importance::Fault || changes_tenure(record)
        });
        selected.extend(faults.map(|(id, _)| id));
        selected.retain(|id| {
            explainer
                .record(*id)
                .is_some_and(|record| Importance::from_record(record) >= Importance::Release)
        });
        selected.insert(*witness);
        Self::from_records(run, trace, &violated[..1], selected)
    }

    fn from_records(
        run: &Run,
        trace: &[Record],
        violated: &[(Invariant, RecordId)],
        mut selected: BTreeSet<RecordId>,
    ) -> Self {
        selected.extend(violated.iter().map(|(_, witness)| *witness));
        let explainer = Explainer::new(run, trace);
        let entries = selected.iter().filter_map(|&id| {
            let description = explainer.describe(id)?;
            let at = explainer.record(id)?.at.to_string();
            let at_record = violated.iter().filter(|(_, witness)| *witness == id);
            let violations = at_record
                .map(|(invariant, witness)| {
                    let violation = explainer.violation(*invariant, *witness);
                    (*invariant, violation.map_or_else(String::new, |it| it.text))
                })
                .collect();
            Some(StoryEntry {
                record: id,
                at,
                sentence: description.sentence(),
                reason: description.reason,
                violations,
            })
        });
        Self { entries: entries.collect() }
    }

    /// The story as text, one part below the other.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            // Writing to a string can't fail.
            let mark = if entry.violations.is_empty() { ' ' } else { '✗' };
            writeln!(text, "{mark} {:>7}  {}", entry.at, entry.sentence).ok();
            if let Some(reason) = &entry.reason {
                writeln!(text, "             because {reason}").ok();
            }
            for (invariant, explanation) in &entry.violations {
                let invariant_text = invariant.sentence();
                writeln!(text, "           ✗ {invariant} is violated: {explanation}").ok();
                writeln!(text, "             {invariant} says: {invariant_text}").ok();
            }
        }
        text
    }
}

const fn changes_tenure(record: &Record) -> bool {
    matches!(record.kind, RecordKind::LockReleased { .. } | RecordKind::LockGranted { .. })
}
