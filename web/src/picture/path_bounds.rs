//! The points of path data, for tests: where a path goes, and how far an arc sweeps.

use std::f64::consts::TAU;

/// A point of a picture.
type Point = (f64, f64);

/// The number of points that stand for a curve.
const CURVE_POINTS: u32 = 48;

/// An elliptical arc of path data whose radii are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arc {
    pub(crate) center: Point,
    pub(crate) radius: f64,
    /// The angle of the start, clockwise from the positive x axis, and the angle covered, which is
    /// negative if the arc runs counterclockwise. In radians.
    pub(crate) start: f64,
    pub(crate) sweep: f64,
}

impl Arc {
    /// Converts end points to a centre. Source: SVG 2, appendix B.2.4.
    fn new(from: Point, radius: f64, (is_large, is_clockwise): (bool, bool), to: Point) -> Self {
        let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
        let half = ((to.0 - from.0) / 2.0, (to.1 - from.1) / 2.0);
        let half_chord = half.0.hypot(half.1);
        let radius = radius.max(half_chord);
        let height = (radius * radius - half_chord * half_chord).max(0.0).sqrt();
        let side = if is_large == is_clockwise { -1.0 } else { 1.0 };
        let scale = if half_chord > 0.0 { side * height / half_chord } else { 0.0 };
        let center = (middle.0 - half.1 * scale, middle.1 + half.0 * scale);
        let angle = |(x, y): Point| (y - center.1).atan2(x - center.0);
        let (start, end) = (angle(from), angle(to));
        let sweep = if is_clockwise {
            (end - start).rem_euclid(TAU)
        } else {
            -(start - end).rem_euclid(TAU)
        };
        Self { center, radius, start, sweep }
    }

    fn point(&self, fraction: f64) -> Point {
        let (sine, cosine) = (self.start + self.sweep * fraction).sin_cos();
        (self.center.0 + self.radius * cosine, self.center.1 + self.radius * sine)
    }
}

struct Parser<'a> {
    rest: &'a str,
    at: Point,
    start: Point,
    points: Vec<Point>,
    arcs: Vec<Arc>,
}

impl Parser<'_> {
    fn number(&mut self) -> f64 {
        self.rest = self.rest.trim_start_matches([' ', ',']);
        let is_part = |(index, char): (usize, char)| {
            char.is_ascii_digit() || char == '.' || (char == '-' && index == 0)
        };
        let end = self.rest.char_indices().find(|it| !is_part(*it)).map(|(index, _)| index);
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        number.parse().unwrap_or_else(|_| panic!("not a number: {number:?} before {rest:?}"))
    }

    fn point(&mut self, is_relative: bool) -> Point {
        let (x, y) = (self.number(), self.number());
        if is_relative { (self.at.0 + x, self.at.1 + y) } else { (x, y) }
    }

    fn has_number(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', ',']);
        self.rest.starts_with(|char: char| char.is_ascii_digit() || char == '-' || char == '.')
    }

    fn go_to(&mut self, point: Point) {
        self.at = point;
        self.points.push(point);
    }

    fn command(&mut self, command: char) {
        let is_relative = command.is_ascii_lowercase();
        match command.to_ascii_uppercase() {
            'M' => {
                let point = self.point(is_relative);
                self.start = point;
                self.go_to(point);
            }
            'L' => {
                let point = self.point(is_relative);
                self.go_to(point);
            }
            'H' => {
                let x = self.number() + if is_relative { self.at.0 } else { 0.0 };
                self.go_to((x, self.at.1));
            }
            'V' => {
                let y = self.number() + if is_relative { self.at.1 } else { 0.0 };
                self.go_to((self.at.0, y));
            }
            'C' => {
                let (from, a) = (self.at, self.point(is_relative));
                let (b, to) = (self.point(is_relative), self.point(is_relative));
                for step in 1..=CURVE_POINTS {
                    let t = f64::from(step) / f64::from(CURVE_POINTS);
                    let axis = |from: f64, a: f64, b: f64, to: f64| {
                        let s = 1.0 - t;
                        s * s * s * from + 3.0 * s * t * (s * a + t * b) + t * t * t * to
                    };
                    self.points.push((axis(from.0, a.0, b.0, to.0), axis(from.1, a.1, b.1, to.1)));
                }
                self.go_to(to);
            }
            'A' => {
                let radii = (self.number(), self.number());
                assert!((radii.0 - radii.1).abs() < 1e-9, "only circles");
                let _rotation = self.number();
                let flags = (self.number() > 0.5, self.number() > 0.5);
                let from = self.at;
                let to = self.point(is_relative);
                let arc = Arc::new(from, radii.0, flags, to);
                let fractions = (1..CURVE_POINTS).map(|it| f64::from(it) / f64::from(CURVE_POINTS));
                self.points.extend(fractions.map(|it| arc.point(it)));
                self.arcs.push(arc);
                self.go_to(to);
            }
            'Z' => self.at = self.start,
            other => panic!("unknown path command {other}"),
        }
    }

    fn parse(mut self) -> Self {
        let mut command = 'M';
        while !self.rest.trim_start().is_empty() {
            if !self.has_number() {
                self.rest = self.rest.trim_start();
                command = self.rest.chars().next().unwrap_or('Z');
                self.rest = &self.rest[command.len_utf8()..];
            }
            self.command(command);
            // Further coordinates after a move are lines.
            command = match command {
                'M' => 'L',
                'm' => 'l',
                other => other,
            };
        }
        self
    }
}

fn parse(data: &str) -> Parser<'_> {
    let (points, arcs) = (Vec::new(), Vec::new());
    Parser { rest: data, at: (0.0, 0.0), start: (0.0, 0.0), points, arcs }.parse()
}

/// Returns the points of a path, with enough points on its curves to show how far it extends.
pub(crate) fn path_points(data: &str) -> Vec<Point> {
    parse(data).points
}

/// Returns the arcs of a path.
pub(crate) fn path_arcs(data: &str) -> Vec<Arc> {
    parse(data).arcs
}

#[test]
fn arcs_and_lines_are_followed() {
    assert_eq!(path_points("M1 2h3v-1L0 0"), [(1.0, 2.0), (4.0, 2.0), (4.0, 1.0), (0.0, 0.0)]);
    let half = path_arcs("M0 -10A10 10 0 0 1 0 10");
    assert!((half[0].sweep - TAU / 2.0).abs() < 1e-9, "{half:?}");
    let most = path_arcs("M0 -10A10 10 0 1 1 -10 0");
    assert!((most[0].sweep - TAU * 0.75).abs() < 1e-9, "{most:?}");
    assert!(most[0].center.0.hypot(most[0].center.1) < 1e-9, "{most:?}");
    let widest = path_points("M0 -10A10 10 0 1 1 -10 0").iter().map(|it| it.0).fold(0.0, f64::max);
    assert!((widest - 10.0).abs() < 0.01, "{widest}");
}
