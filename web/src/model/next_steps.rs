//! What to do at the end of a run: repeat it without a protection, compare, or open the next
//! scenario. And the hints of a puzzle.

use leasehold_sim::{Protection, Scenario, next_in_teaching_order};

use super::workspace::Workspace;

/// A suggestion at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Repeats the run from its start without a protection.
    Disable(Protection),
    /// Repeats the run from its start with all protections of the scenario.
    Restore,
    /// Compares with the same run under other protections.
    Compare,
    /// Shows the next hint of the puzzle.
    ShowHint {
        /// Its number, counted from 1, and the number of hints.
        number: usize,
        count: usize,
    },
    /// Opens a scenario of the library by its index.
    OpenScenario { index: usize, title: String },
}

impl NextStep {
    /// Returns the label of its button.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Disable(protection) => format!("Disable {protection} and run again"),
            Self::Restore => "Enable all protections and run again".to_owned(),
            Self::Compare => "Compare".to_owned(),
            Self::ShowHint { number, count } => format!("Show hint {number} of {count}"),
            Self::OpenScenario { title, .. } => format!("Next: {title}"),
        }
    }
}

impl Workspace {
    /// Returns the suggestions for the end of the current run, the best one first. There are none
    /// before the end, or while a question hides it.
    pub(crate) fn next_steps(&self) -> Vec<NextStep> {
        let timeline = self.timeline();
        if timeline.horizon().is_some() || !timeline.is_at_end() || !self.is_library_scenario() {
            return Vec::new();
        }
        let without = &timeline.run().without;
        let mut steps = Vec::new();
        if self.scenario.goal.is_some() {
            let is_solved = self.goal_progress().is_some_and(|progress| progress.is_reached);
            steps.extend(self.next_hint().filter(|_| !is_solved));
        } else if *without == self.scenario.without {
            let switches = self.scenario.switches.iter();
            steps.extend(switches.map(|protection| NextStep::Disable(*protection)));
        } else {
            steps.push(NextStep::Compare);
            let untried = self.scenario.switches.iter().filter(|it| !without.contains(it));
            steps.extend(untried.map(|protection| NextStep::Disable(*protection)));
            steps.push(NextStep::Restore);
        }
        steps.extend(self.next_scenario());
        steps
    }

    fn next_scenario(&self) -> Option<NextStep> {
        let index = next_in_teaching_order(&self.library, &self.scenario.name)?;
        let title = self.library.get(index)?.title.clone();
        Some(NextStep::OpenScenario { index, title })
    }

    /// Performs a suggestion. A repeated run starts to play.
    pub(crate) fn perform_next_step(&mut self, step: &NextStep) {
        match step {
            NextStep::Disable(protection) => {
                let mut without = self.scenario.without.clone();
                without.insert(*protection);
                self.repeat_without(without, &format!("{protection} off"));
            }
            NextStep::Restore => {
                let without = self.scenario.without.clone();
                self.repeat_without(without, "all protections on");
            }
            NextStep::Compare => self.toggle_comparison(),
            NextStep::ShowHint { .. } => self.show_hint(),
            NextStep::OpenScenario { index, .. } => {
                if let Some(scenario) = self.library.get(*index).cloned() {
                    self.open_scenario(Scenario::clone(&scenario));
                    self.player.is_playing = true;
                }
            }
        }
    }

    /// Returns the step that shows the next hint, if there is one.
    pub(crate) fn next_hint(&self) -> Option<NextStep> {
        let (shown, count) = (self.hints_shown, self.scenario.hints.len());
        (shown < count).then_some(NextStep::ShowHint { number: shown + 1, count })
    }

    /// Shows one more hint of the puzzle.
    pub(crate) fn show_hint(&mut self) {
        self.hints_shown = (self.hints_shown + 1).min(self.scenario.hints.len());
    }

    /// Returns the hints that are shown, in the order of their clarity.
    pub(crate) fn shown_hints(&self) -> &[String] {
        &self.scenario.hints[..self.hints_shown]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;
    use leasehold_sim::library;

    fn at_end(scenario: &str) -> Workspace {
        let mut workspace = Workspace::from_link(&Link::parse(&format!("?scenario={scenario}")));
        let end = workspace.timeline().end();
        workspace.go_to(end);
        workspace
    }

    fn labels(workspace: &Workspace) -> Vec<String> {
        workspace.next_steps().iter().map(NextStep::label).collect()
    }

    #[test]
    fn protection_is_disabled_then_compared_then_the_next_scenario_follows() {
        let mut workspace = at_end("gc-pause");
        assert_eq!(
            labels(&workspace),
            ["Disable fencing and run again", "Next: Check first, then append"]
        );
        workspace.perform_next_step(&workspace.next_steps()[0].clone());
        assert!(workspace.player.is_playing);
        assert_eq!(workspace.timeline().now(), workspace.timeline().start());
        assert!(workspace.timeline().run().without.contains(&Protection::Fencing));
        assert_eq!(workspace.next_steps(), [], "the run has started again");
        let end = workspace.timeline().end();
        workspace.go_to(end);
        assert_eq!(
            labels(&workspace),
            ["Compare", "Enable all protections and run again", "Next: Check first, then append"]
        );
        workspace.perform_next_step(&NextStep::Compare);
        assert!(workspace.comparison.is_some());
        workspace.perform_next_step(&workspace.next_steps().pop().unwrap());
        assert_eq!(workspace.scenario.name, "check-then-act");
        workspace.undo();
    }

    #[test]
    fn every_scenario_ends_with_a_suggestion_and_none_is_made_before() {
        let library = library();
        for scenario in &library {
            let mut workspace = at_end(&scenario.name);
            let steps = workspace.next_steps();
            let disabled = steps.iter().filter(|step| matches!(step, NextStep::Disable(_)));
            let expected = if scenario.goal.is_some() { 0 } else { scenario.switches.len() };
            assert_eq!(disabled.count(), expected, "{}", scenario.name);
            let is_last = next_in_teaching_order(&library, &scenario.name).is_none();
            assert_eq!(
                steps.iter().any(|step| matches!(step, NextStep::OpenScenario { .. })),
                !is_last,
                "{}",
                scenario.name
            );
            workspace.go_to_start();
            assert_eq!(workspace.next_steps(), [], "{}", scenario.name);
        }
    }

    #[test]
    fn hints_are_shown_one_at_a_time() {
        let mut workspace = at_end("sandbox");
        let mut previous = 0;
        while let Some(step) = workspace.next_hint() {
            assert_eq!(workspace.next_steps()[0], step);
            assert_eq!(step.label(), format!("Show hint {} of 3", previous + 1));
            workspace.perform_next_step(&step);
            assert_eq!(workspace.shown_hints().len(), previous + 1);
            previous += 1;
        }
        assert_eq!(previous, 3);
        workspace.show_hint();
        assert_eq!(workspace.shown_hints().len(), 3);
        workspace.open_scenario(workspace.scenario.as_ref().clone());
        assert_eq!(workspace.shown_hints().len(), 0);
    }
}
