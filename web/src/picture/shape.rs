//! The shapes of pictures, in CSS pixels. A class gives each shape its colour. Shapes are painted
//! in the page or exported as SVG.

use std::borrow::Cow;
use std::f64::consts::TAU;
use std::fmt::Write as _;

use crate::model::target::Target;

/// A picture and its size.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// The description for screen readers.
    pub(crate) label: String,
    pub(crate) shapes: Vec<Shape>,
}

/// The size of the area for a picture, and the font size in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) em: f64,
}

impl Area {
    /// Returns the area of a picture of this size, with a font size that is readable there: type
    /// grows with the screen. While presenting, it is readable from the last row.
    pub(crate) fn new((width, height): (f64, f64), is_presenting: bool) -> Self {
        let (width, height) = (width.max(120.0), height.max(60.0));
        let em = if is_presenting {
            (height / 10.0).max(27.0).min(width / 26.0)
        } else {
            (width / 63.0).min(height / 17.0).min(48.0)
        };
        let em = em.max(12.0);
        Self { width, height, em }
    }
}

pub(crate) type Class = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Rect {
        class: Class,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        corner_radius: f64,
    },
    Circle {
        class: Class,
        x: f64,
        y: f64,
        r: f64,
    },
    Line {
        class: Class,
        from: (f64, f64),
        to: (f64, f64),
    },
    Path {
        class: Class,
        d: String,
    },
    Text {
        class: Class,
        x: f64,
        y: f64,
        anchor: Anchor,
        size: f64,
        text: String,
    },
    /// Shapes that belong together; a group can have a target and a label.
    Group(Group),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) class: Class,
    pub(crate) at: (f64, f64),
    pub(crate) target: Option<Target>,
    /// The description for screen readers; empty if the group is part of another.
    pub(crate) label: String,
    pub(crate) shapes: Vec<Shape>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

pub(crate) fn rect(
    class: impl Into<Class>,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
) -> Shape {
    Shape::Rect { class: class.into(), x, y, width: width.max(0.0), height, corner_radius: 0.0 }
}

pub(crate) fn rounded(
    class: impl Into<Class>,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    corner_radius: f64,
) -> Shape {
    Shape::Rect { class: class.into(), x, y, width: width.max(0.0), height, corner_radius }
}

pub(crate) fn line(class: impl Into<Class>, from: (f64, f64), to: (f64, f64)) -> Shape {
    Shape::Line { class: class.into(), from, to }
}

pub(crate) fn circle(class: impl Into<Class>, (x, y): (f64, f64), r: f64) -> Shape {
    Shape::Circle { class: class.into(), x, y, r }
}

pub(crate) fn path(class: impl Into<Class>, d: String) -> Shape {
    Shape::Path { class: class.into(), d }
}

pub(crate) fn text(
    class: impl Into<Class>,
    (x, y): (f64, f64),
    anchor: Anchor,
    size: f64,
    text: impl Into<String>,
) -> Shape {
    Shape::Text { class: class.into(), x, y, anchor, size, text: text.into() }
}

/// Hatches a rectangle with diagonal lines. The lines stay where they are if the rectangle grows.
pub(crate) fn hatch(
    class: impl Into<Class>,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    spacing: f64,
) -> Shape {
    let mut spacing = spacing.max(1.0);
    while width + height > spacing * HATCH_LINES_MAX {
        spacing *= 2.0;
    }
    let (right, bottom) = (x + width, y + height);
    let mut data = String::new();
    let mut sum = ((x + y) / spacing).ceil() * spacing;
    // Every point of a line has the same sum of coordinates.
    while sum < right + bottom {
        let (low_x, high_x) = ((sum - bottom).max(x), (sum - y).min(right));
        if high_x - low_x > 0.5 {
            let ends = [low_x, sum - low_x, high_x, sum - high_x];
            data.push_str(&fill_numbers("M_ _L_ _", &ends));
        }
        sum += spacing;
    }
    path(class, data)
}

/// The largest number of lines in a hatched rectangle.
const HATCH_LINES_MAX: f64 = 160.0;

/// Returns the path data of a circular arc, clockwise from the top. `from` and `fraction` are
/// fractions of a turn, from 0 to 1.
pub(crate) fn arc_path((x, y): (f64, f64), r: f64, from: f64, fraction: f64) -> String {
    let fraction = clamp(fraction, 0.0, 1.0);
    let point = |at: f64| {
        let (sine, cosine) = (at * TAU).sin_cos();
        (x + r * sine, y - r * cosine)
    };
    let (start_x, start_y) = point(from);
    let mut data = fill_numbers("M_ _", &[start_x, start_y]);
    // Coordinates are rounded to tenths. An arc of at most a quarter of a turn keeps its centre
    // nevertheless; the ends of a longer one can even coincide.
    let parts = (fraction * 4.0).ceil().max(1.0);
    let mut part = 1.0;
    while part <= parts {
        let (end_x, end_y) = point(from + fraction * part / parts);
        data.push_str(&fill_numbers("A_ _ 0 0 1 _ _", &[r, r, end_x, end_y]));
        part += 1.0;
    }
    data
}

/// Returns the head of an arrow.
pub(crate) fn arrow_head(class: &str, from: (f64, f64), to: (f64, f64), size: f64) -> Shape {
    let direction = (to.0 - from.0, to.1 - from.1);
    let length = direction.0.hypot(direction.1).max(0.1);
    let back = (-direction.0 / length * size, -direction.1 / length * size);
    let side = |off: f64| {
        let (sine, cosine) = (off * TAU).sin_cos();
        (to.0 + back.0 * cosine - back.1 * sine, to.1 + back.0 * sine + back.1 * cosine)
    };
    let (a, b) = (side(0.064), side(-0.064));
    let (x, y) = to;
    path(format!("{class} head"), fill_numbers("M_ _L_ _L_ _Z", &[x, y, a.0, a.1, b.0, b.1]))
}

/// Replaces each `_` of the pattern by the next number.
pub(crate) fn fill_numbers(pattern: &str, numbers: &[f64]) -> String {
    let mut data = String::with_capacity(pattern.len() + numbers.len() * 5);
    let mut numbers = numbers.iter();
    for part in pattern.split_inclusive('_') {
        data.push_str(part.trim_end_matches('_'));
        if let (true, Some(number)) = (part.ends_with('_'), numbers.next()) {
            push_tenths(&mut data, *number);
        }
    }
    data
}

#[allow(clippy::cast_precision_loss, reason = "counts on a screen")]
pub(crate) const fn to_f64(count: usize) -> f64 {
    count as f64
}

/// Restricts a value to a range. Unlike `f64::clamp`, it does not panic: the panic message would
/// pull the formatting of floating-point numbers into the page.
pub(crate) const fn clamp(value: f64, min: f64, max: f64) -> f64 {
    value.max(min).min(max)
}

/// Formats a coordinate with at most one decimal; smaller differences are invisible.
pub(crate) fn format_tenths(number: f64) -> String {
    let mut text = String::new();
    push_tenths(&mut text, number);
    text
}

/// Appends a coordinate. A picture has thousands of them, so this allocates nothing.
fn push_tenths(text: &mut String, number: f64) {
    #[allow(clippy::cast_possible_truncation, reason = "a coordinate on a screen")]
    let tenths = (number * 10.0).round() as i64;
    let (whole, rest) = (tenths.abs() / 10, tenths.abs() % 10);
    let sign = if tenths < 0 { "-" } else { "" };
    // Writing to a string cannot fail.
    write!(text, "{sign}{whole}").ok();
    if rest > 0 {
        write!(text, ".{rest}").ok();
    }
}

impl Picture {
    /// Returns the labels of the groups.
    #[cfg(test)]
    pub(crate) fn labels(&self) -> Vec<&str> {
        let groups = self.shapes.iter().filter_map(|shape| {
            if let Shape::Group(group) = shape { Some(group.label.as_str()) } else { None }
        });
        groups.collect()
    }

    /// Returns the picture as a self-contained SVG file. `style` contains the rules for pictures.
    pub(crate) fn to_svg(&self, style: &str) -> String {
        let Self { width, height, label, shapes } = self;
        let size = fill_numbers("width=\"_\" height=\"_\"", &[width.round(), height.round()]);
        let view_box = fill_numbers("0 0 _ _", &[width.round(), height.round()]);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} viewBox=\"{view_box}\" \
            class=\"picture\" role=\"img\" aria-label=\"{}\"><style>{style}</style>\
            <rect class=\"background\" {size}/>",
            escaped(label),
        );
        for shape in shapes {
            shape.write_svg(&mut svg);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Shape {
    fn write_svg(&self, svg: &mut String) {
        // Writing to a string cannot fail.
        match self {
            Self::Rect { class, x, y, width, height, corner_radius } => {
                let attributes = fill_numbers(
                    "x=\"_\" y=\"_\" width=\"_\" height=\"_\" rx=\"_\"",
                    &[*x, *y, *width, *height, *corner_radius],
                );
                write!(svg, "<rect class=\"{class}\" {attributes}/>")
            }
            Self::Circle { class, x, y, r } => {
                let attributes = fill_numbers("cx=\"_\" cy=\"_\" r=\"_\"", &[*x, *y, *r]);
                write!(svg, "<circle class=\"{class}\" {attributes}/>")
            }
            Self::Line { class, from: (x1, y1), to: (x2, y2) } => {
                let end_points = [*x1, *y1, *x2, *y2];
                let attributes = fill_numbers("x1=\"_\" y1=\"_\" x2=\"_\" y2=\"_\"", &end_points);
                write!(svg, "<line class=\"{class}\" {attributes}/>")
            }
            Self::Path { class, d } => write!(svg, "<path class=\"{class}\" d=\"{d}\"/>"),
            Self::Text { class, x, y, anchor, size, text } => {
                let attributes = fill_numbers("x=\"_\" y=\"_\" font-size=\"_\"", &[*x, *y, *size]);
                let (anchor, text) = (anchor.as_str(), escaped(text));
                write!(
                    svg,
                    "<text class=\"{class}\" {attributes} text-anchor=\"{anchor}\">{text}</text>"
                )
            }
            Self::Group(group) => {
                let (x, y) = group.at;
                let label = escaped(&group.label);
                let attributes = fill_numbers("translate(_ _)", &[x, y]);
                write!(svg, "<g class=\"{}\" transform=\"{attributes}\">", group.class).ok();
                if !label.is_empty() {
                    write!(svg, "<title>{label}</title>").ok();
                }
                group.shapes.iter().for_each(|shape| shape.write_svg(svg));
                write!(svg, "</g>")
            }
        }
        .ok();
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::path_bounds::{path_arcs, path_points};

    #[test]
    fn client_names_are_escaped() {
        let shapes = vec![text("t", (1.0, 2.0), Anchor::End, 12.0, "<b>&\"")];
        let picture = Picture { width: 10.0, height: 20.0, label: "a\"b".to_owned(), shapes };
        let svg = picture.to_svg("");
        assert!(svg.contains(">&lt;b&gt;&amp;&quot;</text>"), "{svg}");
        assert!(svg.contains("aria-label=\"a&quot;b\""), "{svg}");
    }

    /// A shape without a rule is black in an exported picture.
    #[test]
    fn background_of_exported_pictures_has_a_rule() {
        let svg = Picture::default().to_svg("");
        let class = svg.split("<rect class=\"").nth(1).and_then(|it| it.split('"').next()).unwrap();
        let css = include_str!("../../style/picture.css");
        assert!(css.contains(&format!(".picture .{class} {{")), "{class}");
    }

    #[test]
    fn coordinates_have_one_decimal() {
        let shown = [0.0, 1.04, 1.05, -0.96, -0.04, 120.0].map(format_tenths);
        assert_eq!(shown, ["0", "1", "1.1", "-1", "0", "120"]);
    }

    #[test]
    fn arc_runs_clockwise_from_the_top() {
        assert_eq!(arc_path((0.0, 0.0), 10.0, 0.0, 0.25), "M0 -10A10 10 0 0 1 10 0");
    }

    /// Also where the ends of the arc are closer to each other than the rounding.
    #[test]
    fn arcs_of_every_size_have_their_centre_and_their_length() {
        for radius in [5.0, 20.5, 47.3] {
            for step in 1..=4_000 {
                let fraction = f64::from(step) / 4_000.0;
                // Shorter arcs are rounded up before they are drawn.
                if fraction * TAU * radius < 0.4 {
                    continue;
                }
                let data = arc_path((60.04, 59.97), radius, 0.1, fraction);
                let length: f64 = path_arcs(&data).iter().map(|it| it.radius * it.sweep).sum();
                let expected = fraction * TAU * radius;
                assert!((length - expected).abs() < 0.7, "{fraction} of {radius}: {data}");
                for (x, y) in path_points(&data) {
                    let distance = (x - 60.0).hypot(y - 60.0);
                    assert!((distance - radius).abs() < 0.35, "{fraction} of {radius}: {data}");
                }
            }
        }
    }

    #[test]
    fn hatching_stays_inside_its_rectangle() {
        let Shape::Path { d, .. } = hatch("x", (10.0, 20.0), (57.0, 8.0), 6.0) else { panic!() };
        assert!(d.matches('M').count() >= 10, "{d}");
        for (x, y) in path_points(&d) {
            assert!((10.0..=67.0).contains(&x) && (20.0..=28.0).contains(&y), "{x} {y}");
        }
    }
}
