//! A client of a server's HTTP API and of its stream of events.

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt as _;
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::error::CommandError;
use super::options::{Address, ApiOptions, REPLY_TIMEOUT};

/// The largest size of the head of a response. That of a Leasehold server has a few hundred bytes.
const HEAD_LEN_MAX: u64 = 64 * 1024;

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
    stream: BufReader<TcpStream>,
    /// The unread length of the body, if the server has sent its length.
    remaining: Option<u64>,
    http: Address,
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
        let response = timeout(REPLY_TIMEOUT, self.send_get(path)).await;
        response.map_err(|_| self.no_reply(&"timed out"))?
    }

    async fn send_get(&self, path: &str) -> Result<Response, CommandError> {
        let no_reply = |error| self.no_reply(&error);
        let mut stream = TcpStream::connect(self.http.to_string()).await.map_err(no_reply)?;
        // With HTTP/1.0 the body is not chunked, and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).await.map_err(no_reply)?;
        let mut head = BufReader::new(stream).take(HEAD_LEN_MAX);
        let (mut lines, mut line) = (Vec::new(), String::new());
        while head.read_line(&mut line).await.map_err(no_reply)? > 0 && !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let status = lines.first().and_then(|line| parse_status(line));
        let status = status.ok_or_else(|| self.unexpected(&"not HTTP"))?;
        let remaining = lines.iter().find_map(|line| parse_content_length(line));
        Ok(Response { status, stream: head.into_inner(), remaining, http: self.http.clone() })
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
        let mut chunk = vec![0; 64 * 1024];
        let read = timeout(STALL_MAX, self.stream.read(&mut chunk)).await;
        let len = read
            .map_err(|_| no_reply(&self.http, &"the response stalled"))?
            .map_err(|error| no_reply(&self.http, &error))?;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(len as u64);
        }
        if len == 0 {
            // A truncated file must not be mistaken for a complete one.
            let is_truncated = self.remaining.is_some_and(|remaining| remaining > 0);
            let truncated = || no_reply(&self.http, &"the response was truncated");
            return if is_truncated { Err(truncated()) } else { Ok(None) };
        }
        chunk.truncate(len);
        Ok(Some(chunk))
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

fn parse_status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

fn parse_content_length(line: &str) -> Option<u64> {
    let (name, value) = line.split_once(':')?;
    if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
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

    #[test]
    fn the_head_of_a_response_is_parsed() {
        assert_eq!(parse_status("HTTP/1.0 404 Not Found\r\n"), Some(404));
        assert_eq!(parse_status("SSH-2.0-OpenSSH\r\n"), None);
        assert_eq!(parse_content_length("Content-Length: 12\r\n"), Some(12));
        assert_eq!(parse_content_length("content-type: text/plain\r\n"), None);
    }
}
