//! A socket that several clients share, and how their answers are told apart.
//!
//! - A reply says which request it answers, and not of which session. So each client has numbers of
//!   its own on the wire: its place among those of the socket, and its own number below.
//! - A hello has no number. Of the clients of one socket only one at a time is at the door; the
//!   others stand in line.
//!
//! To the server each client is a session as any other, which only happens to come from the same
//! address as others do.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use leasehold_core::id::{Seq, SessionKey};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::secret::Secret;
use leasehold_core::wire::{MacKey, Operation, Reply, Request, Status, append_mac, verify_mac};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::tally::Sort;

/// How many bits a client's own number has on the wire. With the place above it is a number that
/// every reader of JSON takes exactly.
const OWN_BITS: u32 = 32;

/// What the kernel may keep for a socket until it is read, in bytes: an answer for each of its
/// clients, and more.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A socket to the server, and the clients that speak through it.
pub(super) struct Lane {
    socket: UdpSocket,
    key: Option<MacKey>,
    door: Door,
    out: Vec<u8>,
    /// One byte more than any reply has, so that what was cut off is noticed.
    received: [u8; DATAGRAM_LEN_MAX + TRAILER_LEN + 1],
}

/// A request on its way, from the client at this place.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) place: u32,
    pub(super) sort: Sort,
    pub(super) request: Request,
}

/// Who may say hello.
#[derive(Debug, Default)]
struct Door {
    at_front: Option<u32>,
    line: VecDeque<Outgoing>,
    /// The sessions that were given here. A late copy of a welcome is not for who comes next.
    given: BTreeSet<Secret<SessionKey>>,
}

impl Lane {
    pub(super) fn connect(server: SocketAddr, key: Option<MacKey>) -> io::Result<Self> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        // As much as the system grants. With less, more is lost and asked again.
        let _ = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        let received = [0; DATAGRAM_LEN_MAX + TRAILER_LEN + 1];
        Ok(Self { socket, key, door: Door::default(), out: Vec::new(), received })
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends a request, unless it has to stand in line. Says what was sent.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Option<Sort> {
        let Outgoing { place, sort, mut request } = self.door.pass(outgoing)?;
        request.seq = outward(place, request.seq);
        if let Operation::AppendOutcome { append_seq: of } = &mut request.operation {
            *of = outward(place, *of);
        }
        self.out.clear();
        request.encode(&mut self.out);
        if let Some(key) = &self.key {
            append_mac(key, &mut self.out);
        }
        // An error may be the echo of an earlier datagram, and this one was not sent then.
        if self.socket.send(&self.out).is_err() {
            let _ = self.socket.send(&self.out);
        }
        Some(sort)
    }

    /// Who says hello next, where the door is free for somebody in line.
    pub(super) fn next_in_line(&mut self) -> Option<Outgoing> {
        self.door.next_in_line()
    }

    /// The next reply that is there, and the place of the client that it is for. What isn't one is
    /// passed over.
    pub(super) fn receive(&mut self) -> Option<(u32, Reply)> {
        loop {
            let len = match self.socket.recv(&mut self.received) {
                Ok(len) => len,
                // That nobody listens there: the echo of an earlier datagram.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return None,
            };
            let datagram = &self.received[..len];
            let body = match &self.key {
                Some(key) => verify_mac(key, datagram),
                None => Some(datagram),
            };
            let Some(Ok(mut reply)) = body.map(Reply::decode) else { continue };
            if reply.request_seq == Seq::default() {
                if let Some(place) = self.door.answered(&reply.status) {
                    return Some((place, reply));
                }
                continue;
            }
            let place;
            (place, reply.request_seq) = inward(reply.request_seq);
            return Some((place, reply));
        }
    }
}

impl Door {
    /// Lets everything through but the hello of one while another is at the door.
    fn pass(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        if !matches!(outgoing.request.operation, Operation::Hello { .. }) {
            return Some(outgoing);
        }
        if *self.at_front.get_or_insert(outgoing.place) == outgoing.place {
            return Some(outgoing);
        }
        match self.line.iter_mut().find(|waiting| waiting.place == outgoing.place) {
            Some(waiting) => *waiting = outgoing,
            None => self.line.push_back(outgoing),
        }
        None
    }

    fn next_in_line(&mut self) -> Option<Outgoing> {
        if self.at_front.is_some() { None } else { self.line.pop_front() }
    }

    /// For whom the answer to a hello is.
    fn answered(&mut self, status: &Status) -> Option<u32> {
        let place = self.at_front?;
        let is_last = match status {
            Status::Welcome { session_key: session, .. } => {
                if !self.given.insert(*session) {
                    return None;
                }
                true
            }
            Status::Refused(_) => true,
            // It has to say hello once more.
            Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. } => false,
        };
        if is_last {
            self.at_front = None;
        }
        Some(place)
    }
}

/// A client's number as it is on the wire.
fn outward(place: u32, own: Seq) -> Seq {
    assert!(own.number() >> OWN_BITS == 0, "a client sends fewer than 2^32 requests");
    if own == Seq::default() {
        return own;
    }
    Seq::new(u64::from(place) << OWN_BITS | own.number())
}

/// Whose number this is, and which.
fn inward(wire: Seq) -> (u32, Seq) {
    let place = u32::try_from(wire.number() >> OWN_BITS).expect("the upper half of 64 bits");
    (place, Seq::new(wire.number() & ((1 << OWN_BITS) - 1)))
}

#[cfg(test)]
mod tests {
    use leasehold_core::id::{Attempt, Name, Nonce};
    use leasehold_core::time::Millis;

    use super::*;

    fn hello(place: u32, attempt: u64) -> Outgoing {
        let operation = Operation::Hello {
            client: Name::new("bench").unwrap(),
            nonce: Secret::new(Nonce::new(u64::from(place))),
            lease: None,
            cookie: None,
        };
        let (seq, attempt) = (Seq::default(), Attempt::new(attempt));
        let request = Request { session_key: None, seq, attempt, operation };
        Outgoing { place, sort: Sort::First, request }
    }

    fn welcome(session: u128) -> Status {
        Status::Welcome {
            session_key: Secret::new(SessionKey::from_entropy(session)),
            lease: Millis::from_secs(5),
            heartbeat: Millis::from_secs(1),
            poll: Millis::from_millis(500),
            window: 32,
        }
    }

    #[test]
    fn each_client_has_numbers_of_its_own() {
        for (place, own) in [(0, 1), (0, u64::from(u32::MAX)), (156, 7), (9_999, 1 << 30)] {
            let wire = outward(place, Seq::new(own));
            assert_eq!(inward(wire), (place, Seq::new(own)));
            assert!(wire.number() < 1 << 53, "{wire}");
        }
        assert_eq!(outward(3, Seq::default()), Seq::default(), "a hello has none");
    }

    #[test]
    fn one_at_a_time_is_at_the_door() {
        let mut door = Door::default();
        assert!(door.pass(hello(0, 0)).is_some());
        assert!(door.pass(hello(1, 0)).is_none());
        assert!(door.pass(hello(1, 1)).is_none(), "it asks again, and stands there once");
        assert!(door.pass(hello(0, 1)).is_some(), "the first one may ask again");
        assert!(door.next_in_line().is_none());
        assert_eq!(door.answered(&welcome(1)), Some(0));
        let next = door.next_in_line().expect("the door is free");
        assert_eq!((next.place, next.request.attempt), (1, Attempt::new(1)));
        assert!(door.pass(next).is_some());
        assert!(door.line.is_empty());
    }

    #[test]
    fn a_late_copy_of_a_welcome_is_not_for_the_next_in_line() {
        let mut door = Door::default();
        assert!(door.pass(hello(0, 0)).is_some());
        assert_eq!(door.answered(&welcome(1)), Some(0));
        assert!(door.pass(hello(1, 0)).is_some());
        assert_eq!(door.answered(&welcome(1)), None);
        assert_eq!(door.answered(&welcome(2)), Some(1));
        assert_eq!(door.answered(&welcome(2)), None);
    }
}
