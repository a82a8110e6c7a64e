//! The tape: a whole run in one strip, so that one sees where there is something to see.

use std::collections::BTreeMap;

use leasehold_sim::{Invariant, LockNo, Moment, RecordNo};

use super::axis::Axis;
use super::glyph::Sign;
use super::shape::{Picture, Place, Shape, drawn, float, line, path, rect};
use crate::model::bars::{Bars, MarkKind, TenureEnd};

/// So many pixels apart two things of a kind can be told from each other at a glance.
const APART: f64 = 4.0;

/// What is on it.
pub(crate) struct Reel<'a> {
    pub(crate) bars: &'a Bars,
    pub(crate) locks: usize,
    pub(crate) begin: Moment,
    pub(crate) end: Moment,
    pub(crate) now: Moment,
    /// From where on nothing is told, where somebody has to guess.
    pub(crate) hidden_from: Option<Moment>,
    pub(crate) violations: &'a [(Invariant, Moment, RecordNo)],
    /// Where there are stops.
    pub(crate) stops: &'a [Moment],
}

/// The axis of a tape in this place.
pub(crate) fn tape_axis((from, to): (Moment, Moment), place: Place) -> Axis {
    Axis { from, to, left: 8.0, right: place.width - 8.0 }
}

/// The strip.
pub(crate) fn tape(reel: &Reel<'_>, place: Place) -> Picture {
    let axis = tape_axis((reel.begin, reel.end), place);
    let Place { width, height, .. } = place;
    let mut shapes = vec![rect("strip", (axis.left, 6.0), (axis.right - axis.left, height - 12.0))];
    let shown = reel.hidden_from.unwrap_or(Moment::NEVER);
    tenures(reel, &axis, shown, height, &mut shapes);
    marks(reel, &axis, shown, height, &mut shapes);
    for (_, at, _) in reel.violations.iter().filter(|(_, at, _)| *at <= shown) {
        let x = axis.x(*at);
        shapes.push(line("violation-line", (x, 3.0), (x, height - 3.0)));
        shapes.extend(Sign::Reject.shapes((x, height / 2.0), 5.0));
    }
    for stop in reel.stops.iter().filter(|stop| **stop <= shown) {
        let x = axis.x(*stop);
        shapes.push(path("stop", drawn("M_ 0h9l-4.5 6.5z", &[x - 4.5])));
    }
    if let Some(from) = reel.hidden_from {
        let x = axis.x(from);
        shapes.push(rect("hidden", (x, 6.0), (axis.right - x, height - 12.0)));
    }
    let x = axis.x(reel.now);
    shapes.push(line("now", (x, 0.0), (x, height)));
    shapes.push(path("head", drawn("M_ _h12l-6 -8z", &[x - 6.0, height])));
    let label = format!("{} of {}", reel.now, reel.end);
    Picture { width, height, label, shapes }
}

/// A stretch of the strip, and how many things are in it.
#[derive(Clone, Copy)]
struct Band {
    from: f64,
    to: f64,
    count: u32,
}

/// Adds a stretch, which begins no earlier than the last one, to that one where both are too narrow
/// to be told apart.
fn join(bands: &mut Vec<Band>, (from, to): (f64, f64)) {
    let is_narrow = |from: f64, to: f64| to - from < APART;
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

fn tenures(reel: &Reel<'_>, axis: &Axis, shown: Moment, height: f64, shapes: &mut Vec<Shape>) {
    let room = (height - 16.0) * 0.55;
    let row = (room / float(reel.locks.max(1))).clamp(1.5, 9.0);
    let mut rows: BTreeMap<LockNo, (Vec<Band>, Vec<u32>)> = BTreeMap::new();
    for tenure in reel.bars.tenures.iter().filter(|it| it.from <= shown) {
        let until = tenure.until.unwrap_or(reel.end).min(shown);
        let (bands, tokens) = rows.entry(tenure.lock).or_default();
        join(bands, (axis.x(tenure.from), axis.x(until)));
        tokens.truncate(bands.len() - 1);
        tokens.push(tenure.token);
    }
    for (lock, (bands, tokens)) in &rows {
        let y = 8.0 + row * float(usize::from(lock.0));
        for (band, token) in bands.iter().zip(tokens) {
            let class = match token % 2 {
                _ if band.count > 1 => "span many",
                0 => "span",
                _ => "span odd",
            };
            let size = ((band.to - band.from - 0.8).max(1.0), (row - 1.0).max(1.0));
            shapes.push(rect(class, (band.from, y), size));
        }
    }
}

fn marks(reel: &Reel<'_>, axis: &Axis, shown: Moment, height: f64, shapes: &mut Vec<Shape>) {
    let (top, bottom) = (height * 0.58, height - 8.0);
    let expiries = reel.bars.tenures.iter().filter_map(|tenure| {
        let until = tenure.until.filter(|_| tenure.end == Some(TenureEnd::Expired))?;
        Some((until, Sign::Expiry))
    });
    let marks = reel.bars.marks.iter().filter_map(|mark| match mark.what {
        MarkKind::Written => Some((mark.at, Sign::Append)),
        MarkKind::Refused => Some((mark.at, Sign::Reject)),
        MarkKind::Fault => Some((mark.at, Sign::Fault)),
        MarkKind::Answered => None,
    });
    // What expires is not in the order of time.
    let mut kinds: BTreeMap<&str, Vec<Option<Band>>> = BTreeMap::new();
    for (at, sign) in marks.chain(expiries).filter(|(at, _)| *at <= shown) {
        let (x, columns) = (axis.x(at), kinds.entry(sign.class()).or_default());
        let column = pixel(x);
        if columns.len() <= column {
            columns.resize(column + 1, None);
        }
        let band = columns[column].get_or_insert(Band { from: x, to: x, count: 0 });
        *band = Band { from: band.from.min(x), to: band.to.max(x), count: band.count + 1 };
    }
    for (kind, columns) in &kinds {
        let mut bands: Vec<Band> = Vec::new();
        for next in columns.iter().flatten() {
            match bands.last_mut().filter(|last| next.from - last.to < APART) {
                Some(last) => (last.to, last.count) = (next.to, last.count + next.count),
                None => bands.push(*next),
            }
        }
        for band in bands {
            let class = format!("notch {kind}");
            shapes.push(if band.to - band.from >= 1.0 {
                rect(class, (band.from, top), (band.to - band.from, bottom - top))
            } else {
                line(class, (band.from, top), (band.from, bottom))
            });
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place on a screen")]
fn pixel(x: f64) -> usize {
    x.clamp(0.0, 1e5) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    #[test]
    fn a_long_run_has_no_more_on_it_than_can_be_told_apart() {
        let film = Film::new(Scenario::named("five-clients").unwrap().run());
        let mut bars = Bars::clone(&film.bars());
        let (tenures, marks) = (bars.tenures.clone(), bars.marks.clone());
        let round = Moment::from_millis(20_000).as_micros();
        let later = |at: Moment, round_no: u64| at + round * round_no;
        for no in 1..500 {
            bars.tenures.extend(tenures.iter().cloned().map(|mut tenure| {
                tenure.from = later(tenure.from, no);
                tenure.until = tenure.until.map(|until| later(until, no));
                tenure
            }));
            bars.marks.extend(marks.iter().copied().map(|mut mark| {
                mark.at = later(mark.at, no);
                mark
            }));
        }
        let reel = Reel {
            bars: &bars,
            locks: 3,
            begin: Moment::START,
            end: later(Moment::START, 500),
            now: Moment::START,
            hidden_from: None,
            violations: &[],
            stops: &[],
        };
        let picture = tape(&reel, Place { width: 616.0, height: 44.0, em: 12.0 });
        let text = format!("{picture:?}");
        let is_one = |class: &str| text.matches(&format!("{class:?}")).count() == 1;
        assert_eq!(text.matches("span many").count(), 3, "a band for each lock");
        assert!(is_one("notch append") && !text.contains("\"span\""));
        assert!(picture.shapes.len() < 12, "{}", picture.shapes.len());
    }

    /// Locks expire in another order than that in which they were granted.
    #[test]
    fn nothing_that_happened_at_the_same_moment_or_out_of_turn_is_lost() {
        let ms = Moment::from_millis;
        let film = Film::new(Scenario::named("partition").unwrap().run());
        let mut bars = Bars::clone(&film.bars());
        let cuts = bars.marks.iter().filter(|it| it.what == MarkKind::Fault).count();
        assert!(cuts > 2, "both directions of a link at once");
        for (tenure, until) in bars.tenures.iter_mut().zip([30_000, 10_000]) {
            (tenure.until, tenure.end) = (Some(ms(until)), Some(TenureEnd::Expired));
        }
        bars.tenures.truncate(2);
        let reel = Reel {
            bars: &bars,
            locks: 1,
            begin: Moment::START,
            end: ms(40_000),
            now: Moment::START,
            hidden_from: None,
            violations: &[],
            stops: &[],
        };
        let picture = tape(&reel, Place { width: 816.0, height: 44.0, em: 12.0 });
        let seen = |wanted: &str| -> Vec<f64> {
            let places = picture.shapes.iter().filter_map(|it| {
                if let Shape::Line { class, from, .. } = it { Some((class, from.0)) } else { None }
            });
            places.filter(|(class, _)| *class == wanted).map(|(_, x)| x).collect()
        };
        assert_eq!(seen("notch expiry"), [208.0, 608.0]);
        assert_eq!(seen("notch fault").len(), cuts / 2, "{picture:?}");
    }

    #[test]
    fn what_is_to_be_guessed_is_not_on_it() {
        let film = Film::new(Scenario::named("gc-pause").unwrap().run());
        let bars = film.bars();
        let strip = |hidden_from| {
            let reel = Reel {
                bars: &bars,
                locks: 1,
                begin: Moment::START,
                end: film.end(),
                now: Moment::from_millis(16_000),
                hidden_from,
                violations: &[],
                stops: &[Moment::from_millis(2_000), Moment::from_millis(16_001)],
            };
            tape(&reel, Place { width: 800.0, height: 44.0, em: 12.0 })
        };
        let text = |picture: &Picture| format!("{picture:?}");
        assert!(text(&strip(None)).contains("notch reject"));
        let hidden = strip(Some(Moment::from_millis(16_000)));
        assert!(!text(&hidden).contains("notch reject"));
        assert_eq!(text(&hidden).matches("\"stop\"").count(), 1);
    }
}
