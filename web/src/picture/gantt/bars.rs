//! The tenures of a lock as bars in the colours of their clients.

use leasehold_sim::VirtualTime;

use super::rows::LockRows;
use super::{Drawing, tenure_card};
use crate::model::client_color::node_color;
use crate::model::intervals::{Tenure, TenureEnd};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, line, rounded, text};
use crate::picture::text_width::{Weight, first_that_fits};

impl Drawing<'_> {
    pub(super) fn draw_tenure(&mut self, tenure: &Tenure, rows: &LockRows) {
        let (now, metrics) = (self.input.view.now, self.metrics);
        let (top, height) = (rows.bar_top, metrics.bar);
        let until = tenure.until.filter(|until| *until <= now);
        let (x1, x2) = (self.axis.x_of(tenure.from), self.axis.x_of(until.unwrap_or(now)));
        // Leave a gap, in case the next tenure follows immediately.
        let gap = if until.is_some() { 1.5 } else { 0.0 };
        let width = (x2 - x1 - gap).max(2.0);
        let radius = (metrics.em * 0.3).min(width / 2.0);
        let mut shapes = vec![rounded("tenure", (x1, top), (width, height), radius)];
        if until.is_none() {
            let end = self.axis.x_of(self.promised_until(tenure)).max(x2);
            if end - x2 > 1.0 {
                let size = (end - x2, height - 1.0);
                shapes.push(rounded("lease-remaining", (x2, top + 0.5), size, radius));
            }
        }
        for at in tenure.renewals.iter().filter(|at| **at <= now) {
            let x = self.axis.x_of(*at);
            if x > x1 + 1.0 {
                shapes.push(line("renewal", (x, top + height * 0.84), (x, top + height)));
            }
        }
        let size = (metrics.em * 1.05).min(height * 0.56);
        let client = self.input.view.node_name(tenure.client);
        let texts = [format!("#{} {client}", tenure.token), format!("#{}", tenure.token)];
        let texts = [texts[0].as_str(), texts[1].as_str()];
        let left = x1.max(self.axis.left) + metrics.em * 0.5;
        let available = x1 + width - left - metrics.em * 0.3;
        if let Some(label) = first_that_fits(Weight::Bold, &texts, size, available) {
            // Above the marks on the lower edge.
            let y = top + (height - metrics.em * 0.42) / 2.0 + size * 0.36;
            shapes.push(text("tenure-label", (left, y), Anchor::Start, size, label));
        }
        let ended = tenure.end.filter(|_| until.is_some());
        let end_label = ended.and_then(end_label);
        if end_label.is_some() {
            let from = (x2, top - metrics.strip * 0.9);
            shapes.push(line("expiry-edge", from, (x2, top + height)));
        }
        let class = format!("tenure-bar {}", node_color(tenure.client));
        self.shapes.push(Shape::Group(Group {
            class: class.into(),
            at: (0.0, 0.0),
            target: Some(Target::Record(tenure.record)),
            label: tenure_card(self.input, tenure).label(),
            shapes,
        }));
        if let Some(label) = end_label {
            self.place_end_label(label, x2, rows);
        }
    }

    /// Names the end of a tenure in the strip above its bar.
    fn place_end_label(&mut self, label: &str, x: f64, rows: &LockRows) {
        let (em, y) = (self.metrics.em, rows.bar_top - self.metrics.em * 0.28);
        let size = em * 0.82;
        let candidates = [((x - em * 0.4, y), Anchor::End), ((x + em * 0.4, y), Anchor::Start)];
        self.shapes.extend(self.labels.place("small", label, size, &candidates));
    }

    /// Returns when an active tenure ends if its lease is not renewed.
    fn promised_until(&self, tenure: &Tenure) -> VirtualTime {
        let (input, now) = (self.input, self.input.view.now);
        if input.view.is_inferred {
            // The inferred belief is derived from the lease that the server granted.
            let key = (tenure.lock, tenure.client, tenure.token);
            let mut beliefs = input.intervals.beliefs.iter().rev();
            let belief = beliefs.find(|it| (it.lock, it.client, it.token) == key);
            return belief.and_then(|it| it.until(now)).unwrap_or(now);
        }
        let last_renewal = tenure.renewals.iter().rev().find(|at| **at <= now).copied();
        last_renewal.unwrap_or(tenure.from) + input.view.lease_us
    }
}

/// Names the end of a tenure, unless it was released.
const fn end_label(end: TenureEnd) -> Option<&'static str> {
    match end {
        TenureEnd::Released => None,
        TenureEnd::Expired => Some("lease expired"),
        TenureEnd::HoldLimit => Some("hold limit reached"),
        TenureEnd::Lost => Some("state lost"),
        TenureEnd::Unobserved => Some("end not observed"),
    }
}
