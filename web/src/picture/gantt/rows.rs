//! The rows: for each lock a bar for its tenures, and below it a row for each client that can hold
//! the lock. Their order and heights are the same from the start of the run to its end.

use std::collections::BTreeSet;

use leasehold_sim::{LockId, NodeId};

use super::GanttInput;
use crate::model::intervals::Aggregate;
use crate::picture::axis::Axis;
use crate::picture::shape::{Area, clamp, to_f64};

/// The rows of one lock, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LockRows {
    pub(super) lock: LockId,
    /// The top of the strip for labels above the bar.
    pub(super) top: f64,
    pub(super) bar_top: f64,
    pub(super) bottom: f64,
    /// The clients that have a row, in ascending order.
    pub(super) believers: Vec<NodeId>,
}

/// The heights of everything, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metrics {
    /// The font size.
    pub(super) em: f64,
    /// The strip for labels above a bar.
    pub(super) strip: f64,
    pub(super) bar: f64,
    /// The row of a client.
    pub(super) row: f64,
    /// The distance between the bar and the first row, and between two locks.
    pub(super) gap: f64,
    /// The lane of the flags, below all rows.
    pub(super) flags: f64,
    /// Whether the clients of a lock share some rows, because there are too many.
    pub(super) is_packed: bool,
}

/// If there are more locks than this, locks without activity have no rows.
const LOCKS_ALL_SHOWN_MAX: usize = 12;

/// The individual intervals and the aggregates.
type VisibleInput<'a> = (&'a GanttInput<'a>, &'a [Aggregate]);

/// The heights in em, at least and at most.
const STRIP: (f64, f64) = (1.0, 1.2);
const BAR: (f64, f64) = (1.45, 2.5);
const ROW: (f64, f64) = (1.2, 3.1);
const GAP: (f64, f64) = (0.2, 0.8);
const FLAGS: (f64, f64) = (2.7, 4.2);

/// A row that is lower than this, in em, has no name.
const NAMED_ROW_EM: f64 = 1.05;

/// The least height of a row without a name, in pixels.
const THIN_ROW_PX: f64 = 3.5;

/// The number of rows that many clients of a lock share.
const SHARED_ROWS: usize = 4;

/// A picture may be this much higher than its area before rows lose their names.
const SCROLL_MAX: f64 = 1.7;

impl Metrics {
    /// Returns heights at `stretch` between the least, 0, and the most, 1.
    fn at(em: f64, stretch: f64) -> Self {
        let height = |(least, most): (f64, f64)| em * (least + (most - least) * stretch);
        Self {
            em,
            strip: height(STRIP),
            bar: height(BAR),
            row: height(ROW),
            gap: height(GAP),
            flags: height(FLAGS),
            is_packed: false,
        }
    }

    /// Returns the height of the rows of these locks, each with its number of clients.
    fn total(&self, clients: &[usize]) -> f64 {
        let locks = clients
            .iter()
            .map(|count| self.strip + self.bar + self.gap * 2.0 + self.row * to_f64(*count));
        locks.sum::<f64>() + self.flags
    }

    /// Returns the heights that fill the available height best. `must_fit` forbids a higher
    /// picture.
    pub(super) fn fitting(clients: &[usize], available: f64, em: f64, must_fit: bool) -> Self {
        let (least, most) = (Self::at(em, 0.0), Self::at(em, 1.0));
        let (low, high) = (least.total(clients), most.total(clients));
        if low <= available {
            let stretch = clamp((available - low) / (high - low).max(1.0), 0.0, 1.0);
            return Self::at(em, stretch);
        }
        // Smaller, if that is enough.
        let smallest = em * if must_fit { 0.42 } else { 0.84 };
        if Self::at(smallest, 0.0).total(clients) <= available {
            return Self::at(em * available / low, 0.0);
        }
        if !must_fit && low <= available * SCROLL_MAX {
            return least;
        }
        // Rows without names, as high as possible.
        let scaled = Self::at(em * if must_fit { 0.6 } else { 0.84 }, 0.0);
        let rows: usize = clients.iter().sum();
        let left = available - Self { row: 0.0, ..scaled }.total(clients);
        let row = left / to_f64(rows.max(1));
        if row >= THIN_ROW_PX {
            return Self { row: row.min(scaled.em * 0.9), ..scaled };
        }
        // The clients of each lock share some rows.
        let shared: Vec<usize> = clients.iter().map(|count| (*count).min(SHARED_ROWS)).collect();
        let packed = Self { row: scaled.em * 0.62, is_packed: true, ..scaled };
        if !must_fit || packed.total(&shared) <= available {
            return packed;
        }
        let factor = (available / packed.total(&shared)).max(0.1);
        let shrunk = Self::at((scaled.em * factor).max(5.0), 0.0);
        Self { row: packed.row * factor, is_packed: true, ..shrunk }
    }

    /// Returns how many rows the clients of a lock have.
    pub(super) fn rows_of(&self, clients: usize) -> usize {
        if self.is_packed { clients.min(SHARED_ROWS) } else { clients }
    }

    /// Whether rows are high enough for the names of their clients.
    pub(super) fn has_names(&self) -> bool {
        !self.is_packed && self.row >= self.em * NAMED_ROW_EM
    }

    /// Returns the middle of the belief line of a row, below the row's top.
    pub(super) fn belief_y(&self) -> f64 {
        if self.row >= self.em * 2.0 { self.em * 0.5 } else { self.row / 2.0 }
    }

    /// Returns the top and the height of what is drawn for outages, below the row's top.
    pub(super) fn outage_zone(&self) -> (f64, f64) {
        if self.row >= self.em * 2.0 {
            (self.em * 0.95, (self.row - self.em * 1.1).min(self.em * 1.3))
        } else {
            (self.row * 0.08, self.row * 0.84)
        }
    }

    /// Returns the width of the line of a belief.
    pub(super) fn belief_width(&self) -> f64 {
        (self.em * 0.42).min(self.row * 0.62)
    }
}

/// Whether a lock is held in the visible range.
fn has_activity((input, aggregates): VisibleInput<'_>, axis: &Axis, lock: LockId) -> bool {
    let now = input.view.now;
    let mut tenures = input.intervals.tenures.iter().rev();
    tenures.any(|it| {
        it.lock == lock
            && it.from <= now
            && axis.overlaps(it.from, it.until.unwrap_or(now).max(it.from))
    }) || aggregates.iter().any(|it| it.lock == lock && it.from <= now)
}

/// Returns the clients that have a row under a lock.
fn believers((input, aggregates): VisibleInput<'_>, axis: &Axis, lock: LockId) -> Vec<NodeId> {
    let now = input.view.now;
    let known = input.view.believers.get(usize::from(lock.0));
    let mut believers: BTreeSet<NodeId> = BTreeSet::new();
    believers.extend(known.into_iter().flatten());
    let overlay_beliefs = input.overlay.into_iter().flat_map(|overlay| &overlay.beliefs);
    let beliefs = input.intervals.beliefs.iter().chain(overlay_beliefs);
    let visible = beliefs.filter(|it| {
        let until = it.until(now).unwrap_or(it.from);
        // The live view shows only visible believers, because their number grows without limit.
        let is_in_range = !input.view.is_inferred || axis.overlaps(it.from, until);
        it.lock == lock && it.from <= now && is_in_range
    });
    believers.extend(visible.map(|it| it.client));
    let aggregates = aggregates.iter().filter(|it| it.lock == lock && it.from <= now);
    believers.extend(aggregates.filter_map(|it| it.client));
    believers.into_iter().collect()
}

/// Returns the rows of all locks, their heights, and the bottom of the lane of flags.
pub(super) fn lock_rows(
    visible_input: VisibleInput<'_>,
    axis: &Axis,
    area: Area,
) -> (Vec<LockRows>, Metrics, f64) {
    let (input, _) = visible_input;
    let locks = (0..).map(LockId).take(input.view.locks.len());
    let has_many = input.view.locks.len() > LOCKS_ALL_SHOWN_MAX;
    let locks = locks.filter(|lock| !has_many || has_activity(visible_input, axis, *lock));
    let mut rows: Vec<LockRows> = locks
        .map(|lock| {
            let believers = believers(visible_input, axis, lock);
            LockRows { lock, top: 0.0, bar_top: 0.0, bottom: 0.0, believers }
        })
        .collect();
    let axis_height = area.em * 1.7;
    let top = area.em * 0.35;
    let available = area.height - axis_height - top;
    let counts = |rows: &[LockRows]| rows.iter().map(|it| it.believers.len()).collect::<Vec<_>>();
    let mut metrics = Metrics::fitting(&counts(&rows), available, area.em, input.must_fit);
    // Inferred beliefs add little to the tenures.
    if input.view.is_inferred && input.must_fit && !metrics.has_names() {
        rows.iter_mut().for_each(|row| row.believers.clear());
        metrics = Metrics::fitting(&counts(&rows), available, area.em, true);
    }
    let mut y = top;
    for row in &mut rows {
        row.top = y;
        row.bar_top = y + metrics.strip;
        let clients = metrics.row * to_f64(metrics.rows_of(row.believers.len()));
        row.bottom = row.bar_top + metrics.bar + metrics.gap + clients;
        y = row.bottom + metrics.gap;
    }
    let bottom = (y + metrics.flags).max(area.height - axis_height);
    (rows, metrics, bottom)
}
