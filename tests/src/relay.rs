//! A network that fails when told to: a relay of datagrams between clients and a server.
//!
//! - One thread. One socket towards the server for each client address, so that every reply finds
//!   its way back.
//! - Faults by chance ([`Weather`]) are drawn from a seeded generator. Faults by rule concern
//!   particular packets, and go before chance.
//! - A cut lets nothing through; what rules hold back stays held.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::datagram;
use crate::log::{PATIENCE, tell};
use crate::rng::Rng;

/// How often the thread looks for what the test has asked of it.
const LOOK: Duration = Duration::from_millis(2);

/// Which way a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From a client to the server.
    Up,
    /// From the server to a client.
    Down,
}

/// The faults that chance brings, in parts per million of the packets of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How many are lost.
    pub loss_ppm: u64,
    /// How many arrive twice.
    pub duplicate_ppm: u64,
    /// How many are late, and so arrive after others that were sent later.
    pub late_ppm: u64,
    /// By how much they may be late.
    pub late_ms: u64,
}

/// What chance has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many packets came.
    pub packets: u64,
    /// How many of them were lost.
    pub lost: u64,
    /// How many arrived twice.
    pub duplicated: u64,
    /// How many were late.
    pub late: u64,
}

/// A relay. Its thread ends when it is dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A rule of a relay, and what it has caught.
pub struct Caught {
    shared: Arc<Shared>,
    rule: usize,
}

struct Shared {
    inner: Mutex<Inner>,
    caught: Condvar,
    stop: AtomicBool,
}

struct Inner {
    weather: BTreeMap<Way, Weather>,
    cut: BTreeMap<Way, bool>,
    rules: Vec<Rule>,
    tally: Tally,
    /// One for each direction: which packet comes first of two that cross is nobody's choice.
    chance: BTreeMap<Way, Rng>,
    /// What is to be sent, by when, and in order of arrival where that is the same.
    due: BTreeMap<(Instant, u64), Packet>,
    arrivals: u64,
}

#[derive(Clone)]
struct Packet {
    way: Way,
    client: SocketAddr,
    bytes: Vec<u8>,
}

struct Rule {
    way: Way,
    matches: Box<dyn FnMut(&Value) -> bool + Send>,
    action: Action,
    left: usize,
    count: usize,
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
    /// A relay to this server, through which all is well until it is told otherwise.
    pub fn to(server: SocketAddr) -> Self {
        Self::seeded(server, 0)
    }

    /// As [`Self::to`], with the seed of its chance.
    pub fn seeded(server: SocketAddr, seed: u64) -> Self {
        let front = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        front.set_nonblocking(true).expect("a socket that does not block");
        let address = front.local_addr().expect("a bound socket");
        let inner = Inner {
            weather: BTreeMap::new(),
            cut: BTreeMap::new(),
            rules: Vec::new(),
            tally: Tally::default(),
            chance: [(Way::Up, Rng::new(seed)), (Way::Down, Rng::new(!seed))].into(),
            due: BTreeMap::new(),
            arrivals: 0,
        };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            caught: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let sockets = Sockets { front, server, behind: BTreeMap::new() };
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || sockets.carry(&shared)
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the chances of one direction.
    pub fn set_weather(&self, way: Way, weather: Weather) {
        self.shared.lock().weather.insert(way, weather);
    }

    /// The same chances both ways.
    pub fn set_weather_both_ways(&self, weather: Weather) {
        self.set_weather(Way::Up, weather);
        self.set_weather(Way::Down, weather);
    }

    /// Lets nothing through any more, one way.
    pub fn cut(&self, way: Way) {
        tell("network", format_args!("cut {way:?}"));
        self.shared.lock().cut.insert(way, true);
    }

    /// Lets nothing through any more.
    pub fn cut_both_ways(&self) {
        self.cut(Way::Up);
        self.cut(Way::Down);
    }

    /// Lets all through again: no cut, no chance, no rule. What is held stays held.
    pub fn heal(&self) {
        tell("network", "healed");
        let mut inner = self.shared.lock();
        inner.cut.clear();
        inner.weather.clear();
        inner.rules.iter_mut().for_each(|rule| rule.left = 0);
    }

    /// Loses the next packet that matches.
    pub fn drop_next(
        &self,
        way: Way,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        self.add(way, Action::Drop, 1, matches)
    }

    /// Loses every packet that matches.
    pub fn drop_every(
        &self,
        way: Way,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        self.add(way, Action::Drop, usize::MAX, matches)
    }

    /// Holds back the next packet that matches, until it is released.
    pub fn hold_next(
        &self,
        way: Way,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        self.add(way, Action::Hold, 1, matches)
    }

    /// Lets the next packet that matches through, and holds back a copy until it is released.
    pub fn copy_next(
        &self,
        way: Way,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        self.add(way, Action::Copy, 1, matches)
    }

    /// Sends the next packet that matches twice.
    pub fn duplicate_next(
        &self,
        way: Way,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        self.add(way, Action::Duplicate, 1, matches)
    }

    /// What chance has done so far.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally
    }

    fn add(
        &self,
        way: Way,
        action: Action,
        left: usize,
        matches: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Caught {
        let mut inner = self.shared.lock();
        let matches = Box::new(matches);
        inner.rules.push(Rule { way, matches, action, left, count: 0, held: Vec::new() });
        Caught { shared: Arc::clone(&self.shared), rule: inner.rules.len() - 1 }
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

impl Caught {
    /// Waits until the rule has caught a packet.
    #[track_caller]
    pub fn wait(&self) {
        let inner = self.shared.lock();
        let none_yet = |inner: &mut Inner| inner.rules[self.rule].count == 0;
        let (_inner, timeout) = self
            .shared
            .caught
            .wait_timeout_while(inner, PATIENCE, none_yet)
            .expect("no test panics while it looks");
        assert!(!timeout.timed_out(), "no such packet came");
    }

    /// How many packets it has caught.
    pub fn count(&self) -> usize {
        self.shared.lock().rules[self.rule].count
    }

    /// Sends what it holds back on its way.
    pub fn release(&self) {
        let mut inner = self.shared.lock();
        for packet in std::mem::take(&mut inner.rules[self.rule].held) {
            tell("network", format_args!("lets go of {}", packet.shown()));
            inner.send_at(Instant::now(), packet);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics while it looks")
    }
}

impl Inner {
    /// Decides what becomes of a packet.
    fn accept(&mut self, now: Instant, packet: Packet) {
        self.tally.packets += 1;
        if self.cut.get(&packet.way).copied().unwrap_or(false) {
            return;
        }
        if let Some(index) = self.rule_for(&packet) {
            self.obey(index, now, packet);
            return;
        }
        let weather = self.weather.get(&packet.way).copied().unwrap_or_default();
        let rng = self.chance.get_mut(&packet.way).expect("both directions have one");
        if rng.chance(weather.loss_ppm) {
            self.tally.lost += 1;
            return;
        }
        let copies = 1 + u64::from(rng.chance(weather.duplicate_ppm));
        self.tally.duplicated += copies - 1;
        for _ in 0..copies {
            let at = self.arrival(now, packet.way, weather);
            self.send_at(at, packet.clone());
        }
    }

    fn rule_for(&mut self, packet: &Packet) -> Option<usize> {
        let json = datagram::json(&packet.bytes)?;
        self.rules
            .iter_mut()
            .position(|rule| rule.left > 0 && rule.way == packet.way && (rule.matches)(&json))
    }

    fn obey(&mut self, index: usize, now: Instant, packet: Packet) {
        let rule = &mut self.rules[index];
        rule.left -= 1;
        rule.count += 1;
        tell("network", format_args!("{:?} {}", rule.action, packet.shown()));
        match rule.action {
            Action::Drop => {}
            Action::Hold => rule.held.push(packet),
            Action::Copy => {
                rule.held.push(packet.clone());
                self.send_at(now, packet);
            }
            Action::Duplicate => {
                self.send_at(now, packet.clone());
                self.send_at(now, packet);
            }
        }
    }

    fn arrival(&mut self, now: Instant, way: Way, weather: Weather) -> Instant {
        let rng = self.chance.get_mut(&way).expect("both directions have one");
        if !rng.chance(weather.late_ppm) {
            return now;
        }
        self.tally.late += 1;
        now + Duration::from_millis(1 + rng.below(weather.late_ms))
    }

    fn send_at(&mut self, at: Instant, packet: Packet) {
        self.arrivals += 1;
        self.due.insert((at, self.arrivals), packet);
    }
}

impl Packet {
    fn shown(&self) -> String {
        let Some(json) = datagram::json(&self.bytes) else {
            return format!("{} bytes", self.bytes.len());
        };
        let kind = json.get("op").or(json.get("code")).or(json.get("status"));
        let seq = json.get("seq").or(json.get("re"));
        format!("{} of {}", kind.unwrap_or(&Value::Null), seq.unwrap_or(&Value::Null))
    }
}

/// What only the thread touches.
struct Sockets {
    front: UdpSocket,
    server: SocketAddr,
    behind: BTreeMap<SocketAddr, UdpSocket>,
}

impl Sockets {
    fn carry(mut self, shared: &Shared) {
        let mut buffer = vec![0; 65_536];
        while !shared.stop.load(Ordering::Relaxed) {
            self.wait(shared);
            let mut packets = Vec::new();
            while let Ok((len, client)) = self.front.recv_from(&mut buffer) {
                packets.push(Packet { way: Way::Up, client, bytes: buffer[..len].to_owned() });
            }
            for (&client, socket) in &self.behind {
                while let Ok((len, _)) = socket.recv_from(&mut buffer) {
                    let bytes = buffer[..len].to_owned();
                    packets.push(Packet { way: Way::Down, client, bytes });
                }
            }
            let mut inner = shared.lock();
            let now = Instant::now();
            packets.into_iter().for_each(|packet| inner.accept(now, packet));
            while let Some(entry) = inner.due.first_entry()
                && entry.key().0 <= now
            {
                self.send(&entry.remove());
            }
            drop(inner);
            shared.caught.notify_all();
        }
    }

    fn wait(&self, shared: &Shared) {
        let due = shared.lock().due.keys().next().map(|&(at, _)| at);
        let left = due.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()).min(LOOK));
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let sockets = std::iter::once(&self.front).chain(self.behind.values());
        let mut polled: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        // Interrupted or not: what is there is read.
        let _ = poll(&mut polled, Some(&timeout));
    }

    fn send(&mut self, packet: &Packet) {
        // A server that is down is silence to a client.
        let _ = match packet.way {
            Way::Down => self.front.send_to(&packet.bytes, packet.client),
            Way::Up => {
                let socket = self.behind.entry(packet.client).or_insert_with(|| {
                    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
                    socket.set_nonblocking(true).expect("a socket that does not block");
                    socket
                });
                socket.send_to(&packet.bytes, self.server)
            }
        };
    }
}

/// Matches requests of this operation.
pub fn op(word: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["op"] == word
}

/// Matches replies of this status.
pub fn status(word: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |json| json["status"] == word
}
