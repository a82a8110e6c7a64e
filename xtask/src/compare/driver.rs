//! The load for the others: many clients in one thread, each of which begins its next operation
//! when its last one has ended. As `leasehold bench` does it, so that the client's side costs the
//! same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long nothing may be heard before a datagram is sent again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often it looks for datagrams to be sent again.
const LOOK: Duration = Duration::from_millis(100);

/// How a server is spoken to.
pub(crate) trait Talk {
    /// Whether it takes datagrams.
    fn is_udp(&self) -> bool;

    /// Writes a request: of which client, and which of an operation's two.
    fn ask(&self, client: usize, step: Step, out: &mut Vec<u8>);

    /// Looks at what came in answer. Fails where it is not what had to come.
    fn hear(&self, client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Heard>;
}

/// The requests of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Acquire,
    Release,
}

/// Whether an answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// There is more to come.
    Part,
    All,
    /// It answers something else.
    Other,
}

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

struct Client {
    socket: Socket,
    step: Step,
    begun: Instant,
    asked: Instant,
    heard: Vec<u8>,
}

/// Puts load on the server at `server`.
pub(crate) fn drive(server: SocketAddr, talk: &dyn Talk, load: Load) -> anyhow::Result<Measured> {
    let start = Instant::now();
    let (from, until) = (start + load.warm_up, start + load.warm_up + load.duration);
    let mut clients = Vec::new();
    for number in 0..load.clients {
        let mut client = Client::connect(server, talk.is_udp())?;
        client.ask(number, talk)?;
        clients.push(client);
    }
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut look_at = start + LOOK;
    loop {
        let now = Instant::now();
        if now >= until {
            break;
        }
        if now >= look_at {
            look_at = now + LOOK;
            for (number, client) in clients.iter_mut().enumerate() {
                client.ask_again(number, talk, now)?;
            }
        }
        for number in ready(&clients)? {
            let client = &mut clients[number];
            // As the bench does it: what else there is shows at the next look.
            if let Some(len) = client.socket.read(&mut buffer)?
                && let Some(begun) = client.hear(number, talk, &buffer[..len])?
            {
                let now = Instant::now();
                if from <= now && now < until {
                    latencies.push(now - begun);
                }
            }
        }
    }
    measured(latencies, load.duration)
}

fn measured(mut latencies: Vec<Duration>, duration: Duration) -> anyhow::Result<Measured> {
    ensure!(!latencies.is_empty(), "not one operation was done");
    latencies.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let per_second = latencies.len() as f64 / duration.as_secs_f64();
    let at = |percent: usize| {
        let place = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        latencies[place].as_secs_f64() * 1e6
    };
    Ok(Measured { per_second, p50_us: at(50), p99_us: at(99) })
}

/// The clients for whom something has come.
fn ready(clients: &[Client]) -> anyhow::Result<Vec<usize>> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
    let sockets = clients.iter().map(|client| PollFd::from_borrowed_fd(client.fd(), PollFlags::IN));
    let mut polled: Vec<_> = sockets.collect();
    poll(&mut polled, Some(&timeout)).context("polling failed")?;
    let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(number, _)| number).collect())
}

impl Client {
    fn connect(server: SocketAddr, udp: bool) -> anyhow::Result<Self> {
        let socket = if udp {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            Socket::Udp(socket)
        } else {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Socket::Tcp(stream)
        };
        let now = Instant::now();
        Ok(Self { socket, step: Step::Acquire, begun: now, asked: now, heard: Vec::new() })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }

    fn ask(&mut self, number: usize, talk: &dyn Talk) -> anyhow::Result<()> {
        let mut request = Vec::with_capacity(256);
        talk.ask(number, self.step, &mut request);
        self.asked = Instant::now();
        self.socket.write(&request)
    }

    /// A datagram may have been lost.
    fn ask_again(&mut self, number: usize, talk: &dyn Talk, now: Instant) -> anyhow::Result<()> {
        let silent = now.saturating_duration_since(self.asked) > AGAIN_AFTER;
        if talk.is_udp() && silent { self.ask(number, talk) } else { Ok(()) }
    }

    /// Takes in what was read. Says when the operation began that has ended with it.
    fn hear(
        &mut self,
        number: usize,
        talk: &dyn Talk,
        bytes: &[u8],
    ) -> anyhow::Result<Option<Instant>> {
        self.heard.extend_from_slice(bytes);
        match talk.hear(number, self.step, &self.heard)? {
            Heard::Part => return Ok(None),
            Heard::Other => {
                self.heard.clear();
                return Ok(None);
            }
            Heard::All => self.heard.clear(),
        }
        let ended = match self.step {
            Step::Acquire => {
                self.step = Step::Release;
                None
            }
            Step::Release => {
                self.step = Step::Acquire;
                Some(std::mem::replace(&mut self.begun, Instant::now()))
            }
        };
        self.ask(number, talk)?;
        Ok(ended)
    }
}

impl Socket {
    fn write(&mut self, request: &[u8]) -> anyhow::Result<()> {
        match self {
            // One request at a time: it always fits what the kernel keeps.
            Self::Tcp(stream) => stream.write_all(request).context("a request could not be sent"),
            Self::Udp(socket) => {
                // What is not sent is lost, as any datagram may be.
                let _ = socket.send(request);
                Ok(())
            }
        }
    }

    /// How much was read, if there was anything.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<Option<usize>> {
        let read = match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Udp(socket) => socket.recv(buffer),
        };
        match read {
            Ok(0) => bail!("the server has closed the connection"),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("the server can't be heard"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_done() {
        let latencies = (1..=200).rev().map(Duration::from_micros).collect();
        let measured = measured(latencies, Duration::from_secs(2)).unwrap();
        let shown = [measured.per_second, measured.p50_us, measured.p99_us].map(f64::round);
        assert!(shown.map(|it| format!("{it}")) == ["100", "100", "198"], "{measured:?}");
        assert!(super::measured(Vec::new(), Duration::from_secs(1)).is_err());
    }
}
