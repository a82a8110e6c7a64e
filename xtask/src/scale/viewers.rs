//! What viewers of the event stream cost at full load: ten that read all that they are told, and
//! one that has stopped.
//!
//! - The readers take a part of the processors from the clients. So besides the throughput it is
//!   told how long processors were at each operation in the server, and how long at the readers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::Size;
use super::bench::bench;
use super::goal::{Goal, median, ratios};
use super::process;
use super::server::Server;
use super::viewer::{Seen, open};
use crate::compare::table::grouped;

/// The least part of the throughput without viewers.
const LEAST: f64 = 0.95;

/// Each operation of the bench is granted a lock once.
const GRANTS: [&str; 1] = ["events_total{type=\"lock_granted\"}"];

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Readers,
    Stopped,
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    per_second: f64,
    /// Of the server, in microseconds.
    per_operation: f64,
    /// The readers' share of a processor.
    readers: f64,
    seen: Seen,
}

/// Viewers that read all that they are told, in a process of their own.
struct Readers(Child);

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let server = Server::start(program, &[])?;
    let order = [Who::Nobody, Who::Readers, Who::Stopped];
    let mut runs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..size.rounds {
        for place in 0..order.len() {
            let which = (place + round) % order.len();
            let run = run(program, &server, size, order[which])?;
            let rate = grouped(run.per_second);
            let Run { per_operation, readers, .. } = run;
            eprintln!(
                "{:?}: {rate} a second, {per_operation:.1} µs of the server each, readers at \
                 {readers:.2} of a processor",
                order[which]
            );
            runs[which].push(run);
        }
    }
    let [nobody, readers, stopped] = &runs;
    let viewers = size.viewers;
    let mut goals = Vec::new();
    for (who, runs) in [
        (format!("{viewers} viewers that read all they are told"), readers),
        ("a viewer that has stopped".to_owned(), stopped),
    ] {
        let of: Vec<f64> =
            runs.iter().zip(nobody).map(|(it, base)| it.per_second / base.per_second).collect();
        let cost: Vec<f64> = runs
            .iter()
            .zip(nobody)
            .map(|(it, base)| it.per_operation / base.per_operation)
            .collect();
        let goal = format!("throughput with {who}: at least {LEAST}");
        goals.push(Goal::at_least(&goal, LEAST, median(of.clone()), &ratios(&of)));
        let each = median(runs.iter().map(|run| run.per_operation).collect());
        let told = format!("{} of without; {each:.1} µs an operation", ratios(&cost));
        goals.push(Goal::told(&format!("the server's processor time with {who}"), &told));
    }
    let of = |figure: fn(&Run) -> f64| median(readers.iter().map(figure).collect());
    let share = of(|run| run.readers) * 100.0;
    goals.push(Goal::told("the readers themselves", &format!("{share:.0} % of a processor")));
    goals.push(Goal::told("what they read in a run", &seen(readers, viewers)));
    Ok(goals)
}

/// Of one viewer, on average.
fn seen(readers: &[Run], viewers: u32) -> String {
    let each = f64::from(viewers);
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let of = |figure: fn(&Seen) -> u64| {
        median(readers.iter().map(|run| figure(&run.seen) as f64 / each).collect())
    };
    format!(
        "{:.1} MB in {} messages each; {:.1} snapshots, one to begin with",
        of(|seen| seen.bytes) / 1e6,
        grouped(of(|seen| seen.messages)),
        of(|seen| seen.snapshots)
    )
}

fn run(program: &Path, server: &Server, size: &Size, who: Who) -> anyhow::Result<Run> {
    let readers =
        if who == Who::Readers { Some(Readers::start(server, size.viewers)?) } else { None };
    let stopped = if who == Who::Stopped { Some(open(server.http)?) } else { None };
    let clients = size.clients.to_string();
    let (begun, grants) = (Instant::now(), server.metric(&GRANTS)?);
    let (time, reading) = (server.processor_time()?, readers.as_ref().map(Readers::time));
    let report = bench(program, server.udp, size, &["--mix", "lock", "--clients", &clients])?;
    let spent = server.processor_time()?.saturating_sub(time).as_secs_f64();
    let operations = server.metric(&GRANTS)? - grants;
    ensure!(operations > 0.0, "not one lock was granted");
    let mut run = Run {
        per_second: report.per_second()?,
        per_operation: spent * 1e6 / operations,
        readers: 0.0,
        seen: Seen::default(),
    };
    if let (Some(readers), Some(before)) = (readers, reading) {
        let read = readers.time()?.saturating_sub(before?);
        run.readers = read.as_secs_f64() / begun.elapsed().as_secs_f64();
        run.seen = readers.end()?;
    }
    drop(stopped);
    Ok(run)
}

impl Readers {
    fn start(server: &Server, count: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("no program")?);
        command.args(["scale-view", &server.http.to_string(), &count.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut readers = Self(command.spawn().context("the viewers can't be run")?);
        let mut line = String::new();
        let said = readers.0.stdout.as_mut().context("they say nothing")?;
        // One byte after the other: what comes later is read at the end.
        while !line.ends_with('\n') {
            let mut byte = [0];
            std::io::Read::read_exact(said, &mut byte).context("the viewers can't view")?;
            line.push(char::from(byte[0]));
        }
        Ok(readers)
    }

    fn time(&self) -> anyhow::Result<std::time::Duration> {
        process::processor_time(self.0.id())
    }

    /// Lets them end, and gives back what all of them have seen.
    fn end(mut self) -> anyhow::Result<Seen> {
        drop(self.0.stdin.take());
        let said = self.0.stdout.take().context("they say nothing")?;
        let mut all = Seen::default();
        for line in BufReader::new(said).lines() {
            let line = line?;
            let numbers: Vec<u64> = line.split(' ').filter_map(|it| it.parse().ok()).collect();
            let [bytes, messages, snapshots] = numbers[..] else {
                anyhow::bail!("the viewers say {line}");
            };
            all.bytes += bytes;
            all.messages += messages;
            all.snapshots += snapshots;
        }
        let status = self.0.wait()?;
        ensure!(status.success(), "the viewers ended with {status}");
        Ok(all)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
