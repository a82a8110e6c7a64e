//! Starts and stops the servers that are compared: each on loopback and in a temporary folder.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::environment::output;

/// How long a server may take to start, and to stop.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The source of the Python server, which is passed on the command line.
const COURSEWORK: &str = include_str!("coursework.py");

/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// A running server. Dropping it stops the server and deletes its data.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The name and the version of the server.
    pub(crate) version: String,
    _folder: TempDir,
}

impl Server {
    /// Starts `leasehold serve` with its write-ahead log on disk, or in memory.
    pub(crate) fn leasehold(program: &Path, in_memory: bool) -> anyhow::Result<Self> {
        let folder = if in_memory { TempDir::new_in(MEMORY) } else { TempDir::new() };
        let folder = folder.context("cannot create a folder for leasehold")?;
        let version = version(&program.to_string_lossy()).context("cannot run leasehold")?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-http", "--data-dir"]);
        command.arg(folder.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().context("leasehold has no standard error")?;
        let mut lines = BufReader::new(log).lines();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("ready udp=")?;
            rest.split(' ').next()?.parse().ok()
        });
        let address = ready.context("leasehold has not started")?;
        // The rest of the log has to be read too: the server would block on a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address, version, _folder: folder })
    }

    /// Starts Redis in memory, or with each write flushed before its reply. Returns `None` if it is
    /// not installed.
    pub(crate) fn redis(durable: bool) -> anyhow::Result<Option<Self>> {
        let Some(version) = version("redis-server") else { return Ok(None) };
        let folder = TempDir::new().context("cannot create a folder for Redis")?;
        let address = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        command.args(["--port", &address.port().to_string(), "--dir"]).arg(folder.path());
        if durable {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        let child = spawn_silently(&mut command)?;
        let version = version.split(" sha=").next().unwrap_or_default().to_owned();
        Self { child, address, version, _folder: folder }.wait_until_listening().map(Some)
    }

    /// Starts etcd with one member. Returns `None` if it is not installed.
    pub(crate) fn etcd() -> anyhow::Result<Option<Self>> {
        let Some(version) = version("etcd") else { return Ok(None) };
        let folder = TempDir::new().context("cannot create a folder for etcd")?;
        let (address, peer) = (free_port()?, free_port()?);
        let (clients, peers) = (format!("http://{address}"), format!("http://{peer}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(folder.path());
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        let child = spawn_silently(&mut command)?;
        Self { child, address, version, _folder: folder }.wait_until_listening().map(Some)
    }

    /// Starts the Python server of a first exercise. Returns `None` if Python is not installed.
    pub(crate) fn coursework() -> anyhow::Result<Option<Self>> {
        let Some(version) = version("python3") else { return Ok(None) };
        let mut command = Command::new("python3");
        command.args(["-c", COURSEWORK]);
        Self::start_and_read_port(&mut command, version).map(Some)
    }

    /// Starts the echo server, which is this program.
    pub(crate) fn echo() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        Self::start_and_read_port(command.arg("echo"), "UDP echo".to_owned())
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start_and_read_port(command: &mut Command, version: String) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("cannot create a folder")?;
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {version}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("the server has printed no port")?;
        Ok(Self { child, address: ([127, 0, 0, 1], port).into(), version, _folder: folder })
    }

    fn wait_until_listening(self) -> anyhow::Result<Self> {
        let deadline = Instant::now() + TIME_LIMIT;
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                bail!("{} does not accept connections", self.version);
            }
            thread::sleep(Duration::from_millis(50));
        }
        // A server that accepts connections may still be starting: etcd elects itself first.
        thread::sleep(Duration::from_secs(1));
        Ok(self)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + TIME_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this machine has a file system in memory.
pub(crate) fn has_memory_folder() -> bool {
    TempDir::new_in(MEMORY).is_ok()
}

/// Sends each datagram back until the process is killed.
pub(crate) fn run_echo_server() -> anyhow::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    println!("{}", socket.local_addr()?.port());
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], from)?;
    }
}

fn version(program: &str) -> Option<String> {
    let printed = output(program, &["--version"])?;
    printed.lines().next().map(str::to_owned)
}

fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("there is no free port")?;
    Ok(listener.local_addr()?)
}

fn spawn_silently(command: &mut Command) -> anyhow::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("cannot run the server")
}
