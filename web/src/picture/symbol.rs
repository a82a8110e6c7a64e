//! The symbols of events. Each has its own shape and letter, in ink: colour says who, not what.

use super::shape::{Anchor, Class, Shape, circle, fill_numbers, path, rounded, text};
use crate::model::event_category::EventCategory;

impl EventCategory {
    /// Returns the class of the category.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Grant => "grant",
            Self::Append => "append",
            Self::Release => "release",
            Self::Reject => "reject",
            Self::Renew => "renew",
            Self::Fault => "fault",
            Self::Expiry => "expiry",
            Self::Other => "other",
        }
    }

    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::Acquire => "A",
            Self::Grant => "G",
            Self::Append => "W",
            Self::Release => "R",
            Self::Reject => "N",
            Self::Renew => "H",
            Self::Fault => "!",
            Self::Expiry => "E",
            Self::Other => "S",
        }
    }

    /// Returns the classes of the outline.
    const fn symbol_class(self) -> &'static str {
        match self {
            Self::Acquire => "symbol acquire",
            Self::Grant => "symbol grant",
            Self::Append => "symbol append",
            Self::Release => "symbol release",
            Self::Reject => "symbol reject cross",
            Self::Renew => "symbol renew outlined",
            Self::Fault => "symbol fault cross",
            Self::Expiry => "symbol expiry",
            Self::Other => "symbol other",
        }
    }

    /// Returns the description in the legend.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Acquire => "Lock requested or queued",
            Self::Grant => "Lock granted",
            Self::Append => "Append, or its reply",
            Self::Release => "Lock released",
            Self::Reject => "Refusal or violation",
            Self::Renew => "Heartbeat, or its reply",
            Self::Fault => "Fault",
            Self::Expiry => "Lease expired",
            Self::Other => "Session or other event",
        }
    }

    /// Draws a cross around a point.
    pub(crate) fn cross(at: (f64, f64), r: f64, class: impl Into<Class>) -> Vec<Shape> {
        vec![Self::Reject.outline(at, r / 0.85, class)]
    }

    /// Draws the shape of the symbol around a point.
    pub(crate) fn outline(self, (x, y): (f64, f64), r: f64, class: impl Into<Class>) -> Shape {
        match self {
            Self::Acquire => {
                let (top, bottom) = (y - r * 1.15, y + r * 0.85);
                let corners = [x, top, x + r * 1.1, bottom, x - r * 1.1, bottom];
                path(class, fill_numbers("M_ _L_ _L_ _Z", &corners))
            }
            Self::Grant => circle(class, (x, y), r),
            Self::Append => {
                let corners = [x, y - r * 1.2, x + r * 1.2, y, x, y + r * 1.2, x - r * 1.2, y];
                path(class, fill_numbers("M_ _L_ _L_ _L_ _Z", &corners))
            }
            Self::Release => {
                rounded(class, (x - r * 0.9, y - r * 0.9), (r * 1.8, r * 1.8), r * 0.15)
            }
            // An hourglass.
            Self::Expiry => {
                let (left, right) = (x - r * 0.75, x + r * 0.75);
                let (top, bottom) = (y - r * 0.95, y + r * 0.95);
                path(class, fill_numbers("M_ _H_L_ _H_Z", &[left, top, right, left, bottom, right]))
            }
            // An exclamation mark.
            Self::Fault => {
                let (top, low, dot) = (y - r * 0.9, y + r * 0.2, y + r * 0.85);
                path(class, fill_numbers("M_ _V_M_ _v0.1", &[x, top, low, x, dot]))
            }
            Self::Reject => {
                let a = r * 0.85;
                let ends = [x - a, y - a, x + a, y + a, x + a, y - a, x - a, y + a];
                path(class, fill_numbers("M_ _L_ _M_ _L_ _", &ends))
            }
            Self::Renew => circle(class, (x, y), r * 0.6),
            Self::Other => circle(class, (x, y), r * 0.55),
        }
    }

    /// Draws the symbol around a point, with its letter inside if it fits.
    pub(crate) fn shapes(self, (x, y): (f64, f64), r: f64) -> Vec<Shape> {
        let outline = self.outline((x, y), r, self.symbol_class());
        let has_letter =
            r >= 5.5 && matches!(self, Self::Acquire | Self::Grant | Self::Append | Self::Release);
        let mut shapes = vec![outline];
        if has_letter {
            let baseline_offset = if self == Self::Acquire { 0.55 } else { 0.38 };
            let size = r * if self == Self::Acquire { 1.0 } else { 1.15 };
            shapes.push(text(
                "letter",
                (x, y + r * baseline_offset),
                Anchor::Middle,
                size,
                self.letter(),
            ));
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_have_distinct_letters_and_classes() {
        for (index, a) in EventCategory::ALL.into_iter().enumerate() {
            for b in &EventCategory::ALL[..index] {
                assert_ne!(a.letter(), b.letter());
                assert_ne!(a.class(), b.class());
                assert_eq!(a.symbol_class().split(' ').nth(1), Some(a.class()));
            }
        }
    }
}
