//! Scenarios: runs for teaching, each one a data file.
//!
//! A file contains the run, the stops with their captions, a question, and the invariants that are
//! expected to be violated with the protections enabled and disabled. The answer to the question is
//! not in the file: it is computed from the run, so it stays correct if the run is edited.

mod from_run;
mod group;
mod measure;
mod record_selector;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::check::Invariant;
use super::protection::Protection;
use super::run::{Config, Intervention, Run};
use super::trace::{Record, RecordId};
use super::world::World;

pub use group::{ScenarioGroup, groups_of, next_in_teaching_order};
pub use measure::{Measure, Value};
pub use record_selector::RecordSelector;

/// A run for teaching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name that links and commands use.
    pub name: String,
    /// The title.
    pub title: String,
    /// The group of the library that it belongs to.
    #[serde(default)]
    pub group: ScenarioGroup,
    /// The lesson, in one line.
    pub point: String,
    /// The protections that the scenario is about: a lecture disables them to show their purpose.
    pub switches: Vec<Protection>,
    /// The configuration of the run.
    pub config: Config,
    /// The seed of all random decisions.
    pub seed: u64,
    /// The protections that are disabled from the start.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<Protection>,
    /// The faults and other interventions.
    #[serde(default)]
    pub interventions: Vec<Intervention>,
    /// The stops, in order of time.
    pub stops: Vec<Stop>,
    /// The question to the audience.
    pub question: Question,
    /// The goal of a scenario that is a puzzle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Hints for the puzzle, each one more explicit than the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The expected results, with protections enabled and disabled.
    pub expected: Vec<Expected>,
}

/// A record at which playback stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The record: playback stops after it.
    pub at: RecordSelector,
    /// The caption, in one line.
    pub caption: String,
}

/// A question that is asked before the run shows the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The record after which the question is asked.
    pub at: RecordSelector,
    /// The question.
    #[serde(rename = "ask")]
    pub text: String,
    /// The measure whose value is the answer.
    pub measure: Measure,
    /// The answers to choose from.
    pub options: Vec<Choice>,
    /// The record that shows the answer to a viewer, if it is not the one that the measure implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveal: Option<RecordSelector>,
    /// The explanation of the answer, in one or two sentences.
    #[serde(rename = "why")]
    pub explanation: String,
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The text of the answer.
    pub text: String,
    /// The answer is correct if the measure has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "is")]
    pub equals: Option<Value>,
    /// The answer is correct if the measure is at least this …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "from")]
    pub at_least: Option<u64>,
    /// … and less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u64>,
}

/// The goal of a puzzle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The invariant to violate.
    pub violate: Invariant,
    /// The maximum number of faults.
    pub faults_max: usize,
}

/// The expected result of a run without some protections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The disabled protections.
    pub without: BTreeSet<Protection>,
    /// All invariants that are violated.
    pub violated: BTreeSet<Invariant>,
    /// Invariants that the run puts to the test and that hold.
    pub holds: BTreeSet<Invariant>,
}

impl Scenario {
    /// Returns the run with the protections that the file specifies.
    pub fn resolve_run(&self) -> Run {
        self.run_without(&self.without)
    }

    /// Returns the run without these protections.
    pub fn run_without(&self, without: &BTreeSet<Protection>) -> Run {
        Run {
            config: self.config.clone(),
            seed: self.seed,
            without: without.clone(),
            interventions: self.interventions.clone(),
        }
    }

    /// Returns the scenario of the library with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        library().into_iter().find(|scenario| scenario.name == name)
    }
}

impl Question {
    /// Returns the record that shows the answer to a viewer, for a question after the record
    /// `start`. It is never before the record that determines the answer.
    pub fn revealed_at(&self, world: &World, trace: &[Record], start: RecordId) -> RecordId {
        let determined = self.measure.determined_at(world, trace, start);
        let named = self.reveal.as_ref().and_then(|selector| selector.find(trace));
        let shown = named.filter(|record| *record > start);
        shown.unwrap_or_else(|| self.measure.shown_at(trace, start)).max(determined)
    }
}

impl Choice {
    /// Whether the answer is correct if the measure has this value.
    pub fn is_correct(&self, value: &Value) -> bool {
        if let Some(expected) = &self.equals {
            return expected == value;
        }
        let Value::Number(number) = value else { return false };
        self.at_least.is_none_or(|at_least| *number >= at_least)
            && self.below.is_none_or(|below| *number < below)
    }
}

macro_rules! library {
    ($($name:literal,)*) => {
        /// The files of the library, in the order of their numbers.
        const LIBRARY: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("library/", $name, ".json"))),)*];
    };
}

library! {
    "five-clients",
    "fair-waiting",
    "client-crash",
    "crash-after-append",
    "gc-pause",
    "check-then-act",
    "slow-packet",
    "lost-reply",
    "ghost-acquire",
    "late-release",
    "lost-grant",
    "amnesia",
    "token-amnesia",
    "no-grace",
    "ack-before-disk",
    "slow-clock",
    "clock-jump",
    "partition",
    "one-way-partition",
    "thundering-herd",
    "lease-length",
    "sandbox",
    "deadlock",
    "livelock",
    "read-without-lock",
    "heartbeat-burst",
}

/// Returns all scenarios of the library, in the order of their numbers.
///
/// # Panics
///
/// If a built-in file is not a valid scenario, which the tests rule out.
pub fn library() -> Vec<Scenario> {
    let read = |(name, json): &(&str, &str)| match serde_json::from_str(json) {
        Ok(scenario) => scenario,
        Err(error) => panic!("invalid scenario {name}: {error}"),
    };
    LIBRARY.iter().map(read).collect()
}
