//! Builds the scene of a simulated world.

use leasehold_core::id::{Name, SessionId};
use leasehold_core::op::Op;
use leasehold_core::state::{Session, State};
use leasehold_sim::{
    Belief, ClientView, Lines, LinkId, LockId, LossCause, Message, NodeId, Record, RecordKind,
    ScriptActivity, VirtualTime, World,
};

use super::{
    Client, ClientBelief, Condition, Counts, FileLine, FileSummary, LINES_COMPARED, LINES_SHOWN,
    LeaseTerm, LostPacket, Packet, Scene, Server, latest_session, lock_view, wait_cycles,
    waiting_text,
};
use crate::model::player::RoutineTraffic;

/// How long a lost packet is marked, in microseconds of virtual time.
const LOSS_SHOWN_US: u64 = 600_000;

impl Scene {
    pub(crate) fn from_world(world: &World, past: &[Record]) -> Self {
        let server = world.server();
        let condition = match server.state {
            None if past.is_empty() => Condition::NotStarted,
            None => Condition::Crashed,
            Some(_) if server.paused => Condition::Paused,
            Some(_) => Condition::Running,
        };
        // What a crashed server has on its disk is seen when it restarts.
        let state = server.state.or(server.last_state).unwrap_or(server.durable_state);
        let config = &world.run().config;
        let nodes = (1..).zip(&config.clients);
        let clients = nodes.filter_map(|(index, client)| {
            let node = NodeId(index);
            // A client starts with its first record.
            let has_started = past.iter().any(|record| record.node == node);
            let view = world.client_view(node)?;
            Some(client_view(world, state, (node, has_started), &client.name, view))
        });
        let locks = (0..).zip(&config.locks);
        Self {
            server: Server {
                condition,
                clock: world.clock_view(NodeId::SERVER),
                unflushed_events: server.unflushed,
                counts: server.state.map(Counts::from_state),
            },
            clients: clients.collect(),
            locks: locks
                .map(|(index, name)| lock_view_of_world(world, state, LockId(index), name))
                .collect(),
            packets: packets_in_flight(world),
            losses: recent_losses(past, world.now()),
            wait_cycles: server.state.map_or_else(Vec::new, |state| {
                wait_cycles(state, world.run(), |session_id| client_of_session(world, session_id))
            }),
            ..Self::default()
        }
    }
}

fn client_view(
    world: &World,
    state: &State,
    (node, has_started): (NodeId, bool),
    name: &Name,
    view: ClientView<'_>,
) -> Client {
    let condition = match view {
        ClientView { alive: false, .. } if !has_started => Condition::NotStarted,
        ClientView { alive: false, .. } => Condition::Crashed,
        ClientView { paused: true, .. } => Condition::Paused,
        ClientView { finished: true, .. } => Condition::Finished,
        _ => Condition::Running,
    };
    let latest_session = latest_session(state, name);
    let lease_us = world.run().config.lease_ms * 1_000;
    let server_lease = latest_session.map(|(_, session)| LeaseTerm {
        until: world.time_of_reading(NodeId::SERVER, session.expires_at),
        length_us: lease_us,
    });
    let belief = view.beliefs.iter().max_by_key(|belief| belief.until).map(|belief| ClientBelief {
        term: LeaseTerm { until: world.time_of_reading(node, belief.until), length_us: lease_us },
        lock: belief.lock,
        token: belief.token,
        is_inferred: false,
    });
    let belief = belief.filter(|it| it.term.until > world.now());
    let is_cut = |from, to| world.link(LinkId { from, to }).is_cut;
    let session = latest_session.map(|(_, session)| session);
    Client {
        node,
        name: name.clone(),
        condition,
        is_cut_off: (is_cut(node, NodeId::SERVER), is_cut(NodeId::SERVER, node)),
        clock: world.clock_view(node),
        server_lease,
        belief,
        activity: activity((node, condition), world, state, session, view),
        holds_lock: session.is_some_and(|session| !session.held.is_empty()),
    }
}

/// Returns a phrase that follows the client's name: what it holds and waits for, or what it does.
fn activity(
    (node, condition): (NodeId, Condition),
    world: &World,
    state: &State,
    session: Option<&Session>,
    view: ClientView<'_>,
) -> String {
    match condition {
        Condition::NotStarted => return "not started yet".to_owned(),
        Condition::Crashed => return "crashed".to_owned(),
        Condition::Paused => return "paused".to_owned(),
        Condition::Running | Condition::Finished => {}
    }
    let is_current = |belief: &&Belief| world.time_of_reading(node, belief.until) > world.now();
    // The client checks its clock only when it runs, so it may not have noticed the end.
    if !view.beliefs.is_empty() && !view.beliefs.iter().any(|belief| is_current(&belief)) {
        return "unaware that its belief has ended".to_owned();
    }
    let locks = &world.run().config.locks;
    let believed = view.beliefs.iter().filter(is_current);
    let believed = believed.filter_map(|belief| locks.get(usize::from(belief.lock.0)));
    let held_by_server = session.map(|session| &session.held);
    let is_held = |lock: &&Name| held_by_server.is_some_and(|held| held.contains(*lock));
    let (held, unfounded): (Vec<&Name>, Vec<&Name>) = believed.partition(is_held);
    let unnoticed = held_by_server.into_iter().flatten().find(|lock| !held.contains(lock));
    let mut phrases = Vec::new();
    if !held.is_empty() {
        phrases.push(format!("holds {}", joined(&held)));
    }
    if !unfounded.is_empty() {
        phrases.push(format!("believes it holds {}", joined(&unfounded)));
    }
    phrases.extend(unnoticed.map(|lock| unnoticed_tenure_text(lock, view)));
    if let Some(waiting) = session.and_then(|session| waiting_text(state, session)) {
        phrases.push(waiting);
    }
    if phrases.is_empty() {
        phrases.push(script_text(world, condition, session.is_some(), view));
    }
    phrases.join(", ")
}

fn joined(locks: &[&Name]) -> String {
    locks.iter().map(|lock| lock.as_str()).collect::<Vec<_>>().join(", ")
}

/// Describes a tenure that the client does not believe in.
fn unnoticed_tenure_text(lock: &Name, view: ClientView<'_>) -> String {
    let is_requesting = view.client.is_some_and(|it| {
        it.pending_requests().any(|it| {
            it.operation.op() == Op::AcquireLock && it.operation.resource_name() == Some(lock)
        })
    });
    // The reply is in flight, or the client has abandoned the request and the server does not know.
    if is_requesting {
        format!("granted {lock}, not notified yet")
    } else {
        format!("no longer uses {lock}")
    }
}

/// Describes what a client without locks and waits does.
fn script_text(
    world: &World,
    condition: Condition,
    has_session_at_server: bool,
    view: ClientView<'_>,
) -> String {
    let locks = &world.run().config.locks;
    let name = |lock: LockId| locks.get(usize::from(lock.0)).map_or("", Name::as_str);
    if condition == Condition::Finished {
        return "finished".to_owned();
    }
    match view.activity {
        ScriptActivity::Working(_) => "working".to_owned(),
        ScriptActivity::BackingOff(_) => "backing off before a retry".to_owned(),
        ScriptActivity::Calling(..) if !view.session_open => {
            let old = if has_session_at_server { " (the server has one)" } else { "" };
            format!("opening a session{old}")
        }
        ScriptActivity::Calling(message, lock) => match message {
            Message::AcquireLock => format!("requesting {}", name(lock)),
            Message::AppendFile => format!("appending to {}", name(lock)),
            Message::ReleaseLock => format!("releasing {}", name(lock)),
            Message::Close => "closing its session".to_owned(),
            Message::Hello
            | Message::CancelAcquire
            | Message::AppendOutcome
            | Message::Heartbeat
            | Message::Welcome
            | Message::Retry
            | Message::Granted
            | Message::Queued
            | Message::Cancelled
            | Message::Released
            | Message::Appended
            | Message::Outcome
            | Message::Alive
            | Message::Closed
            | Message::Refused => "waiting for a reply".to_owned(),
        },
        ScriptActivity::Inactive if view.session_open => "idle".to_owned(),
        ScriptActivity::Inactive if has_session_at_server => {
            "unaware of its session at the server".to_owned()
        }
        ScriptActivity::Inactive => "no session".to_owned(),
    }
}

fn client_of_session(world: &World, session_id: SessionId) -> Option<NodeId> {
    let name = &world.server().state?.session(session_id)?.client;
    let index = world.run().config.clients.iter().position(|it| it.name == *name)?;
    u8::try_from(index + 1).ok().map(NodeId)
}

fn packets_in_flight(world: &World) -> Vec<Packet> {
    let routine = RoutineTraffic::from_world(world);
    let packets = world.packets().map(|packet| Packet {
        id: packet.summary.id,
        selector: packet.selector,
        message: packet.summary.message,
        lock: packet.summary.lock,
        number: packet.summary.value,
        sent_at: packet.sent_at,
        arrives_at: packet.arrives_at,
        will_be_lost: packet.will_be_lost,
        is_routine: routine.contains(&packet),
    });
    packets.collect()
}

/// Returns the packets that were lost within the last [`LOSS_SHOWN_US`].
fn recent_losses(past: &[Record], now: VirtualTime) -> Vec<LostPacket> {
    let is_recent = |record: &&Record| now.as_micros() - record.at.as_micros() < LOSS_SHOWN_US;
    let recent_records = past.iter().rev().take_while(is_recent);
    let losses = recent_records.filter_map(|record| {
        let RecordKind::Lost { packet, cause } = record.kind else { return None };
        // If the receiver was down, the record is the receiver's; otherwise it is the sender's.
        let is_at_receiver = cause == LossCause::NodeDown;
        let (from, to) =
            if is_at_receiver { (packet.peer, record.node) } else { (record.node, packet.peer) };
        let link = LinkId { from, to };
        Some(LostPacket { packet: packet.id, link, at: record.at, is_at_receiver })
    });
    losses.collect()
}

fn lock_view_of_world(world: &World, state: &State, id: LockId, name: &Name) -> super::Lock {
    let run = world.run();
    let lines = world.file(id);
    let line_count = lines.map_or(0, Lines::len);
    let line = |index| lines.and_then(|lines: &Lines| lines.get(index));
    let last_line = |index: usize| {
        let earlier = (index.saturating_sub(LINES_COMPARED)..index).filter_map(line);
        Some(FileLine::observed(line(index)?, earlier, run))
    };
    let shown = line_count.saturating_sub(LINES_SHOWN)..line_count;
    let last_lines = shown.filter_map(last_line).collect();
    let node_of = |_, session: &Session| {
        let clients = (1_u8..).zip(&run.config.clients);
        let mut nodes = clients.filter(|(_, client)| client.name == session.client);
        nodes.next().map_or(NodeId::UNKNOWN, |(node, _)| NodeId(node))
    };
    let file = FileSummary { line_count, is_partial: false, last_lines };
    lock_view(state, (id, name), node_of, file)
}
