//! Pictures as they are exported: with a title, a legend of the symbols that they use, and the
//! label of their axis, so that they can be read without the page.

use super::shape::{Anchor, Group, Picture, Shape, clamp, text};
use super::text_width::{bold_width, text_width};
use crate::model::event_category::EventCategory;

/// The smallest width of an exported picture: room for a title.
const WIDTH_MIN: f64 = 360.0;

/// What surrounds a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// The title, and what applies to the picture: one line each.
    pub(crate) title: Vec<String>,
    /// What the horizontal axis means, if there is one.
    pub(crate) axis: Option<&'static str>,
}

impl Picture {
    /// Returns the picture in its frame.
    pub(crate) fn framed(self, frame: &Frame) -> Self {
        let width = self.width.max(WIDTH_MIN);
        let em = clamp(width / 60.0, 12.0, 24.0);
        let margin = em;
        let mut shapes = Vec::new();
        let mut y = margin;
        for (index, line) in frame.title.iter().enumerate() {
            let (class, size) = if index == 0 { ("title", em * 1.3) } else { ("small", em) };
            let room = width - 2.0 * margin;
            for part in wrapped(line, |part| bold_width(part, size) <= room) {
                y += size * 1.25;
                shapes.push(text(class, (margin, y), Anchor::Start, size, part));
            }
        }
        y += em * 0.8;
        let used = used_categories(&self.shapes);
        shapes.push(Shape::Group(Group {
            class: "exported".into(),
            at: ((width - self.width) / 2.0, y),
            target: None,
            label: self.label.clone(),
            shapes: self.shapes,
        }));
        y += self.height;
        if let Some(axis) = frame.axis {
            y += em * 1.3;
            shapes.push(text("small", (width / 2.0, y), Anchor::Middle, em, axis));
        }
        if !used.is_empty() {
            y += em * 0.6;
            y = legend(&used, (margin, y), (width - margin, em), &mut shapes);
        }
        let label = format!("{}. {}", frame.title.join(". "), self.label);
        Self { width, height: y + margin, label, shapes }
    }
}

/// Draws the legend in lines from `x` to `right`. Returns its lower edge.
fn legend(
    categories: &[EventCategory],
    (x, mut y): (f64, f64),
    (right, em): (f64, f64),
    shapes: &mut Vec<Shape>,
) -> f64 {
    let (mut at, mut is_first) = (x, true);
    for category in categories {
        let meaning = category.meaning();
        let entry_width = em * 1.6 + text_width(meaning, em);
        if is_first || at + entry_width > right {
            (at, y) = (x, y + em * 1.7);
        }
        is_first = false;
        shapes.extend(category.shapes((at + em * 0.6, y - em * 0.35), em * 0.6));
        shapes.push(text("small", (at + em * 1.6, y), Anchor::Start, em, meaning));
        at += entry_width + em;
    }
    y
}

/// Returns the categories whose symbols are among the shapes.
fn used_categories(shapes: &[Shape]) -> Vec<EventCategory> {
    let is_used = |it: &EventCategory| shapes.iter().any(|shape| has_symbol(shape, *it));
    EventCategory::ALL.into_iter().filter(is_used).collect()
}

/// Whether the shape, or one in it, is the outline of the category's symbol.
fn has_symbol(shape: &Shape, category: EventCategory) -> bool {
    let is_symbol = |class: &str| {
        let has = |name: &str| class.split(' ').any(|it| it == name);
        has("symbol") && has(category.class())
    };
    match shape {
        Shape::Group(group) => group.shapes.iter().any(|shape| has_symbol(shape, category)),
        Shape::Rect { class, .. }
        | Shape::Circle { class, .. }
        | Shape::Line { class, .. }
        | Shape::Path { class, .. }
        | Shape::Text { class, .. } => is_symbol(class),
    }
}

/// Breaks a line between words, so that each part fits, unless it is a single word.
fn wrapped(line: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let longer = lines.last().map(|last| format!("{last} {word}"));
        match (longer.filter(|longer| fits(longer)), lines.last_mut()) {
            (Some(longer), Some(last)) => *last = longer,
            (_, _) => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(shapes: &[Shape]) -> (f64, f64) {
        let mut far = (0.0_f64, 0.0_f64);
        for shape in shapes {
            if let Shape::Text { x, y, anchor, size, text, .. } = shape {
                let width = bold_width(text, *size);
                let right = match anchor {
                    Anchor::Start => x + width,
                    Anchor::Middle => x + width / 2.0,
                    Anchor::End => *x,
                };
                far = (far.0.max(right), far.1.max(*y));
            }
        }
        far
    }

    #[test]
    fn frame_has_title_axis_and_a_legend_of_the_used_symbols_only() {
        let picture = |width: f64| Picture {
            width,
            height: 100.0,
            label: "Leases".to_owned(),
            shapes: [EventCategory::Append, EventCategory::Reject]
                .iter()
                .flat_map(|it| it.shapes((50.0, 50.0), 8.0))
                .collect(),
        };
        let title = ["5 · GC pause, stale append", "Off: fencing · seed 7 · 16.2 s of 25 s"];
        let frame = Frame {
            title: title.map(str::to_owned).to_vec(),
            axis: Some("Time since the start, in seconds"),
        };
        for width in [240.0, 390.0, 840.0, 1_900.0] {
            let framed = picture(width).framed(&frame);
            let svg = framed.to_svg("");
            for expected in
                ["stale append", "seed 7", "in seconds", "Append, or its", "Refusal or violation"]
            {
                assert!(svg.contains(expected), "{expected} at {width}: {svg}");
            }
            assert!(!svg.contains(EventCategory::Grant.meaning()));
            let (right, bottom) = bounds(&framed.shapes);
            assert!(right <= framed.width && bottom <= framed.height, "{width}: {right} {bottom}");
            assert!(framed.width >= width && framed.height > 150.0);
        }
    }

    #[test]
    fn long_titles_are_wrapped_between_words() {
        let fits = |line: &str| line.len() <= 7;
        assert_eq!(wrapped("one two three", fits), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", fits), ["incomprehensible"]);
    }
}
