//! The report of a bench, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::counters::{Counters, Latencies, RequestKind};
use super::idle::IdleCounters;
use super::worker::Plan;
use crate::command::style::Style;

/// The quantiles of the latencies that are reported.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// A report. Its fields are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    format: &'static str,
    server: String,
    mix: &'static str,
    clients: u32,
    locks: u32,
    /// Unset in a closed loop, in which each client begins an operation when its last one has
    /// ended.
    rate: Option<u64>,
    seed: u64,
    warm_up_s: f64,
    duration_s: f64,
    operations: u64,
    per_second: f64,
    latency_us: Percentiles,
    /// The latencies by kind of request.
    requests: BTreeMap<&'static str, Percentiles>,
    /// At a fixed rate: the number of operations that were to begin.
    offered: Option<u64>,
    /// At a fixed rate: the number of these operations that did not end.
    not_finished: Option<u64>,
    failed: u64,
    failed_by_code: BTreeMap<&'static str, u64>,
    whole_run: WholeRun,
    /// Set if the bench has idle sessions.
    idle: Option<IdleReport>,
}

/// Latencies in microseconds, and their number.
#[derive(Clone, Debug, Serialize)]
struct Percentiles {
    count: u64,
    mean: f64,
    p50: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

/// The counters of the idle sessions.
#[derive(Clone, Debug, Serialize)]
struct IdleReport {
    sessions: u32,
    /// The number of locks that each session holds.
    locks: u32,
    /// The heartbeats that were acknowledged during the measurement.
    heartbeats: u64,
    heartbeats_per_second: f64,
    /// The datagrams of the whole run.
    sent: u64,
    received: u64,
    retransmissions: u64,
    sessions_lost: u64,
}

/// The counters of the whole run, including warm-up and end.
#[derive(Clone, Debug, Serialize)]
struct WholeRun {
    sent: u64,
    received: u64,
    retransmissions: u64,
    polls: u64,
    background_heartbeats: u64,
    sessions_lost: u64,
    appended_lines: u64,
    appended_bytes: u64,
}

impl Report {
    pub(super) fn new(plan: &Plan, counters: &Counters) -> Self {
        let duration_s = plan.duration.as_secs_f64();
        // Each thread counts only the hand-offs among its own clients.
        let is_shown = |kind: RequestKind| kind != RequestKind::HandOff || plan.workers == 1;
        let kinds = counters.requests.iter().filter(|(kind, _)| is_shown(**kind));
        let requests = kinds.map(|(kind, it)| (kind.code(), Percentiles::new(it)));
        Self {
            format: "leasehold-bench",
            server: plan.server.to_string(),
            mix: plan.mix.code(),
            clients: plan.clients,
            locks: plan.locks,
            rate: plan.rate,
            seed: plan.seed,
            warm_up_s: plan.warm_up.as_secs_f64(),
            duration_s,
            operations: counters.operations.count(),
            per_second: per_second(counters.in_time, duration_s),
            latency_us: Percentiles::new(&counters.operations),
            requests: requests.collect(),
            offered: counters.offered,
            not_finished: counters.not_finished(),
            failed: counters.failures(),
            failed_by_code: counters.failed.clone(),
            whole_run: WholeRun {
                sent: counters.sent,
                received: counters.received,
                retransmissions: counters.retransmissions,
                polls: counters.polls,
                background_heartbeats: counters.background_heartbeats,
                sessions_lost: counters.sessions_lost,
                appended_lines: counters.appended_lines,
                appended_bytes: counters.appended_bytes,
            },
            idle: None,
        }
    }

    /// Adds the counters of the idle sessions.
    pub(super) fn with_idle_sessions(mut self, counters: Option<&IdleCounters>) -> Self {
        self.idle = counters.map(|counters| IdleReport {
            sessions: counters.sessions,
            locks: counters.locks,
            heartbeats: counters.heartbeats,
            heartbeats_per_second: per_second(counters.heartbeats, self.duration_s),
            sent: counters.sent,
            received: counters.received,
            retransmissions: counters.retransmissions,
            sessions_lost: counters.sessions_lost,
        });
        self
    }

    /// Returns the report as text.
    pub(super) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, style);
        text
    }

    fn write(&self, out: &mut String, style: Style) -> std::fmt::Result {
        let Self { mix, clients, duration_s, warm_up_s, .. } = self;
        let pace = self.rate.map_or_else(
            || "closed loop".to_owned(),
            |rate| format!("{} a second offered", grouped(rate)),
        );
        let title = format!("{mix}, {clients} client{}, {pace}", plural(u64::from(*clients)));
        writeln!(out, "{}", style.bold(&title))?;
        writeln!(out, "server {}, {duration_s} s after {warm_up_s} s of warm-up\n", self.server)?;
        let rate = grouped(rounded(self.per_second));
        writeln!(out, "operations {:>12}  {rate} a second", grouped(self.operations))?;
        if let (Some(offered), Some(not_finished)) = (self.offered, self.not_finished) {
            writeln!(out, "offered    {:>12}", grouped(offered))?;
            writeln!(out, "unfinished {:>12}", grouped(not_finished))?;
        }
        for (code, count) in &self.failed_by_code {
            let line = format!("failed     {:>12}  {code}", grouped(*count));
            writeln!(out, "{}", style.warning(&line))?;
        }
        let columns = ["p50", "p99", "p99.9", "max"];
        let [p50, p99, p99_9, max] = columns;
        writeln!(out, "\n{:<11}{p50:>12}{p99:>12}{p99_9:>12}{max:>12}", "latency, µs")?;
        self.latency_us.write(out, "operation")?;
        for (kind, percentiles) in &self.requests {
            percentiles.write(out, &format!("  {kind}"))?;
        }
        self.whole_run.write(out)?;
        self.idle.as_ref().map_or(Ok(()), |idle| idle.write(out))
    }
}

impl IdleReport {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self { sessions, locks, .. } = self;
        writeln!(
            out,
            "idle       {} session{} with {locks} lock{} each: {} heartbeats, {} a second; {} \
             datagrams sent ({} retransmissions), {} received, {} sessions lost",
            grouped(u64::from(*sessions)),
            plural(u64::from(*sessions)),
            plural(u64::from(*locks)),
            grouped(self.heartbeats),
            grouped(rounded(self.heartbeats_per_second)),
            grouped(self.sent),
            grouped(self.retransmissions),
            grouped(self.received),
            grouped(self.sessions_lost)
        )
    }
}

impl WholeRun {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nwhole run  {} datagrams sent ({} retransmissions, {} polls, {} heartbeats), {} \
             received",
            grouped(self.sent),
            grouped(self.retransmissions),
            grouped(self.polls),
            grouped(self.background_heartbeats),
            grouped(self.received)
        )?;
        if self.appended_lines > 0 {
            let (lines, bytes) = (grouped(self.appended_lines), grouped(self.appended_bytes));
            writeln!(out, "           {lines} lines of {bytes} bytes appended")?;
        }
        if self.sessions_lost > 0 {
            let lost = self.sessions_lost;
            writeln!(out, "           {} session{} lost", grouped(lost), plural(lost))?;
        }
        Ok(())
    }
}

impl Percentiles {
    fn new(latencies: &Latencies) -> Self {
        let [p50, p99, p99_9] = QUANTILES.map(|quantile| latencies.micros_at(quantile));
        let (count, mean) = (latencies.count(), latencies.micros_mean());
        Self { count, mean, p50, p99, p99_9, max: latencies.micros_max() }
    }

    fn write(&self, out: &mut String, name: &str) -> std::fmt::Result {
        if self.count == 0 {
            return writeln!(out, "{name:<11}{:>12}{:>12}{:>12}{:>12}", "-", "-", "-", "-");
        }
        let shown = [self.p50, self.p99, self.p99_9, self.max].map(|it| grouped(rounded(it)));
        let [p50, p99, p99_9, max] = shown;
        writeln!(out, "{name:<11}{p50:>12}{p99:>12}{p99_9:>12}{max:>12}")
    }
}

#[allow(clippy::cast_precision_loss, reason = "a bench has fewer than 2^52 operations")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is rounded and not negative"
)]
fn rounded(number: f64) -> u64 {
    number.round().max(0.0) as u64
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Formats a number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::command::bench::counters::{RequestKind, SendReason};
    use crate::command::bench::mix::Mix;
    use crate::command::bench::schedule::Window;

    fn plan(rate: Option<u64>) -> Plan {
        Plan {
            mix: Mix::Lock,
            clients: 16,
            locks: 16,
            file: None,
            line_len: 64,
            rate,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(2),
            seed: 7,
            workers: 1,
            sockets_max: 1,
            server: SocketAddr::from(([127, 0, 0, 1], 7_700)),
            key: None,
        }
    }

    /// Returns the counters of a thousand operations of 1 to 1,000 ms, whose quantiles are known.
    fn counters(offered: Option<u64>) -> Counters {
        let begin = Instant::now();
        let window = Window::new(begin, Duration::ZERO, Duration::from_secs(2));
        let mut counters = Counters { window: Some(window), offered, ..Counters::default() };
        for millis in 1..=1_000 {
            counters.record_operation(begin, begin + Duration::from_millis(millis), Ok(()));
        }
        counters.record_operation(begin, begin, Err("overloaded"));
        counters.record_request(RequestKind::Acquire, begin, begin + Duration::from_micros(50));
        counters.record_sent(SendReason::Retransmission);
        counters
    }

    #[test]
    fn percentiles_have_three_significant_digits() {
        let report = Report::new(&plan(None), &counters(None));
        let expected = [(0.5, 500_000.0), (0.99, 990_000.0), (0.999, 999_000.0)];
        let Percentiles { p50, p99, p99_9, max, .. } = report.latency_us;
        for ((quantile, expected), found) in expected.into_iter().zip([p50, p99, p99_9]) {
            assert!((found - expected).abs() < expected / 1_000.0, "{quantile}: {found}");
        }
        assert!((max - 1_000_000.0).abs() < 1_000.0, "{max}");
        assert!((report.per_second - 500.0).abs() < f64::EPSILON, "{}", report.per_second);
    }

    #[test]
    fn the_text_is_a_table() {
        let text = Report::new(&plan(Some(500)), &counters(Some(1_003))).text(Style::plain());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "lock, 16 clients, 500 a second offered");
        assert_eq!(lines[1], "server 127.0.0.1:7700, 2 s after 0 s of warm-up");
        assert_eq!(lines[3], "operations        1,000  500 a second");
        assert_eq!(lines[4], "offered           1,003");
        assert_eq!(lines[5], "unfinished            2");
        assert_eq!(lines[6], "failed                1  overloaded");
        assert_eq!(lines[8], "latency, µs         p50         p99       p99.9         max");
        assert!(lines[9].starts_with("operation       500,"), "{}", lines[9]);
        let acquire = "  acquire            50          50          50          50";
        assert_eq!(lines[10], acquire);
        assert!(
            lines[12].starts_with("whole run  1 datagrams sent (1 retransmissions, 0 polls"),
            "{text}"
        );
        assert_eq!(lines.len(), 13, "no further lines\n{text}");
        let closed = Report::new(&plan(None), &counters(None)).text(Style::plain());
        assert!(closed.starts_with("lock, 16 clients, closed loop\n"));
        assert!(!closed.contains("offered"), "{closed}");
    }

    #[test]
    fn percentiles_of_no_operations_are_dashes() {
        let text = Report::new(&plan(None), &Counters::default()).text(Style::plain());
        let row = "operation             -           -           -           -";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0, 12, 123, 1_234, 123_456, 1_234_567];
        let texts = ["0", "12", "123", "1,234", "123,456", "1,234,567"];
        assert_eq!(numbers.map(grouped), texts);
    }
}
