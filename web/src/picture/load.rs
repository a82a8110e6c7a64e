//! The load over time: requests per second, a row for each kind, with the part that repeats earlier
//! requests. A herd is a peak, and a retry storm is a wall.

use leasehold_sim::VirtualTime;

use super::axis::{Axis, round_step_at_least};
use super::gantt::lease_axis;
use super::shape::{
    Anchor, Area, Group, Picture, Shape, circle, clamp, fill_numbers, line, path, rect, text,
    to_f64,
};
use super::text_width::{Weight, first_that_fits, text_width};
use crate::model::intervals::{LoadKind, LoadRate};
use crate::model::lease_view::LeaseView;

/// The width of an interval in which requests are counted, in em, at least.
const STEP_EM: f64 = 0.55;

/// Draws the load of a run up to now, on the same axis as the leases.
pub(crate) fn load(view: &LeaseView, range: (VirtualTime, VirtualTime), area: Area) -> Picture {
    let em = area.em;
    let axis = lease_axis(range, area);
    let legend_height = em * 1.5;
    // A low panel scrolls.
    let rows_height = em * 1.5 * to_f64(LoadKind::ALL.len());
    let bottom = (area.height - em * 1.7).max(legend_height + rows_height);
    let step_us = round_step_at_least(to_f64_us(axis.us_per_pixel()) * em * STEP_EM).max(50_000);
    let rates = LoadKind::ALL.map(|kind| {
        let until = view.now.min(axis.to);
        (kind, view.intervals.load.rates(kind, (axis.from, until), step_us, view.is_inferred))
    });
    // Rows of equal height with one scale, so that their heights can be compared.
    let peak_of = |rates: &[LoadRate]| rates.iter().map(|it| it.all).fold(0.0, f64::max);
    let scale_max = rates.iter().map(|(_, it)| peak_of(it)).fold(1.0, f64::max);
    let row = (bottom - legend_height) / to_f64(rates.len());
    let mut shapes = axis.ticks(&view.times, (legend_height, bottom), bottom + em * 1.1, em);
    for (index, (kind, rates)) in rates.iter().enumerate() {
        let base = legend_height + row * (to_f64(index) + 1.0);
        let peak = peak_of(rates);
        shapes.push(row_group(*kind, rates, &axis, (base, row, em), (peak, scale_max, step_us)));
    }
    let x = axis.x_of(view.now);
    shapes.push(line("now", (x, 0.0), (x, bottom)));
    shapes.push(circle("now-head", (x, em * 0.28), em * 0.28));
    shapes.extend(legend(&axis, em, view.is_inferred, step_us));
    let peaks = rates.iter().map(|(kind, rates)| {
        format!("{} {} per second", kind.title(), number_text(peak_of(rates)))
    });
    let label = format!("Load over time, at most: {}", peaks.collect::<Vec<_>>().join(", "));
    Picture { width: area.width, height: bottom + em * 1.7, label, shapes }
}

#[allow(clippy::cast_precision_loss, reason = "a range on a screen")]
fn to_f64_us(micros: u64) -> f64 {
    micros as f64
}

/// Formats a rate.
fn number_text(rate: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
    let tenths = (rate * 10.0).round() as u64;
    if tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{}", (tenths + 5) / 10)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

fn legend(axis: &Axis, em: f64, is_handled: bool, step_us: u64) -> Vec<Shape> {
    let size = em * 0.82;
    let (mut x, y) = (axis.left, em * 1.0);
    let every = VirtualTime::from_micros(step_us);
    let unit = if step_us >= 100_000 {
        format!("per second, in steps of {every}")
    } else {
        "per second".to_owned()
    };
    let entries: &[(&str, &str)] = if is_handled {
        &[("load-bar", "handled by the server")]
    } else {
        &[("load-bar", "first attempts"), ("load-bar retries", "retries")]
    };
    let mut shapes = Vec::new();
    for (class, label) in entries {
        let end = x + size * 1.4 + text_width(label, size);
        if end > axis.right {
            return shapes;
        }
        shapes.push(rect(*class, (x, y - size * 0.75), (size * 0.9, size * 0.9)));
        shapes.push(text("small outlined-text", (x + size * 1.3, y), Anchor::Start, size, *label));
        x = end + size;
    }
    let texts = [unit.as_str(), "per second"];
    if let Some(unit) = first_that_fits(Weight::Regular, &texts, size, axis.right - x) {
        shapes.push(text("small outlined-text", (x, y), Anchor::Start, size, unit));
    }
    shapes
}

/// Draws the row of one kind.
fn row_group(
    kind: LoadKind,
    rates: &[LoadRate],
    axis: &Axis,
    (base, row, em): (f64, f64, f64),
    (peak, scale_max, step_us): (f64, f64, u64),
) -> Shape {
    let size = (em * 0.9).min(row * 0.6);
    let y = base - row / 2.0;
    let r = (size * 0.55).max(5.0);
    let title_x = size * 0.4 + r * 2.2 + size * 0.3;
    let value = format!("max {}/s", number_text(peak));
    let small = size * 0.82;
    // The peak is below the title if the row is high enough.
    let is_high = row >= size * 2.6;
    let title_y = if is_high { y - size * 0.1 } else { y + size * 0.35 };
    let title = Weight::Regular.fit(kind.title(), size, axis.left - title_x - size * 0.3);
    let mut shapes = kind.category().shapes((size * 0.4 + r * 1.1, title_y - size * 0.33), r);
    shapes.push(text("row-name", (title_x, title_y), Anchor::Start, size, title));
    if is_high && peak > 0.0 {
        let value = Weight::Regular.fit(&value, small, axis.left - title_x);
        shapes.push(text("small", (title_x, y + size * 0.95), Anchor::Start, small, value));
    }
    shapes.push(line("rule", (axis.left, base), (axis.right, base)));
    let height = row * 0.86;
    for (class, of) in
        [("load-bar", first_attempts as fn(&LoadRate) -> (f64, f64)), ("load-bar retries", retries)]
    {
        let data = bars(rates, axis, step_us, |rate| {
            let (from, to) = of(rate);
            (base - height * from / scale_max, base - height * to / scale_max)
        });
        if !data.is_empty() {
            shapes.push(path(class, data));
        }
    }
    Shape::Group(Group {
        class: "load-row".into(),
        at: (0.0, 0.0),
        target: None,
        label: format!("{}: at most {} per second", kind.title(), number_text(peak)),
        shapes,
    })
}

/// Retries are at the bottom, first attempts on top of them.
fn first_attempts(rate: &LoadRate) -> (f64, f64) {
    (rate.retries, rate.all)
}

fn retries(rate: &LoadRate) -> (f64, f64) {
    (0.0, rate.retries)
}

/// Returns the path of bars. `edges` returns the lower and the upper edge of an interval.
fn bars(
    rates: &[LoadRate],
    axis: &Axis,
    step_us: u64,
    edges: impl Fn(&LoadRate) -> (f64, f64),
) -> String {
    let mut data = String::new();
    for (index, rate) in (0_u64..).zip(rates) {
        let (low, high) = edges(rate);
        if low - high < 0.05 {
            continue;
        }
        let from = axis.x_of(axis.from + index * step_us);
        let to = axis.x_of(axis.from + (index + 1) * step_us);
        let right = clamp(to - 0.6, from + 0.5, axis.right);
        // At least one pixel is visible.
        let high = high.min(low - 1.0);
        data.push_str(&fill_numbers("M_ _V_H_V_Z", &[from, low, high, right, low]));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::{Protection, Scenario};

    fn picture(without: &[Protection], at_ms: u64) -> Picture {
        let scenario = Scenario::from_name("thundering-herd").unwrap();
        let mut timeline = Timeline::new(scenario.run_without(&without.iter().copied().collect()));
        timeline.go_to(VirtualTime::from_millis(at_ms));
        let range = (VirtualTime::START, timeline.end());
        load(&LeaseView::new(&timeline), range, Area::new((824.0, 238.0), false))
    }

    #[test]
    fn each_kind_has_a_row_with_its_peak() {
        let labels = picture(&[], 20_000);
        let labels = labels.labels().join("; ");
        for kind in LoadKind::ALL {
            assert!(labels.contains(&format!("{}: at most ", kind.title())), "{labels}");
        }
    }

    #[test]
    fn future_is_not_drawn() {
        let bars = |picture: &Picture| format!("{picture:?}").matches('Z').count();
        assert!(bars(&picture(&[], 1_000)) < bars(&picture(&[], 20_000)));
    }

    /// The herd retries in step without backoff: more requests come at once.
    #[test]
    fn missing_backoff_means_more_retries() {
        let scenario = Scenario::from_name("thundering-herd").unwrap();
        let retries = |without: &[Protection]| {
            let without = without.iter().copied().collect();
            let timeline = Timeline::new(scenario.run_without(&without));
            let range = (VirtualTime::START, timeline.end());
            let load = &timeline.intervals().load;
            let rates = load.rates(LoadKind::Acquire, range, 1_000_000, false);
            rates.iter().map(|it| it.all).sum::<f64>()
        };
        assert!(retries(&[Protection::Backoff]) > retries(&[]));
    }
}
