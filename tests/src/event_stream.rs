//! The event stream, as the page reads it, with the check that nothing is missing from it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

use crate::client::number;
use crate::log::{PATIENCE, tell};

/// A WebSocket on `/api/events`.
///
/// Whatever is read from it is looked at: each message is a snapshot or events, each event's index
/// is one more than the last, and after a snapshot it goes on from there.
pub struct Feed {
    socket: WebSocket<TcpStream>,
    last: Option<u64>,
    events: VecDeque<Value>,
    heard: String,
}

/// What a feed says next.
#[derive(Clone, Debug)]
pub enum Told {
    /// The whole state, and what else that message says.
    Snapshot(Value),
    /// One event.
    Event(Value),
}

impl Feed {
    /// Opens it; a snapshot should come first.
    #[track_caller]
    pub fn open(server: SocketAddr) -> Self {
        Self::open_at(server, "/api/events", None).expect("the stream is there")
    }

    /// Opens it to go on after an event of this index.
    #[track_caller]
    pub fn open_from(server: SocketAddr, index: u64) -> Self {
        let path = format!("/api/events?from={index}");
        let mut feed = Self::open_at(server, &path, None).expect("the stream is there");
        feed.last = Some(index);
        feed
    }

    /// Opens it as a page of this origin would. Where that is refused: the status.
    pub fn open_at(server: SocketAddr, path: &str, origin: Option<&str>) -> Result<Self, u16> {
        // The buffer is small, so that a test need not send megabytes to be a slow reader.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a smaller buffer");
        socket.connect(&server.into()).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut request = format!("ws://{server}{path}").into_client_request().expect("a request");
        if let Some(origin) = origin {
            let value = origin.parse().expect("a header's value");
            request.headers_mut().insert("origin", value);
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => {
                Ok(Self { socket, last: None, events: VecDeque::new(), heard: String::new() })
            }
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// What it says next. Panics where nothing comes.
    #[track_caller]
    pub fn told(&mut self) -> Told {
        self.told_within(PATIENCE).expect("the stream goes on")
    }

    /// What it says next, if that comes in time.
    #[track_caller]
    pub fn told_within(&mut self, span: Duration) -> Option<Told> {
        let deadline = Instant::now() + span;
        loop {
            if let Some(event) = self.events.pop_front() {
                let index = number(&event, "index");
                if let Some(last) = self.last {
                    assert_eq!(index, last + 1, "a gap in the stream before {event}");
                }
                self.last = Some(index);
                tell("feed", &event);
                return Some(Told::Event(event));
            }
            let message = self.message(deadline)?;
            match message["type"].as_str() {
                Some("snapshot") => {
                    assert!(message["state"].is_object(), "no state in {message}");
                    let index = number(&message, "index");
                    tell("feed", format_args!("snapshot at {index}"));
                    self.last = Some(index);
                    return Some(Told::Snapshot(message));
                }
                Some("events") => {
                    let events = message["events"].as_array().expect("a list of events");
                    self.events.extend(events.iter().cloned());
                }
                _ => panic!("neither snapshot nor events: {message}"),
            }
        }
    }

    /// The snapshot that comes now.
    #[track_caller]
    pub fn snapshot(&mut self) -> Value {
        match self.told() {
            Told::Snapshot(snapshot) => snapshot,
            Told::Event(event) => panic!("a snapshot should come before {event}"),
        }
    }

    /// The event that comes now.
    #[track_caller]
    pub fn event(&mut self) -> Value {
        match self.told() {
            Told::Event(event) => event,
            Told::Snapshot(snapshot) => panic!("no snapshot was due: {snapshot}"),
        }
    }

    /// The next event of a type; those before it are passed over.
    #[track_caller]
    pub fn event_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event();
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// The index of the last event that it told of.
    pub fn last(&self) -> u64 {
        self.last.expect("it has said something")
    }

    /// Every message that it has sent, as text.
    pub fn heard(&self) -> &str {
        &self.heard
    }

    #[track_caller]
    fn message(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            let timeout = left.max(Duration::from_millis(1));
            self.socket.get_ref().set_read_timeout(Some(timeout)).expect("a timeout");
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.heard.push_str(&text);
                    self.heard.push('\n');
                    return Some(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => panic!("the stream is JSON text, not {other:?}"),
                Err(tungstenite::Error::Io(why))
                    if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(other) => panic!("the stream broke: {other}"),
            }
        }
    }
}
