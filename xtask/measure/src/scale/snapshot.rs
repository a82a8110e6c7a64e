//! Whether a snapshot of many sessions delays requests.
//!
//! - A bench appends at a steady rate, so that the server takes snapshots. Their start and
//!   completion are read from the server's log.
//! - A probe acquires and releases a lock of its own at fixed times. Latencies count from the
//!   scheduled time, so that a pause of the server shows in every request that it delays.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::bench::bench_for;
use super::goal::Goal;
use super::lock_client::LockClient;
use super::options::Size;
use super::server::Server;
use crate::statistics::{grouped, percentile};

/// The longest permitted latency.
const LATENCY_MAX: Duration = Duration::from_millis(20);

/// The interval of the probe's operations.
const PROBE_INTERVAL: Duration = Duration::from_millis(5);

/// The lease of the probe, in milliseconds. Each of its requests renews it.
const PROBE_LEASE_MS: u64 = 60_000;

/// The scheduled times of requests, and their latencies.
type Samples = Vec<(Instant, Duration)>;

/// The time span of one snapshot.
struct Snapshot {
    start: Instant,
    end: Instant,
}

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let server = Server::start(program, &["--verbose"])?;
    let [_, sessions] = size.sessions;
    let (idle, rate) = (sessions.to_string(), size.snapshot_rate.to_string());
    let duration = format!("{}s", size.snapshot_seconds);
    let arguments = ["--mix", "append", "--clients", "32", "--bytes", "900", "--rate", &rate];
    let timing = ["--warm-up", "0", "--duration", &duration, "--idle-sessions", &idle];
    let arguments = [&arguments[..], &timing].concat();
    let stop = AtomicBool::new(false);
    let (report, samples) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe_once_ready(&server, size, &stop));
        let report = bench_for(program, server.udp, &arguments);
        stop.store(true, Ordering::Relaxed);
        (report, probe.join().expect("the probe does not panic"))
    });
    let (report, samples) = (report?, samples?);
    ensure!(!samples.is_empty(), "the probe has made no request");
    let last = samples.last().map_or_else(Instant::now, |(at, _)| *at);
    let snapshots = snapshots(&server, last);
    let during = |at: Instant| snapshots.iter().any(|it| it.start <= at && at <= it.end);
    let (within, outside): (Samples, Samples) =
        samples.into_iter().partition(|(at, _)| during(*at));
    let goal = format!(
        "no request takes more than 20 ms during a snapshot of {} sessions",
        grouped(sessions.into())
    );
    let mut goals = Vec::new();
    if within.is_empty() {
        goals.push(Goal::note(&goal, "no snapshot was taken"));
    } else {
        let longest = within.iter().map(|(_, latency)| *latency).max().context("there is none")?;
        goals.push(Goal::new(&goal, longest <= LATENCY_MAX, &summary(&within)));
    }
    goals.push(Goal::note("between snapshots", &summary(&outside)));
    let spans: Vec<String> =
        snapshots.iter().map(|it| format!("{:.1} s", (it.end - it.start).as_secs_f64())).collect();
    let count = format!("{}: {}", spans.len(), spans.join(", "));
    goals.push(Goal::note("snapshots and their durations", &count));
    let [p99, max] = ["/latency_us/p99", "/latency_us/max"].map(|path| report.figure(path));
    let measured = format!(
        "{} appends/s: p99 {:.1} ms, longest {:.1} ms; {} datagrams sent again",
        grouped(report.per_second()?),
        p99? / 1e3,
        max? / 1e3,
        grouped(report.retransmissions()?)
    );
    goals.push(Goal::note("the appending clients, whole run", &measured));
    Ok(goals)
}

/// Probes from the time when all sessions are open until the bench stops appending. The bench then
/// closes all sessions at once, which is a load of another kind.
fn probe_once_ready(server: &Server, size: &Size, stop: &AtomicBool) -> anyhow::Result<Samples> {
    let [_, sessions] = size.sessions;
    while server.metric(&["sessions"])? < f64::from(sessions) {
        if stop.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        thread::sleep(Duration::from_millis(20));
    }
    probe(server.udp, stop, Instant::now() + Duration::from_secs(size.snapshot_seconds))
}

fn probe(server: SocketAddr, stop: &AtomicBool, until: Instant) -> anyhow::Result<Samples> {
    let mut client = LockClient::open(server, "probe", 1, PROBE_LEASE_MS)?;
    let (mut samples, mut scheduled) = (Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) && Instant::now() < until {
        thread::sleep(scheduled.saturating_duration_since(Instant::now()));
        let granted = client.acquire("probe", 0)?;
        samples.push((scheduled, scheduled.elapsed()));
        let token = granted.number("token").context("the probe's acquire was refused")?;
        let sent = Instant::now();
        let reply = client.release("probe", token)?;
        ensure!(reply.has_status("released"), "the probe's release was refused");
        samples.push((sent, sent.elapsed()));
        scheduled += PROBE_INTERVAL;
    }
    Ok(samples)
}

/// Reads the snapshots from the server's log. One that is not complete extends to `end`.
fn snapshots(server: &Server, end: Instant) -> Vec<Snapshot> {
    let ends = server.log_lines("the snapshot is complete");
    let end_of = |start: Instant| ends.iter().map(|(at, _)| *at).find(|at| *at > start);
    let starts = server.log_lines("a snapshot is begun").into_iter();
    starts
        .map(|(start, _)| Snapshot { start, end: end_of(start).unwrap_or(end.max(start)) })
        .collect()
}

fn summary(samples: &Samples) -> String {
    if samples.is_empty() {
        return "no requests".to_owned();
    }
    let mut latencies: Vec<Duration> = samples.iter().map(|(_, latency)| *latency).collect();
    latencies.sort_unstable();
    let millis = |rank: usize| percentile(&latencies, rank).as_secs_f64() * 1e3;
    let late = latencies.iter().filter(|latency| **latency > LATENCY_MAX).count();
    format!(
        "longest {:.1} ms (p99 {:.1}, p99.9 {:.1}), {late} of {} requests above 20 ms",
        millis(10_000),
        millis(9_900),
        millis(9_990),
        latencies.len()
    )
}
