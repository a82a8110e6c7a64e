//! Supervises the command: passes signals on, follows its stops, and terminates it if the lock is
//! about to be lost.
//!
//! - Only a command whose lock is valid is continued.
//! - A command that is stopped at the terminal stops the supervisor too, so that the shell gets the
//!   terminal back. The keeper kills the command if the lease ends meanwhile.
//! - Every process that the command leaves behind becomes a child of the supervisor and is reaped.

use std::time::Duration;

use leasehold_client::{LockGuard, Time, now};
use leasehold_core::time::Millis;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_current_process_group, kill_process_group,
    wait,
};
use tokio::time::sleep;

use super::Deadlines;
use super::keeper::Keeper;
use super::process_group::is_controlled_by_a_shell;
use super::process_tree::{Scope, kill_all};
use super::signal_queue::{Received, SignalQueue};
use super::terminal::Terminal;
use crate::command::Verbosity;

/// The longest time until a late timer, or a step of the clock after a suspension, is noticed.
const POLL_INTERVAL: Millis = Millis::from_millis(50);

/// How the command ended.
pub(super) enum Outcome {
    /// While the lock was held.
    Exited(WaitStatus),
    LockLost,
}

/// A command, and what is needed to supervise it.
pub(super) struct Supervisor<'a> {
    guard: &'a LockGuard,
    deadlines: Deadlines,
    keeper: &'a mut Keeper,
    terminal: Option<&'a Terminal>,
    scope: Scope,
    verbosity: Verbosity,
    /// The command, which is the leader of its process group.
    command: Pid,
    /// Whether the group of the command has been in the foreground.
    uses_terminal: bool,
    status: Option<WaitStatus>,
    /// When the command is killed. Fixed once SIGTERM has been sent.
    kill_at: Option<Time>,
    /// Whether another process has asked the supervisor to stop.
    stop_requested: bool,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        (guard, deadlines): (&'a LockGuard, Deadlines),
        keeper: &'a mut Keeper,
        (terminal, uses_terminal): (Option<&'a Terminal>, bool),
        (command, scope): (Pid, Scope),
        verbosity: Verbosity,
    ) -> Self {
        Self {
            guard,
            deadlines,
            keeper,
            terminal,
            scope,
            verbosity,
            command,
            uses_terminal,
            status: None,
            kill_at: None,
            stop_requested: false,
        }
    }

    /// Waits until the command has exited or been killed.
    pub(super) async fn run(mut self, signals: &mut SignalQueue) -> Outcome {
        let outcome = loop {
            let next = self.check_deadlines();
            if self.kill_at.is_some_and(|at| at <= now()) {
                kill_all(&self.scope);
                self.wait_for_exit().await;
                break Outcome::LockLost;
            }
            if let Some(status) = self.status {
                if self.kill_at.is_none() && self.guard.is_held() {
                    break Outcome::Exited(status);
                }
                // The command has exited, but its child processes may still run.
                kill_all(&self.scope);
                break Outcome::LockLost;
            }
            let sleep_millis = now().until(next).min(POLL_INTERVAL).as_millis();
            tokio::select! {
                received = signals.next() => self.handle_signal(received),
                () = sleep(Duration::from_millis(sleep_millis)) => {}
            }
        };
        if let Some(terminal) = self.terminal.filter(|_| self.uses_terminal) {
            terminal.take_back(self.command);
        }
        self.keeper.release();
        outcome
    }

    /// Sends SIGTERM if it is time, and informs the keeper. Returns the next deadline.
    fn check_deadlines(&mut self) -> Time {
        let (now, until) = (now(), self.guard.valid_until());
        if self.kill_at.is_none() && self.deadlines.terminate_at(until) <= now {
            // Fixed from here on: a later heartbeat does not extend the time.
            let kill_at = self.deadlines.kill_at(until);
            self.kill_at = Some(kill_at);
            if now < kill_at {
                self.signal(Signal::TERM);
                // A stopped process does not handle SIGTERM before it is continued.
                self.signal(Signal::CONT);
            }
        }
        self.keeper.set_deadline(self.kill_at.unwrap_or(self.deadlines.kill_at(until)));
        self.kill_at.unwrap_or(self.deadlines.terminate_at(until))
    }

    fn handle_signal(&mut self, received: Received) {
        let signal = received.signal;
        if signal == Signal::CHILD {
            self.reap();
        } else if received.is_own() {
            // Meant for the other processes of this group, or the consequence of a failed write.
        } else if signal == Signal::CONT {
            self.resume();
        } else {
            self.stop_requested |= [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
            self.signal(signal);
        }
    }

    /// Reaps all children that have exited, and handles a stop of the command.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            if pid == self.keeper.pid() && !status.stopped() {
                if self.keeper.is_due() {
                    // It has killed the command, and there is nothing left to do for another one.
                    continue;
                }
                match self.keeper.restart() {
                    Ok(()) => self.scope.excluded = vec![getpid(), self.keeper.pid()],
                    Err(error) => self.verbosity.warn(&error),
                }
            } else if pid == self.command {
                match status.stopping_signal().and_then(Signal::from_named_raw) {
                    Some(signal) => self.handle_stop(signal),
                    None => self.status = Some(status),
                }
            }
        }
    }

    async fn wait_for_exit(&mut self) {
        while self.status.is_none() {
            self.reap();
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Continues the command if the lock is still valid. If it is not, the command is killed next.
    fn resume(&mut self) {
        if self.kill_at.is_some() || now() >= self.deadlines.terminate_at(self.guard.valid_until())
        {
            return;
        }
        self.lend_terminal();
        self.signal(Signal::CONT);
    }

    fn lend_terminal(&self) {
        if let Some(terminal) = self.terminal.filter(|_| self.uses_terminal) {
            terminal.lend(self.command);
        }
    }

    /// The command was stopped: by Ctrl-Z, because it needs the terminal, or by another process.
    fn handle_stop(&mut self, signal: Signal) {
        let requested = std::mem::take(&mut self.stop_requested);
        let needs_terminal = [Signal::TTIN, Signal::TTOU].contains(&signal);
        let foreground = self.terminal.and_then(Terminal::foreground);
        if !requested && needs_terminal && self.terminal.is_some_and(Terminal::is_own) {
            // The terminal belongs to this job, so the command may have it.
            self.uses_terminal = true;
            self.resume();
            return;
        }
        let has_terminal = foreground == Some(self.command);
        if !requested && !needs_terminal && !has_terminal {
            // Another process has stopped the command and can continue it. The lock stays held.
            return;
        }
        if !requested && !is_controlled_by_a_shell() {
            // No process could continue this one. The kernel treats such a group in the same way.
            if needs_terminal {
                self.signal(Signal::HUP);
            }
            self.resume();
            return;
        }
        if let Some(terminal) = self.terminal {
            terminal.take_back(self.command);
        }
        if !requested && signal != Signal::STOP {
            // The other processes of the job: of a pipeline, or the script that runs this program.
            let _ = kill_current_process_group(signal);
        }
        stop_self(signal);
    }

    /// Sends a signal to the process group of the command. An empty group is not an error.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.command, signal);
    }
}

/// Stops this process by a signal, as the shell expects. Returns when the process is continued; a
/// SIGCONT is then to be received.
pub(super) fn stop_self(signal: Signal) {
    // The kernel discards the other signals if no shell could continue this process.
    let by_shell = cfg!(target_os = "linux") && is_controlled_by_a_shell();
    let signal = if by_shell { signal } else { Signal::STOP };
    let Ok(signal) = nix::sys::signal::Signal::try_from(signal.as_raw()) else { return };
    let mut mask = nix::sys::signal::SigSet::empty();
    mask.add(signal);
    // Sent to this thread only: the thread that receives signals does not see it. It is pending
    // until it is unblocked.
    let _ = nix::sys::signal::raise(signal);
    if cfg!(target_os = "linux") {
        let _ = mask.thread_unblock();
        let _ = mask.thread_block();
    }
}
