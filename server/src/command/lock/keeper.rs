//! The keeper: a second process that kills the command if the supervisor no longer can. A hidden
//! subcommand of `leasehold lock`.
//!
//! - The supervisor writes instructions to a pipe. If the pipe closes before the instruction
//!   `released`, the supervisor was killed or has failed, and the keeper kills the command.
//! - It also kills the command when the deadline of the last instruction passes: the supervisor is
//!   stopped, or does not run for another reason.
//! - It is a session of its own and blocks every signal that can be blocked, so what stops or
//!   terminates the supervisor does not affect it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use leasehold_client::{Time, now};
use leasehold_core::time::Millis;
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, getpid, getppid, setsid};

use super::process_tree::{Member, Scope, kill_all};
use crate::command::error::CommandError;

/// The longest time until a step of the clock, after a suspension, is noticed.
const POLL_INTERVAL: Millis = Millis::from_millis(50);

/// The shortest interval between two records of which processes belong to the command.
const RECORD_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The keeper spends at most this fraction of its time on these records.
const RECORD_TIME_DIVISOR: u32 = 100;

/// The supervisor's end of the connection to the keeper.
pub(super) struct Keeper {
    pid: Pid,
    pipe: ChildStdin,
    mark: String,
    command: Option<Pid>,
    deadline: Option<Time>,
}

impl Keeper {
    /// Starts a keeper, and waits until nothing but SIGKILL can end it.
    pub(super) fn start(mark: &str) -> Result<Self, CommandError> {
        let to_error = |error: io::Error| {
            CommandError::refused(format!("cannot start the keeper of the command: {error}"))
        };
        let mut child = Self::spawn(mark).map_err(to_error)?;
        let (pipe, output) = (child.stdin.take(), child.stdout.take());
        let (pipe, output) = pipe.zip(output).expect("both are piped");
        let mut ready = String::new();
        BufReader::new(output).read_line(&mut ready).map_err(to_error)?;
        if ready.is_empty() {
            return Err(to_error(io::ErrorKind::UnexpectedEof.into()));
        }
        // A keeper that is stopped must not stop the supervisor.
        let flags = fcntl_getfl(&pipe).map_err(|error| to_error(error.into()))?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK).map_err(|error| to_error(error.into()))?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid, pipe, mark: mark.to_owned(), command: None, deadline: None })
    }

    fn spawn(mark: &str) -> io::Result<Child> {
        let mut command = Command::new(own_program()?);
        command.arg0("leasehold").args(["keep-lock", "--mark", mark, "--supervisor"]);
        command.arg(getpid().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn()
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Names the command, which is the leader of its process group.
    pub(super) fn set_command(&mut self, command: Pid) {
        self.command = Some(command);
        self.send(Instruction::Command(command));
    }

    /// Sets when the keeper kills the command.
    pub(super) fn set_deadline(&mut self, deadline: Time) {
        if self.deadline.replace(deadline) != Some(deadline) {
            self.send(Instruction::Deadline(deadline));
        }
    }

    /// Whether the keeper kills the command by now.
    pub(super) fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now())
    }

    /// Reports that nothing is left to kill.
    pub(super) fn release(&mut self) {
        self.send(Instruction::Released);
    }

    /// Starts another keeper if this one has ended.
    pub(super) fn restart(&mut self) -> Result<(), CommandError> {
        let mut keeper = Self::start(&self.mark)?;
        if let Some(deadline) = self.deadline {
            keeper.set_deadline(deadline);
        }
        if let Some(command) = self.command {
            keeper.set_command(command);
        }
        *self = keeper;
        Ok(())
    }

    fn send(&mut self, instruction: Instruction) {
        // If the keeper has ended, its exit is noticed. If the pipe is full, the keeper has been
        // stopped, and the deadline that it knows is earlier.
        let _ = self.pipe.write_all(format!("{instruction}\n").as_bytes());
    }
}

/// What the supervisor sends to the keeper, one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Command(Pid),
    Deadline(Time),
    Released,
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(pid) => write!(f, "command {}", pid.as_raw_nonzero()),
            Self::Deadline(time) => write!(f, "deadline {}", time.as_millis()),
            Self::Released => f.write_str("released"),
        }
    }
}

impl Instruction {
    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some(("command", pid)) => Some(Self::Command(Pid::from_raw(pid.parse().ok()?)?)),
            Some(("deadline", millis)) => {
                Some(Self::Deadline(Time::from_millis(millis.parse().ok()?)))
            }
            Some(_) => None,
            None => (line == "released").then_some(Self::Released),
        }
    }
}

/// Kill a command when its supervisor ends.
#[derive(Args, Debug)]
pub(crate) struct KeepLock {
    /// The mark in the environment of the command's processes.
    #[arg(long)]
    mark: String,
    /// The process id of the supervisor.
    #[arg(long)]
    supervisor: i32,
}

/// The state of the keeper.
struct Watch {
    scope: Scope,
    deadline: Time,
    released: bool,
    /// When the members of the scope are recorded again.
    record_at: Instant,
}

impl KeepLock {
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let to_error = |error: &dyn fmt::Display| {
            CommandError::refused(format!("cannot watch the supervisor: {error}"))
        };
        SigSet::all().thread_block().map_err(|error| to_error(&error))?;
        setsid().map_err(|error| to_error(&error))?;
        // A file system that contains the working directory can be unmounted.
        let _ = std::env::set_current_dir("/");
        io::stdout().write_all(b"ready\n")?;
        io::stdout().flush()?;
        let mut watch = Watch {
            scope: Scope {
                supervisor: None,
                group: None,
                mark: self.mark.clone(),
                excluded: Pid::from_raw(self.supervisor).into_iter().chain([getpid()]).collect(),
                known: Vec::new(),
            },
            deadline: Time::NEVER,
            released: false,
            record_at: Instant::now(),
        };
        watch.run().map_err(|error| to_error(&error))?;
        if !watch.released {
            watch.scope.supervisor = self.living_supervisor();
            kill_all(&watch.scope);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the supervisor if it is still the parent of this process.
    fn living_supervisor(&self) -> Option<Pid> {
        Pid::from_raw(self.supervisor).filter(|supervisor| getppid() == Some(*supervisor))
    }
}

impl Watch {
    /// Returns when the command has been released, or is to be killed.
    fn run(&mut self) -> io::Result<()> {
        // Unlike standard input, a file has no buffer that `poll` does not know.
        let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (mut buffer, mut line) = ([0; 4_096], Vec::new());
        loop {
            let left = now().until(self.deadline);
            if left.is_zero() {
                return Ok(());
            }
            self.record_members();
            if !Self::is_readable(&input, left.min(POLL_INTERVAL))? {
                continue;
            }
            let len = input.read(&mut buffer)?;
            if len == 0 {
                return Ok(());
            }
            for byte in &buffer[..len] {
                if *byte != b'\n' {
                    line.push(*byte);
                    continue;
                }
                self.follow(&String::from_utf8_lossy(&line));
                line.clear();
            }
            if self.released {
                return Ok(());
            }
        }
    }

    fn is_readable(input: &File, limit: Millis) -> io::Result<bool> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(limit.as_millis() * 1_000_000).unwrap_or(0),
        };
        let mut descriptors = [PollFd::new(input, PollFlags::IN)];
        Ok(poll(&mut descriptors, Some(&timeout))? > 0)
    }

    fn follow(&mut self, line: &str) {
        match Instruction::parse(line) {
            Some(Instruction::Command(command)) => self.scope.group = Some(command),
            Some(Instruction::Deadline(deadline)) => self.deadline = deadline,
            Some(Instruction::Released) => self.released = true,
            None => {}
        }
    }

    /// Records the processes of the command, so that one that has left its group and its
    /// environment is found after its supervisor was killed.
    fn record_members(&mut self) {
        let started = Instant::now();
        if self.scope.group.is_none() || started < self.record_at {
            return;
        }
        // Marked processes are found at any time.
        let supervisor = self.scope.excluded.first().copied();
        let mark = String::new();
        let scope = Scope { supervisor, mark, known: Vec::new(), ..self.scope.clone() };
        self.scope.known = scope.members();
        let interval = started.elapsed() * RECORD_TIME_DIVISOR;
        self.record_at = Instant::now() + interval.max(RECORD_INTERVAL_MIN);
    }
}

/// Returns the path of the program that is running.
pub(super) fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // The file may have been replaced by a newer version since this process was started.
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

/// A list of processes for a message, such as `12 (sleep), 13 (sleep)`.
pub(super) fn list(members: &[Member]) -> String {
    members.iter().map(Member::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_parsed_as_they_are_written() {
        let pid = Pid::from_raw(12).expect("not zero");
        for instruction in [
            Instruction::Command(pid),
            Instruction::Deadline(Time::from_millis(7)),
            Instruction::Released,
        ] {
            assert_eq!(Instruction::parse(&instruction.to_string()), Some(instruction));
        }
        for invalid in ["", "command", "command 0", "deadline x", "release"] {
            assert_eq!(Instruction::parse(invalid), None, "{invalid}");
        }
    }
}
