//! What happened on the bars: a line that was written, one that was refused.

use super::Drawing;
use super::rows::{BELIEF_ROW, Rows, SERVER_ROW};
use crate::model::bars::{Mark, MarkKind};
use crate::picture::glyph::Sign;
use crate::picture::shape::{Group, Shape, Target, circle, float};

impl Drawing<'_> {
    /// What was written under a lock, and what was refused.
    pub(super) fn marks(&mut self, rows: &Rows) {
        let (em, now) = (self.em, self.subject.now);
        let marks = self.subject.bars.marks.iter();
        let mine =
            marks.filter(|it| it.lock == rows.lock && it.at <= now && self.axis.has(it.at, it.at));
        for mark in mine {
            let sign = match mark.what {
                MarkKind::Written => Sign::Append,
                MarkKind::Refused => Sign::Reject,
                MarkKind::Answered | MarkKind::Fault => continue,
            };
            let row = rows.believers.iter().position(|it| *it == mark.client);
            let y = match (mark.what, row) {
                // What was refused is of account for its sender; the file never saw it.
                (MarkKind::Refused, Some(row)) => {
                    rows.top + em * (SERVER_ROW + BELIEF_ROW * float(row) + 0.4)
                }
                // On the lower edge, so that the token can be read.
                _ => rows.top + em * 1.3,
            };
            let r = (em * 0.42).min(7.5);
            let mut shapes = sign.shapes((0.0, 0.0), r);
            let mut witnesses = self.subject.violations.iter();
            if witnesses.any(|(.., witness)| *witness == mark.record) {
                // What violates is what one looks for.
                shapes.insert(0, circle("culprit", (0.0, 0.0), r * 1.7));
            }
            self.shapes.push(Shape::Group(Group {
                class: "mark".into(),
                at: (self.axis.x(mark.at), y),
                target: Some(Target::Record(mark.record)),
                label: self.mark_label(mark),
                shapes,
            }));
        }
    }

    fn mark_label(&self, mark: &Mark) -> String {
        let client = self.subject.names.node(mark.client);
        let what = if mark.what == MarkKind::Written { "writes" } else { "is refused" };
        format!("{client} {what} under token {} at {}", mark.token, mark.at)
    }
}
