//! A client of a server's HTTP API and of its stream of events.

use std::fmt;
use std::io::{self, Read as _};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt as _;
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use ureq::Agent;

use super::error::CommandError;
use super::options::{Address, ApiOptions, REPLY_TIMEOUT};

/// The size of the largest chunk in which a body is handed over.
const CHUNK_LEN_MAX: usize = 64 * 1024;

/// How many chunks of a body are read in advance.
const CHUNKS_AHEAD: usize = 4;

/// The longest time without progress within a response.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The delay before another attempt to reach a server.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

pub(crate) struct ApiClient {
    http: Address,
}

/// A response whose body has not been read.
pub(crate) struct Response {
    pub(crate) status: u16,
    parts: mpsc::Receiver<Result<Part, ureq::Error>>,
    http: Address,
}

/// A part of a response.
enum Part {
    Status(u16),
    Chunk(Vec<u8>),
}

/// The WebSocket with the server's events.
pub(crate) struct EventStream {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    http: Address,
}

pub(crate) enum StreamMessage {
    /// The state after the event with this index. Later messages follow on it.
    Snapshot { index: LogIndex, state: Box<State> },
    /// The next events.
    Events { events: Vec<Event> },
    /// There were no events for a while.
    Heartbeat,
}

/// The fields of any message. Not a tagged enum: serde would buffer the state in a form whose maps
/// have only text as keys, and sessions have numbers.
#[derive(Deserialize)]
struct MessageFields {
    #[serde(rename = "type")]
    kind: String,
    index: Option<LogIndex>,
    state: Option<Box<State>>,
    events: Option<Vec<Event>>,
}

/// The part of `GET /api/state` that is used here.
#[derive(Deserialize)]
struct StateResponse {
    state: State,
}

impl ApiClient {
    pub(crate) fn new(options: &ApiOptions) -> Result<Self, CommandError> {
        Ok(Self { http: options.http()? })
    }

    pub(crate) fn at(http: Address) -> Self {
        Self { http }
    }

    /// Whether a server replies at the address.
    pub(crate) async fn is_reachable(&self) -> bool {
        self.get("/healthz").await.is_ok_and(|response| response.status == 200)
    }

    /// Returns the state, and the JSON that the server has sent.
    pub(crate) async fn state(&self) -> Result<(State, String), CommandError> {
        let body = self.body("/api/state").await?;
        let text = String::from_utf8(body).map_err(|error| self.unexpected(&error))?;
        let response: Result<StateResponse, _> = serde_json::from_str(&text);
        Ok((response.map_err(|error| self.unexpected(&error))?.state, text))
    }

    /// Requests a guarded file. Returns none if it does not exist.
    pub(crate) async fn file(&self, name: &str) -> Result<Option<Response>, CommandError> {
        let response = self.get(&format!("/api/files/{name}")).await?;
        match response.status {
            200 => Ok(Some(response)),
            404 => Ok(None),
            status => Err(self.unexpected(&format_args!("status {status}"))),
        }
    }

    /// Opens the stream of events after `after`, or from the current state on.
    pub(crate) async fn event_stream(
        &self,
        after: Option<LogIndex>,
    ) -> Result<EventStream, CommandError> {
        let from = after.map_or_else(String::new, |after| format!("?from={after}"));
        let url = format!("ws://{}/api/events{from}", self.http);
        let connected = timeout(REPLY_TIMEOUT, connect_async(url)).await;
        let (socket, _) = connected
            .map_err(|_| self.no_reply(&"timed out"))?
            .map_err(|error| self.no_reply(&error))?;
        Ok(EventStream { socket, http: self.http.clone() })
    }

    /// Opens the stream as soon as the server is reachable again.
    pub(crate) async fn reconnect(&self, after: Option<LogIndex>) -> EventStream {
        loop {
            if let Ok(stream) = self.event_stream(after).await {
                return stream;
            }
            sleep(RECONNECT_DELAY).await;
        }
    }

    async fn body(&self, path: &str) -> Result<Vec<u8>, CommandError> {
        let mut response = self.get(path).await?;
        if response.status != 200 {
            return Err(self.unexpected(&format_args!("status {}", response.status)));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn get(&self, path: &str) -> Result<Response, CommandError> {
        let mut parts = request(format!("http://{}{path}", self.http));
        let first = timeout(REPLY_TIMEOUT, parts.recv()).await;
        match first.map_err(|_| self.no_reply(&"timed out"))? {
            Some(Ok(Part::Status(status))) => {
                Ok(Response { status, parts, http: self.http.clone() })
            }
            Some(Err(error)) => Err(self.failure(&error)),
            Some(Ok(Part::Chunk(_))) | None => Err(self.unexpected(&"no status")),
        }
    }

    fn failure(&self, error: &ureq::Error) -> CommandError {
        failure(&self.http, error)
    }

    fn no_reply(&self, reason: &dyn fmt::Display) -> CommandError {
        no_reply(&self.http, reason)
    }

    fn unexpected(&self, reason: &dyn fmt::Display) -> CommandError {
        unexpected(&self.http, reason)
    }
}

impl Response {
    /// Returns the next bytes of the body, or none at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        let part = timeout(STALL_MAX, self.parts.recv()).await;
        match part.map_err(|_| no_reply(&self.http, &"the response stalled"))? {
            Some(Ok(Part::Chunk(chunk))) => Ok(Some(chunk)),
            Some(Err(error)) => Err(failure(&self.http, &error)),
            Some(Ok(Part::Status(_))) | None => Ok(None),
        }
    }
}

/// Sends a GET request from a thread of its own, and returns the parts of the response as they
/// arrive. The thread ends with the response, or when the receiver is dropped.
fn request(url: String) -> mpsc::Receiver<Result<Part, ureq::Error>> {
    let (sender, parts) = mpsc::channel(CHUNKS_AHEAD);
    thread::spawn(move || {
        if let Err(error) = send_get(&url, &sender) {
            sender.blocking_send(Err(error)).ok();
        }
    });
    parts
}

fn send_get(url: &str, parts: &mpsc::Sender<Result<Part, ureq::Error>>) -> Result<(), ureq::Error> {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    let response = Agent::new_with_config(config.build()).get(url).call()?;
    parts.blocking_send(Ok(Part::Status(response.status().as_u16()))).ok();
    let mut body = response.into_body().into_reader();
    let mut chunk = vec![0; CHUNK_LEN_MAX];
    loop {
        // A body that is shorter than its declared length is an error.
        let len = match body.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let sent = || parts.blocking_send(Ok(Part::Chunk(chunk[..len].to_vec())));
        if len == 0 || sent().is_err() {
            return Ok(());
        }
    }
}

impl EventStream {
    /// Waits for the next message.
    pub(crate) async fn next(&mut self) -> Result<StreamMessage, CommandError> {
        loop {
            let message = self.socket.next().await;
            let message = message.ok_or_else(|| no_reply(&self.http, &"the stream ended"))?;
            match message.map_err(|error| no_reply(&self.http, &error))? {
                Message::Text(text) => {
                    return parse_message(&text).map_err(|error| unexpected(&self.http, &error));
                }
                Message::Close(_) => return Err(no_reply(&self.http, &"the server stopped")),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn parse_message(text: &str) -> Result<StreamMessage, String> {
    let MessageFields { kind, index, state, events } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    match (kind.as_str(), index, state, events) {
        ("snapshot", Some(index), Some(state), _) => Ok(StreamMessage::Snapshot { index, state }),
        ("events", _, _, Some(events)) => Ok(StreamMessage::Events { events }),
        ("heartbeat", ..) => Ok(StreamMessage::Heartbeat),
        (kind, ..) => Err(format!("a message of type {kind:?}")),
    }
}

fn no_reply(http: &Address, reason: &dyn fmt::Display) -> CommandError {
    CommandError::no_reply(format!(
        "no reply from http://{http} ({reason}); start a server with `leasehold serve`, or set its \
         HTTP address with --http"
    ))
}

fn unexpected(http: &Address, reason: &dyn fmt::Display) -> CommandError {
    CommandError::refused(format!(
        "unexpected reply from http://{http} ({reason}): not a Leasehold server of this version; \
         set another HTTP address with --http"
    ))
}

/// A reply that is not HTTP comes from another program; other failures mean that no server replies.
fn failure(http: &Address, error: &ureq::Error) -> CommandError {
    if matches!(error, ureq::Error::Protocol(_) | ureq::Error::Http(_)) {
        unexpected(http, error)
    } else {
        no_reply(http, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_with_sessions_is_parsed() {
        let mut state = State::default();
        let opened = r#"{"index":1,"at_ms":0,"type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}"#;
        state.apply(&serde_json::from_str(opened).unwrap());
        let message = serde_json::json!({"type": "snapshot", "index": 1, "state": state});
        let Ok(StreamMessage::Snapshot { state: parsed, .. }) = parse_message(&message.to_string())
        else {
            panic!("not a snapshot");
        };
        assert_eq!(*parsed, state);
        let heartbeat = parse_message(r#"{"type":"heartbeat","at_ms":1}"#);
        assert!(matches!(heartbeat, Ok(StreamMessage::Heartbeat)));
        assert!(parse_message(r#"{"type":"events"}"#).is_err());
    }

    /// Serves one connection with these bytes, and returns a client of that server.
    fn client_of_server(response: &'static [u8]) -> ApiClient {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            use std::io::Write as _;
            let (mut stream, _) = listener.accept().unwrap();
            // A request of this client fits in one read.
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(response).unwrap();
        });
        ApiClient::at(address.parse().unwrap())
    }

    #[tokio::test]
    async fn a_complete_file_is_read_to_its_end() {
        let client = client_of_server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nline\n");
        let mut response = client.file("file_0").await.unwrap().unwrap();
        assert_eq!(response.chunk().await.unwrap(), Some(b"line\n".to_vec()));
        assert_eq!(response.chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_truncated_file_is_an_error() {
        let client = client_of_server(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nline\n");
        let mut response = client.file("file_0").await.unwrap().unwrap();
        let mut result = response.chunk().await;
        while let Ok(Some(_)) = result {
            result = response.chunk().await;
        }
        assert!(result.is_err(), "{result:?}");
    }

    #[tokio::test]
    async fn a_missing_file_and_another_protocol_are_distinguished() {
        let missing = client_of_server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        assert!(missing.file("file_0").await.unwrap().is_none());
        let other = client_of_server(b"SSH-2.0-OpenSSH_9.2\r\n");
        let error = other.file("file_0").await.err().unwrap().to_string();
        assert!(error.contains("not a Leasehold server"), "{error}");
    }
}
