//! The space-time diagram: a lane for each node, time to the right, packets as slanted arrows.
//!
//! Source of the form: Lamport, "Time, clocks, and the ordering of events in a distributed
//! system", Communications of the ACM 21(7), 1978. If an event is selected, its causal past is
//! drawn strong, its causal future in colour, and unrelated events are pale.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::{
    Importance, Message, NodeId, PacketId, Record, RecordId, RecordKind, VirtualTime,
};

use super::causal_cones::{CausalCones, cone_class};
use super::labels::Labels;
use super::lanes::Lanes;
use super::shape::{
    Anchor, Area, Group, Picture, Shape, arrow_head, clamp, hatch, line, rect, text, to_f64,
};
use super::text_width::Weight;
use super::who::{chip, chip_radius};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::intervals::OutageKind;
use crate::model::lease_view::LeaseView;
use crate::model::target::Target;

/// The minimum width of a column, in em, if the diagram is not to scale.
const STEP_EM: f64 = 1.6;

/// A gap between two steps that is longer than this is marked, in microseconds.
const GAP_US: u64 = 1_500_000;

/// The number of most recent records that are searched for retries.
const RETRY_WINDOW: usize = 3_000;

pub(crate) struct SpacetimeInput<'a> {
    pub(crate) past: &'a [Record],
    pub(crate) view: &'a LeaseView,
    /// Whether distances are proportional to time; otherwise all steps have the same width.
    pub(crate) is_to_scale: bool,
    pub(crate) selected_record: Option<RecordId>,
    pub(crate) selected_node: Option<NodeId>,
    /// The nodes whose lanes are hidden.
    pub(crate) hidden_lanes: &'a BTreeSet<NodeId>,
    /// Whether heartbeats are drawn too.
    pub(crate) shows_heartbeats: bool,
}

/// The horizontal positions of times.
struct Columns {
    times: Vec<VirtualTime>,
    left: f64,
    column_width: f64,
    time_scale: Option<(VirtualTime, f64)>,
}

impl Columns {
    fn x_of(&self, time: VirtualTime) -> f64 {
        if let Some((from, per_us)) = self.time_scale {
            let since = time.as_micros().saturating_sub(from.as_micros());
            #[allow(clippy::cast_precision_loss, reason = "some seconds")]
            return self.left + since as f64 * per_us;
        }
        let column = self.times.partition_point(|at| *at < time);
        self.left + self.column_width * (to_f64(column) + 0.5)
    }
}

/// Draws the most recent part of the run that fits into the area.
pub(crate) fn spacetime(input: &SpacetimeInput<'_>, area: Area) -> Picture {
    let em = area.em;
    let nodes = input.view.nodes.len();
    let count = to_f64(nodes.saturating_sub(input.hidden_lanes.len()).max(1));
    let lane = clamp((area.height - em) / count, em * 1.6, em * 4.5);
    let lanes = Lanes { hidden: input.hidden_lanes, height: lane };
    let left = super::gantt::label_width(area);
    let visible: Vec<(RecordId, &Record)> = visible_records(input, area, left);
    let columns = columns(input, &visible, area, left);
    let height = (lane * count + em).max(area.height);
    let mut shapes = lane_labels(input, area, &columns, &lanes);
    shapes.extend(gap_marks(&columns, (area.width, height), em));
    let cones = input.selected_record.map(|selected| CausalCones::new(input.past, selected));
    shapes.extend(hidden_causes(input, &visible, &columns, &lanes, cones.as_ref()));
    shapes.extend(arrows(input, &visible, &columns, &lanes, cones.as_ref(), em));
    shapes.extend(event_marks(input, &visible, &columns, &lanes, cones.as_ref(), em));
    let x = columns.x_of(input.view.now).min(area.width - 4.0);
    shapes.push(line("now", (x, 0.0), (x, height)));
    let label = format!("The last {} events of {nodes} nodes, with their packets", visible.len());
    Picture { width: area.width, height, label, shapes }
}

/// Returns the most recent records that are drawn, as many as fit.
fn visible_records<'a>(
    input: &SpacetimeInput<'a>,
    area: Area,
    left: f64,
) -> Vec<(RecordId, &'a Record)> {
    let capacity = (area.width - left - area.em) / (area.em * STEP_EM);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let columns_max = if input.is_to_scale { 400 } else { capacity.max(4.0) as usize };
    let records = input.past.iter().enumerate().rev();
    let retries = retry_records(input.past);
    let eligible = records.filter(|(index, record)| {
        let importance = Importance::from_record(record);
        let min_importance =
            if input.shows_heartbeats { Importance::Heartbeat } else { Importance::Step };
        importance >= min_importance
            && !input.hidden_lanes.contains(&record.node)
            && (input.shows_heartbeats || !retries.contains(index))
            && !matches!(record.kind, RecordKind::CallStarted { .. } | RecordKind::Working { .. })
    });
    let mut times = BTreeSet::new();
    let mut visible = Vec::new();
    for (index, record) in eligible {
        if times.len() >= columns_max && !times.contains(&record.at) {
            break;
        }
        times.insert(record.at);
        visible.push((RecordId(u32::try_from(index).unwrap_or(u32::MAX)), record));
    }
    visible.reverse();
    visible
}

/// Returns the retries of acquire requests that are already queued, and their replies. They repeat
/// all the time and carry no new information.
fn retry_records(past: &[Record]) -> BTreeSet<usize> {
    let from = past.len().saturating_sub(RETRY_WINDOW);
    let (mut requests, mut first_transmissions, mut retries) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, record) in past.iter().enumerate().skip(from) {
        if let RecordKind::DuplicateAnswered { message: Message::AcquireLock, .. } = record.kind {
            retries.insert(index);
        }
        let (RecordKind::Sent(packet)
        | RecordKind::Arrived(packet)
        | RecordKind::Lost { packet, .. }) = record.kind
        else {
            continue;
        };
        let is_first = matches!(record.kind, RecordKind::Sent(_))
            && requests.insert((record.node, packet.message, packet.seq));
        if is_first {
            first_transmissions.insert(packet.id);
        }
        let is_retryable = matches!(packet.message, Message::AcquireLock | Message::Queued);
        if is_retryable && !first_transmissions.contains(&packet.id) {
            retries.insert(index);
        }
    }
    retries
}

fn columns(
    input: &SpacetimeInput<'_>,
    visible: &[(RecordId, &Record)],
    area: Area,
    left: f64,
) -> Columns {
    let mut at: Vec<VirtualTime> = visible.iter().map(|(_, record)| record.at).collect();
    at.dedup();
    let available_width = area.width - left - area.em * 1.5;
    if input.is_to_scale {
        let from = at.first().copied().unwrap_or(input.view.now);
        let from = from
            .max(VirtualTime::from_micros(input.view.now.as_micros().saturating_sub(8_000_000)));
        let length_us = input.view.now.as_micros().saturating_sub(from.as_micros()).max(1_000_000);
        #[allow(clippy::cast_precision_loss, reason = "some seconds")]
        let per_us = available_width / length_us as f64;
        return Columns { times: at, left, column_width: 0.0, time_scale: Some((from, per_us)) };
    }
    let step = (available_width / to_f64(at.len().max(1))).min(area.em * 3.2);
    Columns { times: at, left, column_width: step, time_scale: None }
}

/// Draws the lanes with their names, and the outages of their nodes.
fn lane_labels(
    input: &SpacetimeInput<'_>,
    area: Area,
    columns: &Columns,
    lanes: &Lanes<'_>,
) -> Vec<Shape> {
    let em = area.em;
    let from = columns.time_scale.map(|(from, _)| from).or(columns.times.first().copied());
    let mut lines = Vec::new();
    for (node, name) in (0..).map(NodeId).zip(&input.view.nodes) {
        if !lanes.is_visible(node) {
            continue;
        }
        let y = lanes.center_y(node);
        let hit_area = (columns.left, lanes.height.min(em * 2.0));
        let is_selected = input.selected_node == Some(node);
        let size = (em * 0.92).min(lanes.height * 0.72);
        let mut shapes = vec![rect("hit-area", (0.0, hit_area.1 * -0.5), hit_area)];
        let mut name_x = em * 0.4;
        if !node.is_server() {
            let r = chip_radius(size, lanes.height);
            shapes.extend(chip(name, (name_x + r, 0.0), r));
            name_x += r * 2.0 + size * 0.4;
        }
        let title = Weight::Regular.fit(name, size, columns.left - name_x - em * 0.2);
        shapes.push(text("row-name", (name_x, size * 0.35), Anchor::Start, size, title));
        let selection = if is_selected { " selected" } else { "" };
        shapes = vec![Shape::Group(Group {
            class: node_color(node).into(),
            at: (0.0, 0.0),
            target: None,
            label: String::new(),
            shapes,
        })];
        lines.push(Shape::Group(Group {
            class: format!("row-label{selection}").into(),
            at: (0.0, y),
            target: Some(Target::Node(node)),
            label: format!("lane of {name}"),
            shapes,
        }));
        let class = format!("client-lane {}", node_color(node));
        lines.push(line(class, (columns.left, y), (area.width, y)));
    }
    for outage in &input.view.intervals.outages {
        let until = outage.until.unwrap_or(input.view.now).min(input.view.now);
        let class = match outage.kind {
            OutageKind::Crashed => "outage crashed",
            OutageKind::Paused => "outage paused",
            OutageKind::Cut(_) | OutageKind::Gap => continue,
        };
        let is_hidden = !lanes.is_visible(outage.node) || outage.from > input.view.now;
        if is_hidden || from.is_none_or(|from| until < from) {
            continue;
        }
        let x1 = columns.x_of(outage.from).max(columns.left);
        let width = (columns.x_of(until) - x1).max(1.0);
        let at = (x1, lanes.center_y(outage.node) - em * 0.5);
        lines.push(rect(class, at, (width, em)));
        lines.push(hatch("outage-hatch", at, (width, em), em * 0.5));
    }
    lines
}

/// Marks long gaps between columns.
fn gap_marks(columns: &Columns, (width, height): (f64, f64), em: f64) -> Vec<Shape> {
    if columns.time_scale.is_some() {
        return Vec::new();
    }
    let pairs = columns.times.windows(2).enumerate();
    let long_gaps = pairs.filter(|(_, pair)| pair[1].as_micros() - pair[0].as_micros() > GAP_US);
    let mut labels = Labels::new((columns.left, 0.0, width, height));
    let mut marks = Vec::new();
    for (index, pair) in long_gaps {
        let x = columns.left + columns.column_width * (to_f64(index) + 1.0);
        let skipped = VirtualTime::from_micros(pair[1].as_micros() - pair[0].as_micros());
        marks.push(line("gap-line", (x, 0.0), (x, height - em * 1.2)));
        let places = [((x, height - em * 0.3), Anchor::Middle)];
        marks.extend(labels.place("small", &format!("+{skipped}"), em * 0.8, &places));
    }
    marks
}

/// Draws causes that pass through hidden lanes.
fn hidden_causes(
    input: &SpacetimeInput<'_>,
    visible: &[(RecordId, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&CausalCones>,
) -> Vec<Shape> {
    let Some((first, _)) = visible.first() else { return Vec::new() };
    let lines = visible.iter().filter_map(|(id, record)| {
        let cause = lanes.cause_through_hidden_lanes(input.past, record, *first)?;
        let before = input.past.get(cause.index()?)?;
        let area = |record: &Record| (columns.x_of(record.at), lanes.center_y(record.node));
        let class = format!("hidden-cause {}", cone_class(cones, *id));
        Some(line(class, area(before), area(record)))
    });
    lines.collect()
}

/// Draws the packets, from where they were sent to where they arrived or were lost.
fn arrows(
    input: &SpacetimeInput<'_>,
    visible: &[(RecordId, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&CausalCones>,
    em: f64,
) -> Vec<Shape> {
    let mut ends: BTreeMap<PacketId, (VirtualTime, bool)> = BTreeMap::new();
    for (_, record) in visible {
        if let RecordKind::Arrived(packet) | RecordKind::Lost { packet, .. } = record.kind {
            let has_arrived = matches!(record.kind, RecordKind::Arrived(_));
            ends.insert(packet.id, (record.at, has_arrived));
        }
    }
    let (mut shapes, mut symbols) = (Vec::new(), Vec::new());
    let sent = visible.iter().filter(|(_, record)| matches!(record.kind, RecordKind::Sent(_)));
    let has_symbols = sent.count() <= SYMBOLS_MAX;
    for (id, record) in visible {
        // A copy is delivered independently.
        let (packet, id_in_flight) = if let RecordKind::Sent(packet) = record.kind {
            (packet, packet.id)
        } else if let RecordKind::Duplicated { packet, copy } = record.kind {
            (packet, copy)
        } else {
            continue;
        };
        if !lanes.is_visible(packet.peer) {
            continue;
        }
        let (from, to) =
            ((columns.x_of(record.at), lanes.center_y(record.node)), lanes.center_y(packet.peer));
        let category = EventCategory::from_message(packet.message);
        let client = if record.node.is_server() { packet.peer } else { record.node };
        let who = node_color(client);
        let class = format!("arrow {} {who} {}", category.class(), cone_class(cones, *id));
        let end = ends.get(&id_in_flight).copied();
        let (x, fraction, arrived) = match end {
            Some((at, arrived)) => (columns.x_of(at), if arrived { 1.0 } else { 0.55 }, arrived),
            None => (columns.x_of(input.view.now), 0.8, false),
        };
        let end_point = (x, from.1 + (to - from.1) * fraction);
        shapes.push(line(class.clone(), from, end_point));
        if arrived {
            shapes.push(arrow_head(&class, from, end_point, em * 0.5));
        } else if end.is_some() {
            shapes.extend(EventCategory::cross(end_point, em * 0.36, "loss-mark"));
        }
        // The symbol says what it is, near its sender.
        if has_symbols {
            let at = (from.0 + (x - from.0) * 0.42, from.1 + (end_point.1 - from.1) * 0.42);
            symbols.push(Shape::Group(Group {
                class: cone_class(cones, *id).into(),
                at,
                target: None,
                label: String::new(),
                shapes: category.shapes((0.0, 0.0), (em * 0.4).max(5.5)),
            }));
        }
    }
    shapes.extend(symbols);
    shapes
}

/// More packets than this are drawn without symbols.
const SYMBOLS_MAX: usize = 60;

/// Draws the events of each node as symbols on its lane.
fn event_marks(
    input: &SpacetimeInput<'_>,
    visible: &[(RecordId, &Record)],
    columns: &Columns,
    lanes: &Lanes<'_>,
    cones: Option<&CausalCones>,
    em: f64,
) -> Vec<Shape> {
    let is_packet = |record: &Record| {
        matches!(
            record.kind,
            RecordKind::Sent(_) | RecordKind::Arrived(_) | RecordKind::Duplicated { .. }
        ) || matches!(record.kind, RecordKind::Lost { .. } | RecordKind::Rescheduled { .. })
    };
    let marks = visible.iter().map(|(id, record)| {
        let category = EventCategory::from_record(record);
        let (r, extra) =
            if is_packet(record) { (em * 0.2, " small-mark") } else { (em * 0.46, "") };
        let symbol = if is_packet(record) {
            vec![super::shape::circle(format!("symbol {}", category.class()), (0.0, 0.0), r)]
        } else {
            category.shapes((0.0, 0.0), r)
        };
        let selection = if input.selected_record == Some(*id) { " selected" } else { "" };
        let mut shapes = vec![super::shape::circle("hit-area", (0.0, 0.0), em)];
        shapes.extend(symbol);
        Shape::Group(Group {
            class: format!("dot{extra}{selection} {}", cone_class(cones, *id)).into(),
            at: (columns.x_of(record.at), lanes.center_y(record.node)),
            target: Some(Target::Record(*id)),
            label: format!(
                "{} at {}",
                record.kind.code().replace('_', " "),
                input.view.time(record.at)
            ),
            shapes,
        })
    });
    marks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    fn picture(timeline: &Timeline, is_to_scale: bool, hidden: &BTreeSet<NodeId>) -> Picture {
        let input = SpacetimeInput {
            past: timeline.past(),
            view: &LeaseView::new(timeline),
            is_to_scale,
            selected_record: None,
            selected_node: None,
            hidden_lanes: hidden,
            shows_heartbeats: false,
        };
        spacetime(&input, Area { width: 700.0, height: 200.0, em: 12.0 })
    }

    #[test]
    fn time_increases_to_the_right_inside_the_picture() {
        let mut timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(18_000));
        for is_to_scale in [false, true] {
            let mut last = 0.0;
            for shape in picture(&timeline, is_to_scale, &BTreeSet::new()).shapes {
                if let Shape::Group(group) = shape
                    && group.target.is_some()
                {
                    assert!(group.at.0 >= last && group.at.0 <= 700.0, "{is_to_scale} {last}");
                    last = group.at.0;
                }
            }
            assert!(last > 100.0);
        }
    }

    #[test]
    fn causes_through_a_hidden_lane_remain_visible() {
        let mut timeline =
            Timeline::new(Scenario::from_name("five-clients").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(6_000));
        let lines = |picture: &Picture, class_prefix: &str| {
            let lines = picture.shapes.iter().filter(
                |it| matches!(it, Shape::Line { class, .. } if class.starts_with(class_prefix)),
            );
            lines.count()
        };
        let all = picture(&timeline, true, &BTreeSet::new());
        assert_eq!((lines(&all, "client-lane"), lines(&all, "hidden-cause")), (6, 0));
        assert!(lines(&all, "arrow") > 0);
        let server = picture(&timeline, true, &BTreeSet::from([NodeId::SERVER]));
        assert_eq!((lines(&server, "client-lane"), lines(&server, "arrow")), (5, 0));
        assert!(lines(&server, "hidden-cause") > 0, "a release causes the next grant");
        let client = picture(&timeline, true, &BTreeSet::from([NodeId(3)]));
        assert_eq!(lines(&client, "client-lane"), 5);
        assert!((1..lines(&all, "arrow")).contains(&lines(&client, "arrow")));
    }
}
