//! `cargo xtask compare`: how fast leasehold is beside others, all measured in one run.
//!
//! - Rounds are interleaved, and each begins with another server: what else the machine does falls
//!   on all of them alike.
//! - The clients of all are closed loops in one thread, and programs of the release profile.

pub(crate) mod driver;
pub(crate) mod others;
mod plot;
pub(crate) mod servers;
pub(crate) mod table;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::run::{cargo, output, run, top};
use driver::{Load, Measured, drive};
use others::{Coursework, Echo, Etcd, Redis};
use servers::{Server, has_memory_folder};
use table::{CLIENTS, Row};

pub(crate) use servers::serve_echo;

/// How long nothing counts at the beginning of each measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// How often each is measured, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    rounds: usize,
    seconds: u64,
}

/// One of those that are compared.
struct Contestant {
    server: Server,
    kind: Kind,
    row: Row,
}

/// What is to be said besides the figures.
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

/// Builds what is compared, and lets that build of this program do the rest: its clients have to be
/// as fast as those of leasehold.
pub(crate) fn compare(arguments: &[String]) -> anyhow::Result<ExitCode> {
    Options::read(arguments)?;
    let packages = ["--package", "leasehold-server", "--package", "xtask"];
    run(cargo(&["build", "--release"]).args(packages))?;
    let mut command = Command::new(release("xtask"));
    run(command.arg("compare-built").args(arguments).current_dir(top()))?;
    Ok(ExitCode::SUCCESS)
}

/// Measures, prints the tables, and writes them down.
pub(crate) fn compare_built(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let options = Options::read(arguments)?;
    let program = release("leasehold");
    let load_before = load_before();
    eprintln!("xtask: load of other work: {load_before}");
    let (mut contestants, missing) = contestants(&program)?;
    let mut number = 0;
    for round in 0..options.rounds {
        for (column, clients) in CLIENTS.into_iter().enumerate() {
            for place in 0..contestants.len() {
                let first = (place + round) % contestants.len();
                let contestant = &mut contestants[first];
                number += 1;
                let measured = contestant
                    .measure(&program, number, clients, options)
                    .with_context(|| format!("{}, {clients} clients", contestant.row.name))?;
                let (round, rounds, name) = (round + 1, options.rounds, contestant.row.name);
                let rate = table::grouped(measured.per_second);
                eprintln!("round {round} of {rounds}, {clients} clients: {name} {rate} a second");
                contestant.row.rounds[column].push(measured);
            }
        }
    }
    let rows: Vec<Row> = contestants.into_iter().map(|it| it.row).collect();
    let tables = table::markdown(&rows);
    print!("{tables}");
    let document = document(&rows, &Notes { missing, load_before }, &tables, options);
    fs::write(top().join("docs/performance.md"), document)?;
    fs::write(top().join("docs/performance.svg"), plot::svg(&rows))?;
    eprintln!("xtask: written to docs/performance.md and docs/performance.svg");
    Ok(ExitCode::SUCCESS)
}

/// Who is there, and what is to be said of who is not.
fn contestants(program: &Path) -> anyhow::Result<(Vec<Contestant>, Vec<&'static str>)> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    let mut add = |name, durable, kind, server: Option<Server>, absent| {
        let Some(server) = server else {
            eprintln!("xtask: left out: {absent}");
            missing.push(absent);
            return;
        };
        let row = Row::new(name, durable, server.version.clone());
        there.push(Contestant { server, kind, row });
    };
    let no_redis = "Redis: there is no `redis-server` (Debian's package redis-server)";
    let no_etcd = "etcd: there is no `etcd` (Debian's package etcd-server)";
    let no_python = "the coursework's server: there is no `python3`";
    let no_memory = "leasehold in memory: there is no folder in memory";
    add("UDP echo", false, Kind::Echo, Some(Server::echo()?), "");
    add("Redis, in memory", false, Kind::Redis, Server::redis(false)?, no_redis);
    let in_memory = has_memory_folder().then(|| Server::leasehold(program, true)).transpose()?;
    add("leasehold, in memory", false, Kind::Leasehold, in_memory, no_memory);
    add("Python, coursework", false, Kind::Coursework, Server::coursework()?, no_python);
    let own = Server::leasehold(program, false)?;
    add("leasehold", true, Kind::Leasehold, Some(own), "");
    add("Redis, flushed", true, Kind::Redis, Server::redis(true)?, no_redis);
    add("etcd", true, Kind::Etcd, Server::etcd()?, no_etcd);
    Ok((there, missing))
}

impl Contestant {
    fn measure(
        &self,
        program: &Path,
        run: usize,
        clients: usize,
        options: Options,
    ) -> anyhow::Result<Measured> {
        let (address, duration) = (self.server.address, Duration::from_secs(options.seconds));
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

/// What `leasehold bench` finds.
fn bench(program: &Path, server: SocketAddr, load: Load) -> anyhow::Result<Measured> {
    let seconds = |duration: Duration| duration.as_secs().to_string();
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--quiet", "--mix", "lock", "--threads", "1"]);
    command.args(["--server", &server.to_string(), "--clients", &load.clients.to_string()]);
    command.args(["--warm-up", &seconds(load.warm_up), "--duration", &seconds(load.duration)]);
    let output = command.output().context("leasehold can't be run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |path: &str| {
        report.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path}"))
    };
    Ok(Measured {
        per_second: figure("/per_second")?,
        p50_us: figure("/latency_us/p50")?,
        p99_us: figure("/latency_us/p99")?,
    })
}

/// Where the release profile leaves a program.
pub(crate) fn release(program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| top().join("target")).join("release").join(program)
}

/// How many programs wanted a processor in the last minute, as far as the system says it. Asked
/// before anything is measured, so it tells of other work.
pub(crate) fn load_before() -> String {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().filter(|it| !it.is_empty()).unwrap_or("not known").to_owned()
}

/// The page that says what was measured.
fn document(rows: &[Row], notes: &Notes, tables: &str, options: Options) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut versions: Vec<String> = rows.iter().map(|row| format!("- {}", row.version)).collect();
    versions.retain(|version| version != "- UDP echo");
    versions.sort();
    versions.dedup();
    versions.extend(notes.missing.iter().map(|it| format!("- Left out: {it}.")));
    include_str!("performance.md")
        .replace("{rounds}", &options.rounds.to_string())
        .replace("{seconds}", &options.seconds.to_string())
        .replace("{cores}", &cores.to_string())
        .replace("{kernel}", &kernel())
        .replace("{load}", &notes.load_before)
        .replace("{versions}", &versions.join("\n"))
        .replace("{tables}", tables)
}

/// The kernel and its version, without what a builder of it has added.
pub(crate) fn kernel() -> String {
    let printed = output("uname", &["-sr"]).unwrap_or_default();
    printed.split('-').next().unwrap_or_default().to_owned()
}

impl Options {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self { rounds: 5, seconds: 3 };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().and_then(|value| value.parse::<u16>().ok());
            let value = value.filter(|value| *value > 0);
            let value = value.with_context(|| format!("{word} wants a number"))?;
            match word.as_str() {
                "--rounds" => options.rounds = value.into(),
                "--seconds" => options.seconds = value.into(),
                _ => anyhow::bail!("no option named {word}: there are --rounds and --seconds"),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Options::read(&words).ok()
        };
        assert_eq!(read(""), Some(Options { rounds: 5, seconds: 3 }));
        assert_eq!(read("--seconds 1 --rounds 2"), Some(Options { rounds: 2, seconds: 1 }));
        for wrong in ["--rounds", "--rounds 0", "--rounds many", "--fast 1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
