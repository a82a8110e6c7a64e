//! Scenarios: runs with something to teach, each a data file.
//!
//! A file says what is run, where to stop and look, what to ask, and which invariants are expected
//! to be violated with the protections on and off. The answer to the question is not in the file:
//! it is computed from the run, so it stays right when somebody changes the run.

mod from_run;
mod measure;
mod record_selector;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::check::Invariant;
use super::protection::Protection;
use super::run::{Config, Intervention, Run};

pub use measure::{Measure, Value};
pub use record_selector::RecordSelector;

/// A run that has something to teach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, as in links and commands.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What it teaches, in one line.
    pub point: String,
    /// The protections that it is about: those that one switches off to see why they are there.
    pub switches: Vec<Protection>,
    /// What the world is made of.
    pub config: Config,
    /// Decides every draw of luck.
    pub seed: u64,
    /// The protections that are off from the start.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<Protection>,
    /// What is done to it.
    #[serde(default)]
    pub interventions: Vec<Intervention>,
    /// Where to stop and look.
    pub stops: Vec<Stop>,
    /// What to ask.
    pub question: Question,
    /// What is to be reached by whoever plays with it; unset where there is nothing to win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// What is violated, and what demonstrably holds, with protections on and off.
    pub expected: Vec<Expected>,
}

/// A moment to stop at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Which: behind the record that this points out.
    pub at: RecordSelector,
    /// What there is to see, in a line.
    pub caption: String,
}

/// A question, to be asked before the answer has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// When it is asked: behind this record.
    pub at: RecordSelector,
    /// The question.
    #[serde(rename = "ask")]
    pub text: String,
    /// By what it is answered.
    pub measure: Measure,
    /// What there is to choose from.
    pub options: Vec<Choice>,
    /// What one says when the answer is out, in a sentence or two.
    #[serde(rename = "why")]
    pub explanation: String,
}

/// One answer to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// As it is read.
    pub text: String,
    /// It is right where the measure has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "is")]
    pub equals: Option<Value>,
    /// It is right where the measure is at least this …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "from")]
    pub at_least: Option<u64>,
    /// … and less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u64>,
}

/// Something to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What is to be violated.
    pub violate: Invariant,
    /// With how many faults at most.
    pub faults_max: usize,
}

/// What comes of the run without some protections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Those that are off.
    pub without: BTreeSet<Protection>,
    /// All that is violated.
    pub violated: BTreeSet<Invariant>,
    /// What could have been violated, and is not.
    pub holds: BTreeSet<Invariant>,
}

impl Scenario {
    /// The run, as the file says.
    pub fn resolve_run(&self) -> Run {
        self.run_without(&self.without)
    }

    /// The run without these protections.
    pub fn run_without(&self, without: &BTreeSet<Protection>) -> Run {
        Run {
            config: self.config.clone(),
            seed: self.seed,
            without: without.clone(),
            interventions: self.interventions.clone(),
        }
    }

    /// The scenario of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        library().into_iter().find(|scenario| scenario.name == name)
    }
}

impl Choice {
    /// Whether it is right where a measure has this value.
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
        /// The files, in the order in which they are taught.
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
}

/// All scenarios, in the order in which they are taught.
///
/// # Panics
///
/// When a file that was built in is not one, which the tests rule out.
pub fn library() -> Vec<Scenario> {
    let read = |(name, json): &(&str, &str)| match serde_json::from_str(json) {
        Ok(scenario) => scenario,
        Err(error) => panic!("the scenario {name}: {error}"),
    };
    LIBRARY.iter().map(read).collect()
}
