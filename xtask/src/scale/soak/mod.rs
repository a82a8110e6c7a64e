//! Full load for a long time, with a server that is killed every few seconds: nothing that was
//! acknowledged is lost, and neither memory nor journal grow without end.

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

use super::Size;
use super::goal::{Goal, median};
use super::rng::Rng;
use super::server::Server;
use crate::compare::table::grouped;
use account::{Account, Audit};
use client::{Client, Counts};
use trend::Trend;

/// How often memory and journal are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The longest that a server stays dead, in milliseconds: each client asks in vain several times.
const DEAD_MAX_MS: u64 = 3_000;

/// Of so many kills one leaves it dead for a while.
const DEAD_ONE_OF: u64 = 5;

/// What was seen of the server meanwhile.
#[derive(Debug, Default)]
struct Watched {
    kills: u32,
    starts: Vec<f64>,
    resident: Trend,
    journal: Trend,
}

pub(super) fn measure(program: &Path, size: &Size, time: Duration) -> anyhow::Result<Vec<Goal>> {
    let mut server = Server::start(program, &[])?;
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let (udp, files) = (server.udp, size.soak_files);
    let (watched, accounts) = thread::scope(|scope| {
        let clients: Vec<_> = (0..size.soak_clients)
            .map(|number| {
                let client = Client::new(number, files, udp, &counts);
                scope.spawn(|| client.run(&stop))
            })
            .collect();
        let watched = torment(&mut server, size, time, &counts);
        stop.store(true, Ordering::Relaxed);
        let accounts = clients.into_iter().map(|it| it.join().expect("it has no reason to panic"));
        (watched, accounts.collect::<anyhow::Result<Vec<Account>>>())
    });
    let (watched, accounts) = (watched?, accounts?);
    server.end()?;
    let mut audit = Audit::new(accounts);
    for file in 0..files {
        let path = server.data().join("files").join(format!("soak-{file}"));
        match File::open(&path) {
            Ok(contents) => audit.read(file, BufReader::new(contents))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("a file can't be read"),
        }
    }
    audit.finish();
    for complaint in &audit.told {
        eprintln!("xtask: {complaint}");
    }
    Ok(told(&audit, &counts, &watched, time))
}

/// Kills the server and starts it again until the time is up; it runs at the end.
fn torment(
    server: &mut Server,
    size: &Size,
    time: Duration,
    counts: &Counts,
) -> anyhow::Result<Watched> {
    let (begun, mut rng) = (Instant::now(), Rng::new(1));
    let [soonest, latest] = size.kill_every_ms;
    let mut watched = Watched::default();
    let mut next_kill = begun + Duration::from_millis(rng.between(soonest, latest));
    let mut tell_at = begun + TELL_EVERY;
    while begun.elapsed() < time {
        thread::sleep(SAMPLE_EVERY);
        watched.sample(server, begun.elapsed())?;
        if Instant::now() >= next_kill {
            server.kill()?;
            watched.kills += 1;
            let dead = if rng.between(1, DEAD_ONE_OF) == 1 { DEAD_MAX_MS } else { 100 };
            thread::sleep(Duration::from_millis(rng.between(0, dead)));
            server.start_again()?;
            watched.starts.push(server.start_took.as_secs_f64());
            next_kill = Instant::now() + Duration::from_millis(rng.between(soonest, latest));
        }
        if Instant::now() >= tell_at {
            tell_at += TELL_EVERY;
            let acknowledged = counts.acknowledged.load(Ordering::Relaxed);
            let (kills, seconds) = (watched.kills, begun.elapsed().as_secs());
            eprintln!("{seconds} s: {acknowledged} lines acknowledged, {kills} kills");
        }
    }
    Ok(watched)
}

impl Watched {
    #[allow(clippy::cast_precision_loss, reason = "it is smaller than 2^52 bytes")]
    fn sample(&mut self, server: &Server, at: Duration) -> anyhow::Result<()> {
        self.resident.add(at, server.resident()? as f64);
        let mut journal = 0;
        for entry in fs::read_dir(server.data())? {
            // What is written beside the old one and takes its name may be gone by now.
            if let Ok(metadata) = entry?.metadata()
                && metadata.is_file()
            {
                journal += metadata.len();
            }
        }
        self.journal.add(at, journal as f64);
        Ok(())
    }
}

fn told(audit: &Audit, counts: &Counts, watched: &Watched, time: Duration) -> Vec<Goal> {
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let acknowledged = count(&counts.acknowledged);
    let rate = grouped(acknowledged / time.as_secs_f64());
    let acknowledged = grouped(acknowledged);
    let minutes = time.as_secs_f64() / 60.0;
    let lines = format!(
        "{} complaints; {acknowledged} acknowledged ({rate} a second), {} lines in the files, {} \
         of them never answered; {} appends without an answer, {} refused",
        audit.complaints,
        audit.lines,
        audit.unanswered,
        grouped(count(&counts.unanswered)),
        grouped(count(&counts.refused))
    );
    let mut goals = vec![Goal::new(
        "every acknowledged line once, in order, and no other",
        audit.complaints == 0,
        &lines,
    )];
    let sessions = grouped(count(&counts.sessions));
    let kills = watched.kills;
    let told = format!("{kills} in {minutes:.1} minutes; {sessions} sessions were opened");
    goals.push(Goal::told("kills of the server", &told));
    if !watched.starts.is_empty() {
        let slowest = watched.starts.iter().copied().fold(0.0, f64::max);
        let told = format!("{:.2} s (slowest {slowest:.2} s)", median(watched.starts.clone()));
        goals.push(Goal::told("ready after a kill", &told));
    }
    // It tells of growth, and fails for nothing but lines.
    goals.push(Goal::told("resident memory", &watched.resident.told()));
    goals.push(Goal::told("the data folder without the files", &watched.journal.told()));
    goals
}
