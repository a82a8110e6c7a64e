//! Operations per second, relative to an echo of the same number of datagrams.

use std::path::Path;
use std::time::Duration;

use super::bench::bench;
use super::goal::{Goal, format_ratios};
use super::options::Size;
use super::proc_stat;
use super::server::Server;
use crate::compare::driver::{Load, drive};
use crate::compare::protocols::Echo;
use crate::compare::servers::Server as EchoServer;
use crate::statistics::{grouped, median};

/// The datagrams that the echo returns in one operation of its driver.
const ECHOES_PER_OPERATION: f64 = 2.0;

/// What is measured: the mix, the requests in one of its operations, and the goal.
const MIXES: [(&str, f64, f64); 2] = [("append", 3.0, 0.4), ("heartbeats", 1.0, 0.8)];

/// The figures of one run of a mix, or of the echo.
struct Run {
    per_second: f64,
    /// The processor time of the server for one datagram, in microseconds.
    server_us: f64,
    /// The processor time of the clients, if they are a process of their own.
    clients_us: f64,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let (echo, server) = (EchoServer::echo()?, Server::start(program, &[])?);
    let clients = size.clients;
    let (mut echoes, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..size.rounds {
        // Each round starts with another measurement.
        for position in 0..3 {
            match (position + round) % 3 {
                0 => echoes.push(echo_run(&echo, size)?),
                index => {
                    let run = mix_run(program, &server, size, MIXES[index - 1].0)?;
                    rates[index - 1].push(run);
                }
            }
        }
        let [append, heartbeats] =
            [&rates[0], &rates[1]].map(|runs| grouped(runs[round].per_second));
        let echo = grouped(echoes[round].per_second);
        eprintln!("round {}: echo {echo}, append {append}, heartbeats {heartbeats}", round + 1);
    }
    let mut goals = Vec::new();
    for ((mix, datagrams, min), runs) in MIXES.into_iter().zip(&rates) {
        let ratio = |(run, echo): (&Run, &Run)| run.per_second * datagrams / echo.per_second;
        let ratios: Vec<f64> = runs.iter().zip(&echoes).map(ratio).collect();
        let title = format!("`{mix}`, {clients} clients: at least {min} of the echo");
        let rate = grouped(median_of(runs, |run| run.per_second));
        let measured = format!("{}; {rate}/s", format_ratios(&ratios));
        goals.push(Goal::at_least(&title, min, median(ratios), &measured));
        let server = median_of(runs, |run| run.server_us);
        let clients = median_of(runs, |run| run.clients_us);
        let measured = format!("server {server:.1} µs, clients {clients:.1} µs");
        goals.push(Goal::note(&format!("`{mix}`: processor time per datagram"), &measured));
    }
    let rate = grouped(median_of(&echoes, |run| run.per_second));
    let server = median_of(&echoes, |run| run.server_us);
    let measured =
        format!("{rate} datagrams/s; processor time per datagram: server {server:.1} µs");
    goals.push(Goal::note("the echo", &measured));
    Ok(goals)
}

/// Measures the echo. Its operations are single datagrams.
fn echo_run(echo: &EchoServer, size: &Size) -> anyhow::Result<Run> {
    let warm_up = Duration::from_millis(if size.seconds > 1 { 1_000 } else { 100 });
    let duration = Duration::from_secs(size.seconds);
    let load = Load { clients: size.clients as usize, warm_up, duration };
    let before = proc_stat::processor_time(echo.pid())?;
    let per_second = ECHOES_PER_OPERATION * drive(echo.address, &Echo, load)?.per_second;
    let spent = proc_stat::processor_time(echo.pid())?.saturating_sub(before).as_secs_f64();
    // The rate in the warm-up is assumed to be the same.
    let count = per_second * (warm_up + duration).as_secs_f64();
    Ok(Run { per_second, server_us: spent * 1e6 / count, clients_us: 0.0 })
}

fn mix_run(program: &Path, server: &Server, size: &Size, mix: &str) -> anyhow::Result<Run> {
    let clients = size.clients.to_string();
    let before = server.processor_time()?;
    let report = bench(program, server.udp, size, &["--mix", mix, "--clients", &clients])?;
    let spent = server.processor_time()?.saturating_sub(before).as_secs_f64();
    let sent = report.figure("/whole_run/sent")?;
    let clients_us = report.processor_time.as_secs_f64() * 1e6 / sent;
    Ok(Run { per_second: report.per_second()?, server_us: spent * 1e6 / sent, clients_us })
}

fn median_of(runs: &[Run], figure: fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(figure).collect())
}
