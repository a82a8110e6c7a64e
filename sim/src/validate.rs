//! Validation of runs that come from outside.

use std::collections::BTreeSet;

use super::run::{
    Action, ClientConfig, Config, Disk, Intervention, Network, NumbersUsed, PacketAction, Run,
};
use super::trace::NodeId;

/// The maximum number of clients: node ids have eight bits, and one is the server's.
const CLIENTS_MAX: usize = 200;

/// The maximum number of locks: lock ids have eight bits.
const LOCKS_MAX: usize = 200;

/// The maximum number of steps of a script, and of interventions of a run.
const STEPS_MAX: usize = 10_000;

/// The maximum duration of a run, in milliseconds: one day.
const ENDS_MAX_MS: u64 = 86_400_000;

/// The maximum change of a time by an intervention, in milliseconds: records of such changes have
/// 32 bits, and longer ones would have no effect within a day.
const CHANGE_MAX_MS: u64 = 2_000_000_000;

/// The largest number of the protocol that may be used before a run: server and clients need higher
/// ones for the run.
const NUMBER_USED_MAX: u64 = u64::MAX - (1 << 40);

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
        let changes_ms = match intervention.action {
            Action::Skew { ms, .. } => ms.unsigned_abs(),
            Action::Degrade { delay_us, .. } => delay_us / 1_000,
            Action::SlowDisk { by_ms } => by_ms,
            Action::Packet { packet_action, .. } => match packet_action {
                PacketAction::Duplicate { after_ms } => after_ms,
                PacketAction::Delay { by_ms } => by_ms,
                PacketAction::Drop | PacketAction::Deliver => 0,
            },
            Action::Crash { .. }
            | Action::Restart { .. }
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::Cut { .. }
            | Action::Heal { .. }
            | Action::Isolate { .. }
            | Action::Rejoin { .. }
            | Action::Drift { .. }
            | Action::FailFlush { .. }
            | Action::FailWrites { .. }
            | Action::EndFaults => 0,
        };
        if changes_ms > CHANGE_MAX_MS {
            return invalid(format!("an intervention changes a time by {changes_ms} ms"));
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
        let Network { latency_max_us, late_max_us, .. } = self.network;
        let Disk { flush_max_us, write_back_ms, .. } = self.disk;
        let delays = [
            ("latency_max_us", latency_max_us / 1_000),
            ("late_max_us", late_max_us / 1_000),
            ("flush_max_us", flush_max_us / 1_000),
            ("write_back_ms", write_back_ms),
        ];
        if let Some((field, _)) = delays.into_iter().find(|(_, ms)| *ms > ENDS_MAX_MS) {
            return invalid(format!("{field} is longer than one day"));
        }
        let NumbersUsed { sessions, tokens, seqs, indices } = self.numbers_used;
        if [sessions, tokens, seqs, indices].into_iter().any(|used| used > NUMBER_USED_MAX) {
            return invalid(format!("a number in numbers_used exceeds {NUMBER_USED_MAX}"));
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
        let mut names = BTreeSet::new();
        names.insert("server");
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
