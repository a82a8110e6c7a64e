//! A server for the duration of a command: this program, with a temporary data directory.

use std::env;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::error::CommandError;
use super::options::Address;

/// The longest time to start, and to stop.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A child process with a server. Dropping it kills the process and removes the data directory.
pub(crate) struct TemporaryServer {
    child: Child,
    pub(crate) udp: Address,
    pub(crate) http: Address,
    _directory: TempDir,
}

impl TemporaryServer {
    /// Starts the server on free ports, and waits until it is ready.
    pub(crate) async fn start(key_file: Option<&Path>) -> Result<Self, CommandError> {
        let to_error = |reason: &dyn fmt::Display| {
            CommandError::refused(format!("cannot start a temporary server: {reason}"))
        };
        let program = env::current_exe().map_err(|error| to_error(&error))?;
        let directory = TempDir::with_prefix("leasehold-own-").map_err(|error| to_error(&error))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]);
        command.arg(directory.path());
        if let Some(key_file) = key_file {
            command.arg("--key-file").arg(key_file);
        }
        // Ctrl-C interrupts only this process, which closes its sessions and then stops the server.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| to_error(&error))?;
        let stderr = child.stderr.take().expect("standard error is piped");
        let mut lines = BufReader::new(stderr).lines();
        let ready = timeout(TIMEOUT, wait_until_ready(&mut lines)).await;
        let (udp, http) = ready
            .map_err(|_| to_error(&"it is not ready after 10 s"))?
            .map_err(|last_line| to_error(&last_line))?;
        // The server blocks if its log fills the pipe, so the log is read and discarded.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, udp, http, _directory: directory })
    }

    /// Stops the server gracefully. A server that takes too long is killed.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        let _ = timeout(TIMEOUT, self.child.wait()).await;
    }
}

/// Returns the addresses of the server, or the last line of its log if it has exited.
async fn wait_until_ready(
    lines: &mut Lines<BufReader<ChildStderr>>,
) -> Result<(Address, Address), String> {
    let mut last_line = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(addresses) = parse_ready_line(&line) {
            return Ok(addresses);
        }
        last_line = line;
    }
    Err(last_line)
}

/// Parses `ready udp=… http=… data=…`.
fn parse_ready_line(line: &str) -> Option<(Address, Address)> {
    let mut words = line.split_whitespace().skip_while(|&word| word != "ready").skip(1);
    let udp = words.next()?.strip_prefix("udp=")?.parse().ok()?;
    let http = words.next()?.strip_prefix("http=")?.parse().ok()?;
    Some((udp, http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_contains_the_addresses() {
        let line = "ready udp=127.0.0.1:1 http=127.0.0.1:2 data=/tmp/x";
        let (udp, http) = parse_ready_line(line).unwrap();
        assert_eq!(
            (udp.to_string(), http.to_string()),
            ("127.0.0.1:1".into(), "127.0.0.1:2".into())
        );
        assert_eq!(parse_ready_line("error: cannot listen"), None);
    }
}
