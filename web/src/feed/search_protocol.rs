//! The messages between the page and the worker that searches for a violation.
//!
//! Both sides are the same build, so the JSON may change.

use leasehold_sim::{Run, Search, SearchLimits, SearchProgress, SearchStage};
use serde::{Deserialize, Serialize};

/// The search that the worker starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchRequest {
    pub(crate) run: Run,
    pub(crate) limits: SearchLimits,
}

/// The progress of a search, and its result when it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchReport {
    pub(crate) stage: SearchStage,
    pub(crate) progress: SearchProgress,
    /// The progress as a sentence.
    pub(crate) text: String,
    /// A run that violates an invariant. Set only after the search has ended.
    pub(crate) found: Option<Run>,
}

/// What the page learns from the worker.
pub(crate) enum WorkerEvent {
    /// A [`SearchReport`] as JSON.
    Report(String),
    /// The worker could not be loaded, or sent something that is not text.
    Failed,
    /// The browser does not allow workers here.
    Unavailable,
}

impl SearchReport {
    pub(crate) fn from_search(search: &Search) -> Self {
        let is_finished = search.stage() != SearchStage::Searching;
        let found = search.found().filter(|_| is_finished).map(|found| found.run.clone());
        Self { stage: search.stage(), progress: search.progress(), text: search.to_string(), found }
    }
}
