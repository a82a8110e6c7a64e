//! Tenures and beliefs over time: for each lock the tenures according to the server, below them the
//! beliefs of each client, and on both the accepted and refused appends.
//!
//! Only the past is drawn. The remaining lease is drawn as an outline.

mod aggregates;
mod marks;
mod overlay;
mod rows;

use leasehold_sim::{Invariant, LockId, NodeId, RecordId, VirtualTime};

use crate::model::intervals::{
    Aggregate, AggregatedIntervals, Belief, Intervals, OutageKind, Tenure, TenureEnd, Viewport,
};
use crate::model::target::Target;
use crate::picture::axis::Axis;
use crate::picture::shape::{
    Anchor, Area, Group, Picture, Shape, clamp, line, rect, rounded, text, text_width, to_f64,
    truncated_to_width,
};
use rows::{BELIEF_ROW_EM, LockRows, SERVER_ROW_EM, lock_rows, total_height};

/// The names of locks and nodes.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) locks: &'a [String],
    /// The first node is the server.
    pub(crate) nodes: &'a [String],
}

impl Names<'_> {
    pub(crate) fn lock(&self, lock: LockId) -> &str {
        self.locks.get(usize::from(lock.0)).map_or("", String::as_str)
    }

    pub(crate) fn node(&self, node: NodeId) -> &str {
        self.nodes.get(usize::from(node.0)).map_or("", String::as_str)
    }
}

pub(crate) struct GanttInput<'a> {
    pub(crate) intervals: &'a Intervals,
    pub(crate) names: Names<'a>,
    pub(crate) now: VirtualTime,
    pub(crate) lease_us: u64,
    /// The violations so far, each with its time and its witness.
    pub(crate) violations: &'a [(Invariant, VirtualTime, RecordId)],
    /// Whether beliefs are inferred from the server's replies instead of recorded by the clients.
    pub(crate) is_inferred: bool,
    /// Whether all rows must fit into the area, because the page cannot be scrolled.
    pub(crate) must_fit: bool,
    /// Another run with the same seed, drawn over this one.
    pub(crate) overlay: Option<&'a Intervals>,
}

struct Drawing<'a> {
    input: &'a GanttInput<'a>,
    aggregates: &'a [Aggregate],
    axis: Axis,
    /// The unit of rows and their content, and the font size of all other text.
    row_em: f64,
    text_em: f64,
    shapes: Vec<Shape>,
}

/// Draws tenures and beliefs. The picture is at least as high as the area, and can be higher.
pub(crate) fn gantt(
    input: &GanttInput<'_>,
    (from, to): (VirtualTime, VirtualTime),
    area: Area,
    selected: Option<Target>,
) -> Picture {
    let em = area.em;
    let axis = Axis { from, to, left: label_width(area), right: area.width - em };
    let label = gantt_label(input);
    // A real server or a long run can have more intervals than the picture has pixels.
    let must_aggregate = input.is_inferred || input.intervals.tenures.len() > TENURES_SINGLE_MAX;
    let viewport = Viewport { from, to, now: input.now, us_per_pixel: axis.us_per_pixel() };
    let witnesses = input.violations.iter().map(|(.., witness)| *witness);
    let aggregated = must_aggregate
        .then(|| input.intervals.aggregated(viewport, &witnesses.collect::<Vec<_>>()));
    let (intervals, aggregates) = match &aggregated {
        Some(AggregatedIntervals { intervals, aggregates }) => (intervals, &**aggregates),
        None => (input.intervals, &[][..]),
    };
    let input = &GanttInput { intervals, ..*input };
    let available = area.height - em * 1.7;
    let needed_height =
        |show_beliefs| total_height(&lock_rows((input, aggregates), &axis, em, show_beliefs), em);
    // Inferred beliefs add little to the tenures.
    let show_beliefs = !(input.must_fit && input.is_inferred && needed_height(true) > available);
    // Rows and their labels grow to fill the available height.
    let scale_min = if input.must_fit { 0.5 } else { 1.0 };
    let row_em = em * clamp(available / needed_height(show_beliefs), scale_min, 1.6);
    let text_em = em.min(row_em * 1.35);
    let rows = lock_rows((input, aggregates), &axis, row_em, show_beliefs);
    let bottom = total_height(&rows, row_em).max(available);
    let mut drawing = Drawing { input, aggregates, axis, row_em, text_em, shapes: Vec::new() };
    drawing.shapes.extend(axis.ticks(em * 0.4, bottom, em));
    // Drawn first, so that the line does not cover current events.
    let x = axis.x_of(input.now);
    drawing.shapes.push(line("now", (x, 0.0), (x, bottom)));
    for (index, it) in rows.iter().enumerate() {
        if index > 0 {
            let y = it.top - em * 0.25;
            drawing.shapes.push(line("rule", (0.0, y), (area.width, y)));
        }
        drawing.draw_lock(it, selected);
    }
    drawing.draw_gaps(bottom);
    drawing.draw_violations(bottom);
    Picture { width: area.width, height: bottom + em * 1.7, label, shapes: drawing.shapes }
}

fn gantt_label(input: &GanttInput<'_>) -> String {
    let held = input.intervals.tenures.iter().filter(|it| it.until.is_none()).count();
    format!(
        "Tenures and beliefs over time: {} tenures so far, {held} active at the end of the run",
        input.intervals.tenures.iter().filter(|it| it.from <= input.now).count()
    )
}

/// Returns the width of the names at the left of the bars.
pub(crate) fn label_width(area: Area) -> f64 {
    if area.width < area.em * 34.0 { area.em * 5.2 } else { area.em * 8.5 }
}

/// More tenures than this are aggregated.
const TENURES_SINGLE_MAX: usize = 500;

impl Drawing<'_> {
    fn draw_lock(&mut self, rows: &LockRows, selected: Option<Target>) {
        let (em, now) = (self.row_em, self.input.now);
        let name = self.input.names.lock(rows.lock).to_owned();
        let target = Target::Lock(rows.lock);
        let class = if selected == Some(target) { "row-label selected" } else { "row-label" };
        let size = self.text_em;
        let title = truncated_to_width(&name, size, self.axis.left - size * 0.6);
        let baseline = rows.top + em * 1.2;
        self.shapes.push(Shape::Group(Group {
            class: class.into(),
            at: (0.0, 0.0),
            target: Some(target),
            label: format!("lock {name}"),
            shapes: vec![
                rect("hit-area", (0.0, rows.top), (self.axis.left, em * SERVER_ROW_EM)),
                text("name", (size * 0.4, baseline), Anchor::Start, size, title),
            ],
        }));
        let (input, axis) = (self.input, self.axis);
        let tenures = input.intervals.tenures.iter().filter(|it| {
            it.lock == rows.lock
                && it.from <= now
                && axis.overlaps(it.from, it.until.unwrap_or(now).max(it.from))
        });
        for tenure in tenures {
            self.draw_tenure(tenure, rows.top);
        }
        self.draw_aggregates(rows.lock, None, (rows.top, em * 1.35));
        for (index, client) in rows.believers.iter().enumerate() {
            let y = rows.top + em * (SERVER_ROW_EM + BELIEF_ROW_EM * to_f64(index));
            let width = self.axis.left - size * 1.1;
            let label = truncated_to_width(self.input.names.node(*client), size * 0.9, width);
            let at = (size * 0.8, y + em * 0.4 + size * 0.3);
            self.shapes.push(text("small", at, Anchor::Start, size * 0.9, label));
            self.draw_outages(*client, y);
            let beliefs = input.intervals.beliefs.iter();
            for belief in beliefs.filter(|it| (it.lock, it.client) == (rows.lock, *client)) {
                self.draw_belief(belief, y);
            }
            self.draw_aggregates(rows.lock, Some(*client), (y, em * 0.8));
        }
        self.draw_overlay(rows);
        self.draw_overlaps(rows);
        self.draw_marks(rows);
    }

    fn draw_tenure(&mut self, tenure: &Tenure, top: f64) {
        let (em, now) = (self.row_em, self.input.now);
        let height = em * 1.35;
        let until = tenure.until.filter(|until| *until <= now);
        let (x1, x2) = (self.axis.x_of(tenure.from), self.axis.x_of(until.unwrap_or(now)));
        // Leave a gap, in case the next tenure follows immediately.
        let gap = if until.is_some() { 1.5 } else { 0.0 };
        let width = (x2 - x1 - gap).max(2.0);
        let mut shapes = vec![rounded("tenure", (x1, top), (width, height), 2.0)];
        if until.is_none() {
            let end = self.axis.x_of(self.promised_until(tenure)).max(x2);
            shapes.push(rounded("lease-remaining", (x2, top), (end - x2, height), 2.0));
        }
        for at in tenure.renewals.iter().filter(|at| **at <= now) {
            let x = self.axis.x_of(*at);
            shapes.push(line("renewal", (x, top + height * 0.72), (x, top + height)));
        }
        let end = tenure.end.filter(|_| until.is_some());
        if matches!(end, Some(TenureEnd::Expired | TenureEnd::Lost)) {
            shapes.push(line("expiry-edge", (x2, top - em * 0.15), (x2, top + height + em * 0.15)));
        }
        let client = self.input.names.node(tenure.client);
        let full = format!("#{} {client}", tenure.token);
        let short = format!("#{}", tenure.token);
        let available = x2 - x1 - em * 0.4;
        let size = (em * 0.85).min(self.text_em * 1.15);
        let visible_label =
            [&full, &short].into_iter().find(|it| text_width(it, size) <= available);
        if let Some(visible_label) = visible_label {
            let at = (x1 + em * 0.3, top + em * 0.55 + size * 0.35);
            shapes.push(text("tenure-label", at, Anchor::Start, size, visible_label.clone()));
        }
        let end_text = match end {
            None => "until now".to_owned(),
            Some(TenureEnd::Released) => format!("until {}", tenure.until.unwrap_or(now)),
            Some(TenureEnd::Expired) => {
                format!("until its lease expired at {}", tenure.until.unwrap_or(now))
            }
            Some(TenureEnd::Lost) => "until the server lost its state".to_owned(),
            Some(TenureEnd::Unobserved) => "and ended while the server was not observed".to_owned(),
        };
        let label = format!(
            "{client} holds the lock with token {} from {} {end_text}",
            tenure.token, tenure.from
        );
        self.shapes.push(Shape::Group(Group {
            class: "tenure-bar".into(),
            at: (0.0, 0.0),
            target: Some(Target::Record(tenure.record)),
            label,
            shapes,
        }));
    }

    /// Returns when an active tenure ends if its lease is not renewed.
    fn promised_until(&self, tenure: &Tenure) -> VirtualTime {
        let (input, now) = (self.input, self.input.now);
        if input.is_inferred {
            // The inferred belief is derived from the lease that the server granted.
            let key = (tenure.lock, tenure.client, tenure.token);
            let mut beliefs = input.intervals.beliefs.iter().rev();
            let belief = beliefs.find(|it| (it.lock, it.client, it.token) == key);
            return belief.and_then(|it| it.until(now)).unwrap_or(now);
        }
        let last_renewal = tenure.renewals.iter().rev().find(|at| **at <= now).copied();
        last_renewal.unwrap_or(tenure.from) + input.lease_us
    }

    fn draw_belief(&mut self, belief: &Belief, y: f64) {
        let (em, now) = (self.row_em, self.input.now);
        let Some(until) = belief.until(now) else { return };
        if !self.axis.overlaps(belief.from, until) {
            return;
        }
        let height = em * 0.8;
        let class = if self.input.is_inferred { "belief inferred" } else { "belief" };
        let (x1, x2) = (self.axis.x_of(belief.from), self.axis.x_of(until.min(now)));
        self.shapes.push(rounded(class, (x1, y), ((x2 - x1).max(2.0), height), 2.0));
        if until > now {
            let end = self.axis.x_of(until);
            self.shapes.push(rounded("lease-remaining", (x2, y), (end - x2, height), 2.0));
        }
    }

    fn draw_outages(&mut self, node: NodeId, y: f64) {
        let now = self.input.now;
        for outage in self.input.intervals.outages.iter().filter(|it| it.node == node) {
            let until = outage.until.unwrap_or(now).min(now);
            if outage.from > now || !self.axis.overlaps(outage.from, until) {
                continue;
            }
            let class = match outage.kind {
                OutageKind::Crashed => "outage crashed",
                OutageKind::Paused => "outage paused",
                OutageKind::Cut(_) => "outage cut",
                OutageKind::Gap => continue,
            };
            let (x1, x2) = (self.axis.x_of(outage.from), self.axis.x_of(until));
            let top = y - self.row_em * 0.2;
            self.shapes.push(rect(class, (x1, top), (x2 - x1, self.row_em * 1.2)));
        }
    }

    /// Marks the times at which more than one client believes that it holds the lock.
    fn draw_overlaps(&mut self, rows: &LockRows) {
        let (em, now) = (self.row_em, self.input.now);
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
                let (x1, x2) = (self.axis.x_of(start), self.axis.x_of(end));
                let top = rows.top + em * SERVER_ROW_EM - em * 0.25;
                let height = em * BELIEF_ROW_EM * to_f64(rows.believers.len());
                self.shapes.push(rect("overlap", (x1, top), ((x2 - x1).max(3.0), height)));
                let size = self.text_em * 0.95;
                let at = (x2 + em * 0.3, top + height - em * 0.3);
                self.shapes.push(text("alarm", at, Anchor::Start, size, "2 believers"));
            }
        }
    }

    /// Marks the times that were not observed.
    fn draw_gaps(&mut self, bottom: f64) {
        let outages = self.input.intervals.outages.iter();
        for gap in outages.filter(|it| it.kind == OutageKind::Gap) {
            let until = gap.until.unwrap_or(self.input.now).min(self.input.now);
            if gap.from > self.input.now || !self.axis.overlaps(gap.from, until) {
                continue;
            }
            let (x1, x2) = (self.axis.x_of(gap.from), self.axis.x_of(until));
            self.shapes.push(rect("unobserved", (x1, 0.0), ((x2 - x1).max(2.0), bottom)));
            let size = self.text_em * 0.85;
            if x2 - x1 > text_width("not observed", size) {
                let at = (x1.midpoint(x2), bottom - size * 0.4);
                self.shapes.push(text("small", at, Anchor::Middle, size, "not observed"));
            }
        }
    }

    fn draw_violations(&mut self, bottom: f64) {
        let em = self.text_em;
        let mut times: Vec<(VirtualTime, RecordId, String)> = Vec::new();
        for (invariant, at, record) in self.input.violations {
            if *at > self.input.now || !self.axis.overlaps(*at, *at) {
                continue;
            }
            match times.last_mut().filter(|(last, ..)| last == at) {
                Some((.., names)) => *names = format!("{names} {invariant}"),
                None => times.push((*at, *record, invariant.to_string())),
            }
        }
        for (at, record, names) in times {
            let x = self.axis.x_of(at);
            let near_end = x > self.axis.right - em * 4.0;
            let (anchor, offset) =
                if near_end { (Anchor::End, -em * 0.4) } else { (Anchor::Start, em * 0.4) };
            self.shapes.push(Shape::Group(Group {
                class: "violation".into(),
                at: (0.0, 0.0),
                target: Some(Target::Record(record)),
                label: format!("{names} violated at {at}"),
                shapes: vec![
                    line("violation-line", (x, 0.0), (x, bottom)),
                    text("alarm", (x + offset, bottom - em * 0.3), anchor, em * 0.9, names),
                ],
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::{Protection, Scenario};

    fn picture(scenario: &str, without: &[Protection], at_ms: u64) -> Picture {
        picture_with(scenario, without, at_ms, |_, area| area)
    }

    fn picture_with(
        scenario: &str,
        without: &[Protection],
        at_ms: u64,
        change: impl FnOnce(&mut GanttInput<'_>, Area) -> Area,
    ) -> Picture {
        let scenario = Scenario::from_name(scenario).unwrap();
        let mut timeline = Timeline::new(scenario.run_without(&without.iter().copied().collect()));
        timeline.go_to(VirtualTime::from_millis(at_ms));
        let config = &timeline.run().config;
        let locks: Vec<String> = config.locks.iter().map(ToString::to_string).collect();
        let mut nodes = vec!["server".to_owned()];
        nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
        let mut input = GanttInput {
            intervals: &timeline.intervals(),
            names: Names { locks: &locks, nodes: &nodes },
            now: timeline.now(),
            lease_us: 10_000_000,
            violations: &timeline.violations(),
            is_inferred: false,
            must_fit: false,
            overlay: None,
        };
        let area = Area { width: 760.0, height: 200.0, em: 12.0 };
        let area = change(&mut input, area);
        gantt(&input, (VirtualTime::START, timeline.end()), area, None)
    }

    #[test]
    fn tenures_show_tokens_and_the_future_is_hidden() {
        let early = picture("gc-pause", &[], 5_000);
        let holds = "client_1 holds the lock with token 1";
        assert!(early.labels().iter().any(|it| it.starts_with(holds)));
        assert!(!early.labels().iter().any(|it| it.contains("client_2")), "{:?}", early.labels());
        let late = picture("gc-pause", &[], 30_000);
        assert!(late.labels().iter().any(|it| it.starts_with("client_1 is refused with token 1")));
    }

    #[test]
    fn violation_line_spans_all_rows() {
        let without_fencing = picture("gc-pause", &[Protection::Fencing], 30_000);
        assert!(
            without_fencing.labels().iter().any(|it| it.starts_with("S2 S4 violated")),
            "{:?}",
            without_fencing.labels()
        );
        let before = picture("gc-pause", &[Protection::Fencing], 10_000);
        assert!(!before.labels().iter().any(|it| it.contains("violated")));
    }

    /// Only the differences between the runs are outlined.
    #[test]
    fn other_run_is_outlined_over_this_one() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let mut timeline = Timeline::new(scenario.resolve_run());
        timeline.go_to(VirtualTime::from_millis(30_000));
        let mut other = timeline.with_run(scenario.run_without(&[Protection::Fencing].into()));
        other.go_to(timeline.now());
        let (own_intervals, other_intervals) = (timeline.intervals(), other.intervals());
        let locks = ["file_0".to_owned()];
        let nodes = ["server", "client_1", "client_2"].map(str::to_owned);
        let draw_over = |overlay| {
            let names = Names { locks: &locks, nodes: &nodes };
            let input = GanttInput {
                intervals: &own_intervals,
                names,
                now: timeline.now(),
                lease_us: 10_000_000,
                violations: &[],
                is_inferred: false,
                must_fit: false,
                overlay: Some(overlay),
            };
            let area = Area { width: 760.0, height: 200.0, em: 12.0 };
            format!("{:?}", gantt(&input, (VirtualTime::START, timeline.end()), area, None))
        };
        assert!(
            draw_over(&other_intervals).contains("overlay-mark"),
            "the append that fencing refuses is missing"
        );
        assert!(!draw_over(&own_intervals).contains("overlay"), "identical runs have no outline");
    }

    #[test]
    fn all_rows_fit_while_presenting() {
        for is_inferred in [false, true] {
            let height = |must_fit| {
                let area = Area { width: 1_264.0, height: 280.0, em: 27.0 };
                let all = picture_with("five-clients", &[], 40_000, |input, _| {
                    (input.is_inferred, input.must_fit) = (is_inferred, must_fit);
                    area
                });
                all.height
            };
            assert!(height(false) > 281.0 && height(true) <= 281.0, "{is_inferred}");
        }
    }

    #[test]
    fn overlapping_believers_are_counted() {
        let scenario = Scenario::from_name("slow-clock").unwrap();
        let expected = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
        let without: Vec<Protection> = expected.without.iter().copied().collect();
        let end = scenario.config.ends_ms;
        let text = format!("{:?}", picture("slow-clock", &without, end));
        assert!(text.contains("2 believers"));
    }
}
