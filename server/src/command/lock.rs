//! `leasehold lock NAME -- COMMAND…`: runs a command while it holds a lock.
//!
//! - The command is over before the server can give the lock to anybody else: what is left of its
//!   process group is killed before this client's own belief ends. A process that has left the
//!   group is not reached.
//! - What is believed is read from the clock, again and again: a timer may be late, and this
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

use super::failure::Failure;
use super::signals::{Signals, exit_code};
use super::target::{Target, remark_places, say_farewell};

/// How long it takes at most until a late timer, or a clock that has gone on, is noticed.
const LOOK_EVERY: Millis = Millis::from_millis(50);

/// What is kept between the kill and the end of the belief, as a part of the lease: a timer may
/// be late, and the dying takes time.
const MARGIN_PARTS: u64 = 50;

/// The command may drain for this part of a lease at most, so that one lost heartbeat does not
/// end it.
const DRAIN_PARTS_MIN: u64 = 2;

/// The drain of a command that was given none, as a part of its lease.
const DRAIN_PARTS: u64 = 10;

/// Run a command while holding a lock.
///
/// The command finds the lock's name in LEASEHOLD_LOCK and its fencing token in LEASEHOLD_TOKEN,
/// and its exit code is passed on. Where the lock is lost while it runs, it gets SIGTERM, then
/// SIGKILL, all of its process group, before anybody else can have the lock; the exit code is 75
/// then. Standard input is passed on unless it is a terminal.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lock {
    /// The lock.
    name: String,
    /// The command, and what it is given.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Don't wait: where the lock is held, exit with 1.
    #[arg(long = "try", conflicts_with = "wait_ms")]
    at_once: bool,
    /// Wait this long for the lock, then exit with 1. Without it: for as long as it takes.
    #[arg(long, value_name = "MS")]
    wait_ms: Option<u64>,
    /// Hold the lock for no longer than this, however alive this client is.
    #[arg(long, value_name = "MS")]
    hold_ms: Option<u64>,
    /// The lease to ask for. The server keeps it within bounds of its own.
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    /// How long before the lock is lost for certain the command gets SIGTERM. Without it: a tenth
    /// of the lease, or of --hold-ms where that is shorter.
    #[arg(long, value_name = "MS")]
    drain_ms: Option<u64>,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  leasehold lock backup -- ./backup.sh
  leasehold lock --try nightly -- make report                # exit 1 where it is held
  leasehold lock --wait-ms 5000 file_0 -- sh -c 'echo $LEASEHOLD_TOKEN'";

/// When the command has to go.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    drain: Millis,
    margin: Millis,
}

/// How the command came to its end.
enum End {
    ByItself(ExitStatus),
    LockLost,
}

impl Lock {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen()?;
        let lease = self.lease_ms.map(Duration::from_millis);
        let client = self.target.connect("lock", |builder| match lease {
            Some(lease) => builder.lease(lease),
            None => builder,
        });
        let client = tokio::select! {
            client = client => client?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        let done = self.hold_and_run(&client, &mut signals).await;
        say_farewell(client, self.target.loudness, &self.name).await;
        done
    }

    async fn hold_and_run(
        &self,
        client: &Client,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let deadlines = self.deadlines(client)?;
        let guard = tokio::select! {
            guard = self.acquire(client, deadlines) => guard?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        let (name, token) = (guard.lock_name(), guard.token());
        self.target.loudness.remark(&format!("holds {name} under token {token}"));
        let child = self.spawn(&guard)?;
        match supervise(child, &guard, deadlines, signals).await? {
            End::ByItself(status) => Ok(passed_on(status)),
            End::LockLost => Err(Failure::lost(format!(
                "the lock on {name} (token {token}) was lost, and the command was ended; \
                 run it again"
            ))),
        }
    }

    fn deadlines(&self, client: &Client) -> Result<Deadlines, Failure> {
        let lease = Millis::from_millis(client.lease().as_millis().try_into().unwrap_or(u64::MAX));
        let bound = self.hold_ms.map_or(lease, |hold| lease.min(Millis::from_millis(hold)));
        let drain = self.drain_ms.map_or(bound.divided_by(DRAIN_PARTS), Millis::from_millis);
        let longest = bound.divided_by(DRAIN_PARTS_MIN);
        if drain > longest {
            return Err(Failure::usage(format!(
                "--drain-ms is at most half of the lease (and of --hold-ms): {} here",
                longest.as_millis()
            )));
        }
        Ok(Deadlines { drain, margin: bound.divided_by(MARGIN_PARTS) })
    }

    async fn acquire(&self, client: &Client, deadlines: Deadlines) -> Result<LockGuard, Failure> {
        let mut asked = match (self.at_once, self.wait_ms) {
            (true, _) => client.try_lock(&self.name),
            (false, Some(wait)) => client.lock_timeout(&self.name, Duration::from_millis(wait)),
            (false, None) => client.lock(&self.name),
        };
        if let Some(hold) = self.hold_ms {
            asked = asked.hold_limit(Duration::from_millis(hold));
        }
        let asked = asked.on_queued(remark_places(self.target.loudness, &self.name));
        let failed = |error| Failure::of(error, &self.name, &self.target.server);
        let guard = asked.await.map_err(failed)?;
        // What came out of the queue is sure for a short time only, until the server has heard
        // from this client again: too short, maybe, for the command to drain in.
        while now() >= deadlines.terminate_at(guard.valid_until()) {
            if !guard.is_held() {
                return Err(failed(Error::LockLost));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(guard)
    }

    fn spawn(&self, guard: &LockGuard) -> Result<Child, Failure> {
        let (program, arguments) = self.command.split_first().expect("clap requires one");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LEASEHOLD_LOCK", guard.lock_name().as_str())
            .env("LEASEHOLD_TOKEN", guard.token().to_string())
            .process_group(0)
            .kill_on_drop(true);
        if io::stdin().is_terminal() {
            // From the background it could not be read, and the command would be stopped.
            command.stdin(Stdio::null());
        }
        command.spawn().map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            Failure::not_run(code, format!("can't run {}: {error}", program.display()))
        })
    }
}

/// Sees to it that the command ends in time, and that it hears what this process is told.
async fn supervise(
    mut child: Child,
    guard: &LockGuard,
    deadlines: Deadlines,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = id.ok_or_else(|| Failure::refused("the command has no process"))?;
    let mut kill_at = None;
    loop {
        let now = now();
        let until = guard.valid_until();
        if kill_at.is_none() && deadlines.terminate_at(until) <= now {
            // Fixed from here on: a heartbeat that gets through after all gives no more time.
            kill_at = Some(deadlines.kill_at(until));
            tell(group, Signal::TERM);
        }
        if kill_at.is_some_and(|at| at <= now) {
            tell(group, Signal::KILL);
            let _ = child.wait().await;
            return Ok(End::LockLost);
        }
        let next = kill_at.unwrap_or(deadlines.terminate_at(until));
        let nap = now.until(next).min(LOOK_EVERY).as_millis();
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|error| {
                    Failure::refused(format!("the command's end was missed: {error}"))
                })?;
                if kill_at.is_none() && guard.is_held() {
                    return Ok(End::ByItself(status));
                }
                // The command has gone, but what it started may not have.
                tell(group, Signal::KILL);
                return Ok(End::LockLost);
            }
            signal = signals.next() => tell(group, signal),
            () = sleep(Duration::from_millis(nap)) => {}
        }
    }
}

/// Sends a signal to all of a process group. That nobody is left in it is no failure.
fn tell(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

fn passed_on(status: ExitStatus) -> ExitCode {
    let ended_by = status.signal().map(exit_code);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(ended_by.or(code).unwrap_or(1))
}

impl Deadlines {
    /// When the command is asked to end, where the lock is sure until then.
    fn terminate_at(self, until: Time) -> Time {
        earlier(until, self.drain.max(self.margin))
    }

    /// When it is killed.
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
    fn the_command_is_asked_before_it_is_killed_and_killed_before_the_belief_ends() {
        let millis = Millis::from_millis;
        let deadlines = Deadlines { drain: millis(500), margin: millis(100) };
        let until = Time::from_millis(10_000);
        assert_eq!(deadlines.terminate_at(until), Time::from_millis(9_500));
        assert_eq!(deadlines.kill_at(until), Time::from_millis(9_900));
        let abrupt = Deadlines { drain: Millis::ZERO, ..deadlines };
        assert_eq!(abrupt.terminate_at(until), abrupt.kill_at(until));
        assert_eq!(deadlines.kill_at(Time::ZERO), Time::ZERO, "lost: at once");
    }
}
