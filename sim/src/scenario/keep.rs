//! Keeping a run that was found as a scenario of its own.

use std::collections::BTreeSet;

use super::{Choice, Expected, Mark, Measure, Question, Scenario, Stop, Value};
use crate::check::Invariant;
use crate::run::Run;
use crate::trace::{Record, RecordNo};

/// Longer runs are not gone through to their end.
const RECORDS_MAX: u32 = 200_000;

impl Scenario {
    /// A scenario of a run that violates something: it stops where it does, and asks for it.
    /// Nothing where it violates nothing, or is longer than one would go through in a lecture.
    pub fn keep(name: &str, run: &Run) -> Option<Self> {
        let violated = run.end_within(RECORDS_MAX)?.checks().violated();
        let (invariant, witness) = *violated.first()?;
        let trace = run.go().trace;
        let at = mark_of(&trace, witness)?;
        let mut broken = BTreeSet::new();
        broken.extend(violated.iter().map(|(invariant, _)| *invariant));
        let count = run.interventions.len();
        let sentence = invariant.sentence();
        let (yes, no) = (Value::Word("yes".to_owned()), Value::Word("no".to_owned()));
        let choice = |text: &str, is: Value| Choice {
            text: text.to_owned(),
            is: Some(is),
            from: None,
            below: None,
        };
        Some(Self {
            name: name.to_owned(),
            title: format!("Found: {invariant} is violated"),
            point: format!("{invariant} says: {sentence}. Here it is not so."),
            switches: run.without.iter().copied().collect(),
            config: run.config.clone(),
            seed: run.seed,
            without: run.without.clone(),
            interventions: run.interventions.clone(),
            stops: vec![Stop {
                at: at.clone(),
                caption: format!("Here {invariant} is violated: {sentence}."),
            }],
            question: Question {
                at: mark_of(&trace, RecordNo(0))?,
                ask: format!("Is {invariant} violated in this run?"),
                measure: Measure::Violated { invariant },
                options: vec![choice("yes", yes), choice("no", no)],
                why: format!("It takes {count} interventions; each of them can be undone."),
            },
            goal: None,
            expected: vec![Expected {
                without: run.without.clone(),
                violated: broken,
                holds: BTreeSet::new(),
            }],
        })
    }
}

impl Scenario {
    /// A scenario around a run of which nothing special is known: it asks whether it is right.
    pub fn around(name: &str, run: &Run) -> Self {
        let invariant = Invariant::S4;
        let choice = |text: &str, word: &str| Choice {
            text: text.to_owned(),
            is: Some(Value::Word(word.to_owned())),
            from: None,
            below: None,
        };
        Self {
            name: name.to_owned(),
            title: "A run from elsewhere".to_owned(),
            point: "Somebody has sent it.".to_owned(),
            switches: run.without.iter().copied().collect(),
            config: run.config.clone(),
            seed: run.seed,
            without: run.without.clone(),
            interventions: run.interventions.clone(),
            stops: Vec::new(),
            question: Question {
                at: Mark { kind: "started".to_owned(), ..Mark::default() },
                ask: format!("Is it so in this run that {}?", invariant.sentence()),
                measure: Measure::Violated { invariant },
                options: vec![choice("yes", "no"), choice("no", "yes")],
                why: format!("{invariant} says that {}.", invariant.sentence()),
            },
            goal: None,
            expected: Vec::new(),
        }
    }
}

/// How a record is pointed at.
fn mark_of(trace: &[Record], no: RecordNo) -> Option<Mark> {
    let record = trace.get(no.place()?)?;
    let mark =
        Mark { kind: record.kind.name().to_owned(), node: Some(record.node), ..Mark::default() };
    let before = trace.iter().take(no.place()?).filter(|it| mark.fits(it)).count();
    let nth = if before == 0 { 0 } else { u32::try_from(before + 1).ok()? };
    Some(Mark { nth, ..mark })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::Protection;

    #[test]
    fn what_is_kept_is_the_same_run_and_stops_at_its_violation() {
        let scenario = Scenario::named("gc-pause").unwrap();
        assert_eq!(Scenario::keep("calm", &scenario.run()), None);
        let run = scenario.run_without(&[Protection::Fencing].into());
        let kept = Scenario::keep("found", &run).unwrap();
        assert_eq!(kept.run(), run);
        let outcome = run.go();
        let (invariant, witness) = outcome.violated.unwrap();
        assert_eq!(kept.stops[0].at.find(&outcome.trace), Some(witness));
        assert!(kept.expected[0].violated.contains(&invariant));
        let json = serde_json::to_string_pretty(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), kept);
    }
}
