//! Viewers of the event stream that cost as little as can be: what comes is counted, and not looked
//! at. They run in a process of their own, so that what they cost is known.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often a viewer says that it is there, unasked.
const PONG_EVERY: Duration = Duration::from_secs(5);

/// A pong with nothing in it, masked by zeros.
const PONG: [u8; 6] = [0x8A, 0x80, 0, 0, 0, 0];

/// A message of text that is a whole one.
const TEXT: u8 = 0x81;

/// How the message of a viewer begins that has fallen behind, or is new.
const SNAPSHOT: &[u8] = b"{\"type\":\"snapshot\"";

/// The longest head of a message from a server.
const HEAD_MAX: usize = 10;

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) messages: u64,
    pub(super) snapshots: u64,
}

/// Where one message ends and the next begins.
#[derive(Debug, Default)]
struct Frames {
    /// The head of the message, and the beginning of what is in it.
    begun: Vec<u8>,
    /// How much of the message is still to come, once that is known.
    left: Option<u64>,
    seen: Seen,
}

/// Opens the stream.
pub(super) fn open(http: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(http)?;
    write!(
        stream,
        "GET /api/events HTTP/1.1\r\nHost: {http}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        ensure!(stream.read(&mut byte)? == 1, "the stream was refused");
        head.push(byte[0]);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Views the stream at this address, so many times, until standard input ends; then tells what
/// came.
pub(crate) fn view(arguments: &[String]) -> anyhow::Result<()> {
    let [address, count] = arguments else { bail!("an address and a number are wanted") };
    let (address, count): (SocketAddr, usize) = (address.parse()?, count.parse()?);
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = open(address)?;
        stream.set_nonblocking(true)?;
        streams.push((stream, Frames::default()));
    }
    println!("open");
    let stdin = std::io::stdin();
    let (mut buffer, mut pong_at) = (vec![0; 1 << 18], Instant::now());
    loop {
        if Instant::now() >= pong_at {
            pong_at = Instant::now() + PONG_EVERY;
            for (stream, _) in &mut streams {
                // It has nothing else to say, so there is room for it.
                let _ = stream.write(&PONG);
            }
        }
        let sockets = streams.iter().map(|(stream, _)| PollFd::new(stream, PollFlags::IN));
        let mut polled: Vec<_> = sockets.collect();
        polled.push(PollFd::new(&stdin, PollFlags::IN));
        let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
        let _ = poll(&mut polled, Some(&timeout));
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.last() == Some(&true) {
            break;
        }
        for ((stream, frames), _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            match stream.read(&mut buffer) {
                Ok(0) => bail!("the stream has ended"),
                Ok(len) => frames.take(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("the stream can't be read"),
            }
        }
    }
    for (_, Frames { seen, .. }) in &streams {
        println!("{} {} {}", seen.bytes, seen.messages, seen.snapshots);
    }
    Ok(())
}

impl Frames {
    fn take(&mut self, mut bytes: &[u8]) {
        self.seen.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if let Some(left) = self.left {
                let skipped = left.min(bytes.len() as u64);
                let (_, rest) = bytes.split_at(usize::try_from(skipped).expect("not longer"));
                bytes = rest;
                self.left = Some(left - skipped).filter(|left| *left > 0);
                if self.left.is_none() {
                    self.begun.clear();
                }
                continue;
            }
            self.begun.push(bytes[0]);
            bytes = &bytes[1..];
            self.look();
        }
    }

    /// Sees whether enough of a message has come to know what it is.
    fn look(&mut self) {
        let Some((head, len)) = head(&self.begun) else { return };
        let wanted = usize::try_from(len).map_or(SNAPSHOT.len(), |len| len.min(SNAPSHOT.len()));
        if self.begun.len() < head + wanted {
            return;
        }
        if self.begun[0] == TEXT {
            self.seen.messages += 1;
            self.seen.snapshots += u64::from(self.begun[head..].starts_with(SNAPSHOT));
        }
        let left = len - wanted as u64;
        self.left = Some(left).filter(|left| *left > 0);
        if self.left.is_none() {
            self.begun.clear();
        }
    }
}

/// How long the head of a message is, and what is in it.
fn head(begun: &[u8]) -> Option<(usize, u64)> {
    let short = begun.get(1)? & 0x7F;
    let bytes = match short {
        126 => 2,
        127 => HEAD_MAX - 2,
        _ => return Some((2, short.into())),
    };
    let len = begun.get(2..2 + bytes)?;
    Some((2 + bytes, len.iter().fold(0, |len, byte| len << 8 | u64::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let mut bytes = vec![TEXT];
        match u16::try_from(text.len()) {
            Ok(len) if len < 126 => bytes.push(u8::try_from(len).unwrap()),
            Ok(len) => {
                bytes.push(126);
                bytes.extend(len.to_be_bytes());
            }
            Err(_) => {
                bytes.push(127);
                bytes.extend((text.len() as u64).to_be_bytes());
            }
        }
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let snapshot = format!("{{\"type\":\"snapshot\"{}", " ".repeat(70_000));
        let events = format!("{{\"type\":\"events\"{}", " ".repeat(300));
        let ping = vec![0x89, 0];
        let all = [message(&snapshot), ping, message(&events), message("{}"), message(&events)];
        let all = all.concat();
        for piece in [1, 7, 1_000, all.len()] {
            let mut frames = Frames::default();
            all.chunks(piece).for_each(|bytes| frames.take(bytes));
            let expected = Seen { bytes: all.len() as u64, messages: 4, snapshots: 1 };
            assert_eq!(frames.seen, expected, "in pieces of {piece}");
        }
    }
}
