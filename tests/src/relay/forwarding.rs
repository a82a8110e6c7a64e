//! The thread of a relay: it receives packets, decides about their faults, and forwards them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::{Direction, NetworkConditions, RelayStats};
use crate::datagram;
use crate::log::log;
use crate::rng::Rng;
use crate::wait::WAIT_LIMIT;

/// How often the thread checks for packets that a test has released.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

pub(super) struct Shared {
    pub(super) inner: Mutex<Inner>,
    /// Notified after each round of the thread.
    pub(super) progress: Condvar,
    pub(super) stop: AtomicBool,
}

pub(super) struct Inner {
    pub(super) conditions: BTreeMap<Direction, NetworkConditions>,
    pub(super) partitioned: BTreeMap<Direction, bool>,
    pub(super) rules: Vec<Rule>,
    pub(super) stats: BTreeMap<Direction, RelayStats>,
    /// One generator for each direction, because the order of packets of different directions is
    /// not reproducible.
    pub(super) rngs: BTreeMap<Direction, Rng>,
    /// Packets to forward, ordered by time and then by sequence number.
    pub(super) scheduled: BTreeMap<(Instant, u64), Packet>,
    pub(super) next_seq: u64,
}

#[derive(Clone)]
pub(super) struct Packet {
    direction: Direction,
    client: SocketAddr,
    bytes: Vec<u8>,
}

pub(super) struct Rule {
    pub(super) direction: Direction,
    pub(super) matches: Box<dyn FnMut(&Value) -> bool + Send>,
    pub(super) action: Action,
    pub(super) remaining: usize,
    pub(super) matched: usize,
    pub(super) held: Vec<Packet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Drop,
    Hold,
    Copy,
    Duplicate,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics while it holds the lock")
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, condition: impl Fn(&Inner) -> bool) {
        let (_inner, timeout) = self
            .progress
            .wait_timeout_while(self.lock(), WAIT_LIMIT, |inner| !condition(inner))
            .expect("no test panics while it holds the lock");
        assert!(!timeout.timed_out(), "timed out waiting for {what}");
    }
}

impl Inner {
    /// Handles a packet that has arrived.
    fn accept(&mut self, now: Instant, packet: Packet) {
        self.stats_mut(packet.direction).packets += 1;
        if self.partitioned.get(&packet.direction).copied().unwrap_or(false) {
            return;
        }
        if let Some(index) = self.rule_for(&packet) {
            self.apply_rule(index, now, packet);
            return;
        }
        let conditions = self.conditions.get(&packet.direction).copied().unwrap_or_default();
        if self.rng(packet.direction).happens(conditions.loss_ppm) {
            self.stats_mut(packet.direction).lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.rng(packet.direction).happens(conditions.duplicate_ppm));
        self.stats_mut(packet.direction).duplicated += copies - 1;
        for _ in 0..copies {
            let at = self.arrival(now, packet.direction, conditions);
            self.schedule(at, packet.clone());
        }
    }

    fn rule_for(&mut self, packet: &Packet) -> Option<usize> {
        let json = datagram::parse(&packet.bytes)?;
        self.rules.iter_mut().position(|rule| {
            rule.remaining > 0 && rule.direction == packet.direction && (rule.matches)(&json)
        })
    }

    fn apply_rule(&mut self, index: usize, now: Instant, packet: Packet) {
        let rule = &mut self.rules[index];
        rule.remaining -= 1;
        rule.matched += 1;
        log("network", format_args!("{:?} {}", rule.action, packet.summary()));
        match rule.action {
            Action::Drop => {}
            Action::Hold => rule.held.push(packet),
            Action::Copy => {
                rule.held.push(packet.clone());
                self.schedule(now, packet);
            }
            Action::Duplicate => {
                self.schedule(now, packet.clone());
                self.schedule(now, packet);
            }
        }
    }

    fn arrival(
        &mut self,
        now: Instant,
        direction: Direction,
        conditions: NetworkConditions,
    ) -> Instant {
        let rng = self.rng(direction);
        if !rng.happens(conditions.delay_ppm) {
            return now;
        }
        let delay = Duration::from_millis(1 + rng.below(conditions.delay_max_ms));
        self.stats_mut(direction).delayed += 1;
        now + delay
    }

    pub(super) fn schedule(&mut self, at: Instant, packet: Packet) {
        self.next_seq += 1;
        self.scheduled.insert((at, self.next_seq), packet);
    }

    pub(super) fn direction_stats(&self, direction: Direction) -> RelayStats {
        self.stats.get(&direction).copied().unwrap_or_default()
    }

    fn stats_mut(&mut self, direction: Direction) -> &mut RelayStats {
        self.stats.entry(direction).or_default()
    }

    fn rng(&mut self, direction: Direction) -> &mut Rng {
        self.rngs.get_mut(&direction).expect("both directions have a generator")
    }
}

impl Packet {
    /// Returns the operation, code or status and the sequence number, for the log.
    pub(super) fn summary(&self) -> String {
        let Some(json) = datagram::parse(&self.bytes) else {
            return format!("{} bytes", self.bytes.len());
        };
        let kind = json.get("op").or(json.get("code")).or(json.get("status"));
        let seq = json.get("seq").or(json.get("re"));
        format!("{} of {}", kind.unwrap_or(&Value::Null), seq.unwrap_or(&Value::Null))
    }
}

/// The state that only the thread uses.
pub(super) struct Sockets {
    pub(super) client_side: UdpSocket,
    pub(super) server: SocketAddr,
    /// By the address of the client.
    pub(super) server_side: BTreeMap<SocketAddr, UdpSocket>,
}

impl Sockets {
    pub(super) fn run(mut self, shared: &Shared) {
        let mut buffer = vec![0; 65_536];
        while !shared.stop.load(Ordering::Relaxed) {
            self.wait_for_input(shared);
            let packets = self.receive(&mut buffer);
            let mut inner = shared.lock();
            let now = Instant::now();
            packets.into_iter().for_each(|packet| inner.accept(now, packet));
            while let Some(entry) = inner.scheduled.first_entry()
                && entry.key().0 <= now
            {
                self.send(&entry.remove());
            }
            drop(inner);
            shared.progress.notify_all();
        }
    }

    /// Waits until a packet arrives, or one must be forwarded, or for [`POLL_INTERVAL`].
    fn wait_for_input(&self, shared: &Shared) {
        let next = shared.lock().scheduled.keys().next().map(|&(at, _)| at);
        let left = next.map_or(POLL_INTERVAL, |at| {
            at.saturating_duration_since(Instant::now()).min(POLL_INTERVAL)
        });
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let sockets = std::iter::once(&self.client_side).chain(self.server_side.values());
        let mut polled: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        // An interruption is harmless: the sockets do not block.
        let _ = poll(&mut polled, Some(&timeout));
    }

    fn receive(&self, buffer: &mut [u8]) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Ok((len, client)) = self.client_side.recv_from(buffer) {
            let bytes = buffer[..len].to_owned();
            packets.push(Packet { direction: Direction::ToServer, client, bytes });
        }
        for (&client, socket) in &self.server_side {
            while let Ok((len, _)) = socket.recv_from(buffer) {
                let bytes = buffer[..len].to_owned();
                packets.push(Packet { direction: Direction::ToClient, client, bytes });
            }
        }
        packets
    }

    fn send(&mut self, packet: &Packet) {
        // The kernel reports an error if the server is down; for a client the packet is lost.
        let _ = match packet.direction {
            Direction::ToClient => self.client_side.send_to(&packet.bytes, packet.client),
            Direction::ToServer => {
                let socket = self.server_side.entry(packet.client).or_insert_with(|| {
                    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
                    socket.set_nonblocking(true).expect("a non-blocking socket");
                    socket
                });
                socket.send_to(&packet.bytes, self.server)
            }
        };
    }
}
