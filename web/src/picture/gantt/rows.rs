//! The rows: for each lock one for the server, and below it one for each client that has believed
//! that it holds the lock.

use std::collections::BTreeSet;

use leasehold_sim::{LockId, NodeId};

use super::GanttInput;
use crate::model::intervals::Aggregate;
use crate::picture::axis::Axis;
use crate::picture::shape::to_f64;

/// The rows of one lock.
pub(super) struct LockRows {
    pub(super) lock: LockId,
    pub(super) top: f64,
    /// The clients that have a row, in ascending order.
    pub(super) believers: Vec<NodeId>,
}

/// If there are more locks than this, locks without activity have no rows.
const LOCKS_ALL_SHOWN_MAX: usize = 12;

/// Whether a lock is held in the visible range.
fn has_activity((input, aggregates): VisibleInput<'_>, axis: &Axis, lock: LockId) -> bool {
    let mut tenures = input.intervals.tenures.iter().rev();
    tenures.any(|it| {
        it.lock == lock
            && it.from <= input.now
            && axis.overlaps(it.from, it.until.unwrap_or(input.now).max(it.from))
    }) || aggregates.iter().any(|it| it.lock == lock && it.from <= input.now)
}

/// The individual intervals and the aggregates.
type VisibleInput<'a> = (&'a GanttInput<'a>, &'a [Aggregate]);

pub(super) const SERVER_ROW_EM: f64 = 1.75;
pub(super) const BELIEF_ROW_EM: f64 = 1.3;

fn rows_height(rows: &LockRows, em: f64) -> f64 {
    em * (SERVER_ROW_EM + BELIEF_ROW_EM * to_f64(rows.believers.len()) + 0.55)
}

/// Returns the total height of the rows.
pub(super) fn total_height(rows: &[LockRows], em: f64) -> f64 {
    rows.last().map_or(em * 2.0, |last| last.top + rows_height(last, em))
}

/// Returns the rows, with those of the clients if `show_beliefs` is set.
pub(super) fn lock_rows(
    visible_input: VisibleInput<'_>,
    axis: &Axis,
    em: f64,
    show_beliefs: bool,
) -> Vec<LockRows> {
    let (input, aggregates) = visible_input;
    let mut top = em * 0.5;
    let locks = (0..).map(LockId).take(input.names.locks.len());
    let has_many = input.names.locks.len() > LOCKS_ALL_SHOWN_MAX;
    let is_shown = |lock: &LockId| !has_many || has_activity(visible_input, axis, *lock);
    let rows = locks.filter(is_shown).map(|lock| {
        let overlay_beliefs = input.overlay.into_iter().flat_map(|overlay| &overlay.beliefs);
        let beliefs = input.intervals.beliefs.iter().chain(overlay_beliefs);
        let visible = beliefs.filter(|it| {
            let until = it.until(input.now).unwrap_or(it.from);
            // The live view shows only visible believers, because their number grows without
            // limit. In a simulated run, zooming in does not remove rows.
            let is_in_range = !input.is_inferred || axis.overlaps(it.from, until);
            show_beliefs && it.lock == lock && it.from <= input.now && is_in_range
        });
        let aggregates = aggregates.iter();
        let aggregates =
            aggregates.filter(|it| show_beliefs && it.lock == lock && it.from <= input.now);
        let mut believers: BTreeSet<NodeId> = visible.map(|it| it.client).collect();
        believers.extend(aggregates.filter_map(|it| it.client));
        let believers: Vec<NodeId> = believers.iter().copied().collect();
        let rows = LockRows { lock, top, believers };
        top += rows_height(&rows, em);
        rows
    });
    rows.collect()
}
