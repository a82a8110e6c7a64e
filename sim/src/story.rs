//! A run, or the causes of a violation, as a list of sentences in the order of time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::Invariant;
use super::explain::Explainer;
use super::importance::Importance;
use super::run::Run;
use super::trace::{Record, RecordId, RecordKind};

/// The important records of a run, in trace order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// One entry for each record.
    pub entries: Vec<StoryEntry>,
}

/// One record of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryEntry {
    /// The record.
    pub record: RecordId,
    /// The virtual time, such as `12.4 s`.
    pub at: String,
    /// The sentence of the record.
    pub sentence: String,
    /// The reason, as a clause that follows "because".
    pub reason: Option<String>,
    /// The invariants that the record is the witness against, each with an explanation.
    pub violations: Vec<(Invariant, String)>,
}

impl Story {
    /// Returns the records of at least this importance, and the witnesses of all violations.
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

    /// Returns the direct and indirect causes of the first violation, and the faults and changes of
    /// tenure before it.
    pub fn from_violation(run: &Run, trace: &[Record], violated: &[(Invariant, RecordId)]) -> Self {
        let Some((invariant, witness)) = violated.first() else {
            return Self { entries: Vec::new() };
        };
        let explainer = Explainer::new(run, trace);
        let mut selected: BTreeSet<RecordId> = BTreeSet::new();
        // Records that a reason refers to are part of the story too.
        let mut pending = vec![*witness];
        let violation = explainer.violation(*invariant, *witness);
        pending.extend(violation.into_iter().flat_map(|it| it.evidence));
        while let Some(id) = pending.pop() {
            for cause in explainer.causal_chain(id) {
                if selected.insert(cause) {
                    let causes = explainer.describe(cause).into_iter().flat_map(|it| it.causes);
                    pending.extend(causes.filter(|cause| cause < witness));
                }
            }
        }
        // A fault may have no recorded effect, such as a packet that was not sent.
        let numbered = (0_u32..).zip(trace).map(|(index, record)| (RecordId(index), record));
        let faults = numbered.take_while(|(id, _)| id < witness).filter(|(_, record)| {
            Importance::from_record(record) == Importance::Fault || changes_tenure(record)
        });
        selected.extend(faults.map(|(id, _)| id));
        let is_important = |id: &RecordId| {
            explainer
                .record(*id)
                .is_some_and(|record| Importance::from_record(record) >= Importance::Release)
        };
        let mut important = BTreeSet::new();
        important.insert(*witness);
        important.extend(selected.into_iter().filter(is_important));
        Self::from_records(run, trace, &violated[..1], important)
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

    /// Formats the story as text, one entry below the other.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            // Writing to a string cannot fail.
            let mark = if entry.violations.is_empty() { ' ' } else { '✗' };
            writeln!(text, "{mark} {:>7}  {}", entry.at, entry.sentence).ok();
            if let Some(reason) = &entry.reason {
                writeln!(text, "             because {reason}").ok();
            }
            for (invariant, explanation) in &entry.violations {
                let invariant_text = invariant.sentence();
                writeln!(text, "           ✗ {invariant} violated: {explanation}").ok();
                writeln!(text, "             {invariant}: {invariant_text}").ok();
            }
        }
        text
    }
}

const fn changes_tenure(record: &Record) -> bool {
    matches!(record.kind, RecordKind::LockReleased { .. } | RecordKind::LockGranted { .. })
}
