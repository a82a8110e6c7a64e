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
mod run_script;
mod server;
mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use leasehold_core::id::Name;
use leasehold_core::rng::mix;
use leasehold_core::time::Time;

use super::check::Checkers;
use super::protection::ProtectionFlags;
use super::run::{Action, Intervention, PacketAction, PacketSelector, Run};
use super::trace::{Causes, LockId, NodeId, PacketId, Record, RecordId, RecordKind};
use super::virtual_time::VirtualTime;
use clients::ClientNode;
use network::Link;
use packets::InFlightPackets;
use server::ServerNode;

pub use clients::{Belief, ClientView};
pub use server::ServerView;
pub use view::{ClockView, LinkView, PacketView};

/// What a run fixes for all its time.
#[derive(Debug)]
pub(super) struct RunContext {
    pub(super) run: Run,
    pub(super) protections: ProtectionFlags,
    /// What is done to packets when they are sent.
    pub(super) on_send: BTreeMap<PacketSelector, Vec<PacketAction>>,
}

impl RunContext {
    fn new(run: Run) -> Self {
        let protections = ProtectionFlags::without(&run.without);
        let mut on_send: BTreeMap<PacketSelector, Vec<PacketAction>> = BTreeMap::new();
        for intervention in &run.interventions {
            if let (None, Action::Packet { packet, packet_action }) =
                (intervention.at_ms, &intervention.action)
            {
                on_send.entry(*packet).or_default().push(*packet_action);
            }
        }
        Self { run, protections, on_send }
    }
}

/// A simulated run at one moment.
#[derive(Clone, Debug)]
pub struct World {
    context: Arc<RunContext>,
    now: VirtualTime,
    event_queue: BinaryHeap<Reverse<ScheduledEvent>>,
    last_sequence: u64,
    packets: InFlightPackets,
    packet_count: u32,
    links: Vec<Link>,
    server: ServerNode,
    clients: Vec<ClientNode>,
    record_count: u32,
    steps: u32,
    fingerprint: u64,
    checkers: Checkers,
    faults_ended: bool,
    ended: bool,
}

/// The first number in the agenda of interventions. They have numbers of their own, so that one
/// more of them reorders nothing else.
const FIRST_INTERVENTION_SEQUENCE: u64 = 1 << 16;

/// The last number below all that is decided in the course of the run.
const LAST_RESERVED_SEQUENCE: u64 = 1 << 48;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScheduledEvent {
    at: VirtualTime,
    /// Starts first, then interventions, then all else in the order of being decided.
    sequence: u64,
    event: SimEvent,
}

impl ScheduledEvent {
    /// Both as one number, which is compared without a branch. No two entries have the same.
    fn sort_key(&self) -> u128 {
        u128::from(self.at.as_micros()) << 64 | u128::from(self.sequence)
    }
}

impl Ord for ScheduledEvent {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for ScheduledEvent {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SimEvent {
    Start(NodeId),
    PacketArrives(PacketId),
    PacketLost(PacketId),
    /// A node's own timer; of no account where it was set anew meanwhile.
    NodeTimer(NodeId),
    /// What a client does next. The number tells it from what was due before it died.
    ResumeScript(NodeId, u32),
    FlushCompleted(u32),
    Intervention(u32),
    EndFaults,
    Resume(NodeId, u32),
    Restart(NodeId, u32),
    RunEnds,
}

/// Where records go, and what the next one is caused by.
pub(super) struct TraceWriter<'a> {
    pub(super) trace: &'a mut Vec<Record>,
    pub(super) cause: RecordId,
}

impl World {
    /// The run at its beginning, before anything has happened.
    pub fn new(run: Run) -> Self {
        let node_count = run.config.clients.len() + 1;
        let clients = (1_u8..).zip(&run.config.clients);
        let clients = clients.map(|(no, config)| ClientNode::new(NodeId(no), config)).collect();
        let server = ServerNode::new(&run.config);
        let context = Arc::new(RunContext::new(run));
        let mut world = Self {
            checkers: Checkers::new(&context.run),
            context,
            now: VirtualTime::START,
            event_queue: BinaryHeap::new(),
            last_sequence: LAST_RESERVED_SEQUENCE,
            packets: InFlightPackets::default(),
            packet_count: 0,
            links: vec![Link::default(); node_count * node_count],
            server,
            clients,
            record_count: 0,
            steps: 0,
            fingerprint: 0,
            faults_ended: false,
            ended: false,
        };
        world.schedule_initial_events();
        world
    }

    fn schedule_initial_events(&mut self) {
        let context = Arc::clone(&self.context);
        self.schedule_with_sequence(VirtualTime::START, 0, SimEvent::Start(NodeId::SERVER));
        for (id, client) in (1_u8..).zip(&context.run.config.clients) {
            let at = VirtualTime::from_millis(client.starts_ms);
            self.schedule_with_sequence(at, u64::from(id), SimEvent::Start(NodeId(id)));
        }
        self.schedule_interventions(0);
        if let Some(faults_end_ms) = context.run.config.faults_end_ms {
            self.schedule(VirtualTime::from_millis(faults_end_ms), SimEvent::EndFaults);
        }
        self.schedule(VirtualTime::from_millis(context.run.config.ends_ms), SimEvent::RunEnds);
    }

    /// Puts the interventions from the `known`th on in the agenda, each under its own number.
    fn schedule_interventions(&mut self, known: usize) {
        let context = Arc::clone(&self.context);
        let numbered = (0_u32..).zip(&context.run.interventions);
        for (index, intervention) in numbered.skip(known) {
            if let Some(at_ms) = intervention.at_ms {
                let at = VirtualTime::from_millis(at_ms);
                self.schedule_with_sequence(
                    at,
                    FIRST_INTERVENTION_SEQUENCE + u64::from(index),
                    SimEvent::Intervention(index),
                );
            }
        }
    }

    /// Lets the next thing happen that leaves a record, and adds its records to `trace`, whatever
    /// is in that already. Says whether there was one.
    pub fn step(&mut self, trace: &mut Vec<Record>) -> bool {
        let before = self.record_count;
        while self.record_count == before {
            if self.ended {
                return false;
            }
            let Some(Reverse(entry)) = self.event_queue.pop() else { return false };
            self.now = entry.at;
            let mut writer = TraceWriter { trace, cause: RecordId::NONE };
            self.handle_event(entry.event, &mut writer);
        }
        self.steps += 1;
        true
    }

    fn handle_event(&mut self, event: SimEvent, writer: &mut TraceWriter<'_>) {
        match event {
            SimEvent::Start(node) => self.start(node, writer),
            SimEvent::PacketArrives(packet) => self.deliver_packet(packet, writer),
            SimEvent::PacketLost(packet) => self.lose_packet(packet, writer),
            SimEvent::NodeTimer(node) => self.fire_timer(node, writer),
            SimEvent::ResumeScript(node, id) => self.resume_script(node, id, writer),
            SimEvent::FlushCompleted(id) => self.complete_flush(id, writer),
            SimEvent::Intervention(id) => self.apply_intervention(id, writer),
            SimEvent::EndFaults => self.end_faults(writer),
            SimEvent::Resume(node, id) => self.resume_if_still_paused(node, id, writer),
            SimEvent::Restart(node, id) => self.restart_if_not_restarted(node, id, writer),
            SimEvent::RunEnds => {
                self.record(writer, NodeId::SERVER, RecordKind::RunEnded);
                self.ended = true;
            }
        }
    }

    fn start(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        self.record_as_cause(writer, node, RecordKind::Started);
        if node.is_server() {
            self.start_server(writer);
        } else {
            self.start_client(node, writer);
        }
    }

    fn fire_timer(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        if node.is_server() {
            self.fire_server_timer(writer);
        } else {
            self.fire_client_timer(node, writer);
        }
    }

    fn schedule(&mut self, at: VirtualTime, event: SimEvent) {
        self.last_sequence += 1;
        self.schedule_with_sequence(at, self.last_sequence, event);
    }

    fn schedule_with_sequence(&mut self, at: VirtualTime, sequence: u64, event: SimEvent) {
        if at < VirtualTime::NEVER {
            self.event_queue.push(Reverse(ScheduledEvent { at, sequence, event }));
        }
    }

    /// Writes a record down.
    fn record(&mut self, writer: &mut TraceWriter<'_>, node: NodeId, kind: RecordKind) -> RecordId {
        self.record_with_related(writer, node, kind, RecordId::NONE)
    }

    /// The same; what happens next in this step is caused by it.
    fn record_as_cause(
        &mut self,
        writer: &mut TraceWriter<'_>,
        node: NodeId,
        kind: RecordKind,
    ) -> RecordId {
        let id = self.record(writer, node, kind);
        writer.cause = id;
        id
    }

    /// The same, resting also on something that happened before.
    fn record_with_related(
        &mut self,
        writer: &mut TraceWriter<'_>,
        node: NodeId,
        kind: RecordKind,
        related: RecordId,
    ) -> RecordId {
        let local_ms = self.local_time(node).as_millis();
        let record = Record {
            at: self.now,
            local_ms: u32::try_from(local_ms).unwrap_or(u32::MAX),
            node,
            kind,
            causes: Causes::new([writer.cause, related]),
        };
        let id = RecordId(self.record_count);
        self.record_count += 1;
        self.fingerprint = mix(self.fingerprint ^ record.fingerprint());
        self.checkers.observe(id, &record);
        writer.trace.push(record);
        id
    }

    /// What a node's clock shows.
    fn local_time(&self, node: NodeId) -> Time {
        self.clock(node).read(self.now)
    }

    fn clock(&self, node: NodeId) -> &super::clock::Clock {
        match self.client(node) {
            Some(client) => &client.clock,
            None => &self.server.clock,
        }
    }

    fn client(&self, node: NodeId) -> Option<&ClientNode> {
        self.clients.get(usize::from(node.0).checked_sub(1)?)
    }

    fn client_mut(&mut self, node: NodeId) -> Option<&mut ClientNode> {
        self.clients.get_mut(usize::from(node.0).checked_sub(1)?)
    }

    fn lock_id(&self, name: &Name) -> LockId {
        self.server.recorder.lock_id(name)
    }

    /// The same world at the same moment, to which these things will be done, too.
    ///
    /// Right only where none of them would have mattered yet: what has happened stays.
    #[must_use]
    pub fn with_interventions(&self, interventions: &[Intervention]) -> Self {
        let mut run = self.context.run.clone();
        let known = run.interventions.len();
        run.interventions.extend_from_slice(interventions);
        let mut world = self.clone();
        world.context = Arc::new(RunContext::new(run));
        world.schedule_interventions(known);
        world
    }

    /// The moment.
    pub const fn now(&self) -> VirtualTime {
        self.now
    }

    /// How many steps there were.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// How many records there are.
    pub const fn record_count(&self) -> u32 {
        self.record_count
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
    pub const fn checkers(&self) -> &Checkers {
        &self.checkers
    }

    /// The run that this is.
    pub fn run(&self) -> &Run {
        &self.context.run
    }
}
