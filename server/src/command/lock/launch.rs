//! The step between the supervisor and its command: a child process prepares itself, then becomes
//! the command. A hidden subcommand of `leasehold lock`.
//!
//! - The command is killed if the thread that started it ends, so if the supervisor and its keeper
//!   are both killed.
//! - The command is in the foreground before it runs, if it is to be.
//! - The command has the signal mask that the supervisor was started with.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Args;
use nix::sys::signal::{SigSet, Signal};

use super::terminal::Terminal;
use crate::command::error::CommandError;
use crate::command::inherited_signals::contains;

/// Prepare this process and become COMMAND.
#[derive(Args, Debug)]
pub(crate) struct Launch {
    /// The process id of the supervisor.
    #[arg(long)]
    supervisor: i32,
    /// The signals to block, as bits.
    #[arg(long)]
    blocked: u64,
    /// Move this process group into the foreground of the terminal.
    #[arg(long)]
    foreground: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Launch {
    /// Returns only if the command cannot be run.
    pub(crate) fn run(&self) -> Result<Infallible, CommandError> {
        self.die_with_the_supervisor()?;
        if self.foreground
            && let Some(terminal) = Terminal::open()
        {
            terminal.take();
        }
        let mut blocked = SigSet::empty();
        Signal::iterator()
            .filter(|signal| contains(self.blocked, *signal as i32))
            .for_each(|signal| blocked.add(signal));
        let (program, arguments) = self.command.split_first().expect("clap requires one");
        let error = match blocked.thread_set_mask() {
            Ok(()) => Command::new(program).args(arguments).exec(),
            Err(error) => error.into(),
        };
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        let message = format!("cannot run {}: {error}", program.display());
        Err(CommandError::cannot_run(code, message))
    }

    #[cfg(target_os = "linux")]
    fn die_with_the_supervisor(&self) -> Result<(), CommandError> {
        use rustix::process::{Pid, getppid, set_parent_process_death_signal};

        // A failure is not fatal: the keeper does the same.
        let _ = set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        if getppid() == Pid::from_raw(self.supervisor) {
            Ok(())
        } else {
            Err(CommandError::lock_lost("the supervisor ended before the command was started"))
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn die_with_the_supervisor(&self) -> Result<(), CommandError> {
        let _ = self.supervisor;
        Ok(())
    }
}
