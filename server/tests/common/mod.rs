//! A page that is served for a test, and those who look at it: by plain HTTP and by the stream.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use leasehold_core::digest::Digest;
use leasehold_core::event::{Event, EventKind, RequestId};
use leasehold_core::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::secret::Secret;
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_server::http;
use leasehold_server::published::Published;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

/// How long a test waits for what has to come.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// What opens the session of [`session_opened`], in the words of the wire.
pub(crate) const SESSION_KEY: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
/// The nonce of its `hello`.
pub(crate) const NONCE: u64 = 0x1122_3344_5566_7788;

/// A page being served.
pub(crate) struct TestHttpServer {
    pub(crate) published: Published,
    pub(crate) address: SocketAddr,
    /// Where the guarded files are.
    pub(crate) files_dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
    server_task: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
    runtime: Runtime,
}

impl TestHttpServer {
    /// Serves what was published from this state on.
    pub(crate) fn with_state(state: State) -> Self {
        let published = Published::start(state);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files_dir = tempfile::tempdir().unwrap();
        // One thread, as in the program: who blocks it, blocks every viewer.
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = oneshot::channel();
        let dir = files_dir.path().to_path_buf();
        let server = http::serve(listener, published.clone(), dir, async {
            let _ = stopped.await;
        });
        let server_task = Some(runtime.spawn(server));
        Self { published, address, files_dir, stop: Some(stop), server_task, runtime }
    }

    /// Serves a server's first moment, with one session.
    pub(crate) fn start() -> Self {
        let server = Self::with_state(State::default());
        server.publish([session_opened(1)]);
        server
    }

    /// Publishes these events, and waits until they can be seen.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = Event>) {
        self.published.publish(events.into_iter().collect());
        self.wait_until_published();
    }

    pub(crate) fn wait_until_published(&self) {
        self.runtime.block_on(self.published.inspect(|_| ())).expect("events can be seen");
    }

    /// Ends it as a server does, and says how long that took.
    pub(crate) fn stop(&mut self) -> Duration {
        let started = Instant::now();
        self.stop.take().unwrap().send(()).unwrap();
        let server_task = self.server_task.take().unwrap();
        self.runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, server_task).await })
            .expect("it ends")
            .expect("it doesn't panic")
            .expect("it has served");
        started.elapsed()
    }

    pub(crate) fn get(&self, path: &str) -> HttpResponse {
        self.request("GET", path, &[])
    }

    /// A request with these headers; `Host` is its own unless they say otherwise.
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

    /// Follows the stream. Where that is refused: the status.
    pub(crate) fn open_stream(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<EventStream, u16> {
        EventStream::open(self.address, query, headers)
    }

    /// Follows the stream from a snapshot on.
    pub(crate) fn open_stream_from_snapshot(&self) -> EventStream {
        self.open_stream("", &[]).unwrap()
    }
}

/// What came back over plain HTTP.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
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

/// One who follows the stream.
pub(crate) struct EventStream {
    socket: WebSocket<TcpStream>,
    /// All that it was told, as text.
    pub(crate) received_text: String,
}

/// What the stream says next.
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
        self.next_item_within(TIMEOUT).expect("the stream says something")
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
                Ok(other) => panic!("neither text nor a ping: {other:?}"),
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(error) => panic!("the stream broke: {error}"),
            }
        }
    }

    pub(crate) fn next_message(&mut self) -> Value {
        match self.next_item() {
            StreamItem::Message(message) => message,
            StreamItem::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    /// The snapshot that comes now.
    pub(crate) fn expect_snapshot(&mut self) -> Value {
        let message = self.next_message();
        assert_eq!(message["type"], "snapshot");
        message
    }

    /// The events that come now, in one message.
    pub(crate) fn expect_events(&mut self) -> Vec<Event> {
        let message = self.next_message();
        assert_eq!(message["type"], "events");
        serde_json::from_value(message["events"].clone()).unwrap()
    }

    /// Whether the server has let go of it: nothing comes any more.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(
            self.socket.read(),
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)
        )
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn event(index: u64, kind: EventKind) -> Event {
    Event { index: LogIndex::new(index), at: Time::from_millis(index), kind }
}

/// Session 1, with secrets.
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

/// A heartbeat of session 1.
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
