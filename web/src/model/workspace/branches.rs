//! Branches of a run: each fault, and each change of protections or seed, creates a branch. Undo
//! and redo switch between them.

use std::collections::BTreeSet;

use leasehold_sim::{Action, Protection, Run, Scenario, VirtualTime};

use super::{Branch, ToastAction, Workspace};
use crate::model::comparison::{Comparison, counterpart};
use crate::model::fault_options::{self, FaultOption};
use crate::model::inspector;
use crate::model::target::Target;
use crate::model::timeline::Timeline;
use crate::model::toggle::toggle;

const READ_ONLY: &str = "This trace is from a live server and cannot be changed.";

/// The maximum number of branches.
const BRANCHES_MAX: usize = 16;

impl Workspace {
    /// Returns the faults that apply to a target.
    pub(crate) fn available_faults(&self, target: Target) -> Vec<FaultOption> {
        if self.timeline().live_trace().is_some() {
            return Vec::new();
        }
        fault_options::fault_options(&self.scene, target, self.timeline().run().config.lease_ms)
    }

    /// Injects the fault that the menu of the selected target lists under this letter.
    pub(crate) fn inject_fault_by_key(&mut self, key: char) {
        let Some(target) = self.selected else {
            self.show_toast("Select a node, a link or a packet first.", Vec::new());
            return;
        };
        let found = self.available_faults(target).into_iter().find(|fault| fault.key == Some(key));
        match found {
            Some(FaultOption { unavailable_reason: Some(reason), text, .. }) => {
                self.show_toast(&format!("{text}: {reason}."), Vec::new());
            }
            Some(fault) => self.inject_fault(fault.action, &fault.text),
            None => self.show_toast("This fault does not apply to the selection.", Vec::new()),
        }
    }

    /// Injects a fault at the current time, in a new branch.
    pub(crate) fn inject_fault(&mut self, action: Action, text: &str) {
        let timeline = self.timeline();
        if timeline.is_catching_up() {
            self.show_toast(
                &format!("The run is still being simulated up to {}.", timeline.wanted_time()),
                Vec::new(),
            );
            return;
        }
        let target = self.selected.map(|it| inspector::target_title(&self.scene, it));
        let label = format!("{text}: {}", target.unwrap_or_default());
        let at = timeline.now();
        let Some(mut fork) = timeline.fork(fault_options::intervention_at(at, action)) else {
            self.show_toast(READ_ONLY, Vec::new());
            return;
        };
        // Show the effect at once.
        fork.go_to(VirtualTime::from_millis(at.as_millis() + 1));
        self.add_branch(fork, label.clone());
        self.show_toast(&format!("{label} at {at}. A new branch."), vec![ToastAction::Undo]);
    }

    /// Disables or enables a protection: repeats the run with it, at the same time.
    pub(crate) fn toggle_protection(&mut self, protection: Protection) {
        if self.timeline().live_trace().is_some() {
            self.show_toast(READ_ONLY, Vec::new());
            return;
        }
        let mut without = self.timeline().run().without.clone();
        toggle(&mut without, protection);
        let is_disabled = without.contains(&protection);
        let label = format!("{protection} {}", if is_disabled { "off" } else { "on" });
        self.rerun(|run| run.without = without, &label);
        let actions = vec![ToastAction::Compare, ToastAction::PlayFromStart, ToastAction::Undo];
        self.show_toast(&format!("{}. Same seed, same run.", capitalized(&label)), actions);
    }

    /// Repeats the run with another seed.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.rerun(|run| run.seed = seed, &format!("seed {seed}"));
        self.show_toast(
            &format!("Seed {seed}. Same scenario, different timing."),
            vec![ToastAction::Undo],
        );
    }

    /// Repeats the run from its start with these protections disabled, in a new branch.
    pub(in crate::model) fn repeat_without(&mut self, without: BTreeSet<Protection>, label: &str) {
        self.rerun(|run| run.without = without, label);
        self.go_to_start();
        self.player.is_playing = true;
    }

    fn rerun(&mut self, change: impl FnOnce(&mut Run), label: &str) {
        if self.timeline().live_trace().is_some() {
            return;
        }
        let mut run = self.timeline().run().clone();
        change(&mut run);
        let timeline = self.timeline().with_run(run);
        self.add_branch(timeline, label.to_owned());
    }

    fn add_branch(&mut self, timeline: Timeline, label: String) {
        self.branches.truncate(self.current_branch + 1);
        self.forget_next_runs();
        if self.branches.len() == BRANCHES_MAX {
            // The first branch is the original run, which is retained.
            self.branches.remove(1);
        }
        self.branches.push(Branch { timeline, label });
        self.current_branch = self.branches.len() - 1;
        (self.comparison, self.play_until_position) = (None, None);
        self.refresh_quiz();
    }

    /// Updates the question and everything else after another branch is shown.
    fn refresh_quiz(&mut self) {
        if self.timeline().is_catching_up() {
            // The stops of the new run are not known yet.
            self.is_quiz_outdated = true;
        } else {
            self.update_quiz();
        }
        self.refresh();
    }

    /// Reverts the last change of the run; if it is unchanged, opens the previous run again.
    pub(crate) fn undo(&mut self) {
        let text = if self.return_from_start() {
            format!("Back at {}, before you went to the start.", self.timeline().now())
        } else if self.current_branch > 0 {
            let label = self.branches[self.current_branch].label.clone();
            self.switch_branch(self.current_branch - 1);
            self.refresh_quiz();
            format!("Undone: {label}.")
        } else if self.reopen_previous() {
            format!("Back in “{}”, where you left it.", self.scenario.title)
        } else {
            "There is nothing to undo.".to_owned()
        };
        self.show_toast(&text, Vec::new());
    }

    /// Reverts the last undo.
    pub(crate) fn redo(&mut self) {
        let text = if self.current_branch + 1 < self.branches.len() {
            self.switch_branch(self.current_branch + 1);
            self.refresh_quiz();
            format!("Redone: {}.", self.branches[self.current_branch].label)
        } else if self.reopen_next() {
            format!("Back in “{}”, where you left it.", self.scenario.title)
        } else {
            "There is nothing to redo.".to_owned()
        };
        self.show_toast(&text, Vec::new());
    }

    /// Switches to another branch at the same time.
    fn switch_branch(&mut self, new_branch: usize) {
        let (before, after) = self.branches.split_at_mut(self.current_branch.max(new_branch));
        let (previous, next) = if new_branch < self.current_branch {
            (&after[0], &mut before[new_branch])
        } else {
            (&before[self.current_branch], &mut after[0])
        };
        next.timeline.go_to_same_time(&previous.timeline);
        (self.current_branch, self.comparison) = (new_branch, None);
    }

    /// Opens a run that is not in the library, without its quiz.
    pub(crate) fn open_run(&mut self, scenario: Scenario) {
        self.open_scenario(scenario);
        self.set_quiz_enabled(false);
    }

    pub(crate) fn toggle_comparison(&mut self) {
        if self.comparison.take().is_some() {
            return;
        }
        if self.timeline().live_trace().is_some() {
            self.show_toast(READ_ONLY, Vec::new());
            return;
        }
        match counterpart(&self.scenario, self.timeline().run()) {
            Some(other) => {
                self.comparison = Some(Comparison::new(self.timeline(), other));
                self.apply_horizon();
                // The answer would cover the comparison.
                self.quiz.close_answer();
            }
            None => self.show_toast("Turn a protection off first, then compare.", Vec::new()),
        }
    }
}

/// Returns the text with its first letter in upper case.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
