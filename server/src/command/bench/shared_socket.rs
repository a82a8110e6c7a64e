//! A socket that several clients share, and the assignment of replies to them.
//!
//! - A reply names its request but not its session. So each client has its own range of sequence
//!   numbers on the wire: its slot among the clients of the socket in the upper half, its own
//!   sequence number in the lower half.
//! - A hello has no sequence number. Only one client of a socket at a time sends hellos; the others
//!   are queued.
//!
//! To the server each client is an ordinary session that shares its address with others.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use leasehold_core::id::{Seq, SessionKey};
use leasehold_core::limits::{DATAGRAM_LEN_MAX, TRAILER_LEN};
use leasehold_core::secret::Secret;
use leasehold_core::wire::{MacKey, Operation, Reply, Request, Status, append_mac, verify_mac};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::counters::SendReason;

/// The number of bits of a client's own sequence number. Together with the slot it is an integer
/// that every JSON parser represents exactly.
const CLIENT_SEQ_BITS: u32 = 32;

/// The size of the receive buffer, in bytes: enough for a reply to each client.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A socket that is connected to the server.
pub(super) struct SharedSocket {
    socket: UdpSocket,
    key: Option<MacKey>,
    hello_queue: HelloQueue,
    out: Vec<u8>,
    /// One byte longer than any reply, so that truncation is detected.
    received: [u8; DATAGRAM_LEN_MAX + TRAILER_LEN + 1],
}

/// A request of the client in this slot.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) slot: u32,
    pub(super) reason: SendReason,
    pub(super) request: Request,
}

/// Serializes the hellos of a socket.
#[derive(Debug, Default)]
struct HelloQueue {
    active: Option<u32>,
    queue: VecDeque<Outgoing>,
    /// The sessions that were opened here, to detect duplicates of a welcome.
    assigned: BTreeSet<Secret<SessionKey>>,
}

impl SharedSocket {
    pub(super) fn connect(server: SocketAddr, key: Option<MacKey>) -> io::Result<Self> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        // The system may grant less. Then more datagrams are lost and retransmitted.
        let _ = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        let received = [0; DATAGRAM_LEN_MAX + TRAILER_LEN + 1];
        Ok(Self { socket, key, hello_queue: HelloQueue::default(), out: Vec::new(), received })
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends a request, or queues it if it is a hello and another one is active. Returns the reason
    /// if it was sent.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Option<SendReason> {
        let Outgoing { slot, reason, mut request } = self.hello_queue.admit(outgoing)?;
        request.seq = to_wire_seq(slot, request.seq);
        if let Operation::AppendOutcome { append_seq } = &mut request.operation {
            *append_seq = to_wire_seq(slot, *append_seq);
        }
        self.out.clear();
        request.encode(&mut self.out);
        if let Some(key) = &self.key {
            append_mac(key, &mut self.out);
        }
        // The error may belong to an earlier datagram, and then this one was not sent.
        if self.socket.send(&self.out).is_err() {
            let _ = self.socket.send(&self.out);
        }
        Some(reason)
    }

    /// Returns the next queued hello if none is active.
    pub(super) fn next_hello(&mut self) -> Option<Outgoing> {
        self.hello_queue.next_hello()
    }

    /// Returns the next reply and the slot of its client, or none if there is none. Skips datagrams
    /// that are not valid replies.
    pub(super) fn receive(&mut self) -> Option<(u32, Reply)> {
        loop {
            let len = match self.socket.recv(&mut self.received) {
                Ok(len) => len,
                // An ICMP error for an earlier datagram: no process listens at the address.
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
                if let Some(slot) = self.hello_queue.match_reply(&reply.status) {
                    return Some((slot, reply));
                }
                continue;
            }
            let slot;
            (slot, reply.request_seq) = from_wire_seq(reply.request_seq);
            return Some((slot, reply));
        }
    }
}

impl HelloQueue {
    /// Returns the request if it may be sent now. Queues a hello if another one is active.
    fn admit(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        if !matches!(outgoing.request.operation, Operation::Hello { .. }) {
            return Some(outgoing);
        }
        if *self.active.get_or_insert(outgoing.slot) == outgoing.slot {
            return Some(outgoing);
        }
        match self.queue.iter_mut().find(|waiting| waiting.slot == outgoing.slot) {
            Some(waiting) => *waiting = outgoing,
            None => self.queue.push_back(outgoing),
        }
        None
    }

    fn next_hello(&mut self) -> Option<Outgoing> {
        if self.active.is_some() { None } else { self.queue.pop_front() }
    }

    /// Returns the slot for which a reply to a hello is.
    fn match_reply(&mut self, status: &Status) -> Option<u32> {
        let slot = self.active?;
        let is_last = match status {
            Status::Welcome { session_key: session, .. } => {
                if !self.assigned.insert(*session) {
                    return None;
                }
                true
            }
            Status::Refused(_) => true,
            // The client has to send another hello.
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
            self.active = None;
        }
        Some(slot)
    }
}

/// Returns the sequence number of a client on the wire.
fn to_wire_seq(slot: u32, seq: Seq) -> Seq {
    assert!(seq.number() >> CLIENT_SEQ_BITS == 0, "a client sends fewer than 2^32 requests");
    if seq == Seq::default() {
        return seq;
    }
    Seq::new(u64::from(slot) << CLIENT_SEQ_BITS | seq.number())
}

/// Returns the slot and the client's own sequence number.
fn from_wire_seq(wire: Seq) -> (u32, Seq) {
    let slot = u32::try_from(wire.number() >> CLIENT_SEQ_BITS).expect("the upper half of 64 bits");
    (slot, Seq::new(wire.number() & ((1 << CLIENT_SEQ_BITS) - 1)))
}

#[cfg(test)]
mod tests {
    use leasehold_core::id::{Attempt, Name, Nonce};
    use leasehold_core::time::Millis;

    use super::*;

    fn hello(slot: u32, attempt: u64) -> Outgoing {
        let operation = Operation::Hello {
            client: Name::new("bench").unwrap(),
            nonce: Secret::new(Nonce::new(u64::from(slot))),
            lease: None,
            cookie: None,
        };
        let (seq, attempt) = (Seq::default(), Attempt::new(attempt));
        let request = Request { session_key: None, seq, attempt, operation };
        Outgoing { slot, reason: SendReason::First, request }
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
    fn sequence_numbers_of_clients_do_not_overlap() {
        for (slot, seq) in [(0, 1), (0, u64::from(u32::MAX)), (156, 7), (9_999, 1 << 30)] {
            let wire = to_wire_seq(slot, Seq::new(seq));
            assert_eq!(from_wire_seq(wire), (slot, Seq::new(seq)));
            assert!(wire.number() < 1 << 53, "{wire}");
        }
        assert_eq!(
            to_wire_seq(3, Seq::default()),
            Seq::default(),
            "a hello has no sequence number"
        );
    }

    #[test]
    fn one_hello_at_a_time_is_sent() {
        let mut hello_queue = HelloQueue::default();
        assert!(hello_queue.admit(hello(0, 0)).is_some());
        assert!(hello_queue.admit(hello(1, 0)).is_none());
        assert!(
            hello_queue.admit(hello(1, 1)).is_none(),
            "a retransmission replaces the queued hello"
        );
        assert!(hello_queue.admit(hello(0, 1)).is_some(), "the active client may retransmit");
        assert!(hello_queue.next_hello().is_none());
        assert_eq!(hello_queue.match_reply(&welcome(1)), Some(0));
        let next = hello_queue.next_hello().expect("no hello is active");
        assert_eq!((next.slot, next.request.attempt), (1, Attempt::new(1)));
        assert!(hello_queue.admit(next).is_some());
        assert!(hello_queue.queue.is_empty());
    }

    #[test]
    fn a_duplicate_welcome_is_not_for_the_next_client() {
        let mut hello_queue = HelloQueue::default();
        assert!(hello_queue.admit(hello(0, 0)).is_some());
        assert_eq!(hello_queue.match_reply(&welcome(1)), Some(0));
        assert!(hello_queue.admit(hello(1, 0)).is_some());
        assert_eq!(hello_queue.match_reply(&welcome(1)), None);
        assert_eq!(hello_queue.match_reply(&welcome(2)), Some(1));
        assert_eq!(hello_queue.match_reply(&welcome(2)), None);
    }
}
