//! Marks on the bars: accepted and refused appends.

use super::Drawing;
use super::rows::{BELIEF_ROW_EM, LockRows, SERVER_ROW_EM};
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Mark, MarkKind};
use crate::model::target::Target;
use crate::picture::shape::{Group, Shape, circle, to_f64};

impl Drawing<'_> {
    /// Draws the accepted and refused appends of a lock's file.
    pub(super) fn draw_marks(&mut self, rows: &LockRows) {
        let (em, now) = (self.row_em, self.input.now);
        let marks = self.input.intervals.marks.iter();
        let lock_marks = marks
            .filter(|it| it.lock == rows.lock && it.at <= now && self.axis.overlaps(it.at, it.at));
        for mark in lock_marks {
            let category = match mark.kind {
                MarkKind::Appended => EventCategory::Append,
                MarkKind::Refused => EventCategory::Reject,
                MarkKind::Acknowledged | MarkKind::Fault => continue,
            };
            let row = rows.believers.iter().position(|it| *it == mark.client);
            let y = match (mark.kind, row) {
                // A refused append is drawn in its sender's row, because it never reached the file.
                (MarkKind::Refused, Some(row)) => {
                    rows.top + em * (SERVER_ROW_EM + BELIEF_ROW_EM * to_f64(row) + 0.4)
                }
                // At the lower edge, so that it does not cover the token.
                _ => rows.top + em * 1.3,
            };
            let r = (em * 0.42).min(7.5);
            let mut shapes = category.shapes((0.0, 0.0), r);
            let mut witnesses = self.input.violations.iter();
            if witnesses.any(|(.., witness)| *witness == mark.record) {
                // Highlight the witness of a violation.
                shapes.insert(0, circle("violating-mark", (0.0, 0.0), r * 1.7));
            }
            self.shapes.push(Shape::Group(Group {
                class: "mark".into(),
                at: (self.axis.x_of(mark.at), y),
                target: Some(Target::Record(mark.record)),
                label: self.mark_label(mark),
                shapes,
            }));
        }
    }

    fn mark_label(&self, mark: &Mark) -> String {
        let client = self.input.names.node(mark.client);
        let action = if mark.kind == MarkKind::Appended { "appends" } else { "is refused" };
        format!("{client} {action} with token {} at {}", mark.token, mark.at)
    }
}
