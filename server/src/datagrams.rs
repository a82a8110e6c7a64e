//! Receives and sends many datagrams with one system call.
//!
//! A system call costs about as much as everything else that the lock service does with a datagram,
//! so batching almost halves the time per datagram at full load. On systems without such calls,
//! each datagram takes one.
//!
//! A server that listens on all addresses of its host replies from the one to which the client sent
//! its request: a client ignores replies from other addresses. Linux reports that address if
//! [`report_local_addresses`] has asked for it.

use std::io;

use leasehold_core::id::Peer;
use mio::net::UdpSocket;

pub use system::report_local_addresses;

/// The largest possible datagram. The buffer exceeds the protocol's limit, so that a datagram that
/// is too long is answered and not truncated.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// The number of datagrams per system call. Larger batches are not faster.
const BATCH_LEN: usize = 32;

/// A batch of received datagrams.
pub struct ReceiveBatch {
    receiver: system::Receiver,
    /// Space for [`BATCH_LEN`] datagrams. Pages that no datagram has reached occupy no memory.
    buffer: Vec<u8>,
    received: Vec<(Peer, usize)>,
}

/// A batch of datagrams to send.
#[derive(Debug, Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    /// The destination of each datagram, and its end in `bytes`.
    ends: Vec<(Peer, usize)>,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self {
            receiver: system::Receiver::default(),
            buffer: vec![0; BATCH_LEN * DATAGRAM_LEN_MAX],
            received: Vec::with_capacity(BATCH_LEN),
        }
    }
}

impl ReceiveBatch {
    /// Replaces the batch by the datagrams that have arrived. Does not block.
    ///
    /// # Errors
    /// If the socket fails; [`io::ErrorKind::WouldBlock`] if no datagram has arrived.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        self.receiver.receive(socket, &mut self.buffer, &mut self.received)
    }

    /// Returns the received datagrams and their senders, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (Peer, &[u8])> {
        let buffers = self.buffer.chunks(DATAGRAM_LEN_MAX);
        self.received.iter().zip(buffers).map(|((from, len), buffer)| (*from, &buffer[..*len]))
    }
}

impl SendBatch {
    /// Adds a datagram. `encode` appends its bytes to the buffer.
    pub fn push(&mut self, to: Peer, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push((to, self.bytes.len()));
    }

    /// Sends all datagrams in order and empties the batch. Calls `on_error` for each datagram that
    /// cannot be sent, and continues with the next one.
    pub fn send(&mut self, socket: &UdpSocket, mut on_error: impl FnMut(Peer, io::Error)) {
        let (mut next, mut from, mut batch_len) = (0, 0, BATCH_LEN);
        while next < self.ends.len() {
            let ends = &self.ends[next..self.ends.len().min(next + batch_len)];
            batch_len = BATCH_LEN;
            let sent = match system::send(socket, &self.bytes, from, ends) {
                Ok(sent) if sent > 0 => sent,
                Ok(_) => 1,
                Err(error) => {
                    // The next one is likely to fail too, so no batch is prepared behind it.
                    batch_len = 1;
                    on_error(ends[0].0, error);
                    1
                }
            };
            from = ends[sent - 1].1;
            next += sent;
        }
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Returns the bytes of each datagram; the first begins at offset `from`.
fn datagram_slices<'a>(
    bytes: &'a [u8],
    from: usize,
    ends: &'a [(Peer, usize)],
) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(from).chain(ends.iter().map(|(_, end)| *end));
    starts.zip(ends).map(|(start, (_, end))| &bytes[start..*end])
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::os::fd::{AsFd, AsRawFd as _};

    use leasehold_core::id::Peer;
    use mio::net::UdpSocket;
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
        sendmmsg, setsockopt, sockopt,
    };

    use super::{BATCH_LEN, DATAGRAM_LEN_MAX, datagram_slices};

    /// Asks the system to report for each datagram the local address to which it was sent.
    ///
    /// # Errors
    /// If the socket refuses the option.
    pub fn report_local_addresses(socket: &impl AsFd, is_ipv6: bool) -> io::Result<()> {
        if is_ipv6 {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        Ok(())
    }

    pub(super) struct Receiver(MultiHeaders<SockaddrStorage>);

    impl Default for Receiver {
        fn default() -> Self {
            let control_buffer = nix::cmsg_space!(in_pktinfo, in6_pktinfo);
            Self(MultiHeaders::preallocate(BATCH_LEN, Some(control_buffer)))
        }
    }

    impl Receiver {
        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            buffer: &mut [u8],
            received: &mut Vec<(Peer, usize)>,
        ) -> io::Result<()> {
            let mut buffers = buffer.chunks_mut(DATAGRAM_LEN_MAX);
            let mut buffers: [[IoSliceMut<'_>; 1]; BATCH_LEN] =
                std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let datagrams =
                recvmmsg(socket.as_raw_fd(), &mut self.0, buffers.iter_mut(), flags, None)?;
            for datagram in datagrams {
                let from = datagram.address.as_ref().and_then(address);
                let from = from.ok_or_else(|| {
                    io::Error::other("the system reported no sender for a datagram")
                })?;
                let local = datagram.cmsgs().ok().and_then(local_address);
                received.push((Peer { address: from, local }, datagram.bytes));
            }
            Ok(())
        }
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    }

    /// Returns the address to which a datagram was sent, if the system reports it.
    fn local_address(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<IpAddr> {
        for message in messages {
            if let ControlMessageOwned::Ipv4PacketInfo(info) = message {
                return Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
                return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
        }
        None
    }

    /// Sends a prefix of the datagrams with one system call and returns its length. All datagrams
    /// of a call are sent from the same address.
    pub(super) fn send(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(Peer, usize)],
    ) -> io::Result<usize> {
        let local = ends.first().and_then(|(to, _)| to.local);
        let count = ends.iter().take_while(|(to, _)| to.local == local).count();
        let ends = &ends[..count];
        match local {
            None => send_from(socket, bytes, from, ends, (&[], None)),
            Some(IpAddr::V4(local)) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr { s_addr: u32::from(local).to_be() },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                let space = nix::cmsg_space!(in_pktinfo);
                send_from(socket, bytes, from, ends, (&control, Some(space)))
            }
            Some(IpAddr::V6(local)) => {
                let ipi6_addr = in6_addr { s6_addr: local.octets() };
                let info = in6_pktinfo { ipi6_addr, ipi6_ifindex: 0 };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let space = nix::cmsg_space!(in6_pktinfo);
                send_from(socket, bytes, from, ends, (&control, Some(space)))
            }
        }
    }

    fn send_from(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(Peer, usize)],
        (control, space): (&[ControlMessage<'_>], Option<Vec<u8>>),
    ) -> io::Result<usize> {
        let slices: Vec<_> =
            datagram_slices(bytes, from, ends).map(|bytes| [IoSlice::new(bytes)]).collect();
        let to: Vec<_> =
            ends.iter().map(|(to, _)| Some(SockaddrStorage::from(to.address))).collect();
        let mut headers = MultiHeaders::preallocate(slices.len(), space);
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, slices.iter(), &to, control, flags)?;
        Ok(sent.count())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::AsFd;

    use leasehold_core::id::Peer;
    use mio::net::UdpSocket;

    use super::datagram_slices;

    /// This system does not report local addresses.
    ///
    /// # Errors
    /// Never.
    pub fn report_local_addresses(_: &impl AsFd, _: bool) -> io::Result<()> {
        Ok(())
    }

    #[derive(Default)]
    pub(super) struct Receiver;

    impl Receiver {
        #[allow(clippy::unused_self, reason = "the Linux receiver needs its buffers")]
        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            buffer: &mut [u8],
            received: &mut Vec<(Peer, usize)>,
        ) -> io::Result<()> {
            let (len, from) = socket.recv_from(buffer)?;
            received.push((Peer::new(from), len));
            Ok(())
        }
    }

    pub(super) fn send(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(Peer, usize)],
    ) -> io::Result<usize> {
        let Some((first, (to, _))) = datagram_slices(bytes, from, ends).zip(ends).next() else {
            return Ok(0);
        };
        socket.send_to(first, to.address)?;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::time::Duration;

    use super::*;

    fn socket_pair(ip: impl Into<IpAddr> + Copy) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind((ip.into(), 0).into()).unwrap();
        (bind(), bind())
    }

    /// Sends datagrams of these lengths and returns what was received.
    fn send_and_receive(from: &UdpSocket, to: &UdpSocket, lens: &[usize]) -> Vec<Vec<u8>> {
        let mut send_batch = SendBatch::default();
        for (number, len) in lens.iter().enumerate() {
            let byte = u8::try_from(number).unwrap();
            send_batch.push(Peer::new(to.local_addr().unwrap()), |bytes| {
                bytes.resize(bytes.len() + len, byte);
            });
        }
        send_batch.send(from, |to, error| panic!("{to:?}: {error}"));
        assert!(send_batch.bytes.is_empty() && send_batch.ends.is_empty());
        let (mut receive_batch, mut received) = (ReceiveBatch::default(), Vec::new());
        // Loopback delivers before `send` returns.
        while receive_batch.receive(to).is_ok() {
            for (sender, bytes) in receive_batch.iter() {
                assert_eq!(sender, Peer::new(from.local_addr().unwrap()));
                received.push(bytes.to_vec());
            }
        }
        assert_eq!(receive_batch.iter().count(), 0, "a failed receive empties the batch");
        received
    }

    #[test]
    fn datagrams_arrive_whole_and_in_order() {
        let lens: Vec<usize> = (0..100).map(|number| number * 7 % 300).collect();
        let expected: Vec<Vec<u8>> = (0..).zip(&lens).map(|(byte, &len)| vec![byte; len]).collect();
        let (from, to) = socket_pair(Ipv4Addr::LOCALHOST);
        assert_eq!(send_and_receive(&from, &to, &lens), expected);
        let (from, to) = socket_pair(Ipv6Addr::LOCALHOST);
        assert_eq!(send_and_receive(&from, &to, &lens), expected);
        assert_eq!(
            send_and_receive(&from, &to, &[65_000, 0, 1]),
            [vec![0; 65_000], vec![], vec![2]]
        );
    }

    #[test]
    fn failed_sends_are_reported_and_later_ones_continue() {
        let (from, to) = socket_pair(Ipv4Addr::LOCALHOST);
        let (good, bad) = (to.local_addr().unwrap(), SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
        let mut send_batch = SendBatch::default();
        for to in [bad, good, good, bad, bad, good, bad] {
            send_batch.push(Peer::new(to), |bytes| bytes.push(7));
        }
        let mut failed = Vec::new();
        send_batch.send(&from, |to, _| failed.push(to.address));
        assert_eq!(failed, [bad; 4]);
        let mut receive_batch = ReceiveBatch::default();
        receive_batch.receive(&to).unwrap();
        assert_eq!(receive_batch.iter().count(), 3);
    }

    /// Sends a request to each of these addresses of a server that listens on all, and asserts that
    /// the client receives the reply. A connected socket accepts datagrams of its peer only.
    #[cfg(target_os = "linux")]
    fn check_replies(listen: IpAddr, asked: &[IpAddr]) {
        let socket = UdpSocket::bind((listen, 0).into()).unwrap();
        report_local_addresses(&socket, listen.is_ipv6()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let clients: Vec<_> = asked
            .iter()
            .map(|ip| {
                let any: IpAddr = match ip {
                    IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let client = std::net::UdpSocket::bind((any, 0)).unwrap();
                client.connect((*ip, port)).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                client.send(ip.to_string().as_bytes()).unwrap();
                client
            })
            .collect();
        let (mut received, mut replies) = (ReceiveBatch::default(), SendBatch::default());
        let mut count = 0;
        while count < asked.len() {
            if received.receive(&socket).is_ok() {
                for (peer, bytes) in received.iter() {
                    count += 1;
                    replies.push(peer, |reply| reply.extend_from_slice(bytes));
                }
            }
        }
        replies.send(&socket, |to, error| panic!("{to:?}: {error}"));
        for (client, ip) in clients.iter().zip(asked) {
            let mut reply = [0; 64];
            let len = client.recv(&mut reply).unwrap();
            assert_eq!(&reply[..len], ip.to_string().as_bytes());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn replies_come_from_the_address_that_was_asked() {
        let v4 = [1, 2, 3, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        check_replies(Ipv4Addr::UNSPECIFIED.into(), &v4);
        check_replies(
            Ipv6Addr::UNSPECIFIED.into(),
            &[&v4[..], &[Ipv6Addr::LOCALHOST.into()]].concat(),
        );
    }
}
