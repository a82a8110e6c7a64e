//! Whether a sampled figure keeps growing.

use std::time::Duration;

/// The highest permitted ratio of the last third to the second.
const FLAT_MAX: f64 = 1.1;

/// Samples with their times.
#[derive(Clone, Debug, Default)]
pub(super) struct Trend(Vec<(Duration, f64)>);

impl Trend {
    pub(super) fn add(&mut self, at: Duration, figure: f64) {
        self.0.push((at, figure));
    }

    /// Returns the highest figure in each third of the time.
    fn highest(&self) -> [f64; 3] {
        let mut highest = [0.0_f64; 3];
        let (Some((first, _)), Some((last, _))) = (self.0.first(), self.0.last()) else {
            return highest;
        };
        let span = last.saturating_sub(*first).as_secs_f64().max(f64::EPSILON);
        for (at, figure) in &self.0 {
            let share = at.saturating_sub(*first).as_secs_f64() / span;
            let third = if share < 1.0 / 3.0 { 0 } else { 1 + usize::from(share >= 2.0 / 3.0) };
            highest[third] = highest[third].max(*figure);
        }
        highest
    }

    /// Whether the figure has stopped growing. The first third is ignored, because the server warms
    /// up.
    pub(super) fn is_flat(&self) -> bool {
        let [_, second, last] = self.highest();
        last <= second * FLAT_MAX
    }

    /// Returns the highest figure in each third, in megabytes.
    pub(super) fn summary(&self) -> String {
        let [first, second, last] = self.highest().map(|figure| figure / 1e6);
        let state = if self.is_flat() { "flat" } else { "growing" };
        format!("{state}: highest {first:.1}, {second:.1} and {last:.1} MB in the three thirds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(figures: &[f64]) -> Trend {
        let mut trend = Trend::default();
        for (second, figure) in (0..).zip(figures) {
            trend.add(Duration::from_secs(second), *figure);
        }
        trend
    }

    #[test]
    fn fluctuation_is_flat_and_steady_growth_is_not() {
        assert!(trend(&[1.0, 5.0, 2.0, 9.0, 3.0, 9.0, 1.0]).is_flat());
        assert!(!trend(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).is_flat());
        let summary = trend(&[1e6, 2e6, 2e6]).summary();
        assert_eq!(summary, "flat: highest 1.0, 2.0 and 2.0 MB in the three thirds");
    }
}
