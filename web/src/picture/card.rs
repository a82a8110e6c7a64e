//! What a card beside a mark says, when the pointer or the focus is on the mark.

use leasehold_sim::{Explainer, NodeId, RecordId};

use super::shape::{Anchor, Area, Group, Shape, clamp, rounded, text, to_f64};
use super::text_width::{bold_width, text_width};
use super::who::{chip, chip_radius};
use crate::model::client_color::node_color;
use crate::model::timeline::Timeline;

/// The width of a card, in multiples of the font size, at most.
const WIDTH_EM: f64 = 24.0;

/// The distance of a card from the position of the pointer, in multiples of the font size.
const DISTANCE_EM: f64 = 0.9;

/// A title and some lines of text. The panel that shows the picture draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) title: String,
    /// The client that the mark is about.
    pub(crate) client: Option<NodeId>,
    pub(crate) lines: Vec<String>,
}

impl Card {
    /// Returns a card without its empty lines.
    pub(crate) fn new(title: &str, client: Option<NodeId>, mut lines: Vec<String>) -> Self {
        lines.retain(|line| !line.is_empty());
        Self { title: title.to_owned(), client, lines }
    }

    /// Returns the card of any event: its sentence and its reason.
    pub(crate) fn of_record(timeline: &Timeline, record: RecordId) -> Option<Self> {
        let explainer = Explainer::new(timeline.run(), timeline.past())
            .with_time_labels(timeline.time_display());
        let description = explainer.describe(record)?;
        let found = explainer.record(record)?;
        let client =
            if found.node.is_server() { found.kind.subject().client } else { Some(found.node) };
        let reason = description.reason.as_ref().map(|reason| format!("because {reason}"));
        let lines = vec![found.at.to_string(), reason.unwrap_or_default()];
        Some(Self::new(&description.sentence(), client, lines))
    }

    /// Returns the text for screen readers.
    pub(crate) fn label(&self) -> String {
        if self.lines.is_empty() {
            return self.title.clone();
        }
        format!("{}: {}", self.title, self.lines.join("; "))
    }
}

/// Draws a card beside a position, inside of the area. `client` is the name of its client.
pub(crate) fn card_shape(
    card: &Card,
    client: Option<&str>,
    (x, y): (f64, f64),
    area: Area,
) -> Shape {
    let size = (area.em * 0.86).max(11.0);
    let padding = size * 0.6;
    let room = (size * WIDTH_EM).min(area.width - 2.0 * padding - 2.0);
    let r = chip_radius(size, size * 1.35);
    let chip_width = if client.is_some() { 2.0 * r + size * 0.4 } else { 0.0 };
    let title = wrapped(&card.title, size, room - chip_width, bold_width);
    let lines = card.lines.iter().flat_map(|line| wrapped(line, size, room, text_width));
    let lines: Vec<String> = lines.collect();
    let title_width = title.iter().map(|it| bold_width(it, size) + chip_width).fold(0.0, f64::max);
    let width = lines.iter().map(|it| text_width(it, size)).fold(title_width, f64::max);
    let (width, line_height) = (width + 2.0 * padding, size * 1.35);
    let height = line_height * to_f64(title.len() + lines.len()) + padding * 1.6;
    // Above the position if there is space, or else below it.
    let distance = size * DISTANCE_EM;
    let top = if y - distance - height >= 1.0 { y - distance - height } else { y + distance };
    let top = clamp(top, 1.0, (area.height - height - 1.0).max(1.0));
    let left = clamp(x - width / 2.0, 1.0, (area.width - width - 1.0).max(1.0));
    let mut shapes = vec![rounded("card-box", (left, top), (width, height), size * 0.4)];
    let mut baseline = top + padding + size;
    if let (Some(name), Some(node)) = (client, card.client) {
        let at = (left + padding + r, baseline - size * 0.35);
        shapes.push(Shape::Group(Group {
            class: node_color(node).into(),
            at: (0.0, 0.0),
            target: None,
            label: String::new(),
            shapes: chip(name, at, r),
        }));
    }
    for line in title {
        let at = (left + padding + chip_width, baseline);
        shapes.push(text("title", at, Anchor::Start, size, line));
        baseline += line_height;
    }
    for line in lines {
        shapes.push(text("card-line", (left + padding, baseline), Anchor::Start, size, line));
        baseline += line_height;
    }
    Shape::Group(Group {
        class: "card-overlay".into(),
        at: (0.0, 0.0),
        target: None,
        label: String::new(),
        shapes,
    })
}

/// Breaks a text between words.
fn wrapped(text: &str, size: f64, width: f64, measure: fn(&str, f64) -> f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (lines.last_mut(), longer) {
            (Some(last), Some(longer)) if measure(&longer, size) <= width => *last = longer,
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Scenario;

    #[test]
    fn cards_of_all_events_are_inside_of_the_area() {
        let mut timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        timeline.go_to(timeline.end());
        let area = Area::new((600.0, 220.0), false);
        for index in 0..timeline.past().len() {
            let record = RecordId(u32::try_from(index).unwrap());
            let card = Card::of_record(&timeline, record).unwrap();
            for at in [(0.0, 0.0), (300.0, 110.0), (600.0, 220.0)] {
                let Shape::Group(group) = card_shape(&card, Some("client_1"), at, area) else {
                    panic!("not a group")
                };
                let Shape::Rect { x, y, width, height, .. } = group.shapes[0] else {
                    panic!("not a rectangle")
                };
                let is_inside = x >= 0.0 && y >= 0.0 && x + width <= area.width;
                assert!(is_inside && y + height <= area.height, "{record:?} {at:?}: {card:?}");
            }
        }
    }
}
