//! What everybody is like at one moment: what the stage shows. The truth is the service's own
//! state; the beliefs are the clients', where one can look into them.

mod footage;
mod world;

pub(crate) use footage::count_at;

use leasehold_core::id::{Name, SessionNo};
use leasehold_core::state::{Session, State};
use leasehold_sim::{
    ClockView, Lines, LinkNo, LockNo, Message, Moment, NodeNo, PacketName, PacketNo, Run,
};

use crate::picture::glyph::Sign;

/// How many of a file's last lines are shown beside it.
const LINES_SHOWN: usize = 3;

/// Everybody at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) losses: Vec<Loss>,
    /// What the server decided a moment ago, where no packets are seen.
    pub(crate) decisions: Vec<Decision>,
    /// How many clients there are beyond those that are shown.
    pub(crate) more_clients: usize,
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
    /// What is in its memory, in numbers; unset where it has none.
    pub(crate) counts: Option<Counts>,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sessions: usize,
    pub(crate) held: usize,
    pub(crate) waiting: usize,
    pub(crate) last_token: u64,
    pub(crate) index: u64,
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
    /// How many lines its file has; where it isn't known what stood in it before, how many came …
    pub(crate) lines: usize,
    pub(crate) is_since: bool,
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

/// Something that the server has decided about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) client: NodeNo,
    pub(crate) sign: Sign,
    pub(crate) at: Moment,
}

impl Counts {
    fn of(state: &State) -> Self {
        Self {
            sessions: state.sessions().len(),
            held: state.locks().values().filter(|lock| lock.tenure().is_some()).count(),
            waiting: state.waiters(),
            last_token: state.last_token().number(),
            index: state.index().number(),
        }
    }
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
    /// The client of this node.
    pub(crate) fn client(&self, node: NodeNo) -> Option<&Client> {
        self.clients.iter().find(|client| client.node == node)
    }
}

/// The youngest live session of a client.
pub(crate) fn session_of<'a>(state: &'a State, client: &Name) -> Option<(SessionNo, &'a Session)> {
    let mut mine = state.sessions().iter().filter(|(_, session)| session.client == *client);
    mine.next_back().map(|(no, session)| (*no, session.as_ref()))
}

/// What a session waits for, in words.
fn waits_for(state: &State, session: &Session) -> Option<String> {
    let wait = session.waits.first()?;
    let line = state.locks().get(&wait.lock);
    let mut waiters = line.into_iter().flat_map(leasehold_core::state::Lock::line);
    let place = waiters.position(|waiter| waiter.ticket == wait.ticket).unwrap_or(0);
    Some(format!("waits for {}, place {}", wait.lock, place + 1))
}

/// A lock, and its file, of which so many lines are there.
fn lock(
    state: &State,
    run: &Run,
    (no, name): (LockNo, &Name),
    (lines, count, before): (Option<&Lines>, usize, Option<usize>),
) -> Lock {
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
    let author = |node: NodeNo| {
        let client = usize::from(node.0).checked_sub(1).and_then(|it| run.config.clients.get(it));
        client.map_or_else(String::new, |client| client.name.to_string())
    };
    let shown = (count.saturating_sub(LINES_SHOWN)..count).filter_map(|at| lines?.get(at));
    Lock {
        no,
        name: name.clone(),
        holder,
        line: line.map(|waiter| client(waiter.session_no)).collect(),
        lines: count + before.unwrap_or(0),
        is_since: before.is_none(),
        last: shown.map(|line| (line.token, author(line.client))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    fn scene(name: &str, at_ms: u64) -> Scene {
        let mut film = Film::new(Scenario::named(name).unwrap().run());
        film.go_to(Moment::from_millis(at_ms));
        film.scene()
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
    fn who_has_not_started_has_not_crashed() {
        let scene = Film::new(Scenario::named("five-clients").unwrap().run()).scene();
        assert_eq!(scene.server.condition, Condition::NotStarted);
        for client in &scene.clients {
            let is = (client.condition, client.doing.as_str());
            assert_eq!(is, (Condition::NotStarted, "not started yet"), "{}", client.name);
        }
    }

    #[test]
    fn cut_links_and_lost_packets_are_seen() {
        let mut film = Film::new(Scenario::named("one-way-partition").unwrap().run());
        let mut seen = (false, false);
        for ms in (0..30_000).step_by(100) {
            film.go_to(Moment::from_millis(ms));
            let scene = film.scene();
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
