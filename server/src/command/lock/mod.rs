//! `leasehold lock NAME -- COMMAND…`: runs a command while it holds a lock.
//!
//! - The command has ended before the server can grant the lock to another client: its processes
//!   are killed before this client's belief in the lock ends.
//! - That also holds if this process is killed or stopped: then the keeper kills them.
//! - The remaining validity is read from the clock again and again: a timer may be late, and this
//!   process may have been stopped.
//! - The command runs in a process group of its own, as a job of a shell does.

mod keeper;
mod launch;
mod process_group;
mod process_tree;
mod signal_queue;
mod supervise;
mod terminal;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, Error, LockGuard, Time, now};
use leasehold_core::time::Millis;
use rustix::process::{Pid, Signal, WaitStatus, getpid};
use tokio::time::sleep;

use super::error::CommandError;
use super::inherited_signals::InheritedSignals;
use super::options::{ServerOptions, WaitReporter, close_session};
use super::signals::{exit_after, signal_exit_code};
use keeper::Keeper;
use process_tree::{MARK_VARIABLE, Scope};
use signal_queue::SignalQueue;
use supervise::{Outcome, Supervisor};
use terminal::Terminal;

pub(crate) use keeper::KeepLock;
pub(crate) use launch::Launch;

/// The margin between the SIGKILL and the end of the belief, as a fraction of the lease: a timer
/// may be late, and terminating a process takes time.
const MARGIN_DIVISOR: u64 = 50;

/// The drain time is at most this fraction of a lease, so that one lost heartbeat does not
/// terminate the command.
const DRAIN_MAX_DIVISOR: u64 = 2;

/// The default drain time, as a fraction of the lease.
const DRAIN_DEFAULT_DIVISOR: u64 = 10;

/// Run a command while holding a lock.
///
/// The command finds the name of the lock in LEASEHOLD_LOCK and its fencing token in
/// LEASEHOLD_TOKEN. The exit code is that of the command. If the lock is lost, the process group
/// of the command gets SIGTERM, then all of its processes get SIGKILL, before another client can
/// hold the lock, and the exit code is 75.
///
/// Signals: every signal that can be caught is passed on to the process group of the command. A
/// signal that is ignored at the start (nohup) stays ignored, also in the command.
///
/// Job control: the command has the terminal while this program is in the foreground. Ctrl-Z stops
/// the command, then this program. `fg` and `bg` continue the command only if the lock is still
/// held. A stopped job sends no heartbeats, so it loses the lock after the lease, and the command
/// is killed.
///
/// If this program is killed or stopped, a second process (the keeper) kills the command: at once,
/// or before the lease ends. On Linux that includes processes that have left the process group,
/// such as daemons, and the commands of nested `leasehold lock`. Not covered: a process of another
/// user (sudo), a process that the command has another program start (systemd-run, docker, at), and
/// the processes that the command leaves behind if this program and the keeper are both killed.
///
/// Background processes: when the command exits, the lock is released, even if processes that the
/// command has started still run. They are not killed; a warning on standard error lists them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lock {
    /// The lock.
    #[arg(allow_hyphen_values = true)]
    name: String,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Do not wait: exit with 1 if the lock is held.
    #[arg(long = "try", conflicts_with = "wait_ms")]
    no_wait: bool,
    /// Wait at most this long for the lock, then exit with 1 [default: no limit].
    #[arg(long, value_name = "MS")]
    wait_ms: Option<u64>,
    /// Hold the lock for at most this long, even if heartbeats continue [default: no limit].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    hold_ms: Option<u64>,
    /// Request this lease. The server adjusts it to its limits.
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    /// Send SIGTERM to the command this long before the lock is lost [default: a tenth of the
    /// lease, or of --hold-ms if that is shorter].
    #[arg(long, value_name = "MS")]
    drain_ms: Option<u64>,
    #[command(flatten)]
    options: ServerOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold lock backup -- ./backup.sh
  leasehold lock --try nightly -- make report                # exits with 1 if the lock is held
  leasehold lock --wait-ms 5000 file_0 -- sh -c 'echo $LEASEHOLD_TOKEN'";

/// When the command is terminated, counted back from the end of the belief.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    drain: Millis,
    margin: Millis,
}

impl Lock {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let mut signals = SignalQueue::open()?;
        adopt_orphans();
        let lease = self.lease_ms.map(Duration::from_millis);
        let client = self.options.connect("lock", |builder| match lease {
            Some(lease) => builder.lease(lease),
            None => builder,
        });
        let client = tokio::select! {
            client = client => client?,
            signal = terminating_signal(&mut signals) => return Ok(exit_after(signal)),
        };
        let mut scope = None;
        let result = self.hold_and_run(&client, &mut signals, &mut scope).await;
        close_session(client, self.options.verbosity, &self.name).await;
        if let Some(scope) = scope {
            self.report_background_processes(&scope);
        }
        result
    }

    /// Acquires the lock and runs the command. Sets `scope` to the scope of the command once the
    /// command has exited.
    async fn hold_and_run(
        &self,
        client: &Client,
        signals: &mut SignalQueue,
        scope: &mut Option<Scope>,
    ) -> Result<ExitCode, CommandError> {
        let deadlines = self.deadlines(client)?;
        let mark = format!("{:016x}", getrandom::u64().map_err(io::Error::other)?);
        let mut keeper = Keeper::start(&mark)?;
        let guard = tokio::select! {
            guard = self.acquire(client, deadlines) => guard,
            signal = terminating_signal(signals) => {
                keeper.release();
                return Ok(exit_after(signal));
            }
        };
        let guard = guard.inspect_err(|_| keeper.release())?;
        let (name, token) = (guard.lock_name(), guard.token());
        self.options.verbosity.note(&format!("holds {name} under token {token}"));
        keeper.set_deadline(deadlines.kill_at(guard.valid_until()));
        let terminal = Terminal::open();
        let uses_terminal = is_foreground_job(terminal.as_ref());
        let command = self.spawn(&guard, &mark, uses_terminal)?;
        keeper.set_command(command);
        let command_scope = Scope {
            supervisor: Some(getpid()),
            group: Some(command),
            mark,
            excluded: vec![getpid(), keeper.pid()],
            known: Vec::new(),
        };
        let supervisor = Supervisor::new(
            (&guard, deadlines),
            &mut keeper,
            (terminal.as_ref(), uses_terminal),
            (command, command_scope.clone()),
            self.options.verbosity,
        );
        match supervisor.run(signals).await {
            Outcome::Exited(status) => {
                *scope = Some(Scope { excluded: vec![getpid(), keeper.pid()], ..command_scope });
                Ok(exit_code(status))
            }
            Outcome::LockLost => Err(CommandError::lock_lost(format!(
                "the lock on {name} (token {token}) was lost and the command was terminated; run \
                 it again"
            ))),
        }
    }

    fn deadlines(&self, client: &Client) -> Result<Deadlines, CommandError> {
        let lease = Millis::from_millis(client.lease().as_millis().try_into().unwrap_or(u64::MAX));
        let limit = self.hold_ms.map_or(lease, |hold| lease.min(Millis::from_millis(hold)));
        let default = limit.divided_by(DRAIN_DEFAULT_DIVISOR);
        let drain = self.drain_ms.map_or(default, Millis::from_millis);
        let drain_max = limit.divided_by(DRAIN_MAX_DIVISOR);
        if drain > drain_max {
            return Err(CommandError::usage(format!(
                "--drain-ms is at most half of the lease and of --hold-ms, here {}",
                drain_max.as_millis()
            )));
        }
        Ok(Deadlines { drain, margin: limit.divided_by(MARGIN_DIVISOR) })
    }

    async fn acquire(
        &self,
        client: &Client,
        deadlines: Deadlines,
    ) -> Result<LockGuard, CommandError> {
        let mut acquire = match (self.no_wait, self.wait_ms) {
            (true, _) => client.try_lock(&self.name),
            (false, Some(wait)) => client.lock_timeout(&self.name, Duration::from_millis(wait)),
            (false, None) => client.lock(&self.name),
        };
        if let Some(hold) = self.hold_ms {
            acquire = acquire.hold_limit(Duration::from_millis(hold));
        }
        let reporter = WaitReporter::new(&self.options, &self.name);
        let acquire = acquire.on_queued(reporter.on_queued());
        let to_error = |error| CommandError::from_client(error, &self.name, &self.options.server);
        let guard = tokio::select! {
            guard = acquire => guard.map_err(to_error)?,
            never = reporter.report_silence() => match never {},
        };
        // A grant from the wait queue is valid for a short time only, until the server has received
        // another request of this client. That may be too short for the drain time.
        while now() >= deadlines.terminate_at(guard.valid_until()) {
            if !guard.is_held() {
                return Err(to_error(Error::LockLost));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(guard)
    }

    /// Starts the command in a process group of its own.
    fn spawn(&self, guard: &LockGuard, mark: &str, foreground: bool) -> Result<Pid, CommandError> {
        let mut command = keeper::own_program().map(Command::new)?;
        let blocked = InheritedSignals::get().blocked().to_string();
        command.arg0("leasehold").args(["launch-command", "--blocked", &blocked, "--supervisor"]);
        command.arg(getpid().to_string()).args(foreground.then_some("--foreground"));
        command.arg("--").args(&self.command);
        let mut marks = env::var(MARK_VARIABLE).unwrap_or_default();
        if !marks.is_empty() {
            marks.push(',');
        }
        command
            .env("LEASEHOLD_LOCK", guard.lock_name().as_str())
            .env("LEASEHOLD_TOKEN", guard.token().to_string())
            .env(MARK_VARIABLE, marks + mark)
            .process_group(0);
        let child = command.spawn().map_err(|error| {
            CommandError::cannot_run(126, format!("cannot start a process: {error}"))
        })?;
        Ok(Pid::from_child(&child))
    }

    /// Warns of processes that the command has left running: they no longer have the lock.
    fn report_background_processes(&self, scope: &Scope) {
        let members = scope.members();
        if !members.is_empty() {
            self.options.verbosity.warn(format_args!(
                "processes of the command still run, without the lock on {}: {}",
                self.name,
                keeper::list(&members)
            ));
        }
    }
}

/// Becomes the parent of the processes that the command leaves behind.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // Without it the keeper and the process group remain, so a failure is not fatal.
    let _ = rustix::process::set_child_subreaper(Some(getpid()));
}

/// Whether the command is to have the terminal from the start: standard input is the terminal and
/// this process is in the foreground. A shell without job control ignores SIGINT in the jobs that
/// it starts in the background.
fn is_foreground_job(terminal: Option<&Terminal>) -> bool {
    terminal.is_some_and(Terminal::is_own)
        && io::stdin().is_terminal()
        && !InheritedSignals::get().is_ignored(Signal::INT.as_raw())
}

/// Waits for a signal that terminates this process while no command is running.
async fn terminating_signal(signals: &mut SignalQueue) -> Signal {
    loop {
        let received = signals.next().await;
        let signal = received.signal;
        if [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal) {
            supervise::stop_self(signal);
        } else if !received.is_own()
            && ![Signal::CHILD, Signal::CONT, Signal::URG, Signal::WINCH].contains(&signal)
        {
            return signal;
        }
    }
}

fn exit_code(status: WaitStatus) -> ExitCode {
    let signalled = status.terminating_signal().map(signal_exit_code);
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(signalled.or(code).unwrap_or(1))
}

impl Deadlines {
    /// Returns the time of the SIGTERM, if the lock is valid until `until`.
    fn terminate_at(self, until: Time) -> Time {
        earlier(until, self.drain.max(self.margin))
    }

    /// Returns the time of the SIGKILL.
    fn kill_at(self, until: Time) -> Time {
        earlier(until, self.margin)
    }
}

fn earlier(time: Time, by: Millis) -> Time {
    Time::ZERO + time.since(Time::ZERO).saturating_sub(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigterm_precedes_sigkill_which_precedes_the_end_of_the_belief() {
        let millis = Millis::from_millis;
        let deadlines = Deadlines { drain: millis(500), margin: millis(100) };
        let until = Time::from_millis(10_000);
        assert_eq!(deadlines.terminate_at(until), Time::from_millis(9_500));
        assert_eq!(deadlines.kill_at(until), Time::from_millis(9_900));
        let without_drain = Deadlines { drain: Millis::ZERO, ..deadlines };
        assert_eq!(without_drain.terminate_at(until), without_drain.kill_at(until));
        assert_eq!(deadlines.kill_at(Time::ZERO), Time::ZERO, "a lost lock: at once");
    }
}
