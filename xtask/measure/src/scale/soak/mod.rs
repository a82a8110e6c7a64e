//! Full load for a long time, while the server is killed every few seconds: no acknowledged line is
//! lost, and neither memory nor the write-ahead log grows without limit.

mod account;
mod client;
mod trend;

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;

use super::goal::Goal;
use super::options::Size;
use super::server::Server;
use crate::statistics::{grouped, median};
use account::{Account, Audit};
use client::{Client, Counts};
use trend::Trend;

/// How often memory and the data folder are sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// How often the progress is printed.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// The longest outage of the server, in milliseconds: each client retransmits several times.
const OUTAGE_MAX_MS: u64 = 3_000;

/// The longest time until a restart without an outage, in milliseconds.
const RESTART_MAX_MS: u64 = 100;

/// One of this many kills causes an outage.
const OUTAGE_ONE_OF: u64 = 5;

/// The observations of the server during a soak.
#[derive(Debug, Default)]
struct Observations {
    kills: u32,
    start_seconds: Vec<f64>,
    resident: Trend,
    log: Trend,
}

pub(super) fn measure(program: &Path, size: &Size, time: Duration) -> anyhow::Result<Vec<Goal>> {
    let mut server = Server::start(program, &[])?;
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let (udp, files) = (server.udp, size.soak_files);
    let (observed, accounts) = thread::scope(|scope| {
        let clients: Vec<_> = (0..size.soak_clients)
            .map(|number| {
                let client = Client::new(number, files, udp, &counts);
                scope.spawn(|| client.run(&stop))
            })
            .collect();
        let observed = kill_repeatedly(&mut server, size, time, &counts);
        stop.store(true, Ordering::Relaxed);
        let accounts = clients.into_iter().map(|it| it.join().expect("a client does not panic"));
        (observed, accounts.collect::<anyhow::Result<Vec<Account>>>())
    });
    let (observed, accounts) = (observed?, accounts?);
    server.stop()?;
    let mut audit = Audit::new(accounts);
    for file in 0..files {
        let path = server.data().join("files").join(format!("soak-{file}"));
        match File::open(&path) {
            Ok(contents) => audit.read(file, BufReader::new(contents))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot read a file of the server"),
        }
    }
    audit.finish();
    for violation in &audit.descriptions {
        eprintln!("xtask: {violation}");
    }
    Ok(summary(&audit, &counts, &observed, time))
}

/// Kills and restarts the server until the time is up. The server runs when this returns.
fn kill_repeatedly(
    server: &mut Server,
    size: &Size,
    time: Duration,
    counts: &Counts,
) -> anyhow::Result<Observations> {
    let (begin, mut rng) = (Instant::now(), Rng::with_seed(1));
    let [shortest, longest] = size.kill_every_ms;
    let mut observed = Observations::default();
    let mut next_kill = begin + Duration::from_millis(rng.u64(shortest..=longest));
    let mut report_at = begin + REPORT_INTERVAL;
    while begin.elapsed() < time {
        thread::sleep(SAMPLE_INTERVAL);
        observed.sample(server, begin.elapsed())?;
        if Instant::now() >= next_kill {
            server.kill()?;
            observed.kills += 1;
            let is_outage = rng.u64(..OUTAGE_ONE_OF) == 0;
            let max = if is_outage { OUTAGE_MAX_MS } else { RESTART_MAX_MS };
            thread::sleep(Duration::from_millis(rng.u64(..=max)));
            server.restart()?;
            observed.start_seconds.push(server.start_time.as_secs_f64());
            next_kill = Instant::now() + Duration::from_millis(rng.u64(shortest..=longest));
        }
        if Instant::now() >= report_at {
            report_at += REPORT_INTERVAL;
            let acknowledged = counts.acknowledged.load(Ordering::Relaxed);
            let (kills, seconds) = (observed.kills, begin.elapsed().as_secs());
            eprintln!("{seconds} s: {acknowledged} lines acknowledged, {kills} kills");
        }
    }
    Ok(observed)
}

impl Observations {
    #[allow(clippy::cast_precision_loss, reason = "it is smaller than 2^52 bytes")]
    fn sample(&mut self, server: &Server, at: Duration) -> anyhow::Result<()> {
        self.resident.add(at, server.resident_set()? as f64);
        let mut log = 0;
        for entry in fs::read_dir(server.data())? {
            // A temporary file may have been renamed since the folder was read.
            if let Ok(metadata) = entry?.metadata()
                && metadata.is_file()
            {
                log += metadata.len();
            }
        }
        self.log.add(at, log as f64);
        Ok(())
    }
}

fn summary(audit: &Audit, counts: &Counts, observed: &Observations, time: Duration) -> Vec<Goal> {
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let acknowledged = count(&counts.acknowledged);
    let rate = grouped(acknowledged / time.as_secs_f64());
    let acknowledged = grouped(acknowledged);
    let minutes = time.as_secs_f64() / 60.0;
    let lines = format!(
        "{} violations; {acknowledged} lines acknowledged ({rate}/s), {} in the files, {} of them \
         without a reply; {} appends without a reply, {} refused",
        audit.violations,
        audit.lines,
        audit.unconfirmed,
        grouped(count(&counts.unknown)),
        grouped(count(&counts.refused))
    );
    let mut goals = vec![Goal::new(
        "every acknowledged line once, in order, and no other",
        audit.violations == 0,
        &lines,
    )];
    let sessions = grouped(count(&counts.sessions));
    let kills = observed.kills;
    let measured = format!("{kills} in {minutes:.1} minutes; {sessions} sessions opened");
    goals.push(Goal::note("kills of the server", &measured));
    if !observed.start_seconds.is_empty() {
        let slowest = observed.start_seconds.iter().copied().fold(0.0, f64::max);
        let measured =
            format!("{:.2} s (slowest {slowest:.2} s)", median(observed.start_seconds.clone()));
        goals.push(Goal::note("ready after a kill", &measured));
    }
    // Growth is reported, but only lines can make the soak fail.
    goals.push(Goal::note("resident memory", &observed.resident.summary()));
    goals.push(Goal::note("data folder without the files", &observed.log.summary()));
    goals
}
