//! How long a lock takes from hand to hand: with two clients and nothing else, and with very many
//! locks held and very many clients in its queue.

use std::path::Path;

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median, ratios};
use super::server::Server;
use crate::compare::table::grouped;

/// How much longer it may take than where nobody else wants anything.
const MOST: f64 = 2.0;

/// One run.
struct Run {
    p50: f64,
    p99: f64,
    per_second: f64,
    retransmissions: f64,
    failures: f64,
    /// The server's share of a processor.
    busy: f64,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let (mut calm, mut crowded) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        for place in 0..2 {
            let is_crowded = (place + round) % 2 == 1;
            let run = run(program, size, is_crowded)?;
            let [p50, p99, rate] = [run.p50, run.p99, run.per_second].map(grouped);
            let who = if is_crowded { "crowded" } else { "two clients" };
            eprintln!("{who}: p50 {p50} µs, p99 {p99} µs, {rate} a second");
            if is_crowded { crowded.push(run) } else { calm.push(run) }
        }
    }
    let ratio: Vec<f64> = crowded.iter().zip(&calm).map(|(it, base)| it.p99 / base.p99).collect();
    let Size { waiters, holders, locks_each, .. } = *size;
    let locks = grouped(f64::from(holders * locks_each));
    let waiters = grouped(waiters.into());
    let goal =
        format!("p99, {locks} locks held, {waiters} waiters: at most {MOST} of two clients'");
    let failures: f64 = calm.iter().chain(&crowded).map(|run| run.failures).sum();
    Ok(vec![
        Goal::at_most(&goal, MOST, median(ratio.clone()), &ratios(&ratio)),
        Goal::new("no session lost, no operation failed", failures == 0.0, &grouped(failures)),
        Goal::told("two clients", &told(&calm)),
        Goal::told(&format!("{waiters} waiters, {locks} locks"), &told(&crowded)),
    ])
}

fn told(runs: &[Run]) -> String {
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    format!(
        "p50 {} µs, p99 {} µs, {} hand-offs a second; server at {:.0} % of a processor; {} \
         datagrams sent again",
        grouped(of(|run| run.p50)),
        grouped(of(|run| run.p99)),
        grouped(of(|run| run.per_second)),
        of(|run| run.busy) * 100.0,
        grouped(of(|run| run.retransmissions))
    )
}

/// One measurement, with a server of its own.
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
    let begun = std::time::Instant::now();
    let report = bench(program, server.udp, size, &arguments)?;
    let busy = server.processor_time()?.as_secs_f64() / begun.elapsed().as_secs_f64();
    // Where nothing went from hand to hand there is nothing to tell.
    let figure = |path| report.figure(path);
    Ok(Run {
        p50: figure("/requests/hand_off/p50")?,
        p99: figure("/requests/hand_off/p99")?,
        per_second: figure("/requests/hand_off/count")? / figure("/duration_s")?,
        retransmissions: report.retransmissions()?,
        failures: report.failures()?,
        busy,
    })
}
