//! The world: a server and its clients, the network between them, their clocks, the disk; and
//! whatever is done to all of these.
//!
//! - One thing happens at a time, in the order of world time, and of being decided.
//! - A world is a value: cloning it is taking a snapshot, and stepping the clone does what stepping
//!   the original would.
//! - Every draw of luck has a key of its own (the link and the number of the packet, the number of
//!   the flush), so taking one thing away reshuffles nothing else.

mod clients;
mod disk;
mod faults;
mod network;
mod packets;
mod script;
mod server;
mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use leasehold_core::id::Name;
use leasehold_core::rng::mix;
use leasehold_core::time::Time;

use super::check::Checks;
use super::moment::Moment;
use super::protection::Guards;
use super::run::{Action, Fate, Intervention, PacketName, Run};
use super::trace::{Causes, Kind, LockNo, NodeNo, PacketNo, Record, RecordNo};
use clients::ClientNode;
use network::Link;
use packets::Packets;
use server::ServerNode;

pub use clients::{Belief, ClientView};
pub use server::ServerView;
pub use view::{ClockView, LinkView, PacketView};

/// What a run fixes for all its time.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) run: Run,
    pub(super) guards: Guards,
    /// What is done to packets when they are sent.
    pub(super) on_sending: BTreeMap<PacketName, Vec<Fate>>,
}

impl Fixed {
    fn new(run: Run) -> Self {
        let guards = Guards::without(&run.without);
        let mut on_sending: BTreeMap<PacketName, Vec<Fate>> = BTreeMap::new();
        for intervention in &run.interventions {
            if let (None, Action::Packet { packet, fate }) =
                (intervention.at_ms, &intervention.action)
            {
                on_sending.entry(*packet).or_default().push(*fate);
            }
        }
        Self { run, guards, on_sending }
    }
}

/// A simulated run at one moment.
#[derive(Clone, Debug)]
pub struct World {
    fixed: Arc<Fixed>,
    now: Moment,
    agenda: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    packets: Packets,
    packet_count: u32,
    links: Vec<Link>,
    server: ServerNode,
    clients: Vec<ClientNode>,
    records: u32,
    steps: u32,
    fingerprint: u64,
    checks: Checks,
    calm: bool,
    ended: bool,
}

/// The first number in the agenda of interventions. They have numbers of their own, so that one
/// more of them reorders nothing else.
const INTERVENTIONS: u64 = 1 << 16;

/// The last number below all that is decided in the course of the run.
const DECIDED: u64 = 1 << 48;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: Moment,
    /// Starts first, then interventions, then all else in the order of being decided.
    number: u64,
    due: Due,
}

impl Entry {
    /// Both as one number, which is compared without a branch. No two entries have the same.
    fn order(&self) -> u128 {
        u128::from(self.at.as_micros()) << 64 | u128::from(self.number)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Start(NodeNo),
    Arrive(PacketNo),
    Lose(PacketNo),
    /// A node's own timer; of no account where it was set anew meanwhile.
    Wake(NodeNo),
    /// What a client does next. The number tells it from what was due before it died.
    Act(NodeNo, u32),
    Flushed(u32),
    Intervene(u32),
    Calm,
    Resume(NodeNo, u32),
    Restart(NodeNo, u32),
    End,
}

/// Where records go, and what the next one is caused by.
pub(super) struct Pen<'a> {
    pub(super) trace: &'a mut Vec<Record>,
    pub(super) cause: RecordNo,
}

impl World {
    /// The run at its beginning, before anything has happened.
    pub fn new(run: Run) -> Self {
        let nodes = run.config.clients.len() + 1;
        let clients = (1_u8..).zip(&run.config.clients);
        let clients = clients.map(|(no, config)| ClientNode::new(NodeNo(no), config)).collect();
        let server = ServerNode::new(&run.config);
        let fixed = Arc::new(Fixed::new(run));
        let mut world = Self {
            checks: Checks::new(&fixed.run),
            fixed,
            now: Moment::START,
            agenda: BinaryHeap::new(),
            entries: DECIDED,
            packets: Packets::default(),
            packet_count: 0,
            links: vec![Link::default(); nodes * nodes],
            server,
            clients,
            records: 0,
            steps: 0,
            fingerprint: 0,
            calm: false,
            ended: false,
        };
        world.plan();
        world
    }

    fn plan(&mut self) {
        let fixed = Arc::clone(&self.fixed);
        self.plan_at(Moment::START, 0, Due::Start(NodeNo::SERVER));
        for (no, client) in (1_u8..).zip(&fixed.run.config.clients) {
            let at = Moment::from_millis(client.starts_ms);
            self.plan_at(at, u64::from(no), Due::Start(NodeNo(no)));
        }
        self.plan_interventions(0);
        if let Some(faults_end_ms) = fixed.run.config.faults_end_ms {
            self.schedule(Moment::from_millis(faults_end_ms), Due::Calm);
        }
        self.schedule(Moment::from_millis(fixed.run.config.ends_ms), Due::End);
    }

    /// Puts the interventions from the `known`th on in the agenda, each under its own number.
    fn plan_interventions(&mut self, known: usize) {
        let fixed = Arc::clone(&self.fixed);
        let places = (0_u32..).zip(&fixed.run.interventions);
        for (no, intervention) in places.skip(known) {
            if let Some(at_ms) = intervention.at_ms {
                let at = Moment::from_millis(at_ms);
                self.plan_at(at, INTERVENTIONS + u64::from(no), Due::Intervene(no));
            }
        }
    }

    /// Lets the next thing happen that leaves a record, and adds its records to `trace`, whatever
    /// is in that already. Says whether there was one.
    pub fn step(&mut self, trace: &mut Vec<Record>) -> bool {
        let before = self.records;
        while self.records == before {
            if self.ended {
                return false;
            }
            let Some(Reverse(entry)) = self.agenda.pop() else { return false };
            self.now = entry.at;
            let mut pen = Pen { trace, cause: RecordNo::NONE };
            self.happen(entry.due, &mut pen);
        }
        self.steps += 1;
        true
    }

    fn happen(&mut self, due: Due, pen: &mut Pen<'_>) {
        match due {
            Due::Start(node) => self.start(node, pen),
            Due::Arrive(packet) => self.arrive(packet, pen),
            Due::Lose(packet) => self.lose(packet, pen),
            Due::Wake(node) => self.wake(node, pen),
            Due::Act(node, number) => self.act(node, number, pen),
            Due::Flushed(number) => self.flushed(number, pen),
            Due::Intervene(number) => self.intervene(number, pen),
            Due::Calm => self.calm(pen),
            Due::Resume(node, number) => self.resume_after(node, number, pen),
            Due::Restart(node, number) => self.restart_after(node, number, pen),
            Due::End => {
                self.record(pen, NodeNo::SERVER, Kind::Ended);
                self.ended = true;
            }
        }
    }

    fn start(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        self.chain(pen, node, Kind::Started);
        if node.is_server() {
            self.start_server(pen);
        } else {
            self.start_client(node, pen);
        }
    }

    fn wake(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        if node.is_server() {
            self.wake_server(pen);
        } else {
            self.wake_client(node, pen);
        }
    }

    fn schedule(&mut self, at: Moment, due: Due) {
        self.entries += 1;
        self.plan_at(at, self.entries, due);
    }

    fn plan_at(&mut self, at: Moment, number: u64, due: Due) {
        if at < Moment::NEVER {
            self.agenda.push(Reverse(Entry { at, number, due }));
        }
    }

    /// Writes a record down.
    fn record(&mut self, pen: &mut Pen<'_>, node: NodeNo, kind: Kind) -> RecordNo {
        self.record_with(pen, node, kind, RecordNo::NONE)
    }

    /// The same; what happens next in this step is caused by it.
    fn chain(&mut self, pen: &mut Pen<'_>, node: NodeNo, kind: Kind) -> RecordNo {
        let number = self.record(pen, node, kind);
        pen.cause = number;
        number
    }

    /// The same, resting also on something that happened before.
    fn record_with(
        &mut self,
        pen: &mut Pen<'_>,
        node: NodeNo,
        kind: Kind,
        also: RecordNo,
    ) -> RecordNo {
        let local = self.local(node).as_millis();
        let record = Record {
            at: self.now,
            local_ms: u32::try_from(local).unwrap_or(u32::MAX),
            node,
            kind,
            causes: Causes::new([pen.cause, also]),
        };
        let number = RecordNo(self.records);
        self.records += 1;
        self.fingerprint = mix(self.fingerprint ^ record.fingerprint());
        self.checks.take(number, &record);
        pen.trace.push(record);
        number
    }

    /// What a node's clock shows.
    fn local(&self, node: NodeNo) -> Time {
        self.clock(node).read(self.now)
    }

    fn clock(&self, node: NodeNo) -> &super::clock::Clock {
        match self.client(node) {
            Some(client) => &client.clock,
            None => &self.server.clock,
        }
    }

    fn client(&self, node: NodeNo) -> Option<&ClientNode> {
        self.clients.get(usize::from(node.0).checked_sub(1)?)
    }

    fn client_mut(&mut self, node: NodeNo) -> Option<&mut ClientNode> {
        self.clients.get_mut(usize::from(node.0).checked_sub(1)?)
    }

    fn lock_no(&self, name: &Name) -> LockNo {
        self.server.ledger.lock_no(name)
    }

    /// The same world at the same moment, to which these things will be done, too.
    ///
    /// Right only where none of them would have mattered yet: what has happened stays.
    #[must_use]
    pub fn with(&self, interventions: &[Intervention]) -> Self {
        let mut run = self.fixed.run.clone();
        let known = run.interventions.len();
        run.interventions.extend_from_slice(interventions);
        let mut world = self.clone();
        world.fixed = Arc::new(Fixed::new(run));
        world.plan_interventions(known);
        world
    }

    /// The moment.
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// How many steps there were.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// How many records there are.
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// Whether the run is over.
    pub const fn is_over(&self) -> bool {
        self.ended
    }

    /// A number that tells this run, up to here, from any that went otherwise.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What the checkers say up to here.
    pub const fn checks(&self) -> &Checks {
        &self.checks
    }

    /// The run that this is.
    pub fn run(&self) -> &Run {
        &self.fixed.run
    }
}
