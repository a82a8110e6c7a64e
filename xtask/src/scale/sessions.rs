//! What a hundred thousand live sessions cost: the throughput of the clients, and memory.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median, ratios};
use super::server::Server;
use crate::compare::table::grouped;

/// How often it looks how large the server is.
const LOOK: Duration = Duration::from_millis(250);

/// What the clients do, and how many datagrams an operation of it asks with.
const MIXES: [(&str, f64); 2] = [("lock", 2.0), ("heartbeats", 1.0)];

/// The least part of the throughput with few sessions.
const LEAST: f64 = 0.9;

/// The most memory of a session, in bytes.
const MEMORY_MOST: f64 = 1_024.0;

/// The clients where memory is measured: nearly none, so that what they do adds nothing to it.
const NEARLY_NONE: [&str; 6] = ["--mix", "heartbeats", "--clients", "1", "--rate", "10"];

/// One run, with few sessions or with many.
struct Run {
    per_second: f64,
    /// Heartbeats of the idle sessions.
    beats: f64,
    retransmissions: f64,
    /// Sessions that were lost, and operations that failed.
    failures: f64,
    /// How large the server was while all sessions were open.
    resident: f64,
}

/// Figures of all rounds, of runs with few sessions and with many.
#[derive(Default)]
struct Rounds(Vec<[Run; 2]>);

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let [few, many] = size.sessions;
    let clients = few.to_string();
    let (mut goals, mut failures) = (Vec::new(), 0.0);
    for (mix, datagrams) in MIXES {
        let arguments = ["--mix", mix, "--clients", &clients];
        let rounds = Rounds::run(program, size, &arguments, few)?;
        let alone = rounds.ratios(|run| run.per_second);
        let counted = rounds.ratios(|run| run.per_second * datagrams + run.beats);
        let goal = format!("`{mix}`: {} sessions, at least {LEAST} of {few}", grouped(many.into()));
        let told = format!(
            "{}; {} with the heartbeats counted, {} a second of them; {} datagrams sent again, \
             and {} with {few} sessions",
            ratios(&alone),
            ratios(&counted),
            grouped(rounds.median(1, |run| run.beats)),
            grouped(rounds.median(1, |run| run.retransmissions)),
            grouped(rounds.median(0, |run| run.retransmissions))
        );
        goals.push(Goal::at_least(&goal, LEAST, median(alone), &told));
        failures += rounds.failures();
    }
    let rounds = Rounds::run(program, size, &NEARLY_NONE, 1)?;
    let [small, large] = [0, 1].map(|which| rounds.median(which, |run| run.resident));
    failures += rounds.failures();
    let bytes = (large - small) / f64::from(many - few);
    let told = format!("{} bytes: {:.1} MB, and {:.1}", grouped(bytes), large / 1e6, small / 1e6);
    let goal = "memory of a session: at most 1,024 bytes";
    goals.push(Goal::at_most(goal, MEMORY_MOST, bytes, &told));
    goals.push(Goal::new(
        "no session lost, no operation failed",
        failures == 0.0,
        &grouped(failures),
    ));
    Ok(goals)
}

impl Rounds {
    /// Measures the clients that `arguments` ask for, `clients` of them.
    fn run(program: &Path, size: &Size, arguments: &[&str], clients: u32) -> anyhow::Result<Self> {
        let mut rounds = Self::default();
        for round in 0..size.rounds {
            let mut order = size.sessions;
            order.rotate_left(round % 2);
            let mut runs = order.map(|sessions| {
                let run = run(program, size, arguments, sessions, sessions - clients)?;
                let [rate, beats] = [run.per_second, run.beats].map(grouped);
                let (mix, megabytes) = (arguments[1], run.resident / 1e6);
                eprintln!(
                    "{mix}, {sessions} sessions: {rate} a second, {beats} beats, {megabytes:.1} MB"
                );
                anyhow::Ok(run)
            });
            runs.rotate_right(round % 2);
            let [few, many] = runs;
            rounds.0.push([few?, many?]);
        }
        Ok(rounds)
    }

    fn failures(&self) -> f64 {
        self.0.iter().flatten().map(|run| run.failures).sum()
    }

    fn ratios(&self, figure: impl Fn(&Run) -> f64) -> Vec<f64> {
        self.0.iter().map(|[few, many]| figure(many) / figure(few)).collect()
    }

    fn median(&self, which: usize, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.0.iter().map(|runs| figure(&runs[which])).collect())
    }
}

/// Measures the clients beside so many idle sessions, with a server of its own.
fn run(
    program: &Path,
    size: &Size,
    arguments: &[&str],
    sessions: u32,
    idle: u32,
) -> anyhow::Result<Run> {
    let server = Server::start(program, &[])?;
    let idle = idle.to_string();
    let arguments = [arguments, &["--idle-sessions", &idle]].concat();
    let mut residents = Vec::new();
    let report = thread::scope(|scope| {
        let bench = scope.spawn(|| bench(program, server.udp, size, &arguments));
        while !bench.is_finished() {
            if server.metric(&["sessions"])? >= f64::from(sessions) {
                #[allow(clippy::cast_precision_loss, reason = "it is smaller than 2^52 bytes")]
                residents.push(server.resident()? as f64);
            }
            thread::sleep(LOOK);
        }
        bench.join().expect("it has no reason to panic")
    })?;
    ensure!(!residents.is_empty(), "there never were {sessions} sessions");
    let idle = |path| report.figure(path).unwrap_or(0.0);
    Ok(Run {
        per_second: report.per_second()?,
        beats: idle("/idle/heartbeats_per_second"),
        retransmissions: report.retransmissions()?,
        failures: report.failures()?,
        resident: median(residents),
    })
}
