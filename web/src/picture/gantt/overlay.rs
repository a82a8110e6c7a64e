//! The overlay of another run with the same seed: outlines of its intervals that differ.

use super::aggregates::is_aggregated;
use super::{Drawing, LockRows};
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Belief, Intervals, MarkKind, Tenure};
use crate::picture::shape::{Anchor, Group, Shape, rounded};

/// The vertical offset of an outline, in em, so that it does not cover the bar of this run.
const OVERLAY_OFFSET: f64 = 0.28;

impl Drawing<'_> {
    /// Draws the intervals of a lock that only the other run has.
    pub(super) fn draw_overlay(&mut self, rows: &LockRows) {
        let Some(other) = self.input.overlay else { return };
        let (own_intervals, aggregates, now) =
            (self.input.intervals, self.aggregates, self.input.view.now);
        let axis = self.axis;
        // Inside an aggregate, only intervals of at least 5 pixels can be distinguished.
        let is_distinguishable = |client, from, until| {
            axis.x_of(until) - axis.x_of(from) >= 5.0
                || !is_aggregated(aggregates, (rows.lock, client), from)
        };
        let tenures = other.tenures.iter().filter(|it| it.lock == rows.lock && it.from <= now);
        for tenure in tenures.filter(|it| {
            is_distinguishable(None, it.from, it.until.unwrap_or(now))
                && !has_tenure(own_intervals, it)
        }) {
            self.draw_overlay_tenure(tenure, rows);
        }
        for (index, client) in rows.believers.iter().enumerate() {
            let y = self.row_top(rows, index) + self.metrics.belief_y();
            let beliefs = other.beliefs.iter();
            let beliefs = beliefs.filter(|it| (it.lock, it.client) == (rows.lock, *client));
            for belief in beliefs.filter(|it| {
                is_distinguishable(Some(*client), it.from, it.until(now).unwrap_or(it.from))
                    && !has_belief(own_intervals, it)
            }) {
                self.draw_overlay_belief(belief, y);
            }
        }
        self.draw_overlay_marks(rows, other);
    }

    fn draw_overlay_tenure(&mut self, tenure: &Tenure, rows: &LockRows) {
        let (metrics, now) = (self.metrics, self.input.view.now);
        let until = tenure.until.unwrap_or(now).min(now);
        if !self.axis.overlaps(tenure.from, until.max(tenure.from)) {
            return;
        }
        let (x1, x2) = self.span(tenure.from, until);
        let top = rows.bar_top + metrics.em * OVERLAY_OFFSET;
        self.shapes.push(rounded("overlay", (x1, top), (x2 - x1, metrics.bar), 2.0));
        let name = format!("#{} {}", tenure.token, self.input.view.node_name(tenure.client));
        let y = rows.bar_top - metrics.em * 0.28;
        let places = [((x2, y), Anchor::End), ((x1, y), Anchor::Start)];
        self.shapes.extend(self.labels.place("overlay-label", &name, metrics.em * 0.8, &places));
    }

    fn draw_overlay_belief(&mut self, belief: &Belief, y: f64) {
        let Some(until) = belief.until(self.input.view.now) else { return };
        let until = until.min(self.input.view.now);
        if belief.from > until || !self.axis.overlaps(belief.from, until) {
            return;
        }
        let (x1, x2) = (self.axis.x_of(belief.from), self.axis.x_of(until));
        let height = self.metrics.belief_width() * 1.8;
        let size = ((x2 - x1).max(2.0), height);
        let top = y - height / 2.0;
        self.shapes.push(rounded("overlay", (x1, top), size, 2.0));
    }

    fn draw_overlay_marks(&mut self, rows: &LockRows, other: &Intervals) {
        let (own_intervals, now, em) = (self.input.intervals, self.input.view.now, self.metrics.em);
        let marks = other.marks.iter().filter(|it| it.lock == rows.lock && it.at <= now);
        for mark in marks.filter(|it| self.axis.overlaps(it.at, it.at)) {
            let is_same = |it: &&crate::model::intervals::Mark| {
                (it.at, it.client, it.kind) == (mark.at, mark.client, mark.kind)
            };
            let category = match mark.kind {
                MarkKind::Appended => EventCategory::Append,
                MarkKind::Refused | MarkKind::TornRead => EventCategory::Reject,
                MarkKind::Acknowledged | MarkKind::Fault => continue,
            };
            let is_aggregated = mark.kind == MarkKind::Appended
                && is_aggregated(self.aggregates, (rows.lock, None), mark.at);
            if is_aggregated || own_intervals.marks.iter().any(|it| is_same(&it)) {
                continue;
            }
            self.shapes.push(Shape::Group(Group {
                class: "overlay-mark".into(),
                at: (
                    self.axis.x_of(mark.at),
                    rows.bar_top + self.metrics.bar + em * OVERLAY_OFFSET,
                ),
                target: None,
                label: String::new(),
                shapes: category.shapes((0.0, 0.0), (em * 0.42).min(7.5)),
            }));
        }
    }
}

fn has_tenure(intervals: &Intervals, other: &Tenure) -> bool {
    let key = |it: &Tenure| (it.client, it.token, it.from, it.until);
    intervals.tenures.iter().any(|it| it.lock == other.lock && key(it) == key(other))
}

fn has_belief(intervals: &Intervals, other: &Belief) -> bool {
    intervals.beliefs.iter().any(|it| {
        (it.lock, it.client, it.from, it.ended_at)
            == (other.lock, other.client, other.from, other.ended_at)
            && it.extensions == other.extensions
    })
}
