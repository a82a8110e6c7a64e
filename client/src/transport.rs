//! The socket to the server: requests become datagrams here, and datagrams replies.
//!
//! It is connected, so the kernel drops what comes from anybody else, and tells of a server that
//! is not there. That is no error: it may come back, and the request is sent again in its time.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::wire::{MacKey, Reply, Request, append_mac, verify_mac};
use tokio::net::{ToSocketAddrs, UdpSocket, lookup_host};

/// How long to wait after an error of the socket that is not the server's absence, so that one
/// which persists does not keep a processor busy.
const ERROR_DELAY: Duration = Duration::from_millis(20);

pub(crate) struct Transport {
    socket: UdpSocket,
    key: Option<MacKey>,
    send_buffer: Vec<u8>,
    /// One byte more than any reply has, so that what was cut off is noticed.
    receive_buffer: [u8; DATAGRAM_LEN_MAX + TRAILER_LEN + 1],
}

impl Transport {
    pub(crate) async fn connect(addr: impl ToSocketAddrs, key: Option<MacKey>) -> io::Result<Self> {
        let addrs: Vec<SocketAddr> = lookup_host(addr).await?.collect();
        // `localhost` may name both; a server listens on IPv4 unless it is told otherwise.
        let first = addrs.iter().find(|addr| addr.is_ipv4()).or(addrs.first());
        let &addr = first.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no address"))?;
        let local: SocketAddr = match addr {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(addr).await?;
        let receive_buffer = [0; DATAGRAM_LEN_MAX + TRAILER_LEN + 1];
        Ok(Self { socket, key, send_buffer: Vec::new(), receive_buffer })
    }

    pub(crate) async fn send(&mut self, request: &Request) {
        self.send_buffer.clear();
        request.encode(&mut self.send_buffer);
        if let Some(key) = &self.key {
            append_mac(key, &mut self.send_buffer);
        }
        // An error may be the echo of an earlier datagram, and this one was not sent then.
        if self.socket.send(&self.send_buffer).await.is_err() {
            let _ = self.socket.send(&self.send_buffer).await;
        }
    }

    /// The next reply. What isn't one is passed over.
    pub(crate) async fn receive(&mut self) -> Reply {
        loop {
            match self.socket.recv(&mut self.receive_buffer).await {
                Ok(len) => {
                    let datagram = &self.receive_buffer[..len];
                    let body = match &self.key {
                        Some(key) => verify_mac(key, datagram),
                        None => Some(datagram),
                    };
                    if let Some(Ok(reply)) = body.map(Reply::decode) {
                        return reply;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => tokio::time::sleep(ERROR_DELAY).await,
            }
        }
    }
}
