//! `leasehold serve`: starts the parts of the server, connects them, and stops them gracefully.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use leasehold_core::limits;
use leasehold_core::service::{Config, Limits, LockServer};
use leasehold_core::time::Millis;
use leasehold_core::wire::MacKey;
use mio::Waker;
use rustix::net::sockopt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::data_dir::DataDirLock;
use crate::datagrams;
use crate::http;
use crate::published::Published;
use crate::recovery::{self, FILES, RecoveredServer};
use crate::service_driver;
use crate::service_loop::{Command, ServiceLoop, ServiceLoopParts};
use crate::standard_error;
use crate::state_file;
use crate::storage::{Progress, Storage, StorageParts};

/// How often `server_state.json` is written.
const STATE_FILE_INTERVAL: Duration = Duration::from_secs(10);

/// The size of the kernel's receive and send buffers in bytes: one request from each of ten
/// thousand clients, at about 800 bytes including the kernel's overhead.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Run the lock server.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The UDP address for clients. On other than loopback addresses, new clients must first prove
    /// that they can receive at their source address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    pub listen: SocketAddr,
    /// The TCP address of the page, the API and the event stream.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7780")]
    pub http: SocketAddr,
    /// Disable the page, the API and the event stream.
    #[arg(long)]
    pub no_http: bool,
    /// The directory of the log, the state and the guarded files.
    #[arg(long, value_name = "DIR", default_value = "leasehold-data")]
    pub data_dir: PathBuf,
    /// The lease of sessions that do not request one.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_DEFAULT.as_millis())]
    pub lease_ms: u64,
    /// The shortest lease that a session gets.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_MIN.as_millis())]
    pub lease_min_ms: u64,
    /// The longest lease that a session gets.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_MAX.as_millis())]
    pub lease_max_ms: u64,
    /// A file that contains the key shared by clients and server. With a key, each datagram carries
    /// a MAC, and datagrams without a valid one are dropped.
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Start although the log is damaged or missing. Its sessions and locks are lost. The server
    /// waits for one longest lease first, and skips far ahead of all tokens granted before.
    #[arg(long)]
    pub accept_data_loss: bool,
    /// The maximum number of sessions.
    #[arg(long, value_name = "N", default_value_t = limits::SESSIONS_MAX)]
    pub max_sessions: usize,
    /// The maximum number of locks that are held or waited for.
    #[arg(long, value_name = "N", default_value_t = limits::LOCKS_MAX)]
    pub max_locks: usize,
    /// The maximum number of queued requests, over all locks.
    #[arg(long, value_name = "N", default_value_t = limits::WAITERS_MAX)]
    pub max_waiters: usize,
    /// The maximum number of guarded files.
    #[arg(long, value_name = "N", default_value_t = limits::FILES_MAX)]
    pub max_files: usize,
    /// The maximum length of a guarded file in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = limits::FILE_LEN_MAX)]
    pub max_file_bytes: u64,
}

impl Serve {
    /// Runs the server until a signal stops it.
    ///
    /// # Errors
    /// If the server cannot start, or cannot continue.
    pub fn run(&self) -> anyhow::Result<()> {
        self.validate()?;
        let key = self.key_file.as_deref().map(read_key).transpose()?;
        create_data_dir(&self.data_dir)?;
        let recovered = recovery::recover(&self.data_dir, self.accept_data_loss)?;
        // The log is open, so no other server writes here.
        if let Err(error) = state_file::remove_incomplete(&self.data_dir) {
            warn!(%error, "server cannot remove an incomplete server_state.json.new");
        }
        if recovered.data_lost {
            let lease_wait = Duration::from_millis(self.lease_max_ms);
            info!(?lease_wait, "server waits until every lease of the lost log has expired");
            thread::sleep(lease_wait);
        }
        let udp = listen_udp(self.listen)?;
        RunningServer::start(self, key, recovered, udp)?.run()
    }

    fn validate(&self) -> anyhow::Result<()> {
        ensure!(self.lease_min_ms > 0, "--lease-min-ms must be at least 1");
        ensure!(
            self.lease_min_ms <= self.lease_max_ms,
            "--lease-min-ms must not exceed --lease-max-ms"
        );
        Ok(())
    }

    fn config(&self) -> Config {
        let (min, max) = (self.lease_min_ms, self.lease_max_ms);
        Config {
            lease_default: Millis::from_millis(self.lease_ms.clamp(min, max)),
            lease_min: Millis::from_millis(min),
            lease_max: Millis::from_millis(max),
            limits: Limits {
                sessions_max: self.max_sessions,
                locks_max: self.max_locks,
                waiters_max: self.max_waiters,
                files_max: self.max_files,
                file_len_max: self.max_file_bytes,
            },
            cookie_key: (!self.listen.ip().is_loopback()).then(random_key),
        }
    }
}

/// A running server: its threads, and the handles to observe and stop them.
struct RunningServer {
    _lock: DataDirLock,
    published: Published,
    data_dir: PathBuf,
    udp_address: SocketAddr,
    http_listener: Option<std::net::TcpListener>,
    commands: Sender<Command>,
    waker: Arc<Waker>,
    threads: Vec<thread::JoinHandle<anyhow::Result<()>>>,
    thread_exited: tokio::sync::mpsc::UnboundedReceiver<()>,
}

impl RunningServer {
    fn start(
        serve: &Serve,
        key: Option<MacKey>,
        recovered: RecoveredServer,
        udp: UdpSocket,
    ) -> anyhow::Result<Self> {
        let RecoveredServer { lock, log, position, files, file_checksums, start, .. } = recovered;
        let http_listener = if serve.no_http { None } else { Some(listen_http(serve.http)?) };
        let udp_address = udp.local_addr()?;
        let clock = Clock::starting_at(start.state.last_event_at());
        let published = Published::start(start.state.clone(), position);
        let (server, step) = LockServer::start(serve.config(), start, clock.now());
        let (batch_sender, batches) = channel();
        let (completion_sender, completions) = channel();
        let (commands, command_receiver) = channel();
        let driver = service_driver::ServiceDriver::new(key, clock, server, step);
        let parts = ServiceLoopParts {
            socket: udp,
            driver,
            storage: batch_sender,
            completions,
            commands: command_receiver,
        };
        let (service_loop, waker) = ServiceLoop::new(parts)?;
        let parts = StorageParts {
            log,
            files,
            published: published.clone(),
            completions: completion_sender,
            waker: Arc::clone(&waker),
            files_path: serve.data_dir.join(FILES),
            file_checksums: Arc::new(file_checksums),
            progress: Progress::default(),
        };
        let storage = Arc::new(Storage::new(parts, batches));
        let second_storage = Arc::clone(&storage);
        let (exit_notifier, thread_exited) = tokio::sync::mpsc::unbounded_channel();
        let threads = vec![
            spawn("storage", exit_notifier.clone(), move || storage.run())?,
            spawn("storage", exit_notifier.clone(), move || second_storage.run())?,
            spawn("service", exit_notifier, move || service_loop.run())?,
        ];
        let data_dir = serve.data_dir.clone();
        Ok(Self {
            _lock: lock,
            published,
            data_dir,
            udp_address,
            http_listener,
            commands,
            waker,
            threads,
            thread_exited,
        })
    }

    /// Serves HTTP next to the lock service until a signal arrives or a thread ends.
    fn run(mut self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start the runtime for HTTP")?;
        self.write_state();
        let result = runtime.block_on(self.run_until_stopped());
        runtime.shutdown_timeout(Duration::from_secs(1));
        self.write_state();
        result
    }

    async fn run_until_stopped(&mut self) -> anyhow::Result<()> {
        let (http_stop, http_stopped) = tokio::sync::oneshot::channel::<()>();
        let http_address =
            self.http_listener.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let http_task = self.http_listener.take().map(|listener| {
            let published = self.published.clone();
            let files = self.data_dir.join("files");
            tokio::spawn(http::serve(listener, published, files, async {
                let _ = http_stopped.await;
            }))
        });
        // Before the server is ready, so that a signal that follows the ready line stops it.
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let http_label =
            http_address.map_or_else(|| "off".to_owned(), |address| address.to_string());
        // Through the queue of the log, to keep the order.
        let _ = writeln!(
            standard_error::log_writer(),
            "ready udp={} http={http_label} data={}",
            self.udp_address,
            self.data_dir.display()
        );
        self.wait_for_stop(signals).await?;
        self.commands.send(Command::Stop).ok();
        self.waker.wake().context("cannot wake the event loop")?;
        let result = self.join().await;
        let _ = http_stop.send(());
        if let Some(http_task) = http_task {
            let _ = tokio::time::timeout(Duration::from_secs(2), http_task).await;
        }
        result
    }

    /// Waits for a signal, or for a thread to end by itself. Writes the state file meanwhile.
    async fn wait_for_stop(
        &mut self,
        (mut interrupt, mut terminate): (Signal, Signal),
    ) -> anyhow::Result<()> {
        let mut state_file_interval = tokio::time::interval(STATE_FILE_INTERVAL);
        state_file_interval.tick().await;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = self.thread_exited.recv() => return Ok(()),
                _ = state_file_interval.tick() => {
                    let (published, dir) = (self.published.clone(), self.data_dir.clone());
                    tokio::task::spawn_blocking(move || write_state(&published, &dir));
                }
            }
        }
    }

    async fn join(&mut self) -> anyhow::Result<()> {
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            // All threads are joined before the first failure is returned.
            let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
            for result in results {
                result.map_err(|_| {
                    anyhow::anyhow!(
                        "a thread of the server panicked; please report the panic message above"
                    )
                })??;
            }
            anyhow::Ok(())
        });
        joined.await.context("cannot join the threads of the server")?
    }

    fn write_state(&self) {
        write_state(&self.published, &self.data_dir);
    }
}

/// Creates the data directory if it does not exist.
fn create_data_dir(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    if let Ok(target) = fs::read_link(dir) {
        ensure!(
            dir.exists(),
            "data directory {shown} is a link to {}, which does not exist; create it, or choose \
             another directory with --data-dir",
            target.display()
        );
    }
    ensure!(
        dir.is_dir() || !dir.exists(),
        "data directory {shown} is not a directory; choose another one with --data-dir"
    );
    fs::create_dir_all(dir).with_context(|| format!("cannot create data directory {shown}"))
}

fn listen_udp(address: SocketAddr) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)
        .with_context(|| format!("cannot listen on UDP address {address} (--listen)"))?;
    if address.ip().is_unspecified() {
        datagrams::report_local_addresses(&socket, address.is_ipv6())
            .context("cannot ask for the addresses to which datagrams are sent")?;
    }
    // With smaller buffers, more datagrams are lost and sent again, so a failure here is not fatal.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    // A privileged server may exceed the system's limit.
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES);
    let _ = sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    Ok(socket)
}

fn listen_http(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen on TCP address {address} (--http)"))
}

/// Writes the state file. A failure is only logged, because no decision depends on the file.
fn write_state(published: &Published, dir: &Path) {
    let (state, position) = published.state_and_position();
    if let Err(error) = state_file::write(dir, &state, position) {
        error!(%error, "server cannot write server_state.json; free disk space");
    }
}

fn spawn(
    name: &str,
    exit_notifier: tokio::sync::mpsc::UnboundedSender<()>,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<anyhow::Result<()>>> {
    /// Reports that the thread has ended, also after a panic.
    struct NotifyOnExit(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for NotifyOnExit {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let run = move || {
        let _guard = NotifyOnExit(exit_notifier);
        run()
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).context("cannot start a thread")
}

/// Reads the key from this file: all bytes, except for a final newline, which editors add.
///
/// # Errors
/// If the file cannot be read or is empty.
pub fn read_key(path: &Path) -> anyhow::Result<MacKey> {
    let bytes =
        fs::read(path).with_context(|| format!("cannot read key file {}", path.display()))?;
    let key = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    ensure!(!key.is_empty(), "key file {} is empty", path.display());
    Ok(MacKey::new(key))
}

fn random_key() -> MacKey {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system provides randomness");
    MacKey::new(&bytes)
}
