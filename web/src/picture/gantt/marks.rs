//! Marks on the bars: accepted and refused appends, each with the way of its request from the
//! client's row.

use leasehold_sim::{NodeId, VirtualTime};

use super::rows::LockRows;
use super::{Drawing, mark_card};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Mark, MarkKind};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, circle, line, text};

/// With more marks than this, the ways of the requests would only be noise.
const FLIGHTS_MAX: usize = 120;

/// What a mark looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Accepted,
    /// It violates an invariant.
    Violating,
    Refused,
}

/// Marks that are too close to distinguish.
struct Cluster<'a> {
    first: &'a Mark,
    last: &'a Mark,
    look: Look,
    count: usize,
    x: f64,
}

impl Drawing<'_> {
    /// Returns the radius of a mark.
    pub(super) fn mark_radius(&self) -> f64 {
        (self.metrics.em * 0.52).min(self.metrics.bar * 0.34)
    }

    /// Draws the accepted and refused appends of a lock's file, and torn reads.
    pub(super) fn draw_marks(&mut self, rows: &LockRows) {
        let now = self.input.view.now;
        let intervals = self.input.intervals;
        let visible: Vec<&Mark> = intervals
            .marks
            .iter()
            .filter(|it| {
                let concerns_file =
                    matches!(it.kind, MarkKind::Appended | MarkKind::Refused | MarkKind::TornRead);
                concerns_file
                    && it.lock == rows.lock
                    && it.at <= now
                    && self.axis.overlaps(it.at, it.at)
            })
            .collect();
        let shows_flights = visible.len() <= FLIGHTS_MAX && self.metrics.has_names();
        if shows_flights {
            for mark in &visible {
                self.draw_flight(mark, rows);
            }
        }
        let clusters = self.clusters(&visible);
        let r = self.mark_radius();
        // What is wrong is drawn over the rest.
        for is_wrong in [false, true] {
            for (index, cluster) in clusters.iter().enumerate() {
                if (cluster.look != Look::Accepted) != is_wrong {
                    continue;
                }
                let mut others = clusters.iter().enumerate();
                let is_alone =
                    others.all(|(other, it)| other == index || (it.x - cluster.x).abs() > r * 2.1);
                self.draw_cluster(cluster, rows, is_alone);
            }
        }
    }

    fn look(&self, mark: &Mark) -> Look {
        let mut witnesses = self.input.view.flags.iter();
        if witnesses.any(|flag| flag.record == mark.record) {
            Look::Violating
        } else if matches!(mark.kind, MarkKind::Refused | MarkKind::TornRead) {
            Look::Refused
        } else {
            Look::Accepted
        }
    }

    fn clusters<'m>(&self, marks: &[&'m Mark]) -> Vec<Cluster<'m>> {
        let reach = self.mark_radius() * 2.0;
        let mut clusters: Vec<Cluster<'m>> = Vec::new();
        for mark in marks.iter().copied() {
            let (x, look) = (self.axis.x_of(mark.at), self.look(mark));
            let mut same = clusters.iter_mut().rev().filter(|it| it.look == look);
            match same.next().filter(|it| look != Look::Violating && x - it.x < reach) {
                Some(cluster) => (cluster.count, cluster.last) = (cluster.count + 1, mark),
                None => clusters.push(Cluster { first: mark, last: mark, look, count: 1, x }),
            }
        }
        clusters
    }

    fn draw_cluster(&mut self, cluster: &Cluster<'_>, rows: &LockRows, is_alone: bool) {
        let r = self.mark_radius();
        let y = rows.bar_top + self.metrics.bar;
        let mut shapes = vec![circle("hit-area", (0.0, 0.0), (r * 1.4).max(8.0))];
        let center = (0.0, 0.0);
        if cluster.look == Look::Refused {
            shapes.extend(EventCategory::cross(center, r * 0.85, "refused-ground"));
            shapes.extend(EventCategory::cross(center, r * 0.85, "refused-cross"));
        } else {
            let is_violating = cluster.look == Look::Violating;
            let class = if is_violating { "append-mark wrong" } else { "append-mark" };
            shapes.push(EventCategory::Append.outline(center, r * 1.1, class));
        }
        if is_alone && cluster.look != Look::Refused {
            let letter =
                if cluster.count > 1 { cluster.count.min(99).to_string() } else { "W".to_owned() };
            let class = if cluster.look == Look::Violating {
                "mark-letter alarm"
            } else {
                "mark-letter name"
            };
            let size = r * if letter.len() > 1 { 0.95 } else { 1.15 };
            shapes.push(text(class, (0.0, size * 0.36), Anchor::Middle, size, letter));
        }
        let card = mark_card(self.input, cluster.first);
        let label = match cluster.count {
            1 => card.label(),
            count => format!("{count} appends from {} to {}", cluster.first.at, cluster.last.at),
        };
        self.labels.take((cluster.x - r * 1.3, y - r * 1.3, cluster.x + r * 1.3, y + r * 1.3));
        self.shapes.push(Shape::Group(Group {
            class: format!("mark {}", node_color(cluster.first.client)).into(),
            at: (cluster.x, y),
            target: Some(Target::Record(cluster.first.record)),
            label,
            shapes,
        }));
    }

    /// Draws the way of an append from its client's row to the bar.
    fn draw_flight(&mut self, mark: &Mark, rows: &LockRows) {
        let Some(sent_at) = mark.sent_at.filter(|sent| self.axis.overlaps(*sent, *sent)) else {
            return;
        };
        let Some(from_y) = self.row_y(rows, mark.client) else { return };
        let (x1, x2) = (self.axis.x_of(sent_at), self.axis.x_of(mark.at));
        let to_y = rows.bar_top + self.metrics.bar + self.mark_radius() * 1.3;
        let is_wrong = self.look(mark) != Look::Accepted;
        let class = if is_wrong { "flight wrong" } else { "flight" };
        let dot = (self.metrics.em * 0.24).min(self.metrics.row * 0.3);
        let shapes = vec![
            line(class, (x1, from_y), (x2, to_y)),
            circle(if is_wrong { "send-dot wrong" } else { "send-dot" }, (x1, from_y), dot),
        ];
        self.shapes.push(Shape::Group(Group {
            class: node_color(mark.client).into(),
            at: (0.0, 0.0),
            target: None,
            label: String::new(),
            shapes,
        }));
        if self.has_ended_before(mark, sent_at) {
            self.label_late_append(mark, (x1, from_y));
        }
    }

    /// Whether the tenure had ended when the client sent the append.
    fn has_ended_before(&self, mark: &Mark, sent_at: VirtualTime) -> bool {
        let key = (mark.lock, mark.client, mark.token);
        let mut tenures = self.input.intervals.tenures.iter().rev();
        let tenure = tenures.find(|it| (it.lock, it.client, it.token) == key);
        tenure.is_some_and(|it| it.until.is_some_and(|until| until <= sent_at))
    }

    fn label_late_append(&mut self, mark: &Mark, (x, y): (f64, f64)) {
        let size = self.metrics.em * 0.85;
        let baseline = y + size * 0.34;
        let content = format!("appends with #{}", mark.token);
        let below = y + self.metrics.em * 0.95;
        let is_high = self.metrics.row >= self.metrics.em * 2.0;
        let below = if is_high { below } else { baseline };
        let places = [
            ((x + size * 0.6, below), Anchor::Start),
            ((x + size * 0.6, baseline), Anchor::Start),
            ((x - size * 0.6, baseline), Anchor::End),
        ];
        self.shapes.extend(self.labels.place(
            "outage-label outlined-text",
            &content,
            size,
            &places,
        ));
    }

    /// Returns the height of the mark or interval that a record is drawn as.
    pub(super) fn anchor_y(
        &self,
        rows: &LockRows,
        record: leasehold_sim::RecordId,
        client: NodeId,
    ) -> f64 {
        let bar_bottom = rows.bar_top + self.metrics.bar;
        let intervals = self.input.intervals;
        if intervals.marks.iter().any(|it| it.record == record) {
            return bar_bottom + self.mark_radius() * 1.3;
        }
        let is_belief = intervals.beliefs.iter().any(|it| it.record == record);
        let row_y = self.row_y(rows, client).filter(|_| is_belief);
        row_y.unwrap_or(bar_bottom)
    }
}
