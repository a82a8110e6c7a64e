//! Other futures of a run: what is done to it makes a branch, and no branch is lost.

use std::rc::Rc;

use leasehold_sim::{Action, Moment, Protection, Run, Scenario};

use super::{Branch, Offer, Studio};
use crate::model::compare::{Compare, counterpart};
use crate::model::faults::{self, Fault};
use crate::model::fields;
use crate::model::film::Film;
use crate::picture::shape::Target;

/// What is said where somebody would change what was seen of a real server.
const NO_FUTURE: &str = "This was seen of a real server: it can be looked at, and not changed.";

/// How many futures are kept at most.
const BRANCHES_MAX: usize = 16;

impl Studio {
    /// What can be done to what is selected.
    pub(crate) fn faults(&self, target: Target) -> Vec<Fault> {
        if self.film().footage().is_some() {
            return Vec::new();
        }
        faults::faults(&self.scene, target, self.film().run().config.lease_ms)
    }

    /// What the menu of the selected thing has under this letter.
    pub(crate) fn fault_by_key(&mut self, key: char) {
        let Some(target) = self.selected else {
            self.say("Select a node, a link or a packet first.", Vec::new());
            return;
        };
        let found = self.faults(target).into_iter().find(|fault| fault.key == Some(key));
        match found {
            Some(Fault { barred: Some(why), text, .. }) => {
                self.say(&format!("{text}: {why}."), Vec::new());
            }
            Some(fault) => self.meddle(fault.action, &fault.text),
            None => self.say("That can't be done to what is selected.", Vec::new()),
        }
    }

    /// Does something to the run, now.
    pub(crate) fn meddle(&mut self, action: Action, text: &str) {
        let film = self.film();
        let what = self.selected.map(|it| fields::title(&self.scene, it));
        let label = format!("{text}: {}", what.unwrap_or_default());
        let at = film.now();
        let Some(mut fork) = film.fork(faults::at(at, action)) else {
            self.say(NO_FUTURE, Vec::new());
            return;
        };
        // One sees at once what one has done.
        fork.go_to(Moment::from_millis(at.as_millis() + 1));
        self.branch(fork, label.clone());
        self.say(&format!("{label}, at {at}. A new branch."), vec![Offer::Undo]);
    }

    /// Takes a protection away, or gives it back: the same run again, at the same moment.
    pub(crate) fn toggle(&mut self, protection: Protection) {
        if self.film().footage().is_some() {
            self.say(NO_FUTURE, Vec::new());
            return;
        }
        let mut without = self.film().run().without.clone();
        let off = without.insert(protection);
        if !off {
            without.remove(&protection);
        }
        let text = format!("{protection} {}", if off { "is off" } else { "is on again" });
        self.rerun(|run| run.without = without, &text);
        let offers = vec![Offer::Compare, Offer::FromStart, Offer::Undo];
        self.say(&format!("{text}. The same run, with the same luck."), offers);
    }

    /// Draws other luck.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.rerun(|run| run.seed = seed, &format!("seed {seed}"));
        self.say(&format!("Seed {seed}: other luck."), vec![Offer::Undo]);
    }

    fn rerun(&mut self, change: impl FnOnce(&mut Run), label: &str) {
        if self.film().footage().is_some() {
            return;
        }
        let mut run = self.film().run().clone();
        change(&mut run);
        let film = self.film().other(run);
        self.branch(film, label.to_owned());
    }

    fn branch(&mut self, film: Film, label: String) {
        self.branches.truncate(self.at + 1);
        if self.branches.len() == BRANCHES_MAX {
            // The first one is where one began; that stays.
            self.branches.remove(1);
        }
        self.branches.push(Branch { film, label });
        self.at = self.branches.len() - 1;
        (self.compare, self.until) = (None, None);
        self.look_again();
    }

    fn look_again(&mut self) {
        self.lesson.look(&Rc::clone(&self.scenario), &self.branches[self.at].film);
        self.changed();
    }

    pub(crate) fn undo(&mut self) {
        if self.at == 0 {
            self.say("There is nothing to undo.", Vec::new());
            return;
        }
        let label = self.branches[self.at].label.clone();
        self.change_branch(self.at - 1);
        self.look_again();
        self.say(&format!("Undone: {label}."), Vec::new());
    }

    pub(crate) fn redo(&mut self) {
        if self.at + 1 == self.branches.len() {
            self.say("There is nothing to redo.", Vec::new());
            return;
        }
        self.change_branch(self.at + 1);
        self.look_again();
        let label = self.branches[self.at].label.clone();
        self.say(&format!("Done again: {label}."), Vec::new());
    }

    /// To another future, at the same place.
    fn change_branch(&mut self, to: usize) {
        let (before, behind) = self.branches.split_at_mut(self.at.max(to));
        let (left, entered) = if to < self.at {
            (&behind[0], &mut before[to])
        } else {
            (&before[self.at], &mut behind[0])
        };
        entered.film.go_as(&left.film);
        (self.at, self.compare) = (to, None);
    }

    /// A run from elsewhere, such as one that was found: from its beginning.
    pub(crate) fn show(&mut self, scenario: Scenario) {
        self.choose(scenario);
        self.lesson.is_on = false;
    }

    pub(crate) fn toggle_compare(&mut self) {
        if self.compare.take().is_some() {
            return;
        }
        if self.film().footage().is_some() {
            self.say(NO_FUTURE, Vec::new());
            return;
        }
        match counterpart(&self.scenario, self.film().run()) {
            Some(other) => {
                self.compare = Some(Compare::new(self.film(), other));
                // What has been answered would lie over it.
                self.lesson.close();
            }
            None => self.say(
                "Take a protection away first: then there is something to compare with.",
                Vec::new(),
            ),
        }
    }
}
