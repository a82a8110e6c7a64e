//! What a server tells to those who read: its API, and its stream of events.

use std::fmt;
use std::time::Duration;

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use futures_util::StreamExt as _;

use super::failure::Failure;
use super::target::{Address, PATIENCE, Readable};

/// How long the lines before an answer's body may be. Ours have a few hundred bytes.
const HEAD_LEN_MAX: u64 = 64 * 1024;

/// How long nothing may come of an answer that has begun.
const STALL_MAX: Duration = Duration::from_secs(30);

/// How long to wait before a server that has gone is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The reading side of a server.
pub(crate) struct Page {
    http: Address,
}

/// An answer whose body has not been read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    stream: BufReader<TcpStream>,
    /// What is left of the body, where the server said how long it is.
    left: Option<u64>,
    http: Address,
}

/// The stream of events.
pub(crate) struct Feed {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    http: Address,
}

/// One message of the stream.
pub(crate) enum Told {
    /// The state after this event. What comes next comes after it.
    Snapshot { index: LogIndex, state: Box<State> },
    /// What happened next.
    Events { events: Vec<Event> },
    /// Nothing has happened for a while.
    Heartbeat,
}

/// A message as it stands there. Not an enum with a tag: serde would read the state by way of a
/// form in which the keys of maps are text alone, and sessions have numbers.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    index: Option<LogIndex>,
    state: Option<Box<State>>,
    events: Option<Vec<Event>>,
}

/// What `GET /api/state` says, as far as it matters here.
#[derive(Deserialize)]
struct Whole {
    state: State,
}

impl Page {
    pub(crate) fn of(readable: &Readable) -> Result<Self, Failure> {
        Ok(Self { http: readable.http()? })
    }

    pub(crate) fn at(http: Address) -> Self {
        Self { http }
    }

    /// Whether there is a server.
    pub(crate) async fn is_there(&self) -> bool {
        self.get("/healthz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// The state, and the JSON in which the server told it.
    pub(crate) async fn state(&self) -> Result<(State, String), Failure> {
        let body = self.body("/api/state").await?;
        let text = String::from_utf8(body).map_err(|error| self.nonsense(&error))?;
        let whole: Result<Whole, _> = serde_json::from_str(&text);
        Ok((whole.map_err(|error| self.nonsense(&error))?.state, text))
    }

    /// The bytes of a guarded file, if there is one of this name.
    pub(crate) async fn file(&self, name: &str) -> Result<Option<Answer>, Failure> {
        let answer = self.get(&format!("/api/files/{name}")).await?;
        match answer.status {
            200 => Ok(Some(answer)),
            404 => Ok(None),
            status => Err(self.nonsense(&format_args!("status {status}"))),
        }
    }

    /// The stream of events, from after this one on, or from the state as it is.
    pub(crate) async fn feed(&self, after: Option<LogIndex>) -> Result<Feed, Failure> {
        let from = after.map_or_else(String::new, |after| format!("?from={after}"));
        let url = format!("ws://{}/api/events{from}", self.http);
        let connected = timeout(PATIENCE, connect_async(url)).await;
        let (socket, _) = connected
            .map_err(|_| self.silent(&"no answer"))?
            .map_err(|error| self.silent(&error))?;
        Ok(Feed { socket, http: self.http.clone() })
    }

    /// The same, as soon as the server is there again.
    pub(crate) async fn feed_again(&self, after: Option<LogIndex>) -> Feed {
        loop {
            if let Ok(feed) = self.feed(after).await {
                return feed;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn body(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut answer = self.get(path).await?;
        if answer.status != 200 {
            return Err(self.nonsense(&format_args!("status {}", answer.status)));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn get(&self, path: &str) -> Result<Answer, Failure> {
        timeout(PATIENCE, self.ask(path)).await.map_err(|_| self.silent(&"no answer"))?
    }

    async fn ask(&self, path: &str) -> Result<Answer, Failure> {
        let silent = |error| self.silent(&error);
        let mut stream = TcpStream::connect(self.http.to_string()).await.map_err(silent)?;
        // HTTP/1.0: the answer comes as it is, and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).await.map_err(silent)?;
        let mut head = BufReader::new(stream).take(HEAD_LEN_MAX);
        let (mut lines, mut line) = (Vec::new(), String::new());
        while head.read_line(&mut line).await.map_err(silent)? > 0 && !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let status = lines.first().and_then(|line| status(line));
        let status = status.ok_or_else(|| self.nonsense(&"it is no HTTP"))?;
        let left = lines.iter().find_map(|line| content_len(line));
        Ok(Answer { status, stream: head.into_inner(), left, http: self.http.clone() })
    }

    fn silent(&self, why: &dyn fmt::Display) -> Failure {
        silent(&self.http, why)
    }

    fn nonsense(&self, why: &dyn fmt::Display) -> Failure {
        nonsense(&self.http, why)
    }
}

impl Answer {
    /// The next bytes of the body; none at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut chunk = vec![0; 64 * 1024];
        let read = timeout(STALL_MAX, self.stream.read(&mut chunk)).await;
        let len = read
            .map_err(|_| silent(&self.http, &"the answer stopped"))?
            .map_err(|error| silent(&self.http, &error))?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(len as u64);
        }
        if len == 0 {
            // Half a file must not pass for a whole one.
            let cut_off = self.left.is_some_and(|left| left > 0);
            let failed = || silent(&self.http, &"the answer was cut off");
            return if cut_off { Err(failed()) } else { Ok(None) };
        }
        chunk.truncate(len);
        Ok(Some(chunk))
    }
}

impl Feed {
    /// What comes next.
    pub(crate) async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            let message = self.socket.next().await;
            let message = message.ok_or_else(|| silent(&self.http, &"the stream ended"))?;
            match message.map_err(|error| silent(&self.http, &error))? {
                Message::Text(text) => {
                    return told(&text).map_err(|why| nonsense(&self.http, &why));
                }
                Message::Close(_) => return Err(silent(&self.http, &"the server ended")),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn told(text: &str) -> Result<Told, String> {
    let fields: Fields = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match fields {
        Fields { kind, index: Some(index), state: Some(state), .. } if kind == "snapshot" => {
            Ok(Told::Snapshot { index, state })
        }
        Fields { kind, events: Some(events), .. } if kind == "events" => {
            Ok(Told::Events { events })
        }
        Fields { kind, .. } if kind == "heartbeat" => Ok(Told::Heartbeat),
        Fields { kind, .. } => Err(format!("a message {kind:?}")),
    }
}

fn silent(http: &Address, why: &dyn fmt::Display) -> Failure {
    Failure::no_answer(format!(
        "no answer from http://{http} ({why}); start a server with `leasehold serve`, or name its \
         page with --http"
    ))
}

fn nonsense(http: &Address, why: &dyn fmt::Display) -> Failure {
    Failure::refused(format!(
        "what answers at http://{http} is not a server of this version ({why}); name another with \
         --http"
    ))
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

fn content_len(line: &str) -> Option<u64> {
    let (name, value) = line.split_once(':')?;
    if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_with_sessions_is_read() {
        let mut state = State::default();
        let opened = r#"{"index":1,"at_ms":0,"type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}"#;
        state.apply(&serde_json::from_str(opened).unwrap());
        let message = serde_json::json!({"type": "snapshot", "index": 1, "state": state});
        let Ok(Told::Snapshot { state: read, .. }) = told(&message.to_string()) else {
            panic!("not a snapshot");
        };
        assert_eq!(*read, state);
        assert!(matches!(told(r#"{"type":"heartbeat","at_ms":1}"#), Ok(Told::Heartbeat)));
        assert!(told(r#"{"type":"events"}"#).is_err());
    }

    #[test]
    fn the_head_of_an_answer_is_read() {
        assert_eq!(status("HTTP/1.0 404 Not Found\r\n"), Some(404));
        assert_eq!(status("SSH-2.0-OpenSSH\r\n"), None);
        assert_eq!(content_len("Content-Length: 12\r\n"), Some(12));
        assert_eq!(content_len("content-type: text/plain\r\n"), None);
    }
}
