//! The causal past and future of one event, as the space-time diagram distinguishes them.

use std::collections::BTreeSet;

use leasehold_sim::{Record, RecordId};

/// The causal past and future of an event.
pub(super) struct CausalCones {
    past: BTreeSet<RecordId>,
    future: BTreeSet<RecordId>,
}

impl CausalCones {
    pub(super) fn new(records: &[Record], selected_record: RecordId) -> Self {
        let mut past = BTreeSet::new();
        let mut pending = vec![selected_record];
        while let Some(id) = pending.pop() {
            if past.insert(id)
                && let Some(record) = id.index().and_then(|position| records.get(position))
            {
                pending.extend(record.causes.both().into_iter().filter(|cause| *cause < id));
            }
        }
        let mut future = BTreeSet::new();
        future.insert(selected_record);
        for (id, record) in (0_u32..).zip(records).skip(selected_record.index().unwrap_or(0)) {
            if record.causes.both().iter().any(|cause| future.contains(cause)) {
                future.insert(RecordId(id));
            }
        }
        Self { past, future }
    }

    fn class(&self, id: RecordId) -> &'static str {
        if self.past.contains(&id) {
            "causal-past"
        } else if self.future.contains(&id) {
            "causal-future"
        } else {
            "unrelated"
        }
    }
}

/// Returns the class of a record, empty if no event is selected.
pub(super) fn cone_class(cones: Option<&CausalCones>, id: RecordId) -> &'static str {
    cones.map_or("", |cones| cones.class(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::{RecordKind, Scenario, VirtualTime};

    #[test]
    fn causal_past_is_distinguished_from_unrelated_events() {
        let mut timeline =
            Timeline::new(Scenario::from_name("five-clients").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(2_500));
        let mut records = timeline.past().iter().enumerate();
        let (index, record) =
            records.find(|(_, it)| matches!(it.kind, RecordKind::LockGranted { .. })).unwrap();
        let cones = CausalCones::new(timeline.past(), RecordId(u32::try_from(index).unwrap()));
        assert_eq!(cones.class(record.causes.direct()), "causal-past");
        assert!(timeline.past().len() > cones.past.len() + cones.future.len());
    }
}
