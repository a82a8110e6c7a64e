//! The duration of a hand-off: with two clients and no other load, and with many locks held and a
//! long wait queue.

use std::path::Path;
use std::time::Instant;

use super::bench::bench;
use super::goal::{Goal, format_ratios};
use super::options::Size;
use super::server::Server;
use crate::statistics::{grouped, median};

/// The highest permitted ratio of the crowded p99 to that of two clients.
const RATIO_MAX: f64 = 2.0;

/// The figures of one run.
struct Run {
    p50: f64,
    p99: f64,
    per_second: f64,
    retransmissions: f64,
    failures: f64,
    /// The server's share of one processor.
    utilization: f64,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let (mut calm, mut crowded) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        for position in 0..2 {
            let is_crowded = (position + round) % 2 == 1;
            let run = run(program, size, is_crowded)?;
            let [p50, p99, rate] = [run.p50, run.p99, run.per_second].map(grouped);
            let clients = if is_crowded { "crowded" } else { "two clients" };
            eprintln!("{clients}: p50 {p50} µs, p99 {p99} µs, {rate}/s");
            if is_crowded { crowded.push(run) } else { calm.push(run) }
        }
    }
    let ratios: Vec<f64> = crowded.iter().zip(&calm).map(|(it, base)| it.p99 / base.p99).collect();
    let Size { waiters, holders, locks_each, .. } = *size;
    let locks = grouped(f64::from(holders * locks_each));
    let waiters = grouped(waiters.into());
    let title = format!(
        "p99 with {locks} locks held, {waiters} waiters: at most {RATIO_MAX} times that of two clients"
    );
    let failures: f64 = calm.iter().chain(&crowded).map(|run| run.failures).sum();
    Ok(vec![
        Goal::at_most(&title, RATIO_MAX, median(ratios.clone()), &format_ratios(&ratios)),
        Goal::new("no session lost, no operation failed", failures == 0.0, &grouped(failures)),
        Goal::note("two clients", &summary(&calm)),
        Goal::note(&format!("{waiters} waiters, {locks} locks"), &summary(&crowded)),
    ])
}

fn summary(runs: &[Run]) -> String {
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    format!(
        "p50 {} µs, p99 {} µs, {} hand-offs/s; server at {:.0} % of a processor; {} datagrams sent \
         again",
        grouped(of(|run| run.p50)),
        grouped(of(|run| run.p99)),
        grouped(of(|run| run.per_second)),
        of(|run| run.utilization) * 100.0,
        grouped(of(|run| run.retransmissions))
    )
}

/// Runs one measurement with a server of its own.
fn run(program: &Path, size: &Size, is_crowded: bool) -> anyhow::Result<Run> {
    let server = Server::start(program, &[])?;
    let (waiters, holders) = (size.waiters.to_string(), size.holders.to_string());
    let locks = size.locks_each.to_string();
    let mut arguments = vec!["--mix", "contended", "--locks", "1", "--clients"];
    if is_crowded {
        arguments.extend([&*waiters, "--idle-sessions", &holders, "--idle-locks", &locks]);
    } else {
        arguments.push("2");
    }
    let begin = Instant::now();
    let report = bench(program, server.udp, size, &arguments)?;
    let utilization = server.processor_time()?.as_secs_f64() / begin.elapsed().as_secs_f64();
    // If there was no hand-off, the report lacks these figures.
    let figure = |path| report.figure(path);
    Ok(Run {
        p50: figure("/requests/hand_off/p50")?,
        p99: figure("/requests/hand_off/p99")?,
        per_second: figure("/requests/hand_off/count")? / figure("/duration_s")?,
        retransmissions: report.retransmissions()?,
        failures: report.failures()?,
        utilization,
    })
}
