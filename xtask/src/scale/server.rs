//! The server that is measured: the real program in a temporary folder, which can be killed and
//! started again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::process;

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is gone, with all that it kept, when this is.
pub(super) struct Server {
    program: PathBuf,
    flags: Vec<String>,
    child: Child,
    pub(super) udp: SocketAddr,
    pub(super) http: SocketAddr,
    /// From its start until it said that it is ready.
    pub(super) start_took: Duration,
    said: Said,
    folder: TempDir,
}

/// The lines that it has said, and when.
type Said = Arc<Mutex<Vec<(Instant, String)>>>;

/// A process that has said where it listens.
struct Ready {
    child: Child,
    udp: SocketAddr,
    http: SocketAddr,
    took: Duration,
}

impl Server {
    pub(super) fn start(program: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("no folder for leasehold")?;
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (said, anywhere) = (Said::default(), SocketAddr::from(([127, 0, 0, 1], 0)));
        let ready = begin(program, folder.path(), &flags, anywhere, &said)?;
        let Ready { child, udp, http, took } = ready;
        let program = program.to_owned();
        Ok(Self { program, flags, child, udp, http, start_took: took, said, folder })
    }

    /// Kills it as a power cut would.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was: the same folder, the same address for datagrams.
    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let folder = self.folder.path();
            match begin(&self.program, folder, &self.flags, self.udp, &self.said) {
                Ok(Ready { child, udp, http, took }) => {
                    (self.child, self.udp, self.http, self.start_took) = (child, udp, http, took);
                    return Ok(());
                }
                // Another socket of this machine may have its port for a moment.
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(error) if !error.to_string().contains("in use") => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server does not end")
    }

    /// Where it keeps everything.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        process::resident(self.pid())
    }

    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        process::processor_time(self.pid())
    }

    /// The lines in which it has said this.
    pub(super) fn said(&self, words: &str) -> Vec<(Instant, String)> {
        let said = self.said.lock().expect("no reader panics");
        said.iter().filter(|(_, line)| line.contains(words)).cloned().collect()
    }

    /// The sum of what its metrics tell under these names, which may have labels.
    pub(super) fn metric(&self, names: &[&str]) -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.http;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        ensure!(text.starts_with("HTTP/1.1 200"), "no metrics: {text}");
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
fn begin(
    program: &Path,
    folder: &Path,
    flags: &[String],
    udp: SocketAddr,
    said: &Said,
) -> anyhow::Result<Ready> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", &udp.to_string(), "--http", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(folder.join("data")).args(flags);
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().context("leasehold can't be run")?;
    let lines = listen(&mut child, said)?;
    let mut heard = String::new();
    while let Ok((at, line)) = lines.recv_timeout(PATIENCE) {
        if let Some((udp, http)) = addresses(&line) {
            return Ok(Ready { child, udp, http, took: at - begun });
        }
        heard = line;
    }
    let _ = child.kill();
    let _ = child.wait();
    bail!("leasehold did not start: {heard}")
}

/// Notes what it says, for as long as it says something.
fn listen(child: &mut Child, said: &Said) -> anyhow::Result<Receiver<(Instant, String)>> {
    let (sender, lines) = channel();
    let reader = BufReader::new(child.stderr.take().context("it says nothing")?);
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            let at = Instant::now();
            said.lock().expect("no reader panics").push((at, line.clone()));
            // Nobody listens to more once it is ready.
            let _ = sender.send((at, line));
        }
    });
    Ok(lines)
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, rest) = line.split_once("ready udp=")?;
    let (udp, rest) = rest.split_once(" http=")?;
    Some((udp.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_up() {
        let text = "# HELP leasehold_a A.\nleasehold_a{type=\"x\"} 3\nleasehold_a{type=\"y\"} 4\n\
                    leasehold_b 5\n";
        assert_eq!(sum(text, &["a{type=\"x\"}", "b"]).to_string(), "8");
        assert_eq!(sum(text, &["c"]).to_string(), "0");
    }

    #[test]
    fn where_it_listens_is_read() {
        let line = "ready udp=127.0.0.1:7 http=127.0.0.1:8 data=/tmp/a b";
        assert_eq!(addresses(line).map(|(udp, http)| (udp.port(), http.port())), Some((7, 8)));
        assert_eq!(addresses("INFO recovered events=0"), None);
    }
}
