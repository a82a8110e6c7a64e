//! Places texts so that none covers another: each text takes its rectangle.

use super::shape::{Anchor, Class, Shape, text};
use super::text_width::{ASCENT, DESCENT, Weight};

/// The distance between two texts, as a fraction of the font size.
const GAP: f64 = 0.25;

/// A rectangle: left, top, right, bottom.
pub(crate) type Bounds = (f64, f64, f64, f64);

/// The rectangles of a picture that are taken.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    within: Bounds,
    taken: Vec<Bounds>,
}

/// Where a text may be.
pub(crate) type Candidate = ((f64, f64), Anchor);

/// Returns the rectangle of a text.
pub(crate) fn text_bounds((x, y): (f64, f64), anchor: Anchor, size: f64, width: f64) -> Bounds {
    let left = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    (left, y - size * ASCENT, left + width, y + size * DESCENT)
}

/// Returns whether two rectangles have a common area.
pub(crate) fn overlap(a: Bounds, b: Bounds) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

impl Labels {
    /// Returns the labels of a picture in which nothing is taken.
    pub(crate) const fn new(within: Bounds) -> Self {
        Self { within, taken: Vec::new() }
    }

    /// Takes a rectangle.
    pub(crate) fn take(&mut self, bounds: Bounds) {
        self.taken.push(bounds);
    }

    /// Returns whether a rectangle is inside the picture and free.
    pub(crate) fn is_free(&self, bounds: Bounds) -> bool {
        let (left, top, right, bottom) = self.within;
        let is_inside =
            bounds.0 >= left && bounds.1 >= top && bounds.2 <= right && bounds.3 <= bottom;
        is_inside && !self.taken.iter().any(|taken| overlap(*taken, bounds))
    }

    /// Places a text at the first candidate where it fits, or returns `None`.
    pub(crate) fn place(
        &mut self,
        class: impl Into<Class>,
        content: &str,
        size: f64,
        candidates: &[Candidate],
    ) -> Option<Shape> {
        let class = class.into();
        let width = Weight::of_class(&class).width(content, size);
        for (at, anchor) in candidates {
            let (left, top, right, bottom) = text_bounds(*at, *anchor, size, width);
            let bounds = (left - size * GAP, top, right + size * GAP, bottom);
            let inside = (left, top, right, bottom);
            if self.is_free(bounds) || self.is_free_inside(inside, bounds) {
                self.take(bounds);
                return Some(text(class, *at, *anchor, size, content));
            }
        }
        None
    }

    /// Whether a text fits exactly at the edge of the picture, where it needs no distance.
    fn is_free_inside(&self, exact: Bounds, with_gap: Bounds) -> bool {
        let (left, top, right, bottom) = self.within;
        let clipped = (
            with_gap.0.max(left),
            with_gap.1.max(top),
            with_gap.2.min(right),
            with_gap.3.min(bottom),
        );
        let covers = clipped.0 <= exact.0
            && clipped.1 <= exact.1
            && clipped.2 >= exact.2
            && clipped.3 >= exact.3;
        covers && self.is_free(clipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_text_takes_its_other_place_or_none() {
        let mut labels = Labels::new((0.0, 0.0, 100.0, 60.0));
        let places = [((5.0, 20.0), Anchor::Start), ((5.0, 40.0), Anchor::Start)];
        let mut place = |content| {
            let shape = labels.place("small", content, 10.0, &places)?;
            let Shape::Text { y, .. } = shape else { panic!("not a text") };
            Some(y)
        };
        assert_eq!(place("first"), Some(20.0));
        assert_eq!(place("second"), Some(40.0));
        assert_eq!(place("third"), None);
        assert_eq!(labels.place("small", "wider than the whole picture", 10.0, &places), None);
    }
}
