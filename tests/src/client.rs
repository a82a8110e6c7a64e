//! A client that speaks the protocol by hand: which packet is sent, how often and when, is all up
//! to the test.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::datagram::{self, Key};
use crate::log::{PATIENCE, tell};
use crate::rng::fresh;

/// A lease that no test outlasts: for clients that are to live, however slow the machine is.
pub const LONG: u64 = 60_000;
/// A lease that soon runs out once its client is silent.
pub const SHORT: u64 = 1_500;
/// How long a waiting client lets pass before it asks again, as the protocol has it.
pub const POLL: Duration = Duration::from_millis(500);

/// How many replies to requests that nobody asks about are kept.
const UNREAD_MAX: usize = 256;

/// One client, with one session at a time.
pub struct RawClient {
    name: String,
    socket: UdpSocket,
    server: SocketAddr,
    key: Option<Key>,
    session: String,
    lease_ms: u64,
    seq: Arc<AtomicU64>,
    unread: VecDeque<Value>,
    beating: Option<Beating>,
}

/// The thread that beats the heart of a session, until it is dropped.
struct Beating {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RawClient {
    /// A client without a session.
    pub fn new(name: &str, server: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            socket: fresh_socket(),
            server,
            key: None,
            session: String::new(),
            lease_ms: 0,
            seq: Arc::new(AtomicU64::new(0)),
            unread: VecDeque::new(),
            beating: None,
        }
    }

    /// A client with a session whose lease is [`LONG`].
    #[track_caller]
    pub fn connect(name: &str, server: SocketAddr) -> Self {
        Self::connect_for(name, server, LONG)
    }

    /// A client with a session of this lease. It sends no heartbeats by itself.
    #[track_caller]
    pub fn connect_for(name: &str, server: SocketAddr, lease_ms: u64) -> Self {
        let mut client = Self::new(name, server);
        client.hello(lease_ms);
        client
    }

    /// Adds a trailer made with this key to all that it sends.
    pub fn set_key(&mut self, key: Key) {
        self.key = Some(key);
    }

    /// Opens a new session, whatever became of the last. Panics unless it is welcome.
    #[track_caller]
    pub fn hello(&mut self, lease_ms: u64) -> Value {
        // Late replies to the last session bear numbers that the new one will use too.
        self.fall_silent();
        self.socket = fresh_socket();
        self.unread.clear();
        let request = self.hello_request(lease_ms);
        let welcome = self.insist(&request);
        self.adopt(&welcome);
        welcome
    }

    /// A `hello` with a nonce of its own.
    pub fn hello_request(&self, lease_ms: u64) -> Value {
        let nonce = format!("{:016x}", fresh());
        json!({"v": 1, "op": "hello", "client": self.name, "nonce": nonce, "lease_ms": lease_ms})
    }

    /// Takes the session that a `welcome` gives.
    #[track_caller]
    pub fn adopt(&mut self, welcome: &Value) {
        expect_status(welcome, "welcome");
        self.beating = None;
        self.session = text(welcome, "session");
        self.lease_ms = number(welcome, "lease_ms");
        // A new session numbers its requests anew; the last one's thread keeps its own count.
        self.seq = Arc::new(AtomicU64::new(0));
    }

    /// A new request of its session, with the next number. It is not sent.
    pub fn request(&mut self, op: &str, fields: &Value) -> Value {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let mut request = json!({"v": 1, "op": op, "session": self.session, "seq": seq});
        let known = request.as_object_mut().expect("an object");
        known.extend(fields.as_object().expect("fields").clone());
        request
    }

    /// Sends one packet, once.
    pub fn send(&self, request: &Value) {
        tell(&self.name, format_args!("-> {}", shown(request)));
        self.send_bytes(request.to_string().as_bytes());
    }

    /// Sends one packet of any bytes, once.
    pub fn send_bytes(&self, bytes: &[u8]) {
        send_signed(&self.socket, self.server, self.key.as_ref(), bytes);
    }

    /// The next reply to this request, if one comes in time. Nothing is sent.
    pub fn reply_within(&mut self, request: &Value, span: Duration) -> Option<Value> {
        let seq = request.get("seq").and_then(Value::as_u64).unwrap_or(0);
        let is_reply = |reply: &Value| reply["re"] == seq;
        if let Some(index) = self.unread.iter().position(is_reply) {
            return self.unread.remove(index);
        }
        let deadline = Instant::now() + span;
        while let Some(reply) = self.receive(until(deadline)) {
            if is_reply(&reply) {
                return Some(reply);
            }
            self.unread.push_back(reply);
            self.unread.truncate(UNREAD_MAX);
        }
        None
    }

    /// The next reply to this request. Nothing is sent; panics where none comes.
    #[track_caller]
    pub fn reply(&mut self, request: &Value) -> Value {
        let reply = self.reply_within(request, PATIENCE);
        reply.unwrap_or_else(|| panic!("{} got no reply to {}", self.name, shown(request)))
    }

    /// Sends a request until it is answered, as the protocol has a client do.
    #[track_caller]
    pub fn insist(&mut self, request: &Value) -> Value {
        self.insist_within(request, PATIENCE)
            .unwrap_or_else(|| panic!("{} got no reply to {}", self.name, shown(request)))
    }

    /// As [`Self::insist`], for this long.
    pub fn insist_within(&mut self, request: &Value, span: Duration) -> Option<Value> {
        let deadline = Instant::now() + span;
        let mut pause = Duration::from_millis(200);
        let mut request = request.clone();
        let mut attempt = request.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        while Instant::now() < deadline {
            self.send(&request);
            if let Some(reply) = self.reply_within(&request, pause) {
                return Some(reply);
            }
            attempt += 1;
            request["attempt"] = attempt.into();
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        None
    }

    /// Makes a request of its session, sends it until it is answered, and gives the answer.
    #[track_caller]
    pub fn ask(&mut self, op: &str, fields: &Value) -> Value {
        let request = self.request(op, fields);
        self.insist(&request)
    }

    /// Sends a waiting request again at every poll until it isn't queued any more.
    #[track_caller]
    pub fn wait_out(&mut self, request: &Value) -> Value {
        let deadline = Instant::now() + 2 * PATIENCE;
        let mut request = request.clone();
        let mut attempt = request.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        while Instant::now() < deadline {
            let poll = Instant::now() + POLL;
            while let Some(reply) = self.reply_within(&request, until(poll)) {
                if reply["status"] != "queued" {
                    return reply;
                }
            }
            attempt += 1;
            request["attempt"] = attempt.into();
            self.send(&request);
        }
        panic!("{} waits in vain: {}", self.name, shown(&request))
    }

    /// Gets a lock that is free; gives the token.
    #[track_caller]
    pub fn acquire(&mut self, lock: &str) -> u64 {
        token(&self.ask("acquire_lock", &json!({"lock": lock})))
    }

    /// Gets a lock, however long that takes; gives the token.
    #[track_caller]
    pub fn acquire_waiting(&mut self, lock: &str) -> u64 {
        let request = self.queue(lock);
        token(&self.wait_out(&request))
    }

    /// Asks for a lock, willing to wait for a minute. Sent once, answered by nobody here.
    pub fn queue(&mut self, lock: &str) -> Value {
        let fields = json!({"lock": lock, "wait_ms": 60_000});
        let request = self.request("acquire_lock", &fields);
        self.send(&request);
        request
    }

    /// Stands in line for a lock that is held; gives the request, for its later answer.
    #[track_caller]
    pub fn stand_in_line(&mut self, lock: &str) -> Value {
        let fields = json!({"lock": lock, "wait_ms": 60_000});
        let request = self.request("acquire_lock", &fields);
        let reply = self.insist(&request);
        expect_status(&reply, "queued");
        request
    }

    /// An append, not sent.
    pub fn append_request(&mut self, file: &str, token: u64, data: &str) -> Value {
        self.request("append_file", &json!({"file": file, "token": token, "data": data}))
    }

    /// Appends, until it is answered.
    #[track_caller]
    pub fn append(&mut self, file: &str, token: u64, data: &str) -> Value {
        let request = self.append_request(file, token, data);
        self.insist(&request)
    }

    /// Appends, and panics unless that is done.
    #[track_caller]
    pub fn write(&mut self, file: &str, token: u64, data: &str) {
        expect_status(&self.append(file, token, data), "appended");
    }

    /// Gives a lock back, and panics unless that is done.
    #[track_caller]
    pub fn release(&mut self, lock: &str, token: u64) {
        let reply = self.ask("release_lock", &json!({"lock": lock, "token": token}));
        expect_status(&reply, "released");
    }

    /// Gets a lock, appends, and gives it back; gives the token that it had.
    #[track_caller]
    pub fn turn(&mut self, file: &str, data: &str) -> u64 {
        let token = self.acquire_waiting(file);
        self.write(file, token, data);
        self.release(file, token);
        token
    }

    /// Sends heartbeats from now on, three to a lease, while the test does other things.
    pub fn beat(&mut self) {
        let socket = self.socket.try_clone().expect("a socket can be shared");
        let (server, key) = (self.server, self.key.clone());
        let (session, seq) = (self.session.clone(), Arc::clone(&self.seq));
        let pause = Duration::from_millis(self.lease_ms / 3);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let seq = seq.fetch_add(1, Ordering::Relaxed) + 1;
                let beat = json!({"v": 1, "op": "heartbeat", "session": session, "seq": seq});
                send_signed(&socket, server, key.as_ref(), beat.to_string().as_bytes());
            }
        });
        self.beating = Some(Beating { stop: Some(stop), thread: Some(thread) });
    }

    /// Sends no more heartbeats.
    pub fn fall_silent(&mut self) {
        self.beating = None;
    }

    /// Its session's id.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Its lease, as the server granted it.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// The next datagram, whatever it answers, less any trailer.
    pub fn receive(&mut self, span: Duration) -> Option<Value> {
        let bytes = self.receive_bytes(span)?;
        let reply = datagram::json(&bytes).unwrap_or_else(|| panic!("not JSON: {bytes:?}"));
        // Answers to heartbeats are many and say little.
        if reply["status"] != "alive" {
            tell(&self.name, format_args!("<- {}", shown(&reply)));
        }
        Some(reply)
    }

    /// The bytes of the next datagram.
    pub fn receive_bytes(&mut self, span: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + span;
        let mut buffer = vec![0; 65_536];
        loop {
            // A timeout of nothing would mean none at all.
            let timeout = until(deadline).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(timeout)).expect("a timeout");
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) if from == self.server => {
                    buffer.truncate(len);
                    return Some(buffer);
                }
                // From a stranger, or an error: the wait goes on until its end.
                Ok(_) | Err(_) if Instant::now() < deadline => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Panics unless a reply has this status.
#[track_caller]
pub fn expect_status(reply: &Value, status: &str) {
    assert_eq!(reply["status"], status, "{}", shown(reply));
}

/// Panics unless a reply is this error.
#[track_caller]
pub fn expect_code(reply: &Value, code: &str) {
    expect_status(reply, "error");
    assert_eq!(reply["code"], code, "{}", shown(reply));
    assert!(reply["message"].is_string(), "no sentence for a person in {}", shown(reply));
}

/// The token of a grant.
#[track_caller]
pub fn token(reply: &Value) -> u64 {
    expect_status(reply, "granted");
    number(reply, "token")
}

/// A field of a reply that is a number.
#[track_caller]
pub fn number(reply: &Value, field: &str) -> u64 {
    reply[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {reply}"))
}

/// A field of a reply that is text.
#[track_caller]
pub fn text(reply: &Value, field: &str) -> String {
    reply[field].as_str().unwrap_or_else(|| panic!("no text {field} in {reply}")).to_owned()
}

fn fresh_socket() -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", 0)).expect("a socket")
}

fn send_signed(socket: &UdpSocket, to: SocketAddr, key: Option<&Key>, bytes: &[u8]) {
    let signed = key.map(|key| key.sign(bytes));
    // A server that is down answers through the kernel; a client takes that for silence.
    let _ = socket.send_to(signed.as_deref().unwrap_or(bytes), to);
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// A datagram for the story: what every one of them says is left out.
fn shown(datagram: &Value) -> String {
    let mut datagram = datagram.clone();
    if let Some(fields) = datagram.as_object_mut() {
        fields.remove("v");
        fields.remove("session");
    }
    datagram.to_string()
}
