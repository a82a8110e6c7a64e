//! What was to be reached and what was measured, as a table.

use std::fmt::Write as _;

/// One goal, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    /// What is to be reached, or what a figure is of.
    pub(super) what: String,
    pub(super) measured: String,
    /// Unset where a figure is told that is no goal by itself.
    pub(super) reached: Option<bool>,
}

impl Goal {
    /// A figure that is to be at least this.
    pub(super) fn at_least(goal: &str, least: f64, figure: f64, told: &str) -> Self {
        Self::new(goal, figure >= least, told)
    }

    /// A figure that is to be at most this.
    pub(super) fn at_most(goal: &str, most: f64, figure: f64, told: &str) -> Self {
        Self::new(goal, figure <= most, told)
    }

    pub(super) fn new(goal: &str, reached: bool, told: &str) -> Self {
        Self { what: goal.to_owned(), measured: told.to_owned(), reached: Some(reached) }
    }

    /// What explains the others.
    pub(super) fn told(what: &str, told: &str) -> Self {
        Self { what: what.to_owned(), measured: told.to_owned(), reached: None }
    }
}

/// The table in Markdown.
pub(super) fn markdown(goals: &[Goal]) -> String {
    let mut text = "| goal | measured | reached |\n| --- | --- | --- |\n".to_owned();
    for Goal { what, measured, reached } in goals {
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {what} | {measured} | {reached} |");
    }
    text
}

/// The figure in the middle; between the two in the middle where there are as many.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty(), "something was measured");
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures[middle];
    if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[middle - 1], upper) }
}

/// Ratios as their median, with the lowest and the highest.
pub(super) fn ratios(figures: &[f64]) -> String {
    let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let high = figures.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({low:.2} to {high:.2})", median(figures.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_reached_is_seen() {
        let goals = [
            Goal::at_least("fast", 0.4, 0.4, "0.40"),
            Goal::at_most("small", 1.0, 1.1, "1.1"),
            Goal::told("besides", "7"),
        ];
        let text = markdown(&goals);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let expected = ["| fast | 0.40 | yes |", "| small | 1.1 | **no** |", "| besides | 7 |  |"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn ratios_are_told_with_their_span() {
        assert_eq!(ratios(&[0.5, 0.1, 0.9]), "0.50 (0.10 to 0.90)");
        assert_eq!(ratios(&[0.5, 1.0]), "0.75 (0.50 to 1.00)");
    }
}
