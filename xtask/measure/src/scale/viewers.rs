//! The cost of viewers of the event stream at full load: ten that read everything, and one that has
//! stopped reading.
//!
//! - The readers compete with the clients for the processors. Therefore the table also contains the
//!   server's processor time per operation, and the processor time of the readers.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::bench::bench;
use super::event_stream::{Received, connect};
use super::goal::{Goal, format_ratios};
use super::options::Size;
use super::proc_stat;
use super::server::Server;
use crate::statistics::{grouped, median};

/// The lowest permitted ratio to the throughput without viewers.
const RATIO_MIN: f64 = 0.95;

/// The metric that counts operations: each is granted one lock.
const GRANTS: [&str; 1] = ["events_total{type=\"lock_granted\"}"];

/// The viewers of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    None,
    Readers,
    Stopped,
}

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
struct Run {
    per_second: f64,
    /// The server's processor time per operation, in microseconds.
    per_operation: f64,
    /// The readers' share of one processor.
    readers: f64,
    received: Received,
}

/// A process of viewers that read everything.
struct Readers(Child);

pub(super) fn measure(program: &Path, size: &Size) -> anyhow::Result<Vec<Goal>> {
    let server = Server::start(program, &[])?;
    let order = [Audience::None, Audience::Readers, Audience::Stopped];
    let mut runs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..size.rounds {
        for position in 0..order.len() {
            let index = (position + round) % order.len();
            let run = run(program, &server, size, order[index])?;
            let rate = grouped(run.per_second);
            let Run { per_operation, readers, .. } = run;
            eprintln!(
                "{:?}: {rate}/s, {per_operation:.1} µs of the server per operation, readers at \
                 {readers:.2} of a processor",
                order[index]
            );
            runs[index].push(run);
        }
    }
    let [without, readers, stopped] = &runs;
    let viewers = size.viewers;
    let mut goals = Vec::new();
    for (viewers, runs) in [
        (format!("{viewers} viewers that read everything"), readers),
        ("a viewer that has stopped reading".to_owned(), stopped),
    ] {
        let ratios: Vec<f64> =
            runs.iter().zip(without).map(|(it, base)| it.per_second / base.per_second).collect();
        let costs: Vec<f64> = runs
            .iter()
            .zip(without)
            .map(|(it, base)| it.per_operation / base.per_operation)
            .collect();
        let goal = format!("throughput with {viewers}: at least {RATIO_MIN}");
        let measured = format_ratios(&ratios);
        goals.push(Goal::at_least(&goal, RATIO_MIN, median(ratios), &measured));
        let each = median(runs.iter().map(|run| run.per_operation).collect());
        let costs = format_ratios(&costs);
        let measured = format!("{costs} of that without viewers; {each:.1} µs per operation");
        goals.push(Goal::note(&format!("the server's processor time with {viewers}"), &measured));
    }
    let of = |figure: fn(&Run) -> f64| median(readers.iter().map(figure).collect());
    let share = of(|run| run.readers) * 100.0;
    goals.push(Goal::note("the readers themselves", &format!("{share:.0} % of a processor")));
    goals.push(Goal::note("received in a run", &summary(readers, viewers)));
    Ok(goals)
}

/// Returns what one viewer has received, on average.
fn summary(readers: &[Run], viewers: u32) -> String {
    let each = f64::from(viewers);
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let of = |figure: fn(&Received) -> u64| {
        median(readers.iter().map(|run| figure(&run.received) as f64 / each).collect())
    };
    format!(
        "{:.1} MB in {} messages each; {:.1} snapshots, including the first",
        of(|it| it.bytes) / 1e6,
        grouped(of(|it| it.messages)),
        of(|it| it.snapshots)
    )
}

fn run(program: &Path, server: &Server, size: &Size, audience: Audience) -> anyhow::Result<Run> {
    let readers = if audience == Audience::Readers {
        Some(Readers::start(server, size.viewers)?)
    } else {
        None
    };
    let stopped = if audience == Audience::Stopped { Some(connect(server.http)?) } else { None };
    let clients = size.clients.to_string();
    let (begin, grants) = (Instant::now(), server.metric(&GRANTS)?);
    let (time, reading) = (server.processor_time()?, readers.as_ref().map(Readers::processor_time));
    let report = bench(program, server.udp, size, &["--mix", "lock", "--clients", &clients])?;
    let spent = server.processor_time()?.saturating_sub(time).as_secs_f64();
    let operations = server.metric(&GRANTS)? - grants;
    ensure!(operations > 0.0, "no lock was granted");
    let mut run = Run {
        per_second: report.per_second()?,
        per_operation: spent * 1e6 / operations,
        readers: 0.0,
        received: Received::default(),
    };
    if let (Some(readers), Some(before)) = (readers, reading) {
        let read = readers.processor_time()?.saturating_sub(before?);
        run.readers = read.as_secs_f64() / begin.elapsed().as_secs_f64();
        run.received = readers.finish()?;
    }
    drop(stopped);
    Ok(run)
}

impl Readers {
    fn start(server: &Server, count: u32) -> anyhow::Result<Self> {
        let mut command =
            Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["view", &server.http.to_string(), &count.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut readers = Self(command.spawn().context("cannot run the viewers")?);
        let mut line = String::new();
        let stdout = readers.0.stdout.as_mut().context("the viewers have no standard output")?;
        // A buffered reader could consume the beginning of the counts.
        while !line.ends_with('\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).context("the viewers cannot connect")?;
            line.push(char::from(byte[0]));
        }
        Ok(readers)
    }

    fn processor_time(&self) -> anyhow::Result<Duration> {
        proc_stat::processor_time(self.0.id())
    }

    /// Stops the viewers, and returns what all of them have received.
    fn finish(mut self) -> anyhow::Result<Received> {
        drop(self.0.stdin.take());
        let stdout = self.0.stdout.take().context("the viewers have no standard output")?;
        let mut all = Received::default();
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let numbers: Vec<u64> = line.split(' ').filter_map(|it| it.parse().ok()).collect();
            let [bytes, messages, snapshots] = numbers[..] else {
                bail!("unexpected output of the viewers: {line}");
            };
            all.bytes += bytes;
            all.messages += messages;
            all.snapshots += snapshots;
        }
        let status = self.0.wait()?;
        ensure!(status.success(), "the viewers have failed: {status}");
        Ok(all)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
