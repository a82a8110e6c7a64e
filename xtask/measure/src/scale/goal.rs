//! Goals and measured figures, as a table.

use std::fmt::Write as _;

use crate::statistics::median;

/// A goal with its measured figure, or a figure that explains others.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    /// The goal, or a description of the figure.
    pub(super) title: String,
    pub(super) measured: String,
    /// `None` if the figure has no goal.
    pub(super) reached: Option<bool>,
}

impl Goal {
    /// A goal that a figure reaches if it is at least `min`.
    pub(super) fn at_least(title: &str, min: f64, figure: f64, measured: &str) -> Self {
        Self::new(title, figure >= min, measured)
    }

    /// A goal that a figure reaches if it is at most `max`.
    pub(super) fn at_most(title: &str, max: f64, figure: f64, measured: &str) -> Self {
        Self::new(title, figure <= max, measured)
    }

    pub(super) fn new(title: &str, reached: bool, measured: &str) -> Self {
        Self { title: title.to_owned(), measured: measured.to_owned(), reached: Some(reached) }
    }

    /// A figure without a goal.
    pub(super) fn note(title: &str, measured: &str) -> Self {
        Self { title: title.to_owned(), measured: measured.to_owned(), reached: None }
    }
}

/// Returns the table in Markdown.
pub(super) fn markdown(goals: &[Goal]) -> String {
    let mut text = "| goal | measured | reached |\n| --- | --- | --- |\n".to_owned();
    for Goal { title, measured, reached } in goals {
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {title} | {measured} | {reached} |");
    }
    text
}

/// Formats ratios as their median, with the lowest and the highest.
pub(super) fn format_ratios(ratios: &[f64]) -> String {
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({low:.2} to {high:.2})", median(ratios.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_marks_missed_goals() {
        let goals = [
            Goal::at_least("fast", 0.4, 0.4, "0.40"),
            Goal::at_most("small", 1.0, 1.1, "1.1"),
            Goal::note("note", "7"),
        ];
        let text = markdown(&goals);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let expected = ["| fast | 0.40 | yes |", "| small | 1.1 | **no** |", "| note | 7 |  |"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn ratios_are_formatted_with_their_range() {
        assert_eq!(format_ratios(&[0.5, 0.1, 0.9]), "0.50 (0.10 to 0.90)");
        assert_eq!(format_ratios(&[0.5, 1.0]), "0.75 (0.50 to 1.00)");
    }
}
