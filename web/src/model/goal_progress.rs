//! Progress towards the goal of a scenario: to violate an invariant with a limited number of
//! faults.

use leasehold_sim::InvariantStatus;

use super::workspace::Workspace;

/// The state of the goal in the current run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoalProgress {
    pub(crate) text: String,
    pub(crate) is_reached: bool,
}

impl Workspace {
    /// Returns the progress towards the scenario's goal, or `None` if it has none.
    pub(crate) fn goal_progress(&self) -> Option<GoalProgress> {
        let goal = self.scenario.goal.as_ref()?;
        let timeline = self.timeline();
        let (run, scenario_interventions) = (timeline.run(), &self.scenario.interventions);
        let fault_count =
            run.interventions.iter().filter(|it| !scenario_interventions.contains(it)).count();
        let (target_invariant, faults_max) = (goal.violate, goal.faults_max);
        let statuses = timeline.statuses();
        let violated = statuses
            .iter()
            .filter(|(_, status, _)| matches!(status, InvariantStatus::Violated { .. }));
        let violated: Vec<_> = violated.map(|(it, ..)| *it).collect();
        // With other protections disabled, the goal would be too easy.
        let has_same_protections = run.without == self.scenario.without;
        let is_reached = violated.contains(&target_invariant)
            && fault_count <= faults_max
            && has_same_protections;
        let faults_left = faults_max.saturating_sub(fault_count);
        let text = if is_reached {
            format!(
                "Solved: {target_invariant} is violated with {}.",
                fault_count_text(fault_count)
            )
        } else if let Some(protection) = self.scenario.without.difference(&run.without).next() {
            format!("Not possible with {protection}. Disable it again (U).")
        } else if !has_same_protections {
            "Too easy. Enable the other protections again (U).".to_owned()
        } else if fault_count > faults_max {
            format!(
                "Too many faults: {}, but the limit is {faults_max}. Undo one (U).",
                fault_count_text(fault_count)
            )
        } else if fault_count > 0 && timeline.is_at_end() {
            let others: Vec<String> = violated.iter().map(ToString::to_string).collect();
            let reason = if others.is_empty() {
                "no line follows one with a larger token".to_owned()
            } else {
                format!("{} was violated, but not {target_invariant}", others.join(" and "))
            };
            format!(
                "Missed: {reason}. An earlier holder must append after its successor. \
                 Undo (U) and try again."
            )
        } else {
            format!(
                "Goal: violate {target_invariant}. A line must follow one with a larger token. {} left.",
                fault_count_text(faults_left)
            )
        };
        Some(GoalProgress { text, is_reached })
    }
}

fn fault_count_text(count: usize) -> String {
    if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") }
}
