//! A miniature of the leases of a scenario, for the start screen: bars, beliefs, and one red mark.
//!
//! It shows the run without the first protection of the scenario, because that is what the scenario
//! is about. A run takes some milliseconds, so the page retains the pictures.

use std::collections::BTreeMap;

use leasehold_sim::{LockId, NodeId, Record, RecordId, Scenario, VirtualTime, World};

use super::axis::Axis;
use super::shape::{
    Area, Group, Picture, Shape, clamp, fill_numbers, hatch, line, path, rounded, to_f64,
};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Intervals, MarkKind, OutageKind, TenureEnd};

/// The size of a thumbnail, in pixels.
pub(crate) const THUMBNAIL_AREA: Area = Area { width: 230.0, height: 60.0, em: 8.0 };

/// The most steps that are simulated for a thumbnail.
const STEPS_MAX: u32 = 6_000;

/// The most clients and locks that are drawn.
const ROWS_MAX: usize = 3;
const LOCKS_MAX: usize = 2;

/// How much of the run is shown after its decisive event, in microseconds, and at least and at most
/// in all.
const AFTER_US: u64 = 3_500_000;
const SHOWN_MIN_US: u64 = 9_000_000;
const SHOWN_MAX_US: u64 = 30_000_000;

/// Draws the first seconds of a scenario.
pub(crate) fn thumbnail(scenario: &Scenario, area: Area) -> Picture {
    let mut without = scenario.without.clone();
    without.extend(scenario.switches.first());
    let mut world = World::new(scenario.run_without(&without));
    let mut trace: Vec<Record> = Vec::new();
    let mut until = None;
    while world.steps() < STEPS_MAX {
        if !world.step(&mut trace) {
            break;
        }
        let now = trace.last().map_or(VirtualTime::START, |record| record.at);
        // Some time after the decisive event, or at the latest time.
        if until.is_none() && !world.checkers().violations().is_empty() {
            until = Some(now + AFTER_US);
        }
        if now.as_micros() > SHOWN_MAX_US || until.is_some_and(|until| now > until) {
            break;
        }
    }
    let witness = world.checkers().violations().first().map(|(_, record)| *record);
    let mut intervals = Intervals::default();
    intervals.extend_from(&trace);
    let end = trace.last().map_or(VirtualTime::START, |record| record.at);
    let miniature = Miniature { intervals: &intervals, trace: &trace, witness, end };
    miniature.draw(scenario, area)
}

struct Miniature<'a> {
    intervals: &'a Intervals,
    trace: &'a [Record],
    witness: Option<RecordId>,
    end: VirtualTime,
}

impl Miniature<'_> {
    fn draw(&self, scenario: &Scenario, area: Area) -> Picture {
        let locks = self.busiest_locks();
        let clients = self.first_clients(&locks);
        let axis = Axis {
            from: VirtualTime::START,
            to: self.shown_until(),
            left: 1.0,
            right: area.width - 1.0,
        };
        let rows = to_f64(locks.len()) * 2.0 + to_f64(clients.len());
        let unit = clamp((area.height - 6.0) / rows.max(1.0), 3.0, 13.0);
        let bar = (unit * 1.6).min(15.0);
        let mut shapes = Vec::new();
        let mut bars = BTreeMap::new();
        let mut y = 3.0;
        for lock in &locks {
            bars.insert(*lock, y + bar);
            self.draw_tenures(*lock, &axis, (y, bar), &mut shapes);
            y += unit * 2.0;
        }
        let mut lines = BTreeMap::new();
        for client in &clients {
            lines.insert(*client, y + unit / 2.0);
            self.draw_client(*client, &axis, (y, unit), &mut shapes);
            y += unit;
        }
        shapes.extend(self.red_mark(&axis, (&bars, &lines), unit));
        let label = format!("Leases of {}", scenario.title);
        Picture { width: area.width, height: area.height, label, shapes }
    }

    /// Returns the end of the shown part: some time after the decisive event.
    fn shown_until(&self) -> VirtualTime {
        let decisive = self.witness.and_then(|it| self.trace.get(it.index()?)).map(|it| it.at);
        let quiet = self.intervals.tenures.iter().filter_map(|it| it.until).max();
        let until = decisive.map(|at| at + AFTER_US).or(quiet.map(|at| at + AFTER_US / 2));
        let until = until.unwrap_or(self.end).as_micros().min(self.end.as_micros());
        VirtualTime::from_micros(until.clamp(SHOWN_MIN_US, SHOWN_MAX_US))
    }

    fn busiest_locks(&self) -> Vec<LockId> {
        let mut counts: BTreeMap<LockId, usize> = BTreeMap::new();
        for tenure in &self.intervals.tenures {
            *counts.entry(tenure.lock).or_default() += 1;
        }
        let mut locks: Vec<LockId> = counts.keys().copied().collect();
        locks.truncate(LOCKS_MAX);
        locks
    }

    fn first_clients(&self, locks: &[LockId]) -> Vec<NodeId> {
        let mut clients: Vec<NodeId> = Vec::new();
        for belief in self.intervals.beliefs.iter().filter(|it| locks.contains(&it.lock)) {
            if !clients.contains(&belief.client) {
                clients.push(belief.client);
            }
        }
        clients.truncate(ROWS_MAX);
        clients.sort_by_cached_key(|client| u64::from(client.0));
        clients
    }

    fn draw_tenures(
        &self,
        lock: LockId,
        axis: &Axis,
        (top, height): (f64, f64),
        shapes: &mut Vec<Shape>,
    ) {
        for tenure in self.intervals.tenures.iter().filter(|it| it.lock == lock) {
            if tenure.from > axis.to {
                continue;
            }
            let (x1, x2) = (axis.x_of(tenure.from), axis.x_of(tenure.until.unwrap_or(axis.to)));
            let size = ((x2 - x1 - 1.0).max(1.5), height);
            let class = format!("tenure {}", node_color(tenure.client));
            shapes.push(rounded(class, (x1, top), size, (height * 0.25).min(size.0 / 2.0)));
            if tenure.end == Some(TenureEnd::Expired) {
                shapes.push(line("expiry-edge", (x2, top - 2.0), (x2, top + height + 1.0)));
            }
        }
    }

    fn draw_client(
        &self,
        client: NodeId,
        axis: &Axis,
        (top, height): (f64, f64),
        shapes: &mut Vec<Shape>,
    ) {
        for outage in self.intervals.outages.iter().filter(|it| it.node == client) {
            if matches!(outage.kind, OutageKind::Gap) || outage.from > axis.to {
                continue;
            }
            let (x1, x2) = (axis.x_of(outage.from), axis.x_of(outage.until.unwrap_or(axis.to)));
            let size = ((x2 - x1).max(2.0), height * 0.9);
            shapes.push(hatch("outage-hatch", (x1, top + height * 0.05), size, 5.0));
            if outage.kind == OutageKind::Crashed {
                let at = (x1 + 3.0, top + height / 2.0);
                shapes.extend(EventCategory::cross(at, (height * 0.32).max(2.5), "crash-mark"));
            }
        }
        let width = (height * 0.36).min(4.5);
        let y = top + height / 2.0 - width / 2.0;
        for belief in self.intervals.beliefs.iter().filter(|it| it.client == client) {
            let until = belief.until(axis.to).unwrap_or(belief.from).min(axis.to);
            if belief.from > axis.to {
                continue;
            }
            let (x1, x2) = (axis.x_of(belief.from), axis.x_of(until));
            let class = format!("belief {}", node_color(client));
            shapes.push(rounded(class, (x1, y), ((x2 - x1).max(1.5), width), width / 2.0));
        }
    }

    /// Draws the first violation, or else the first refused append or the first expiry.
    fn red_mark(
        &self,
        axis: &Axis,
        (bars, lines): (&BTreeMap<LockId, f64>, &BTreeMap<NodeId, f64>),
        unit: f64,
    ) -> Option<Shape> {
        let r = (unit * 0.55).clamp(3.5, 6.5);
        let bottom = bars.values().copied().fold(0.0, f64::max).max(unit * 2.0);
        let marks = self.intervals.marks.iter();
        let witness_mark = marks.clone().find(|it| Some(it.record) == self.witness);
        let refused = marks.clone().find(|it| it.kind == MarkKind::Refused && it.at <= axis.to);
        let witness = self.witness.and_then(|it| self.trace.get(it.index()?));
        let (at, y) = if let Some(mark) = witness_mark {
            (mark.at, bars.get(&mark.lock).copied().unwrap_or(bottom))
        } else if let Some(record) = witness {
            (record.at, lines.get(&record.node).copied().unwrap_or(bottom))
        } else if let Some(mark) = refused {
            (mark.at, bars.get(&mark.lock).copied().unwrap_or(bottom))
        } else {
            return None;
        };
        let x = clamp(axis.x_of(at), axis.left + r * 1.5, axis.right - r * 1.5);
        let corners = [x, y - r * 1.2, x + r * 1.2, y, x, y + r * 1.2, x - r * 1.2, y];
        Some(Shape::Group(Group {
            class: "mark".into(),
            at: (0.0, 0.0),
            target: None,
            label: String::new(),
            shapes: vec![path("append-mark wrong", fill_numbers("M_ _L_ _L_ _L_ _Z", &corners))],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::library;

    #[test]
    fn every_scenario_has_a_picture_of_bars_and_beliefs() {
        for scenario in library() {
            let picture = format!("{:?}", thumbnail(&scenario, THUMBNAIL_AREA));
            for class in ["\"tenure who-1", "\"belief who-1"] {
                assert!(picture.contains(class), "{}: {class}", scenario.name);
            }
        }
    }

    #[test]
    fn stale_append_is_the_red_mark() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let picture = thumbnail(&scenario, THUMBNAIL_AREA);
        assert!(format!("{picture:?}").contains("append-mark wrong"), "{picture:?}");
    }
}
