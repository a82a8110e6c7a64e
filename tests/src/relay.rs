//! A relay of datagrams between clients and a server that injects network faults.
//!
//! - One thread forwards all packets. It has a socket towards the server for each client address, so
//!   that a reply is forwarded to the client whose request it answers.
//! - Random faults ([`NetworkConditions`]) are generated from a seed. Rules affect particular
//!   packets and take precedence over random faults.
//! - A partition drops every packet, but packets that a rule holds stay held.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::datagram;
use crate::log::log;
use crate::rng::Rng;
use crate::wait::WAIT_LIMIT;

/// How often the thread checks for packets that a test has released.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The direction in which a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From a client to the server.
    ToServer,
    /// From the server to a client.
    ToClient,
}

/// Random faults, in parts per million of the packets of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkConditions {
    /// Packets that are lost.
    pub loss_ppm: u64,
    /// Packets that arrive twice.
    pub duplicate_ppm: u64,
    /// Packets that are delayed, and may arrive after packets that were sent later.
    pub delay_ppm: u64,
    /// The longest delay.
    pub delay_max_ms: u64,
}

/// The number of packets and of random faults so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Packets that the relay has received.
    pub packets: u64,
    /// Packets that were lost.
    pub lost: u64,
    /// Packets that arrived twice.
    pub duplicated: u64,
    /// Packets that were delayed.
    pub delayed: u64,
}

/// A relay. Its thread ends when it is dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A handle to a rule of a relay, and to the packets that it has matched.
pub struct RuleHandle {
    shared: Arc<Shared>,
    rule: usize,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Notified after each round of the thread.
    progress: Condvar,
    stop: AtomicBool,
}

struct Inner {
    conditions: BTreeMap<Direction, NetworkConditions>,
    partitioned: BTreeMap<Direction, bool>,
    rules: Vec<Rule>,
    stats: BTreeMap<Direction, RelayStats>,
    /// One generator for each direction, because the order of packets of different directions is
    /// not reproducible.
    rngs: BTreeMap<Direction, Rng>,
    /// Packets to forward, ordered by time and then by sequence number.
    scheduled: BTreeMap<(Instant, u64), Packet>,
    next_seq: u64,
}

#[derive(Clone)]
struct Packet {
    direction: Direction,
    client: SocketAddr,
    bytes: Vec<u8>,
}

struct Rule {
    direction: Direction,
    matches: Box<dyn FnMut(&Value) -> bool + Send>,
    action: Action,
    remaining: usize,
    matched: usize,
    held: Vec<Packet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Drop,
    Hold,
    Copy,
    Duplicate,
}

impl Relay {
    /// Starts a relay to a server, without any faults.
    pub fn to(server: SocketAddr) -> Self {
        Self::with_seed(server, 0)
    }

    /// Starts a relay to a server, with a seed for its random faults.
    pub fn with_seed(server: SocketAddr, seed: u64) -> Self {
        let client_side = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        client_side.set_nonblocking(true).expect("a non-blocking socket");
        let address = client_side.local_addr().expect("a bound socket");
        let inner = Inner {
            conditions: BTreeMap::new(),
            partitioned: BTreeMap::new(),
            rules: Vec::new(),
            stats: BTreeMap::new(),
            rngs: [(Direction::ToServer, Rng::new(seed)), (Direction::ToClient, Rng::new(!seed))]
                .into(),
            scheduled: BTreeMap::new(),
            next_seq: 0,
        };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            progress: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let sockets = Sockets { client_side, server, server_side: BTreeMap::new() };
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || sockets.run(&shared)
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Returns the address to which clients send.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the random faults of one direction.
    pub fn set_conditions(&self, direction: Direction, conditions: NetworkConditions) {
        self.shared.lock().conditions.insert(direction, conditions);
    }

    /// Sets the same random faults for both directions.
    pub fn set_conditions_both_ways(&self, conditions: NetworkConditions) {
        self.set_conditions(Direction::ToServer, conditions);
        self.set_conditions(Direction::ToClient, conditions);
    }

    /// Drops every packet of one direction from now on.
    pub fn partition(&self, direction: Direction) {
        log("network", format_args!("partitioned {direction:?}"));
        self.shared.lock().partitioned.insert(direction, true);
    }

    /// Drops every packet from now on.
    pub fn partition_both_ways(&self) {
        self.partition(Direction::ToServer);
        self.partition(Direction::ToClient);
    }

    /// Removes partitions, random faults and rules. Packets that a rule holds stay held.
    pub fn heal(&self) {
        log("network", "healed");
        let mut inner = self.shared.lock();
        inner.partitioned.clear();
        inner.conditions.clear();
        inner.rules.iter_mut().for_each(|rule| rule.remaining = 0);
    }

    /// Drops the next packet that matches.
    pub fn drop_next(
        &self,
        direction: Direction,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        self.add_rule(direction, Action::Drop, 1, matches)
    }

    /// Drops every packet that matches.
    pub fn drop_every(
        &self,
        direction: Direction,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        self.add_rule(direction, Action::Drop, usize::MAX, matches)
    }

    /// Holds the next packet that matches until it is released.
    pub fn hold_next(
        &self,
        direction: Direction,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        self.add_rule(direction, Action::Hold, 1, matches)
    }

    /// Forwards the next packet that matches, and holds a copy until it is released.
    pub fn copy_next(
        &self,
        direction: Direction,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        self.add_rule(direction, Action::Copy, 1, matches)
    }

    /// Forwards the next packet that matches twice.
    pub fn duplicate_next(
        &self,
        direction: Direction,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        self.add_rule(direction, Action::Duplicate, 1, matches)
    }

    /// Returns the statistics of one direction.
    pub fn direction_stats(&self, direction: Direction) -> RelayStats {
        self.shared.lock().direction_stats(direction)
    }

    /// Returns the statistics of both directions together.
    pub fn stats(&self) -> RelayStats {
        let inner = self.shared.lock();
        let [up, down] = [Direction::ToServer, Direction::ToClient]
            .map(|direction| inner.direction_stats(direction));
        RelayStats {
            packets: up.packets + down.packets,
            lost: up.lost + down.lost,
            duplicated: up.duplicated + down.duplicated,
            delayed: up.delayed + down.delayed,
        }
    }

    /// Waits until the relay has received this many packets of one direction since it started.
    ///
    /// # Panics
    /// If that takes longer than [`WAIT_LIMIT`].
    #[track_caller]
    pub fn wait_for_packets(&self, direction: Direction, count: u64) {
        self.shared.wait_until(&format!("{count} packets {direction:?}"), |inner| {
            inner.direction_stats(direction).packets >= count
        });
    }

    fn add_rule(
        &self,
        direction: Direction,
        action: Action,
        remaining: usize,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> RuleHandle {
        let mut inner = self.shared.lock();
        let matches = Box::new(matches);
        inner.rules.push(Rule {
            direction,
            matches,
            action,
            remaining,
            matched: 0,
            held: Vec::new(),
        });
        RuleHandle { shared: Arc::clone(&self.shared), rule: inner.rules.len() - 1 }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl RuleHandle {
    /// Waits until the rule has matched a packet.
    ///
    /// # Panics
    /// If that takes longer than [`WAIT_LIMIT`].
    #[track_caller]
    pub fn wait_for_match(&self) {
        self.shared.wait_until("a packet that matches", |inner| inner.rules[self.rule].matched > 0);
    }

    /// Returns how many packets the rule has matched.
    pub fn match_count(&self) -> usize {
        self.shared.lock().rules[self.rule].matched
    }

    /// Forwards the packets that the rule holds.
    pub fn release(&self) {
        let mut inner = self.shared.lock();
        for packet in std::mem::take(&mut inner.rules[self.rule].held) {
            log("network", format_args!("releases {}", packet.summary()));
            inner.schedule(Instant::now(), packet);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics while it holds the lock")
    }

    #[track_caller]
    fn wait_until(&self, what: &str, condition: impl Fn(&Inner) -> bool) {
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

    fn schedule(&mut self, at: Instant, packet: Packet) {
        self.next_seq += 1;
        self.scheduled.insert((at, self.next_seq), packet);
    }

    fn direction_stats(&self, direction: Direction) -> RelayStats {
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
    fn summary(&self) -> String {
        let Some(json) = datagram::parse(&self.bytes) else {
            return format!("{} bytes", self.bytes.len());
        };
        let kind = json.get("op").or(json.get("code")).or(json.get("status"));
        let seq = json.get("seq").or(json.get("re"));
        format!("{} of {}", kind.unwrap_or(&Value::Null), seq.unwrap_or(&Value::Null))
    }
}

/// The state that only the thread uses.
struct Sockets {
    client_side: UdpSocket,
    server: SocketAddr,
    /// By the address of the client.
    server_side: BTreeMap<SocketAddr, UdpSocket>,
}

impl Sockets {
    fn run(mut self, shared: &Shared) {
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

/// Matches requests with this operation.
pub fn op(name: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["op"] == name
}

/// Matches replies with this status.
pub fn status(name: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["status"] == name
}
