//! The time from a server's start until it is ready, with a long write-ahead log.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::bench::bench;
use super::goal::Goal;
use super::options::Size;
use super::server::Server;
use crate::statistics::{grouped, median};

/// The longest permitted time, in seconds.
const READY_MAX: f64 = 3.0;

/// Lock operations per second.
const RATE: &str = "20000";

/// The metrics of the events that a bench of locks leaves in the log.
const DURABLE: [&str; 4] = [
    "events_total{type=\"session_opened\"}",
    "events_total{type=\"session_closed\"}",
    "events_total{type=\"lock_granted\"}",
    "events_total{type=\"lock_released\"}",
];

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let mut server = Server::start(program, &["--verbose"])?;
    let (clients, min_events) = (size.clients.to_string(), f64::from(size.events));
    let mut events = 0.0;
    while events < min_events {
        // At a faster rate, a snapshot would replace the log before it is measured.
        let load = ["--mix", "lock", "--clients", &clients, "--rate", RATE];
        bench(program, server.udp, size, &load)?;
        events = server.metric(&DURABLE)?;
        eprintln!("{} of {} events", grouped(events), grouped(min_events));
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(server.data().join("log"))? {
        bytes += entry?.metadata()?.len();
    }
    let mut times = Vec::new();
    for _ in 0..size.rounds {
        server.kill()?;
        server.restart()?;
        times.push(server.start_time.as_secs_f64());
        eprintln!("ready after {:.2} s", server.start_time.as_secs_f64());
    }
    let recovered = recovered_events(&server)?;
    ensure!(recovered >= min_events, "the log contained only {recovered} events");
    let ready = median(times.clone());
    let slowest = times.iter().copied().fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "it is smaller than 2^52 bytes")]
    let megabytes = bytes as f64 / 1e6;
    let goal = format!("ready within {READY_MAX} s, {} events in the log", grouped(min_events));
    let measured = format!("{ready:.2} s (slowest {slowest:.2} s)");
    let per_second = grouped(recovered / ready);
    Ok(vec![
        Goal::at_most(&goal, READY_MAX, ready, &measured),
        Goal::note("events replayed", &format!("{}, {per_second}/s", grouped(recovered))),
        Goal::note("size of the log", &format!("{megabytes:.0} MB")),
    ])
}

/// Returns the number of events that the last start has found in the log.
fn recovered_events(server: &Server) -> anyhow::Result<f64> {
    let lines = server.log_lines("recovered events=");
    let (_, line) = lines.last().context("the server has not logged its recovery")?;
    let (_, rest) = line.split_once("events=").context("the line has no count")?;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}
