//! A lock server in the test's own process, with a network that fails when it is told to.
//!
//! It keeps everything in memory, so it tests nothing of the real server but its decisions.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Name, Peer};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::rng::Rng;
use leasehold_core::service::{Config, Datagram, Input, LockServer, Outbox, Start, Step, Stored};
use leasehold_core::state::State;
use leasehold_core::wire::{Key, Malformed, Request, open, seal};

use crate::clock::now;

/// How long it sleeps at most, so that it notices its own end.
const NAP: Duration = Duration::from_millis(5);

/// A server that serves until it is dropped.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How a server is set up for a test.
#[derive(Clone, Default)]
pub struct Setup {
    /// What it decides by.
    pub config: Option<Config>,
    /// The key that it shares with its clients.
    pub key: Option<Key>,
    /// How many datagrams in a million are lost, each way.
    pub loss_ppm: u64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    cut_off: AtomicBool,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    state: State,
    events: Vec<Event>,
    /// The requests that arrived, in order.
    requests: Vec<Request>,
}

struct Machine {
    server: LockServer,
    outbox: Outbox,
    socket: UdpSocket,
    shared: Arc<Shared>,
    rng: Rng,
    setup: Setup,
}

impl Server {
    /// One with the usual settings.
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// One with settings of the test's own.
    pub fn start_with(setup: Setup) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.set_read_timeout(Some(NAP)).expect("a timeout");
        let addr = socket.local_addr().expect("it is bound");
        let shared = Arc::<Shared>::default();
        let config = setup.config.clone().unwrap_or_default();
        let (server, step) = LockServer::start(config, Start::default(), now());
        let outbox = Outbox::default();
        let rng = Rng::new(u64::from(addr.port()));
        let shared_too = Arc::clone(&shared);
        let mut machine = Machine { server, outbox, socket, shared: shared_too, rng, setup };
        machine.take(step);
        let thread = thread::spawn(move || machine.run());
        Self { addr, shared, thread: Some(thread) }
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Loses every datagram, both ways, until it is told otherwise.
    pub fn cut_off(&self, cut_off: bool) {
        self.shared.cut_off.store(cut_off, Ordering::Release);
    }

    /// What is so.
    pub fn state(&self) -> State {
        self.history().state.clone()
    }

    /// What has happened.
    pub fn events(&self) -> Vec<Event> {
        self.history().events.clone()
    }

    /// The requests that have arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.history().requests.clone()
    }

    /// The bytes of a guarded file.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let name = Name::new(name).expect("a name");
        let mut bytes = Vec::new();
        for event in &self.history().events {
            if let Fact::FileAppended { file, data, .. } = &event.fact
                && *file == name
            {
                bytes.extend_from_slice(data.bytes());
            }
        }
        bytes
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().expect("the server's thread lives")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Machine {
    fn run(mut self) {
        let mut buffer = [0; DATAGRAM_LEN_MAX + TRAILER_LEN];
        while !self.shared.stop.load(Ordering::Acquire) {
            let received = self.socket.recv_from(&mut buffer);
            let step = match received {
                Ok(_) if self.loses() => continue,
                Ok((len, from)) => {
                    let bytes = match &self.setup.key {
                        Some(key) => open(key, &buffer[..len]),
                        None => Some(&buffer[..len]),
                    };
                    let Some(bytes) = bytes else { continue };
                    let bytes = bytes.to_vec();
                    self.datagram(from, &bytes)
                }
                Err(error) if is_silence(error.kind()) => self.server.step(now(), Input::Wake),
                Err(error) => panic!("the test's socket failed: {error}"),
            };
            self.take(step);
        }
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Step {
        match Request::decode(bytes) {
            Ok(request) => {
                let mut history = self.shared.history.lock().expect("no test panics with it");
                history.requests.push(request);
            }
            Err(Malformed::Drop(_) | Malformed::NotJson | Malformed::Refuse { .. }) => {
                panic!("a client of ours sent {:?}", String::from_utf8_lossy(bytes))
            }
        }
        let entropy = u128::from(self.rng.bits()) << 64 | u128::from(self.rng.bits());
        self.server.receive(now(), Peer(from), bytes, entropy)
    }

    /// A disk that takes everything at once.
    fn take(&mut self, step: Step) {
        let mut sent = Vec::new();
        let events = self.outbox.hold(step, &mut sent);
        let stored = Stored { through: self.server.index() };
        self.outbox.release(stored, &mut sent);
        self.server.stored(stored);
        if !events.is_empty() {
            let mut history = self.shared.history.lock().expect("no test panics with it");
            history.state = self.server.state().clone();
            history.events.extend(events);
        }
        for datagram in sent {
            self.send(&datagram);
        }
    }

    fn send(&mut self, datagram: &Datagram) {
        if self.loses() {
            return;
        }
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        if let Some(key) = &self.setup.key {
            seal(key, &mut bytes);
        }
        // A client that has ended is no failure.
        let _ = self.socket.send_to(&bytes, datagram.to.0);
    }

    fn loses(&mut self) -> bool {
        self.shared.cut_off.load(Ordering::Acquire) || self.rng.happens(self.setup.loss_ppm)
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}
