//! The state of a search for a violation. The search itself runs in a worker.

use leasehold_sim::{
    Intervention, Invariant, RecordId, Run, Scenario, SearchLimits, SearchProgress, SearchStage,
    Story, World,
};

use crate::feed::search_protocol::{SearchReport, SearchRequest};

/// The settings, progress and result of a search.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ViolationSearch {
    pub(crate) limits: SearchLimits,
    pub(crate) is_running: bool,
    pub(crate) text: String,
    pub(crate) found: Option<SearchResult>,
    progress: Option<SearchProgress>,
    /// States per second since the last report.
    states_per_second: Option<u64>,
    /// The duration of the current round, in milliseconds. A round has a fixed number of faults.
    round_elapsed_ms: f64,
}

/// A violation that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SearchResult {
    pub(crate) run: Run,
    pub(crate) invariant: Invariant,
    /// The story of the violation, one step per line.
    pub(crate) steps: Vec<String>,
    pub(crate) why_minimal: String,
}

impl ViolationSearch {
    pub(crate) fn new() -> Self {
        let limits = SearchLimits { faults_max: 2, ..SearchLimits::default() };
        let text = String::new();
        Self {
            limits,
            is_running: false,
            text,
            found: None,
            progress: None,
            states_per_second: None,
            round_elapsed_ms: 0.0,
        }
    }

    /// Starts a search. Returns the request for the worker.
    pub(crate) fn start(&mut self, run: &Run, scenario: &Scenario) -> SearchRequest {
        (self.is_running, self.found, self.progress) = (true, None, None);
        self.round_elapsed_ms = 0.0;
        self.set_text("0 states so far");
        // A violation by the scenario's own interventions would not be a finding.
        let scenario_interventions = &scenario.interventions;
        let mut run = run.clone();
        run.interventions.retain(|it| !scenario_interventions.contains(it));
        SearchRequest { run, limits: self.limits.clone() }
    }

    /// Handles a report that arrived `elapsed_ms` after the previous one.
    pub(crate) fn update(&mut self, report: SearchReport, elapsed_ms: f64) {
        let previous_states = self.progress.map_or(0, |progress| progress.states);
        let states = report.progress.states.saturating_sub(previous_states);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rough figure"
        )]
        let states_per_second =
            (elapsed_ms > 1.0).then(|| (states as f64 * 1_000.0 / elapsed_ms) as u64);
        self.states_per_second = states_per_second.or(self.states_per_second);
        let is_same_round = self.progress.is_some_and(|it| it.faults == report.progress.faults);
        self.round_elapsed_ms =
            if is_same_round { self.round_elapsed_ms + elapsed_ms } else { elapsed_ms };
        self.progress = Some(report.progress);
        self.is_running = report.stage == SearchStage::Searching;
        self.text = report.text;
        self.found = report.found.and_then(SearchResult::new);
    }

    pub(crate) fn set_text(&mut self, text: &str) {
        text.clone_into(&mut self.text);
    }

    pub(crate) fn stop(&mut self) {
        self.is_running = false;
        self.text = format!("stopped: {}", self.text);
    }

    /// Returns the progress of the current round in per cent, if it is known.
    pub(crate) fn percent(&self) -> Option<f64> {
        let progress = self.progress.filter(|progress| progress.parents > 0)?;
        #[allow(clippy::cast_precision_loss, reason = "a bar on the screen")]
        Some(progress.parents_done as f64 * 100.0 / progress.parents as f64)
    }

    /// Describes the speed of the search and the estimated time left in this round.
    pub(crate) fn rate_text(&self) -> String {
        let states_per_second = self
            .states_per_second
            .map(|states_per_second| format!(", {} k states/s", states_per_second / 1_000));
        let percent = self.percent().filter(|percent| (2.0..100.0).contains(percent));
        let remaining_ms =
            percent.map(|percent| self.round_elapsed_ms / percent * (100.0 - percent));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
        let left = remaining_ms.map(|ms| ms as u64 / 1_000 + 1);
        let left = left.map(|left| format!("; about {left} s left in this round"));
        states_per_second.unwrap_or_default() + &left.unwrap_or_default()
    }
}

impl SearchResult {
    fn new(run: Run) -> Option<Self> {
        let outcome = run.execute_until_violation();
        let (invariant, witness) = outcome.first_violation?;
        let story = Story::from_violation(&run, &outcome.trace, &[(invariant, witness)]);
        let steps = story.entries.iter().map(|part| format!("{}  {}", part.at, part.sentence));
        let mut steps: Vec<String> = steps.collect();
        let explanation = story.entries.last().and_then(|part| part.violations.first());
        steps.extend(
            explanation
                .map(|(invariant, explanation)| format!("{invariant} violated: {explanation}")),
        );
        let why_minimal = why_minimal(&run, invariant, witness);
        Some(Self { run, invariant, steps, why_minimal })
    }

    /// Returns a scenario named "found" with this run.
    pub(crate) fn scenario(&self) -> Option<Scenario> {
        Scenario::from_violating_run("found", &self.run)
    }
}

/// Describes whether each intervention is needed for the violation.
fn why_minimal(run: &Run, invariant: Invariant, witness: RecordId) -> String {
    let is_needed = |it: &Intervention| {
        let mut reduced_run = run.clone();
        reduced_run.interventions.retain(|other| other != it);
        let mut world = World::new(reduced_run);
        let mut records = Vec::new();
        while world.record_count() <= witness.0 + 50 && world.step(&mut records) {}
        world.checkers().status(invariant).witness().is_none()
    };
    match run.interventions.len() {
        0 => "No fault is needed: the violation happens without any.".to_owned(),
        1 if run.interventions.iter().all(is_needed) => {
            "Without that fault nothing is violated.".to_owned()
        }
        count if run.interventions.iter().all(is_needed) => {
            format!("Each of the {count} interventions is needed for the violation.")
        }
        _ => "No run with fewer faults violates it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Search};

    #[test]
    fn found_violation_is_explained_and_playable() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let run = scenario.run_without(&[Protection::Fencing].into());
        let mut search = ViolationSearch::new();
        let request = search.start(&run, &scenario);
        assert!(request.run.interventions.is_empty() && search.is_running);
        let mut worker_search = Search::new(request.run, request.limits);
        while worker_search.explore(1_000) == SearchStage::Searching {
            search.update(SearchReport::from_search(&worker_search), 10.0);
            assert!(search.is_running && search.found.is_none());
        }
        search.update(SearchReport::from_search(&worker_search), 10.0);
        let found = search.found.as_ref().unwrap();
        assert!(found.steps.last().unwrap().contains(" violated: "), "{found:#?}");
        assert_eq!(found.why_minimal, "Without that fault nothing is violated.");
        let saved = found.scenario().unwrap();
        assert!(saved.expected[0].violated.contains(&found.invariant));
    }

    #[test]
    fn remaining_time_of_a_round_is_estimated() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let mut search = ViolationSearch::new();
        let request = search.start(&scenario.resolve_run(), &scenario);
        let worker_search = Search::new(request.run, request.limits);
        let progress =
            SearchProgress { parents: 100, parents_done: 20, ..worker_search.progress() };
        search.update(
            SearchReport { progress, ..SearchReport::from_search(&worker_search) },
            10_000.0,
        );
        assert!(
            search.rate_text().ends_with("; about 41 s left in this round"),
            "{}",
            search.rate_text()
        );
    }

    #[test]
    fn unsuccessful_search_reports_its_limits() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let mut search = ViolationSearch::new();
        search.limits = SearchLimits { faults_max: 0, ..search.limits };
        let request = search.start(&scenario.resolve_run(), &scenario);
        let mut worker_search = Search::new(request.run, request.limits);
        while worker_search.explore(10_000) == SearchStage::Searching {}
        search.update(SearchReport::from_search(&worker_search), 10.0);
        assert!(search.text.starts_with("none with at most 0 faults and "), "{}", search.text);
        assert_eq!(search.found, None);
    }
}
