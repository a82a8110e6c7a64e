//! The same lock service and the same clients, judged by a model checker that others wrote, in a
//! world of its own: so that our own checkers and our own world don't hide the same mistake.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use leasehold_core::client::{self, CallId, LockClient, Notice, Verdict};
use leasehold_core::data::Data;
use leasehold_core::event::Fact;
use leasehold_core::id::{Index, Name, Peer, Token};
use leasehold_core::service::{self, Datagram, Input, LockServer, Outbox, Start, Stored};
use leasehold_core::state::State;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{Reply, Request};
use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Property, UniformChooser};

const LEASE: Span = Span::from_millis(1_000);

/// How much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Faults {
    losses: u8,
    copies: u8,
    crashes: u8,
}

/// Two clients who want one lock, each to write one line; everything that can happen next can
/// happen first.
#[derive(Clone, Copy, Debug)]
struct TwoClients {
    faults: Faults,
    ends: Time,
}

#[derive(Clone, Debug)]
enum Packet {
    Request { from: usize, request: Request },
    Reply { to: usize, reply: Reply },
}

/// What a client is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Acquiring(CallId),
    Appending(CallId, Token),
    Releasing(CallId),
    Nothing,
}

#[derive(Clone, Debug)]
struct Client {
    core: LockClient,
    doing: Doing,
    /// The server has said that its line is in the file.
    acknowledged: bool,
}

#[derive(Clone, Debug)]
struct Disk {
    state: State,
    /// The lines of the file: under which token, and what they say.
    lines: Vec<(Token, String)>,
}

/// Everything there is at a moment.
#[derive(Clone, Debug)]
struct Moment {
    now: Time,
    server: LockServer,
    outbox: Outbox,
    disk: Disk,
    clients: Vec<Client>,
    /// The packets on their way, by what they look like, and how many there are of each.
    packets: BTreeMap<String, (Packet, u8)>,
    left: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Deliver(String),
    /// It arrives, and the server dies before its disk has it, or right after.
    DeliverAndCrash(String, Crash),
    Lose(String),
    Copy(String),
    /// Time passes until somebody has something to do.
    Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    BeforeTheDisk,
    BeforeTheReply,
}

impl Moment {
    /// Two states are the same where they look the same.
    fn look(&self) -> String {
        format!("{self:?}")
    }

    fn send(&mut self, packet: Packet) {
        let look = format!("{packet:?}");
        self.packets.entry(look).or_insert((packet, 0)).1 += 1;
    }

    fn take(&mut self, look: &str) -> Option<Packet> {
        let (packet, count) = self.packets.get_mut(look)?;
        let packet = packet.clone();
        *count -= 1;
        if *count == 0 {
            self.packets.remove(look);
        }
        Some(packet)
    }

    /// What the server does with an input, up to its replies.
    fn serve(&mut self, input: Input<'_>, crash: Option<Crash>) {
        let step = self.server.step(self.now, input);
        self.store(step, crash);
    }

    fn store(&mut self, step: service::Step, crash: Option<Crash>) {
        let mut replies = Vec::new();
        let events = self.outbox.hold(step, &mut replies);
        if crash == Some(Crash::BeforeTheDisk) {
            return;
        }
        for event in &events {
            self.disk.state.apply(event);
            if let Fact::FileAppended { token, data, .. } = &event.fact {
                self.disk.lines.push((*token, data.text().unwrap_or_default().to_owned()));
            }
        }
        let stored = Stored { through: self.server.index() };
        self.server.stored(stored);
        self.outbox.release(stored, &mut replies);
        if crash == Some(Crash::BeforeTheReply) {
            return;
        }
        for Datagram { to, reply, .. } in replies {
            self.send(Packet::Reply { to: usize::from(to.0.port()), reply });
        }
    }

    fn restart(&mut self) {
        self.outbox = Outbox::default();
        let start = Start {
            state: self.disk.state.clone(),
            // Places in history are reserved, so none is given twice.
            after: self.server.index().max(Index::new(0)),
            ..Start::default()
        };
        let (server, step) = LockServer::start(service_config(), start, self.now);
        self.server = server;
        self.store(step, None);
    }

    /// What a client does when it has taken something in.
    fn go_on(&mut self, no: usize) {
        let now = self.now;
        let client = &mut self.clients[no];
        while let Some(notice) = client.core.notice() {
            let Notice::Answered { call, verdict } = notice else { continue };
            client.take(now, no, call, &verdict);
        }
        while let Some(request) = self.clients[no].core.request() {
            self.send(Packet::Request { from: no, request });
        }
    }

    fn deliver(&mut self, packet: Packet, crash: Option<Crash>) {
        match packet {
            Packet::Request { from, request } => {
                let entropy = from as u128 + 1;
                let from = peer(from);
                self.serve(Input::Request { from, request: &request, entropy }, crash);
            }
            Packet::Reply { to, reply } => {
                let now = self.now;
                self.clients[to].core.receive(now, reply);
                self.go_on(to);
            }
        }
    }

    /// The next moment at which somebody has something to do.
    fn next(&self) -> Option<Time> {
        let server = self.server.next_wake().map(|(at, _)| at);
        let clients = self.clients.iter().filter_map(|client| client.core.next_wake());
        clients.chain(server).min()
    }

    fn pass(&mut self) {
        let Some(next) = self.next() else { return };
        self.now = self.now.max(next);
        if self.server.next_wake().is_some_and(|(at, _)| at <= self.now) {
            self.serve(Input::Wake, None);
        }
        for no in 0..self.clients.len() {
            if self.clients[no].core.next_wake().is_some_and(|at| at <= self.now) {
                let now = self.now;
                self.clients[no].core.wake(now);
                self.go_on(no);
            }
        }
    }

    /// Whether this client believes, at this moment, that it holds the lock; and under what token.
    fn belief(&self, no: usize) -> Option<Token> {
        let core = &self.clients[no].core;
        let mut held = core.held().filter(|(name, token)| core.believes(self.now, name, *token));
        held.next().map(|(_, token)| token)
    }

    /// The token of the live tenure, as the server knows it.
    fn tenure(&self) -> Option<Token> {
        let lock = self.server.state().locks().get(&lock());
        lock.and_then(|lock| lock.tenure()).map(|tenure| tenure.token)
    }
}

impl Client {
    fn take(&mut self, now: Time, no: usize, call: CallId, verdict: &Verdict) {
        self.doing = match (self.doing, verdict) {
            (Doing::Acquiring(own), Verdict::Granted { token, .. }) if own == call => {
                let data = Data::new(line(no).as_bytes());
                Doing::Appending(self.core.append(now, lock(), *token, data, Time::NEVER), *token)
            }
            (Doing::Appending(own, token), verdict) if own == call => {
                self.acknowledged |= matches!(verdict, Verdict::Appended { .. });
                Doing::Releasing(self.core.release(now, lock(), token, Time::NEVER))
            }
            (Doing::Acquiring(own) | Doing::Releasing(own), _) if own == call => Doing::Nothing,
            (doing, _) => doing,
        };
    }
}

fn lock() -> Name {
    Name::new("file_0").unwrap()
}

fn line(no: usize) -> String {
    format!("line of {no}\n")
}

fn peer(no: usize) -> Peer {
    Peer(([127, 0, 0, 1], u16::try_from(no).unwrap()).into())
}

fn service_config() -> service::Config {
    service::Config { lease_default: LEASE, ..service::Config::default() }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.look() == other.look()
    }
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.look().hash(hasher);
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beliefs: Vec<_> = (0..self.clients.len()).map(|no| self.belief(no)).collect();
        write!(f, "{:?}: tenure {:?}, beliefs {beliefs:?}", self.now, self.tenure())
    }
}

impl Model for TwoClients {
    type State = Moment;
    type Action = Action;

    /// Both have a session, and their requests for the lock are on the way.
    fn init_states(&self) -> Vec<Moment> {
        let now = Time::from_millis(1);
        let (server, step) = LockServer::start(service_config(), Start::default(), now);
        let client = |no: u64| {
            let name = Name::new(&format!("client_{no}")).unwrap();
            let config = client::Config { lease: Some(LEASE), ..client::Config::new(name) };
            let core = LockClient::new(config, no);
            Client { core, doing: Doing::Nothing, acknowledged: false }
        };
        let mut moment = Moment {
            now,
            server,
            outbox: Outbox::default(),
            disk: Disk { state: State::default(), lines: Vec::new() },
            clients: vec![client(0), client(1)],
            packets: BTreeMap::new(),
            left: self.faults,
        };
        moment.store(step, None);
        for no in 0..2 {
            moment.clients[no].core.open(now);
            moment.go_on(no);
            for _ in 0..2 {
                let look = moment.packets.keys().next().unwrap().clone();
                let packet = moment.take(&look).unwrap();
                moment.deliver(packet, None);
            }
        }
        for no in 0..2 {
            let wait = Span::from_millis(60_000);
            let client = &mut moment.clients[no];
            let call = client.core.acquire(now, lock(), wait, None, Time::NEVER);
            client.doing = Doing::Acquiring(call);
            moment.go_on(no);
        }
        vec![moment]
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        for (look, (packet, _)) in &moment.packets {
            actions.push(Action::Deliver(look.clone()));
            if moment.left.losses > 0 {
                actions.push(Action::Lose(look.clone()));
            }
            if moment.left.copies > 0 {
                actions.push(Action::Copy(look.clone()));
            }
            if moment.left.crashes > 0 && matches!(packet, Packet::Request { .. }) {
                for crash in [Crash::BeforeTheDisk, Crash::BeforeTheReply] {
                    actions.push(Action::DeliverAndCrash(look.clone(), crash));
                }
            }
        }
        actions.push(Action::Pass);
    }

    fn next_state(&self, last: &Moment, action: Action) -> Option<Moment> {
        let mut moment = last.clone();
        match action {
            Action::Deliver(look) => {
                let packet = moment.take(&look)?;
                moment.deliver(packet, None);
            }
            Action::DeliverAndCrash(look, crash) => {
                let packet = moment.take(&look)?;
                moment.left.crashes -= 1;
                moment.deliver(packet, Some(crash));
                moment.restart();
            }
            Action::Lose(look) => {
                moment.take(&look)?;
                moment.left.losses -= 1;
            }
            Action::Copy(look) => {
                let (packet, _) = moment.packets.get(&look)?.clone();
                moment.send(packet);
                moment.left.copies -= 1;
            }
            Action::Pass => moment.pass(),
        }
        Some(moment)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "at most one believes that it holds the lock",
                |_, moment: &Moment| moment.belief(0).is_none() || moment.belief(1).is_none(),
            ),
            Property::always("who believes is right", |_, moment: &Moment| {
                let right = |belief: Option<Token>| belief.is_none() || belief == moment.tenure();
                right(moment.belief(0)) && right(moment.belief(1))
            }),
            Property::always("tokens in the file never decrease", |_, moment: &Moment| {
                moment.disk.lines.is_sorted_by_key(|(token, _)| *token)
            }),
            Property::always("no line is written twice", |_, moment: &Moment| {
                let count = |no| moment.disk.lines.iter().filter(|it| it.1 == line(no)).count();
                count(0) <= 1 && count(1) <= 1
            }),
            Property::always("what was acknowledged is on disk", |_, moment: &Moment| {
                let kept = |no| moment.disk.lines.iter().any(|it| it.1 == line(no));
                (0..2).all(|no| !moment.clients[no].acknowledged || kept(no))
            }),
            Property::sometimes("both have written", |_, moment: &Moment| {
                moment.clients.iter().all(|client| client.acknowledged)
            }),
            Property::sometimes("a lease is lost", |_, moment: &Moment| {
                let holds = |no: usize| matches!(moment.clients[no].doing, Doing::Appending(..));
                holds(0) && moment.belief(0).is_none()
            }),
        ]
    }

    fn within_boundary(&self, moment: &Moment) -> bool {
        moment.now <= self.ends
    }
}

/// What is looked at: nobody may find anything that must never be so.
fn judge(checker: &impl stateright::Checker<TwoClients>) {
    let (all, unique, depth) =
        (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{all} states, {unique} of them different, up to {depth} steps deep");
    for property in checker.model().properties() {
        if let (Expectation::Always, Some(path)) =
            (property.expectation, checker.discovery(property.name))
        {
            let last = path.last_state().to_string();
            panic!("not so: {}; {last}; {:#?}", property.name, path.into_actions());
        }
    }
}

/// Every order of everything, as deep as it goes with so many states.
#[test]
fn a_model_checker_of_others_finds_nothing() {
    let faults = Faults { losses: 1, copies: 1, crashes: 1 };
    let model = TwoClients { faults, ends: Time::from_millis(1_300) };
    let checker = model.checker().threads(2).target_state_count(100_000).spawn_bfs().join();
    judge(&checker);
    assert!(checker.max_depth() >= 7);
}

/// As long as nobody repeats anything: every order of all packets, with faults, to the very end.
#[test]
fn no_order_of_packets_breaks_anything() {
    let states_max = 1_000_000;
    for (losses, copies, crashes) in [(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)] {
        let faults = Faults { losses, copies, crashes };
        let model = TwoClients { faults, ends: Time::from_millis(150) };
        let checker = model.checker().threads(2).target_state_count(states_max).spawn_bfs().join();
        judge(&checker);
        assert!(checker.state_count() < states_max, "not all of them: {faults:?}");
    }
}

/// Ways of chance, far deeper: to where both have written, and to where a lease is lost.
#[test]
fn no_way_of_chance_breaks_anything() {
    let faults = Faults { losses: 3, copies: 3, crashes: 2 };
    let model = TwoClients { faults, ends: Time::from_millis(8_000) };
    let checker = model
        .checker()
        .target_state_count(60_000)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_simulation(1, UniformChooser)
        .join();
    judge(&checker);
    for name in ["both have written", "a lease is lost"] {
        assert!(checker.discovery(name).is_some(), "{name}: never");
    }
}
