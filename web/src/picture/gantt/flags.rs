//! Flags: violations in words, in a lane of their own below the rows, each connected to its mark.

use super::Drawing;
use super::rows::LockRows;
use crate::model::flags::Flag;
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, fill_numbers, path, rounded, text, to_f64};
use crate::picture::text_width::bold_width;

/// The font size of the flags, in em.
const FLAG_TEXT_EM: f64 = 0.88;

/// A flag with its place.
pub(super) struct PlacedFlag {
    flag: Flag,
    /// The mark.
    anchor: (f64, f64),
    /// Left edge and width of the box; `None` if there is no room for it.
    place: Option<(f64, f64)>,
    lines: Vec<String>,
}

/// The lane of the flags.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) right: f64,
}

impl Drawing<'_> {
    /// Places the flags from left to right, so that a later one moves no earlier one. Takes the
    /// rectangles of their connections.
    pub(super) fn place_flags(&mut self, rows: &[LockRows], lane: Lane) -> Vec<PlacedFlag> {
        let em = self.metrics.em;
        let size = em * FLAG_TEXT_EM;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few lines")]
        let lines_max = ((lane.bottom - lane.top - em * 0.55) / em).max(1.0) as usize;
        let mut left_min = em * 0.4;
        let mut placed = Vec::new();
        for flag in self.input.view.flags.iter().filter(|it| self.axis.overlaps(it.at, it.at)) {
            let x = self.axis.x_of(flag.at);
            let lock_rows =
                flag.subject.and_then(|(lock, _)| rows.iter().find(|it| it.lock == lock));
            let y = match (flag.subject, lock_rows) {
                (Some((_, client)), Some(rows)) => self.anchor_y(rows, flag.record, client),
                _ => em * 0.35,
            };
            self.labels.take((x - 2.0, y, x + 2.0, lane.bottom));
            let full = full_lines(flag, lines_max);
            let width_of = |lines: &[String]| {
                lines.iter().map(|line| bold_width(line, size)).fold(0.0, f64::max) + em
            };
            let mut place = None;
            let mut lines = Vec::new();
            for candidate in [full, vec![flag.names()]] {
                let width = width_of(&candidate);
                let left = (x - em * 0.9).min(lane.right - width).max(left_min);
                if left + width <= lane.right {
                    (place, lines) = (Some((left, width)), candidate);
                    left_min = left + width + em * 0.4;
                    break;
                }
            }
            placed.push(PlacedFlag { flag: flag.clone(), anchor: (x, y), place, lines });
        }
        placed
    }

    /// Draws the connections of the flags, which are below the marks.
    pub(super) fn draw_flag_connections(&mut self, flags: &[PlacedFlag], lane: Lane) {
        let em = self.metrics.em;
        for placed in flags {
            let (x, y) = placed.anchor;
            let box_top = lane.top + em * 0.3;
            let end = placed.place.map_or(x, |(left, width)| {
                let margin = (em * 0.5).min(width / 2.0);
                x.max(left + margin).min(left + width - margin)
            });
            let data = fill_numbers("M_ _V_H_V_", &[x, y, lane.top + em * 0.1, end, box_top]);
            self.shapes.push(path("flag-line", data));
        }
    }

    pub(super) fn draw_flags(&mut self, flags: &[PlacedFlag], lane: Lane) {
        let em = self.metrics.em;
        let size = em * FLAG_TEXT_EM;
        for placed in flags {
            let Some((left, width)) = placed.place else { continue };
            let count = to_f64(placed.lines.len());
            let (top, height) = (lane.top + em * 0.3, em * (0.25 + count));
            let mut shapes = vec![rounded("flag-box", (left, top), (width, height), em * 0.3)];
            for (index, content) in placed.lines.iter().enumerate() {
                let at = (left + em * 0.5, top + em * (0.9 + to_f64(index)));
                shapes.push(text("flag-title", at, Anchor::Start, size, content.clone()));
            }
            let names = placed.flag.names();
            let label =
                format!("{names} violated at {}: {}", placed.flag.at, placed.flag.lines.join("; "));
            self.shapes.push(Shape::Group(Group {
                class: "flag".into(),
                at: (0.0, 0.0),
                target: Some(Target::Record(placed.flag.record)),
                label,
                shapes,
            }));
        }
    }
}

/// Returns the lines of a flag, at most `lines_max`. The last one names the rest.
fn full_lines(flag: &Flag, lines_max: usize) -> Vec<String> {
    let mut lines = flag.lines.clone();
    if lines.len() > lines_max {
        let rest = flag.lines[lines_max - 1..].iter().filter_map(|line| line.split(' ').next());
        lines[lines_max - 1] = rest.collect::<Vec<_>>().join(", ");
        lines.truncate(lines_max);
    }
    lines
}
