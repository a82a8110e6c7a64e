//! A lock server within the process, on a network with faults, for tests and examples. Needs the
//! feature `testing`.
//!
//! Its decisions are those of the real server. It keeps everything in memory and has no HTTP API.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{Name, Peer};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::rng::Rng;
use leasehold_core::service::{
    Config, Datagram, Durable, Input, LockServer, Outbox, StartParams, Step,
};
use leasehold_core::state::State;
use leasehold_core::wire::{DecodeRequestError, MacKey, Request, append_mac, verify_mac};

use crate::clock::now;

/// The longest wait for a datagram, so that timers fire and the end is noticed.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(5);

/// A server that runs until it is dropped.
pub struct TestServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Configures a [`TestServer`].
#[derive(Clone, Default)]
pub struct TestServerOptions {
    /// The configuration of the service.
    pub config: Option<Config>,
    /// The key that clients and server share.
    pub key: Option<MacKey>,
    /// The probability that a datagram is lost, in parts per million, in each direction.
    pub loss_ppm: u64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    is_partitioned: AtomicBool,
    dropped_requests: AtomicU64,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    state: State,
    events: Vec<Event>,
    /// The received requests, in order.
    requests: Vec<Request>,
}

struct ServerThread {
    server: LockServer,
    outbox: Outbox,
    socket: UdpSocket,
    shared: Arc<Shared>,
    rng: Rng,
    options: TestServerOptions,
}

impl TestServer {
    /// Starts a server with the default options.
    pub fn start() -> Self {
        Self::start_with(TestServerOptions::default())
    }

    /// Starts a server.
    pub fn start_with(options: TestServerOptions) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("bind to a free port");
        socket.set_read_timeout(Some(RECEIVE_TIMEOUT)).expect("set a timeout");
        let addr = socket.local_addr().expect("the socket is bound");
        let shared = Arc::<Shared>::default();
        let config = options.config.clone().unwrap_or_default();
        let (server, step) = LockServer::start(config, StartParams::default(), now());
        let outbox = Outbox::default();
        let rng = Rng::new(u64::from(addr.port()));
        let shared_for_thread = Arc::clone(&shared);
        let mut server_thread =
            ServerThread { server, outbox, socket, shared: shared_for_thread, rng, options };
        server_thread.process_step(step);
        let thread = thread::spawn(move || server_thread.run());
        Self { addr, shared, thread: Some(thread) }
    }

    /// Returns the UDP address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts or ends a partition: during a partition all datagrams are lost, in both directions.
    pub fn set_partitioned(&self, partitioned: bool) {
        self.shared.is_partitioned.store(partitioned, Ordering::Release);
    }

    /// Returns how many datagrams of clients were dropped so far.
    pub fn dropped_requests(&self) -> u64 {
        self.shared.dropped_requests.load(Ordering::Acquire)
    }

    /// Returns the current state.
    pub fn state(&self) -> State {
        self.history().state.clone()
    }

    /// Returns all events.
    pub fn events(&self) -> Vec<Event> {
        self.history().events.clone()
    }

    /// Returns the received requests, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.history().requests.clone()
    }

    /// Returns the contents of a guarded file.
    pub fn file_contents(&self, name: &str) -> Vec<u8> {
        let name = Name::new(name).expect("a valid name");
        let mut bytes = Vec::new();
        for event in &self.history().events {
            if let EventKind::FileAppended { file, data, .. } = &event.kind
                && *file == name
            {
                bytes.extend_from_slice(data.bytes());
            }
        }
        bytes
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().expect("the server thread did not panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ServerThread {
    fn run(mut self) {
        let mut buffer = [0; DATAGRAM_LEN_MAX + TRAILER_LEN];
        while !self.shared.stop.load(Ordering::Acquire) {
            let received = self.socket.recv_from(&mut buffer);
            let step = match received {
                Ok(_) if self.drops_datagram() => {
                    self.shared.dropped_requests.fetch_add(1, Ordering::Release);
                    continue;
                }
                Ok((len, from)) => {
                    let bytes = match &self.options.key {
                        Some(key) => verify_mac(key, &buffer[..len]),
                        None => Some(&buffer[..len]),
                    };
                    let Some(bytes) = bytes else { continue };
                    let bytes = bytes.to_vec();
                    self.handle_datagram(from, &bytes)
                }
                Err(error) if is_receive_timeout(error.kind()) => {
                    self.server.handle(now(), Input::Timer)
                }
                Err(error) => panic!("the socket of the test server failed: {error}"),
            };
            self.process_step(step);
        }
    }

    fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Step {
        match Request::decode(bytes) {
            Ok(request) => {
                let mut history =
                    self.shared.history.lock().expect("no test panics while it holds the mutex");
                history.requests.push(request);
            }
            Err(
                DecodeRequestError::Drop(_)
                | DecodeRequestError::NotJson
                | DecodeRequestError::Refuse { .. },
            ) => {
                panic!(
                    "the client library sent an invalid request: {:?}",
                    String::from_utf8_lossy(bytes)
                )
            }
        }
        let entropy = u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        self.server.handle(now(), Input::Datagram { from: Peer::new(from), bytes, entropy })
    }

    /// Sends the replies at once, because nothing is written to a disk.
    fn process_step(&mut self, step: Step) {
        let mut replies = Vec::new();
        let events = self.outbox.hold(step, &mut replies);
        let durable = Durable { through: self.server.last_index() };
        self.outbox.release_durable(durable, &mut replies);
        if !events.is_empty() {
            let mut history =
                self.shared.history.lock().expect("no test panics while it holds the mutex");
            history.state = self.server.state().clone();
            history.events.extend(events);
        }
        for datagram in replies {
            self.send(&datagram);
        }
    }

    fn send(&mut self, datagram: &Datagram) {
        if self.drops_datagram() {
            return;
        }
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        if let Some(key) = &self.options.key {
            append_mac(key, &mut bytes);
        }
        // The client may have ended.
        let _ = self.socket.send_to(&bytes, datagram.to.address);
    }

    fn drops_datagram(&mut self) -> bool {
        self.shared.is_partitioned.load(Ordering::Acquire) || self.rng.chance(self.options.loss_ppm)
    }
}

fn is_receive_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}
