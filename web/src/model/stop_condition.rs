//! Conditions that pause the playback, such as a violation or a grant.

use leasehold_sim::{Importance, LockId, NodeId, Record, RecordKind, Run, ScriptStep};

use super::step_filter::StepFilter;
use super::timeline::Timeline;

/// Playback stops at the next step that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCondition {
    Violation,
    Refusal,
    Expiry,
    Append,
    Holds(NodeId, LockId),
}

impl StopCondition {
    /// Returns the conditions to choose from in a run, each with its name and label.
    pub(crate) fn choices(run: &Run) -> Vec<(String, String)> {
        let choices_without_lock = [
            ("violation", "an invariant is violated"),
            ("refusal", "a request is refused"),
            ("expiry", "a lease expires"),
            ("append", "a line is appended"),
        ];
        let choices_without_lock =
            choices_without_lock.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut choices = Vec::from(choices_without_lock);
        for (lock_index, lock) in (0_u8..).zip(&run.config.locks) {
            let users = (1_u8..).zip(&run.config.clients).filter(|(_, client)| {
                client
                    .script
                    .iter()
                    .any(|step| matches!(step, ScriptStep::Acquire { lock: it, .. } if it == lock))
            });
            for (node, client) in users {
                choices.push((
                    format!("holds-{node}-{lock_index}"),
                    format!("{} gets {lock}", client.name),
                ));
            }
        }
        choices
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "violation" => Self::Violation,
            "refusal" => Self::Refusal,
            "expiry" => Self::Expiry,
            "append" => Self::Append,
            _ => {
                let (node, lock) = name.strip_prefix("holds-")?.split_once('-')?;
                Self::Holds(NodeId(node.parse().ok()?), LockId(lock.parse().ok()?))
            }
        })
    }

    /// Returns the position of the next step that matches, among those that may be shown.
    pub(crate) fn next_position(self, timeline: &Timeline) -> Option<u32> {
        if self == Self::Violation {
            return timeline.find_position(true, StepFilter::Violation);
        }
        let last = timeline.horizon().unwrap_or_else(|| timeline.last_position());
        let mut positions = timeline.position() + 1..=last;
        positions.find(|position| {
            timeline.step_records(*position).iter().any(|record| self.matches(record))
        })
    }

    fn matches(self, record: &Record) -> bool {
        match self {
            Self::Violation => false,
            Self::Refusal => matches!(record.kind, RecordKind::RequestRefused { .. }),
            Self::Expiry => {
                matches!(record.kind, RecordKind::LockReleased { .. })
                    && Importance::from_record(record) == Importance::Expiry
            }
            Self::Append => matches!(record.kind, RecordKind::FileAppended { .. }),
            Self::Holds(node, held_lock) => matches!(
                record.kind,
                RecordKind::LockGranted { client, lock, .. } if (client, lock) == (node, held_lock)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    #[test]
    fn stop_conditions_are_found_only_if_they_occur() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let choices = StopCondition::choices(&scenario.resolve_run());
        assert!(
            choices
                .iter()
                .any(|(name, text)| { name == "holds-2-0" && text == "client_2 gets file_0" })
        );
        for (name, _) in &choices {
            assert!(StopCondition::from_name(name).is_some(), "{name}");
        }
        let mut timeline = Timeline::new(scenario.resolve_run());
        let position =
            StopCondition::from_name("holds-2-0").unwrap().next_position(&timeline).unwrap();
        timeline.go_to_position(position);
        assert!(timeline.now().as_millis() > 10_000);
        assert_eq!(StopCondition::Violation.next_position(&timeline), None);
        let without_fencing = Timeline::new(scenario.run_without(&[Protection::Fencing].into()));
        assert!(StopCondition::Violation.next_position(&without_fencing).is_some());
    }
}
