//! Makes a run that violates something smaller, as long as it still does.
//!
//! What is left when nothing can go any more is what the violation takes. Greedy, in the manner of
//! delta debugging: large parts are tried first. Source: Zeller, Hildebrandt, "Simplifying and
//! isolating failure-inducing input", IEEE Transactions on Software Engineering 28(2), 2002.

use super::check::Invariant;
use super::run::{Action, Config, Disk, Network, Run};
use super::script::Step;
use super::world::World;

/// How many runs are tried at most.
const TRIES_MAX: u32 = 5_000;

/// A run that is made smaller.
#[derive(Clone, Debug)]
pub struct Shrink {
    /// The smallest so far.
    pub run: Run,
    /// How many runs were tried.
    pub tries: u32,
    violates: Invariant,
    /// How many events it has up to its violation.
    events: u32,
}

impl Run {
    /// The smallest run that was found, made of this one, that violates the same first; nothing
    /// where this one violates nothing.
    pub fn shrink(&self) -> Option<Shrink> {
        let (violates, events) = fails(self, u32::MAX)?;
        let mut shrink = Shrink { run: self.clone(), tries: 0, violates, events };
        while shrink.pass() && shrink.tries < TRIES_MAX {}
        Some(shrink)
    }
}

/// What a run violates first, and after how many events, where it isn't more than so many.
fn fails(run: &Run, events_max: u32) -> Option<(Invariant, u32)> {
    let mut world = World::new(run.clone());
    let mut records = Vec::new();
    while world.checks().is_clean() {
        records.clear();
        if world.steps() >= events_max || !world.step(&mut records) {
            return None;
        }
    }
    let (invariant, _) = *world.checks().violated().first()?;
    Some((invariant, world.steps()))
}

impl Shrink {
    /// Goes once through everything that could be smaller. Says whether anything became so.
    fn pass(&mut self) -> bool {
        let before = self.run.clone();
        self.drop_interventions();
        self.drop_clients();
        self.drop_steps();
        self.calm_config();
        self.round_times();
        self.run != before
    }

    /// Takes the run if it fails in the same way, and not later.
    fn attempt(&mut self, run: Run) -> bool {
        if self.tries >= TRIES_MAX || run == self.run {
            return false;
        }
        self.tries += 1;
        match fails(&run, self.events) {
            Some((violates, events)) if violates == self.violates => {
                (self.run, self.events) = (run, events);
                true
            }
            _ => false,
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Run)) -> bool {
        let mut run = self.run.clone();
        edit(&mut run);
        self.attempt(run)
    }

    /// Halves first, then ever smaller parts.
    fn drop_interventions(&mut self) {
        let mut part = self.run.interventions.len().div_ceil(2);
        while part > 0 {
            let mut end = self.run.interventions.len();
            while end > 0 {
                let start = end.saturating_sub(part);
                self.edit(|run| drop(run.interventions.drain(start..end)));
                end = start;
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
    }

    fn drop_clients(&mut self) {
        for place in (0..self.run.config.clients.len()).rev() {
            let gone = self.edit(|run| remove_client(run, place));
            if !gone {
                self.edit(|run| run.config.clients[place].script.clear());
            }
        }
        for place in (0..self.run.config.locks.len()).rev() {
            self.edit(|run| {
                let lock = run.config.locks.remove(place);
                let uses = |step: &Step| match step {
                    Step::Acquire { lock: used, .. }
                    | Step::Append { file: used, .. }
                    | Step::Release { lock: used } => *used == lock,
                    Step::Work { .. } | Step::Close | Step::Repeat { .. } => false,
                };
                for client in &mut run.config.clients {
                    client.script.retain(|step| !uses(step));
                }
            });
        }
    }

    fn drop_steps(&mut self) {
        for client in 0..self.run.config.clients.len() {
            for place in (0..self.run.config.clients[client].script.len()).rev() {
                self.edit(|run| drop(run.config.clients[client].script.remove(place)));
            }
        }
    }

    /// Takes away what makes the world rough, one thing after the other.
    fn calm_config(&mut self) {
        let calm = Config::default();
        let edits: [fn(&mut Config, &Config); 11] = [
            |config, _| config.network.loss_ppm = 0,
            |config, _| config.network.duplicate_ppm = 0,
            |config, _| (config.network.late_ppm, config.network.late_max_us) = (0, 0),
            |config, _| config.network.latency_max_us = config.network.latency_min_us,
            |config, calm| config.network = Network { ..calm.network },
            |config, calm| config.disk = Disk { ..calm.disk },
            |config, _| config.server_rate_ppm = 0,
            |config, _| config.clients.iter_mut().for_each(|client| client.rate_ppm = 0),
            |config, calm| {
                config.sessions_max = calm.sessions_max;
                config.locks_max = calm.locks_max;
                config.waiters_max = calm.waiters_max;
                config.file_len_max = calm.file_len_max;
            },
            |config, _| config.cookies = false,
            |config, calm| config.lease_ms = calm.lease_ms,
        ];
        for edit in edits {
            self.edit(|run| edit(&mut run.config, &calm));
        }
    }

    /// Round times read better.
    fn round_times(&mut self) {
        for unit in [1_000, 100] {
            let round = |ms: &mut u64| *ms -= *ms % unit;
            for place in 0..self.run.interventions.len() {
                self.edit(|run| {
                    let intervention = &mut run.interventions[place];
                    intervention.at_ms.iter_mut().for_each(round);
                    if let Action::Pause { ms, .. } = &mut intervention.action {
                        round(ms);
                    }
                });
            }
            for place in 0..self.run.config.clients.len() {
                self.edit(|run| round(&mut run.config.clients[place].starts_ms));
                self.edit(|run| {
                    for step in &mut run.config.clients[place].script {
                        if let Step::Work { ms } = step {
                            round(ms);
                        }
                    }
                });
            }
        }
    }
}

/// Takes a client away; those behind it move up.
fn remove_client(run: &mut Run, place: usize) {
    run.config.clients.remove(place);
    let gone = u8::try_from(place + 1).unwrap_or(u8::MAX);
    run.interventions.retain(|it| it.action.nodes().iter().all(|node| node.0 != gone));
    for node in run.interventions.iter_mut().flat_map(|it| it.action.nodes_mut()) {
        if node.0 > gone {
            node.0 -= 1;
        }
    }
}
