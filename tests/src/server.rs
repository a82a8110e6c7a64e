//! A server: the real program in a process of its own, with a data folder that outlives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::command::leasehold;
use crate::data_dir::Folder;
use crate::log::{PATIENCE, tell};
use crate::process::Process;

/// A server that serves. It is killed when dropped, and its folder removed.
pub struct Server {
    process: Option<Process>,
    udp: SocketAddr,
    http: SocketAddr,
    flags: Vec<String>,
    data: PathBuf,
    /// Removed with the server, where the folder is the server's own.
    temporary: Option<TempDir>,
}

impl Server {
    /// Starts one on an empty folder, with leases of a second unless a client asks for another.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one on an empty folder, with more flags. A flag given here comes after the usual.
    pub fn start_with(flags: &[&str]) -> Self {
        let temporary = TempDir::with_prefix("leasehold-").expect("a temporary folder");
        let data = temporary.path().join("data");
        let mut server = Self::start_in(&data, flags);
        server.temporary = Some(temporary);
        server
    }

    /// Starts one on a folder that is the test's.
    pub fn start_in(data: &Path, flags: &[&str]) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            process: None,
            udp: nowhere,
            http: nowhere,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            data: data.to_owned(),
            temporary: None,
        };
        server.start_again();
        server
    }

    /// Starts it again after it has ended: same folder, same ports.
    pub fn start_again(&mut self) {
        self.start_as(leasehold());
    }

    /// As [`Self::start_again`], by a command that runs the program in a way of its own: the
    /// arguments of `serve` are added to it.
    pub fn start_as(&mut self, mut command: Command) {
        assert!(self.process.is_none(), "it runs already");
        self.add_arguments(&mut command);
        // The port was free for a moment, so another socket of this machine may have taken it.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::begin(&mut command) {
                Ok((process, udp, http)) => {
                    (self.udp, self.http) = (udp, http);
                    self.process = Some(process);
                    return;
                }
                Err(said) => assert!(
                    said.contains("in use") && Instant::now() < deadline,
                    "the server does not start:\n{said}"
                ),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts it where it must refuse to; gives back how it ended and what it said.
    #[track_caller]
    pub fn start_in_vain(&self, flags: &[&str]) -> (ExitStatus, String) {
        assert!(self.process.is_none(), "it runs already");
        let mut command = leasehold();
        self.add_arguments(&mut command);
        command.args(flags);
        let mut process = Process::start("server", &mut command);
        let status = process.ended_within(PATIENCE).expect("it should have refused to start");
        let (output, errors) = process.rest();
        (status, output + &errors)
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill();
    }

    /// Kills it and starts it again.
    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::TERM);
        process.ended_within(PATIENCE).expect("it ends when it is asked to")
    }

    /// Takes note of an end that nobody asked for, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.ended()?;
        tell("server", format_args!("ended by itself, {status}"));
        self.process = None;
        Some(status)
    }

    /// Changes the flags that it is started with from now on.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Where it takes datagrams.
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where its page, its API and its stream are.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Its data folder.
    pub fn data(&self) -> Folder {
        Folder::new(&self.data)
    }

    fn add_arguments(&self, command: &mut Command) {
        command.arg("serve").args(["--listen", &self.udp.to_string()]);
        command.args(["--http", &self.http.to_string(), "--data-dir"]).arg(&self.data);
        let mut given: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        for (flag, value) in [("--lease-ms", "1000"), ("--lease-min-ms", "250")] {
            if !given.contains(&flag) {
                given.extend([flag, value]);
            }
        }
        command.args(given);
    }

    /// One attempt. Where it ends before it is ready: what it said.
    fn begin(command: &mut Command) -> Result<(Process, SocketAddr, SocketAddr), String> {
        let mut process = Process::start("server", command);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(line) = process.error_line_within(Duration::from_millis(100))
                && let Some((udp, http)) = ready(&line)
            {
                tell("server", &line);
                return Ok((process, udp, http));
            }
            if process.ended().is_some() {
                process.rest();
                return Err(process.said());
            }
        }
        Err(format!("never ready:\n{}", process.said()))
    }
}

/// The addresses in `… ready udp=A http=B data=…`, if that is what this line is.
fn ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
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
    fn the_ready_line_is_understood() {
        let addresses = ready("ready udp=127.0.0.1:7700 http=127.0.0.1:7780 data=/tmp/x");
        let expected = (
            "127.0.0.1:7700".parse().expect("address"),
            "127.0.0.1:7780".parse().expect("address"),
        );
        assert_eq!(addresses, Some(expected));
        assert!(ready("2025-01-01 INFO ready udp=1.2.3.4:1 http=1.2.3.4:2 data=x").is_some());
        assert_eq!(ready("already udp=127.0.0.1:7700 http=127.0.0.1:7780 data=x"), None);
        assert_eq!(ready("ready udp=127.0.0.1:7700"), None);
    }
}
