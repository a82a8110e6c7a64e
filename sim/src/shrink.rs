//! Minimizes a run that violates an invariant, so that only the necessary parts remain.
//!
//! - Greedy, like delta debugging: removes large parts first. Source: Zeller, Hildebrandt,
//!   "Simplifying and isolating failure-inducing input", IEEE Transactions on Software Engineering
//!   28(2), 2002.
//! - A smaller run is accepted if it violates the same invariant first, with no more events.
//! - The result is a local minimum: no single part that this file removes can be removed from it,
//!   unless [`TRIES_MAX`] stopped the minimization.

use super::check::Invariant;
use super::run::{Action, Config, Disk, Network, Run};
use super::script::ScriptStep;
use super::world::World;

/// The maximum number of runs to try.
const TRIES_MAX: u32 = 5_000;

/// A minimized run.
#[derive(Clone, Debug)]
pub struct Shrink {
    /// The smallest run so far.
    pub run: Run,
    /// The number of runs tried.
    pub tries: u32,
    invariant: Invariant,
    /// The number of events of `run` up to and including its violation.
    events: u32,
}

impl Run {
    /// Minimizes this run. Returns `None` if it violates no invariant.
    pub fn shrink(&self) -> Option<Shrink> {
        let (invariant, events) = first_violation(self, u32::MAX)?;
        let mut shrink = Shrink { run: self.clone(), tries: 0, invariant, events };
        while shrink.shrink_once() && shrink.tries < TRIES_MAX {}
        Some(shrink)
    }
}

/// Returns the invariant that a run violates first and the number of events until then, or `None`
/// if that takes more than `events_max` events.
fn first_violation(run: &Run, events_max: u32) -> Option<(Invariant, u32)> {
    let mut world = World::new(run.clone());
    let mut records = Vec::new();
    while world.checkers().is_clean() {
        records.clear();
        if world.steps() >= events_max || !world.step(&mut records) {
            return None;
        }
    }
    let (invariant, _) = *world.checkers().violations().first()?;
    Some((invariant, world.steps()))
}

impl Shrink {
    /// Tries every reduction once. Returns whether one succeeded.
    fn shrink_once(&mut self) -> bool {
        let before = self.run.clone();
        self.drop_interventions();
        self.drop_clients();
        self.drop_locks();
        self.drop_steps();
        self.simplify_config();
        self.round_times();
        self.run != before
    }

    /// Replaces the current run if `run` violates the same invariant, and not later.
    fn try_run(&mut self, run: Run) -> bool {
        if self.tries >= TRIES_MAX || run == self.run {
            return false;
        }
        self.tries += 1;
        match first_violation(&run, self.events) {
            Some((invariant, events)) if invariant == self.invariant => {
                (self.run, self.events) = (run, events);
                true
            }
            _ => false,
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Run)) -> bool {
        let mut run = self.run.clone();
        edit(&mut run);
        self.try_run(run)
    }

    /// Removes interventions: first in halves, then in smaller and smaller chunks.
    fn drop_interventions(&mut self) {
        let mut chunk = self.run.interventions.len().div_ceil(2);
        while chunk > 0 {
            let mut chunk_end = self.run.interventions.len();
            while chunk_end > 0 {
                let chunk_start = chunk_end.saturating_sub(chunk);
                self.edit(|run| drop(run.interventions.drain(chunk_start..chunk_end)));
                chunk_end = chunk_start;
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    fn drop_clients(&mut self) {
        for index in (0..self.run.config.clients.len()).rev() {
            let removed = self.edit(|run| remove_client(run, index));
            if !removed {
                self.edit(|run| run.config.clients[index].script.clear());
            }
        }
    }

    fn drop_locks(&mut self) {
        for index in (0..self.run.config.locks.len()).rev() {
            self.edit(|run| {
                let lock = run.config.locks.remove(index);
                for client in &mut run.config.clients {
                    client.script.retain(|step| step.locks().all(|used| *used != lock));
                }
            });
        }
    }

    fn drop_steps(&mut self) {
        for client in 0..self.run.config.clients.len() {
            for index in (0..self.run.config.clients[client].script.len()).rev() {
                self.edit(|run| drop(run.config.clients[client].script.remove(index)));
            }
        }
    }

    /// Resets one group of settings after the other to a default without faults.
    fn simplify_config(&mut self) {
        let defaults = Config::default();
        let edits: [fn(&mut Config, &Config); 12] = [
            |config, _| config.network.loss_ppm = 0,
            |config, _| config.network.duplicate_ppm = 0,
            |config, _| (config.network.late_ppm, config.network.late_max_us) = (0, 0),
            |config, _| config.network.latency_max_us = config.network.latency_min_us,
            |config, defaults| config.network = Network { ..defaults.network },
            |config, defaults| config.disk = Disk { ..defaults.disk },
            |config, _| config.server_rate_ppm = 0,
            |config, _| config.clients.iter_mut().for_each(|client| client.rate_ppm = 0),
            |config, defaults| {
                config.sessions_max = defaults.sessions_max;
                config.locks_max = defaults.locks_max;
                config.waiters_max = defaults.waiters_max;
                config.file_len_max = defaults.file_len_max;
            },
            |config, _| config.cookies = false,
            |config, _| config.authenticated = false,
            |config, defaults| config.lease_ms = defaults.lease_ms,
        ];
        for edit in edits {
            self.edit(|run| edit(&mut run.config, &defaults));
        }
    }

    /// Rounds times down, because round times are easier to read.
    fn round_times(&mut self) {
        for unit in [1_000, 100] {
            let round = |ms: &mut u64| *ms -= *ms % unit;
            for index in 0..self.run.interventions.len() {
                self.edit(|run| {
                    let intervention = &mut run.interventions[index];
                    intervention.at_ms.iter_mut().for_each(round);
                    if let Action::Pause { ms, .. } = &mut intervention.action {
                        round(ms);
                    }
                });
            }
            for index in 0..self.run.config.clients.len() {
                self.edit(|run| round(&mut run.config.clients[index].starts_ms));
                self.edit(|run| {
                    for step in &mut run.config.clients[index].script {
                        if let ScriptStep::Work { ms } = step {
                            round(ms);
                        }
                    }
                });
            }
        }
    }
}

/// Removes a client and renumbers the nodes after it.
fn remove_client(run: &mut Run, index: usize) {
    run.config.clients.remove(index);
    let removed_node = u8::try_from(index + 1).unwrap_or(u8::MAX);
    run.interventions.retain(|it| it.action.nodes().iter().all(|node| node.0 != removed_node));
    for node in run.interventions.iter_mut().flat_map(|it| it.action.nodes_mut()) {
        if node.0 > removed_node {
            node.0 -= 1;
        }
    }
}
