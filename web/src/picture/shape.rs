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

/// Returns the approximate width of a text: sans-serif letters are on average 0.56 em wide.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    0.56 * size * to_f64(text.chars().count())
}

/// Returns the text, truncated with an ellipsis if it is wider than `width`.
pub(crate) fn truncated_to_width(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let letters = (width / (0.56 * size)).max(1.0) as usize;
    let mut truncated: String = text.chars().take(letters.saturating_sub(1)).collect();
    truncated.push('…');
    truncated
}

/// Returns the path data of a circular arc, clockwise from the top. `from` and `fraction` are
/// fractions of a turn, from 0 to 1.
pub(crate) fn arc_path((x, y): (f64, f64), r: f64, from: f64, fraction: f64) -> String {
    let fraction = clamp(fraction, 0.0, 0.9999);
    let point = |at: f64| {
        let (sine, cosine) = (at * TAU).sin_cos();
        (x + r * sine, y - r * cosine)
    };
    let ((x1, y1), (x2, y2)) = (point(from), point(from + fraction));
    let large = f64::from(u8::from(fraction > 0.5));
    fill_numbers("M_ _A_ _ 0 _ 1 _ _", &[x1, y1, r, r, large, x2, y2])
}

/// Replaces each `_` of the pattern by the next number.
pub(crate) fn fill_numbers(pattern: &str, numbers: &[f64]) -> String {
    let mut numbers = numbers.iter();
    let mut data = String::new();
    for part in pattern.split_inclusive('_') {
        data.push_str(part.trim_end_matches('_'));
        if let (true, Some(number)) = (part.ends_with('_'), numbers.next()) {
            data.push_str(&format_tenths(*number));
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
    #[allow(clippy::cast_possible_truncation, reason = "a coordinate on a screen")]
    let tenths = (number * 10.0).round() as i64;
    let (whole, rest) = (tenths.abs() / 10, tenths.abs() % 10);
    let sign = if tenths < 0 { "-" } else { "" };
    if rest == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
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
            <rect class=\"paper\" {size}/>",
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

    #[test]
    fn client_names_are_escaped() {
        let shapes = vec![text("t", (1.0, 2.0), Anchor::End, 12.0, "<b>&\"")];
        let picture = Picture { width: 10.0, height: 20.0, label: "a\"b".to_owned(), shapes };
        let svg = picture.to_svg("");
        assert!(svg.contains(">&lt;b&gt;&amp;&quot;</text>"), "{svg}");
        assert!(svg.contains("aria-label=\"a&quot;b\""), "{svg}");
    }

    #[test]
    fn coordinates_have_one_decimal() {
        let shown = [0.0, 1.04, 1.05, -0.96, -0.04, 120.0].map(format_tenths);
        assert_eq!(shown, ["0", "1", "1.1", "-1", "0", "120"]);
    }

    #[test]
    fn texts_are_truncated_to_their_width() {
        assert_eq!(truncated_to_width("client_1", 10.0, 100.0), "client_1");
        let truncated = truncated_to_width("a_very_long_name_indeed", 10.0, 60.0);
        assert!(truncated.ends_with('…') && text_width(&truncated, 10.0) <= 66.0, "{truncated}");
    }

    #[test]
    fn arc_runs_clockwise_from_the_top() {
        assert_eq!(arc_path((0.0, 0.0), 10.0, 0.0, 0.25), "M0 -10A10 10 0 0 1 10 0");
        assert!(arc_path((0.0, 0.0), 10.0, 0.0, 0.75).contains(" 0 1 1 "));
    }
}
