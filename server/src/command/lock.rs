//! `leasehold lock NAME -- COMMAND…`: runs a command while it holds a lock.
//!
//! - The command has ended before the server can grant the lock to another client: the rest of its
//!   process group is killed before this client's belief in the lock ends. A process that has left
//!   the group is not reached.
//! - The remaining validity is read from the clock again and again: a timer may be late, and this
//!   process may have been stopped.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, Error, LockGuard, Time, now};
use leasehold_core::time::Millis;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::error::CommandError;
use super::options::{ServerOptions, close_session, report_queue_position};
use super::signals::{Signals, exit_after, signal_exit_code};

/// The longest time until a late timer, or a step of the clock after a suspension, is noticed.
const POLL_INTERVAL: Millis = Millis::from_millis(50);

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
/// of the command gets SIGTERM, then SIGKILL, before another client can hold the lock, and the
/// exit code is 75. Standard input is passed on unless it is a terminal.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lock {
    /// The lock.
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
    #[arg(long, value_name = "MS")]
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

/// How the command ended.
enum Outcome {
    Exited(ExitStatus),
    LockLost,
}

impl Lock {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let mut signals = Signals::listen()?;
        let lease = self.lease_ms.map(Duration::from_millis);
        let client = self.options.connect("lock", |builder| match lease {
            Some(lease) => builder.lease(lease),
            None => builder,
        });
        let client = tokio::select! {
            client = client => client?,
            signal = signals.next() => return Ok(exit_after(signal)),
        };
        let result = self.hold_and_run(&client, &mut signals).await;
        close_session(client, self.options.verbosity, &self.name).await;
        result
    }

    async fn hold_and_run(
        &self,
        client: &Client,
        signals: &mut Signals,
    ) -> Result<ExitCode, CommandError> {
        let deadlines = self.deadlines(client)?;
        let guard = tokio::select! {
            guard = self.acquire(client, deadlines) => guard?,
            signal = signals.next() => return Ok(exit_after(signal)),
        };
        let (name, token) = (guard.lock_name(), guard.token());
        self.options.verbosity.note(&format!("holds {name} under token {token}"));
        let child = self.spawn(&guard)?;
        match supervise(child, &guard, deadlines, signals).await? {
            Outcome::Exited(status) => Ok(exit_code(status)),
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
        let acquire = acquire.on_queued(report_queue_position(self.options.verbosity, &self.name));
        let to_error = |error| CommandError::from_client(error, &self.name, &self.options.server);
        let guard = acquire.await.map_err(to_error)?;
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

    fn spawn(&self, guard: &LockGuard) -> Result<Child, CommandError> {
        let (program, arguments) = self.command.split_first().expect("clap requires one");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LEASEHOLD_LOCK", guard.lock_name().as_str())
            .env("LEASEHOLD_TOKEN", guard.token().to_string())
            .process_group(0)
            .kill_on_drop(true);
        if io::stdin().is_terminal() {
            // A background process group that reads from the terminal is stopped by SIGTTIN.
            command.stdin(Stdio::null());
        }
        command.spawn().map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            CommandError::cannot_run(code, format!("cannot run {}: {error}", program.display()))
        })
    }
}

/// Waits for the command to exit, forwards signals, and terminates the command if the lock is
/// about to be lost.
async fn supervise(
    mut child: Child,
    guard: &LockGuard,
    deadlines: Deadlines,
    signals: &mut Signals,
) -> Result<Outcome, CommandError> {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = id.ok_or_else(|| CommandError::refused("the command has no process id"))?;
    let mut kill_at = None;
    loop {
        let now = now();
        let until = guard.valid_until();
        if kill_at.is_none() && deadlines.terminate_at(until) <= now {
            // Fixed from here on: a later heartbeat does not extend the time.
            kill_at = Some(deadlines.kill_at(until));
            signal_group(group, Signal::TERM);
        }
        if kill_at.is_some_and(|at| at <= now) {
            signal_group(group, Signal::KILL);
            let _ = child.wait().await;
            return Ok(Outcome::LockLost);
        }
        let next = kill_at.unwrap_or(deadlines.terminate_at(until));
        let sleep_millis = now.until(next).min(POLL_INTERVAL).as_millis();
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|error| {
                    CommandError::refused(format!("cannot wait for the command: {error}"))
                })?;
                if kill_at.is_none() && guard.is_held() {
                    return Ok(Outcome::Exited(status));
                }
                // The command has exited, but its child processes may still run.
                signal_group(group, Signal::KILL);
                return Ok(Outcome::LockLost);
            }
            signal = signals.next() => signal_group(group, signal),
            () = sleep(Duration::from_millis(sleep_millis)) => {}
        }
    }
}

/// Sends a signal to a process group. An empty group is not an error.
fn signal_group(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let signalled = status.signal().map(signal_exit_code);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
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
