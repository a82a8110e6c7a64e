//! The socket to the server: encodes requests and decodes replies.
//!
//! The socket is connected, so the kernel drops datagrams from other addresses and reports an
//! unreachable server. That is not an error: the server may return, and requests are retransmitted.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::wire::{MacKey, Reply, Request, append_mac, verify_mac};
use tokio::net::{ToSocketAddrs, UdpSocket, lookup_host};

/// The delay after an unexpected error of the socket, so that a persistent error does not keep a
/// processor busy.
const ERROR_DELAY: Duration = Duration::from_millis(20);

pub(crate) struct Transport {
    socket: UdpSocket,
    key: Option<MacKey>,
    send_buffer: Vec<u8>,
    /// One byte longer than any reply, so that truncation is detected.
    receive_buffer: [u8; DATAGRAM_LEN_MAX + TRAILER_LEN + 1],
}

impl Transport {
    pub(crate) async fn connect(addr: impl ToSocketAddrs, key: Option<MacKey>) -> io::Result<Self> {
        let addrs: Vec<SocketAddr> = lookup_host(addr).await?.collect();
        // `localhost` may resolve to both; the server listens on IPv4 by default.
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
        // The error may belong to an earlier datagram, and then this one was not sent.
        if self.socket.send(&self.send_buffer).await.is_err() {
            let _ = self.socket.send(&self.send_buffer).await;
        }
    }

    /// Returns the next reply. Skips datagrams that are not valid replies.
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
