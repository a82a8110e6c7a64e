//! Draws the figures as a bar chart: an SVG without scripts, legible in light and dark themes.

use std::fmt::Write as _;

use super::table::{CLIENTS, Row};
use crate::statistics::grouped;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 190.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const HEADING: f64 = 34.0;
/// The width of the value beside the longest bar.
const VALUE: f64 = 90.0;

/// Solid if a reply waits for the disk, else hatched: the difference does not depend on colour.
const DURABLE: &str = "#2f6db3";
const VOLATILE: &str = "url(#volatile)";

/// Returns a chart with one group of bars per number of clients, all on one logarithmic scale.
pub(crate) fn svg(rows: &[Row]) -> String {
    let rates = |row: &Row| -> Vec<f64> {
        (0..CLIENTS.len()).filter_map(|column| Some(row.medians(column)?.per_second)).collect()
    };
    let all: Vec<f64> = rows.iter().flat_map(rates).filter(|rate| *rate > 0.0).collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min).log10().floor();
    let high = all.iter().copied().fold(1.0, f64::max).log10();
    let scale = |rate: f64| (rate.log10() - low) / (high - low).max(1.0) * (WIDTH - LABEL - VALUE);
    let mut bars = String::new();
    let mut y = 44.0;
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let plural = if clients == 1 { "" } else { "s" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            bars,
            "<text class=\"group\" x=\"0\" y=\"{y}\">{clients} client{plural}</text>"
        );
        y += 10.0;
        for row in rows {
            let Some(medians) = row.medians(column) else { continue };
            bar(&mut bars, row, y, scale(medians.per_second), medians.per_second);
            y += BAR + GAP;
        }
        y += HEADING;
    }
    format!("{}{bars}</svg>\n", head(y, low))
}

fn head(height: f64, low: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Operations per second, by server and number of clients\">\n\
         <style>text{{font:13px sans-serif;fill:#444}}.group{{font-weight:bold}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ccc}}}}</style>\n\
         <defs><pattern id=\"volatile\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#c8c8c8\"/>\
         <rect width=\"2\" height=\"6\" fill=\"#8a8a8a\"/></pattern></defs>\n\
         <text x=\"0\" y=\"12\">Operations per second: medians, on a logarithmic scale from {}. \
         Solid: flushed to disk before the reply.</text>\n",
        grouped(10_f64.powf(low))
    )
}

fn bar(out: &mut String, row: &Row, y: f64, width: f64, rate: f64) {
    let fill = if row.is_durable { DURABLE } else { VOLATILE };
    let (text_y, value_x) = (y + BAR - 5.0, LABEL + width + 6.0);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<text x=\"0\" y=\"{text_y}\">{}</text><rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" \
         height=\"{BAR}\" fill=\"{fill}\"/><text x=\"{value_x:.1}\" y=\"{text_y}\">{}</text>",
        row.name,
        grouped(rate)
    );
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::row;
    use super::*;

    #[test]
    fn the_bar_of_a_faster_server_is_longer() {
        let svg = svg(&[row("slow", true, &[10.0]), row("fast", false, &[1_000.0])]);
        let width = |name: &str| -> f64 {
            let bar = svg.split(&format!(">{name}<")).nth(1).unwrap();
            bar.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!(width("fast") > width("slow"), "{svg}");
        assert_eq!(svg.matches("<rect x=").count(), 2 * CLIENTS.len());
    }
}
