//! What everybody is like at one moment: what the stage shows. The truth is the service's own
//! state; the beliefs are the clients', where one can look into them.

mod live;
mod simulated;

pub(crate) use live::line_count_at;

use crate::model::event_category::EventCategory;
use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::{Session, State};
use leasehold_sim::{
    ClockView, Lines, LinkId, LockId, Message, NodeId, PacketId, PacketSelector, Run, VirtualTime,
};

/// How many of a file's last lines are shown beside it.
const LINES_SHOWN: usize = 3;

/// Everybody at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) losses: Vec<LostPacket>,
    /// What the server decided a moment ago, where no packets are seen.
    pub(crate) decisions: Vec<Decision>,
    /// How many clients there are beyond those that are shown.
    pub(crate) more_clients: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    #[default]
    NotStarted,
    Running,
    Paused,
    Crashed,
    Finished,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Server {
    pub(crate) condition: Condition,
    pub(crate) clock: ClockView,
    /// How many events are not on disk yet.
    pub(crate) unflushed_events: usize,
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
    pub(crate) node: NodeId,
    pub(crate) name: Name,
    pub(crate) condition: Condition,
    /// Whether its packets don't get to the server, and the server's not to it.
    pub(crate) is_cut_off: (bool, bool),
    pub(crate) clock: ClockView,
    /// What the server still gives it.
    pub(crate) server_lease: Option<LeaseTerm>,
    /// What it believes to have.
    pub(crate) belief: Option<ClientBelief>,
    /// What it is about, in words.
    pub(crate) activity: String,
    /// Whether the server says that it holds a lock.
    pub(crate) holds_lock: bool,
}

/// A stretch of time that runs down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerm {
    pub(crate) until: VirtualTime,
    pub(crate) length_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientBelief {
    pub(crate) term: LeaseTerm,
    pub(crate) lock: LockId,
    pub(crate) token: u32,
    /// It is what the client may believe by what it was told; it has not said so itself.
    pub(crate) is_inferred: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lock {
    pub(crate) id: LockId,
    pub(crate) name: Name,
    pub(crate) holder: Option<Holder>,
    pub(crate) wait_queue: Vec<String>,
    /// How many lines its file has; where it isn't known what stood in it before, how many came …
    pub(crate) line_count: usize,
    pub(crate) is_partial_count: bool,
    /// … and the last of them: token, whose.
    pub(crate) last_lines: Vec<(u32, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) client: String,
    pub(crate) token: u32,
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) id: PacketId,
    pub(crate) selector: PacketSelector,
    pub(crate) message: Message,
    pub(crate) lock: LockId,
    pub(crate) number: u32,
    pub(crate) sent_at: VirtualTime,
    pub(crate) arrives_at: VirtualTime,
    pub(crate) will_be_lost: bool,
    /// It is of those that go to and fro all the time.
    pub(crate) is_routine: bool,
}

/// A packet that was lost a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostPacket {
    pub(crate) packet: PacketId,
    pub(crate) link: LinkId,
    pub(crate) at: VirtualTime,
    /// It came to its end, and nobody was there.
    pub(crate) is_at_receiver: bool,
}

/// Something that the server has decided about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) client: NodeId,
    pub(crate) category: EventCategory,
    pub(crate) at: VirtualTime,
}

impl Counts {
    fn from_state(state: &State) -> Self {
        Self {
            sessions: state.sessions().len(),
            held: state.locks().values().filter(|lock| lock.tenure().is_some()).count(),
            waiting: state.waiter_count(),
            last_token: state.last_token().number(),
            index: state.applied_index().number(),
        }
    }
}

impl Packet {
    /// How far it is on its way at this moment, from 0 to 1.
    pub(crate) fn progress(&self, now: VirtualTime) -> f64 {
        elapsed_fraction(self.sent_at, self.arrives_at, now)
    }
}

impl LeaseTerm {
    /// How much of it is left, from 0 to 1.
    pub(crate) fn remaining_fraction(self, now: VirtualTime) -> f64 {
        let remaining = self.until.as_micros().saturating_sub(now.as_micros());
        ratio(remaining, self.length_us).min(1.0)
    }

    /// How much is left, in words.
    pub(crate) fn remaining_text(self, now: VirtualTime) -> String {
        let remaining = self.until.as_micros().saturating_sub(now.as_micros());
        VirtualTime::from_micros(remaining).to_string()
    }
}

/// What is wrong with a clock; nothing where nothing is.
pub(crate) fn clock_fault_text(ahead_ms: i64, rate_ppm: i64) -> Option<String> {
    if rate_ppm.unsigned_abs() >= 1_000 {
        let direction = if rate_ppm < 0 { "slow" } else { "fast" };
        let tenths = (rate_ppm.unsigned_abs() + 500) / 1_000;
        let percent = if tenths.is_multiple_of(10) {
            (tenths / 10).to_string()
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        return Some(format!("clock {percent} % {direction}"));
    }
    if ahead_ms.unsigned_abs() >= 500 {
        let sign = if ahead_ms < 0 { '−' } else { '+' };
        let tenths = ahead_ms.unsigned_abs() / 100;
        return Some(format!("clock {sign}{}.{} s", tenths / 10, tenths % 10));
    }
    None
}

/// How far `now` is from `from` to `to`, from 0 to 1.
pub(crate) fn elapsed_fraction(from: VirtualTime, to: VirtualTime, now: VirtualTime) -> f64 {
    let length = to.as_micros().saturating_sub(from.as_micros());
    ratio(now.as_micros().saturating_sub(from.as_micros()), length).min(1.0)
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn ratio(part: u64, length: u64) -> f64 {
    part as f64 / length.max(1) as f64
}

impl Scene {
    /// The client of this node.
    pub(crate) fn client(&self, node: NodeId) -> Option<&Client> {
        self.clients.iter().find(|client| client.node == node)
    }
}

/// The youngest live session of a client.
pub(crate) fn latest_session<'a>(
    state: &'a State,
    client: &Name,
) -> Option<(SessionId, &'a Session)> {
    let mut sessions = state.sessions().iter().filter(|(_, session)| session.client == *client);
    sessions.next_back().map(|(session_id, session)| (*session_id, session.as_ref()))
}

/// What a session waits for, in words.
fn waiting_text(state: &State, session: &Session) -> Option<String> {
    let wait = session.waits.first()?;
    let lock = state.locks().get(&wait.lock);
    let mut waiters = lock.into_iter().flat_map(leasehold_core::state::Lock::wait_queue);
    let position = waiters.position(|waiter| waiter.ticket == wait.ticket).unwrap_or(0);
    Some(format!("waits for {}, place {}", wait.lock, position + 1))
}

/// A lock, and its file, of which so many lines are there.
fn lock_view(
    state: &State,
    run: &Run,
    (id, name): (LockId, &Name),
    (lines, new_lines, prefix_lines): (Option<&Lines>, usize, Option<usize>),
) -> Lock {
    let lock = state.locks().get(name);
    let session_client = |session_id| {
        let session = state.session(session_id);
        session.map_or_else(String::new, |session| session.client.to_string())
    };
    let holder = lock.and_then(|lock| lock.tenure()).map(|tenure| Holder {
        client: session_client(tenure.session_id),
        token: u32::try_from(tenure.token.number()).unwrap_or(u32::MAX),
    });
    let wait_queue = lock.into_iter().flat_map(leasehold_core::state::Lock::wait_queue);
    let client_name = |node: NodeId| {
        let client = usize::from(node.0).checked_sub(1).and_then(|it| run.config.clients.get(it));
        client.map_or_else(String::new, |client| client.name.to_string())
    };
    let line_indices =
        (new_lines.saturating_sub(LINES_SHOWN)..new_lines).filter_map(|at| lines?.get(at));
    Lock {
        id,
        name: name.clone(),
        holder,
        wait_queue: wait_queue.map(|waiter| session_client(waiter.session_id)).collect(),
        line_count: new_lines + prefix_lines.unwrap_or(0),
        is_partial_count: prefix_lines.is_none(),
        last_lines: line_indices.map(|line| (line.token, client_name(line.client))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    fn scene(name: &str, at_ms: u64) -> Scene {
        let mut timeline = Timeline::new(Scenario::from_name(name).unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(at_ms));
        timeline.scene()
    }

    #[test]
    fn lease_and_belief_are_shown_separately() {
        let before_pause = scene("gc-pause", 1_900);
        let client = before_pause.client(NodeId(1)).unwrap();
        assert_eq!((client.activity.as_str(), client.holds_lock), ("holds file_0", true));
        let (server_lease, belief) = (client.server_lease.unwrap(), client.belief.unwrap());
        assert!(belief.term.until < server_lease.until);
        assert_eq!(before_pause.locks[0].holder.as_ref().unwrap().client, "client_1");
        assert_eq!(before_pause.locks[0].wait_queue, ["client_2"]);

        let paused = scene("gc-pause", 12_000);
        let client = paused.client(NodeId(1)).unwrap();
        assert_eq!(client.condition, Condition::Paused);
        assert_eq!(client.server_lease, None, "its session is over, and it can't know");
    }

    #[test]
    fn client_that_has_not_started_is_not_shown_as_crashed() {
        let scene =
            Timeline::new(Scenario::from_name("five-clients").unwrap().resolve_run()).scene();
        assert_eq!(scene.server.condition, Condition::NotStarted);
        for client in &scene.clients {
            let actual = (client.condition, client.activity.as_str());
            assert_eq!(actual, (Condition::NotStarted, "not started yet"), "{}", client.name);
        }
    }

    #[test]
    fn cut_links_and_lost_packets_appear_in_the_scene() {
        let mut timeline =
            Timeline::new(Scenario::from_name("one-way-partition").unwrap().resolve_run());
        let mut observed = (false, false);
        for ms in (0..30_000).step_by(100) {
            timeline.go_to(VirtualTime::from_millis(ms));
            let scene = timeline.scene();
            observed.0 |= scene.client(NodeId(1)).unwrap().is_cut_off == (true, false);
            observed.1 |= !scene.losses.is_empty();
        }
        assert_eq!(observed, (true, true));
    }

    #[test]
    fn packet_moves_at_constant_speed() {
        let at = |ms| VirtualTime::from_millis(ms);
        assert!((elapsed_fraction(at(100), at(300), at(150)) - 0.25).abs() < 1e-9);
        assert!((elapsed_fraction(at(100), at(300), at(900)) - 1.0).abs() < 1e-9);
        assert!(elapsed_fraction(at(100), at(100), at(50)).abs() < 1e-9);
    }

    #[test]
    fn clock_faults_are_described() {
        assert_eq!(clock_fault_text(0, -200_000).unwrap(), "clock 20 % slow");
        assert_eq!(clock_fault_text(30_000, 0).unwrap(), "clock +30.0 s");
        assert_eq!(clock_fault_text(3, 5), None);
    }
}
