//! A client that implements the protocol itself: the test decides which packet it sends, how often
//! and when.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::datagram::{self, Key};
use crate::log::log;
use crate::rng::random_u64;
use crate::wait::WAIT_LIMIT;

/// A lease that does not expire during a test, even on a slow machine.
pub const LONG_LEASE_MS: u64 = 60_000;
/// A lease that expires soon after its client stops sending.
pub const SHORT_LEASE_MS: u64 = 1_500;
/// How long a client in a wait queue waits before it sends its request again, as the protocol
/// requires.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long a client waits for a reply before it sends a request for the second time.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// The longest time between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How many replies are retained that no caller has asked for.
const UNREAD_REPLIES_MAX: usize = 256;

/// A client, with one session at a time.
pub struct RawClient {
    name: String,
    socket: UdpSocket,
    server: SocketAddr,
    key: Option<Key>,
    session: String,
    lease_ms: u64,
    seq: Arc<AtomicU64>,
    unread: VecDeque<Value>,
    heartbeats: Option<HeartbeatThread>,
}

/// A thread that sends heartbeats until it is dropped.
struct HeartbeatThread {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RawClient {
    /// Creates a client without a session.
    pub fn new(name: &str, server: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            socket: new_socket(),
            server,
            key: None,
            session: String::new(),
            lease_ms: 0,
            seq: Arc::new(AtomicU64::new(0)),
            unread: VecDeque::new(),
            heartbeats: None,
        }
    }

    /// Creates a client with a session whose lease is [`LONG_LEASE_MS`]. It sends no heartbeats by
    /// itself.
    #[track_caller]
    pub fn connect(name: &str, server: SocketAddr) -> Self {
        Self::connect_with_lease(name, server, LONG_LEASE_MS)
    }

    /// Creates a client with a session. It sends no heartbeats by itself.
    #[track_caller]
    pub fn connect_with_lease(name: &str, server: SocketAddr, lease_ms: u64) -> Self {
        let mut client = Self::new(name, server);
        client.open_session(lease_ms);
        client
    }

    /// Signs all packets from now on with this key.
    pub fn set_key(&mut self, key: Key) {
        self.key = Some(key);
    }

    /// Opens a new session, whatever the state of the previous one. Returns the `welcome`.
    ///
    /// # Panics
    /// If the server refuses.
    #[track_caller]
    pub fn open_session(&mut self, lease_ms: u64) -> Value {
        // Late replies to the previous session have sequence numbers that the new one uses too.
        self.stop_heartbeats();
        self.socket = new_socket();
        self.unread.clear();
        let request = self.hello_request(lease_ms);
        let welcome = self.exchange(&request);
        self.adopt_session(&welcome);
        welcome
    }

    /// Returns a `hello` with a new nonce.
    pub fn hello_request(&self, lease_ms: u64) -> Value {
        let nonce = format!("{:016x}", random_u64());
        json!({"v": 1, "op": "hello", "client": self.name, "nonce": nonce, "lease_ms": lease_ms})
    }

    /// Uses the session of a `welcome` from now on.
    #[track_caller]
    pub fn adopt_session(&mut self, welcome: &Value) {
        expect_status(welcome, "welcome");
        self.heartbeats = None;
        self.session = text(welcome, "session");
        self.lease_ms = number(welcome, "lease_ms");
        // A new counter: a thread of the previous session may still use the old one.
        self.seq = Arc::new(AtomicU64::new(0));
    }

    /// Continues with this sequence number, as a client that has sent as many requests would.
    pub fn continue_at_seq(&mut self, seq: u64) {
        self.seq.store(seq - 1, Ordering::Relaxed);
    }

    /// Returns a new request of the session, with the next sequence number, without sending it.
    pub fn request(&mut self, op: &str, fields: &Value) -> Value {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let mut request = json!({"v": 1, "op": op, "session": self.session, "seq": seq});
        let known = request.as_object_mut().expect("an object");
        known.extend(fields.as_object().expect("fields").clone());
        request
    }

    /// Sends a request once.
    pub fn send(&self, request: &Value) {
        log(&self.name, format_args!("-> {}", summary(request)));
        self.send_bytes(request.to_string().as_bytes());
    }

    /// Sends a packet of arbitrary bytes once.
    pub fn send_bytes(&self, bytes: &[u8]) {
        send_signed(&self.socket, self.server, self.key.as_ref(), bytes);
    }

    /// Returns the next reply to a request, or `None` if none arrives within `limit`. Sends
    /// nothing.
    pub fn reply_within(&mut self, request: &Value, limit: Duration) -> Option<Value> {
        let seq = request.get("seq").and_then(Value::as_u64).unwrap_or(0);
        let is_reply = |reply: &Value| reply["re"] == seq;
        if let Some(index) = self.unread.iter().position(is_reply) {
            return self.unread.remove(index);
        }
        let deadline = Instant::now() + limit;
        while let Some(reply) = self.receive(time_left(deadline)) {
            if is_reply(&reply) {
                return Some(reply);
            }
            self.unread.push_back(reply);
            self.unread.truncate(UNREAD_REPLIES_MAX);
        }
        None
    }

    /// Returns the next reply to a request. Sends nothing.
    ///
    /// # Panics
    /// If none arrives within [`WAIT_LIMIT`].
    #[track_caller]
    pub fn reply(&mut self, request: &Value) -> Value {
        let reply = self.reply_within(request, WAIT_LIMIT);
        reply.unwrap_or_else(|| panic!("{} got no reply to {}", self.name, summary(request)))
    }

    /// Returns all replies to a request that the server had sent before it answered a heartbeat,
    /// which this method sends.
    ///
    /// This shows that a request has no further reply, without a wait for silence. It requires a
    /// network that keeps the order of packets.
    #[track_caller]
    pub fn replies_before_heartbeat(&mut self, request: &Value) -> Vec<Value> {
        expect_status(&self.call("heartbeat", &json!({})), "alive");
        std::iter::from_fn(|| self.reply_within(request, Duration::ZERO)).collect()
    }

    /// Sends a request until it is answered, as the protocol requires, and returns the reply.
    ///
    /// # Panics
    /// If no reply arrives within [`WAIT_LIMIT`].
    #[track_caller]
    pub fn exchange(&mut self, request: &Value) -> Value {
        self.exchange_within(request, WAIT_LIMIT)
            .unwrap_or_else(|| panic!("{} got no reply to {}", self.name, summary(request)))
    }

    /// Sends a request until it is answered. Returns `None` if no reply arrives within `limit`.
    pub fn exchange_within(&mut self, request: &Value, limit: Duration) -> Option<Value> {
        let deadline = Instant::now() + limit;
        let mut timeout = RETRY_MIN;
        let mut request = request.clone();
        let mut attempt = request.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        while Instant::now() < deadline {
            self.send(&request);
            if let Some(reply) = self.reply_within(&request, timeout) {
                return Some(reply);
            }
            attempt += 1;
            request["attempt"] = attempt.into();
            timeout = (timeout * 2).min(RETRY_MAX);
        }
        None
    }

    /// Sends a new request of the session until it is answered, and returns the reply.
    ///
    /// # Panics
    /// If no reply arrives within [`WAIT_LIMIT`].
    #[track_caller]
    pub fn call(&mut self, op: &str, fields: &Value) -> Value {
        let request = self.request(op, fields);
        self.exchange(&request)
    }

    /// Sends a request again at each [`POLL_INTERVAL`] until it is no longer queued, and returns
    /// the reply.
    ///
    /// # Panics
    /// If it is queued for longer than twice [`WAIT_LIMIT`].
    #[track_caller]
    pub fn wait_while_queued(&mut self, request: &Value) -> Value {
        let deadline = Instant::now() + 2 * WAIT_LIMIT;
        let mut request = request.clone();
        let mut attempt = request.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        while Instant::now() < deadline {
            let poll = Instant::now() + POLL_INTERVAL;
            while let Some(reply) = self.reply_within(&request, time_left(poll)) {
                if reply["status"] != "queued" {
                    return reply;
                }
            }
            attempt += 1;
            request["attempt"] = attempt.into();
            self.send(&request);
        }
        panic!("{} is still queued: {}", self.name, summary(&request))
    }

    /// Acquires a free lock and returns the token.
    ///
    /// # Panics
    /// If the lock is not granted at once.
    #[track_caller]
    pub fn acquire(&mut self, lock: &str) -> u64 {
        token(&self.call("acquire_lock", &json!({"lock": lock})))
    }

    /// Acquires a lock, waiting for it if necessary, and returns the token.
    #[track_caller]
    pub fn acquire_waiting(&mut self, lock: &str) -> u64 {
        let request = self.send_acquire(lock);
        token(&self.wait_while_queued(&request))
    }

    /// Sends a request for a lock once, willing to wait for a minute, and returns the request.
    pub fn send_acquire(&mut self, lock: &str) -> Value {
        let fields = json!({"lock": lock, "wait_ms": 60_000});
        let request = self.request("acquire_lock", &fields);
        self.send(&request);
        request
    }

    /// Joins the wait queue of a held lock and returns the request, whose next reply is the grant.
    ///
    /// # Panics
    /// If the request is not queued.
    #[track_caller]
    pub fn join_queue(&mut self, lock: &str) -> Value {
        let fields = json!({"lock": lock, "wait_ms": 60_000});
        let request = self.request("acquire_lock", &fields);
        let reply = self.exchange(&request);
        expect_status(&reply, "queued");
        request
    }

    /// Returns an append, without sending it.
    pub fn append_request(&mut self, file: &str, token: u64, data: &str) -> Value {
        self.request("append_file", &json!({"file": file, "token": token, "data": data}))
    }

    /// Sends an append until it is answered, and returns the reply.
    #[track_caller]
    pub fn append(&mut self, file: &str, token: u64, data: &str) -> Value {
        let request = self.append_request(file, token, data);
        self.exchange(&request)
    }

    /// Appends to a file.
    ///
    /// # Panics
    /// If the server refuses.
    #[track_caller]
    pub fn append_ok(&mut self, file: &str, token: u64, data: &str) {
        expect_status(&self.append(file, token, data), "appended");
    }

    /// Releases a lock.
    ///
    /// # Panics
    /// If the server refuses.
    #[track_caller]
    pub fn release(&mut self, lock: &str, token: u64) {
        let reply = self.call("release_lock", &json!({"lock": lock, "token": token}));
        expect_status(&reply, "released");
    }

    /// Acquires a lock, appends to its file, releases the lock, and returns the token.
    #[track_caller]
    pub fn append_under_lock(&mut self, file: &str, data: &str) -> u64 {
        let token = self.acquire_waiting(file);
        self.append_ok(file, token, data);
        self.release(file, token);
        token
    }

    /// Starts to send heartbeats in the background, three for each lease.
    pub fn start_heartbeats(&mut self) {
        let socket = self.socket.try_clone().expect("a socket can be shared");
        let (server, key) = (self.server, self.key.clone());
        let (session, seq) = (self.session.clone(), Arc::clone(&self.seq));
        let interval = Duration::from_millis(self.lease_ms / 3);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let seq = seq.fetch_add(1, Ordering::Relaxed) + 1;
                let heartbeat = json!({"v": 1, "op": "heartbeat", "session": session, "seq": seq});
                send_signed(&socket, server, key.as_ref(), heartbeat.to_string().as_bytes());
            }
        });
        self.heartbeats = Some(HeartbeatThread { stop: Some(stop), thread: Some(thread) });
    }

    /// Stops the heartbeats.
    pub fn stop_heartbeats(&mut self) {
        self.heartbeats = None;
    }

    /// Returns the key of the session, which is a secret between this client and the server.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Returns the lease that the server granted.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// Returns the next datagram, without its trailer, or `None` if none arrives within `limit`.
    ///
    /// # Panics
    /// If the datagram is not JSON.
    pub fn receive(&mut self, limit: Duration) -> Option<Value> {
        let bytes = self.receive_bytes(limit)?;
        let reply = datagram::parse(&bytes).unwrap_or_else(|| panic!("not JSON: {bytes:?}"));
        // Replies to heartbeats are frequent and carry little information.
        if reply["status"] != "alive" {
            log(&self.name, format_args!("<- {}", summary(&reply)));
        }
        Some(reply)
    }

    /// Returns the bytes of the next datagram, or `None` if none arrives within `limit`.
    pub fn receive_bytes(&mut self, limit: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + limit;
        let mut buffer = vec![0; 65_536];
        loop {
            // The standard library rejects a timeout of zero.
            let timeout = time_left(deadline).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(timeout)).expect("a timeout");
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) if from == self.server => {
                    buffer.truncate(len);
                    return Some(buffer);
                }
                // An error, or a datagram from another address.
                Ok(_) | Err(_) if Instant::now() < deadline => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

impl Drop for HeartbeatThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Checks the status of a reply.
///
/// # Panics
/// If it differs.
#[track_caller]
pub fn expect_status(reply: &Value, status: &str) {
    assert_eq!(reply["status"], status, "{}", summary(reply));
}

/// Checks that a reply is an error with this code and a message.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn expect_code(reply: &Value, code: &str) {
    expect_status(reply, "error");
    assert_eq!(reply["code"], code, "{}", summary(reply));
    assert!(reply["message"].is_string(), "no message in {}", summary(reply));
}

/// Returns the token of a grant.
///
/// # Panics
/// If the reply is not a grant.
#[track_caller]
pub fn token(reply: &Value) -> u64 {
    expect_status(reply, "granted");
    number(reply, "token")
}

/// Returns a field that is a number.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn number(reply: &Value, field: &str) -> u64 {
    reply[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {reply}"))
}

/// Returns a field that is a string.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn text(reply: &Value, field: &str) -> String {
    reply[field].as_str().unwrap_or_else(|| panic!("no string {field} in {reply}")).to_owned()
}

fn new_socket() -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", 0)).expect("a socket")
}

fn send_signed(socket: &UdpSocket, to: SocketAddr, key: Option<&Key>, bytes: &[u8]) {
    let signed = key.map(|key| key.sign(bytes));
    // The kernel reports an error if the server is down; a client handles it as a lost packet.
    let _ = socket.send_to(signed.as_deref().unwrap_or(bytes), to);
}

fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Returns a datagram for the log, without the fields that all of them share.
fn summary(datagram: &Value) -> String {
    let mut datagram = datagram.clone();
    if let Some(fields) = datagram.as_object_mut() {
        fields.remove("v");
        fields.remove("session");
    }
    datagram.to_string()
}
