//! The lanes of a space-time diagram, and causes that pass through hidden lanes.

use std::collections::BTreeSet;

use leasehold_sim::{NodeId, Record, RecordId, RecordKind};

use super::shape::to_f64;

pub(super) struct Lanes<'a> {
    pub(super) hidden: &'a BTreeSet<NodeId>,
    /// The height of each lane, in pixels.
    pub(super) height: f64,
}

impl Lanes<'_> {
    pub(super) fn is_visible(&self, node: NodeId) -> bool {
        !self.hidden.contains(&node)
    }

    /// Returns the vertical centre of a node's lane.
    pub(super) fn center_y(&self, node: NodeId) -> f64 {
        let hidden_above = self.hidden.iter().filter(|it| **it < node).count();
        self.height * (to_f64(usize::from(node.0).saturating_sub(hidden_above)) + 0.5)
    }

    /// Returns the latest event on another visible lane, not before `first`, that caused this one
    /// through hidden lanes only.
    pub(super) fn cause_through_hidden_lanes(
        &self,
        past: &[Record],
        record: &Record,
        first: RecordId,
    ) -> Option<RecordId> {
        let is_hidden = |id: &RecordId| {
            id.index().and_then(|it| past.get(it)).map(|it| !self.is_visible(it.node))
        };
        // The hidden events whose causes are still to be searched. Causes precede their effects.
        let mut pending: Vec<RecordId> = record.causes.both().to_vec();
        pending.retain(|id| is_hidden(id) == Some(true));
        let is_in_view = |id: RecordId| id >= first && id != RecordId::NONE;
        while let Some(last) = pending.iter().copied().filter(|id| is_in_view(*id)).max() {
            pending.retain(|id| *id != last);
            let cause = past.get(last.index()?)?;
            if !self.is_visible(cause.node) {
                pending.extend(cause.causes.both());
                pending.extend(decision_before_flush(past, cause, first));
            } else if cause.node != record.node {
                return Some(last);
            }
        }
        None
    }
}

/// Returns the server's decision that a packet reports to its receiver. The packet's direct cause
/// is the flush that made the decision durable, not the decision itself.
fn decision_before_flush(past: &[Record], record: &Record, first: RecordId) -> Option<RecordId> {
    let RecordKind::Sent(about) = record.kind else { return None };
    let (first, durable) = (first.index()?, record.causes.direct().index()?);
    if !matches!(past.get(durable)?.kind, RecordKind::Durable { .. }) {
        return None;
    }
    let mut before = past.get(first..durable)?.iter();
    let offset = before.rposition(|it| {
        it.node == record.node
            && it.causes.direct() != RecordId::NONE
            && it.kind.subject().client == Some(about.peer)
    })?;
    u32::try_from(first + offset).ok().map(RecordId)
}
