//! A server: the real program in its own process, with a data directory that outlives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::command::leasehold;
use crate::data_dir::DataDir;
use crate::log::log;
use crate::process::Process;
use crate::wait::{WAIT_LIMIT, wait_for};

/// How long to wait before a port is tried again that another socket uses.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A running server. When dropped, it is killed and its temporary directory removed.
pub struct Server {
    process: Option<Process>,
    udp: SocketAddr,
    http: SocketAddr,
    flags: Vec<String>,
    data: PathBuf,
    /// The parent of the data directory, unless the test provided one.
    temporary: Option<TempDir>,
}

impl Server {
    /// Starts a server on an empty directory, with a default lease of one second.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server on an empty directory, with more flags. They override the defaults of the
    /// harness.
    pub fn start_with(flags: &[&str]) -> Self {
        let temporary = TempDir::with_prefix("leasehold-").expect("a temporary directory");
        let data = temporary.path().join("data");
        let mut server = Self::start_in(&data, flags);
        server.temporary = Some(temporary);
        server
    }

    /// Starts a server on a directory that belongs to the test.
    pub fn start_in(data: &Path, flags: &[&str]) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            process: None,
            udp: any_port,
            http: any_port,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            data: data.to_owned(),
            temporary: None,
        };
        server.restart();
        server
    }

    /// Starts a server on a directory that belongs to the test, if it does not refuse to start.
    ///
    /// # Errors
    /// Returns the output of the program if it exits.
    pub fn try_start_in(data: &Path, flags: &[&str]) -> Result<Self, String> {
        let mut command = leasehold();
        let addresses = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"];
        command.arg("serve").args(addresses).arg(data).args(flags);
        let (process, udp, http) = Self::try_start(&mut command)?;
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let data = data.to_owned();
        Ok(Self { process: Some(process), udp, http, flags, data, temporary: None })
    }

    /// Starts the server again after its process has ended, with the same directory and ports.
    pub fn restart(&mut self) {
        self.restart_with(leasehold());
    }

    /// Starts the server again by a command that runs the program in a different way. The arguments
    /// of `serve` are added to the command.
    pub fn restart_with(&mut self, mut command: Command) {
        assert!(self.process.is_none(), "the server is already running");
        self.add_arguments(&mut command);
        // While the server was down, another socket of this machine may have taken the port.
        let deadline = Instant::now() + WAIT_LIMIT;
        loop {
            match Self::try_start(&mut command) {
                Ok((process, udp, http)) => {
                    (self.udp, self.http) = (udp, http);
                    self.process = Some(process);
                    return;
                }
                Err(output) => assert!(
                    output.contains("in use") && Instant::now() < deadline,
                    "the server does not start:\n{output}"
                ),
            }
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Starts the program when it must refuse to start. Returns its exit status and its output.
    ///
    /// # Panics
    /// If the program does not exit.
    #[track_caller]
    pub fn expect_start_failure(&self, flags: &[&str]) -> (ExitStatus, String) {
        assert!(self.process.is_none(), "the server is already running");
        let mut command = leasehold();
        self.add_arguments(&mut command);
        command.args(flags);
        let mut process = Process::start("server", &mut command);
        let status = process.wait_within(WAIT_LIMIT).expect("the server refuses to start");
        let (stdout, stderr) = process.remaining_output();
        (status, stdout + &stderr)
    }

    /// Starts the program and kills it as soon as `condition` holds for the data directory, before
    /// the server is ready.
    ///
    /// # Panics
    /// If the condition does not hold, or the program exits.
    #[track_caller]
    pub fn start_and_kill_when(&mut self, condition: impl Fn(&DataDir) -> bool) {
        assert!(self.process.is_none(), "the server is already running");
        let mut command = leasehold();
        self.add_arguments(&mut command);
        let mut process = Process::start("server", &mut command);
        wait_for("the condition to kill the server", || {
            assert!(process.try_wait().is_none(), "the server has exited");
            condition(&self.data_dir()).then_some(())
        });
        process.kill();
    }

    /// Kills the server, as a power failure does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server is running");
        process.kill();
    }

    /// Kills the server and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Requests a graceful shutdown and waits until the server has exited.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the server is running");
        process.signal(Signal::TERM);
        process.wait_within(WAIT_LIMIT).expect("the server exits when it is asked to")
    }

    /// Returns the exit status if the server has exited by itself, or `None` if it is running.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait()?;
        log("server", format_args!("exited by itself, {status}"));
        self.process = None;
        Some(status)
    }

    /// Replaces the flags with which the server is started from now on.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    }

    /// Returns the server's process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server is running")
    }

    /// Returns the address for datagrams.
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Returns the address of the page, the HTTP interface and the event stream.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> DataDir {
        DataDir::new(&self.data)
    }

    fn add_arguments(&self, command: &mut Command) {
        command.arg("serve").args(["--listen", &self.udp.to_string()]);
        command.args(["--http", &self.http.to_string(), "--data-dir"]).arg(&self.data);
        let mut flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        for (flag, value) in [("--lease-ms", "1000"), ("--lease-min-ms", "250")] {
            if !flags.contains(&flag) {
                flags.extend([flag, value]);
            }
        }
        command.args(flags);
    }

    /// Starts the program and waits until it is ready.
    ///
    /// # Errors
    /// Returns the output of the program if it exits first.
    fn try_start(command: &mut Command) -> Result<(Process, SocketAddr, SocketAddr), String> {
        let mut process = Process::start("server", command);
        let deadline = Instant::now() + WAIT_LIMIT;
        while Instant::now() < deadline {
            if let Some(line) = process.error_line_within(Duration::from_millis(100))
                && let Some((udp, http)) = parse_ready_line(&line)
            {
                log("server", &line);
                return Ok((process, udp, http));
            }
            if process.try_wait().is_some() {
                process.remaining_output();
                return Err(process.transcript());
            }
        }
        Err(format!("the server is not ready:\n{}", process.transcript()))
    }
}

/// Returns the addresses in the line `… ready udp=A http=B data=…`, or `None` for any other line.
fn parse_ready_line(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_whitespace().skip_while(|&word| word != "ready").skip(1);
    let udp = words.next()?.strip_prefix("udp=")?.parse().ok()?;
    let http = words.next()?.strip_prefix("http=")?.parse().ok()?;
    words.next()?.strip_prefix("data=")?;
    Some((udp, http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ready_line_is_recognized() {
        let addresses = parse_ready_line("ready udp=127.0.0.1:7700 http=127.0.0.1:7780 data=/x");
        let expected = (
            "127.0.0.1:7700".parse().expect("an address"),
            "127.0.0.1:7780".parse().expect("an address"),
        );
        assert_eq!(addresses, Some(expected));
        let dated = "2025-01-01 INFO ready udp=1.2.3.4:1 http=1.2.3.4:2 data=x";
        assert!(parse_ready_line(dated).is_some());
        let other = "already udp=127.0.0.1:7700 http=127.0.0.1:7780 data=x";
        assert_eq!(parse_ready_line(other), None);
        assert_eq!(parse_ready_line("ready udp=127.0.0.1:7700"), None);
    }
}
