//! A client's sign: a disc in its colour with its number, where its name is written.

use super::shape::{Anchor, Shape, circle, text};
use super::text_width::bold_width;
use crate::model::client_color::short_name;

/// Returns the radius of the disc beside a name of this font size, in a row of this height.
pub(crate) fn chip_radius(size: f64, row: f64) -> f64 {
    (size * 0.72).min(row * 0.47)
}

/// Draws the sign around a point. The group around it has the class of the client's colour.
pub(crate) fn chip(name: &str, (x, y): (f64, f64), r: f64) -> Vec<Shape> {
    let number = short_name(name);
    let number_size = (r * 1.2).min(r * 1.65 / bold_width(&number, 1.0).max(0.1));
    let at = (x, y + number_size * 0.36);
    vec![
        circle("who-fill", (x, y), r),
        text("node-number on-fill", at, Anchor::Middle, number_size, number),
    ]
}
