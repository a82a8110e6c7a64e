//! Scenarios that are generated from a run, such as one that a search has found.

use std::collections::BTreeSet;

use super::{
    Choice, Expected, Measure, Question, RecordSelector, Scenario, ScenarioGroup, Stop, Value,
};
use crate::check::Invariant;
use crate::run::Run;
use crate::trace::{Record, RecordId};

/// The maximum length of a run that becomes a scenario, in records.
const RECORDS_MAX: u32 = 200_000;

impl Scenario {
    /// Returns a scenario for a run that has none. If the run violates an invariant, the violation
    /// is the scenario's point.
    pub fn for_any_run(name: &str, run: &Run) -> Self {
        Self::from_violating_run(name, run).unwrap_or_else(|| Self::from_run(name, run))
    }

    /// Returns a scenario that stops at the first violation of a run, and asks whether there is
    /// one.
    ///
    /// Returns `None` if the run violates nothing, or is too long for a lecture.
    pub fn from_violating_run(name: &str, run: &Run) -> Option<Self> {
        let violated = run.execute_within(RECORDS_MAX)?.checkers().violations();
        let (invariant, witness) = *violated.first()?;
        let trace = run.execute().trace;
        let at = selector_for(&trace, witness)?;
        let mut violated_set = BTreeSet::new();
        violated_set.extend(violated.iter().map(|(invariant, _)| *invariant));
        let count = run.interventions.len();
        let sentence = invariant.sentence();
        let (yes_answer, no_answer) = (Value::Text("yes".to_owned()), Value::Text("no".to_owned()));
        let choice = |text: &str, equals: Value| Choice {
            text: text.to_owned(),
            equals: Some(equals),
            at_least: None,
            below: None,
        };
        Some(Self {
            name: name.to_owned(),
            title: format!("Found: {invariant} violated"),
            group: ScenarioGroup::default(),
            point: format!("This run violates {invariant}: {sentence}."),
            switches: run.without.iter().copied().collect(),
            config: run.config.clone(),
            seed: run.seed,
            without: run.without.clone(),
            interventions: run.interventions.clone(),
            stops: vec![Stop {
                at: at.clone(),
                caption: format!("{invariant} is violated here: {sentence}."),
            }],
            question: Question {
                at: selector_for(&trace, RecordId(0))?,
                text: format!("Is {invariant} violated in this run?"),
                measure: Measure::Violated { invariant },
                options: vec![choice("yes", yes_answer), choice("no", no_answer)],
                reveal: None,
                explanation: format!("The run contains {count} interventions. Each can be undone."),
            },
            goal: None,
            hints: Vec::new(),
            expected: vec![Expected {
                without: run.without.clone(),
                violated: violated_set,
                holds: BTreeSet::new(),
            }],
        })
    }

    /// Returns a scenario for an arbitrary run, which asks whether the run satisfies S4.
    pub fn from_run(name: &str, run: &Run) -> Self {
        let invariant = Invariant::S4;
        let choice = |text: &str, answer: &str| Choice {
            text: text.to_owned(),
            equals: Some(Value::Text(answer.to_owned())),
            at_least: None,
            below: None,
        };
        Self {
            name: name.to_owned(),
            title: "Imported run".to_owned(),
            group: ScenarioGroup::default(),
            point: "This run was opened from a file or a link.".to_owned(),
            switches: run.without.iter().copied().collect(),
            config: run.config.clone(),
            seed: run.seed,
            without: run.without.clone(),
            interventions: run.interventions.clone(),
            stops: Vec::new(),
            question: Question {
                at: RecordSelector { kind: "started".to_owned(), ..RecordSelector::default() },
                text: format!("Does this run satisfy {invariant}: {}?", invariant.sentence()),
                measure: Measure::Violated { invariant },
                options: vec![choice("yes", "no"), choice("no", "yes")],
                reveal: None,
                explanation: format!("{invariant}: {}.", invariant.sentence()),
            },
            goal: None,
            hints: Vec::new(),
            expected: Vec::new(),
        }
    }
}

/// Returns a selector that matches a record, by kind, node and count.
fn selector_for(trace: &[Record], record_id: RecordId) -> Option<RecordSelector> {
    let record = trace.get(record_id.index()?)?;
    let selector = RecordSelector {
        kind: record.kind.code().to_owned(),
        node: Some(record.node),
        ..RecordSelector::default()
    };
    let before = trace.iter().take(record_id.index()?).filter(|it| selector.matches(it)).count();
    let nth = if before == 0 { 0 } else { u32::try_from(before + 1).ok()? };
    Some(RecordSelector { nth, ..selector })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::Protection;

    #[test]
    fn scenario_from_a_violating_run_replays_it_and_stops_at_the_violation() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        assert_eq!(Scenario::from_violating_run("calm", &scenario.resolve_run()), None);
        let run = scenario.run_without(&[Protection::Fencing].into());
        let found = Scenario::from_violating_run("found", &run).unwrap();
        assert_eq!(found.resolve_run(), run);
        let outcome = run.execute();
        let (invariant, witness) = outcome.first_violation.unwrap();
        assert_eq!(found.stops[0].at.find(&outcome.trace), Some(witness));
        assert!(found.expected[0].violated.contains(&invariant));
        let json = serde_json::to_string_pretty(&found).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), found);
    }
}
