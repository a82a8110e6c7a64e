//! What the diagram of the leases shows of a run: names, rows and flags at one time.

use std::rc::Rc;

use leasehold_sim::{Config, LockId, NodeId, ScriptStep, TimeLabels as _, VirtualTime};

use super::flags::Flag;
use super::intervals::Intervals;
use super::time_display::TimeDisplay;
use super::timeline::Timeline;

/// A run at one time, for the pictures along a time axis.
#[derive(Clone, Debug)]
pub(crate) struct LeaseView {
    pub(crate) intervals: Rc<Intervals>,
    pub(crate) locks: Vec<String>,
    /// The first node is the server.
    pub(crate) nodes: Vec<String>,
    /// For each lock, the clients that try to acquire it. Empty for a live server, whose clients
    /// are not known in advance.
    pub(crate) believers: Vec<Vec<NodeId>>,
    /// The violations up to now.
    pub(crate) flags: Vec<Flag>,
    pub(crate) now: VirtualTime,
    pub(crate) lease_us: u64,
    /// Whether beliefs are inferred from the server's replies instead of recorded by the clients.
    pub(crate) is_inferred: bool,
    /// How times are displayed.
    pub(crate) times: TimeDisplay,
}

impl LeaseView {
    pub(crate) fn new(timeline: &Timeline) -> Self {
        let config = &timeline.run().config;
        let now = timeline.now();
        let intervals = timeline.intervals();
        let (locks, nodes) = display_names(config);
        let is_inferred = timeline.live_trace().is_some();
        let past = timeline.past().len();
        let is_past = |flag: &&Flag| flag.record.index().is_some_and(|index| index < past);
        let flags = timeline.flags().iter().filter(is_past).cloned().collect();
        Self {
            intervals,
            believers: if is_inferred { Vec::new() } else { expected_believers(config) },
            locks,
            nodes,
            flags,
            now,
            lease_us: config.lease_ms * 1_000,
            is_inferred,
            times: timeline.time_display().clone(),
        }
    }

    /// Returns the label of a time.
    pub(crate) fn time(&self, time: VirtualTime) -> String {
        self.times.label(time)
    }

    pub(crate) fn lock_name(&self, lock: LockId) -> &str {
        self.locks.get(usize::from(lock.0)).map_or("", String::as_str)
    }

    pub(crate) fn node_name(&self, node: NodeId) -> &str {
        self.nodes.get(usize::from(node.0)).map_or("", String::as_str)
    }
}

/// Returns the names of the locks and of the nodes.
fn display_names(config: &Config) -> (Vec<String>, Vec<String>) {
    let locks = config.locks.iter().map(ToString::to_string).collect();
    let mut nodes = vec!["server".to_owned()];
    nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
    (locks, nodes)
}

/// Returns for each lock the clients whose scripts acquire it. They are known before the run
/// begins, so they reveal nothing of it.
fn expected_believers(config: &Config) -> Vec<Vec<NodeId>> {
    let believers = config.locks.iter().map(|lock| {
        let clients = (1..).map(NodeId).zip(&config.clients);
        let acquires = clients.filter(|(_, client)| {
            let mut steps = client.script.iter();
            steps.any(|step| matches!(step, ScriptStep::Acquire { lock: it, .. } if it == lock))
        });
        acquires.map(|(node, _)| node).collect()
    });
    believers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::library;

    /// Rows that appear later would move all others.
    #[test]
    fn every_belief_of_the_library_has_a_row_from_the_start() {
        for scenario in library() {
            for expected in &scenario.expected {
                let run = scenario.run_without(&expected.without);
                let believers = expected_believers(&run.config);
                let mut intervals = Intervals::default();
                intervals.extend_from(&run.execute().trace);
                for belief in &intervals.beliefs {
                    let row = &believers[usize::from(belief.lock.0)];
                    assert!(row.contains(&belief.client), "{}: {belief:?}", scenario.name);
                }
            }
        }
    }
}
