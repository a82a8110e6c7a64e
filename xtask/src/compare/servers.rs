//! The servers that are compared: each in a folder of its own, on loopback, ended by its id.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::run::output;

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The coursework's server, which Python reads from its command line.
const COURSEWORK: &str = include_str!("coursework.py");

/// Where files are kept in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// A server that is gone, with all that it kept, when this is.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it is, and of which version.
    pub(crate) version: String,
    _folder: TempDir,
}

impl Server {
    /// `leasehold serve`, with its journal on disk, or in memory.
    pub(crate) fn leasehold(program: &Path, in_memory: bool) -> anyhow::Result<Self> {
        let folder = if in_memory { TempDir::new_in(MEMORY) } else { TempDir::new() };
        let folder = folder.context("no folder for leasehold")?;
        let version = version(&program.to_string_lossy()).context("leasehold can't be run")?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-http", "--data-dir"]);
        command.arg(folder.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = child.stderr.take().context("it says nothing")?;
        let mut lines = BufReader::new(said).lines();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("ready udp=")?;
            rest.split(' ').next()?.parse().ok()
        });
        let address = ready.context("leasehold did not start")?;
        // Whatever else it says has to be read, or it would wait for that.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address, version, _folder: folder })
    }

    /// Redis: all in memory, or each write flushed before its answer. None where it is not there.
    pub(crate) fn redis(durable: bool) -> anyhow::Result<Option<Self>> {
        let Some(version) = version("redis-server") else { return Ok(None) };
        let folder = TempDir::new().context("no folder for Redis")?;
        let address = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        command.args(["--port", &address.port().to_string(), "--dir"]).arg(folder.path());
        if durable {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        let child = quiet(&mut command)?;
        let version = version.split(" sha=").next().unwrap_or_default().to_owned();
        Self { child, address, version, _folder: folder }.when_it_listens().map(Some)
    }

    /// etcd, alone. None where it is not there.
    pub(crate) fn etcd() -> anyhow::Result<Option<Self>> {
        let Some(version) = version("etcd") else { return Ok(None) };
        let folder = TempDir::new().context("no folder for etcd")?;
        let (address, peer) = (free_port()?, free_port()?);
        let (clients, peers) = (format!("http://{address}"), format!("http://{peer}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(folder.path());
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        let child = quiet(&mut command)?;
        Self { child, address, version, _folder: folder }.when_it_listens().map(Some)
    }

    /// The server of a first exercise. None without Python.
    pub(crate) fn coursework() -> anyhow::Result<Option<Self>> {
        let Some(version) = version("python3") else { return Ok(None) };
        let mut command = Command::new("python3");
        command.args(["-c", COURSEWORK]);
        Self::that_prints_its_port(&mut command, version).map(Some)
    }

    /// The echo, which is this program too.
    pub(crate) fn echo() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("no program")?;
        let mut command = Command::new(program);
        Self::that_prints_its_port(command.arg("compare-echo"), "UDP echo".to_owned())
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn that_prints_its_port(command: &mut Command, version: String) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("no folder")?;
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{version} can't be run"))?;
        let mut line = String::new();
        let said = child.stdout.take().context("it says nothing")?;
        BufReader::new(said).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("it says no port")?;
        Ok(Self { child, address: ([127, 0, 0, 1], port).into(), version, _folder: folder })
    }

    fn when_it_listens(self) -> anyhow::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                bail!("{} does not listen", self.version);
            }
            thread::sleep(Duration::from_millis(50));
        }
        // What listens may still be getting ready: etcd elects itself first.
        thread::sleep(Duration::from_secs(1));
        Ok(self)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether files can be kept in memory here.
pub(crate) fn has_memory_folder() -> bool {
    TempDir::new_in(MEMORY).is_ok()
}

/// Sends back what comes, until it is killed.
pub(crate) fn serve_echo() -> anyhow::Result<()> {
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

fn quiet(command: &mut Command) -> anyhow::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("a server can't be run")
}
