//! A run, or what led to a violation, as a story that one reads from top to bottom.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::Invariant;
use super::explain::Teller;
use super::interest::Interest;
use super::run::Run;
use super::trace::{Kind, Record, RecordNo};

/// A story: what mattered, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its parts.
    pub parts: Vec<Part>,
}

/// One thing that mattered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The record.
    pub record: RecordNo,
    /// When, in the world: `12.4 s`.
    pub at: String,
    /// What happened.
    pub sentence: String,
    /// Why.
    pub because: Option<String>,
    /// What it violates, and how.
    pub violates: Vec<(Invariant, String)>,
}

impl Story {
    /// What mattered in a whole run, at least so much, and what was violated in it.
    pub fn of_run(
        run: &Run,
        trace: &[Record],
        violated: &[(Invariant, RecordNo)],
        least: Interest,
    ) -> Self {
        let places = (0_u32..).zip(trace);
        let fit = places.filter(|(_, record)| Interest::of(record) >= least);
        let mut chosen = BTreeSet::new();
        chosen.extend(fit.map(|(place, _)| RecordNo(place)));
        Self::tell(run, trace, violated, chosen)
    }

    /// What led to the first violation: the records that it rests on, directly or not.
    pub fn of_violation(run: &Run, trace: &[Record], violated: &[(Invariant, RecordNo)]) -> Self {
        let Some((invariant, witness)) = violated.first() else {
            return Self { parts: Vec::new() };
        };
        let teller = Teller::new(run, trace);
        let mut chosen: BTreeSet<RecordNo> = BTreeSet::new();
        // What a reason speaks of belongs to the story too.
        let mut open = vec![*witness];
        let violation = teller.violation(*invariant, *witness);
        open.extend(violation.into_iter().flat_map(|it| it.rests_on));
        while let Some(no) = open.pop() {
            for cause in teller.chain(no) {
                if chosen.insert(cause) {
                    let told = teller.tell(cause).into_iter().flat_map(|told| told.causes);
                    open.extend(told.filter(|cause| cause < witness));
                }
            }
        }
        // Faults are what it is about, whether they caused anything that was written down or not.
        let places = (0_u32..).zip(trace).map(|(place, record)| (RecordNo(place), record));
        let faults = places
            .take_while(|(no, _)| no < witness)
            .filter(|(_, record)| Interest::of(record) == Interest::Fault || ends_a_tenure(record));
        chosen.extend(faults.map(|(no, _)| no));
        chosen.retain(|no| {
            teller.record(*no).is_some_and(|record| Interest::of(record) >= Interest::Release)
        });
        chosen.insert(*witness);
        Self::tell(run, trace, &violated[..1], chosen)
    }

    fn tell(
        run: &Run,
        trace: &[Record],
        violated: &[(Invariant, RecordNo)],
        mut chosen: BTreeSet<RecordNo>,
    ) -> Self {
        chosen.extend(violated.iter().map(|(_, witness)| *witness));
        let teller = Teller::new(run, trace);
        let parts = chosen.iter().filter_map(|&no| {
            let told = teller.tell(no)?;
            let at = teller.record(no)?.at.to_string();
            let mine = violated.iter().filter(|(_, witness)| *witness == no);
            let violates = mine
                .map(|(invariant, witness)| {
                    let violation = teller.violation(*invariant, *witness);
                    (*invariant, violation.map_or_else(String::new, |it| it.text))
                })
                .collect();
            Some(Part {
                record: no,
                at,
                sentence: told.sentence(),
                because: told.because,
                violates,
            })
        });
        Self { parts: parts.collect() }
    }

    /// The story as text, one part below the other.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            // Writing to a string can't fail.
            let mark = if part.violates.is_empty() { ' ' } else { '✗' };
            writeln!(text, "{mark} {:>7}  {}", part.at, part.sentence).ok();
            if let Some(because) = &part.because {
                writeln!(text, "             because {because}").ok();
            }
            for (invariant, how) in &part.violates {
                let rule = invariant.sentence();
                writeln!(text, "           ✗ {invariant} is violated: {how}").ok();
                writeln!(text, "             {invariant} says: {rule}").ok();
            }
        }
        text
    }
}

const fn ends_a_tenure(record: &Record) -> bool {
    matches!(record.kind, Kind::LockReleased { .. } | Kind::LockGranted { .. })
}
