//! The scene of a simulated world.

use leasehold_core::id::Name;
use leasehold_core::op::Op;
use leasehold_core::state::{Session, State};
use leasehold_sim::{
    ClientView, Kind, Lines, LinkNo, LockNo, LossCause, Moment, NodeNo, Record, World,
};

use super::{
    Believed, Client, Condition, Counts, Loss, Packet, Scene, Server, Term, lock, session_of,
    waits_for,
};
use crate::model::player::Routine;

/// For how long a lost packet leaves a mark, in microseconds of the run.
const LOSS_SHOWN_US: u64 = 600_000;

impl Scene {
    /// The scene of a simulated world.
    pub(crate) fn of_world(world: &World, past: &[Record]) -> Self {
        let server = world.server();
        let condition = match server.state {
            None if past.is_empty() => Condition::NotStarted,
            None => Condition::Dead,
            Some(_) if server.paused => Condition::Paused,
            Some(_) => Condition::Up,
        };
        let state = server.state.unwrap_or(server.stored);
        let config = &world.run().config;
        let nodes = (1..).zip(&config.clients);
        let clients = nodes.filter_map(|(no, client)| {
            let node = NodeNo(no);
            // Who has done nothing yet has not started, whatever its time is.
            let has_started = past.iter().any(|record| record.node == node);
            let view = world.client_view(node)?;
            Some(of_client(world, state, (node, has_started), &client.name, view))
        });
        let locks = (0..).zip(&config.locks);
        Self {
            server: Server {
                condition,
                clock: world.clock_view(NodeNo::SERVER),
                unflushed: server.unflushed,
                counts: server.state.map(Counts::of),
            },
            clients: clients.collect(),
            locks: locks.map(|(no, name)| of_lock(world, state, LockNo(no), name)).collect(),
            packets: packets(world),
            losses: losses(past, world.now()),
            ..Self::default()
        }
    }
}

fn of_client(
    world: &World,
    state: &State,
    (node, has_started): (NodeNo, bool),
    name: &Name,
    view: ClientView<'_>,
) -> Client {
    let condition = match view {
        ClientView { alive: false, .. } if !has_started => Condition::NotStarted,
        ClientView { alive: false, .. } => Condition::Dead,
        ClientView { paused: true, .. } => Condition::Paused,
        ClientView { finished: true, .. } => Condition::Finished,
        _ => Condition::Up,
    };
    let session = session_of(state, name);
    let lease_us = world.run().config.lease_ms * 1_000;
    let truth = session.map(|(_, session)| Term {
        until: world.moment_when(NodeNo::SERVER, session.expires_at),
        whole_us: lease_us,
    });
    let belief = view.beliefs.iter().max_by_key(|belief| belief.until).map(|belief| Believed {
        term: Term { until: world.moment_when(node, belief.until), whole_us: lease_us },
        lock: belief.lock,
        token: belief.token,
        is_inferred: false,
    });
    // A clock that has not been looked at yet may say more.
    let holds_on = belief.is_some();
    let belief = belief.filter(|it| it.term.until > world.now());
    let is_unaware = holds_on && belief.is_none() && condition == Condition::Up;
    let is_cut = |from, to| world.link(LinkNo { from, to }).is_cut;
    let session = session.map(|(_, session)| session);
    Client {
        node,
        name: name.clone(),
        condition,
        cut: (is_cut(node, NodeNo::SERVER), is_cut(NodeNo::SERVER, node)),
        clock: world.clock_view(node),
        truth,
        belief,
        doing: if is_unaware {
            "unaware: its time is over".to_owned()
        } else {
            doing(condition, world, state, session, view)
        },
        holds: session.is_some_and(|session| !session.held.is_empty()),
    }
}

fn doing(
    condition: Condition,
    world: &World,
    state: &State,
    session: Option<&Session>,
    view: ClientView<'_>,
) -> String {
    let locks = &world.run().config.locks;
    let name = |lock: LockNo| locks.get(usize::from(lock.0)).map_or("", Name::as_str);
    let held = session.and_then(|session| session.held.first());
    let believed = view.beliefs.first();
    match condition {
        Condition::NotStarted => return "not started yet".to_owned(),
        Condition::Dead => return "crashed".to_owned(),
        Condition::Paused => return "stands still".to_owned(),
        Condition::Up | Condition::Finished => {}
    }
    if let Some(belief) = believed {
        let lock = name(belief.lock);
        let is_held = session.is_some_and(|it| it.held.iter().any(|held| held.as_str() == lock));
        return if is_held { format!("holds {lock}") } else { format!("believes it holds {lock}") };
    }
    if let Some(lock) = held {
        let asks = view.library.is_some_and(|it| {
            it.pending()
                .any(|it| it.operation.op() == Op::AcquireLock && it.operation.name() == Some(lock))
        });
        // The answer is on its way; or the client has given it up, and the server doesn't know.
        return format!("{} {lock}", if asks { "is not told yet of" } else { "doesn't use" });
    }
    if let Some(waits) = session.and_then(|session| waits_for(state, session)) {
        return waits;
    }
    let state = match (condition, view.open) {
        (Condition::Finished, _) => "has finished",
        (_, true) => "idle",
        (_, false) => "has no session",
    };
    state.to_owned()
}

fn packets(world: &World) -> Vec<Packet> {
    let routine = Routine::of(world);
    let packets = world.packets().map(|packet| Packet {
        no: packet.about.packet,
        name: packet.name,
        message: packet.about.message,
        lock: packet.about.lock,
        number: packet.about.number,
        sent_at: packet.sent_at,
        arrives: packet.arrives,
        is_doomed: packet.is_doomed,
        is_routine: routine.has(&packet),
    });
    packets.collect()
}

/// What was lost a moment ago.
#[allow(clippy::wildcard_enum_match_arm, reason = "one kind tells of losses")]
fn losses(past: &[Record], now: Moment) -> Vec<Loss> {
    let is_recent = |record: &&Record| now.as_micros() - record.at.as_micros() < LOSS_SHOWN_US;
    let recent = past.iter().rev().take_while(is_recent);
    let losses = recent.filter_map(|record| match record.kind {
        Kind::Lost { about, why } => {
            // Nobody was there: it is told by the one who would have got it.
            let is_late = why == LossCause::Dead;
            let (from, to) =
                if is_late { (about.peer, record.node) } else { (record.node, about.peer) };
            let link = LinkNo { from, to };
            Some(Loss { packet: about.packet, link, at: record.at, is_late })
        }
        _ => None,
    });
    losses.collect()
}

fn of_lock(world: &World, state: &State, no: LockNo, name: &Name) -> super::Lock {
    let lines = world.file(no);
    lock(state, world.run(), (no, name), (lines, lines.map_or(0, Lines::len), Some(0)))
}
