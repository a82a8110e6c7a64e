//! The signals that ask a command to terminate.

use std::process::ExitCode;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use super::error::CommandError;
use super::inherited_signals::InheritedSignals;

/// SIGHUP, SIGINT and SIGTERM. While this value exists they do not terminate the process. Those
/// that are ignored at the start stay ignored.
pub(crate) struct Signals {
    hangup: Option<unix::Signal>,
    interrupt: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let inherited = InheritedSignals::get();
        let listen = |kind: SignalKind| {
            if inherited.is_ignored(kind.as_raw_value()) {
                return Ok(None);
            }
            signal(kind).map(Some).map_err(|error| {
                CommandError::refused(format!("cannot install a signal handler: {error}"))
            })
        };
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = receive(&mut self.hangup) => Signal::HUP,
            () = receive(&mut self.interrupt) => Signal::INT,
            () = receive(&mut self.terminate) => Signal::TERM,
        }
    }
}

/// Waits for a signal. Never completes for a signal that is ignored.
async fn receive(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Returns the exit code of a command that a signal has interrupted.
pub(crate) fn exit_after(signal: Signal) -> ExitCode {
    ExitCode::from(signal_exit_code(signal.as_raw()))
}

/// Returns the exit code that shells use for a process that a signal has terminated.
pub(crate) fn signal_exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
