//! What a hundred thousand live sessions cost: the throughput of the clients, and memory.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Size;
use super::bench::{Report, bench};
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

/// One run, with few sessions or with many.
struct Run {
    per_second: f64,
    /// Heartbeats of the idle sessions.
    beats: f64,
    retransmissions: f64,
    /// How large the server was while all sessions were open.
    resident: f64,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let [few, many] = size.sessions;
    let (mut goals, mut memory, mut again) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    for (mix, datagrams) in MIXES {
        let (mut alone, mut counted, mut beats) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..size.rounds {
            let mut order = [few, many];
            order.rotate_left(round % 2);
            let mut runs = Vec::new();
            for sessions in order {
                let run = run(program, size, mix, sessions)?;
                let [rate, beats] = [run.per_second, run.beats].map(grouped);
                let kilobytes = grouped(run.resident / 1_024.0);
                eprintln!(
                    "{mix}, {sessions} sessions: {rate} a second, {beats} beats, {kilobytes} KB"
                );
                runs.push(run);
            }
            runs.rotate_right(round % 2);
            let (base, loaded) = (&runs[0], &runs[1]);
            alone.push(loaded.per_second / base.per_second);
            let datagrams = |run: &Run| run.per_second * datagrams + run.beats;
            counted.push(datagrams(loaded) / datagrams(base));
            beats.push(loaded.beats);
            memory.push((loaded.resident - base.resident) / f64::from(many - few));
            again[0].push(base.retransmissions);
            again[1].push(loaded.retransmissions);
        }
        let goal = format!("`{mix}`: {} sessions, at least {LEAST} of {few}", grouped(many.into()));
        let told = format!(
            "{}; {} with the heartbeats counted, {} a second of them",
            ratios(&alone),
            ratios(&counted),
            grouped(median(beats))
        );
        goals.push(Goal::at_least(&goal, LEAST, median(alone), &told));
    }
    let bytes = median(memory);
    let told = format!("{} bytes", grouped(bytes));
    goals.push(Goal::at_most(
        "memory of a session: at most 1,024 bytes",
        MEMORY_MOST,
        bytes,
        &told,
    ));
    let [base, loaded] = again.map(|it| grouped(median(it)));
    goals.push(Goal::told("sessions lost", "0"));
    goals.push(Goal::told(
        "datagrams sent again in a run",
        &format!("{loaded}, and {base} with {few} sessions"),
    ));
    Ok(goals)
}

/// Measures the clients beside as many idle sessions as are wanted, with a server of its own.
fn run(program: &Path, size: &Size, mix: &str, sessions: u32) -> anyhow::Result<Run> {
    let server = Server::start(program, &[])?;
    let few = size.sessions[0];
    let (clients, idle) = (few.to_string(), (sessions - few).to_string());
    let arguments = ["--mix", mix, "--clients", &clients, "--idle-sessions", &idle];
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
    expect_all_alive(&report)?;
    Ok(Run {
        per_second: report.per_second()?,
        beats: idle("/idle/heartbeats_per_second"),
        retransmissions: report.retransmissions()?,
        resident: median(residents),
    })
}

fn expect_all_alive(report: &Report) -> anyhow::Result<()> {
    let lost = report.figure("/whole_run/sessions_lost").context("no count of lost sessions")?;
    ensure!(lost == 0.0, "{lost} sessions were lost");
    Ok(())
}
