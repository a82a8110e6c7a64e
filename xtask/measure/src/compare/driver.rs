//! Puts load on the other servers: many clients in one thread, each of which starts its next
//! operation when its last one has ended. `leasehold bench` works in the same way, so that the
//! clients of all servers cost the same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::statistics::percentile;

/// How long a client waits for an answer before it sends its datagram again.
const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);

/// How often the driver checks for datagrams to send again.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The protocol of a server.
pub(crate) trait Protocol {
    /// Whether requests are datagrams.
    fn is_udp(&self) -> bool;

    /// Appends the request of a client to `out`.
    fn write_request(&self, client: usize, step: Step, out: &mut Vec<u8>);

    /// Checks the bytes that the server has sent so far.
    ///
    /// # Errors
    /// If they are no valid answer to the request.
    fn check_reply(&self, client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Reply>;
}

/// The requests of an operation, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Acquire,
    Release,
}

/// The state of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Incomplete,
    Complete,
    /// It answers another request.
    Unrelated,
}

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// The result of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
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
    operation_start: Instant,
    last_sent: Instant,
    received: Vec<u8>,
}

/// Puts load on a server.
pub(crate) fn drive(
    server: SocketAddr,
    protocol: &dyn Protocol,
    load: Load,
) -> anyhow::Result<Measurement> {
    let start = Instant::now();
    let (from, until) = (start + load.warm_up, start + load.warm_up + load.duration);
    let mut clients = Vec::new();
    for number in 0..load.clients {
        let mut client = Client::connect(server, protocol.is_udp())?;
        client.send(number, protocol)?;
        clients.push(client);
    }
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut next_check = start + CHECK_INTERVAL;
    loop {
        let now = Instant::now();
        if now >= until {
            break;
        }
        if now >= next_check {
            next_check = now + CHECK_INTERVAL;
            for (number, client) in clients.iter_mut().enumerate() {
                client.retransmit(number, protocol, now)?;
            }
        }
        for number in poll_readable(&clients)? {
            let client = &mut clients[number];
            // One read for each readable socket, as in `leasehold bench`: the next poll reports
            // sockets that have more.
            if let Some(len) = client.socket.read(&mut buffer)?
                && let Some(begin) = client.receive(number, protocol, &buffer[..len])?
            {
                let now = Instant::now();
                if from <= now && now < until {
                    latencies.push(now - begin);
                }
            }
        }
    }
    summarize(latencies, load.duration)
}

fn summarize(mut latencies: Vec<Duration>, duration: Duration) -> anyhow::Result<Measurement> {
    ensure!(!latencies.is_empty(), "no operation was completed");
    latencies.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let per_second = latencies.len() as f64 / duration.as_secs_f64();
    let [p50_us, p99_us] = [5_000, 9_900].map(|it| percentile(&latencies, it).as_secs_f64() * 1e6);
    Ok(Measurement { per_second, p50_us, p99_us })
}

/// Returns the numbers of the clients whose sockets are readable.
fn poll_readable(clients: &[Client]) -> anyhow::Result<Vec<usize>> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: CHECK_INTERVAL.subsec_nanos().into() };
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
        let (step, received) = (Step::Acquire, Vec::new());
        Ok(Self { socket, step, operation_start: now, last_sent: now, received })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }

    fn send(&mut self, number: usize, protocol: &dyn Protocol) -> anyhow::Result<()> {
        let mut request = Vec::with_capacity(256);
        protocol.write_request(number, self.step, &mut request);
        self.last_sent = Instant::now();
        self.socket.write(&request)
    }

    /// Sends a datagram again that may have been lost.
    fn retransmit(
        &mut self,
        number: usize,
        protocol: &dyn Protocol,
        now: Instant,
    ) -> anyhow::Result<()> {
        let is_overdue = now.saturating_duration_since(self.last_sent) > RETRANSMIT_AFTER;
        if protocol.is_udp() && is_overdue { self.send(number, protocol) } else { Ok(()) }
    }

    /// Handles received bytes. Returns the start of the operation that they complete.
    fn receive(
        &mut self,
        number: usize,
        protocol: &dyn Protocol,
        bytes: &[u8],
    ) -> anyhow::Result<Option<Instant>> {
        self.received.extend_from_slice(bytes);
        match protocol.check_reply(number, self.step, &self.received)? {
            Reply::Incomplete => return Ok(None),
            Reply::Unrelated => {
                self.received.clear();
                return Ok(None);
            }
            Reply::Complete => self.received.clear(),
        }
        let completed = match self.step {
            Step::Acquire => {
                self.step = Step::Release;
                None
            }
            Step::Release => {
                self.step = Step::Acquire;
                Some(std::mem::replace(&mut self.operation_start, Instant::now()))
            }
        };
        self.send(number, protocol)?;
        Ok(completed)
    }
}

impl Socket {
    fn write(&mut self, request: &[u8]) -> anyhow::Result<()> {
        match self {
            // A client has one request at a time, which always fits into the send buffer.
            Self::Tcp(stream) => stream.write_all(request).context("cannot send a request"),
            Self::Udp(socket) => {
                // A datagram that cannot be sent counts as lost.
                let _ = socket.send(request);
                Ok(())
            }
        }
    }

    /// Returns the number of bytes read, or `None` if there are none yet.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<Option<usize>> {
        let read = match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Udp(socket) => socket.recv(buffer),
        };
        match read {
            Ok(0) => bail!("the server has closed the connection"),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("cannot read from the server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_rate_and_percentiles() {
        let latencies = (1..=200).rev().map(Duration::from_micros).collect();
        let measurement = summarize(latencies, Duration::from_secs(2)).unwrap();
        let Measurement { per_second, p50_us, p99_us } = measurement;
        let rounded = [per_second, p50_us, p99_us].map(|it| format!("{it:.0}"));
        assert_eq!(rounded, ["100", "100", "198"]);
        assert!(summarize(Vec::new(), Duration::from_secs(1)).is_err());
    }
}
