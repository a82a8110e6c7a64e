//! How long a server takes from its start until it is ready, with very many events in its journal.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median};
use super::server::Server;
use crate::compare::table::grouped;

/// How long it may take, in seconds.
const MOST: f64 = 3.0;

/// How many locks are taken and given back in a second.
const RATE: &str = "20000";

/// The events that a bench of locks leaves in the journal.
const DURABLE: [&str; 4] = [
    "events_total{type=\"session_opened\"}",
    "events_total{type=\"session_closed\"}",
    "events_total{type=\"lock_granted\"}",
    "events_total{type=\"lock_released\"}",
];

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let mut server = Server::start(program, &["--verbose"])?;
    let (clients, wanted) = (size.clients.to_string(), f64::from(size.events));
    let mut events = 0.0;
    while events < wanted {
        // No faster, so that the journal is not folded into a snapshot before it is looked at.
        let load = ["--mix", "lock", "--clients", &clients, "--rate", RATE];
        bench(program, server.udp, size, &load)?;
        events = server.metric(&DURABLE)?;
        eprintln!("{} of {} events", grouped(events), grouped(wanted));
    }
    let bytes = std::fs::metadata(server.data().join("journal.redb"))?.len();
    let mut took = Vec::new();
    for _ in 0..size.rounds {
        server.kill()?;
        server.start_again()?;
        took.push(server.start_took.as_secs_f64());
        eprintln!("ready after {:.2} s", server.start_took.as_secs_f64());
    }
    let recovered = recovered(&server)?;
    ensure!(recovered >= wanted, "only {recovered} events were in the journal");
    let ready = median(took.clone());
    let slowest = took.iter().copied().fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "it is smaller than 2^52 bytes")]
    let megabytes = bytes as f64 / 1e6;
    let goal = format!("ready within {MOST} s, {} events in the journal", grouped(wanted));
    let told = format!("{ready:.2} s (slowest {slowest:.2} s)");
    let per_second = grouped(recovered / ready);
    Ok(vec![
        Goal::at_most(&goal, MOST, ready, &told),
        Goal::told(
            "events folded again",
            &format!("{}, {per_second} a second", grouped(recovered)),
        ),
        Goal::told("the journal's file", &format!("{megabytes:.0} MB")),
    ])
}

/// How many events the last start has found in the journal.
fn recovered(server: &Server) -> anyhow::Result<f64> {
    let said = server.said("recovered events=");
    let (_, line) = said.last().context("it says nothing of what it has recovered")?;
    let (_, rest) = line.split_once("events=").context("no count")?;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}
