//! What a scenario wants to be broken, how far one is from it, and why a try missed.

use leasehold_sim::InvariantStatus;

use super::workspace::Workspace;

/// The goal as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoalProgress {
    pub(crate) text: String,
    pub(crate) is_reached: bool,
}

impl Workspace {
    /// Whether what the scenario wants was reached, with no more faults than it allows; none where
    /// it wants nothing.
    pub(crate) fn goal_progress(&self) -> Option<GoalProgress> {
        let goal = self.scenario.goal.as_ref()?;
        let timeline = self.timeline();
        let (run, scenario_interventions) = (timeline.run(), &self.scenario.interventions);
        let fault_count =
            run.interventions.iter().filter(|it| !scenario_interventions.contains(it)).count();
        let (target_invariant, faults_max) = (goal.violate, goal.faults_max);
        let statuses = timeline.statuses();
        let violated =
            statuses.iter().filter(|(_, here, _)| matches!(here, InvariantStatus::Violated { .. }));
        let violated: Vec<_> = violated.map(|(it, ..)| *it).collect();
        // Whoever takes more protections away makes it too easy.
        let has_same_protections = run.without == self.scenario.without;
        let is_reached = violated.contains(&target_invariant)
            && fault_count <= faults_max
            && has_same_protections;
        let faults_left = faults_max.saturating_sub(fault_count);
        let text = if is_reached {
            format!(
                "★ Solved: {target_invariant} is broken, with {}.",
                fault_count_text(fault_count)
            )
        } else if !has_same_protections {
            "Too easy: give the other protections back (U).".to_owned()
        } else if fault_count > faults_max {
            format!(
                "{} are too many: {faults_max} at most. Take one back (U).",
                fault_count_text(fault_count)
            )
        } else if fault_count > 0 && timeline.is_at_end() {
            let others: Vec<String> = violated.iter().map(ToString::to_string).collect();
            let other_text = if others.is_empty() {
                String::new()
            } else {
                format!(" {} broke, but not {target_invariant}.", others.join(" and "))
            };
            format!(
                "Missed:{other_text} no line came behind one with a larger token. An old holder must \
                 write after the next one has. Back (U), and another try."
            )
        } else {
            format!(
                "Goal: make {target_invariant} red, a line behind one with a larger token. {} left.",
                fault_count_text(faults_left)
            )
        };
        Some(GoalProgress { text, is_reached })
    }
}

fn fault_count_text(count: usize) -> String {
    if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") }
}
