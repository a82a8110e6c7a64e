//! Tenures and beliefs over time, the signature view: for each lock the tenures according to the
//! server as bars, below them a row for each client with what it believes, what happens to it and
//! what it does, and the violations as flags.
//!
//! - Only the past is drawn; the remaining lease is an outline. Nothing depends on what comes
//!   later, except the range of time.
//! - Rows have the same order and height from the start of the run to its end.
//! - No text covers another: see [`super::labels`].

mod aggregates;
mod bars;
mod client_rows;
mod flags;
mod marks;
mod overlay;
mod rows;
#[cfg(test)]
mod tests;

use leasehold_sim::{NodeId, VirtualTime};

use super::card::Card;
use super::labels::{Labels, text_bounds};
use super::shape::{Anchor, Area, Group, Picture, Shape, circle, hatch, line, rect, text, to_f64};
use super::text_width::{Weight, text_width};
use crate::model::intervals::{
    Aggregate, AggregatedIntervals, Belief, Intervals, Mark, MarkKind, Outage, OutageKind, Tenure,
    TenureEnd, Viewport,
};
use crate::model::lease_view::LeaseView;
use crate::model::target::Target;
use crate::picture::axis::Axis;
use flags::Lane;
use rows::{LockRows, Metrics, lock_rows};

pub(crate) struct GanttInput<'a> {
    pub(crate) view: &'a LeaseView,
    /// The intervals of the view, or those of them that are drawn individually.
    pub(crate) intervals: &'a Intervals,
    /// Whether all rows must fit into the area, because the page cannot be scrolled.
    pub(crate) must_fit: bool,
    /// Another run with the same seed, drawn over this one.
    pub(crate) overlay: Option<&'a Intervals>,
}

impl<'a> GanttInput<'a> {
    pub(crate) fn new(view: &'a LeaseView) -> Self {
        Self { view, intervals: &view.intervals, must_fit: false, overlay: None }
    }
}

struct Drawing<'a> {
    input: &'a GanttInput<'a>,
    aggregates: &'a [Aggregate],
    axis: Axis,
    metrics: Metrics,
    labels: Labels,
    shapes: Vec<Shape>,
}

/// More tenures than this are aggregated.
const TENURES_SINGLE_MAX: usize = 500;

/// Draws tenures and beliefs. The picture is at least as high as the area, and can be higher.
pub(crate) fn gantt(
    input: &GanttInput<'_>,
    (from, to): (VirtualTime, VirtualTime),
    area: Area,
    selected: Option<Target>,
) -> Picture {
    let em = area.em;
    let view = input.view;
    let axis = lease_axis((from, to), area);
    let label = gantt_label(input);
    // A real server or a long run can have more intervals than the picture has pixels.
    let must_aggregate = view.is_inferred || input.intervals.tenures.len() > TENURES_SINGLE_MAX;
    let viewport = Viewport { from, to, now: view.now, us_per_pixel: axis.us_per_pixel() };
    let witnesses = view.flags.iter().map(|flag| flag.record);
    let aggregated = must_aggregate
        .then(|| input.intervals.aggregated(viewport, &witnesses.collect::<Vec<_>>()));
    let (intervals, aggregates) = match &aggregated {
        Some(AggregatedIntervals { intervals, aggregates }) => (intervals, &**aggregates),
        None => (input.intervals, &[][..]),
    };
    let input = &GanttInput { intervals, ..*input };
    let (rows, metrics, bottom) = lock_rows((input, aggregates), &axis, area);
    let labels = Labels::new((0.0, 0.0, area.width, bottom));
    let mut drawing = Drawing { input, aggregates, axis, metrics, labels, shapes: Vec::new() };
    let (ticks_top, label_y) = if metrics.labels_are_above {
        (em * 1.5, em * 1.15)
    } else {
        (em * 0.4, bottom + em * 1.1)
    };
    drawing.shapes.extend(axis.ticks(&view.times, (ticks_top, bottom), label_y, em));
    let flags_top = rows.last().map_or(em, |it| it.bottom + metrics.gap);
    let lane = Lane { top: flags_top, bottom, right: area.width - em * 0.4 };
    let flags = drawing.place_flags(&rows, lane);
    drawing.draw_gaps(bottom);
    drawing.draw_server_outages(&rows);
    // Drawn first, so that the line does not cover current events.
    let x = axis.x_of(view.now);
    drawing.shapes.push(line("now", (x, 0.0), (x, bottom)));
    drawing.shapes.push(circle("now-head", (x, em * 0.28), em * 0.28));
    for (index, it) in rows.iter().enumerate() {
        if index > 0 {
            let y = it.top - metrics.gap * 0.4;
            drawing.shapes.push(line("rule", (0.0, y), (area.width, y)));
        }
        drawing.draw_lock(it, selected);
    }
    drawing.draw_flag_connections(&flags, lane);
    for it in &rows {
        drawing.draw_marks(it);
    }
    drawing.draw_flags(&flags, lane);
    Picture { width: area.width, height: bottom + em * 1.7, label, shapes: drawing.shapes }
}

/// Returns the axis of the leases in an area.
pub(crate) fn lease_axis((from, to): (VirtualTime, VirtualTime), area: Area) -> Axis {
    Axis { from, to, left: label_width(area), right: area.width - area.em }
}

fn gantt_label(input: &GanttInput<'_>) -> String {
    let now = input.view.now;
    let started = input.intervals.tenures.iter().filter(|it| it.from <= now);
    let held = started.clone().filter(|it| it.until.is_none_or(|until| until > now)).count();
    format!("Tenures and beliefs over time: {} tenures so far, {held} active", started.count())
}

/// Returns the width of the names at the left of the bars.
pub(crate) fn label_width(area: Area) -> f64 {
    if area.width < area.em * 34.0 { area.em * 7.2 } else { area.em * 8.5 }
}

impl Drawing<'_> {
    fn draw_lock(&mut self, rows: &LockRows, selected: Option<Target>) {
        let (now, metrics) = (self.input.view.now, self.metrics);
        self.draw_lock_name(rows, selected);
        let (input, axis) = (self.input, self.axis);
        let tenures = input.intervals.tenures.iter().filter(|it| {
            it.lock == rows.lock
                && it.from <= now
                && axis.overlaps(it.from, it.until.unwrap_or(now).max(it.from))
        });
        for tenure in tenures {
            self.draw_tenure(tenure, rows);
        }
        self.draw_aggregates(rows.lock, None, (rows.bar_top, metrics.bar));
        if metrics.is_packed {
            self.draw_shared_rows(rows);
        } else {
            for (index, client) in rows.believers.iter().enumerate() {
                self.draw_client_row(rows, index, *client);
            }
        }
        if !rows.believers.is_empty() && !metrics.has_names() {
            self.label_clients(rows);
        }
        self.draw_overlay(rows);
        self.draw_overlaps(rows);
    }

    /// Says how many clients the rows without names have.
    fn label_clients(&mut self, rows: &LockRows) {
        let (metrics, count) = (self.metrics, rows.believers.len());
        let height = metrics.row * to_f64(metrics.rows_of(count));
        let size = (metrics.em * 0.85).min(height * 0.85);
        let content = if count == 1 { "1 client".to_owned() } else { format!("{count} clients") };
        let content = Weight::Regular.fit(&content, size, self.axis.left - size);
        let y = self.row_top(rows, 0) + height / 2.0 + size * 0.35;
        let places = [((size * 0.5, y), Anchor::Start)];
        self.shapes.extend(self.labels.place("small", &content, size, &places));
    }

    fn draw_lock_name(&mut self, rows: &LockRows, selected: Option<Target>) {
        let (name, metrics) = (self.input.view.lock_name(rows.lock), self.metrics);
        let target = Target::Lock(rows.lock);
        let class = if selected == Some(target) { "row-label selected" } else { "row-label" };
        let size = (metrics.em * 1.05).min(metrics.bar * 0.8);
        let title = Weight::Bold.fit(name, size, self.axis.left - size * 0.8);
        let baseline = rows.bar_top + metrics.bar / 2.0 + size * 0.35;
        let at = (size * 0.4, baseline);
        let width = Weight::Bold.width(&title, size);
        self.labels.take(text_bounds(at, Anchor::Start, size, width));
        self.shapes.push(Shape::Group(Group {
            class: class.into(),
            at: (0.0, 0.0),
            target: Some(target),
            label: format!("lock {name}"),
            shapes: vec![
                rect("hit-area", (0.0, rows.top), (self.axis.left, metrics.strip + metrics.bar)),
                text("name", at, Anchor::Start, size, title),
            ],
        }));
    }

    /// Marks the times at which more than one client believes that it holds the lock.
    fn draw_overlaps(&mut self, rows: &LockRows) {
        let (em, now) = (self.metrics.em, self.input.view.now);
        if rows.believers.is_empty() {
            return;
        }
        let beliefs = self.input.intervals.beliefs.iter();
        let held: Vec<(VirtualTime, VirtualTime, NodeId)> = beliefs
            .filter(|it| it.lock == rows.lock && it.from <= now)
            .filter_map(|it| Some((it.from, it.until(now)?.min(now), it.client)))
            .collect();
        for (index, (from, until, client)) in held.iter().enumerate() {
            for (other_from, other_until, other) in &held[index + 1..] {
                let (start, end) = (*from.max(other_from), *until.min(other_until));
                if client == other || start >= end || !self.axis.overlaps(start, end) {
                    continue;
                }
                let (x1, x2) = self.span(start, end);
                let top = self.row_top(rows, 0);
                let count = self.metrics.rows_of(rows.believers.len());
                let height = self.metrics.row * to_f64(count);
                self.shapes.push(rect("overlap", (x1, top), (x2 - x1, height)));
                let size = em * 0.85;
                let baseline = top + height - size * 0.3;
                let places = [
                    ((x2 + em * 0.4, baseline), Anchor::Start),
                    ((x1 - em * 0.4, baseline), Anchor::End),
                    ((x2 + em * 0.4, top + size), Anchor::Start),
                    ((x1 - em * 0.4, top + size), Anchor::End),
                ];
                self.shapes.extend(self.labels.place("alarm", "2 believers", size, &places));
            }
        }
    }

    /// Marks the times that were not observed.
    fn draw_gaps(&mut self, bottom: f64) {
        let now = self.input.view.now;
        let outages = self.input.intervals.outages.iter();
        for gap in outages.filter(|it| it.kind == OutageKind::Gap) {
            let until = gap.until.unwrap_or(now).min(now);
            if gap.from > now || !self.axis.overlaps(gap.from, until) {
                continue;
            }
            let (x1, x2) = self.span(gap.from, until);
            self.shapes.push(rect("unobserved", (x1, 0.0), (x2 - x1, bottom)));
            let size = self.metrics.em * 0.85;
            if x2 - x1 > text_width("not observed", size) {
                let places = [((x1.midpoint(x2), bottom - size * 0.4), Anchor::Middle)];
                self.shapes.extend(self.labels.place("small", "not observed", size, &places));
            }
        }
    }

    /// Draws the times at which the server was down over all bars.
    fn draw_server_outages(&mut self, rows: &[LockRows]) {
        let (now, em) = (self.input.view.now, self.metrics.em);
        let outages = self.input.intervals.outages.iter().filter(|it| it.node.is_server());
        for outage in outages.filter(|it| it.from <= now) {
            let until = outage.until.unwrap_or(now).min(now);
            let (class, content) = match outage.kind {
                OutageKind::Crashed => ("outage crashed", "server down"),
                OutageKind::Paused => ("outage paused", "server paused"),
                OutageKind::Cut(_) | OutageKind::Gap => continue,
            };
            if !self.axis.overlaps(outage.from, until) {
                continue;
            }
            let (x1, x2) = self.span(outage.from, until);
            let mut shapes = Vec::new();
            for row in rows {
                let (at, size) = ((x1, row.bar_top), (x2 - x1, self.metrics.bar));
                shapes.push(rect(class, at, size));
                shapes.push(hatch("outage-hatch", at, size, em * 0.5));
            }
            self.shapes.push(Shape::Group(Group {
                class: "outage-group".into(),
                at: (0.0, 0.0),
                target: outage.record.index().map(|_| Target::Record(outage.record)),
                label: outage_card(self.input, outage).label(),
                shapes,
            }));
            let size = em * 0.82;
            for row in rows {
                let y = row.bar_top - em * 0.28;
                let places = [((x1, y), Anchor::Start), ((x2, y), Anchor::End)];
                self.shapes.extend(self.labels.place("small", content, size, &places));
            }
        }
    }
}

/// Describes what a target of the leases shows, for a card beside it.
pub(crate) fn card_for(input: &GanttInput<'_>, target: Target) -> Option<Card> {
    let (view, intervals) = (input.view, input.intervals);
    let record = match target {
        Target::Record(record) => record,
        Target::Lock(lock) => {
            let waits = view.believers.get(usize::from(lock.0)).map_or(0, Vec::len);
            let clients = format!("{waits} clients use this lock");
            return Some(Card::new(view.lock_name(lock), None, vec![clients]));
        }
        Target::Node(_) | Target::Link(_) | Target::Packet(_) => return None,
    };
    let flag = view.flags.iter().find(|it| it.record == record);
    let mark = intervals.marks.iter().find(|it| it.record == record && it.kind != MarkKind::Fault);
    let tenure = intervals.tenures.iter().find(|it| it.record == record);
    let belief = intervals.beliefs.iter().find(|it| it.record == record);
    let outage = intervals.outages.iter().find(|it| it.record == record);
    let mut card = mark
        .map(|it| mark_card(input, it))
        .or_else(|| tenure.map(|it| tenure_card(input, it)))
        .or_else(|| belief.map(|it| belief_card(input, it)))
        .or_else(|| outage.map(|it| outage_card(input, it)));
    if let Some(flag) = flag {
        let card = card.get_or_insert_with(|| {
            Card::new(&format!("Violation at {}", input.view.time(flag.at)), None, Vec::new())
        });
        card.lines.extend(flag.lines.iter().cloned());
    }
    card
}

fn tenure_card(input: &GanttInput<'_>, tenure: &Tenure) -> Card {
    let (view, now) = (input.view, input.view.now);
    let client = view.node_name(tenure.client);
    let until = tenure.until.filter(|until| *until <= now);
    let end = match (until, tenure.end) {
        (Some(until), Some(TenureEnd::Released)) => format!("until {}: released", view.time(until)),
        (Some(until), Some(TenureEnd::Expired)) => {
            format!("until its lease expired at {}", view.time(until))
        }
        (Some(until), Some(TenureEnd::HoldLimit)) => {
            format!("until its hold limit was reached at {}", view.time(until))
        }
        (Some(_), Some(TenureEnd::Lost)) => "until the server lost its state".to_owned(),
        (Some(_), Some(TenureEnd::Unobserved)) => {
            "and ended while the server was not observed".to_owned()
        }
        (Some(until), None) => format!("until {}", view.time(until)),
        (None, _) => "until now".to_owned(),
    };
    let renewals = tenure.renewals.iter().filter(|at| **at <= now).count();
    let title = format!("{client} holds the lock with token {}", tenure.token);
    let lines = vec![
        view.lock_name(tenure.lock).to_owned(),
        format!("from {} {end}", view.time(tenure.from)),
        if renewals == 0 { String::new() } else { format!("renewed {renewals} times") },
    ];
    Card::new(&title, Some(tenure.client), lines)
}

fn belief_card(input: &GanttInput<'_>, belief: &Belief) -> Card {
    let (view, now) = (input.view, input.view.now);
    let client = view.node_name(belief.client);
    let until = belief.until(now).unwrap_or(belief.from);
    let title = format!("{client} believes that it holds the lock");
    let tense = if until > now { "and expects it" } else { "until" };
    let (from, end) = (view.time(belief.from), view.time(until));
    let span = if until > now {
        format!("from {from} {tense} until {end}")
    } else {
        format!("from {from} {tense} {end}")
    };
    let key = (belief.lock, belief.client, belief.token);
    let mut tenures = input.intervals.tenures.iter().rev();
    let ended = tenures
        .find(|it| (it.lock, it.client, it.token) == key)
        .and_then(|it| it.until.filter(|ended| *ended <= now && *ended < until.min(now)));
    let lines = vec![
        format!("{}, token {}", view.lock_name(belief.lock), belief.token),
        span,
        ended.map_or_else(String::new, |at| {
            format!("wrong since {}: its tenure ended", view.time(at))
        }),
        if view.is_inferred {
            "inferred from the server's replies".to_owned()
        } else {
            String::new()
        },
    ];
    Card::new(&title, Some(belief.client), lines)
}

fn mark_card(input: &GanttInput<'_>, mark: &Mark) -> Card {
    let (client, at) = (input.view.node_name(mark.client), input.view.time(mark.at));
    let title = match mark.kind {
        MarkKind::TornRead => format!("{client} reads half of an update at {at}"),
        MarkKind::Refused => {
            format!("{client} is refused with token {} at {at}", mark.token)
        }
        MarkKind::Appended | MarkKind::Acknowledged | MarkKind::Fault => {
            format!("{client} appends with token {} at {at}", mark.token)
        }
    };
    let sent =
        mark.sent_at.map_or_else(String::new, |at| format!("sent at {}", input.view.time(at)));
    Card::new(&title, Some(mark.client), vec![input.view.lock_name(mark.lock).to_owned(), sent])
}

fn outage_card(input: &GanttInput<'_>, outage: &Outage) -> Card {
    let (view, now) = (input.view, input.view.now);
    let what = match outage.kind {
        OutageKind::Crashed => "is crashed".to_owned(),
        OutageKind::Paused => "is paused".to_owned(),
        OutageKind::Cut(to) => format!("cannot reach {}", view.node_name(to)),
        OutageKind::Gap => "is not observed".to_owned(),
    };
    let until = outage.until.filter(|until| *until <= now);
    let until =
        until.map_or_else(|| "until now".to_owned(), |it| format!("until {}", view.time(it)));
    let title = format!("{} {what}", view.node_name(outage.node));
    let client = (!outage.node.is_server()).then_some(outage.node);
    Card::new(&title, client, vec![format!("from {} {until}", view.time(outage.from))])
}
