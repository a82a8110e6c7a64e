//! The world: a server and its clients, the network, the clocks, the disk, and injected faults.
//!
//! - One event happens at a time, in the order of virtual time; ties are broken by the order of
//!   scheduling.
//! - A world is a value: a clone is a snapshot, and stepping it has the same result as stepping the
//!   original.
//! - Each random number has a key of its own (the link and the packet's sequence number, or the
//!   number of the flush). Removing one event therefore does not change the others' randomness.

mod clients;
mod disk;
mod faults;
mod network;
mod packets;
mod payload;
mod run_script;
mod script_state;
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
use super::script::{ScriptStep, performed_steps};
use super::trace::{Causes, LockId, NodeId, PacketId, Record, RecordId, RecordKind};
use super::virtual_time::VirtualTime;
use clients::ClientNode;
use network::Link;
use packets::InFlightPackets;
use payload::Encoding;
use server::ServerNode;

pub use clients::{Belief, ClientView};
pub use script_state::ScriptActivity;
pub use server::ServerView;
pub use view::{ClockView, LinkView, PacketView};

/// What does not change during a run.
#[derive(Debug)]
pub(super) struct RunContext {
    pub(super) run: Run,
    pub(super) protections: ProtectionFlags,
    /// The actions on packets at the time when they are sent.
    pub(super) on_send: BTreeMap<PacketSelector, Vec<PacketAction>>,
    /// The steps that each client performs, in the order of the clients.
    pub(super) scripts: Vec<Vec<ScriptStep>>,
    encoding: Encoding,
}

impl RunContext {
    fn new(run: Run, encoding: bool) -> Self {
        let protections = ProtectionFlags::without(&run.without);
        let mut on_send: BTreeMap<PacketSelector, Vec<PacketAction>> = BTreeMap::new();
        for intervention in &run.interventions {
            if let (None, Action::Packet { packet, packet_action }) =
                (intervention.at_ms, &intervention.action)
            {
                on_send.entry(*packet).or_default().push(*packet_action);
            }
        }
        let scripts = run.config.clients.iter();
        let scripts = scripts
            .map(|client| performed_steps(&client.script, &run.config.locks, &run.without))
            .collect();
        let encoding = Encoding::new(&run, encoding);
        Self { run, protections, on_send, scripts, encoding }
    }
}

/// The state of a simulated run at one point in virtual time.
///
/// [`World::step`] advances it and appends to the trace. The other methods only read.
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

/// The first sequence number of an intervention. Interventions have a range of their own, so that
/// adding one does not reorder other events.
const FIRST_INTERVENTION_SEQUENCE: u64 = 1 << 16;

/// The last sequence number before those of events that are scheduled during the run.
const LAST_RESERVED_SEQUENCE: u64 = 1 << 48;

/// An event that is scheduled at a virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScheduledEvent {
    at: VirtualTime,
    /// Breaks ties: starts first, then interventions, then other events in the order of scheduling.
    sequence: u64,
    event: SimEvent,
}

impl ScheduledEvent {
    /// Returns time and sequence number as one integer, which compares without a branch. Unique.
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
    /// The timer of a node. Ignored if the node has set another timer since.
    NodeTimer(NodeId),
    /// A client continues its script. Ignored if the script's generation has changed since.
    ResumeScript(NodeId, u32),
    FlushCompleted(u32),
    RetryWrite(u32),
    Intervention(u32),
    EndFaults,
    Resume(NodeId, u32),
    Restart(NodeId, u32),
    RunEnds,
}

/// The destination of records, and the direct cause of the next one.
pub(super) struct TraceWriter<'a> {
    pub(super) trace: &'a mut Vec<Record>,
    pub(super) cause: RecordId,
}

impl World {
    /// Creates the world at the start of a run.
    pub fn new(run: Run) -> Self {
        Self::with_encoding(run, true)
    }

    /// Like [`World::new`], but nodes exchange requests and replies without encoding them. The
    /// records of the run are the same.
    pub(crate) fn without_encoding(run: Run) -> Self {
        Self::with_encoding(run, false)
    }

    fn with_encoding(run: Run, encoding: bool) -> Self {
        let node_count = run.config.clients.len() + 1;
        let clients = (1_u8..).zip(&run.config.clients);
        let clients = clients.map(|(no, config)| ClientNode::new(NodeId(no), config)).collect();
        let server = ServerNode::new(&run.config);
        let context = Arc::new(RunContext::new(run, encoding));
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

    /// Schedules the interventions after the first `known`, with sequence numbers of their own.
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

    /// Executes events until one adds records to `trace`. Returns whether one did; if not, the run
    /// is over.
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
            SimEvent::RetryWrite(id) => self.retry_write(id, writer),
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

    /// Appends a record to the trace.
    fn record(&mut self, writer: &mut TraceWriter<'_>, node: NodeId, kind: RecordKind) -> RecordId {
        self.record_with_related(writer, node, kind, RecordId::NONE)
    }

    /// Appends a record that becomes the cause of the next records in this step.
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

    /// Appends a record that also has a related earlier record.
    fn record_with_related(
        &mut self,
        writer: &mut TraceWriter<'_>,
        node: NodeId,
        kind: RecordKind,
        related: RecordId,
    ) -> RecordId {
        let record = Record {
            at: self.now,
            local_ms: self.local_time(node).into(),
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

    /// Returns the reading of a node's clock.
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

    /// Returns a copy of this world with additional interventions.
    ///
    /// The past is unchanged, so none of the interventions may concern it.
    #[must_use]
    pub fn with_interventions(&self, interventions: &[Intervention]) -> Self {
        let mut run = self.context.run.clone();
        let known = run.interventions.len();
        run.interventions.extend_from_slice(interventions);
        let mut world = self.clone();
        world.context = Arc::new(RunContext::new(run, self.context.encoding.is_enabled()));
        world.schedule_interventions(known);
        world
    }

    /// Returns the current virtual time.
    pub const fn now(&self) -> VirtualTime {
        self.now
    }

    /// Returns the number of steps so far.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// Returns the number of records so far.
    pub const fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Returns whether the run is over.
    pub const fn is_over(&self) -> bool {
        self.ended
    }

    /// Returns a hash of the trace so far.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the checkers, which have seen the trace so far.
    pub const fn checkers(&self) -> &Checkers {
        &self.checkers
    }

    /// Returns the run, including added interventions.
    pub fn run(&self) -> &Run {
        &self.context.run
    }
}
