//! Validation of runs that come from outside.

use std::collections::BTreeSet;

use super::run::{Action, ClientConfig, Config, Intervention, Run};
use super::trace::NodeId;

/// The maximum number of clients: node ids have eight bits, and one is the server's.
const CLIENTS_MAX: usize = 200;

/// The maximum number of locks: lock ids have eight bits.
const LOCKS_MAX: usize = 200;

/// The maximum number of steps of a script, and of interventions of a run.
const STEPS_MAX: usize = 10_000;

/// The maximum duration of a run, in milliseconds: one day.
const ENDS_MAX_MS: u64 = 86_400_000;

/// The maximum deviation of a clock's rate, in parts per million. A clock must not stop.
const RATE_MAX_PPM: u64 = 900_000;

/// Why a run cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRun(String);

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidRun> {
    Err(InvalidRun(message.into()))
}

impl Run {
    /// Checks that the run can be simulated: every node and lock that it names exists, and all
    /// numbers are within their limits.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRun`] with the first problem if the run cannot be simulated.
    pub fn validate(&self) -> Result<(), InvalidRun> {
        if self.interventions.len() > STEPS_MAX {
            return invalid(format!("the run has more than {STEPS_MAX} interventions"));
        }
        self.config.validate()?;
        self.interventions.iter().try_for_each(|it| self.validate_intervention(it))
    }

    fn validate_intervention(&self, intervention: &Intervention) -> Result<(), InvalidRun> {
        let clients = self.config.clients.len();
        let exists = |node: &NodeId| usize::from(node.0) <= clients;
        if let Some(node) = intervention.action.nodes().into_iter().find(|node| !exists(node)) {
            return invalid(format!("an intervention names node {}, which does not exist", node.0));
        }
        if let Action::Drift { ppm, .. } = intervention.action {
            validate_rate("a drift", ppm.unsigned_abs())?;
        }
        if intervention.at_ms.unwrap_or(0) > ENDS_MAX_MS {
            return invalid("an intervention is later than one day after the start");
        }
        Ok(())
    }
}

impl Config {
    fn validate(&self) -> Result<(), InvalidRun> {
        if self.clients.len() > CLIENTS_MAX {
            return invalid(format!("the run has more than {CLIENTS_MAX} clients"));
        }
        if self.locks.len() > LOCKS_MAX {
            return invalid(format!("the run has more than {LOCKS_MAX} locks"));
        }
        let durations = [
            ("ends_ms", self.ends_ms),
            ("lease_ms", self.lease_ms),
            ("retransmit_ms", self.retransmit_ms),
        ];
        for (field, ms) in durations {
            if ms == 0 || ms > ENDS_MAX_MS {
                return invalid(format!("{field} is {ms}, not between 1 and {ENDS_MAX_MS}"));
            }
        }
        if self.network.latency_min_us > self.network.latency_max_us {
            return invalid("latency_min_us is greater than latency_max_us");
        }
        if self.disk.flush_min_us > self.disk.flush_max_us {
            return invalid("flush_min_us is greater than flush_max_us");
        }
        validate_rate("server_rate_ppm", self.server_rate_ppm.unsigned_abs())?;
        validate_rate("drift_ppm", self.drift_ppm)?;
        self.validate_clients()
    }

    fn validate_clients(&self) -> Result<(), InvalidRun> {
        let mut locks = BTreeSet::new();
        if let Some(lock) = self.locks.iter().find(|lock| !locks.insert(lock.as_str())) {
            return invalid(format!("two locks are named {lock}"));
        }
        let mut names = BTreeSet::from(["server"]);
        for ClientConfig { name, script, rate_ppm, starts_ms } in &self.clients {
            if !names.insert(name.as_str()) {
                return invalid(format!("two nodes are named {name}"));
            }
            if script.len() > STEPS_MAX {
                return invalid(format!("the script of {name} has more than {STEPS_MAX} steps"));
            }
            if *starts_ms > ENDS_MAX_MS {
                return invalid(format!("{name} starts later than one day after the start"));
            }
            validate_rate(&format!("the clock rate of {name}"), rate_ppm.unsigned_abs())?;
            for step in script {
                if let Some(lock) = step.locks().find(|lock| !locks.contains(lock.as_str())) {
                    return invalid(format!(
                        "{name} uses {lock}, which is not in the list of locks"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn validate_rate(subject: &str, magnitude_ppm: u64) -> Result<(), InvalidRun> {
    if magnitude_ppm > RATE_MAX_PPM {
        return invalid(format!("{subject} exceeds {RATE_MAX_PPM} ppm"));
    }
    Ok(())
}
