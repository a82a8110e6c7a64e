//! How many operations a second there are, beside an echo of as many datagrams.

use std::path::Path;
use std::time::Duration;

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median, ratios};
use super::process;
use super::server::Server;
use crate::compare::driver::{Load, drive};
use crate::compare::others::Echo;
use crate::compare::servers::Server as EchoServer;
use crate::compare::table::grouped;

/// How many datagrams come back in an operation of the echo's driver.
const ECHOED: f64 = 2.0;

/// What is measured: the mix, how many datagrams an operation of it asks with, the goal.
const MIXES: [(&str, f64, f64); 2] = [("append", 3.0, 0.4), ("heartbeats", 1.0, 0.8)];

/// One run of a mix, or of the echo.
struct Run {
    per_second: f64,
    /// The time of processors that a datagram took at the server, in microseconds.
    served: f64,
    /// And at the clients, where they are a process of their own.
    asked: f64,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let (echo, server) = (EchoServer::echo()?, Server::start(program, &[])?);
    let clients = size.clients;
    let (mut echoes, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..size.rounds {
        // Each round begins with another one.
        for place in 0..3 {
            match (place + round) % 3 {
                0 => echoes.push(echo_run(&echo, size)?),
                which => {
                    let run = mix_run(program, &server, size, MIXES[which - 1].0)?;
                    rates[which - 1].push(run);
                }
            }
        }
        let [append, beats] = [&rates[0], &rates[1]].map(|runs| grouped(runs[round].per_second));
        let echo = grouped(echoes[round].per_second);
        eprintln!("round {}: echo {echo}, append {append}, heartbeats {beats}", round + 1);
    }
    let mut goals = Vec::new();
    for ((mix, datagrams, least), runs) in MIXES.into_iter().zip(&rates) {
        let of = |(run, echo): (&Run, &Run)| run.per_second * datagrams / echo.per_second;
        let of: Vec<f64> = runs.iter().zip(&echoes).map(of).collect();
        let goal = format!("`{mix}`, {clients} clients: at least {least} of the echo");
        let rate = grouped(median_of(runs, |run| run.per_second));
        let told = format!("{}; {rate} a second", ratios(&of));
        goals.push(Goal::at_least(&goal, least, median(of), &told));
        let [served, asked] = [median_of(runs, |run| run.served), median_of(runs, |run| run.asked)];
        let told = format!("server {served:.1} µs, clients {asked:.1} µs");
        goals.push(Goal::told(&format!("`{mix}`: processor time of a datagram"), &told));
    }
    let rate = grouped(median_of(&echoes, |run| run.per_second));
    let served = median_of(&echoes, |run| run.served);
    let told = format!("{rate} datagrams a second; processor time of one: server {served:.1} µs");
    goals.push(Goal::told("the echo", &told));
    Ok(goals)
}

/// Its operations are single datagrams.
fn echo_run(echo: &EchoServer, size: &Size) -> anyhow::Result<Run> {
    let warm_up = Duration::from_millis(if size.seconds > 1 { 1_000 } else { 100 });
    let duration = Duration::from_secs(size.seconds);
    let load = Load { clients: size.clients as usize, warm_up, duration };
    let before = process::processor_time(echo.pid())?;
    let per_second = ECHOED * drive(echo.address, &Echo, load)?.per_second;
    let spent = process::processor_time(echo.pid())?.saturating_sub(before).as_secs_f64();
    // As fast in the warm-up as after it.
    let count = per_second * (warm_up + duration).as_secs_f64();
    Ok(Run { per_second, served: spent * 1e6 / count, asked: 0.0 })
}

fn mix_run(program: &Path, server: &Server, size: &Size, mix: &str) -> anyhow::Result<Run> {
    let clients = size.clients.to_string();
    let before = server.processor_time()?;
    let report = bench(program, server.udp, size, &["--mix", mix, "--clients", &clients])?;
    let spent = server.processor_time()?.saturating_sub(before).as_secs_f64();
    let sent = report.figure("/whole_run/sent")?;
    let asked = report.spent.as_secs_f64() * 1e6 / sent;
    Ok(Run { per_second: report.per_second()?, served: spent * 1e6 / sent, asked })
}

fn median_of(runs: &[Run], figure: fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(figure).collect())
}
