//! `leasehold append FILE [TEXT]`: appends to a guarded file while it holds the file's lock.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, LockGuard};
use leasehold_core::limits::DATAGRAM_LEN_MAX;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, stdin};

use super::error::CommandError;
use super::options::{ServerOptions, WaitReporter, close_session};
use super::signals::{Signals, exit_after};

/// A longer line is refused before it is read to its end.
const LINE_LEN_MAX: u64 = DATAGRAM_LEN_MAX as u64;

/// Append to a guarded file while holding its lock.
///
/// An append is atomic: all of its bytes are written, or none. Standard input is appended line by
/// line, and the lock is held from the first line to the last.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Append {
    /// The file.
    file: String,
    /// The text to append [default: standard input].
    text: Option<String>,
    /// Do not add a newline to TEXT, or to a last line without one.
    #[arg(long)]
    no_newline: bool,
    /// Wait at most this long for the lock, then exit with 1 [default: no limit].
    #[arg(long, value_name = "MS")]
    wait_ms: Option<u64>,
    #[command(flatten)]
    options: ServerOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold append notes 'remember the milk'
  dmesg | leasehold append kernel-log
  leasehold append --no-newline notes 'no newline'";

impl Append {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let mut signals = Signals::listen()?;
        let client = tokio::select! {
            client = self.options.connect("append", |builder| builder) => client?,
            signal = signals.next() => return Ok(exit_after(signal)),
        };
        let result = tokio::select! {
            result = self.append_all(&client) => result.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(exit_after(signal)),
        };
        close_session(client, self.options.verbosity, &self.file).await;
        result
    }

    async fn append_all(&self, client: &Client) -> Result<(), CommandError> {
        let acquire = match self.wait_ms {
            Some(wait) => client.lock_timeout(&self.file, Duration::from_millis(wait)),
            None => client.lock(&self.file),
        };
        let reporter = WaitReporter::new(&self.options, &self.file);
        let acquire = acquire.on_queued(reporter.on_queued());
        let guard = tokio::select! {
            guard = acquire => guard.map_err(|error| self.error(error))?,
            never = reporter.report_silence() => match never {},
        };
        match &self.text {
            Some(text) => self.append(&guard, text.as_bytes().to_vec()).await,
            None => self.append_input(&guard).await,
        }
    }

    async fn append_input(&self, guard: &LockGuard) -> Result<(), CommandError> {
        if io::stdin().is_terminal() {
            self.options.verbosity.note("reading lines from the terminal; end with Ctrl-D");
        }
        let mut input = BufReader::new(stdin());
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            number += 1;
            let mut start = (&mut input).take(LINE_LEN_MAX + 1);
            let read = tokio::select! {
                read = start.read_until(b'\n', &mut line) => read,
                () = guard.lost() => return Err(self.error(leasehold_client::Error::LockLost)),
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(len) if len as u64 > LINE_LEN_MAX => {
                    return Err(CommandError::refused(format!(
                        "line {number} has more than {LINE_LEN_MAX} bytes and does not fit a \
                         datagram; split it (earlier lines are in the file)"
                    )));
                }
                Ok(_) => {}
                Err(error) => {
                    let message = format!("cannot read standard input: {error}");
                    return Err(CommandError::refused(message));
                }
            }
            self.append(guard, line).await.map_err(|error| {
                error.with_context(format_args!("line {number} (earlier lines are in the file)"))
            })?;
        }
    }

    async fn append(&self, guard: &LockGuard, mut bytes: Vec<u8>) -> Result<(), CommandError> {
        if !self.no_newline && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let appended = guard.append(bytes).await.map_err(|error| self.error(error))?;
        if self.options.verbosity.verbose {
            let (len, offset, file) = (appended.len, appended.offset, &self.file);
            let note = format!("appended {len} bytes to {file} at offset {offset}");
            self.options.verbosity.note(&note);
        }
        Ok(())
    }

    fn error(&self, error: leasehold_client::Error) -> CommandError {
        CommandError::from_client(error, &self.file, &self.options.server)
    }
}
