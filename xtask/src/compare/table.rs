//! What was measured, round by round, and what is said of it: medians, and how they compare.

use std::fmt::Write as _;

use super::driver::Measured;

/// How many clients there are, from one table to the next.
pub(crate) const CLIENTS: [usize; 3] = [1, 16, 128];

/// The head of a table.
const HEAD: &str = "\
    | | flushed | operations a second | lowest to highest | ratio | of the highest | p50, µs | \
    p99, µs |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |";

/// One server's figures: for each number of clients those of all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether an answer waits for a flush of the disk.
    pub(crate) is_durable: bool,
    pub(crate) version: String,
    pub(crate) rounds: [Vec<Measured>; CLIENTS.len()],
}

/// A row's medians for one number of clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Row {
    pub(crate) fn new(name: &'static str, is_durable: bool, version: String) -> Self {
        Self { name, is_durable, version, rounds: Default::default() }
    }

    /// None where nothing was measured.
    pub(crate) fn medians(&self, column: usize) -> Option<Medians> {
        let rounds = &self.rounds[column];
        let of = |figure: fn(&Measured) -> f64| median(rounds.iter().map(figure).collect());
        Some(Medians {
            per_second: of(|it| it.per_second)?,
            p50_us: of(|it| it.p50_us)?,
            p99_us: of(|it| it.p99_us)?,
        })
    }

    /// The lowest and the highest throughput of all rounds.
    fn span(&self, column: usize) -> (f64, f64) {
        let rates = self.rounds[column].iter().map(|it| it.per_second);
        rates.fold((f64::INFINITY, 0.0), |(low, high), rate| (low.min(rate), high.max(rate)))
    }
}

/// The tables in Markdown. Each ratio is to leasehold's row of the same kind, flushed to flushed:
/// of the medians, and of the rounds that were disturbed least.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let plural = if clients == 1 { "" } else { "s" };
        // Writing to a string can't fail.
        let _ = writeln!(text, "### {clients} client{plural}\n\n{HEAD}");
        for row in rows {
            let Some(medians) = row.medians(column) else { continue };
            let (low, high) = row.span(column);
            let ratios = base_of(row, rows).and_then(|base| {
                let of_medians = medians.per_second / base.medians(column)?.per_second;
                Some(format!("{of_medians:.2} | {:.2}", high / base.span(column).1))
            });
            let flushed = if row.is_durable { "yes" } else { "no" };
            let _ = writeln!(
                text,
                "| {} | {flushed} | {} | {} to {} | {} | {} | {} |",
                row.name,
                grouped(medians.per_second),
                grouped(low),
                grouped(high),
                ratios.as_deref().unwrap_or(" | "),
                grouped(medians.p50_us),
                grouped(medians.p99_us)
            );
        }
        text.push('\n');
    }
    text
}

/// Leasehold's row that promises as much as this one.
fn base_of<'a>(row: &Row, rows: &'a [Row]) -> Option<&'a Row> {
    rows.iter().find(|it| it.name.starts_with("leasehold") && it.is_durable == row.is_durable)
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    Some(if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[middle - 1], upper) })
}

/// A number without decimals, with a comma between thousands.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(name: &'static str, is_durable: bool, rates: &[f64]) -> Row {
        let mut row = Row::new(name, is_durable, "1".to_owned());
        for column in &mut row.rounds {
            column.extend(rates.iter().map(|&per_second| Measured {
                per_second,
                p50_us: 1e6 / per_second,
                p99_us: 2e6 / per_second,
            }));
        }
        row
    }

    #[test]
    fn one_odd_round_changes_no_median() {
        assert_eq!(median(vec![3.0, 1_000.0, 1.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn ratios_are_of_medians_to_that_which_promises_as_much() {
        let rows = [
            row("leasehold", true, &[1_000.0, 1_000.0, 9.0]),
            row("leasehold, in memory", false, &[5_000.0]),
            row("etcd", true, &[2_500.0, 1.0, 3_000.0]),
            row("echo", false, &[10_000.0]),
        ];
        let text = markdown(&rows);
        for line in [
            "| leasehold | yes | 1,000 | 9 to 1,000 | 1.00 | 1.00 | 1,000 | 2,000 |",
            "| etcd | yes | 2,500 | 1 to 3,000 | 2.50 | 3.00 | 400 | 800 |",
            "| echo | no | 10,000 | 10,000 to 10,000 | 2.00 | 2.00 | 100 | 200 |",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        assert_eq!(text.matches("### ").count(), CLIENTS.len());
    }
}
