//! Another run of the same luck, over the one that is drawn: outlines of what is otherwise there.

use super::crowd::is_crowded;
use super::{BELIEF_ROW, Drawing, Rows, SERVER_ROW};
use crate::model::bars::{Bars, Belief, MarkKind, Tenure};
use crate::picture::glyph::Sign;
use crate::picture::shape::{Anchor, Group, Shape, rounded, text, text_width};

/// How far below its place an outline is, so that both are seen.
const OFF: f64 = 0.28;

impl Drawing<'_> {
    /// What the other run has of a lock, and this one hasn't.
    pub(super) fn ghosts(&mut self, rows: &Rows) {
        let Some(other) = self.subject.ghost else { return };
        let (own, crowds, now) = (self.subject.bars, self.crowds, self.subject.now);
        let axis = self.axis;
        // What is as small as all that is in a crowd can't be told from it.
        let is_clear = |client, from, until| {
            axis.x(until) - axis.x(from) >= 5.0 || !is_crowded(crowds, (rows.lock, client), from)
        };
        let tenures = other.tenures.iter().filter(|it| it.lock == rows.lock && it.from <= now);
        for tenure in tenures
            .filter(|it| is_clear(None, it.from, it.until.unwrap_or(now)) && !has_tenure(own, it))
        {
            self.ghost_tenure(tenure, rows.top);
        }
        for (no, client) in rows.believers.iter().enumerate() {
            let y =
                rows.top + self.em * (SERVER_ROW + BELIEF_ROW * crate::picture::shape::float(no));
            let beliefs = other.beliefs.iter();
            let beliefs = beliefs.filter(|it| (it.lock, it.client) == (rows.lock, *client));
            for belief in beliefs.filter(|it| {
                is_clear(Some(*client), it.from, it.until(now).unwrap_or(it.from))
                    && !has_belief(own, it)
            }) {
                self.ghost_belief(belief, y);
            }
        }
        self.ghost_marks(rows, other);
    }

    fn ghost_tenure(&mut self, tenure: &Tenure, top: f64) {
        let (em, now) = (self.em, self.subject.now);
        let until = tenure.until.unwrap_or(now).min(now);
        if !self.axis.has(tenure.from, until.max(tenure.from)) {
            return;
        }
        let (x1, x2) = (self.axis.x(tenure.from), self.axis.x(until));
        let top = top + em * OFF;
        self.shapes.push(rounded("ghost", (x1, top), ((x2 - x1).max(2.0), em * 1.35), 2.0));
        let size = em * 0.75;
        let name = format!("#{} {}", tenure.token, self.subject.names.node(tenure.client));
        if text_width(&name, size) < x2 - x1 {
            let at = (x2 - em * 0.3, top + em * 1.25);
            self.shapes.push(text("on-ghost", at, Anchor::End, size, name));
        }
    }

    fn ghost_belief(&mut self, belief: &Belief, y: f64) {
        let Some(until) = belief.until(self.subject.now) else { return };
        let until = until.min(self.subject.now);
        if belief.from > until || !self.axis.has(belief.from, until) {
            return;
        }
        let (x1, x2) = (self.axis.x(belief.from), self.axis.x(until));
        let size = ((x2 - x1).max(2.0), self.em * 0.8);
        self.shapes.push(rounded("ghost", (x1, y + self.em * OFF * 0.7), size, 2.0));
    }

    fn ghost_marks(&mut self, rows: &Rows, other: &Bars) {
        let (own, now, em) = (self.subject.bars, self.subject.now, self.em);
        let marks = other.marks.iter().filter(|it| it.lock == rows.lock && it.at <= now);
        for mark in marks.filter(|it| self.axis.has(it.at, it.at)) {
            let same = |it: &&crate::model::bars::Mark| {
                (it.at, it.client, it.what) == (mark.at, mark.client, mark.what)
            };
            let sign = match mark.what {
                MarkKind::Written => Sign::Append,
                MarkKind::Refused => Sign::Reject,
                MarkKind::Answered | MarkKind::Fault => continue,
            };
            let is_crowded = mark.what == MarkKind::Written
                && is_crowded(self.crowds, (rows.lock, None), mark.at);
            if is_crowded || own.marks.iter().any(|it| same(&it)) {
                continue;
            }
            self.shapes.push(Shape::Group(Group {
                class: "ghost-mark".into(),
                at: (self.axis.x(mark.at), rows.top + em * (1.3 + OFF)),
                target: None,
                label: String::new(),
                shapes: sign.shapes((0.0, 0.0), (em * 0.42).min(7.5)),
            }));
        }
    }
}

fn has_tenure(bars: &Bars, other: &Tenure) -> bool {
    let key = |it: &Tenure| (it.client, it.token, it.from, it.until);
    bars.tenures.iter().any(|it| it.lock == other.lock && key(it) == key(other))
}

fn has_belief(bars: &Bars, other: &Belief) -> bool {
    bars.beliefs.iter().any(|it| {
        (it.lock, it.client, it.from, it.ended)
            == (other.lock, other.client, other.from, other.ended)
            && it.steps == other.steps
    })
}
