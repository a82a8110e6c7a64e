//! Which lanes a space-time diagram has, and what goes from one to another through those that are
//! left out.

use std::collections::BTreeSet;

use leasehold_sim::{Kind, NodeNo, Record, RecordNo};

use super::shape::float;

/// The lanes, one below the other.
pub(super) struct Lanes<'a> {
    pub(super) hidden: &'a BTreeSet<NodeNo>,
    /// How high each of them is.
    pub(super) height: f64,
}

impl Lanes<'_> {
    pub(super) fn has(&self, node: NodeNo) -> bool {
        !self.hidden.contains(&node)
    }

    /// The middle of a node's lane.
    pub(super) fn y(&self, node: NodeNo) -> f64 {
        let above = self.hidden.iter().filter(|it| **it < node).count();
        self.height * (float(usize::from(node.0).saturating_sub(above)) + 0.5)
    }

    /// The last event on another lane, not before the first one, that led to this one by way of
    /// hidden lanes alone.
    pub(super) fn through(
        &self,
        past: &[Record],
        record: &Record,
        first: RecordNo,
    ) -> Option<RecordNo> {
        let is_hidden =
            |no: &RecordNo| no.place().and_then(|it| past.get(it)).map(|it| !self.has(it.node));
        // The hidden ones that are still to be looked behind. What leads to something is before it.
        let mut open: Vec<RecordNo> = record.causes.both().to_vec();
        open.retain(|no| is_hidden(no) == Some(true));
        let is_near = |no: RecordNo| no >= first && no != RecordNo::NONE;
        while let Some(last) = open.iter().copied().filter(|no| is_near(*no)).max() {
            open.retain(|no| *no != last);
            let found = past.get(last.place()?)?;
            if !self.has(found.node) {
                open.extend(found.causes.both());
                open.extend(decided(past, found, first));
            } else if found.node != record.node {
                return Some(last);
            }
        }
        None
    }
}

/// The decision about its receiver that a packet tells of: the disk stands between the two.
fn decided(past: &[Record], record: &Record, first: RecordNo) -> Option<RecordNo> {
    let Kind::Sent(about) = record.kind else { return None };
    let (first, stored) = (first.place()?, record.causes.direct().place()?);
    if !matches!(past.get(stored)?.kind, Kind::Stored { .. }) {
        return None;
    }
    let mut before = past.get(first..stored)?.iter();
    let nth = before.rposition(|it| {
        it.node == record.node
            && it.causes.direct() != RecordNo::NONE
            && it.kind.subject().client == Some(about.peer)
    })?;
    u32::try_from(first + nth).ok().map(RecordNo)
}
