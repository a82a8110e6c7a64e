//! The cost of a hundred thousand live sessions: throughput of the clients, and memory.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::bench::bench;
use super::goal::{Goal, format_ratios};
use super::options::Size;
use super::server::Server;
use crate::statistics::{grouped, median};

/// How often the server's memory is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// The mix of the clients, and the requests in one of its operations.
const MIXES: [(&str, f64); 2] = [("lock", 2.0), ("heartbeats", 1.0)];

/// The lowest permitted ratio to the throughput with few sessions.
const RATIO_MIN: f64 = 0.9;

/// The highest permitted memory per session, in bytes.
const MEMORY_MAX: f64 = 1_024.0;

/// The clients while memory is measured: so little load that it does not affect memory.
const NEARLY_IDLE: [&str; 6] = ["--mix", "heartbeats", "--clients", "1", "--rate", "10"];

/// The figures of one run, with few sessions or with many.
struct Run {
    per_second: f64,
    /// The heartbeats of the idle sessions per second.
    heartbeats: f64,
    retransmissions: f64,
    /// Lost sessions and failed operations.
    failures: f64,
    /// The resident set of the server while all sessions were open, in bytes.
    resident: f64,
}

/// The figures of all rounds: a run with few sessions and one with many.
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
        let counted = rounds.ratios(|run| run.per_second * datagrams + run.heartbeats);
        let goal =
            format!("`{mix}`: {} sessions, at least {RATIO_MIN} of {few}", grouped(many.into()));
        let measured = format!(
            "{}; {} including heartbeats, of which {}/s; {} datagrams sent again, and {} with \
             {few} sessions",
            format_ratios(&alone),
            format_ratios(&counted),
            grouped(rounds.median(1, |run| run.heartbeats)),
            grouped(rounds.median(1, |run| run.retransmissions)),
            grouped(rounds.median(0, |run| run.retransmissions))
        );
        goals.push(Goal::at_least(&goal, RATIO_MIN, median(alone), &measured));
        failures += rounds.failures();
    }
    let rounds = Rounds::run(program, size, &NEARLY_IDLE, 1)?;
    let [small, large] = [0, 1].map(|index| rounds.median(index, |run| run.resident));
    failures += rounds.failures();
    let bytes = (large - small) / f64::from(many - few);
    let (large, small) = (large / 1e6, small / 1e6);
    let measured = format!("{} bytes: {large:.1} MB, without {small:.1} MB", grouped(bytes));
    let goal = "memory of a session: at most 1,024 bytes";
    goals.push(Goal::at_most(goal, MEMORY_MAX, bytes, &measured));
    goals.push(Goal::new(
        "no session lost, no operation failed",
        failures == 0.0,
        &grouped(failures),
    ));
    Ok(goals)
}

impl Rounds {
    /// Measures the clients that `arguments` describe, `clients` in number.
    fn run(program: &Path, size: &Size, arguments: &[&str], clients: u32) -> anyhow::Result<Self> {
        let mut rounds = Self::default();
        for round in 0..size.rounds {
            let mut order = size.sessions;
            order.rotate_left(round % 2);
            let mut runs = order.map(|sessions| {
                let run = run(program, size, arguments, sessions, sessions - clients)?;
                let [rate, heartbeats] = [run.per_second, run.heartbeats].map(grouped);
                let (mix, megabytes) = (arguments[1], run.resident / 1e6);
                eprintln!(
                    "{mix}, {sessions} sessions: {rate}/s, {heartbeats} heartbeats/s, {megabytes:.1} MB"
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

    fn median(&self, index: usize, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.0.iter().map(|runs| figure(&runs[index])).collect())
    }
}

/// Measures the clients beside `idle` idle sessions, with a server of its own.
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
                residents.push(server.resident_set()? as f64);
            }
            thread::sleep(SAMPLE_INTERVAL);
        }
        bench.join().expect("the bench does not panic")
    })?;
    ensure!(!residents.is_empty(), "the server never had {sessions} sessions");
    let idle = |path| report.figure(path).unwrap_or(0.0);
    Ok(Run {
        per_second: report.per_second()?,
        heartbeats: idle("/idle/heartbeats_per_second"),
        retransmissions: report.retransmissions()?,
        failures: report.failures()?,
        resident: median(residents),
    })
}
