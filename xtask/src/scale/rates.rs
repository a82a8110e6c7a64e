//! How many operations a second there are, beside an echo of as many datagrams.

use std::path::Path;
use std::time::Duration;

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median, ratios};
use super::server::Server;
use crate::compare::driver::{Load, drive};
use crate::compare::others::Echo;
use crate::compare::servers::Server as EchoServer;
use crate::compare::table::grouped;

/// How many datagrams come back in an operation of the echo's driver.
const ECHOED: f64 = 2.0;

/// What is measured: the mix, how many datagrams an operation of it asks with, the goal.
const MIXES: [(&str, f64, f64); 2] = [("append", 3.0, 0.4), ("heartbeats", 1.0, 0.8)];

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let (echo, server) = (EchoServer::echo()?, Server::start(program, &[])?);
    let clients = size.clients.to_string();
    let (mut echoes, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..size.rounds {
        let warm_up = Duration::from_millis(if size.seconds > 1 { 1_000 } else { 100 });
        let duration = Duration::from_secs(size.seconds);
        let load = Load { clients: size.clients as usize, warm_up, duration };
        // Each round begins with another one.
        for place in 0..3 {
            match (place + round) % 3 {
                0 => echoes.push(ECHOED * drive(echo.address, &Echo, load)?.per_second),
                which => {
                    let mix = MIXES[which - 1].0;
                    let arguments = ["--mix", mix, "--clients", &clients];
                    let report = bench(program, server.udp, size, &arguments)?;
                    rates[which - 1].push(report.per_second()?);
                }
            }
        }
        let [append, beats] = [rates[0][round], rates[1][round]].map(grouped);
        let echo = grouped(echoes[round]);
        eprintln!(
            "round {}: echo {echo} datagrams, append {append}, heartbeats {beats}",
            round + 1
        );
    }
    let mut goals = Vec::new();
    for ((mix, datagrams, least), rates) in MIXES.into_iter().zip(&rates) {
        let of: Vec<f64> =
            rates.iter().zip(&echoes).map(|(rate, echoed)| rate / (echoed / datagrams)).collect();
        let goal = format!("`{mix}`, {clients} clients: at least {least} of the echo");
        let rate = grouped(median(rates.clone()));
        let told = format!("{}; {rate} a second", ratios(&of));
        goals.push(Goal::at_least(&goal, least, median(of), &told));
    }
    let echoed = format!("{} datagrams a second", grouped(median(echoes)));
    goals.push(Goal::told("the echo", &echoed));
    Ok(goals)
}
