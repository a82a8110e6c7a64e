//! The rows of clients: what each believes, when it was down or cut off, and what it does then.

use leasehold_sim::{NodeId, VirtualTime};

use super::rows::LockRows;
use super::{Drawing, belief_card, outage_card};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Belief, Outage, OutageKind};
use crate::model::target::Target;
use crate::picture::shape::{
    Anchor, Group, Shape, fill_numbers, hatch, line, path, rect, rounded, text, to_f64,
};
use crate::picture::text_width::Weight;
use crate::picture::who::{chip, chip_radius};

impl Drawing<'_> {
    /// Returns the top of a client's row.
    pub(super) fn row_top(&self, rows: &LockRows, index: usize) -> f64 {
        rows.bar_top + self.metrics.bar + self.metrics.gap + self.metrics.row * to_f64(index)
    }

    /// Returns the height of a client's belief line.
    pub(super) fn row_y(&self, rows: &LockRows, client: NodeId) -> Option<f64> {
        let index = rows.believers.iter().position(|it| *it == client)?;
        let index = if self.metrics.is_packed { 0 } else { index };
        Some(self.row_top(rows, index) + self.metrics.belief_y())
    }

    pub(super) fn draw_client_row(&mut self, rows: &LockRows, index: usize, client: NodeId) {
        let top = self.row_top(rows, index);
        let y = top + self.metrics.belief_y();
        if self.metrics.has_names() {
            self.draw_client_name(client, y);
            self.shapes.push(line("rail", (self.axis.left, y), (self.axis.right, y)));
        }
        self.draw_outages(client, top);
        let input = self.input;
        let beliefs = input.intervals.beliefs.iter();
        for belief in beliefs.filter(|it| (it.lock, it.client) == (rows.lock, client)) {
            self.draw_belief(belief, y);
        }
        let height = self.metrics.belief_width();
        self.draw_aggregates(rows.lock, Some(client), (y - height / 2.0, height));
        self.label_outages(client, rows, top);
    }

    /// Draws the beliefs of many clients in some shared rows, each in the first that is free.
    pub(super) fn draw_shared_rows(&mut self, rows: &LockRows) {
        let (input, count) = (self.input, self.metrics.rows_of(rows.believers.len()));
        let mut ends = vec![f64::MIN; count.max(1)];
        let beliefs = input.intervals.beliefs.iter();
        for belief in beliefs.filter(|it| it.lock == rows.lock && it.from <= input.view.now) {
            let until = belief.until(input.view.now).unwrap_or(belief.from);
            let (x1, x2) = self.span(belief.from, until);
            let free = ends.iter().position(|end| *end < x1).unwrap_or(ends.len() - 1);
            ends[free] = x2;
            let y = self.row_top(rows, free) + self.metrics.belief_y();
            self.draw_belief(belief, y);
        }
        let height = self.metrics.row * to_f64(count) * 0.8;
        let top = self.row_top(rows, 0);
        for client in &rows.believers {
            self.draw_aggregates(rows.lock, Some(*client), (top, height));
        }
    }

    fn draw_client_name(&mut self, client: NodeId, y: f64) {
        let size = (self.metrics.em * 0.9).min(self.metrics.row * 0.78);
        let name = self.input.view.node_name(client);
        let r = chip_radius(size, self.metrics.row);
        let x = size * 0.4 + r;
        let name_x = x + r + size * 0.4;
        let shown = Weight::Regular.fit(name, size, self.axis.left - name_x - size * 0.3);
        let mut shapes = chip(name, (x, y), r);
        shapes.push(text("row-name", (name_x, y + size * 0.34), Anchor::Start, size, shown));
        self.shapes.push(Shape::Group(Group {
            class: node_color(client).into(),
            at: (0.0, 0.0),
            target: None,
            label: String::new(),
            shapes,
        }));
    }

    /// Draws a belief as a line. The part that outlives its tenure is hatched.
    fn draw_belief(&mut self, belief: &Belief, y: f64) {
        let (now, width) = (self.input.view.now, self.metrics.belief_width());
        let Some(until) = belief.until(now) else { return };
        if !self.axis.overlaps(belief.from, until) {
            return;
        }
        let (x1, x2) = (self.axis.x_of(belief.from), self.axis.x_of(until.min(now)));
        let class = if self.input.view.is_inferred { "belief inferred" } else { "belief" };
        let size = ((x2 - x1).max(2.0), width);
        let mut shapes = vec![rounded(class, (x1, y - width / 2.0), size, width / 2.0)];
        if until > now {
            let end = self.axis.x_of(until);
            if end - x2 > 1.0 {
                shapes.push(line("belief-remaining", (x2, y), (end, y)));
            }
        }
        if let Some(ended) = self.tenure_end(belief).filter(|ended| *ended < until.min(now)) {
            let left = self.axis.x_of(ended.max(belief.from));
            if x2 - left >= 1.0 {
                let height = width * 1.7;
                let (at, size) = ((left, y - height / 2.0), (x2 - left, height));
                shapes.push(rect("false-belief", at, size));
                shapes.push(hatch("false-hatch", at, size, self.metrics.em * 0.34));
            }
        }
        let record = belief.record;
        self.shapes.push(Shape::Group(Group {
            class: format!("belief-line {}", node_color(belief.client)).into(),
            at: (0.0, 0.0),
            target: record.index().map(|_| Target::Record(record)),
            label: belief_card(self.input, belief).label(),
            shapes,
        }));
    }

    /// Returns when the tenure ended that a belief is about, if it has ended by now.
    fn tenure_end(&self, belief: &Belief) -> Option<VirtualTime> {
        let key = (belief.lock, belief.client, belief.token);
        let mut tenures = self.input.intervals.tenures.iter().rev();
        let tenure = tenures.find(|it| (it.lock, it.client, it.token) == key)?;
        tenure.until.filter(|until| *until <= self.input.view.now)
    }

    /// Returns the outages of a client up to now, and those of its link.
    fn outages_of(&self, client: NodeId) -> Vec<Outage> {
        let now = self.input.view.now;
        let concerns = |it: &&Outage| match it.kind {
            OutageKind::Crashed | OutageKind::Paused => it.node == client,
            OutageKind::Cut(to) => it.node == client || it.node.is_server() && to == client,
            OutageKind::Gap => false,
        };
        let outages = self.input.intervals.outages.iter().filter(concerns);
        let visible = outages.filter(|it| {
            it.from <= now && self.axis.overlaps(it.from, it.until.unwrap_or(now).min(now))
        });
        visible.copied().collect()
    }

    fn draw_outages(&mut self, client: NodeId, top: f64) {
        let (now, em) = (self.input.view.now, self.metrics.em);
        let (offset, height) = self.metrics.outage_zone();
        let zone = top + offset;
        for outage in self.outages_of(client) {
            let (x1, x2) = self.span(outage.from, outage.until.unwrap_or(now).min(now));
            let spacing = em * 0.5;
            let shapes = match outage.kind {
                OutageKind::Crashed => vec![
                    rounded("outage crashed", (x1, zone), (x2 - x1, height), em * 0.25),
                    hatch("outage-hatch", (x1, zone), (x2 - x1, height), spacing),
                ],
                OutageKind::Paused => vec![
                    rounded("outage paused", (x1, zone), (x2 - x1, height), em * 0.25),
                    hatch("outage-hatch", (x1, zone), (x2 - x1, height), spacing),
                ],
                OutageKind::Cut(to) => {
                    // Requests are above, replies below.
                    let y = zone + height * if to.is_server() { 0.3 } else { 0.75 };
                    vec![line("outage cut", (x1, y), (x2, y))]
                }
                OutageKind::Gap => continue,
            };
            self.shapes.push(Shape::Group(Group {
                class: "outage-group".into(),
                at: (0.0, 0.0),
                target: outage.record.index().map(|_| Target::Record(outage.record)),
                label: outage_card(self.input, &outage).label(),
                shapes,
            }));
        }
    }

    /// Returns the horizontal positions of a range, at least two pixels apart.
    pub(super) fn span(&self, from: VirtualTime, until: VirtualTime) -> (f64, f64) {
        let (x1, x2) = (self.axis.x_of(from), self.axis.x_of(until));
        (x1, x2.max(x1 + 2.0))
    }

    /// Says in words what an outage is, and marks its end.
    fn label_outages(&mut self, client: NodeId, rows: &LockRows, top: f64) {
        if !self.metrics.has_names() {
            return;
        }
        let now = self.input.view.now;
        let (offset, height) = self.metrics.outage_zone();
        let (zone, em) = (top + offset, self.metrics.em);
        let size = (em * 0.88).min(height * 0.95);
        let outages = self.outages_of(client);
        for outage in &outages {
            let until = outage.until.filter(|until| *until <= now);
            let (x1, x2) = self.span(outage.from, until.unwrap_or(now));
            if outage.kind == OutageKind::Crashed {
                let symbol =
                    EventCategory::cross((x1, zone + height / 2.0), em * 0.3, "crash-mark");
                self.shapes.extend(symbol);
            }
            if let Some(until) = until.filter(|_| !matches!(outage.kind, OutageKind::Cut(_))) {
                self.mark_end_of_outage(outage.kind, until, (zone, height, size));
            }
            if Self::is_second_direction(outage, &outages) {
                continue;
            }
            let texts = self.outage_texts(outage, rows, until);
            let free = self.uncovered((x1, x2), outage.from, rows, client);
            self.place_outage_label(&texts, free, x2, (zone, height, size));
        }
    }

    /// Whether both directions of a link are cut, and this one is the second.
    fn is_second_direction(outage: &Outage, outages: &[Outage]) -> bool {
        let OutageKind::Cut(to) = outage.kind else { return false };
        let mut others = outages.iter();
        !to.is_server()
            && others.any(|it| {
                it.from == outage.from
                    && matches!(it.kind, OutageKind::Cut(_))
                    && it.node != outage.node
            })
    }

    /// Returns the part of an outage that no belief covers. In a high row, they are apart.
    fn uncovered(
        &self,
        (x1, x2): (f64, f64),
        from: VirtualTime,
        rows: &LockRows,
        client: NodeId,
    ) -> (f64, f64) {
        if self.metrics.row >= self.metrics.em * 2.0 {
            return (x1, x2);
        }
        let now = self.input.view.now;
        let beliefs = self.input.intervals.beliefs.iter();
        let beliefs = beliefs.filter(|it| (it.lock, it.client) == (rows.lock, client));
        let ends = beliefs.filter(|it| it.from <= from).filter_map(|it| it.until(now));
        let end = ends.map(|end| self.axis.x_of(end.min(now))).fold(x1, f64::max);
        (end.min(x2), x2)
    }

    /// Places the longest text that fits into the free part of an outage, or else at its right.
    fn place_outage_label(
        &mut self,
        texts: &[String],
        (left, right): (f64, f64),
        end: f64,
        (zone, height, size): (f64, f64, f64),
    ) {
        let baseline = zone + height / 2.0 + size * 0.35;
        for content in texts {
            let width = Weight::Regular.width(content, size);
            let center = left.midpoint(right);
            if width + size > right - left {
                continue;
            }
            let places = [((center, baseline), Anchor::Middle)];
            if let Some(label) = self.labels.place("outage-label", content, size, &places) {
                let at = (center - width / 2.0 - size * 0.3, zone);
                self.shapes.push(rect("label-paper", at, (width + size * 0.6, height)));
                self.shapes.push(label);
                return;
            }
        }
        for content in texts {
            let places = [((end + size * 0.6, baseline), Anchor::Start)];
            let class = "outage-label outlined-text";
            if let Some(label) = self.labels.place(class, content, size, &places) {
                self.shapes.push(label);
                return;
            }
        }
    }

    /// Returns descriptions of an outage, the longest first.
    fn outage_texts(
        &self,
        outage: &Outage,
        rows: &LockRows,
        until: Option<VirtualTime>,
    ) -> Vec<String> {
        let now = self.input.view.now;
        let lasted_us = until.unwrap_or(now).as_micros() - outage.from.as_micros();
        let lasted = seconds_text(lasted_us);
        match outage.kind {
            OutageKind::Crashed => vec![format!("crashed for {lasted}"), "crashed".to_owned()],
            OutageKind::Paused => {
                let short = format!("paused for {lasted}");
                let believed = self.input.intervals.beliefs.iter().any(|it| {
                    (it.lock, it.client) == (rows.lock, outage.node)
                        && it.from <= outage.from
                        && it.until(outage.from).is_some_and(|until| until > outage.from)
                });
                let mut texts = Vec::new();
                if believed && until.is_none() {
                    texts.push(format!("{short}, would still act"));
                }
                texts.extend([short, "paused".to_owned()]);
                texts
            }
            OutageKind::Cut(to) => {
                let mut others = self.input.intervals.outages.iter();
                let is_both = others.any(|it| {
                    it.from == outage.from
                        && it.node == to
                        && it.kind == OutageKind::Cut(outage.node)
                });
                match (is_both, to.is_server()) {
                    (true, _) => vec!["cut off".to_owned()],
                    (false, true) => vec!["requests cut off".to_owned(), "cut off".to_owned()],
                    (false, false) => vec!["replies cut off".to_owned(), "cut off".to_owned()],
                }
            }
            OutageKind::Gap => Vec::new(),
        }
    }

    /// Marks the time at which a client resumes or restarts.
    fn mark_end_of_outage(
        &mut self,
        kind: OutageKind,
        at: VirtualTime,
        (zone, height, size): (f64, f64, f64),
    ) {
        if !self.axis.overlaps(at, at) {
            return;
        }
        let x = self.axis.x_of(at);
        let (middle, r) = (zone + height / 2.0, size * 0.36);
        let triangle = [x + 1.0, middle - r, x + 1.0 + r * 1.5, middle, x + 1.0, middle + r];
        self.shapes.push(path("resume-mark", fill_numbers("M_ _L_ _L_ _Z", &triangle)));
        self.labels.take((x, middle - r, x + 1.0 + r * 1.5, middle + r));
        let content = if kind == OutageKind::Crashed { "restarts" } else { "resumes" };
        let places = [((x + r * 1.5 + size * 0.55, middle + size * 0.35), Anchor::Start)];
        self.shapes.extend(self.labels.place("outage-label", content, size, &places));
    }
}

/// Formats a duration in seconds, with a decimal only if it matters.
pub(super) fn seconds_text(us: u64) -> String {
    let tenths = us / 100_000;
    if tenths.is_multiple_of(10) || tenths >= 200 {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}
