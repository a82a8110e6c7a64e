//! `leasehold bench`: measures a server with clients that use the real protocol.

mod client;
mod counters;
mod duration;
mod idle;
mod mix;
mod progress;
mod report;
mod schedule;
mod shared_socket;
mod worker;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use clap::Args;
use leasehold_client::Error;
use leasehold_core::id::Name;
use leasehold_core::limits::{LEASE_MAX, LEASE_MIN, SESSIONS_MAX};
use leasehold_core::time::Millis;
use leasehold_core::wire::MacKey;
use tokio::net::lookup_host;
use tokio::sync::mpsc;

use super::error::CommandError;
use super::options::ServerOptions;
use super::signals::{Signals, exit_after};
use super::style::Style;
use super::temporary_server::TemporaryServer;
use counters::Counters;
use duration::parse_duration;
use idle::{IdleCounters, IdlePlan, IdleSessions};
use mix::Mix;
use progress::Progress;
use report::Report;
use worker::{BenchError, Plan, Shared, Worker};

/// The largest number of sockets. More clients share them.
const SOCKETS_MAX: u32 = 64;

/// The default number of threads is at most this.
const THREADS_MAX: u32 = 4;

/// The largest number of idle sessions: the limit of a server.
#[allow(clippy::cast_possible_wrap, reason = "it is far from 2^63")]
const IDLE_MAX: i64 = SESSIONS_MAX as i64;

/// The longest line that fits a datagram, with the other fields of the request.
const LINE_MAX: i64 = 900;

/// Measure the throughput and the latency of a server.
///
/// Each client has its own session and behaves like a real client: it retransmits requests and
/// renews its lease. By default a client begins an operation when its last one has ended (closed
/// loop). With --rate, operations begin at a fixed rate, and latencies are measured from the
/// intended starts, so the stalls of a server are included.
///
/// The locks are named bench-0, bench-1, and so on, and so are the files that --mix append creates.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// The operation that the clients repeat.
    #[arg(long, value_enum, default_value_t = Mix::Lock)]
    mix: Mix,
    /// The number of clients.
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// The number of locks. The clients use them in turn [default: one per client; 1 with --mix
    /// contended].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    locks: Option<u32>,
    /// With --mix append: let all clients append to this file.
    #[arg(long, value_name = "NAME", conflicts_with = "locks")]
    file: Option<Name>,
    /// With --mix append: the length of a line, including its newline.
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=LINE_MAX))]
    bytes: u32,
    /// Begin this many operations per second, over all clients.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// The warm-up, which is not measured (500ms, 2s, 1m; seconds without a unit).
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    warm_up: Duration,
    /// The duration of the measurement.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// The random seed for the operations of --mix chubby.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The number of client threads [default: half of the processors, at most 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// Open this many further sessions, which only renew their leases.
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=IDLE_MAX))]
    idle_sessions: u32,
    /// The number of locks that each idle session holds.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "idle_sessions")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    idle_locks: u32,
    /// The lease of each idle session.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    idle_lease: Duration,
    /// Start a server for the measurement, with a temporary data directory (below TMPDIR).
    #[arg(long)]
    own_server: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ServerOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold bench --own-server
  leasehold bench --mix append --clients 128 --duration 30s
  leasehold bench --mix contended --clients 100 --locks 5     # clients that compete
  leasehold bench --mix heartbeats --clients 10000 --json
  leasehold bench --idle-sessions 100000                      # with many idle sessions
  leasehold bench --mix chubby --rate 5000                    # latency from the intended start

Exits with 1 if an operation failed, and with 69 if the server did not reply.";

/// The range of leases.
const fn idle_leases() -> RangeInclusive<Duration> {
    Duration::from_millis(LEASE_MIN.as_millis())..=Duration::from_millis(LEASE_MAX.as_millis())
}

/// The result of a worker.
type Outcome = Result<Counters, BenchError>;

impl Bench {
    /// `server_given` is whether the command line names the server.
    pub(crate) async fn run(mut self, server_given: bool) -> Result<ExitCode, CommandError> {
        self.check(server_given)?;
        let mut signals = Signals::listen()?;
        let own_server = tokio::select! {
            own_server = self.find_server() => own_server?,
            signal = signals.next() => return Ok(exit_after(signal)),
        };
        let result = self.measure(&mut signals).await;
        if let Some(own_server) = own_server {
            own_server.stop().await;
        }
        result
    }

    fn check(&self, server_given: bool) -> Result<(), CommandError> {
        if self.own_server && server_given {
            return Err(CommandError::usage(
                "--own-server selects its own address; remove --server",
            ));
        }
        if self.duration.is_zero() {
            return Err(CommandError::usage("--duration must be longer than 0"));
        }
        if self.file.is_some() && self.mix != Mix::Append {
            return Err(CommandError::usage("--file requires --mix append"));
        }
        if !idle_leases().contains(&self.idle_lease) {
            return Err(CommandError::usage("--idle-lease must be from 250ms to 60s"));
        }
        Ok(())
    }

    /// Starts a server if --own-server is given; otherwise checks that the server replies.
    async fn find_server(&mut self) -> Result<Option<TemporaryServer>, CommandError> {
        if self.own_server {
            let own_server = TemporaryServer::start(self.options.key_file.as_deref()).await?;
            self.options.server = own_server.udp.clone();
            return Ok(Some(own_server));
        }
        let client = self.options.connect("bench", |builder| builder).await?;
        let _ = client.close().await;
        Ok(None)
    }

    async fn measure(&self, signals: &mut Signals) -> Result<ExitCode, CommandError> {
        let plan = self.plan(self.resolve().await?)?;
        let seed = getrandom::u64()
            .map_err(|error| CommandError::refused(format!("cannot get a random seed: {error}")))?;
        let shared = Arc::new(Shared::default());
        let idle = self.start_idle(&plan, seed, &shared)?;
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        for number in 0..plan.workers {
            let (plan, shared, sender) = (plan.clone(), Arc::clone(&shared), sender.clone());
            let work = move || {
                let outcome = Worker::new(plan, number, seed).and_then(|it| it.run(&shared));
                // An error means that the bench was interrupted.
                let _ = sender.send(outcome);
            };
            let name = format!("bench-{number}");
            let spawned = thread::Builder::new().name(name).spawn(work);
            spawned.map_err(|error| cannot_start_thread(&error))?;
        }
        drop(sender);
        let (idle_sessions, verbosity) = (self.idle_sessions, self.options.verbosity);
        let mut progress = Progress::new(&plan, idle_sessions, Arc::clone(&shared), verbosity);
        let counters = tokio::select! {
            counters = self.collect(&plan, &mut progress, &shared, &mut outcomes) => counters,
            signal = signals.next() => {
                progress.clear();
                shared.stop.store(true, Ordering::Relaxed);
                // Waits until the sessions are closed, so that none is left at the server.
                while outcomes.recv().await.is_some() {}
                if let Some(idle) = idle {
                    let _ = idle.stop().await;
                }
                return Ok(exit_after(signal));
            }
        };
        let idle = match idle {
            Some(idle) => Some(idle.stop().await.map_err(|error| self.command_error(&error))?),
            None => None,
        };
        self.print_report(&plan, &counters?, idle.as_ref())
    }

    /// Starts the idle sessions, if there are any.
    fn start_idle(
        &self,
        plan: &Plan,
        seed: u64,
        shared: &Arc<Shared>,
    ) -> Result<Option<IdleSessions>, CommandError> {
        if self.idle_sessions == 0 {
            return Ok(None);
        }
        let lease = u64::try_from(self.idle_lease.as_millis()).expect("checked to be at most 60 s");
        let idle = IdlePlan {
            sessions: self.idle_sessions,
            locks: self.idle_locks,
            lease: Millis::from_millis(lease),
            warm_up: plan.warm_up,
            duration: plan.duration,
            server: plan.server,
            key: plan.key.clone(),
        };
        let idle = idle.start(seed, Arc::clone(shared));
        idle.map(Some).map_err(|error| cannot_start_thread(&error))
    }

    /// Waits for all workers and adds their counters.
    async fn collect(
        &self,
        plan: &Plan,
        progress: &mut Progress,
        shared: &Shared,
        outcomes: &mut mpsc::UnboundedReceiver<Outcome>,
    ) -> Result<Counters, CommandError> {
        let (mut counters, mut error, mut count) = (Counters::default(), None, 0);
        loop {
            tokio::select! {
                outcome = outcomes.recv() => match outcome {
                    None => break,
                    Some(Ok(part)) => {
                        counters.merge(&part);
                        count += 1;
                    }
                    Some(Err(first)) => {
                        shared.stop.store(true, Ordering::Relaxed);
                        error.get_or_insert(first);
                    }
                },
                () = progress.tick() => {}
            }
        }
        progress.clear();
        if let Some(error) = error {
            return Err(self.command_error(&error));
        }
        assert_eq!(count, plan.workers, "a worker panicked");
        Ok(counters)
    }

    fn print_report(
        &self,
        plan: &Plan,
        counters: &Counters,
        idle: Option<&IdleCounters>,
    ) -> Result<ExitCode, CommandError> {
        let report = Report::new(plan, counters).with_idle_sessions(idle);
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            out.write_all(report.text(Style::for_stdout()).as_bytes())?;
        }
        out.flush()?;
        if let Some(lost) = idle.map(|idle| idle.sessions_lost).filter(|lost| *lost > 0) {
            return Err(CommandError::refused(format!("{lost} idle sessions were lost")));
        }
        let without_reply = counters.failed.get("no_answer").copied().unwrap_or(0);
        match counters.failures() {
            0 => Ok(ExitCode::SUCCESS),
            failures if failures == without_reply && counters.operations.count() == 0 => {
                Err(self.command_error(&BenchError::NoReply))
            }
            failures => {
                let most = counters.failed.iter().max_by_key(|(_, count)| **count);
                let (code, _) = most.expect("there is a failure");
                let message = format!("{failures} operations failed, most of them with {code}");
                Err(CommandError::refused(message))
            }
        }
    }

    fn plan(&self, server: SocketAddr) -> Result<Plan, CommandError> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let default = u32::try_from(processors / 2).unwrap_or(1).clamp(1, THREADS_MAX);
        let workers = self.threads.unwrap_or(default).min(self.clients);
        let locks = match &self.file {
            Some(_) => 1,
            None => self.locks.unwrap_or_else(|| self.mix.locks(self.clients)),
        };
        Ok(Plan {
            mix: self.mix,
            clients: self.clients,
            locks,
            file: self.file.clone(),
            line_len: self.bytes as usize,
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.duration,
            seed: self.seed,
            workers,
            sockets_max: (SOCKETS_MAX / workers).max(1),
            server,
            key: self.options.key()?.as_deref().map(MacKey::new),
        })
    }

    async fn resolve(&self) -> Result<SocketAddr, CommandError> {
        let server = self.options.server.to_string();
        let addrs = lookup_host(&server).await;
        let to_error = |error| CommandError::from_client(Error::Io(error), "a session", &server);
        let addrs: Vec<SocketAddr> = addrs.map_err(to_error)?.collect();
        // `localhost` may resolve to both; the server listens on IPv4 by default.
        let first = addrs.iter().find(|addr| addr.is_ipv4()).or(addrs.first());
        first.copied().ok_or_else(|| CommandError::no_reply(format!("{server} has no address")))
    }

    fn command_error(&self, error: &BenchError) -> CommandError {
        let server = &self.options.server;
        match error {
            BenchError::Socket(error) => {
                CommandError::refused(format!("cannot create a socket: {error}"))
            }
            BenchError::NoReply => CommandError::from_client(Error::NoReply, "a session", server),
            BenchError::Refused(code) => CommandError::refused(format!(
                "the server refused a session ({code}); use fewer --clients, or raise the \
                 limits of the server"
            )),
        }
    }
}

fn cannot_start_thread(error: &io::Error) -> CommandError {
    CommandError::refused(format!("cannot start a thread: {error}"))
}
