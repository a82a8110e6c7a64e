//! What everybody is like at one moment: what the stage shows. The truth is the service's own
//! state; the beliefs are the clients'.

use leasehold_core::id::{Name, SessionNo};
use leasehold_core::sim::{
    ClientView, ClockView, Kind, LinkNo, LockNo, LossCause, Message, Moment, NodeNo, PacketName,
    PacketNo, Record, World,
};
use leasehold_core::state::{Session, State};

use super::player::is_routine;

/// How many of a file's last lines are shown beside it.
const LINES_SHOWN: usize = 3;

/// For how long a lost packet leaves a mark, in microseconds of the run.
const LOSS_SHOWN_US: u64 = 600_000;

/// Everybody at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) losses: Vec<Loss>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    #[default]
    NotStarted,
    Up,
    Paused,
    Dead,
    Finished,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Server {
    pub(crate) condition: Condition,
    pub(crate) clock: ClockView,
    /// How many events are not on disk yet.
    pub(crate) unflushed: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) node: NodeNo,
    pub(crate) name: Name,
    pub(crate) condition: Condition,
    /// Whether its packets don't get to the server, and the server's not to it.
    pub(crate) cut: (bool, bool),
    pub(crate) clock: ClockView,
    /// What the server still gives it.
    pub(crate) truth: Option<Term>,
    /// What it believes to have.
    pub(crate) belief: Option<Believed>,
    /// What it is about, in words.
    pub(crate) doing: String,
    /// Whether the server says that it holds a lock.
    pub(crate) holds: bool,
}

/// A stretch of time that runs down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) until: Moment,
    pub(crate) whole_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Believed {
    pub(crate) term: Term,
    pub(crate) lock: LockNo,
    pub(crate) token: u32,
    /// It is what the client may believe by what it was told; it has not said so itself.
    pub(crate) is_inferred: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lock {
    pub(crate) no: LockNo,
    pub(crate) name: Name,
    pub(crate) holder: Option<Holder>,
    pub(crate) line: Vec<String>,
    /// How many lines its file has …
    pub(crate) lines: usize,
    /// … and the last of them: token, whose.
    pub(crate) last: Vec<(u32, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) client: String,
    pub(crate) token: u32,
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) no: PacketNo,
    pub(crate) name: PacketName,
    pub(crate) message: Message,
    pub(crate) lock: LockNo,
    pub(crate) number: u32,
    pub(crate) sent_at: Moment,
    pub(crate) arrives: Moment,
    pub(crate) is_doomed: bool,
    /// It is of those that go to and fro all the time.
    pub(crate) is_routine: bool,
}

/// A packet that was lost a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) packet: PacketNo,
    pub(crate) link: LinkNo,
    pub(crate) at: Moment,
    /// It came to its end, and nobody was there.
    pub(crate) is_late: bool,
}

impl Packet {
    /// How far it is on its way at this moment, from 0 to 1.
    pub(crate) fn progress(&self, now: Moment) -> f64 {
        share(self.sent_at, self.arrives, now)
    }
}

impl Term {
    /// How much of it is left, from 0 to 1.
    pub(crate) fn left(self, now: Moment) -> f64 {
        let left = self.until.as_micros().saturating_sub(now.as_micros());
        ratio(left, self.whole_us).min(1.0)
    }

    /// How much is left, in words.
    pub(crate) fn left_text(self, now: Moment) -> String {
        let left = self.until.as_micros().saturating_sub(now.as_micros());
        Moment::from_micros(left).to_string()
    }
}

/// How far `now` is from `from` to `to`, from 0 to 1.
pub(crate) fn share(from: Moment, to: Moment, now: Moment) -> f64 {
    let whole = to.as_micros().saturating_sub(from.as_micros());
    ratio(now.as_micros().saturating_sub(from.as_micros()), whole).min(1.0)
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

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
            Some(of_client(world, state, node, &client.name, world.client_view(node)?))
        });
        let locks = (0..).zip(&config.locks);
        Self {
            server: Server {
                condition,
                clock: world.clock_view(NodeNo::SERVER),
                unflushed: server.unflushed,
            },
            clients: clients.collect(),
            locks: locks.map(|(no, name)| of_lock(world, state, LockNo(no), name)).collect(),
            packets: packets(world),
            losses: losses(past, world.now()),
        }
    }

    /// The client of this node.
    pub(crate) fn client(&self, node: NodeNo) -> Option<&Client> {
        self.clients.iter().find(|client| client.node == node)
    }
}

fn of_client(
    world: &World,
    state: &State,
    node: NodeNo,
    name: &Name,
    view: ClientView<'_>,
) -> Client {
    let condition = match view {
        ClientView { alive: false, step: 0, .. } if !has_started(world, node) => {
            Condition::NotStarted
        }
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

fn has_started(world: &World, node: NodeNo) -> bool {
    let config = world.run().config.clients.get(usize::from(node.0) - 1);
    config.is_some_and(|config| world.now() >= Moment::from_millis(config.starts_ms))
}

/// The youngest live session of a client.
fn session_of<'a>(state: &'a State, client: &Name) -> Option<(SessionNo, &'a Session)> {
    let mine = state.sessions().iter().filter(|(_, session)| session.client == *client);
    mine.last().map(|(no, session)| (*no, session))
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
        Condition::NotStarted => return "not here yet".to_owned(),
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
        return format!("not counting on {lock}");
    }
    if let Some(wait) = session.and_then(|session| session.waits.first()) {
        let line = state.locks().get(&wait.lock);
        let mut waiters = line.into_iter().flat_map(leasehold_core::state::Lock::line);
        let place = waiters.position(|waiter| waiter.ticket == wait.ticket).unwrap_or(0);
        return format!("waits for {}, place {}", wait.lock, place + 1);
    }
    let state = match (condition, view.open) {
        (Condition::Finished, _) => "is through",
        (_, true) => "idle",
        (_, false) => "has no session",
    };
    state.to_owned()
}

fn of_lock(world: &World, state: &State, no: LockNo, name: &Name) -> Lock {
    let lock = state.locks().get(name);
    let client = |session_no| {
        let session = state.session(session_no);
        session.map_or_else(String::new, |session| session.client.to_string())
    };
    let holder = lock.and_then(|lock| lock.tenure()).map(|tenure| Holder {
        client: client(tenure.session_no),
        token: u32::try_from(tenure.token.number()).unwrap_or(u32::MAX),
    });
    let line = lock.into_iter().flat_map(leasehold_core::state::Lock::line);
    let lines = world.file(no);
    let config = &world.run().config;
    let author = |node: NodeNo| {
        let client = usize::from(node.0).checked_sub(1).and_then(|it| config.clients.get(it));
        client.map_or_else(String::new, |client| client.name.to_string())
    };
    let last = lines.into_iter().flat_map(|lines| lines.iter().rev().take(LINES_SHOWN));
    let mut last: Vec<_> = last.map(|line| (line.token, author(line.client))).collect();
    last.reverse();
    Lock {
        no,
        name: name.clone(),
        holder,
        line: line.map(|waiter| client(waiter.session_no)).collect(),
        lines: lines.map_or(0, leasehold_core::sim::Lines::len),
        last,
    }
}

fn packets(world: &World) -> Vec<Packet> {
    let packets = world.packets().map(|packet| Packet {
        no: packet.about.packet,
        name: packet.name,
        message: packet.about.message,
        lock: packet.about.lock,
        number: packet.about.number,
        sent_at: packet.sent_at,
        arrives: packet.arrives,
        is_doomed: packet.is_doomed,
        is_routine: is_routine(world, &packet),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_core::sim::Scenario;

    fn scene(name: &str, at_ms: u64) -> Scene {
        let mut film = Film::new(Scenario::named(name).unwrap().run());
        film.go_to(Moment::from_millis(at_ms));
        Scene::of_world(film.world(), film.past())
    }

    #[test]
    fn truth_and_belief_are_told_apart() {
        let held = scene("gc-pause", 1_900);
        let client = held.client(NodeNo(1)).unwrap();
        assert_eq!((client.doing.as_str(), client.holds), ("holds file_0", true));
        let (truth, belief) = (client.truth.unwrap(), client.belief.unwrap());
        assert!(belief.term.until < truth.until);
        assert_eq!(held.locks[0].holder.as_ref().unwrap().client, "client_1");
        assert_eq!(held.locks[0].line, ["client_2"]);

        let paused = scene("gc-pause", 12_000);
        let client = paused.client(NodeNo(1)).unwrap();
        assert_eq!(client.condition, Condition::Paused);
        assert_eq!(client.truth, None, "its session is over, and it can't know");
    }

    #[test]
    fn cut_links_and_lost_packets_are_seen() {
        let mut film = Film::new(Scenario::named("one-way-partition").unwrap().run());
        let mut seen = (false, false);
        for ms in (0..30_000).step_by(100) {
            film.go_to(Moment::from_millis(ms));
            let scene = Scene::of_world(film.world(), film.past());
            seen.0 |= scene.client(NodeNo(1)).unwrap().cut == (true, false);
            seen.1 |= !scene.losses.is_empty();
        }
        assert_eq!(seen, (true, true));
    }

    #[test]
    fn a_packet_goes_its_way_evenly() {
        let at = |ms| Moment::from_millis(ms);
        assert!((share(at(100), at(300), at(150)) - 0.25).abs() < 1e-9);
        assert!((share(at(100), at(300), at(900)) - 1.0).abs() < 1e-9);
        assert!(share(at(100), at(100), at(50)).abs() < 1e-9);
    }
}
