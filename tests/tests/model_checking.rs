//! The lock service and its clients, explored by the model checker of an independent library in a
//! model of its own, so that the project's own checkers and simulator cannot share a mistake.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use leasehold_core::client::{self, CallId, CallOutcome, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::event::EventKind;
use leasehold_core::id::{Name, Peer, Token};
use leasehold_core::service::{self, Datagram, Durable, Input, LockServer, Outbox, StartParams};
use leasehold_core::state::State;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Reply, Request};
use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Property, UniformChooser};

const LEASE: Millis = Millis::from_millis(1_000);

/// How many faults may still occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Faults {
    losses: u8,
    copies: u8,
    crashes: u8,
}

/// The model: two clients acquire one lock and append one line each; events occur in any order.
#[derive(Clone, Copy, Debug)]
struct TwoClients {
    faults: Faults,
    end: Time,
}

#[derive(Clone, Debug)]
enum Packet {
    Request { from: usize, request: Request },
    Reply { to: usize, reply: Reply },
}

/// The call that a client is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Acquiring(CallId),
    Appending(CallId, Token),
    Releasing(CallId),
    Nothing,
}

#[derive(Clone, Debug)]
struct Client {
    core: LockClient,
    phase: Phase,
    /// The server has acknowledged the client's line.
    acknowledged: bool,
}

#[derive(Clone, Debug)]
struct Disk {
    state: State,
    /// The lines of the file: token and text.
    lines: Vec<(Token, String)>,
}

/// A state of the model.
#[derive(Clone, Debug)]
struct ModelState {
    now: Time,
    server: LockServer,
    outbox: Outbox,
    disk: Disk,
    clients: Vec<Client>,
    /// The packets in flight and how many there are of each, by their debug representation.
    packets: BTreeMap<String, (Packet, u8)>,
    faults_left: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Deliver(String),
    /// Delivers the packet and crashes the server, before or after the events are durable.
    DeliverAndCrash(String, Crash),
    Lose(String),
    Copy(String),
    /// Advances the time to the next deadline.
    AdvanceTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    BeforeDurable,
    BeforeReply,
}

impl ModelState {
    /// Returns the debug representation, by which states are compared.
    fn representation(&self) -> String {
        format!("{self:?}")
    }

    fn send(&mut self, packet: Packet) {
        let key = format!("{packet:?}");
        self.packets.entry(key).or_insert((packet, 0)).1 += 1;
    }

    fn take_packet(&mut self, key: &str) -> Option<Packet> {
        let (packet, count) = self.packets.get_mut(key)?;
        let packet = packet.clone();
        *count -= 1;
        if *count == 0 {
            self.packets.remove(key);
        }
        Some(packet)
    }

    /// Handles an input of the server and sends its replies.
    fn handle_input(&mut self, input: Input<'_>, crash: Option<Crash>) {
        let step = self.server.handle(self.now, input);
        self.persist(step, crash);
    }

    fn persist(&mut self, step: service::Step, crash: Option<Crash>) {
        let mut replies = Vec::new();
        let events = self.outbox.hold(step, &mut replies);
        if crash == Some(Crash::BeforeDurable) {
            return;
        }
        for event in &events {
            self.disk.state.apply(event);
            if let EventKind::FileAppended { token, data, .. } = &event.kind {
                self.disk.lines.push((*token, data.text().unwrap_or_default().to_owned()));
            }
        }
        let durable = Durable { through: self.server.last_index() };
        self.outbox.release_durable(durable, &mut replies);
        if crash == Some(Crash::BeforeReply) {
            return;
        }
        for Datagram { to, reply, .. } in replies {
            self.send(Packet::Reply { to: usize::from(to.address.port()), reply });
        }
    }

    fn restart(&mut self) {
        self.outbox = Outbox::default();
        let start = StartParams {
            state: self.disk.state.clone(),
            // The server reserves log indexes, so it assigns none twice.
            index_floor: self.server.last_index(),
            ..StartParams::default()
        };
        let (server, step) = LockServer::start(service_config(), start, self.now);
        self.server = server;
        self.persist(step, None);
    }

    /// Handles the notifications of a client and sends its requests.
    fn run_client(&mut self, index: usize) {
        let now = self.now;
        let client = &mut self.clients[index];
        while let Some(notification) = client.core.poll_notification() {
            let Notification::Completed { call, outcome } = notification else { continue };
            client.handle_outcome(now, index, call, &outcome);
        }
        while let Some(request) = self.clients[index].core.poll_request() {
            self.send(Packet::Request { from: index, request });
        }
    }

    fn deliver(&mut self, packet: Packet, crash: Option<Crash>) {
        match packet {
            Packet::Request { from, request } => {
                let entropy = from as u128 + 1;
                let from = peer(from);
                self.handle_input(Input::Request { from, request: &request, entropy }, crash);
            }
            Packet::Reply { to, reply } => {
                let now = self.now;
                self.clients[to].core.receive(now, reply);
                self.run_client(to);
            }
        }
    }

    /// Returns the next deadline of the server or a client.
    fn next_deadline(&self) -> Option<Time> {
        let server = self.server.next_deadline().map(|(at, _)| at);
        let clients = self.clients.iter().filter_map(|client| client.core.next_deadline());
        clients.chain(server).min()
    }

    fn advance_time(&mut self) {
        let Some(next) = self.next_deadline() else { return };
        self.now = self.now.max(next);
        if self.server.next_deadline().is_some_and(|(at, _)| at <= self.now) {
            self.handle_input(Input::Timer, None);
        }
        for index in 0..self.clients.len() {
            if self.clients[index].core.next_deadline().is_some_and(|at| at <= self.now) {
                let now = self.now;
                self.clients[index].core.handle_timers(now);
                self.run_client(index);
            }
        }
    }

    /// Returns the token under which the client believes that it holds the lock.
    fn belief(&self, index: usize) -> Option<Token> {
        let core = &self.clients[index].core;
        let mut held = core.held().filter(|(name, token)| core.believes(self.now, name, *token));
        held.next().map(|(_, token)| token)
    }

    /// Returns the token of the current tenure in the state of the server.
    fn tenure(&self) -> Option<Token> {
        let lock = self.server.state().locks().get(&lock());
        lock.and_then(|lock| lock.tenure()).map(|tenure| tenure.token)
    }
}

impl Client {
    fn handle_outcome(&mut self, now: Time, index: usize, call: CallId, outcome: &CallOutcome) {
        self.phase = match (self.phase, outcome) {
            (Phase::Acquiring(own), CallOutcome::Granted { token, .. }) if own == call => {
                let data = Data::new(line(index).as_bytes());
                Phase::Appending(self.core.append(now, lock(), *token, data, Time::NEVER), *token)
            }
            (Phase::Appending(own, token), outcome) if own == call => {
                self.acknowledged |= matches!(outcome, CallOutcome::Appended { .. });
                Phase::Releasing(self.core.release(now, lock(), token, Time::NEVER))
            }
            (Phase::Acquiring(own) | Phase::Releasing(own), _) if own == call => Phase::Nothing,
            (phase, _) => phase,
        };
    }
}

fn lock() -> Name {
    Name::new("file_0").unwrap()
}

fn line(index: usize) -> String {
    format!("line of {index}\n")
}

fn peer(index: usize) -> Peer {
    Peer::new(([127, 0, 0, 1], u16::try_from(index).unwrap()).into())
}

fn service_config() -> service::Config {
    service::Config { lease_default: LEASE, ..service::Config::default() }
}

impl PartialEq for ModelState {
    fn eq(&self, other: &Self) -> bool {
        self.representation() == other.representation()
    }
}

impl Hash for ModelState {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.representation().hash(hasher);
    }
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beliefs: Vec<_> = (0..self.clients.len()).map(|index| self.belief(index)).collect();
        write!(f, "{:?}: tenure {:?}, beliefs {beliefs:?}", self.now, self.tenure())
    }
}

impl Model for TwoClients {
    type State = ModelState;
    type Action = Action;

    /// Returns the state in which both clients have a session, and their acquires are in flight.
    fn init_states(&self) -> Vec<ModelState> {
        let now = Time::from_millis(1);
        let (server, step) = LockServer::start(service_config(), StartParams::default(), now);
        let client = |index: u64| {
            let name = Name::new(&format!("client_{index}")).unwrap();
            let config = client::Config { lease: Some(LEASE), ..client::Config::new(name) };
            let core = LockClient::new(config, index);
            Client { core, phase: Phase::Nothing, acknowledged: false }
        };
        let mut state = ModelState {
            now,
            server,
            outbox: Outbox::default(),
            disk: Disk { state: State::default(), lines: Vec::new() },
            clients: vec![client(0), client(1)],
            packets: BTreeMap::new(),
            faults_left: self.faults,
        };
        state.persist(step, None);
        for index in 0..2 {
            state.clients[index].core.open(now);
            state.run_client(index);
            for _ in 0..2 {
                let key = state.packets.keys().next().unwrap().clone();
                let packet = state.take_packet(&key).unwrap();
                state.deliver(packet, None);
            }
        }
        for index in 0..2 {
            let wait = Millis::from_millis(60_000);
            let client = &mut state.clients[index];
            let call = client.core.acquire(now, lock(), wait, None, Time::NEVER);
            client.phase = Phase::Acquiring(call);
            state.run_client(index);
        }
        vec![state]
    }

    fn actions(&self, state: &ModelState, actions: &mut Vec<Action>) {
        for (key, (packet, _)) in &state.packets {
            actions.push(Action::Deliver(key.clone()));
            if state.faults_left.losses > 0 {
                actions.push(Action::Lose(key.clone()));
            }
            if state.faults_left.copies > 0 {
                actions.push(Action::Copy(key.clone()));
            }
            if state.faults_left.crashes > 0 && matches!(packet, Packet::Request { .. }) {
                for crash in [Crash::BeforeDurable, Crash::BeforeReply] {
                    actions.push(Action::DeliverAndCrash(key.clone(), crash));
                }
            }
        }
        actions.push(Action::AdvanceTime);
    }

    fn next_state(&self, last: &ModelState, action: Action) -> Option<ModelState> {
        let mut state = last.clone();
        match action {
            Action::Deliver(key) => {
                let packet = state.take_packet(&key)?;
                state.deliver(packet, None);
            }
            Action::DeliverAndCrash(key, crash) => {
                let packet = state.take_packet(&key)?;
                state.faults_left.crashes -= 1;
                state.deliver(packet, Some(crash));
                state.restart();
            }
            Action::Lose(key) => {
                state.take_packet(&key)?;
                state.faults_left.losses -= 1;
            }
            Action::Copy(key) => {
                let (packet, _) = state.packets.get(&key)?.clone();
                state.send(packet);
                state.faults_left.copies -= 1;
            }
            Action::AdvanceTime => state.advance_time(),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "at most one client believes that it holds the lock",
                |_, state: &ModelState| state.belief(0).is_none() || state.belief(1).is_none(),
            ),
            Property::always(
                "a client that believes that it holds the lock is right",
                |_, state: &ModelState| {
                    let is_right =
                        |belief: Option<Token>| belief.is_none() || belief == state.tenure();
                    is_right(state.belief(0)) && is_right(state.belief(1))
                },
            ),
            Property::always("tokens in the file never decrease", |_, state: &ModelState| {
                state.disk.lines.is_sorted_by_key(|(token, _)| *token)
            }),
            Property::always("no line is duplicated", |_, state: &ModelState| {
                let count =
                    |index| state.disk.lines.iter().filter(|it| it.1 == line(index)).count();
                count(0) <= 1 && count(1) <= 1
            }),
            Property::always("acknowledged lines are on disk", |_, state: &ModelState| {
                let is_on_disk = |index| state.disk.lines.iter().any(|it| it.1 == line(index));
                (0..2).all(|index| !state.clients[index].acknowledged || is_on_disk(index))
            }),
            Property::sometimes("both clients have appended", |_, state: &ModelState| {
                state.clients.iter().all(|client| client.acknowledged)
            }),
            Property::sometimes("a lease has expired", |_, state: &ModelState| {
                let holds =
                    |index: usize| matches!(state.clients[index].phase, Phase::Appending(..));
                holds(0) && state.belief(0).is_none()
            }),
        ]
    }

    fn within_boundary(&self, state: &ModelState) -> bool {
        state.now <= self.end
    }
}

/// Checks that no property is violated.
#[track_caller]
fn expect_no_violation(checker: &impl stateright::Checker<TwoClients>) {
    let (all, unique, depth) =
        (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{all} states, {unique} of them different, up to {depth} steps");
    for property in checker.model().properties() {
        if let (Expectation::Always, Some(path)) =
            (property.expectation, checker.discovery(property.name))
        {
            let last = path.last_state().to_string();
            panic!("violated: {}; {last}; {:#?}", property.name, path.into_actions());
        }
    }
}

/// Explores all orders of events and faults, breadth first, up to a number of states.
#[test]
fn no_order_of_events_violates_a_property() {
    let faults = Faults { losses: 1, copies: 1, crashes: 1 };
    let model = TwoClients { faults, end: Time::from_millis(1_300) };
    let checker = model.checker().threads(2).target_state_count(100_000).spawn_bfs().join();
    expect_no_violation(&checker);
    assert!(checker.max_depth() >= 7);
}

/// Explores all orders of packets and faults exhaustively, up to the time of the first retry.
#[test]
fn no_order_of_packets_before_the_first_retry_violates_a_property() {
    let states_max = 1_000_000;
    for (losses, copies, crashes) in [(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)] {
        let faults = Faults { losses, copies, crashes };
        let model = TwoClients { faults, end: Time::from_millis(150) };
        let checker = model.checker().threads(2).target_state_count(states_max).spawn_bfs().join();
        expect_no_violation(&checker);
        assert!(checker.state_count() < states_max, "the exploration is incomplete: {faults:?}");
    }
}

/// Explores random paths that are much longer: until both clients have appended, and until a lease
/// expires.
#[test]
fn no_random_path_violates_a_property() {
    let faults = Faults { losses: 3, copies: 3, crashes: 2 };
    let model = TwoClients { faults, end: Time::from_millis(8_000) };
    let checker = model
        .checker()
        .target_state_count(60_000)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_simulation(1, UniformChooser)
        .join();
    expect_no_violation(&checker);
    for name in ["both clients have appended", "a lease has expired"] {
        assert!(checker.discovery(name).is_some(), "{name}: not reached");
    }
}
