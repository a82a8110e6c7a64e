//! Whether a run that somebody sends is one that can be gone through.

use std::collections::BTreeSet;

use super::run::{Action, ClientConfig, Intervention, Run};
use super::script::ScriptStep;
use super::trace::NodeId;

/// How many clients a run has at most: nodes have numbers of eight bits, and the server is one.
const CLIENTS_MAX: usize = 200;

/// How many locks a run has at most.
const LOCKS_MAX: usize = 200;

/// How many steps a script has at most, and how much is done to a run.
const STEPS_MAX: usize = 10_000;

/// How long a run is at most, in milliseconds: a day.
const ENDS_MAX_MS: u64 = 86_400_000;

/// How much faster or slower than the world a clock runs at most: it must not stand still.
const RATE_MAX_PPM: u64 = 900_000;

/// Why something is no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRun(String);

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidRun> {
    Err(InvalidRun(message.into()))
}

impl Run {
    /// Whether it can be gone through: what is named in it is there, and nothing is beyond all
    /// measure.
    ///
    /// # Errors
    ///
    /// Says what is wrong first.
    pub fn validate(&self) -> Result<(), InvalidRun> {
        let config = &self.config;
        if config.clients.len() > CLIENTS_MAX {
            return invalid(format!("there are more than {CLIENTS_MAX} clients"));
        }
        if config.locks.len() > LOCKS_MAX {
            return invalid(format!("there are more than {LOCKS_MAX} locks"));
        }
        if self.interventions.len() > STEPS_MAX {
            return invalid(format!("there are more than {STEPS_MAX} interventions"));
        }
        let durations = [config.ends_ms, config.lease_ms, config.retransmit_ms];
        if durations.into_iter().any(|ms| ms == 0 || ms > ENDS_MAX_MS) {
            return invalid(
                "the run, a lease or a retransmission takes no time, or more than a day",
            );
        }
        let network = &config.network;
        if network.latency_min_us > network.latency_max_us {
            return invalid("the shortest latency is longer than the longest");
        }
        if config.disk.flush_min_us > config.disk.flush_max_us {
            return invalid("the shortest flush is longer than the longest");
        }
        if config.server_rate_ppm.unsigned_abs() > RATE_MAX_PPM || config.drift_ppm > RATE_MAX_PPM {
            return invalid("the server's clock runs beyond all measure");
        }
        self.validate_clients()?;
        self.interventions.iter().try_for_each(|it| self.validate_intervention(it))
    }

    fn validate_clients(&self) -> Result<(), InvalidRun> {
        let mut locks = BTreeSet::new();
        if !self.config.locks.iter().all(|lock| locks.insert(lock.as_str())) {
            return invalid("two locks have the same name");
        }
        let mut names = BTreeSet::new();
        names.insert("server");
        for ClientConfig { name, script, rate_ppm, starts_ms } in &self.config.clients {
            if !names.insert(name.as_str()) {
                return invalid(format!("two nodes are called {name}"));
            }
            if script.len() > STEPS_MAX || *starts_ms > ENDS_MAX_MS {
                return invalid(format!("{name} does too much, or starts too late"));
            }
            if rate_ppm.unsigned_abs() > RATE_MAX_PPM {
                return invalid(format!("the clock of {name} runs beyond all measure"));
            }
            for step in script {
                let (ScriptStep::Acquire { lock, .. }
                | ScriptStep::Append { file: lock, .. }
                | ScriptStep::Release { lock }) = step
                else {
                    continue;
                };
                if !locks.contains(&lock.as_str()) {
                    return invalid(format!("{name} uses {lock}, which is not among the locks"));
                }
            }
        }
        Ok(())
    }

    fn validate_intervention(&self, intervention: &Intervention) -> Result<(), InvalidRun> {
        let clients = self.config.clients.len();
        let exists = |node: &NodeId| usize::from(node.0) <= clients;
        if !intervention.action.nodes().iter().all(exists) {
            return invalid("something is done to a node that there is not");
        }
        if let Action::Drift { ppm, .. } = intervention.action
            && ppm.unsigned_abs() > RATE_MAX_PPM
        {
            return invalid("a clock is set to run beyond all measure");
        }
        let at_ms = intervention.at_ms.unwrap_or(0);
        if at_ms > ENDS_MAX_MS {
            return invalid("something is done later than in a day");
        }
        Ok(())
    }
}
