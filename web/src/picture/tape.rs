//! The tape: the whole run in one strip, as an overview.

use std::collections::BTreeMap;

use leasehold_sim::{Invariant, LockId, NodeId, RecordId, VirtualTime};

use super::axis::Axis;
use super::shape::{Area, Class, Picture, Shape, fill_numbers, line, path, rect, to_f64};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::intervals::{Intervals, MarkKind, TenureEnd};

/// Marks of the same kind that are closer than this are merged, in pixels.
const MERGE_DISTANCE_PX: f64 = 4.0;

pub(crate) struct TapeInput<'a> {
    pub(crate) intervals: &'a Intervals,
    pub(crate) locks: usize,
    pub(crate) start: VirtualTime,
    pub(crate) end: VirtualTime,
    pub(crate) now: VirtualTime,
    /// The time after which the run is hidden, while a question is open.
    pub(crate) hidden_after: Option<VirtualTime>,
    pub(crate) violations: &'a [(Invariant, VirtualTime, RecordId)],
    pub(crate) stops: &'a [VirtualTime],
}

/// Returns the axis of a tape in this area.
pub(crate) fn tape_axis((from, to): (VirtualTime, VirtualTime), area: Area) -> Axis {
    Axis { from, to, left: 8.0, right: area.width - 8.0 }
}

pub(crate) fn tape(input: &TapeInput<'_>, area: Area) -> Picture {
    let axis = tape_axis((input.start, input.end), area);
    let Area { width, height, .. } = area;
    let track_size = (axis.right - axis.left, height - 12.0);
    let mut shapes = vec![rect("tape-track", (axis.left, 6.0), track_size)];
    let visible_until = input.hidden_after.unwrap_or(VirtualTime::NEVER);
    draw_tenures(input, &axis, visible_until, height, &mut shapes);
    draw_marks(input, &axis, visible_until, height, &mut shapes);
    for (_, at, _) in input.violations.iter().filter(|(_, at, _)| *at <= visible_until) {
        let x = axis.x_of(*at);
        shapes.push(line("violation-line", (x, 3.0), (x, height - 3.0)));
        shapes.extend(EventCategory::Reject.shapes((x, height / 2.0), 5.0));
    }
    for stop in input.stops.iter().filter(|stop| **stop <= visible_until) {
        let x = axis.x_of(*stop);
        shapes.push(path("stop", fill_numbers("M_ 0h9l-4.5 6.5z", &[x - 4.5])));
    }
    if let Some(from) = input.hidden_after {
        let x = axis.x_of(from);
        shapes.push(rect("hidden", (x, 6.0), (axis.right - x, height - 12.0)));
    }
    let x = axis.x_of(input.now);
    shapes.push(line("now", (x, 0.0), (x, height)));
    shapes.push(path("head", fill_numbers("M_ _h12l-6 -8z", &[x - 6.0, height])));
    let label = format!("{} of {}", input.now, input.end);
    Picture { width, height, label, shapes }
}

/// A horizontal range of the tape, and the number of merged marks in it.
#[derive(Clone, Copy)]
struct Band {
    from: f64,
    to: f64,
    count: u32,
}

/// Adds a range that begins no earlier than the last one. The two are merged if they are too narrow
/// and too close to distinguish.
fn merge_band(bands: &mut Vec<Band>, (from, to): (f64, f64)) {
    let is_narrow = |from: f64, to: f64| to - from < MERGE_DISTANCE_PX;
    match bands.last_mut() {
        Some(last)
            if is_narrow(from, to)
                && is_narrow(last.to, from)
                && (last.count > 1 || is_narrow(last.from, last.to)) =>
        {
            (last.to, last.count) = (last.to.max(to), last.count + 1);
        }
        Some(_) | None => bands.push(Band { from, to, count: 1 }),
    }
}

fn draw_tenures(
    input: &TapeInput<'_>,
    axis: &Axis,
    visible_until: VirtualTime,
    height: f64,
    shapes: &mut Vec<Shape>,
) {
    let rows_height = (height - 16.0) * 0.55;
    let row = (rows_height / to_f64(input.locks.max(1))).clamp(1.5, 9.0);
    // If there are too many locks, several share a row.
    let fitting = (1..=input.locks).take_while(|count| row * to_f64(*count) <= rows_height + 0.1);
    let rows_max = fitting.count().max(1);
    let mut rows: BTreeMap<LockId, (Vec<Band>, Vec<NodeId>)> = BTreeMap::new();
    for tenure in input.intervals.tenures.iter().filter(|it| it.from <= visible_until) {
        let until = tenure.until.unwrap_or(input.end).min(visible_until);
        let (bands, clients) = rows.entry(tenure.lock).or_default();
        merge_band(bands, (axis.x_of(tenure.from), axis.x_of(until)));
        clients.truncate(bands.len() - 1);
        clients.push(tenure.client);
    }
    for (lock, (bands, clients)) in &rows {
        let y = 8.0 + row * to_f64(usize::from(lock.0) % rows_max);
        for (band, client) in bands.iter().zip(clients) {
            let class: Class = if band.count > 1 {
                "tape-tenure aggregated".into()
            } else {
                format!("tape-tenure {}", node_color(*client)).into()
            };
            let size = ((band.to - band.from - 0.8).max(1.0), (row - 1.0).max(1.0));
            shapes.push(rect(class, (band.from, y), size));
        }
    }
}

fn draw_marks(
    input: &TapeInput<'_>,
    axis: &Axis,
    visible_until: VirtualTime,
    height: f64,
    shapes: &mut Vec<Shape>,
) {
    let (top, bottom) = (height * 0.58, height - 8.0);
    let expiries = input.intervals.tenures.iter().filter_map(|tenure| {
        let until = tenure.until.filter(|_| tenure.end == Some(TenureEnd::Expired))?;
        Some((until, EventCategory::Expiry))
    });
    let marks = input.intervals.marks.iter().filter_map(|mark| match mark.kind {
        MarkKind::Appended => Some((mark.at, EventCategory::Append)),
        MarkKind::Refused | MarkKind::TornRead => Some((mark.at, EventCategory::Reject)),
        MarkKind::Fault => Some((mark.at, EventCategory::Fault)),
        MarkKind::Acknowledged => None,
    });
    // Expiries are not sorted by time.
    let mut bands_by_category: BTreeMap<&str, Vec<Option<Band>>> = BTreeMap::new();
    for (at, category) in marks.chain(expiries).filter(|(at, _)| *at <= visible_until) {
        let (x, columns) = (axis.x_of(at), bands_by_category.entry(category.class()).or_default());
        let column = pixel_column(x);
        if columns.len() <= column {
            columns.resize(column + 1, None);
        }
        let band = columns[column].get_or_insert(Band { from: x, to: x, count: 0 });
        *band = Band { from: band.from.min(x), to: band.to.max(x), count: band.count + 1 };
    }
    for (category_class, columns) in &bands_by_category {
        let mut bands: Vec<Band> = Vec::new();
        for next in columns.iter().flatten() {
            match bands.last_mut().filter(|last| next.from - last.to < MERGE_DISTANCE_PX) {
                Some(last) => (last.to, last.count) = (next.to, last.count + next.count),
                None => bands.push(*next),
            }
        }
        for band in bands {
            let class = format!("tape-mark {category_class}");
            shapes.push(if band.to - band.from >= 1.0 {
                rect(class, (band.from, top), (band.to - band.from, bottom - top))
            } else {
                line(class, (band.from, top), (band.from, bottom))
            });
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a coordinate on a screen"
)]
fn pixel_column(x: f64) -> usize {
    x.clamp(0.0, 1e5) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    #[test]
    fn long_run_is_merged_into_distinguishable_bands() {
        let timeline = Timeline::new(Scenario::from_name("five-clients").unwrap().resolve_run());
        let mut intervals = Intervals::clone(&timeline.intervals());
        let (tenures, marks) = (intervals.tenures.clone(), intervals.marks.clone());
        let round_us = VirtualTime::from_millis(20_000).as_micros();
        let later = |at: VirtualTime, round_index: u64| at + round_us * round_index;
        for round_index in 1..500 {
            intervals.tenures.extend(tenures.iter().cloned().map(|mut tenure| {
                tenure.from = later(tenure.from, round_index);
                tenure.until = tenure.until.map(|until| later(until, round_index));
                tenure
            }));
            intervals.marks.extend(marks.iter().copied().map(|mut mark| {
                mark.at = later(mark.at, round_index);
                mark
            }));
        }
        let input = TapeInput {
            intervals: &intervals,
            locks: 3,
            start: VirtualTime::START,
            end: later(VirtualTime::START, 500),
            now: VirtualTime::START,
            hidden_after: None,
            violations: &[],
            stops: &[],
        };
        let picture = tape(&input, Area { width: 616.0, height: 44.0, em: 12.0 });
        let text = format!("{picture:?}");
        let is_one = |class: &str| text.matches(&format!("{class:?}")).count() == 1;
        assert_eq!(text.matches("tape-tenure aggregated").count(), 3, "a band for each lock");
        assert!(is_one("tape-mark append") && !text.contains("\"span\""));
        assert!(picture.shapes.len() < 12, "{}", picture.shapes.len());
    }

    /// Locks expire in another order than that in which they were granted.
    #[test]
    fn simultaneous_and_unordered_events_are_all_drawn() {
        let ms = VirtualTime::from_millis;
        let timeline = Timeline::new(Scenario::from_name("partition").unwrap().resolve_run());
        let mut intervals = Intervals::clone(&timeline.intervals());
        let cuts = intervals.marks.iter().filter(|it| it.kind == MarkKind::Fault).count();
        assert!(cuts > 2, "both directions of a link at once");
        for (tenure, until) in intervals.tenures.iter_mut().zip([30_000, 10_000]) {
            (tenure.until, tenure.end) = (Some(ms(until)), Some(TenureEnd::Expired));
        }
        intervals.tenures.truncate(2);
        let input = TapeInput {
            intervals: &intervals,
            locks: 1,
            start: VirtualTime::START,
            end: ms(40_000),
            now: VirtualTime::START,
            hidden_after: None,
            violations: &[],
            stops: &[],
        };
        let picture = tape(&input, Area { width: 816.0, height: 44.0, em: 12.0 });
        let x_positions = |expected_class: &str| -> Vec<f64> {
            let lines = picture.shapes.iter().filter_map(|it| {
                if let Shape::Line { class, from, .. } = it { Some((class, from.0)) } else { None }
            });
            lines.filter(|(class, _)| *class == expected_class).map(|(_, x)| x).collect()
        };
        assert_eq!(x_positions("tape-mark expiry"), [208.0, 608.0]);
        assert_eq!(x_positions("tape-mark fault").len(), cuts / 2, "{picture:?}");
    }

    #[test]
    fn hidden_future_is_not_drawn() {
        let timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        let intervals = timeline.intervals();
        let tape_until = |hidden_after| {
            let input = TapeInput {
                intervals: &intervals,
                locks: 1,
                start: VirtualTime::START,
                end: timeline.end(),
                now: VirtualTime::from_millis(16_000),
                hidden_after,
                violations: &[],
                stops: &[VirtualTime::from_millis(2_000), VirtualTime::from_millis(16_001)],
            };
            tape(&input, Area { width: 800.0, height: 44.0, em: 12.0 })
        };
        let text = |picture: &Picture| format!("{picture:?}");
        assert!(text(&tape_until(None)).contains("tape-mark reject"));
        let hidden = tape_until(Some(VirtualTime::from_millis(16_000)));
        assert!(!text(&hidden).contains("tape-mark reject"));
        assert_eq!(text(&hidden).matches("\"stop\"").count(), 1);
    }
}
