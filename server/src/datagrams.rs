//! Receives and sends many datagrams with one system call.
//!
//! A system call costs about as much as everything else that the lock service does with a datagram,
//! so batching almost halves the time per datagram at full load. On systems without such calls,
//! each datagram takes one.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

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
    received: Vec<(SocketAddr, usize)>,
}

/// A batch of datagrams to send.
#[derive(Debug, Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    /// The destination of each datagram, and its end in `bytes`.
    ends: Vec<(SocketAddr, usize)>,
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
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let buffers = self.buffer.chunks(DATAGRAM_LEN_MAX);
        self.received.iter().zip(buffers).map(|((from, len), buffer)| (*from, &buffer[..*len]))
    }
}

impl SendBatch {
    /// Adds a datagram. `encode` appends its bytes to the buffer.
    pub fn push(&mut self, to: SocketAddr, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push((to, self.bytes.len()));
    }

    /// Sends all datagrams in order and empties the batch. Calls `on_error` for each datagram that
    /// cannot be sent, and continues with the next one.
    pub fn send(&mut self, socket: &UdpSocket, mut on_error: impl FnMut(SocketAddr, io::Error)) {
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
    ends: &'a [(SocketAddr, usize)],
) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(from).chain(ends.iter().map(|(_, end)| *end));
    starts.zip(ends).map(|(start, (_, end))| &bytes[start..*end])
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd as _;

    use mio::net::UdpSocket;
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::{BATCH_LEN, DATAGRAM_LEN_MAX, datagram_slices};

    pub(super) struct Receiver(MultiHeaders<SockaddrStorage>);

    impl Default for Receiver {
        fn default() -> Self {
            Self(MultiHeaders::preallocate(BATCH_LEN, None))
        }
    }

    impl Receiver {
        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            buffer: &mut [u8],
            received: &mut Vec<(SocketAddr, usize)>,
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
                received.push((from, datagram.bytes));
            }
            Ok(())
        }
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    }

    /// Sends a prefix of the datagrams with one system call and returns its length.
    pub(super) fn send(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(SocketAddr, usize)],
    ) -> io::Result<usize> {
        let slices: Vec<_> =
            datagram_slices(bytes, from, ends).map(|bytes| [IoSlice::new(bytes)]).collect();
        let to: Vec<_> = ends.iter().map(|(to, _)| Some(SockaddrStorage::from(*to))).collect();
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, slices.iter(), &to, [], flags)?;
        Ok(sent.count())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::SocketAddr;

    use mio::net::UdpSocket;

    use super::datagram_slices;

    #[derive(Default)]
    pub(super) struct Receiver;

    impl Receiver {
        #[allow(clippy::unused_self, reason = "the Linux receiver needs its buffers")]
        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            buffer: &mut [u8],
            received: &mut Vec<(SocketAddr, usize)>,
        ) -> io::Result<()> {
            let (len, from) = socket.recv_from(buffer)?;
            received.push((from, len));
            Ok(())
        }
    }

    pub(super) fn send(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(SocketAddr, usize)],
    ) -> io::Result<usize> {
        let Some((first, (to, _))) = datagram_slices(bytes, from, ends).zip(ends).next() else {
            return Ok(0);
        };
        socket.send_to(first, *to)?;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn socket_pair(ip: impl Into<std::net::IpAddr> + Copy) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind((ip.into(), 0).into()).unwrap();
        (bind(), bind())
    }

    /// Sends datagrams of these lengths and returns what was received.
    fn send_and_receive(from: &UdpSocket, to: &UdpSocket, lens: &[usize]) -> Vec<Vec<u8>> {
        let mut send_batch = SendBatch::default();
        for (number, len) in lens.iter().enumerate() {
            let byte = u8::try_from(number).unwrap();
            send_batch
                .push(to.local_addr().unwrap(), |bytes| bytes.resize(bytes.len() + len, byte));
        }
        send_batch.send(from, |to, error| panic!("{to}: {error}"));
        assert!(send_batch.bytes.is_empty() && send_batch.ends.is_empty());
        let (mut receive_batch, mut received) = (ReceiveBatch::default(), Vec::new());
        // Loopback delivers before `send` returns.
        while receive_batch.receive(to).is_ok() {
            for (sender, bytes) in receive_batch.iter() {
                assert_eq!(sender, from.local_addr().unwrap());
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
            send_batch.push(to, |bytes| bytes.push(7));
        }
        let mut failed = Vec::new();
        send_batch.send(&from, |to, _| failed.push(to));
        assert_eq!(failed, [bad; 4]);
        let mut receive_batch = ReceiveBatch::default();
        receive_batch.receive(&to).unwrap();
        assert_eq!(receive_batch.iter().count(), 3);
    }
}
