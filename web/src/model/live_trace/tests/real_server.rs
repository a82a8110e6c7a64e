//! The real lock server with real clients, and a page that observes it under bad conditions:
//! whatever the page misses, and however late it hears of it, the server is never accused.

use std::collections::BTreeMap;

use leasehold_core::client::{CallOutcome, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{Peer, SessionId};
use leasehold_core::rng::Rng;
use leasehold_core::service::{Config as Service, Durable, Input, LockServer, Outbox, StartParams};
use leasehold_core::time::Millis;
use serde_json::json;

use super::*;

/// The number of clients. Some have equal names.
const CLIENTS: u64 = 5;

/// The number of locks, each with a file.
const LOCKS: u64 = 3;

/// The server, its clients, and its disk.
struct Cluster {
    rng: Rng,
    /// A clock that never stops, in milliseconds.
    now_ms: u64,
    /// How far the server's clock is behind: it stops while the server is down, and loses what was
    /// not stored.
    server_behind_ms: u64,
    server: LockServer,
    outbox: Outbox,
    clients: Vec<LockClient>,
    granted: Vec<Vec<(Name, Token)>>,
    durable: State,
    /// The state after all events, and its contents of files.
    published: State,
    files: BTreeMap<Name, String>,
    start: (Time, u64),
    recovered: LogIndex,
}

impl Cluster {
    fn new(seed: u64, first: u64) -> Self {
        let mut rng = Rng::new(seed);
        let clients = (0..CLIENTS).map(|number| {
            let config = leasehold_core::client::Config {
                name: Name::new(&format!("c{}", number / 2)).unwrap(),
                lease: Some(Millis::from_millis(1_000 + 1_500 * (number % 3))),
                drift_ppm: 10_000,
                retransmit_delay: Millis::from_millis(300),
            };
            let mut client = LockClient::new(config, rng.next_u64());
            client.skip_seqs(first);
            client
        });
        let clients: Vec<LockClient> = clients.collect();
        let (index, token) = (LogIndex::new(first), Token::new(first));
        let state = State::after_numbers(index, token, SessionId::new(first));
        let (server, step) =
            LockServer::start(Service::default(), StartParams::default(), Time::ZERO);
        drop(step);
        let mut cluster = Self {
            rng,
            now_ms: 1_000,
            server_behind_ms: 0,
            server,
            outbox: Outbox::default(),
            granted: vec![Vec::new(); clients.len()],
            clients,
            durable: state.clone(),
            published: state,
            files: BTreeMap::new(),
            start: (Time::ZERO, 0),
            recovered: index,
        };
        cluster.start_server(0);
        cluster
    }

    fn server_now(&self) -> Time {
        Time::from_millis(self.now_ms - self.server_behind_ms)
    }

    fn client_now(&self) -> Time {
        Time::from_millis(self.now_ms)
    }

    /// Starts the server from what is durable. Returns its first events.
    fn start_server(&mut self, indices_skipped: u64) -> Vec<Event> {
        let state = self.durable.clone();
        self.server_behind_ms = self.now_ms - state.last_event_at().as_millis();
        self.start = (state.last_event_at(), self.now_ms);
        self.recovered = state.applied_index();
        let last = self.published.applied_index().number();
        let index_floor = LogIndex::new(last + indices_skipped);
        self.published = state.clone();
        let start = StartParams { state, index_floor, ..StartParams::default() };
        let (server, step) = LockServer::start(Service::default(), start, self.server_now());
        (self.server, self.outbox) = (server, Outbox::default());
        self.process(step)
    }

    /// Stores the events of a step, and delivers its replies unless the network loses them.
    fn process(&mut self, step: leasehold_core::service::Step) -> Vec<Event> {
        let mut replies = Vec::new();
        let events = self.outbox.hold(step, &mut replies);
        for event in &events {
            self.published.apply(event);
            if event.kind.is_durable() {
                self.durable.apply(event);
            }
            if let EventKind::FileAppended { file, data, .. } = &event.kind {
                *self.files.entry(file.clone()).or_default() += data.text().unwrap();
            }
        }
        let through = self.server.last_index();
        self.outbox.release_durable(Durable { through }, &mut replies);
        for datagram in replies {
            let client = usize::from(datagram.to.address.port());
            if !self.rng.chance(150_000) {
                let now = self.client_now();
                self.clients[client].receive(now, datagram.reply);
            }
        }
        events
    }

    /// Lets time pass, and one client act. Returns the events.
    fn step(&mut self) -> Vec<Event> {
        self.now_ms +=
            if self.rng.chance(20_000) { self.rng.between(1, 5_000) } else { self.rng.below(120) };
        let mut events = Vec::new();
        if self.server.next_deadline().is_some_and(|(at, _)| at <= self.server_now()) {
            let step = self.server.handle(self.server_now(), Input::Timer);
            events.extend(self.process(step));
        }
        let client = usize::try_from(self.rng.below(CLIENTS)).unwrap();
        self.act(client);
        let now = self.client_now();
        for index in 0..self.clients.len() {
            // A paused client does nothing for a while.
            if !self.rng.chance(30_000) {
                self.clients[index].handle_timers(now);
            }
            while let Some(notification) = self.clients[index].poll_notification() {
                if let Notification::Completed {
                    outcome: CallOutcome::Granted { lock, token, .. },
                    ..
                } = notification
                {
                    self.granted[index].push((lock, token));
                }
            }
            while let Some(request) = self.clients[index].poll_request() {
                if self.rng.chance(150_000) {
                    continue;
                }
                let from = Peer::new(([127, 0, 0, 1], u16::try_from(index).unwrap()).into());
                let copies = 1 + u64::from(self.rng.chance(100_000));
                for _ in 0..copies {
                    let high = u128::from(self.rng.next_u64());
                    let entropy = high << 64 | u128::from(self.rng.next_u64());
                    let input = Input::Request { from, request: &request, entropy };
                    let step = self.server.handle(self.server_now(), input);
                    events.extend(self.process(step));
                }
            }
        }
        events
    }

    fn act(&mut self, client: usize) {
        let now = self.client_now();
        let lock = Name::new(&format!("file_{}", self.rng.below(LOCKS))).unwrap();
        let deadline = now + Millis::from_millis(8_000);
        let (kind, number) = (self.rng.below(10), self.rng.below(u64::MAX));
        let library = &mut self.clients[client];
        library.open(now);
        match (kind, self.granted[client].last().cloned()) {
            (0..=3, _) => {
                let wait = Millis::from_millis([0, 1_000, 7_000][(number % 3) as usize]);
                let hold = (number % 5 == 0).then(|| Millis::from_millis(700));
                library.acquire(now, lock, wait, hold, deadline);
            }
            (4..=6, Some((lock, token))) => {
                let data = Data::new(format!("entry {number}\n").as_bytes());
                library.append(now, lock, token, data, deadline);
            }
            (7, Some((lock, token))) => {
                self.granted[client].pop();
                library.release(now, lock, token, deadline);
            }
            (8, _) if number % 6 == 0 => {
                library.close(now, deadline);
            }
            _ => {}
        }
    }

    fn snapshot(&self, missed: u64) -> String {
        let (at_ms, (started_at, started_unix_ms)) = (self.server_now(), self.start);
        let message = json!({
            "type": "snapshot", "index": self.published.applied_index(), "at_ms": at_ms,
            "missed": missed, "recovered": self.recovered, "started_at_ms": started_at,
            "started_unix_ms": started_unix_ms, "state": self.published,
        });
        message.to_string()
    }
}

/// A page that observes a cluster.
struct Page {
    live_trace: LiveTrace,
    intervals: Intervals,
    /// The events that are on their way.
    pending: Vec<Event>,
    is_connected: bool,
}

impl Page {
    /// Delivers everything, with the message boundaries that chance gives.
    fn deliver(&mut self, cluster: &mut Cluster) {
        let mut pending = std::mem::take(&mut self.pending);
        while !pending.is_empty() {
            let count = usize::try_from(cluster.rng.between(1, 4)).unwrap().min(pending.len());
            let rest = pending.split_off(count);
            let message = json!({"type": "events", "events": pending}).to_string();
            self.apply(&message, cluster.now_ms);
            pending = rest;
            // The estimate of the server's clock is too early or too late.
            let ahead_ms = cluster.rng.below(300);
            let estimate = cluster.server_now().as_millis() + ahead_ms;
            self.live_trace.advance_to(Time::from_millis(estimate.saturating_sub(100)));
        }
    }

    fn apply(&mut self, message: &str, now_ms: u64) {
        let now = VirtualTime::from_millis(now_ms);
        let applied = self.live_trace.apply_message(message, now, &mut self.intervals);
        applied.unwrap_or_else(|error| panic!("{error}: {message}"));
    }

    /// Connects, after having missed some or all events.
    fn connect(&mut self, cluster: &Cluster, is_restarted: bool) {
        let known = self.live_trace.last_log_index().map_or(0, LogIndex::number);
        let missed = cluster.published.applied_index().number().saturating_sub(known);
        let missed = if is_restarted || known == 0 { 0 } else { missed };
        self.apply(&cluster.snapshot(missed), cluster.now_ms);
        self.is_connected = true;
    }
}

/// Runs a cluster that is observed. Returns the page, and the contents of the files.
fn observe(seed: u64, first: u64) -> (Timeline, BTreeMap<Name, String>) {
    let mut cluster = Cluster::new(seed, first);
    let mut page = Page {
        live_trace: LiveTrace::new(),
        intervals: Intervals::default(),
        pending: Vec::new(),
        is_connected: false,
    };
    page.connect(&cluster, false);
    let mut is_restarted = false;
    for _ in 0..1_500 {
        let mut events = cluster.step();
        if cluster.rng.chance(4_000) {
            // The server is killed. What it sent last may not have arrived.
            page.pending.truncate(usize::try_from(cluster.rng.below(4)).unwrap());
            page.deliver(&mut cluster);
            cluster.now_ms += cluster.rng.below(4_000);
            let skipped = [0, 1 << 20][usize::from(cluster.rng.chance(700_000))];
            events = cluster.start_server(skipped);
            (page.is_connected, is_restarted) = (false, true);
        }
        if page.is_connected {
            page.pending.extend(events);
            if cluster.rng.chance(500_000) {
                page.deliver(&mut cluster);
            }
            // The page loses the connection, or is too slow and misses events.
            if cluster.rng.chance(10_000) {
                page.pending.clear();
                page.is_connected = false;
            }
        } else if cluster.rng.chance(100_000) {
            page.connect(&cluster, std::mem::take(&mut is_restarted));
        }
        let violated = page.live_trace.violated();
        assert!(violated.is_empty(), "seed {seed} from {first}: {violated:?}");
    }
    page.pending.clear();
    page.connect(&cluster, is_restarted);
    for name in page.live_trace.files_to_fetch() {
        page.live_trace.store_fetched_file(&name, cluster.files[&name].as_bytes());
    }
    let mut timeline = Timeline::from_live_trace(page.live_trace, page.intervals);
    timeline.go_to(timeline.end());
    (timeline, cluster.files)
}

#[test]
fn correct_server_is_never_accused() {
    let mut checked = BTreeSet::new();
    let firsts = [0, (1 << 32) - 50, (1 << 53) - 50, u64::MAX - (1 << 40)];
    for (seed, first) in (0..20).zip(firsts.into_iter().cycle()) {
        let (timeline, files) = observe(seed, first);
        for (invariant, _, status) in timeline.statuses() {
            if status == InvariantStatus::Ok {
                checked.insert(invariant);
            }
        }
        // Every line is where it is in the real file.
        let views = timeline.file_views(None, usize::MAX);
        for (name, content) in &files {
            let view = views.iter().find(|view| view.name == name.as_str()).unwrap();
            let lines = view.lines.iter().map(|line| line.text.as_str());
            assert!(content.lines().eq(lines), "seed {seed}: {name}: {view:#?}");
            assert_eq!(view.line_count, content.lines().count());
        }
        let times = timeline.trace().iter().map(|record| record.at);
        assert!(times.is_sorted(), "seed {seed}: times do not decrease");
    }
    for invariant in [Invariant::S1, Invariant::S2, Invariant::S3, Invariant::S4, Invariant::S6] {
        assert!(checked.contains(&invariant), "{invariant} was never put to the test");
    }
    assert!(checked.contains(&Invariant::S8) && checked.contains(&Invariant::L1), "{checked:?}");
}
