//! `cargo xtask compare`: the throughput and latency of leasehold beside those of other servers,
//! all measured in one run.
//!
//! - Rounds are interleaved, and each starts with another server, so that other work on the machine
//!   affects all servers alike.
//! - All clients are closed loops in one thread, in programs of the release profile.

pub(crate) mod driver;
mod plot;
pub(crate) mod protocols;
pub(crate) mod servers;
mod table;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::environment::{cores, kernel, load_average, release_program, top};
use crate::statistics::grouped;
use driver::{Load, Measurement, drive};
use protocols::{Coursework, Echo, Etcd, Redis};
use servers::{Server, has_memory_folder};
use table::{CLIENTS, Row};

pub(crate) use servers::run_echo_server;

/// How long each measurement runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How often each server is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
}

/// A server that takes part in the comparison.
struct Contestant {
    server: Server,
    kind: Kind,
    row: Row,
}

/// What the document says besides the figures.
struct Notes {
    missing: Vec<&'static str>,
    load_before: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Echo,
    Redis,
    Etcd,
    Coursework,
    Leasehold,
}

/// Measures all servers, prints the tables, and writes the document.
pub(crate) fn compare(options: Options) -> anyhow::Result<ExitCode> {
    let program = release_program("leasehold");
    let load_before = load_average();
    eprintln!("xtask: load average before the measurement: {load_before}");
    let (mut contestants, missing) = contestants(&program)?;
    let rounds = usize::from(options.rounds);
    let mut run = 0;
    for round in 0..rounds {
        for (column, clients) in CLIENTS.into_iter().enumerate() {
            for position in 0..contestants.len() {
                let index = (position + round) % contestants.len();
                let contestant = &mut contestants[index];
                run += 1;
                let measurement = contestant
                    .measure(&program, run, clients, options)
                    .with_context(|| format!("{}, {clients} clients", contestant.row.name))?;
                let (round, name) = (round + 1, contestant.row.name);
                let rate = grouped(measurement.per_second);
                eprintln!("round {round} of {rounds}, {clients} clients: {name} {rate}/s");
                contestant.row.rounds[column].push(measurement);
            }
        }
    }
    let rows: Vec<Row> = contestants.into_iter().map(|it| it.row).collect();
    let tables = table::markdown(&rows);
    print!("{tables}");
    let document = document(&rows, &Notes { missing, load_before }, &tables, options);
    fs::write(top().join("docs/performance.md"), document)?;
    fs::write(top().join("docs/performance.svg"), plot::svg(&rows))?;
    eprintln!("xtask: wrote docs/performance.md and docs/performance.svg");
    Ok(ExitCode::SUCCESS)
}

/// Starts the servers that are installed. Also returns notes on those that are not.
fn contestants(program: &Path) -> anyhow::Result<(Vec<Contestant>, Vec<&'static str>)> {
    let (mut contestants, mut missing) = (Vec::new(), Vec::new());
    let mut add = |name, durable, kind, server: Option<Server>, note| {
        let Some(server) = server else {
            eprintln!("xtask: not measured: {note}");
            missing.push(note);
            return;
        };
        let row = Row::new(name, durable, server.version.clone());
        contestants.push(Contestant { server, kind, row });
    };
    let no_redis = "Redis: `redis-server` is not installed (Debian package redis-server)";
    let no_etcd = "etcd: `etcd` is not installed (Debian package etcd-server)";
    let no_python = "the Python server: `python3` is not installed";
    let no_memory = "leasehold in memory: there is no file system in memory";
    add("UDP echo", false, Kind::Echo, Some(Server::echo()?), "");
    add("Redis, in memory", false, Kind::Redis, Server::redis(false)?, no_redis);
    let in_memory = has_memory_folder().then(|| Server::leasehold(program, true)).transpose()?;
    add("leasehold, in memory", false, Kind::Leasehold, in_memory, no_memory);
    add("Python, coursework", false, Kind::Coursework, Server::coursework()?, no_python);
    let own = Server::leasehold(program, false)?;
    add("leasehold", true, Kind::Leasehold, Some(own), "");
    add("Redis, flushed", true, Kind::Redis, Server::redis(true)?, no_redis);
    add("etcd", true, Kind::Etcd, Server::etcd()?, no_etcd);
    Ok((contestants, missing))
}

impl Contestant {
    fn measure(
        &self,
        program: &Path,
        run: usize,
        clients: usize,
        options: Options,
    ) -> anyhow::Result<Measurement> {
        let (address, duration) =
            (self.server.address, Duration::from_secs(options.seconds.into()));
        let load = Load { clients, warm_up: WARM_UP, duration };
        match self.kind {
            Kind::Echo => drive(address, &Echo, load),
            Kind::Redis => drive(address, &Redis { run }, load),
            Kind::Etcd => drive(address, &Etcd { run }, load),
            Kind::Coursework => drive(address, &Coursework { run }, load),
            Kind::Leasehold => bench(program, address, load),
        }
    }
}

/// Runs `leasehold bench`.
fn bench(program: &Path, server: SocketAddr, load: Load) -> anyhow::Result<Measurement> {
    let seconds = |duration: Duration| duration.as_secs().to_string();
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--quiet", "--mix", "lock", "--threads", "1"]);
    command.args(["--server", &server.to_string(), "--clients", &load.clients.to_string()]);
    command.args(["--warm-up", &seconds(load.warm_up), "--duration", &seconds(load.duration)]);
    let output = command.output().context("cannot run leasehold")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |path: &str| {
        let figure = report.pointer(path).and_then(Value::as_f64);
        figure.with_context(|| format!("the report of `leasehold bench` has no {path}"))
    };
    Ok(Measurement {
        per_second: figure("/per_second")?,
        p50_us: figure("/latency_us/p50")?,
        p99_us: figure("/latency_us/p99")?,
    })
}

/// Returns the document with the measured figures.
fn document(rows: &[Row], notes: &Notes, tables: &str, options: Options) -> String {
    let mut versions: Vec<String> = rows.iter().map(|row| format!("- {}", row.version)).collect();
    versions.retain(|version| version != "- UDP echo");
    versions.sort();
    versions.dedup();
    versions.extend(notes.missing.iter().map(|it| format!("- Not measured: {it}.")));
    include_str!("performance.md")
        .replace("{rounds}", &options.rounds.to_string())
        .replace("{seconds}", &options.seconds.to_string())
        .replace("{cores}", &cores().to_string())
        .replace("{kernel}", &kernel())
        .replace("{load}", &notes.load_before)
        .replace("{versions}", &versions.join("\n"))
        .replace("{tables}", tables)
}
