//! A search for a violation, as the page knows of it: it goes on elsewhere.

use leasehold_sim::{
    Bounds, Intervention, Invariant, Progress, RecordNo, Run, Scenario, Search, Stage, Story, World,
};
use serde::{Deserialize, Serialize};

/// What the searcher is told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) run: Run,
    pub(crate) bounds: Bounds,
}

/// What it tells now and then, and at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) stage: Stage,
    pub(crate) progress: Progress,
    /// In words.
    pub(crate) text: String,
    pub(crate) found: Option<Run>,
}

impl Report {
    pub(crate) fn of(search: &Search) -> Self {
        let is_over = search.stage() != Stage::Searching;
        let found = search.found().filter(|_| is_over).map(|found| found.run.clone());
        Self { stage: search.stage(), progress: search.progress(), text: search.to_string(), found }
    }
}

/// A search, from its settings to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hunt {
    pub(crate) bounds: Bounds,
    pub(crate) is_running: bool,
    pub(crate) text: String,
    pub(crate) found: Option<Found>,
    progress: Option<Progress>,
    /// States a second, lately.
    pace: Option<u64>,
    /// How long this round has been going on, in milliseconds.
    round_ms: f64,
}

/// A violation that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) run: Run,
    pub(crate) invariant: Invariant,
    /// What happens in it, in a few lines.
    pub(crate) steps: Vec<String>,
    pub(crate) why_minimal: String,
}

impl Hunt {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        let bounds = Bounds { faults_max: 2, ..Bounds::default() };
        let text = String::new();
        Self {
            bounds,
            is_running: false,
            text,
            found: None,
            progress: None,
            pace: None,
            round_ms: 0.0,
        }
    }

    /// The search begins.
    pub(crate) fn begin(&mut self, run: &Run, scenario: &Scenario) -> Order {
        (self.is_running, self.found, self.progress) = (true, None, None);
        self.round_ms = 0.0;
        self.say("0 states so far");
        // What the scenario does itself would be no finding.
        let own = &scenario.interventions;
        let mut run = run.clone();
        run.interventions.retain(|it| !own.contains(it));
        Order { run, bounds: self.bounds.clone() }
    }

    /// The searcher has told something, so many milliseconds after it did so last.
    pub(crate) fn hear(&mut self, report: Report, after_ms: f64) {
        let before = self.progress.map_or(0, |progress| progress.states);
        let states = report.progress.states.saturating_sub(before);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rough figure"
        )]
        let pace = (after_ms > 1.0).then(|| (states as f64 * 1_000.0 / after_ms) as u64);
        self.pace = pace.or(self.pace);
        let is_same = self.progress.is_some_and(|it| it.faults == report.progress.faults);
        self.round_ms = if is_same { self.round_ms + after_ms } else { after_ms };
        self.progress = Some(report.progress);
        self.is_running = report.stage == Stage::Searching;
        self.text = report.text;
        self.found = report.found.and_then(Found::new);
    }

    /// A word on why there is nothing.
    pub(crate) fn say(&mut self, text: &str) {
        text.clone_into(&mut self.text);
    }

    /// Nobody wants to know any more.
    pub(crate) fn stop(&mut self) {
        self.is_running = false;
        self.text = format!("stopped: {}", self.text);
    }

    /// How much of this round is done, in per cent, where that is known.
    pub(crate) fn percent(&self) -> Option<f64> {
        let progress = self.progress.filter(|progress| progress.parents > 0)?;
        #[allow(clippy::cast_precision_loss, reason = "a bar on the screen")]
        Some(progress.parents_done as f64 * 100.0 / progress.parents as f64)
    }

    /// How fast it goes, and how long this round may still take, in words.
    pub(crate) fn rate(&self) -> String {
        let pace = self.pace.map(|pace| format!(", {} k states/s", pace / 1_000));
        let done = self.percent().filter(|done| (2.0..100.0).contains(done));
        let left = done.map(|done| self.round_ms / done * (100.0 - done));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
        let left = left.map(|ms| ms as u64 / 1_000 + 1);
        let left = left.map(|left| format!("; about {left} s for the rest of this round"));
        pace.unwrap_or_default() + &left.unwrap_or_default()
    }
}

impl Found {
    fn new(run: Run) -> Option<Self> {
        let outcome = run.go_until_violated();
        let (invariant, witness) = outcome.violated?;
        let story = Story::of_violation(&run, &outcome.trace, &[(invariant, witness)]);
        let steps = story.parts.iter().map(|part| format!("{}  {}", part.at, part.sentence));
        let mut steps: Vec<String> = steps.collect();
        let how = story.parts.last().and_then(|part| part.violates.first());
        steps.extend(how.map(|(invariant, how)| format!("{invariant} is violated: {how}")));
        let why_minimal = why_minimal(&run, invariant, witness);
        Some(Self { run, invariant, steps, why_minimal })
    }

    /// The name under which it is shown and saved.
    pub(crate) fn scenario(&self) -> Option<Scenario> {
        Scenario::keep("found", &self.run)
    }
}

/// Whether each thing that is done is needed for it.
fn why_minimal(run: &Run, invariant: Invariant, witness: RecordNo) -> String {
    let needs = |it: &Intervention| {
        let mut less = run.clone();
        less.interventions.retain(|other| other != it);
        let mut world = World::new(less);
        let mut records = Vec::new();
        while world.records() <= witness.0 + 50 && world.step(&mut records) {}
        world.checks().status(invariant).witness().is_none()
    };
    match run.interventions.len() {
        0 => "It takes no fault at all: this comes about by itself.".to_owned(),
        1 if run.interventions.iter().all(needs) => {
            "Without that fault nothing is violated.".to_owned()
        }
        count if run.interventions.iter().all(needs) => {
            format!("Without any one of its {count} interventions nothing is violated by then.")
        }
        _ => "No run with fewer faults shows it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Protection;

    #[test]
    fn what_is_found_can_be_read_and_played() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let run = scenario.run_without(&[Protection::Fencing].into());
        let mut hunt = Hunt::new();
        let order = hunt.begin(&run, &scenario);
        assert!(order.run.interventions.is_empty() && hunt.is_running);
        let mut search = Search::new(order.run, order.bounds);
        while search.go(1_000) == Stage::Searching {
            hunt.hear(Report::of(&search), 10.0);
            assert!(hunt.is_running && hunt.found.is_none());
        }
        hunt.hear(Report::of(&search), 10.0);
        let found = hunt.found.as_ref().unwrap();
        assert!(found.steps.last().unwrap().contains("is violated"), "{found:#?}");
        assert_eq!(found.why_minimal, "Without that fault nothing is violated.");
        let kept = found.scenario().unwrap();
        assert!(kept.expected[0].violated.contains(&found.invariant));
    }

    #[test]
    fn what_is_left_of_a_round_is_estimated() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let mut hunt = Hunt::new();
        let order = hunt.begin(&scenario.run(), &scenario);
        let search = Search::new(order.run, order.bounds);
        let progress = Progress { parents: 100, parents_done: 20, ..search.progress() };
        hunt.hear(Report { progress, ..Report::of(&search) }, 10_000.0);
        assert!(
            hunt.rate().ends_with("; about 41 s for the rest of this round"),
            "{}",
            hunt.rate()
        );
    }

    #[test]
    fn nothing_found_says_how_far_it_looked() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let mut hunt = Hunt::new();
        hunt.bounds = Bounds { faults_max: 0, ..hunt.bounds };
        let order = hunt.begin(&scenario.run(), &scenario);
        let mut search = Search::new(order.run, order.bounds);
        while search.go(10_000) == Stage::Searching {}
        hunt.hear(Report::of(&search), 10.0);
        assert!(hunt.text.starts_with("none with at most 0 faults and "), "{}", hunt.text);
        assert_eq!(hunt.found, None);
    }
}
