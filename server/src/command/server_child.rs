//! A server of a command's own: this very program, in a temporary folder.

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

use super::failure::Failure;
use super::target::Address;

/// How long it may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that is gone, with all that it kept, when this is.
pub(crate) struct ServerChild {
    child: Child,
    pub(crate) udp: Address,
    pub(crate) http: Address,
    _folder: TempDir,
}

impl ServerChild {
    /// Starts it on free ports, and waits until it serves.
    pub(crate) async fn start(key_file: Option<&Path>) -> Result<Self, Failure> {
        let failed = |what: &str, why: &dyn fmt::Display| {
            Failure::refused(format!("no server of its own: {what}: {why}"))
        };
        let program = env::current_exe().map_err(|error| failed("its program", &error))?;
        let folder = TempDir::with_prefix("leasehold-own-");
        let folder = folder.map_err(|error| failed("a folder", &error))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.path());
        if let Some(key_file) = key_file {
            command.arg("--key-file").arg(key_file);
        }
        // Ctrl-C is for the command, which ends the server when it has said farewell.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed("its process", &error))?;
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines();
        let ready = timeout(PATIENCE, until_ready(&mut lines)).await;
        let (udp, http) = ready
            .map_err(|_| failed("it did not start", &"no word from it"))?
            .map_err(|said| failed("it did not start", &said))?;
        // Whatever else it says has to be read, or it would wait for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, udp, http, _folder: folder })
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        // Where it takes too long it is killed when this is dropped.
        let _ = timeout(PATIENCE, self.child.wait()).await;
    }
}

async fn until_ready(
    lines: &mut Lines<BufReader<ChildStderr>>,
) -> Result<(Address, Address), String> {
    let mut said = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(addresses) = addresses(&line) {
            return Ok(addresses);
        }
        said = line;
    }
    Err(said)
}

/// What `ready udp=… http=… data=…` says.
fn addresses(line: &str) -> Option<(Address, Address)> {
    let mut words = line.split_whitespace().skip_while(|&word| word != "ready").skip(1);
    let udp = words.next()?.strip_prefix("udp=")?.parse().ok()?;
    let http = words.next()?.strip_prefix("http=")?.parse().ok()?;
    Some((udp, http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_tells_where_it_is() {
        let (udp, http) = addresses("ready udp=127.0.0.1:1 http=127.0.0.1:2 data=/tmp/x").unwrap();
        assert_eq!(
            (udp.to_string(), http.to_string()),
            ("127.0.0.1:1".into(), "127.0.0.1:2".into())
        );
        assert_eq!(addresses("error: can't listen"), None);
    }
}
