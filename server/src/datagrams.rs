//! Datagrams in and out, as many with one call of the system as there are.
//!
//! A call costs as much as all that the lock service does with a datagram, so at full load nearly
//! half of the time is gained by this. Where the system knows no such calls it is one each.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

/// The largest datagram there is. A longer one than the protocol allows is answered, not cut off.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// How many are received or sent with one call: with more, nothing more is gained.
const AT_ONCE: usize = 32;

/// Datagrams that were received.
pub struct Incoming {
    system: system::Receiver,
    /// Room for [`AT_ONCE`] of them. What no datagram has reached takes no memory.
    buffer: Vec<u8>,
    received: Vec<(SocketAddr, usize)>,
}

/// Datagrams that are to be sent.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    /// To whom each one goes, and where it ends.
    ends: Vec<(SocketAddr, usize)>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            system: system::Receiver::default(),
            buffer: vec![0; AT_ONCE * DATAGRAM_LEN_MAX],
            received: Vec::with_capacity(AT_ONCE),
        }
    }
}

impl Incoming {
    /// Receives what is there, in place of what was received before. Doesn't wait.
    ///
    /// # Errors
    /// Those of the socket; [`io::ErrorKind::WouldBlock`] where there is nothing.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        self.system.receive(socket, &mut self.buffer, &mut self.received)
    }

    /// What was received, and from whom, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let buffers = self.buffer.chunks(DATAGRAM_LEN_MAX);
        self.received.iter().zip(buffers).map(|((from, len), buffer)| (*from, &buffer[..*len]))
    }
}

impl Outgoing {
    /// Adds a datagram: what `write` puts onto the end of the bytes that it is given.
    pub fn add(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push((to, self.bytes.len()));
    }

    /// Sends all of them, in order. Where one can't be sent, `failed` is told, and the next is
    /// tried.
    pub fn send(&mut self, socket: &UdpSocket, mut failed: impl FnMut(SocketAddr, io::Error)) {
        let (mut at, mut from, mut at_once) = (0, 0, AT_ONCE);
        while at < self.ends.len() {
            let ends = &self.ends[at..self.ends.len().min(at + at_once)];
            at_once = AT_ONCE;
            let sent = match system::send(socket, &self.bytes, from, ends) {
                Ok(sent) if sent > 0 => sent,
                Ok(_) => 1,
                Err(error) => {
                    // The next may well fail too: nothing is got ready for those after it.
                    at_once = 1;
                    failed(ends[0].0, error);
                    1
                }
            };
            from = ends[sent - 1].1;
            at += sent;
        }
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The bytes of each datagram, where the first begins at `from`.
fn each<'a>(
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

    use super::{AT_ONCE, DATAGRAM_LEN_MAX, each};

    pub(super) struct Receiver(MultiHeaders<SockaddrStorage>);

    impl Default for Receiver {
        fn default() -> Self {
            Self(MultiHeaders::preallocate(AT_ONCE, None))
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
            let mut buffers: [[IoSliceMut<'_>; 1]; AT_ONCE] =
                std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let datagrams =
                recvmmsg(socket.as_raw_fd(), &mut self.0, buffers.iter_mut(), flags, None)?;
            for datagram in datagrams {
                let from = datagram.address.as_ref().and_then(address);
                let from = from.ok_or_else(|| io::Error::other("a datagram from nowhere"))?;
                received.push((from, datagram.bytes));
            }
            Ok(())
        }
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    }

    /// Sends some of them with one call, and says how many.
    pub(super) fn send(
        socket: &UdpSocket,
        bytes: &[u8],
        from: usize,
        ends: &[(SocketAddr, usize)],
    ) -> io::Result<usize> {
        let slices: Vec<_> = each(bytes, from, ends).map(|bytes| [IoSlice::new(bytes)]).collect();
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

    use super::each;

    #[derive(Default)]
    pub(super) struct Receiver;

    impl Receiver {
        #[allow(clippy::unused_self, reason = "where the system can do more, it needs its room")]
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
        let Some((first, (to, _))) = each(bytes, from, ends).zip(ends).next() else {
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

    fn pair(ip: impl Into<std::net::IpAddr> + Copy) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind((ip.into(), 0).into()).unwrap();
        (bind(), bind())
    }

    /// Sends datagrams of these lengths to somebody, and gives back what was received.
    fn carried(from: &UdpSocket, to: &UdpSocket, lens: &[usize]) -> Vec<Vec<u8>> {
        let mut outgoing = Outgoing::default();
        for (number, len) in lens.iter().enumerate() {
            let byte = u8::try_from(number).unwrap();
            outgoing.add(to.local_addr().unwrap(), |bytes| bytes.resize(bytes.len() + len, byte));
        }
        outgoing.send(from, |to, error| panic!("{to}: {error}"));
        assert!(outgoing.bytes.is_empty() && outgoing.ends.is_empty());
        let (mut incoming, mut carried) = (Incoming::default(), Vec::new());
        // What is sent over loopback is there when it is sent.
        while incoming.receive(to).is_ok() {
            for (sender, bytes) in incoming.iter() {
                assert_eq!(sender, from.local_addr().unwrap());
                carried.push(bytes.to_vec());
            }
        }
        assert_eq!(incoming.iter().count(), 0, "what was received before is gone");
        carried
    }

    #[test]
    fn all_are_carried_whole_and_in_order() {
        let lens: Vec<usize> = (0..100).map(|number| number * 7 % 300).collect();
        let expected: Vec<Vec<u8>> = (0..).zip(&lens).map(|(byte, &len)| vec![byte; len]).collect();
        let (from, to) = pair(Ipv4Addr::LOCALHOST);
        assert_eq!(carried(&from, &to, &lens), expected);
        let (from, to) = pair(Ipv6Addr::LOCALHOST);
        assert_eq!(carried(&from, &to, &lens), expected);
        assert_eq!(carried(&from, &to, &[65_000, 0, 1]), [vec![0; 65_000], vec![], vec![2]]);
    }

    #[test]
    fn what_can_not_be_sent_is_told_and_stops_nothing() {
        let (from, to) = pair(Ipv4Addr::LOCALHOST);
        let (good, bad) = (to.local_addr().unwrap(), SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
        let mut outgoing = Outgoing::default();
        for to in [bad, good, good, bad, bad, good, bad] {
            outgoing.add(to, |bytes| bytes.push(7));
        }
        let mut told = Vec::new();
        outgoing.send(&from, |to, _| told.push(to));
        assert_eq!(told, [bad; 4]);
        let mut incoming = Incoming::default();
        incoming.receive(&to).unwrap();
        assert_eq!(incoming.iter().count(), 3);
    }
}
