//! The server under measurement: the real program with a temporary data folder. It can be killed
//! and restarted.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::proc_stat;

/// How long a server may take to start, to stop, and to answer.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the server and deletes its data.
pub(super) struct Server {
    program: PathBuf,
    flags: Vec<String>,
    child: Child,
    pub(super) udp: SocketAddr,
    pub(super) http: SocketAddr,
    /// The time from the last start until the server was ready.
    pub(super) start_time: Duration,
    log: Log,
    folder: TempDir,
}

/// The lines that the server has logged, with their times of arrival.
type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// A process that is ready, with its addresses.
struct Ready {
    child: Child,
    udp: SocketAddr,
    http: SocketAddr,
    start_time: Duration,
}

impl Server {
    pub(super) fn start(program: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("cannot create a folder for leasehold")?;
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (log, any_port) = (Log::default(), SocketAddr::from(([127, 0, 0, 1], 0)));
        let ready = spawn(program, folder.path(), &flags, any_port, &log)?;
        let Ready { child, udp, http, start_time } = ready;
        let program = program.to_owned();
        Ok(Self { program, flags, child, udp, http, start_time, log, folder })
    }

    /// Kills the process without a chance to clean up.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the server again, with the same folder and the same UDP address.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let folder = self.folder.path();
            match spawn(&self.program, folder, &self.flags, self.udp, &self.log) {
                Ok(Ready { child, udp, http, start_time }) => {
                    (self.child, self.udp, self.http) = (child, udp, http);
                    self.start_time = start_time;
                    return Ok(());
                }
                // Another socket may occupy the port for a short time.
                Err(error) if begin.elapsed() > TIME_LIMIT => return Err(error),
                Err(error) if !error.to_string().contains("in use") => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Sends SIGTERM, and waits until the server has stopped.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + TIME_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server has failed: {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server has not stopped within {TIME_LIMIT:?}")
    }

    /// Returns the data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the resident set, in bytes.
    pub(super) fn resident_set(&self) -> anyhow::Result<u64> {
        proc_stat::resident_set(self.pid())
    }

    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        proc_stat::processor_time(self.pid())
    }

    /// Returns the log lines that contain this text.
    pub(super) fn log_lines(&self, text: &str) -> Vec<(Instant, String)> {
        let log = self.log.lock().expect("no thread panics while it holds the log");
        log.iter().filter(|(_, line)| line.contains(text)).cloned().collect()
    }

    /// Returns the sum of these metrics, whose names may include labels.
    pub(super) fn metric(&self, names: &[&str]) -> anyhow::Result<f64> {
        // Each request has a connection of its own, because the server may have been restarted.
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIME_LIMIT)).proxy(None);
        let agent = agent.build().new_agent();
        let response = agent.get(format!("http://{}/metrics", self.http)).call();
        let text = response.context("cannot read the metrics")?.body_mut().read_to_string()?;
        Ok(sum(&text, names))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sum(text: &str, names: &[&str]) -> f64 {
    let values = text.lines().filter_map(|line| line.strip_prefix("leasehold_")?.split_once(' '));
    let values = values.filter(|(name, _)| names.contains(name));
    values.filter_map(|(_, value)| value.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
}

/// Starts a process, and waits until it is ready.
fn spawn(
    program: &Path,
    folder: &Path,
    flags: &[String],
    udp: SocketAddr,
    log: &Log,
) -> anyhow::Result<Ready> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", &udp.to_string(), "--http", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(folder.join("data")).args(flags);
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().context("cannot run leasehold")?;
    let lines = read_log(&mut child, log)?;
    let mut last = String::new();
    while let Ok((at, line)) = lines.recv_timeout(TIME_LIMIT) {
        if let Some((udp, http)) = parse_ready(&line) {
            return Ok(Ready { child, udp, http, start_time: at - begin });
        }
        last = line;
    }
    let _ = child.kill();
    let _ = child.wait();
    bail!("leasehold has not started: {last}")
}

/// Reads the log in a thread until the process ends.
fn read_log(child: &mut Child, log: &Log) -> anyhow::Result<Receiver<(Instant, String)>> {
    let (sender, lines) = channel();
    let reader = BufReader::new(child.stderr.take().context("leasehold has no standard error")?);
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            let at = Instant::now();
            let mut log = log.lock().expect("no thread panics while it holds the log");
            log.push((at, line.clone()));
            // The receiver is gone once the server is ready.
            let _ = sender.send((at, line));
        }
    });
    Ok(lines)
}

fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, rest) = line.split_once("ready udp=")?;
    let (udp, rest) = rest.split_once(" http=")?;
    Some((udp.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed() {
        let text = "# HELP leasehold_a A.\nleasehold_a{type=\"x\"} 3\nleasehold_a{type=\"y\"} 4\n\
                    leasehold_b 5\n";
        assert_eq!(sum(text, &["a{type=\"x\"}", "b"]).to_string(), "8");
        assert_eq!(sum(text, &["c"]).to_string(), "0");
    }

    #[test]
    fn the_ready_line_contains_the_addresses() {
        let line = "ready udp=127.0.0.1:7 http=127.0.0.1:8 data=/tmp/a b";
        assert_eq!(parse_ready(line).map(|(udp, http)| (udp.port(), http.port())), Some((7, 8)));
        assert_eq!(parse_ready("INFO recovered events=0"), None);
    }
}
