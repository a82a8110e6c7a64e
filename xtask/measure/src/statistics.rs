//! Medians, percentiles, and how numbers are printed.

use std::time::Duration;

/// Returns the median: the mean of the two middle figures if their number is even.
///
/// # Panics
/// If there are no figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty(), "there are no figures");
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures[middle];
    if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[middle - 1], upper) }
}

/// Returns a percentile of sorted durations, by the nearest rank. `ten_thousandths` is 9,900 for
/// the 99th percentile.
pub(crate) fn percentile(sorted: &[Duration], ten_thousandths: usize) -> Duration {
    let rank = (sorted.len() * ten_thousandths).div_ceil(10_000).max(1);
    sorted[rank - 1]
}

/// Formats a number without decimals, with a comma between thousands.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_change_the_median() {
        assert_eq!(median(vec![3.0, 1_000.0, 1.0]).to_string(), "3");
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]).to_string(), "3");
    }

    #[test]
    fn percentiles_are_measured_values() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let micros = [5_000, 9_900, 10_000, 0].map(|it| percentile(&sorted, it).as_micros());
        assert_eq!(micros, [100, 198, 200, 1]);
    }

    #[test]
    fn thousands_are_separated() {
        let texts = [0.4, 999.0, 1_000.0, 1_234_567.0].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
