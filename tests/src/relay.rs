//! A relay of datagrams between clients and a server that injects network faults.
//!
//! - One thread forwards all packets. It has a socket towards the server for each client address,
//!   so that a reply is forwarded to the client whose request it answers.
//! - Random faults ([`NetworkConditions`]) are generated from a seed. Rules affect particular
//!   packets and take precedence over random faults.
//! - A partition drops every packet, but packets that a rule holds stay held.

mod forwarding;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use serde_json::Value;

use self::forwarding::{Action, Inner, Rule, Shared, Sockets};
use crate::log::log;
use crate::rng::Rng;

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
    /// If that takes longer than [`WAIT_LIMIT`](crate::wait::WAIT_LIMIT).
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
    /// If that takes longer than [`WAIT_LIMIT`](crate::wait::WAIT_LIMIT).
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

/// Matches requests with this operation.
pub fn op(name: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["op"] == name
}

/// Matches replies with this status.
pub fn status(name: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["status"] == name
}
