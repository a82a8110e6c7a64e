//! The groups of the library, and the order in which to teach it.

use serde::{Deserialize, Serialize};

use super::Scenario;

/// What the scenarios of a group have in common.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioGroup {
    /// Locks, wait queues and files, without a fault.
    #[default]
    Basics,
    /// A client crashes, is paused, or acts too late.
    ClientFaults,
    /// Packets are lost, duplicated or delayed, and links are cut.
    Network,
    /// The server crashes and restarts.
    Server,
    /// A clock is wrong.
    Clocks,
    /// Many clients at the same time.
    Load,
    /// A server takes over from another one.
    Failover,
}

impl ScenarioGroup {
    /// All groups, in teaching order.
    pub const ALL: [Self; 7] = [
        Self::Basics,
        Self::ClientFaults,
        Self::Network,
        Self::Server,
        Self::Clocks,
        Self::Load,
        Self::Failover,
    ];

    /// Returns the title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Basics => "Basics",
            Self::ClientFaults => "Client faults",
            Self::Network => "Network",
            Self::Server => "Server",
            Self::Clocks => "Clocks",
            Self::Load => "Load",
            Self::Failover => "Failover",
        }
    }
}

/// Returns the groups that contain scenarios, in teaching order. Each has the indices of its
/// scenarios, also in teaching order.
pub fn groups_of(scenarios: &[Scenario]) -> Vec<(ScenarioGroup, Vec<usize>)> {
    let members = |group: ScenarioGroup| {
        let indexed = scenarios.iter().enumerate();
        indexed.filter(|(_, scenario)| scenario.group == group).map(|(index, _)| index).collect()
    };
    let groups = ScenarioGroup::ALL.into_iter().map(|group| (group, members(group)));
    groups.filter(|(_, members): &(_, Vec<usize>)| !members.is_empty()).collect()
}

/// Returns the index of the scenario after this one in teaching order.
pub fn next_in_teaching_order(scenarios: &[Scenario], name: &str) -> Option<usize> {
    let groups = groups_of(scenarios);
    let mut order = groups.iter().flat_map(|(_, members)| members.iter().copied());
    order.find(|index| scenarios[*index].name == name)?;
    order.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::library;

    #[test]
    fn groups_contain_the_whole_library_and_empty_ones_are_left_out() {
        let library = library();
        let groups = groups_of(&library);
        assert!(groups.iter().all(|(group, _)| *group != ScenarioGroup::Failover));
        let mut all: Vec<usize> = groups.iter().flat_map(|(_, members)| members.clone()).collect();
        assert!(groups.iter().all(|(_, members)| members.is_sorted()));
        all.sort_unstable();
        assert_eq!(all, (0..library.len()).collect::<Vec<_>>());
        assert!(groups.iter().all(|(_, members)| members.len() > 1), "{groups:?}");
    }

    #[test]
    fn each_scenario_but_the_last_has_a_successor() {
        let library = library();
        let (mut name, mut count) = (library[0].name.clone(), 1);
        while let Some(next) = next_in_teaching_order(&library, &name) {
            name.clone_from(&library[next].name);
            count += 1;
        }
        assert_eq!(count, library.len());
        assert_eq!(next_in_teaching_order(&library, "unknown"), None);
    }
}
