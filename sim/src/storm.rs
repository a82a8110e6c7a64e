//! Storms: randomized fault-injection runs, generated from a seed.
//!
//! - Swarm testing: each storm uses a random subset of the fault kinds, because some kinds mask
//!   bugs that others expose. Source: Groce, Zhang, Eide, Chen, Regehr, "Swarm testing", ISSTA
//!   2012.
//! - While faults are injected, the safety invariants must hold. Then all faults end, and the
//!   liveness invariants must hold as well.

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_core::limits::DRIFT_PPM;
use leasehold_core::rng::Rng;

use super::check::{Invariant, InvariantStatus, sorted_by_witness};
use super::message::Message;
use super::protection::Protection;
use super::run::{
    Action, ClientConfig, Config, Disk, Intervention, Network, PacketAction, PacketSelector, Run,
};
use super::script::ScriptStep;
use super::trace::{LinkId, NodeId, Record, RecordId};
use super::virtual_time::VirtualTime;
use super::world::World;

/// A network with almost no latency.
const LOCAL_NETWORK: Network = Network {
    latency_min_us: 20,
    latency_max_us: 100,
    loss_ppm: 0,
    duplicate_ppm: 0,
    late_ppm: 0,
    late_max_us: 0,
};

/// When the faults of a storm end.
const FAULTS_END_MS: u64 = 40_000;

/// When a storm ends. Until then all clients must be finished: long enough for the work of all
/// clients in sequence, the longest lease, the waits, and a few retries.
const ENDS_MS: u64 = 400_000;

/// The maximum number of turns of a client, including repetitions.
const TURNS_MAX: u64 = 8;

/// The number of fault kinds of [`generate_fault`].
const FAULT_KINDS: u64 = 11;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// The first violated invariant, and the record that violates it.
    pub first_violation: Option<(Invariant, RecordId)>,
    /// The status of each invariant at the end.
    pub statuses: Vec<(Invariant, InvariantStatus)>,
    /// The fingerprint of the whole run.
    pub fingerprint: u64,
    /// The whole trace.
    pub trace: Vec<Record>,
}

impl Run {
    /// Simulates the run to its end.
    pub fn execute(&self) -> RunOutcome {
        let mut world = World::new(self.clone());
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        RunOutcome::new(&world, trace)
    }

    /// Simulates the run to its end without retaining its trace. Returns the final world, or `None`
    /// if the trace exceeds `records_max` records.
    pub fn execute_within(&self, records_max: u32) -> Option<World> {
        let mut world = World::new(self.clone());
        let mut discarded = Vec::new();
        while world.step(&mut discarded) {
            discarded.clear();
            if world.record_count() > records_max {
                return None;
            }
        }
        Some(world)
    }

    /// Simulates the run until an invariant is violated, or to its end.
    pub fn execute_until_violation(&self) -> RunOutcome {
        let mut world = World::new(self.clone());
        let mut trace = Vec::new();
        while world.step(&mut trace) && world.checkers().violations().is_empty() {}
        RunOutcome::new(&world, trace)
    }
}

/// Generates the storm for a seed, with some protections disabled.
pub fn storm(seed: u64, without: &BTreeSet<Protection>) -> Run {
    let mut rng = Rng::with_stream(seed, 0x5707);
    let (mut config, mut interventions) = generate_conditions(&mut rng, DRIFT_PPM);
    // From a stream of its own, so that it does not change the other random numbers.
    config.authenticated = Rng::with_stream(seed, 0x006d_6163).chance(250_000);
    let mut disk_rng = Rng::with_stream(seed, 0x6469_736b);
    if disk_rng.chance(200_000) {
        let clients = u8::try_from(config.clients.len()).unwrap_or(u8::MAX);
        add_full_disk(&mut disk_rng, clients, &mut interventions);
    }
    Run { config, seed, without: without.clone(), interventions }
}

/// Generates a configuration and faults. The rates of two clocks differ by at most `drift_ppm`.
pub fn generate_conditions(rng: &mut Rng, drift_ppm: u64) -> (Config, Vec<Intervention>) {
    let config = generate_config(rng, drift_ppm);
    let clients = u8::try_from(config.clients.len()).unwrap_or(u8::MAX);
    let kinds: Vec<u64> = (0..FAULT_KINDS).filter(|_| rng.chance(450_000)).collect();
    let count = if kinds.is_empty() { 0 } else { rng.between(0, 14) };
    let mut interventions = Vec::new();
    for _ in 0..count {
        let index = usize::try_from(rng.below(kinds.len() as u64)).unwrap_or(0);
        generate_fault(rng, kinds[index], clients, drift_ppm, &mut interventions);
    }
    interventions.sort_by_cached_key(|it| it.at_ms.map_or(0, |at_ms| at_ms + 1));
    (config, interventions)
}

fn name(prefix: &str, number: usize) -> Name {
    Name::new(&format!("{prefix}_{number}"))
        .expect("letters, digits and an underscore are a valid name")
}

fn generate_config(rng: &mut Rng, drift_ppm: u64) -> Config {
    let locks: Vec<Name> =
        (0..=rng.below(3)).zip(0..).map(|(_, number)| name("file", number)).collect();
    let count = rng.between(1, 6);
    let rate_max_ppm = drift_ppm.cast_signed() / 2;
    let rate = |rng: &mut Rng, range_ppm: i64| {
        let half_range = range_ppm.unsigned_abs();
        match rng.below(4) {
            0 => range_ppm,
            1 => -range_ppm,
            2 => rng.below(2 * half_range + 1).cast_signed() - range_ppm,
            _ => 0,
        }
    };
    let clocks_drift = rng.chance(500_000);
    let range_ppm = if clocks_drift { rate_max_ppm } else { 0 };
    // The greatest permitted drift and almost no latency: only the margin for clock drift keeps a
    // client's belief from outlasting its lease.
    let is_local = rng.chance(100_000);
    let has_tight_limits = rng.chance(100_000);
    let lease_ms = [1_000, 3_000, 5_000, 10_000][random_index(rng, 4)];
    let clients = (1..).take(usize::try_from(count).unwrap_or(1)).map(|number| ClientConfig {
        name: name("client", number),
        script: generate_script(rng, &locks, lease_ms, !has_tight_limits),
        starts_ms: rng.below(3_000),
        rate_ppm: if is_local { -rate_max_ppm } else { rate(rng, range_ppm) },
    });
    let clients = clients.collect();
    Config {
        locks,
        clients,
        lease_ms,
        retransmit_ms: leasehold_core::limits::RETRANSMIT_DELAY_FIRST.as_millis(),
        network: if is_local { LOCAL_NETWORK } else { generate_network(rng) },
        disk: generate_disk(rng),
        server_rate_ppm: if is_local { rate_max_ppm } else { rate(rng, range_ppm) },
        sessions_max: if has_tight_limits { 4 } else { 1_000 },
        locks_max: if has_tight_limits { 2 } else { 1_000 },
        waiters_max: if has_tight_limits { 2 } else { 1_000 },
        file_len_max: if rng.chance(30_000) { 100 } else { 1 << 20 },
        cookies: rng.chance(200_000),
        faults_end_ms: Some(FAULTS_END_MS),
        ends_ms: ENDS_MS,
        ..Config::default()
    }
}

fn random_index(rng: &mut Rng, count: u64) -> usize {
    usize::try_from(rng.below(count)).unwrap_or(0)
}

fn generate_script(
    rng: &mut Rng,
    locks: &[Name],
    lease_ms: u64,
    may_stay_open: bool,
) -> Vec<ScriptStep> {
    let (mut script, mut releases) = (Vec::new(), true);
    let turns = rng.between(1, 4);
    let repeats =
        if rng.chance(300_000) { rng.between(1, 3).min(TURNS_MAX / turns - 1) } else { 0 };
    for turn in 1..=turns {
        let lock = locks[random_index(rng, locks.len() as u64)].clone();
        if rng.chance(500_000) {
            script.push(ScriptStep::Work { ms: rng.below(2_000) });
        }
        let wait_ms = [0, 2_000, 60_000][random_index(rng, 3)];
        let hold_ms = rng.chance(200_000).then(|| rng.between(1_000, 15_000));
        let give_up_ms = rng.chance(150_000).then(|| rng.below(3_000));
        script.push(ScriptStep::Acquire {
            lock: lock.clone(),
            wait_ms,
            hold_ms,
            give_up_ms,
            or_release: None,
        });
        let check = rng.chance(700_000);
        for _ in 0..rng.between(1, 3) {
            script.push(ScriptStep::Work { ms: rng.below(lease_ms.min(3_000)) });
            let gap_ms = if rng.chance(300_000) { rng.below(500) } else { 0 };
            script.push(ScriptStep::Append { file: lock.clone(), check, gap_ms });
        }
        // Only the last turn may omit the release: clients that hold one lock while they wait for
        // another can deadlock.
        releases = turn < turns || repeats > 0 || rng.chance(700_000);
        if releases {
            script.push(ScriptStep::Release { lock });
        }
    }
    if repeats > 0 {
        script.push(ScriptStep::Repeat { times: u32::try_from(repeats).unwrap_or(0) });
    }
    // A client that finishes while it holds a lock must close its session; otherwise others wait
    // forever. A client that has released everything may keep its session open: closing it would
    // hide a release that is late or missing. With tight limits it must close, because
    // it occupies a session that others need.
    if !releases || !may_stay_open || rng.chance(800_000) {
        script.push(ScriptStep::Close);
    }
    script
}

fn generate_network(rng: &mut Rng) -> Network {
    let latency_min_us = [50, 1_000, 30_000, 100_000][random_index(rng, 4)];
    let chance =
        |rng: &mut Rng, max_ppm: u64| if rng.chance(500_000) { rng.below(max_ppm) } else { 0 };
    Network {
        latency_min_us,
        latency_max_us: latency_min_us * rng.between(1, 4),
        loss_ppm: chance(rng, 400_000),
        duplicate_ppm: chance(rng, 400_000),
        late_ppm: chance(rng, 300_000),
        late_max_us: [100_000, 1_000_000, 12_000_000][random_index(rng, 3)],
    }
}

fn generate_disk(rng: &mut Rng) -> Disk {
    let flush_min_us = [10, 1_000, 5_000, 50_000][random_index(rng, 4)];
    let flush_max_us = flush_min_us * rng.between(1, 20);
    Disk { flush_min_us, flush_max_us, ..Disk::default() }
}

/// Adds a fault of this kind, and the end of it if it has one.
fn generate_fault(
    rng: &mut Rng,
    fault_kind: u64,
    clients: u8,
    drift_ppm: u64,
    interventions: &mut Vec<Intervention>,
) {
    let at = rng.below(FAULTS_END_MS - 1_000);
    let client = NodeId(u8::try_from(rng.between(1, u64::from(clients))).unwrap_or(1));
    let node = if rng.chance(400_000) { NodeId::SERVER } else { client };
    let later = at + [200, 1_000, 4_000, 15_000][random_index(rng, 4)];
    let link = if rng.chance(500_000) {
        LinkId { from: client, to: NodeId::SERVER }
    } else {
        LinkId { from: NodeId::SERVER, to: client }
    };
    let mut add = |at_ms: u64, action| interventions.push(Intervention::at(at_ms, action));
    match fault_kind {
        0 => {
            add(at, Action::Crash { node, keeps_unflushed: rng.chance(500_000) });
            add(later, Action::Restart { node });
        }
        1 => add(at, Action::Pause { node, ms: later - at }),
        2 => {
            add(at, Action::Cut { link });
            add(later, Action::Heal { link });
        }
        3 => {
            add(at, Action::Isolate { node });
            add(later, Action::Rejoin { node });
        }
        4 => {
            let ms = rng.below(60_000).cast_signed() - 30_000;
            add(at, Action::Skew { node, ms });
        }
        5 => {
            let ppm = rng.below(drift_ppm + 1).cast_signed() - drift_ppm.cast_signed() / 2;
            add(at, Action::Drift { node, ppm });
        }
        6 => {
            let loss_ppm = rng.below(900_000);
            add(at, Action::Degrade { link, loss_ppm, delay_us: rng.below(3_000_000) });
        }
        7 => match rng.below(3) {
            0 => add(at, Action::FailFlush { keeps_unflushed: rng.chance(500_000) }),
            1 => add(
                at,
                Action::FailWrites { count: u32::try_from(rng.between(1, 20)).unwrap_or(1) },
            ),
            _ => add(at, Action::SlowDisk { by_ms: rng.below(3_000) }),
        },
        8 => interventions.push(Intervention::on_send(generate_packet_fault(rng, link))),
        // The server restarts before any client notices, while one client cannot reach it.
        9 => {
            let node = NodeId::SERVER;
            let crash_at = at + rng.between(1_000, 4_000);
            add(at, Action::Isolate { node: client });
            add(crash_at, Action::Crash { node, keeps_unflushed: rng.chance(500_000) });
            add(crash_at + rng.between(1, 1_400), Action::Restart { node });
            add(crash_at + rng.between(1_000, 4_000), Action::Rejoin { node: client });
        }
        // The client restarts while packets from and to its previous incarnation are in flight.
        _ => {
            let node = client;
            add(at, Action::Crash { node, keeps_unflushed: false });
            add(at + rng.between(1, 300), Action::Restart { node });
        }
    }
}

/// Fills the disk, kills the server while it is full, and lets late copies of appends arrive after
/// the disk has space again: the refusals are forgotten then, and the requests must not be.
fn add_full_disk(rng: &mut Rng, clients: u8, interventions: &mut Vec<Intervention>) {
    let full_at = rng.between(1_000, 12_000);
    let killed_at = full_at + rng.between(200, 4_000);
    let restarted_at = killed_at + rng.between(1, 1_500);
    let has_space_at = rng.between(full_at + 100, restarted_at + 3_000);
    let node = NodeId::SERVER;
    let kill = Action::Crash { node, keeps_unflushed: rng.chance(500_000) };
    for (at, action) in [
        (full_at, Action::FailWrites { count: u32::MAX }),
        (killed_at, kill),
        (restarted_at, Action::Restart { node }),
        (has_space_at, Action::FailWrites { count: 0 }),
    ] {
        interventions.push(Intervention::at(at, action));
    }
    let client = NodeId(u8::try_from(rng.between(1, u64::from(clients))).unwrap_or(1));
    let link = LinkId { from: client, to: NodeId::SERVER };
    for nth in 1..=12 {
        let packet = PacketSelector { link, message: Message::AppendFile, nth };
        let packet_action = PacketAction::Duplicate { after_ms: rng.between(500, 12_000) };
        interventions.push(Intervention::on_send(Action::Packet { packet, packet_action }));
    }
    interventions.sort_by_key(|it| it.at_ms);
}

fn generate_packet_fault(rng: &mut Rng, link: LinkId) -> Action {
    let (requests, replies) = Message::ALL.split_at(8);
    let messages = if link.to.is_server() { requests } else { replies };
    let message = messages[random_index(rng, messages.len() as u64)];
    let nth = u32::try_from(rng.between(1, 6)).unwrap_or(1);
    let selector = PacketSelector { link, message, nth };
    let action = match rng.below(3) {
        0 => PacketAction::Drop,
        1 => PacketAction::Duplicate { after_ms: rng.below(20_000) },
        _ => PacketAction::Delay { by_ms: rng.below(20_000) },
    };
    Action::Packet { packet: selector, packet_action: action }
}

impl RunOutcome {
    fn new(world: &World, trace: Vec<Record>) -> Self {
        Self {
            first_violation: world.checkers().violations().first().copied(),
            statuses: world.statuses(),
            fingerprint: world.fingerprint(),
            trace,
        }
    }

    /// Returns the violated invariants with their witnesses, in the order of the witnesses.
    pub fn violations(&self) -> Vec<(Invariant, RecordId)> {
        let witness = |(it, status): &(Invariant, InvariantStatus)| Some((*it, status.witness()?));
        sorted_by_witness(self.statuses.iter().filter_map(witness))
    }

    /// Returns the duration of the run in virtual time.
    pub fn duration(&self) -> VirtualTime {
        self.trace.last().map_or(VirtualTime::START, |record| record.at)
    }
}

impl World {
    /// Returns the status of each invariant.
    pub fn statuses(&self) -> Vec<(Invariant, InvariantStatus)> {
        Invariant::ALL.into_iter().map(|it| (it, self.checkers().status(it))).collect()
    }
}
