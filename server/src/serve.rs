//! `leasehold serve`: puts the parts together, and takes them apart again in good order.

use std::fs;
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
use tracing::{error, info};

use crate::clock::Clock;
use crate::http;
use crate::published::Published;
use crate::recovery::{self, RecoveredServer};
use crate::service_driver;
use crate::service_loop::{Command, ServiceLoop, ServiceLoopParts};
use crate::state_file;
use crate::storage::Storage;

/// How often the state is written out for people, where it has changed.
const STATE_FILE_INTERVAL: Duration = Duration::from_secs(10);

/// What the kernel may keep of datagrams until they are read or have left, in bytes: a request of
/// each of ten thousand clients at once, at about 800 bytes with what the kernel adds.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Run the lock server.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The UDP address that clients talk to. Beyond loopback, clients show first that they can be
    /// reached where they say they are.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    pub listen: SocketAddr,
    /// The address of the page, the API and the event stream.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7780")]
    pub http: SocketAddr,
    /// Serve no page, no API and no stream.
    #[arg(long)]
    pub no_http: bool,
    /// Where the journal, the state and the guarded files are.
    #[arg(long, value_name = "DIR", default_value = "leasehold-data")]
    pub data_dir: PathBuf,
    /// The lease of a session that asks for none.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_DEFAULT.as_millis())]
    pub lease_ms: u64,
    /// The shortest lease that is given.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_MIN.as_millis())]
    pub lease_min_ms: u64,
    /// The longest lease that is given.
    #[arg(long, value_name = "MS", default_value_t = limits::LEASE_MAX.as_millis())]
    pub lease_max_ms: u64,
    /// A file whose bytes are the key that clients and server share. Each datagram carries a MAC
    /// then, and one without is dropped.
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Start although the journal is damaged or missing: after one longest lease of silence, with
    /// the tokens moved far ahead. What it held is lost.
    #[arg(long)]
    pub accept_data_loss: bool,
    /// How many sessions there may be at once.
    #[arg(long, value_name = "N", default_value_t = limits::SESSIONS_MAX)]
    pub max_sessions: usize,
    /// How many locks may be held or waited for at once.
    #[arg(long, value_name = "N", default_value_t = limits::LOCKS_MAX)]
    pub max_locks: usize,
    /// How many waits there may be at once, over all locks.
    #[arg(long, value_name = "N", default_value_t = limits::WAITERS_MAX)]
    pub max_waiters: usize,
    /// How many guarded files there may be.
    #[arg(long, value_name = "N", default_value_t = limits::FILES_MAX)]
    pub max_files: usize,
    /// How long a guarded file may grow, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = limits::FILE_LEN_MAX)]
    pub max_file_bytes: u64,
}

impl Serve {
    /// Serves until it is interrupted.
    ///
    /// # Errors
    /// Where the server can't start, or can't go on. The message says what helps.
    pub fn run(&self) -> anyhow::Result<()> {
        self.validate()?;
        let key = self.key_file.as_deref().map(read_key).transpose()?;
        fs::create_dir_all(&self.data_dir)
            .with_context(|| format!("can't make the data folder {}", self.data_dir.display()))?;
        let recovered = recovery::recover(&self.data_dir, self.accept_data_loss)?;
        if recovered.data_lost {
            let lease_wait = Duration::from_millis(self.lease_max_ms);
            info!(
                ?lease_wait,
                "what the journal held is lost: silent until every old lease is over"
            );
            thread::sleep(lease_wait);
        }
        let udp = listen_udp(self.listen)?;
        RunningServer::start(self, key, recovered, udp)?.run()
    }

    fn validate(&self) -> anyhow::Result<()> {
        ensure!(self.lease_min_ms > 0, "--lease-min-ms has to be 1 or more");
        ensure!(
            self.lease_min_ms <= self.lease_max_ms,
            "--lease-min-ms is more than --lease-max-ms"
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

/// The parts of a running server.
struct RunningServer {
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
        let RecoveredServer { log, files, start, .. } = recovered;
        let http_listener = if serve.no_http { None } else { Some(listen_http(serve.http)?) };
        let udp_address = udp.local_addr()?;
        let clock = Clock::starting_at(start.state.last_event_at());
        let published = Published::start(start.state.clone());
        let (server, step) = LockServer::start(serve.config(), start, clock.now());
        let (storage, batches) = channel();
        let (completion_sender, completions) = channel();
        let (commands, command_receiver) = channel();
        let driver = service_driver::ServiceDriver::new(key, clock, server, step);
        let parts = ServiceLoopParts {
            socket: udp,
            driver,
            storage,
            completions,
            commands: command_receiver,
        };
        let (service_loop, waker) = ServiceLoop::new(parts)?;
        let storage = Storage {
            log,
            files,
            published: published.clone(),
            completions: completion_sender,
            waker: Arc::clone(&waker),
        };
        let (exit_notifier, thread_exited) = tokio::sync::mpsc::unbounded_channel();
        let threads = vec![
            spawn("storage", exit_notifier.clone(), move || storage.run(&batches))?,
            spawn("service", exit_notifier, move || service_loop.run())?,
        ];
        let data_dir = serve.data_dir.clone();
        Ok(Self {
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

    /// Serves the page beside the lock service, until a signal comes or a part fails.
    fn run(mut self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("no runtime for the page")?;
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
        let http_label =
            http_address.map_or_else(|| "off".to_owned(), |address| address.to_string());
        eprintln!(
            "ready udp={} http={http_label} data={}",
            self.udp_address,
            self.data_dir.display()
        );
        self.wait_for_stop().await?;
        self.commands.send(Command::Stop).ok();
        self.waker.wake().context("the loop can't be woken")?;
        let result = self.join().await;
        let _ = http_stop.send(());
        if let Some(page) = http_task {
            let _ = tokio::time::timeout(Duration::from_secs(2), page).await;
        }
        result
    }

    /// Waits for a signal, or for a thread that has ended by itself.
    async fn wait_for_stop(&mut self) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
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
            // All are joined before the first failure is told.
            let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
            for result in results {
                result.map_err(|_| anyhow::anyhow!("a thread of the server panicked"))??;
            }
            anyhow::Ok(())
        });
        joined.await.context("the threads could not be joined")?
    }

    fn write_state(&self) {
        write_state(&self.published, &self.data_dir);
    }
}

fn listen_udp(address: SocketAddr) -> anyhow::Result<UdpSocket> {
    let socket =
        UdpSocket::bind(address).with_context(|| format!("can't listen on UDP {address}"))?;
    // As much as the system grants. With less, more is lost and asked again.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    // Beyond its bound, where the server may.
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES);
    let _ = sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    Ok(socket)
}

fn listen_http(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address).with_context(|| format!("can't listen on TCP {address}"))
}

/// Writes the state out for people. That it can't be is no reason to end: nothing rests on it.
fn write_state(published: &Published, dir: &Path) {
    if let Err(error) = state_file::write(dir, &published.state()) {
        error!(%error, "server_state.json could not be written");
    }
}

fn spawn(
    name: &str,
    exit_notifier: tokio::sync::mpsc::UnboundedSender<()>,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<anyhow::Result<()>>> {
    /// Tells that the thread has ended, also where it panicked.
    struct NotifyOnExit(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for NotifyOnExit {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let run = move || {
        let _over = NotifyOnExit(exit_notifier);
        run()
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).context("no thread could be started")
}

/// The key in this file: all of its bytes, without the newline that editors add.
///
/// # Errors
/// Where it can't be read, or is empty.
pub fn read_key(path: &Path) -> anyhow::Result<MacKey> {
    let bytes =
        fs::read(path).with_context(|| format!("can't read the key in {}", path.display()))?;
    let key = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    ensure!(!key.is_empty(), "the key file {} is empty", path.display());
    Ok(MacKey::new(key))
}

fn random_key() -> MacKey {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random bits");
    MacKey::new(&bytes)
}
