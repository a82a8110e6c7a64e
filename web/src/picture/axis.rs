//! The time axis of all views except the stage, from left to right.

use leasehold_sim::VirtualTime;

use super::shape::{Anchor, Shape, line, text};
use super::text_width::text_width;
use crate::model::time_display::{AxisPart, TimeDisplay};

/// Maps a range of time to a horizontal range of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) from: VirtualTime,
    pub(crate) to: VirtualTime,
    pub(crate) left: f64,
    pub(crate) right: f64,
}

impl Axis {
    /// Returns the coordinate of a time. Times outside of the range are at its edges.
    pub(crate) fn x_of(&self, time: VirtualTime) -> f64 {
        let length = self.to.as_micros().saturating_sub(self.from.as_micros()).max(1);
        let offset = time.clamp(self.from, self.to).as_micros() - self.from.as_micros();
        self.left + (self.right - self.left) * to_f64(offset) / to_f64(length)
    }

    /// Returns how many microseconds a pixel covers, at least one.
    pub(crate) fn us_per_pixel(&self) -> u64 {
        let length = self.to.as_micros() - self.from.as_micros();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let pixels = (self.right - self.left).clamp(1.0, 1e5) as u64;
        (length / pixels).max(1)
    }

    /// Whether any part of the range from `from` to `to` is visible.
    pub(crate) fn overlaps(&self, from: VirtualTime, to: VirtualTime) -> bool {
        from <= self.to && to >= self.from
    }

    /// Returns the time at a coordinate.
    pub(crate) fn time_at(&self, x: f64) -> VirtualTime {
        let fraction = ((x - self.left) / (self.right - self.left).max(1.0)).clamp(0.0, 1.0);
        let length = self.to.as_micros() - self.from.as_micros();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let offset = (to_f64(length) * fraction) as u64;
        self.from + offset
    }

    /// Returns lines and labels at round times; the labels stand on `label_y`. No two labels touch,
    /// and none leaves the range by more than half of its width.
    pub(crate) fn ticks(
        &self,
        times: &TimeDisplay,
        (top, bottom): (f64, f64),
        label_y: f64,
        em: f64,
    ) -> Vec<Shape> {
        let size = em * 0.85;
        let length = self.to.as_micros() - self.from.as_micros();
        let (step, label_width) = self.tick_step(times, length, size);
        let mut shapes = Vec::new();
        let mut free_from = f64::NEG_INFINITY;
        for part in times.axis_parts(self.from, self.to) {
            let first = part.from.as_micros().cast_signed() + part.shift_us;
            let mut displayed = first + (-first).rem_euclid(step);
            loop {
                let at = VirtualTime::from_micros((displayed - part.shift_us).cast_unsigned());
                if at > part.to {
                    break;
                }
                let x = self.x_of(at);
                shapes.push(line("tick", (x, top), (x, bottom)));
                let (left, right) = (x - label_width / 2.0, x + label_width / 2.0);
                if left >= free_from && right <= self.right + em {
                    let (label, at) = (times.tick_label(displayed, step), (x, label_y));
                    shapes.push(text("tick-label", at, Anchor::Middle, size, label));
                    free_from = right + size;
                }
                displayed += step;
            }
        }
        shapes
    }

    /// Returns the step between two labels, and the width of the widest label.
    fn tick_step(&self, times: &TimeDisplay, length: u64, size: f64) -> (i64, f64) {
        let mut step = round_step_at_least(to_f64(length) / 400.0);
        let parts = times.axis_parts(self.from, self.to);
        loop {
            let label_width = |part: &AxisPart| {
                let last = part.to.as_micros().cast_signed() + part.shift_us;
                text_width(&times.tick_label(last, step.cast_signed()), size)
            };
            let width = parts.iter().map(label_width).fold(0.0, f64::max);
            let pixels = (self.right - self.left) * to_f64(step) / to_f64(length.max(1));
            if pixels >= width + size * 4.5 || step > length {
                return (step.cast_signed(), width);
            }
            step = round_step_at_least(to_f64(step) * 1.5);
        }
    }
}

/// Returns the smallest of 1, 2, 5 times a power of ten that is at least `minimum` (microseconds).
pub(crate) fn round_step_at_least(minimum: f64) -> u64 {
    let mut step = 1_000;
    loop {
        for factor in [1, 2, 5] {
            if to_f64(step * factor) >= minimum {
                return step * factor;
            }
        }
        step *= 10;
    }
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn to_f64(micros: u64) -> f64 {
    micros as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: Axis = Axis {
        from: VirtualTime::START,
        to: VirtualTime::from_millis(40_000),
        left: 100.0,
        right: 500.0,
    };

    #[test]
    fn positions_and_times_convert_both_ways() {
        assert!((AXIS.x_of(VirtualTime::from_millis(20_000)) - 300.0).abs() < 1e-9);
        assert_eq!(AXIS.time_at(300.0), VirtualTime::from_millis(20_000));
        assert_eq!(AXIS.time_at(0.0), VirtualTime::START);
    }

    #[test]
    fn ticks_are_at_round_times() {
        let labels: Vec<String> = AXIS
            .ticks(&TimeDisplay::default(), (0.0, 10.0), 20.0, 12.0)
            .into_iter()
            .filter_map(
                |shape| {
                    if let Shape::Text { text, .. } = shape { Some(text) } else { None }
                },
            )
            .collect();
        assert_eq!(labels, ["0 s", "10 s", "20 s", "30 s", "40 s"]);
        assert_eq!(
            (round_step_at_least(1_200.0), round_step_at_least(600_000.0)),
            (2_000, 1_000_000)
        );
    }
}
