//! The server's event stream, read as the page reads it, with a check that no event is missing.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

use crate::client::number;
use crate::log::log;
use crate::wait::WAIT_LIMIT;

/// A WebSocket on `/api/events`.
///
/// Every message is checked: it is a snapshot or a list of events, and the index of each event is
/// one more than that of the snapshot or event before it.
pub struct EventStream {
    socket: WebSocket<TcpStream>,
    last_index: Option<u64>,
    events: VecDeque<Value>,
    transcript: String,
}

/// An item of an event stream.
#[derive(Clone, Debug)]
pub enum StreamItem {
    /// The message that contains the complete state.
    Snapshot(Value),
    /// One event.
    Event(Value),
}

impl EventStream {
    /// Opens a stream. The server sends a snapshot first.
    #[track_caller]
    pub fn open(server: SocketAddr) -> Self {
        Self::try_open(server, "/api/events", None).expect("the server accepts the stream")
    }

    /// Opens a stream that continues after the event with this index.
    #[track_caller]
    pub fn resume_after(server: SocketAddr, index: u64) -> Self {
        let path = format!("/api/events?from={index}");
        let mut stream =
            Self::try_open(server, &path, None).expect("the server accepts the stream");
        stream.last_index = Some(index);
        stream
    }

    /// Opens a stream with this `origin` header.
    ///
    /// # Errors
    /// Returns the HTTP status if the server refuses.
    pub fn try_open(server: SocketAddr, path: &str, origin: Option<&str>) -> Result<Self, u16> {
        // With a small buffer, a test needs fewer events to make this a slow reader.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a smaller buffer");
        socket.connect(&server.into()).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(WAIT_LIMIT)).expect("a timeout");
        let mut request = format!("ws://{server}{path}").into_client_request().expect("a request");
        if let Some(origin) = origin {
            let value = origin.parse().expect("the value of a header");
            request.headers_mut().insert("origin", value);
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self {
                socket,
                last_index: None,
                events: VecDeque::new(),
                transcript: String::new(),
            }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Returns the next item.
    ///
    /// # Panics
    /// If none arrives within [`WAIT_LIMIT`].
    #[track_caller]
    pub fn next_item(&mut self) -> StreamItem {
        self.next_item_within(WAIT_LIMIT).expect("the stream continues")
    }

    /// Returns the next item, or `None` if none arrives within `limit`.
    ///
    /// # Panics
    /// If an event is missing from the stream, or a message is malformed.
    #[track_caller]
    pub fn next_item_within(&mut self, limit: Duration) -> Option<StreamItem> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(event) = self.events.pop_front() {
                let index = number(&event, "index");
                if let Some(last) = self.last_index {
                    assert_eq!(index, last + 1, "a gap in the stream before {event}");
                }
                self.last_index = Some(index);
                log("stream", &event);
                return Some(StreamItem::Event(event));
            }
            let message = self.message(deadline)?;
            match message["type"].as_str() {
                Some("snapshot") => {
                    assert!(message["state"].is_object(), "no state in {message}");
                    let index = number(&message, "index");
                    log("stream", format_args!("snapshot at {index}"));
                    self.last_index = Some(index);
                    return Some(StreamItem::Snapshot(message));
                }
                Some("events") => {
                    let events = message["events"].as_array().expect("a list of events");
                    self.events.extend(events.iter().cloned());
                }
                _ => panic!("neither a snapshot nor events: {message}"),
            }
        }
    }

    /// Returns the next item, which must be a snapshot.
    #[track_caller]
    pub fn snapshot(&mut self) -> Value {
        match self.next_item() {
            StreamItem::Snapshot(snapshot) => snapshot,
            StreamItem::Event(event) => panic!("expected a snapshot before {event}"),
        }
    }

    /// Returns the next item, which must be an event.
    #[track_caller]
    pub fn event(&mut self) -> Value {
        match self.next_item() {
            StreamItem::Event(event) => event,
            StreamItem::Snapshot(snapshot) => panic!("expected an event, not {snapshot}"),
        }
    }

    /// Returns the next event of this type and skips all events before it.
    #[track_caller]
    pub fn next_event_of_type(&mut self, event_type: &str) -> Value {
        loop {
            let event = self.event();
            if event["type"] == event_type {
                return event;
            }
        }
    }

    /// Returns the index of the last snapshot or event.
    pub fn last_index(&self) -> u64 {
        self.last_index.expect("the stream has returned an item")
    }

    /// Returns the text of every message so far.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    #[track_caller]
    fn message(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            let timeout = left.max(Duration::from_millis(1));
            self.socket.get_ref().set_read_timeout(Some(timeout)).expect("a timeout");
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.transcript.push_str(&text);
                    self.transcript.push('\n');
                    return Some(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => panic!("expected JSON text, not {other:?}"),
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(other) => panic!("the stream failed: {other}"),
            }
        }
    }
}
