//! Finds steps of a timeline that match a filter.

use leasehold_sim::{Importance, NodeId, Record};

use super::timeline::Timeline;

/// Selects steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepFilter {
    MinImportance(Importance),
    /// Steps that concern this node, without heartbeats and internal records.
    Node(NodeId),
    Violation,
}

impl StepFilter {
    fn matches(self, record: &Record, is_violation: bool) -> bool {
        match self {
            Self::MinImportance(min_importance) => {
                is_violation || Importance::from_record(record) >= min_importance
            }
            Self::Node(node) => {
                let subject = record.kind.subject();
                let concerns_node = record.node == node || subject.client == Some(node);
                concerns_node && Importance::from_record(record) > Importance::Heartbeat
            }
            Self::Violation => is_violation,
        }
    }
}

impl Timeline {
    /// Returns the position of the next step that matches the filter, or of the previous one.
    /// Backwards, the beginning always matches.
    pub(crate) fn find_position(&self, forward: bool, filter: StepFilter) -> Option<u32> {
        let violated = self.violated();
        let is_match = |position: &u32| {
            let first_record = self.first_record_of_step(*position);
            let mut records = (first_record..).zip(self.step_records(*position));
            records.any(|(index, record)| {
                filter.matches(record, violated.iter().any(|(_, witness)| witness.0 == index))
            })
        };
        if forward {
            (self.position() + 1..=self.last_position()).find(is_match)
        } else {
            (0..self.position()).rev().find(|position| *position == 0 || is_match(position))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Scenario;

    #[test]
    fn important_steps_are_found_in_both_directions() {
        let mut timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        let grants = StepFilter::MinImportance(Importance::Grant);
        let first = timeline.find_position(true, grants).unwrap();
        timeline.go_to_position(first);
        let second = timeline.find_position(true, grants).unwrap();
        assert!(second > first);
        timeline.go_to_position(second);
        assert_eq!(timeline.find_position(false, grants), Some(first));
    }
}
