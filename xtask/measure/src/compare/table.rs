//! The figures of all rounds, and the tables of their medians and ratios.

use std::fmt::Write as _;

use super::driver::Measurement;
use crate::statistics::{grouped, median};

/// The number of clients of each table.
pub(crate) const CLIENTS: [usize; 3] = [1, 16, 128];

/// The header of a table.
const HEAD: &str = "\
    | | flushed | operations per second | lowest to highest | ratio | ratio of the highest | \
    p50, µs | p99, µs |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |";

/// The figures of one server: those of all rounds, for each number of clients.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether a reply waits for a flush of the disk.
    pub(crate) is_durable: bool,
    pub(crate) version: String,
    pub(crate) rounds: [Vec<Measurement>; CLIENTS.len()],
}

/// The medians of a row for one number of clients.
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

    /// Returns `None` if nothing was measured.
    pub(crate) fn medians(&self, column: usize) -> Option<Medians> {
        let rounds = &self.rounds[column];
        let of = |figure: fn(&Measurement) -> f64| median(rounds.iter().map(figure).collect());
        (!rounds.is_empty()).then(|| Medians {
            per_second: of(|it| it.per_second),
            p50_us: of(|it| it.p50_us),
            p99_us: of(|it| it.p99_us),
        })
    }

    /// Returns the lowest and the highest throughput of all rounds.
    fn range(&self, column: usize) -> (f64, f64) {
        let rates = self.rounds[column].iter().map(|it| it.per_second);
        rates.fold((f64::INFINITY, 0.0), |(low, high), rate| (low.min(rate), high.max(rate)))
    }
}

/// Returns the tables in Markdown. Each ratio is to the row of leasehold with the same durability:
/// the ratio of the medians, and that of the fastest rounds, which were disturbed least.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let plural = if clients == 1 { "" } else { "s" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "### {clients} client{plural}\n\n{HEAD}");
        for row in rows {
            let Some(medians) = row.medians(column) else { continue };
            let (low, high) = row.range(column);
            let ratios = base_of(row, rows).and_then(|base| {
                let of_medians = medians.per_second / base.medians(column)?.per_second;
                Some(format!("{of_medians:.2} | {:.2}", high / base.range(column).1))
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

/// Returns the row of leasehold with the same durability.
fn base_of<'a>(row: &Row, rows: &'a [Row]) -> Option<&'a Row> {
    rows.iter().find(|it| it.name.starts_with("leasehold") && it.is_durable == row.is_durable)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(name: &'static str, is_durable: bool, rates: &[f64]) -> Row {
        let mut row = Row::new(name, is_durable, "1".to_owned());
        for column in &mut row.rounds {
            column.extend(rates.iter().map(|&per_second| Measurement {
                per_second,
                p50_us: 1e6 / per_second,
                p99_us: 2e6 / per_second,
            }));
        }
        row
    }

    #[test]
    fn ratios_are_to_leasehold_with_the_same_durability() {
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
