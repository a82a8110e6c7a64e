//! What a scenario wants to be broken, how far one is from it, and why a try missed.

use leasehold_sim::Status;

use super::studio::Studio;

/// The goal as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) is_won: bool,
}

impl Studio {
    /// Whether what the scenario wants was reached, with no more faults than it allows; none where
    /// it wants nothing.
    pub(crate) fn goal(&self) -> Option<Goal> {
        let goal = self.scenario.goal.as_ref()?;
        let film = self.film();
        let (run, own) = (film.run(), &self.scenario.interventions);
        let done = run.interventions.iter().filter(|it| !own.contains(it)).count();
        let (wanted, most) = (goal.violate, goal.faults_max);
        let statuses = film.statuses();
        let broken = statuses.iter().filter(|(_, here, _)| matches!(here, Status::Violated { .. }));
        let broken: Vec<_> = broken.map(|(it, ..)| *it).collect();
        // Whoever takes more protections away makes it too easy.
        let same = run.without == self.scenario.without;
        let is_won = broken.contains(&wanted) && done <= most && same;
        let left = most.saturating_sub(done);
        let text = if is_won {
            format!("★ Solved: {wanted} is broken, with {}.", faults(done))
        } else if !same {
            "Too easy: give the other protections back (U).".to_owned()
        } else if done > most {
            format!("{} are too many: {most} at most. Take one back (U).", faults(done))
        } else if done > 0 && film.is_at_end() {
            let other: Vec<String> = broken.iter().map(ToString::to_string).collect();
            let also = if other.is_empty() {
                String::new()
            } else {
                format!(" {} broke, but not {wanted}.", other.join(" and "))
            };
            format!(
                "Missed:{also} no line came behind one with a larger token. An old holder must \
                 write after the next one has. Back (U), and another try."
            )
        } else {
            format!(
                "Goal: make {wanted} red, a line behind one with a larger token. {} left.",
                faults(left)
            )
        };
        Some(Goal { text, is_won })
    }
}

fn faults(count: usize) -> String {
    if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") }
}
