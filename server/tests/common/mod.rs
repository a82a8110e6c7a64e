//! An HTTP server for tests, and its clients: plain HTTP requests and viewers of the event stream.
//!
//! A server runs on the real clock, or on one that the test advances: see
//! [`TestHttpServer::with_test_clock`].

#![allow(dead_code, reason = "each test file uses only a part of this module")]

use std::future::Future;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use leasehold_core::digest::Digest;
use leasehold_core::event::{Event, EventKind, RequestId};
use leasehold_core::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::secret::Secret;
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_server::http;
use leasehold_server::log::LogPosition;
use leasehold_server::published::Published;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

/// The limit for events that must happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The session key of [`session_opened`].
pub(crate) const SESSION_KEY: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
/// The nonce of that session's `hello`.
pub(crate) const NONCE: u64 = 0x1122_3344_5566_7788;

/// A running HTTP server.
pub(crate) struct TestHttpServer {
    pub(crate) published: Published,
    pub(crate) address: SocketAddr,
    /// The directory of the guarded files.
    pub(crate) files_dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
    server_task: Option<JoinHandle<anyhow::Result<()>>>,
    /// Set if the test owns the clock.
    clock: Option<UnboundedSender<Advance>>,
    runtime: Runtime,
}

/// A command to advance the test's clock, and the channel that reports completion.
type Advance = (Duration, mpsc::Sender<()>);

impl TestHttpServer {
    /// Starts a server that publishes this state.
    pub(crate) fn with_state(state: State) -> Self {
        let mut server = Self::bind(state);
        let serving = server.listen();
        server.server_task = Some(server.runtime.spawn(serving));
        server
    }

    /// Starts a server that publishes this state, and whose timers see no time pass except by
    /// [`TestHttpServer::advance`].
    pub(crate) fn with_test_clock(state: State) -> Self {
        let mut server = Self::bind(state);
        let serving = server.listen();
        let (clock, commands) = unbounded_channel();
        thread::spawn(move || run_with_test_clock(serving, commands));
        server.clock = Some(clock);
        server
    }

    fn bind(state: State) -> Self {
        // One thread, as in the program: a handler that blocks it blocks every viewer.
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        Self {
            published: Published::start(state, LogPosition::default()),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            files_dir: tempfile::tempdir().unwrap(),
            stop: None,
            server_task: None,
            clock: None,
            runtime,
        }
    }

    fn listen(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        let dir = self.files_dir.path().to_path_buf();
        http::serve(listener, self.published.clone(), dir, async {
            let _ = stopped.await;
        })
    }

    /// Advances the clock of a server that was started by [`TestHttpServer::with_test_clock`].
    pub(crate) fn advance(&self, duration: Duration) {
        let (done, finished) = mpsc::channel();
        let clock = self.clock.as_ref().expect("the test owns no clock");
        clock.send((duration, done)).expect("the server is running");
        finished.recv_timeout(TIMEOUT).expect("the clock advances");
    }

    /// Returns the stream's next message, and the duration by which the clock had to advance
    /// until the server sent it.
    pub(crate) fn advance_to_message(&self, stream: &mut EventStream) -> (Value, Duration) {
        /// A step that is shorter than the server's timers.
        const STEP: Duration = Duration::from_millis(25);
        let (started, mut advanced) = (Instant::now(), Duration::ZERO);
        loop {
            match stream.next_item_within(Duration::from_millis(2)) {
                Some(StreamItem::Message(message)) => return (message, advanced),
                Some(StreamItem::Closed(code)) => panic!("closed with {code:?}"),
                None => {}
            }
            assert!(started.elapsed() < TIMEOUT, "the stream sends nothing");
            self.advance(STEP);
            advanced += STEP;
        }
    }

    /// Starts a server with one open session.
    pub(crate) fn start() -> Self {
        let server = Self::with_state(State::default());
        server.publish([session_opened(1)]);
        server
    }

    /// Publishes these events and waits until they are visible.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = Event>) {
        self.published.publish(events.into_iter().collect(), LogPosition::default());
        self.wait_until_published();
    }

    pub(crate) fn wait_until_published(&self) {
        self.runtime.block_on(self.published.inspect(|_| ())).expect("the publisher is running");
    }

    /// Stops the server gracefully and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        let server_task = self.server_task.take().unwrap();
        self.runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, server_task).await })
            .expect("the server does not stop")
            .expect("the server panicked")
            .expect("the server failed");
    }

    pub(crate) fn get(&self, path: &str) -> HttpResponse {
        self.request("GET", path, &[])
    }

    /// Sends a request with these headers. `Host` is the server's address unless they contain it.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> HttpResponse {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let own_host = self.address.to_string();
        let has_host = headers.iter().any(|(name, _)| *name == "Host");
        let host = if has_host { &[][..] } else { &[("Host", own_host.as_str())] };
        let mut lines = vec![format!("{method} {path} HTTP/1.1"), "Connection: close".to_owned()];
        lines.extend(headers.iter().chain(host).map(|(name, value)| format!("{name}: {value}")));
        let request = lines.join("\r\n") + "\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        HttpResponse::parse(&bytes)
    }

    /// Opens the event stream, or returns the status if the request is refused.
    pub(crate) fn open_stream(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<EventStream, u16> {
        EventStream::open(self.address, query, headers)
    }

    /// Opens the event stream, starting with a snapshot.
    pub(crate) fn open_stream_from_snapshot(&self) -> EventStream {
        self.open_stream("", &[]).unwrap()
    }
}

/// Runs a server on a paused clock that advances only by commands.
fn run_with_test_clock(
    serving: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    mut commands: UnboundedReceiver<Advance>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // Tokio does not advance a paused clock by itself while a blocking task is running.
        let (release_clock, clock_released) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || clock_released.recv());
        tokio::spawn(serving);
        while let Some((duration, done)) = commands.recv().await {
            tokio::time::advance(duration).await;
            // Lets the server's tasks handle the timers that have expired.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let _ = done.send(());
        }
        drop(release_clock);
    });
}

/// A response to a plain HTTP request.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a response has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Self { status, head, body: bytes[end + 4..].to_vec() };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = decode_chunked(&response.body);
        }
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn decode_chunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|it| it == b"\r\n").unwrap();
        let len = std::str::from_utf8(&bytes[..end]).unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        if len == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 2 + len + 2..];
    }
}

/// A viewer of the event stream.
pub(crate) struct EventStream {
    socket: WebSocket<TcpStream>,
    /// All messages received so far.
    pub(crate) received_text: String,
}

/// An item of the event stream.
#[derive(Debug)]
pub(crate) enum StreamItem {
    Message(Value),
    Closed(Option<u16>),
}

impl EventStream {
    fn open(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut request =
            format!("ws://{address}/api/events{query}").into_client_request().unwrap();
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket, received_text: String::new() }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn next_item(&mut self) -> StreamItem {
        self.next_item_within(TIMEOUT).expect("the stream sends nothing")
    }

    pub(crate) fn next_item_within(&mut self, timeout: Duration) -> Option<StreamItem> {
        self.socket.get_ref().set_read_timeout(Some(timeout)).unwrap();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.received_text.push_str(&text);
                    return Some(StreamItem::Message(serde_json::from_str(&text).unwrap()));
                }
                Ok(Message::Close(frame)) => {
                    let code = frame.map(|CloseFrame { code, .. }| code.into());
                    return Some(StreamItem::Closed(code));
                }
                Ok(Message::Ping(_)) => {}
                Ok(other) => panic!("unexpected message {other:?}"),
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(error) => panic!("the stream failed: {error}"),
            }
        }
    }

    pub(crate) fn next_message(&mut self) -> Value {
        match self.next_item() {
            StreamItem::Message(message) => message,
            StreamItem::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    /// Returns the next message, which must be a snapshot.
    pub(crate) fn expect_snapshot(&mut self) -> Value {
        let message = self.next_message();
        assert_eq!(message["type"], "snapshot");
        message
    }

    /// Returns the events of the next message, which must contain events.
    pub(crate) fn expect_events(&mut self) -> Vec<Event> {
        let message = self.next_message();
        assert_eq!(message["type"], "events");
        serde_json::from_value(message["events"].clone()).unwrap()
    }

    /// Returns whether the server has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(
            self.socket.read(),
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)
        )
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "timeout: {description}");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn event(index: u64, kind: EventKind) -> Event {
    Event { index: LogIndex::new(index), at: Time::from_millis(index), kind }
}

/// Returns the event that opens session 1, with its secrets.
pub(crate) fn session_opened(index: u64) -> Event {
    let kind = EventKind::SessionOpened {
        session_id: SessionId::new(1),
        client: name("ann"),
        lease: Millis::from_secs(5),
        key: Some(Secret::new(SessionKey::from_entropy(SESSION_KEY))),
        nonce: Some(Secret::new(Nonce::new(NONCE))),
    };
    event(index, kind)
}

/// Returns a heartbeat of session 1.
pub(crate) fn lease_renewed(index: u64) -> Event {
    let kind = EventKind::LeaseRenewed {
        session_id: SessionId::new(1),
        client: name("ann"),
        op: Op::Heartbeat,
        request_id: request_id(index),
    };
    event(index, kind)
}

pub(crate) fn datagram_dropped(index: u64) -> Event {
    event(index, EventKind::DatagramDropped { reason: DropReason::NotJson })
}

pub(crate) fn request_id(seq: u64) -> RequestId {
    RequestId { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) }
}
