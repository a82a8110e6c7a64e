//! Whether a snapshot of very many sessions makes a request wait.
//!
//! - A bench appends at a steady rate, until enough is written for snapshots to be due. When they
//!   are begun and complete is read from the server's log.
//! - A probe takes and gives back a lock of its own at fixed moments, from which its latencies
//!   count: so a server that stands still is seen in all that was to begin meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Size;
use super::bench::bench_for;
use super::goal::Goal;
use super::peer::Peer;
use super::server::Server;
use crate::compare::table::grouped;

/// How long a request may wait.
const MOST: Duration = Duration::from_millis(20);

/// How often the probe begins.
const PROBE_EVERY: Duration = Duration::from_millis(5);

/// The lease of the probe, in milliseconds. Whatever it asks renews it.
const PROBE_LEASE_MS: u64 = 60_000;

/// When a request was to begin, and how long it took.
type Probed = Vec<(Instant, Duration)>;

/// From its beginning until it is complete.
struct Snapshot {
    begun: Instant,
    complete: Instant,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let server = Server::start(program, &["--verbose"])?;
    let [_, sessions] = size.sessions;
    let (idle, rate) = (sessions.to_string(), size.snapshot_rate.to_string());
    let duration = format!("{}s", size.snapshot_seconds);
    let arguments = ["--mix", "append", "--clients", "32", "--bytes", "900", "--rate", &rate];
    let timing = ["--warm-up", "0", "--duration", &duration, "--idle-sessions", &idle];
    let arguments = [&arguments[..], &timing].concat();
    let over = AtomicBool::new(false);
    let (report, probed) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe_when(&server, size, &over));
        let report = bench_for(program, server.udp, &arguments);
        over.store(true, Ordering::Relaxed);
        (report, probe.join().expect("it has no reason to panic"))
    });
    let (report, probed) = (report?, probed?);
    ensure!(!probed.is_empty(), "the probe has seen nothing");
    let last = probed.last().map_or_else(Instant::now, |(at, _)| *at);
    let snapshots = snapshots(&server, last);
    let during = |at: Instant| snapshots.iter().any(|it| it.begun <= at && at <= it.complete);
    let (within, outside): (Probed, Probed) = probed.into_iter().partition(|(at, _)| during(*at));
    let goal = format!(
        "no request waits more than 20 ms for a snapshot of {} sessions",
        grouped(sessions.into())
    );
    let mut goals = Vec::new();
    if within.is_empty() {
        goals.push(Goal::told(&goal, "no snapshot was due"));
    } else {
        let longest = within.iter().map(|(_, took)| *took).max().context("none")?;
        goals.push(Goal::new(&goal, longest <= MOST, &told(&within)));
    }
    goals.push(Goal::told("between snapshots", &told(&outside)));
    let spans: Vec<String> = snapshots
        .iter()
        .map(|it| format!("{:.1} s", (it.complete - it.begun).as_secs_f64()))
        .collect();
    let count = format!("{}: {}", spans.len(), spans.join(", "));
    goals.push(Goal::told("snapshots, from begun to complete", &count));
    let [p99, max] = ["/latency_us/p99", "/latency_us/max"].map(|path| report.figure(path));
    let told = format!(
        "{} appends a second: p99 {:.1} ms, longest {:.1} ms; {} datagrams sent again",
        grouped(report.per_second()?),
        p99? / 1e3,
        max? / 1e3,
        grouped(report.retransmissions()?)
    );
    goals.push(Goal::told("the appending clients, whole run", &told));
    Ok(goals)
}

/// Asks at fixed moments, from when all sessions are there for as long as the bench appends: that
/// it closes them all at once afterwards is a load of another kind.
fn probe_when(server: &Server, size: &Size, over: &AtomicBool) -> anyhow::Result<Probed> {
    let [_, sessions] = size.sessions;
    while server.metric(&["sessions"])? < f64::from(sessions) {
        if over.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        thread::sleep(Duration::from_millis(20));
    }
    probe(server.udp, over, Instant::now() + Duration::from_secs(size.snapshot_seconds))
}

fn probe(server: SocketAddr, over: &AtomicBool, until: Instant) -> anyhow::Result<Probed> {
    let mut peer = Peer::open(server, "probe", 1, PROBE_LEASE_MS)?;
    let (mut probed, mut intended) = (Vec::new(), Instant::now());
    while !over.load(Ordering::Relaxed) && Instant::now() < until {
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        let granted = peer.acquire("probe", 0)?;
        probed.push((intended, intended.elapsed()));
        let token = granted.number("token").context("the probe was refused")?;
        let asked = Instant::now();
        ensure!(peer.release("probe", token)?.is("released"), "the probe's release was refused");
        probed.push((asked, asked.elapsed()));
        intended += PROBE_EVERY;
    }
    Ok(probed)
}

/// What the server's log tells. One that is not complete lasts until the end.
fn snapshots(server: &Server, end: Instant) -> Vec<Snapshot> {
    let complete = server.said("the snapshot is complete");
    let after = |begun: Instant| complete.iter().map(|(at, _)| *at).find(|at| *at > begun);
    let begun = server.said("a snapshot is begun");
    begun
        .into_iter()
        .map(|(begun, _)| Snapshot { begun, complete: after(begun).unwrap_or(end.max(begun)) })
        .collect()
}

fn told(probed: &Probed) -> String {
    if probed.is_empty() {
        return "nothing".to_owned();
    }
    let mut took: Vec<Duration> = probed.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at = |of_ten_thousand: usize| {
        let place = (took.len() * of_ten_thousand).div_ceil(10_000).max(1) - 1;
        took[place].as_secs_f64() * 1e3
    };
    let late = took.iter().filter(|took| **took > MOST).count();
    format!(
        "longest {:.1} ms (p99 {:.1}, p99.9 {:.1}), {late} of {} requests above 20 ms",
        at(10_000),
        at(9_900),
        at(9_990),
        took.len()
    )
}
