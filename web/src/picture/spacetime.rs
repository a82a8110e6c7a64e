//! The space-time diagram: a lane for each node, time to the right, packets as slanted arrows.
//!
//! Source of the form: Lamport, "Time, clocks, and the ordering of events in a distributed
//! system", Communications of the ACM 21(7), 1978. Where an event is chosen, what it rests on is
//! drawn strong, what follows from it in colour, and all else is pale.

#![allow(clippy::wildcard_enum_match_arm, reason = "a few kinds have a place of their own")]

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::{Interest, Kind, Message, Moment, NodeNo, PacketNo, Record, RecordNo};

use super::gantt::Names;
use super::glyph::Sign;
use super::lanes::Lanes;
use super::shape::{
    Anchor, Group, Picture, Place, Shape, Target, drawn, fitted, float, line, path, rect, text,
    within,
};
use super::turn::{length, turn};
use crate::model::bars::{Bars, OutageKind};

/// How wide a step is at least, in em, where all are as wide as each other.
const STEP_EM: f64 = 1.6;

/// A pause between two steps that is longer than this is marked, in microseconds.
const GAP_US: u64 = 1_500_000;

/// So many of the last records are looked at for what is asked again.
const LOOKED_AT: usize = 3_000;

/// What there is to draw.
pub(crate) struct Subject<'a> {
    pub(crate) past: &'a [Record],
    pub(crate) bars: &'a Bars,
    pub(crate) names: Names<'a>,
    pub(crate) now: Moment,
    /// How far the world's steps are apart: each as far, or as long as they take.
    pub(crate) is_to_scale: bool,
    pub(crate) chosen: Option<RecordNo>,
    pub(crate) selected: Option<NodeNo>,
    /// Whose lanes are left out.
    pub(crate) hidden: &'a BTreeSet<NodeNo>,
    /// Whether heartbeats are drawn too.
    pub(crate) has_beats: bool,
}

/// A moment that has a place.
struct Columns {
    at: Vec<Moment>,
    left: f64,
    step: f64,
    scale: Option<(Moment, f64)>,
}

impl Columns {
    fn x(&self, moment: Moment) -> f64 {
        if let Some((from, per_us)) = self.scale {
            let since = moment.as_micros().saturating_sub(from.as_micros());
            #[allow(clippy::cast_precision_loss, reason = "some seconds")]
            return self.left + since as f64 * per_us;
        }
        let place = self.at.partition_point(|at| *at < moment);
        self.left + self.step * (float(place) + 0.5)
    }
}

/// The last part of the run, as far as there is room.
pub(crate) fn spacetime(subject: &Subject<'_>, place: Place) -> Picture {
    let em = place.em;
    let nodes = subject.names.nodes.len();
    let count = float(nodes.saturating_sub(subject.hidden.len()).max(1));
    let lane = within((place.height - em) / count, em * 1.6, em * 4.5);
    let lanes = Lanes { hidden: subject.hidden, height: lane };
    let left = super::gantt::label_width(place);
    let shown: Vec<(RecordNo, &Record)> = shown(subject, place, left);
    let columns = columns(subject, &shown, place, left);
    let height = (lane * count + em).max(place.height);
    let mut shapes = names(subject, place, &columns, &lanes);
    shapes.extend(gaps(&columns, height, em));
    let cones = subject.chosen.map(|chosen| Cones::of(subject.past, chosen));
    shapes.extend(through(subject, &shown, &columns, &lanes, cones.as_ref()));
    shapes.extend(arrows(subject, &shown, &columns, &lanes, cones.as_ref(), em));
    shapes.extend(dots(subject, &shown, &columns, &lanes, cones.as_ref(), em));
    let x = columns.x(subject.now).min(place.width - 4.0);
    shapes.push(line("now", (x, 0.0), (x, height)));
    let label = format!("the last {} events of {nodes} nodes, with their packets", shown.len());
    Picture { width: place.width, height, label, shapes }
}

/// The last records that have a place of their own, as many as there is room for.
fn shown<'a>(subject: &Subject<'a>, place: Place, left: f64) -> Vec<(RecordNo, &'a Record)> {
    let room = (place.width - left - place.em) / (place.em * STEP_EM);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let most = if subject.is_to_scale { 400 } else { room.max(4.0) as usize };
    let places = subject.past.iter().enumerate().rev();
    let asked = asked_again(subject.past);
    let wanted = places.filter(|(place, record)| {
        let interest = Interest::of(record);
        let least = if subject.has_beats { Interest::Heartbeat } else { Interest::Step };
        interest >= least
            && !subject.hidden.contains(&record.node)
            && (subject.has_beats || !asked.contains(place))
            && !matches!(record.kind, Kind::Called { .. } | Kind::Working { .. })
    });
    let mut moments = BTreeSet::new();
    let mut shown = Vec::new();
    for (no, record) in wanted {
        if moments.len() >= most && !moments.contains(&record.at) {
            break;
        }
        moments.insert(record.at);
        shown.push((RecordNo(u32::try_from(no).unwrap_or(u32::MAX)), record));
    }
    shown.reverse();
    shown
}

/// The packets of those who stand in line already and ask again, and the answers to them: they go
/// to and fro all the time, and tell nothing new.
fn asked_again(past: &[Record]) -> BTreeSet<usize> {
    let from = past.len().saturating_sub(LOOKED_AT);
    let (mut asked, mut first, mut again) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (place, record) in past.iter().enumerate().skip(from) {
        let about = match record.kind {
            Kind::Sent(about) => {
                if asked.insert((record.node, about.message, about.seq)) {
                    first.insert(about.packet);
                }
                about
            }
            Kind::Arrived(about) | Kind::Lost { about, .. } => about,
            Kind::DuplicateAnswered { message: Message::AcquireLock, .. } => {
                again.insert(place);
                continue;
            }
            _ => continue,
        };
        let asks = matches!(about.message, Message::AcquireLock | Message::Queued);
        if asks && !first.contains(&about.packet) {
            again.insert(place);
        }
    }
    again
}

fn columns(
    subject: &Subject<'_>,
    shown: &[(RecordNo, &Record)],
    place: Place,
    left: f64,
) -> Columns {
    let mut at: Vec<Moment> = shown.iter().map(|(_, record)| record.at).collect();
    at.dedup();
    let room = place.width - left - place.em * 1.5;
    if subject.is_to_scale {
        let from = at.first().copied().unwrap_or(subject.now);
        let from = from.max(Moment::from_micros(subject.now.as_micros().saturating_sub(8_000_000)));
        let span = subject.now.as_micros().saturating_sub(from.as_micros()).max(1_000_000);
        #[allow(clippy::cast_precision_loss, reason = "some seconds")]
        let per_us = room / span as f64;
        return Columns { at, left, step: 0.0, scale: Some((from, per_us)) };
    }
    let step = (room / float(at.len().max(1))).min(place.em * 3.2);
    Columns { at, left, step, scale: None }
}

/// The lanes with their names, and when their nodes were not as they should be.
fn names(subject: &Subject<'_>, place: Place, columns: &Columns, lanes: &Lanes<'_>) -> Vec<Shape> {
    let em = place.em;
    let from = columns.scale.map(|(from, _)| from).or(columns.at.first().copied());
    let mut shapes = Vec::new();
    for (no, name) in (0_u8..).zip(subject.names.nodes) {
        let node = NodeNo(no);
        if !lanes.has(node) {
            continue;
        }
        let y = lanes.y(node);
        let reach = (columns.left, lanes.height.min(em * 2.0));
        let title = fitted(name, em, columns.left - em);
        shapes.push(Shape::Group(Group {
            class: if subject.selected == Some(node) { "row-label selected" } else { "row-label" }
                .into(),
            at: (0.0, y),
            target: Some(Target::Node(node)),
            label: format!("lane of {name}"),
            shapes: vec![
                rect("reach", (0.0, reach.1 * -0.5), reach),
                text("name", (em * 0.4, em * 0.35), Anchor::Start, em, title),
            ],
        }));
        shapes.push(line("lane", (columns.left, y), (place.width, y)));
    }
    for outage in &subject.bars.outages {
        let until = outage.until.unwrap_or(subject.now).min(subject.now);
        let class = match outage.what {
            OutageKind::Dead => "outage dead",
            OutageKind::Paused => "outage paused",
            OutageKind::Cut(_) | OutageKind::Unseen => continue,
        };
        let is_out = !lanes.has(outage.node) || outage.from > subject.now;
        if is_out || from.is_none_or(|from| until < from) {
            continue;
        }
        let x1 = columns.x(outage.from).max(columns.left);
        let width = columns.x(until) - x1;
        shapes.push(rect(class, (x1, lanes.y(outage.node) - em * 0.5), (width, em)));
    }
    shapes
}

/// Where time was left out.
fn gaps(columns: &Columns, height: f64, em: f64) -> Vec<Shape> {
    if columns.scale.is_some() {
        return Vec::new();
    }
    let pairs = columns.at.windows(2).enumerate();
    let long = pairs.filter(|(_, pair)| pair[1].as_micros() - pair[0].as_micros() > GAP_US);
    let marks = long.flat_map(|(no, pair)| {
        let x = columns.left + columns.step * (float(no) + 1.0);
        let skipped = Moment::from_micros(pair[1].as_micros() - pair[0].as_micros());
        let label = format!("≈ {skipped}");
        [
            line("gap-line", (x, 0.0), (x, height - em)),
            text("small", (x, height - em * 0.2), Anchor::Middle, em * 0.75, label),
        ]
    });
    marks.collect()
}

/// What an event rests on, and what rests on it.
struct Cones {
    past: BTreeSet<RecordNo>,
    future: BTreeSet<RecordNo>,
}

impl Cones {
    fn of(records: &[Record], chosen: RecordNo) -> Self {
        let mut past = BTreeSet::new();
        let mut open = vec![chosen];
        while let Some(no) = open.pop() {
            if past.insert(no)
                && let Some(record) = no.place().and_then(|place| records.get(place))
            {
                open.extend(record.causes.both().into_iter().filter(|cause| *cause < no));
            }
        }
        let mut future = BTreeSet::from([chosen]);
        for (no, record) in (0_u32..).zip(records).skip(chosen.place().unwrap_or(0)) {
            if record.causes.both().iter().any(|cause| future.contains(cause)) {
                future.insert(RecordNo(no));
            }
        }
        Self { past, future }
    }

    fn class(&self, no: RecordNo) -> &'static str {
        if self.past.contains(&no) {
            "before"
        } else if self.future.contains(&no) {
            "after"
        } else {
            "apart"
        }
    }
}

fn cone_class(cones: Option<&Cones>, no: RecordNo) -> &'static str {
    cones.map_or("", |cones| cones.class(no))
}

/// What led to what by way of lanes that are left out.
fn through(
    subject: &Subject<'_>,
    shown: &[(RecordNo, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&Cones>,
) -> Vec<Shape> {
    let Some((first, _)) = shown.first() else { return Vec::new() };
    let ways = shown.iter().filter_map(|(no, record)| {
        let cause = lanes.through(subject.past, record, *first)?;
        let before = subject.past.get(cause.place()?)?;
        let place = |record: &Record| (columns.x(record.at), lanes.y(record.node));
        let class = format!("through {}", cone_class(cones, *no));
        Some(line(class, place(before), place(record)))
    });
    ways.collect()
}

/// The packets: from where they were sent to where they came to.
fn arrows(
    subject: &Subject<'_>,
    shown: &[(RecordNo, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&Cones>,
    em: f64,
) -> Vec<Shape> {
    let mut ends: BTreeMap<PacketNo, (Moment, bool)> = BTreeMap::new();
    for (_, record) in shown {
        match record.kind {
            Kind::Arrived(about) => drop(ends.insert(about.packet, (record.at, true))),
            Kind::Lost { about, .. } => drop(ends.insert(about.packet, (record.at, false))),
            _ => {}
        }
    }
    let mut shapes = Vec::new();
    for (no, record) in shown {
        let (about, packet) = match record.kind {
            Kind::Sent(about) => (about, about.packet),
            // The copy goes its own way.
            Kind::Doubled { about, copy } => (about, copy),
            _ => continue,
        };
        if !lanes.has(about.peer) {
            continue;
        }
        let (from, to) = ((columns.x(record.at), lanes.y(record.node)), lanes.y(about.peer));
        let sign = Sign::of_message(about.message);
        let class = format!("arrow {} {}", sign.class(), cone_class(cones, *no));
        let end = ends.get(&packet).copied();
        let (x, reached, arrived) = match end {
            Some((at, arrived)) => (columns.x(at), if arrived { 1.0 } else { 0.55 }, arrived),
            None => (columns.x(subject.now), 0.8, false),
        };
        let tip = (x, from.1 + (to - from.1) * reached);
        shapes.push(line(class.clone(), from, tip));
        if arrived {
            shapes.push(arrow_head(&class, from, tip, em * 0.5));
        } else if end.is_some() {
            shapes.extend(Sign::Reject.shapes(tip, em * 0.36));
        }
    }
    shapes
}

fn arrow_head(class: &str, from: (f64, f64), to: (f64, f64), size: f64) -> Shape {
    let way = (to.0 - from.0, to.1 - from.1);
    let length = length(way).max(0.1);
    let back = (-way.0 / length * size, -way.1 / length * size);
    let side = |off: f64| {
        let (cosine, sine) = turn(off);
        (to.0 + back.0 * cosine - back.1 * sine, to.1 + back.0 * sine + back.1 * cosine)
    };
    let (a, b) = (side(0.064), side(-0.064));
    let (x, y) = to;
    path(format!("{class} head"), drawn("M_ _L_ _L_ _Z", &[x, y, a.0, a.1, b.0, b.1]))
}

/// What happened at a node, as signs on its lane.
fn dots(
    subject: &Subject<'_>,
    shown: &[(RecordNo, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&Cones>,
    em: f64,
) -> Vec<Shape> {
    let is_packet = |record: &Record| {
        matches!(record.kind, Kind::Sent(_) | Kind::Arrived(_) | Kind::Doubled { .. })
            || matches!(record.kind, Kind::Lost { .. } | Kind::Moved { .. })
    };
    let dots = shown.iter().map(|(no, record)| {
        let sign = Sign::of_record(record);
        let (r, extra) = if is_packet(record) { (em * 0.2, " small-dot") } else { (em * 0.46, "") };
        let signs = if is_packet(record) {
            vec![super::shape::circle(format!("sign {}", sign.class()), (0.0, 0.0), r)]
        } else {
            sign.shapes((0.0, 0.0), r)
        };
        let chosen = if subject.chosen == Some(*no) { " selected" } else { "" };
        let mut shapes = vec![super::shape::circle("reach", (0.0, 0.0), em)];
        shapes.extend(signs);
        Shape::Group(Group {
            class: format!("dot{extra}{chosen} {}", cone_class(cones, *no)).into(),
            at: (columns.x(record.at), lanes.y(record.node)),
            target: Some(Target::Record(*no)),
            label: format!("{} at {}", record.kind.name().replace('_', " "), record.at),
            shapes,
        })
    });
    dots.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    fn picture(film: &Film, is_to_scale: bool, hidden: &BTreeSet<NodeNo>) -> Picture {
        let config = &film.run().config;
        let mut nodes = vec!["server".to_owned()];
        nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
        let subject = Subject {
            past: film.past(),
            bars: &film.bars(),
            names: Names { locks: &[], nodes: &nodes },
            now: film.now(),
            is_to_scale,
            chosen: None,
            selected: None,
            hidden,
            has_beats: false,
        };
        spacetime(&subject, Place { width: 700.0, height: 200.0, em: 12.0 })
    }

    #[test]
    fn time_goes_to_the_right_and_stays_in_the_picture() {
        let mut film = Film::new(Scenario::named("gc-pause").unwrap().run());
        film.go_to(Moment::from_millis(18_000));
        for is_to_scale in [false, true] {
            let mut last = 0.0;
            for shape in picture(&film, is_to_scale, &BTreeSet::new()).shapes {
                if let Shape::Group(group) = shape {
                    assert!(group.at.0 >= last && group.at.0 <= 700.0, "{is_to_scale} {last}");
                    last = group.at.0;
                }
            }
            assert!(last > 100.0);
        }
    }

    #[test]
    fn what_goes_through_a_hidden_lane_is_still_to_be_seen() {
        let mut film = Film::new(Scenario::named("five-clients").unwrap().run());
        film.go_to(Moment::from_millis(6_000));
        let lines = |picture: &Picture, wanted: &str| {
            let lines = picture
                .shapes
                .iter()
                .filter(|it| matches!(it, Shape::Line { class, .. } if class.starts_with(wanted)));
            lines.count()
        };
        let all = picture(&film, true, &BTreeSet::new());
        assert_eq!((lines(&all, "lane"), lines(&all, "through")), (6, 0));
        assert!(lines(&all, "arrow") > 0);
        let server = picture(&film, true, &BTreeSet::from([NodeNo::SERVER]));
        assert_eq!((lines(&server, "lane"), lines(&server, "arrow")), (5, 0));
        assert!(lines(&server, "through") > 0, "who was given what another released");
        let client = picture(&film, true, &BTreeSet::from([NodeNo(3)]));
        assert_eq!(lines(&client, "lane"), 5);
        assert!((1..lines(&all, "arrow")).contains(&lines(&client, "arrow")));
    }

    #[test]
    fn what_an_event_rests_on_is_told_from_what_it_has_nothing_to_do_with() {
        let mut film = Film::new(Scenario::named("five-clients").unwrap().run());
        film.go_to(Moment::from_millis(2_500));
        let mut granted = film.past().iter().enumerate();
        let (no, record) =
            granted.find(|(_, it)| matches!(it.kind, Kind::LockGranted { .. })).unwrap();
        let cones = Cones::of(film.past(), RecordNo(u32::try_from(no).unwrap()));
        assert_eq!(cones.class(record.causes.direct()), "before");
        assert!(film.past().len() > cones.past.len() + cones.future.len());
    }
}
