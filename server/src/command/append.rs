//! `leasehold append FILE [TEXT]`: appends to a guarded file while holding its lock.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, LockGuard};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use super::failure::Failure;
use super::signals::{Signals, exit_code};
use super::target::{Target, remark_places, say_farewell};

/// Append to a guarded file while holding its lock.
///
/// Each append lands whole or not at all. Standard input is appended line by line, under one
/// holding of the lock.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Append {
    /// The file.
    file: String,
    /// What to append. Without it: standard input.
    text: Option<String>,
    /// Don't end TEXT, or a last line that has none, with a newline.
    #[arg(long)]
    no_newline: bool,
    /// Wait this long for the lock, then exit with 1. Without it: for as long as it takes.
    #[arg(long, value_name = "MS")]
    wait_ms: Option<u64>,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  leasehold append notes 'remember the milk'
  dmesg | leasehold append kernel-log
  leasehold append --no-newline notes 'no end'";

impl Append {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen()?;
        let client = tokio::select! {
            client = self.target.connect("append", |builder| builder) => client?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        let done = tokio::select! {
            done = self.append_all(&client) => done.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        say_farewell(client, self.target.loudness, &self.file).await;
        done
    }

    async fn append_all(&self, client: &Client) -> Result<(), Failure> {
        let asked = match self.wait_ms {
            Some(wait) => client.lock_timeout(&self.file, Duration::from_millis(wait)),
            None => client.lock(&self.file),
        };
        let asked = asked.on_queued(remark_places(self.target.loudness, &self.file));
        let guard = asked.await.map_err(|error| self.failed(error))?;
        match &self.text {
            Some(text) => self.append(&guard, text.as_bytes().to_vec()).await,
            None => self.append_input(&guard).await,
        }
    }

    async fn append_input(&self, guard: &LockGuard) -> Result<(), Failure> {
        if io::stdin().is_terminal() {
            self.target.loudness.remark("reads lines from the terminal; end with Ctrl-D");
        }
        let mut input = BufReader::new(stdin());
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            number += 1;
            let read = tokio::select! {
                read = input.read_until(b'\n', &mut line) => read,
                () = guard.lost() => return Err(self.failed(leasehold_client::Error::LockLost)),
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    return Err(Failure::refused(format!("standard input: {error}")));
                }
            }
            self.append(guard, line).await.map_err(|failure| {
                failure.at(format_args!("line {number} (the lines before it are in the file)"))
            })?;
        }
    }

    async fn append(&self, guard: &LockGuard, mut bytes: Vec<u8>) -> Result<(), Failure> {
        if !self.no_newline && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let appended = guard.append(bytes).await.map_err(|error| self.failed(error))?;
        if self.target.loudness.verbose {
            let (len, offset) = (appended.len, appended.offset);
            self.target.loudness.remark(&format!("{len} bytes at {offset} of {}", self.file));
        }
        Ok(())
    }

    fn failed(&self, error: leasehold_client::Error) -> Failure {
        Failure::of(error, &self.file, &self.target.server)
    }
}
