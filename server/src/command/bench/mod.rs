//! `leasehold bench`: how fast a server is, measured by clients that speak the real protocol.

mod idle;
mod lane;
mod mix;
mod player;
mod report;
mod schedule;
mod span;
mod tally;
mod watch;
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

use super::failure::Failure;
use super::paint::Paint;
use super::server_child::ServerChild;
use super::signals::{Signals, exit_code};
use super::target::Target;
use idle::{Idle, IdlePlan, IdleTally};
use mix::Mix;
use report::Report;
use tally::Tally;
use watch::Watch;
use worker::{Plan, Shared, Trouble, Worker};

/// How many sockets there are at most. Clients beyond that share them.
const SOCKETS_MAX: u32 = 64;

/// How many threads there are at most, unless more are asked for.
const THREADS_MAX: u32 = 4;

/// How many idle sessions there may be: as many as a server has.
#[allow(clippy::cast_possible_wrap, reason = "it is far from 2^63")]
const IDLE_MAX: i64 = SESSIONS_MAX as i64;

/// The longest line that fits a datagram with all that goes around it.
const LINE_MAX: i64 = 900;

/// Put load on a server, and tell how fast it is.
///
/// Each client is a session of its own, which says hello, asks, asks again when no answer comes,
/// and renews its lease, as any client does. By default each begins its next operation when its
/// last one has ended. With --rate operations begin at fixed moments, whatever became of those
/// before them, and their latency counts from there: so a server that stalls is seen to.
///
/// Locks are called bench-0, bench-1, and so on; so are the files that `append` leaves behind.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// What the clients do.
    #[arg(long, value_enum, default_value_t = Mix::Lock)]
    mix: Mix,
    /// How many clients there are.
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// How many locks they share: client N uses lock N, and around again. Without it: as many as
    /// there are clients, and 1 with --mix contended.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    locks: Option<u32>,
    /// With --mix append: all append to this file.
    #[arg(long, value_name = "NAME", conflicts_with = "locks")]
    file: Option<Name>,
    /// With --mix append: how long each line is, with its newline.
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=LINE_MAX))]
    bytes: u32,
    /// Let this many operations a second begin, all clients together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// For how long nothing counts yet (500ms, 2s, 1m; seconds where there is no unit).
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span::span)]
    warm_up: Duration,
    /// For how long it counts.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span::span)]
    duration: Duration,
    /// Decides the order of what --mix chubby draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many threads the clients have. Without it: half as many as there are processors, and
    /// at most 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// So many more sessions are open meanwhile, and do nothing but renew their leases, as often as
    /// these ask for it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=IDLE_MAX))]
    idle_sessions: u32,
    /// How many locks each of them holds.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "idle_sessions")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    idle_locks: u32,
    /// The lease of each of them.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span::span)]
    idle_lease: Duration,
    /// Start a server for this alone, in a temporary folder (TMPDIR says on which disk).
    #[arg(long)]
    own_server: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  leasehold bench --own-server
  leasehold bench --mix append --clients 128 --duration 30s
  leasehold bench --mix contended --clients 100 --locks 5     # from hand to hand
  leasehold bench --mix heartbeats --clients 10000 --json
  leasehold bench --idle-sessions 100000                      # beside many that are idle
  leasehold bench --mix chubby --rate 5000                    # latency from the intended start

Ends with 1 where an operation failed, with 69 where none was answered.";

/// The leases that a session can have.
const fn idle_leases() -> RangeInclusive<Duration> {
    Duration::from_millis(LEASE_MIN.as_millis())..=Duration::from_millis(LEASE_MAX.as_millis())
}

/// Where a worker ends up.
type Outcome = Result<Tally, Trouble>;

impl Bench {
    /// `named` is whether the server's address was given on the command line.
    pub(crate) async fn run(mut self, named: bool) -> Result<ExitCode, Failure> {
        self.check(named)?;
        let mut signals = Signals::listen()?;
        let own = tokio::select! {
            own = self.find_server() => own?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        let done = self.measure(&mut signals).await;
        if let Some(own) = own {
            own.end().await;
        }
        done
    }

    fn check(&self, named: bool) -> Result<(), Failure> {
        if self.own_server && named {
            return Err(Failure::usage(
                "--own-server has an address of its own; leave --server out",
            ));
        }
        if self.duration.is_zero() {
            return Err(Failure::usage("--duration is to be longer than nothing"));
        }
        if self.file.is_some() && self.mix != Mix::Append {
            return Err(Failure::usage("--file goes with --mix append"));
        }
        if !idle_leases().contains(&self.idle_lease) {
            return Err(Failure::usage("--idle-lease is to be from 250ms to 60s"));
        }
        Ok(())
    }

    /// Starts a server where one is wanted; else sees whether there is one.
    async fn find_server(&mut self) -> Result<Option<ServerChild>, Failure> {
        if self.own_server {
            let own = ServerChild::start(self.target.key_file.as_deref()).await?;
            self.target.server = own.udp.clone();
            return Ok(Some(own));
        }
        let client = self.target.connect("bench", |builder| builder).await?;
        let _ = client.close().await;
        Ok(None)
    }

    async fn measure(&self, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let plan = self.plan(self.resolve().await?)?;
        let luck = getrandom::u64()
            .map_err(|error| Failure::refused(format!("the system has no luck: {error}")))?;
        let shared = Arc::new(Shared::default());
        let idle = self.start_idle(&plan, luck, &shared)?;
        let (done, mut outcomes) = mpsc::unbounded_channel();
        for number in 0..plan.workers {
            let (plan, shared, done) = (plan.clone(), Arc::clone(&shared), done.clone());
            let work = move || {
                let outcome = Worker::new(plan, number, luck).and_then(|it| it.run(&shared));
                // Whoever waits for it may have been interrupted.
                let _ = done.send(outcome);
            };
            let name = format!("bench-{number}");
            let spawned = thread::Builder::new().name(name).spawn(work);
            spawned.map_err(|error| Failure::refused(format!("no thread: {error}")))?;
        }
        drop(done);
        let (idle_sessions, loudness) = (self.idle_sessions, self.target.loudness);
        let mut watch = Watch::new(&plan, idle_sessions, Arc::clone(&shared), loudness);
        let tally = tokio::select! {
            tally = self.collect(&plan, &mut watch, &shared, &mut outcomes) => tally,
            signal = signals.next() => {
                watch.clear();
                shared.stop.store(true, Ordering::Relaxed);
                // The sessions are closed first, so that nothing of this is left at the server.
                while outcomes.recv().await.is_some() {}
                if let Some(idle) = idle {
                    let _ = idle.end().await;
                }
                return Ok(ExitCode::from(exit_code(signal.as_raw())));
            }
        };
        let idle = match idle {
            Some(idle) => Some(idle.end().await.map_err(|trouble| self.failure(&trouble))?),
            None => None,
        };
        self.tell(&plan, &tally?, idle.as_ref())
    }

    /// Starts the sessions that only stay alive, where there are to be some.
    fn start_idle(
        &self,
        plan: &Plan,
        luck: u64,
        shared: &Arc<Shared>,
    ) -> Result<Option<Idle>, Failure> {
        if self.idle_sessions == 0 {
            return Ok(None);
        }
        let lease = u64::try_from(self.idle_lease.as_millis()).expect("it was looked at");
        let idle = IdlePlan {
            sessions: self.idle_sessions,
            locks: self.idle_locks,
            lease: Millis::from_millis(lease),
            warm_up: plan.warm_up,
            duration: plan.duration,
            server: plan.server,
            key: plan.key.clone(),
        };
        let idle = idle.start(luck, Arc::clone(shared));
        idle.map(Some).map_err(|error| Failure::refused(format!("no thread: {error}")))
    }

    /// Waits for all workers.
    async fn collect(
        &self,
        plan: &Plan,
        watch: &mut Watch,
        shared: &Shared,
        outcomes: &mut mpsc::UnboundedReceiver<Outcome>,
    ) -> Result<Tally, Failure> {
        let (mut tally, mut trouble, mut count) = (Tally::default(), None, 0);
        loop {
            tokio::select! {
                outcome = outcomes.recv() => match outcome {
                    None => break,
                    Some(Ok(part)) => {
                        tally.add(&part);
                        count += 1;
                    }
                    Some(Err(first)) => {
                        shared.stop.store(true, Ordering::Relaxed);
                        trouble.get_or_insert(first);
                    }
                },
                () = watch.look() => {}
            }
        }
        watch.clear();
        if let Some(trouble) = trouble {
            return Err(self.failure(&trouble));
        }
        assert_eq!(count, plan.workers, "a worker that panics has said why");
        Ok(tally)
    }

    fn tell(
        &self,
        plan: &Plan,
        tally: &Tally,
        idle: Option<&IdleTally>,
    ) -> Result<ExitCode, Failure> {
        let report = Report::new(plan, tally).with_idle(idle);
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            out.write_all(report.text(Paint::of_stdout()).as_bytes())?;
        }
        out.flush()?;
        if let Some(lost) = idle.map(|idle| idle.lost).filter(|lost| *lost > 0) {
            return Err(Failure::refused(format!("{lost} idle sessions were lost")));
        }
        let silent = tally.failed.get("no_answer").copied().unwrap_or(0);
        match tally.failures() {
            0 => Ok(ExitCode::SUCCESS),
            failures if failures == silent && tally.operations.count() == 0 => {
                Err(self.failure(&Trouble::NoAnswer))
            }
            failures => {
                let (&code, _) = tally.failed.iter().max_by_key(|(_, count)| **count).expect("one");
                Err(Failure::refused(format!("{failures} operations failed, most with {code}")))
            }
        }
    }

    fn plan(&self, server: SocketAddr) -> Result<Plan, Failure> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let usual = u32::try_from(processors / 2).unwrap_or(1).clamp(1, THREADS_MAX);
        let workers = self.threads.unwrap_or(usual).min(self.clients);
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
            lanes_max: (SOCKETS_MAX / workers).max(1),
            server,
            key: self.target.key()?.as_deref().map(MacKey::new),
        })
    }

    async fn resolve(&self) -> Result<SocketAddr, Failure> {
        let server = self.target.server.to_string();
        let found = lookup_host(&server).await;
        let found = found.map_err(|error| Failure::of(Error::Io(error), "a session", &server))?;
        let found: Vec<SocketAddr> = found.collect();
        // `localhost` may name both; a server listens on IPv4 unless it is told otherwise.
        let first = found.iter().find(|addr| addr.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| Failure::no_answer(format!("{server} has no address")))
    }

    fn failure(&self, trouble: &Trouble) -> Failure {
        let server = &self.target.server;
        match trouble {
            Trouble::Socket(error) => Failure::refused(format!("no socket: {error}")),
            Trouble::NoAnswer => Failure::of(Error::NoReply, "a session", server),
            Trouble::Refused(code) => Failure::refused(format!(
                "the server refused a session ({code}); let there be fewer --clients, or raise its \
                 bounds"
            )),
        }
    }
}
