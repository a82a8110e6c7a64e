//! Viewers of the event stream that cost as little as possible: they count messages without parsing
//! them. They run in a process of their own, so that their cost is known.

use std::io::{ErrorKind, IsTerminal as _, Stdin};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tungstenite::{Message, WebSocket};

/// How the message begins that a server sends to a viewer that is new or too slow.
const SNAPSHOT: &str = "{\"type\":\"snapshot\"";

#[derive(Args, Clone, Debug)]
pub(crate) struct ViewOptions {
    /// The HTTP address of the server
    address: SocketAddr,
    /// The number of viewers
    count: usize,
}

/// A connection to the event stream.
pub(super) type EventStream = WebSocket<TcpStream>;

/// The messages that a viewer has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) messages: u64,
    pub(super) snapshots: u64,
}

/// Connects to the event stream.
pub(super) fn connect(http: SocketAddr) -> anyhow::Result<EventStream> {
    let stream = TcpStream::connect(http)?;
    let handshake = tungstenite::client(format!("ws://{http}/api/events"), stream);
    let (stream, _) = handshake.map_err(|error| anyhow::anyhow!("no event stream: {error}"))?;
    Ok(stream)
}

/// Receives events until standard input ends, then prints a line of counts for each viewer.
pub(crate) fn view(options: &ViewOptions) -> anyhow::Result<()> {
    let mut viewers = Vec::new();
    for _ in 0..options.count {
        let stream = connect(options.address)?;
        stream.get_ref().set_nonblocking(true)?;
        viewers.push((stream, Received::default()));
    }
    println!("open");
    let stdin = std::io::stdin();
    anyhow::ensure!(!stdin.is_terminal(), "standard input has to be a pipe");
    while let Some(readable) = poll_viewers(&viewers, &stdin) {
        for ((stream, received), _) in viewers.iter_mut().zip(readable).filter(|(_, it)| *it) {
            receive(stream, received)?;
        }
    }
    for (_, received) in &viewers {
        println!("{} {} {}", received.bytes, received.messages, received.snapshots);
    }
    Ok(())
}

/// Returns which viewers have data, or `None` if standard input has ended.
fn poll_viewers(viewers: &[(EventStream, Received)], stdin: &Stdin) -> Option<Vec<bool>> {
    let sockets = viewers.iter().map(|(stream, _)| PollFd::new(stream.get_ref(), PollFlags::IN));
    let mut polled: Vec<_> = sockets.collect();
    polled.push(PollFd::new(stdin, PollFlags::IN));
    let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
    // An interrupted poll reports nothing, and the caller polls again.
    let _ = poll(&mut polled, Some(&timeout));
    let mut ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
    (ready.pop() == Some(false)).then_some(ready)
}

/// Receives all messages that have arrived. Reading also answers the server's pings.
fn receive(stream: &mut EventStream, received: &mut Received) -> anyhow::Result<()> {
    loop {
        match stream.read() {
            Ok(message) => received.count(&message),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(());
            }
            Err(tungstenite::Error::ConnectionClosed) => bail!("the event stream has ended"),
            Err(error) => return Err(error).context("cannot read the event stream"),
        }
    }
}

impl Received {
    fn count(&mut self, message: &Message) {
        let Message::Text(text) = message else { return };
        self.bytes += text.len() as u64;
        self.messages += 1;
        self.snapshots += u64::from(text.starts_with(SNAPSHOT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_messages_are_counted() {
        let mut received = Received::default();
        received.count(&Message::text("{\"type\":\"snapshot\"}"));
        received.count(&Message::text("{\"type\":\"events\"}"));
        received.count(&Message::Ping("ping".into()));
        assert_eq!(received, Received { bytes: 36, messages: 2, snapshots: 1 });
    }
}
