//! The scene: the condition of server, clients, locks and packets at one time, as the stage shows
//! it.
//!
//! - Leases, tenures and queues are those of the server's own state.
//! - Beliefs are those of the simulated clients. For a live server they are inferred.

#[cfg(test)]
mod label_tests;
mod live;
mod simulated;

use leasehold_core::id::{Name, SessionId, Token};
use leasehold_core::state::{Session, State};
use leasehold_sim::{
    ClockView, Line, LinkId, LockId, Message, NodeId, Number, PacketId, PacketSelector, Run,
    VirtualTime, WaitEdge, WaitGraph,
};

use crate::model::event_category::EventCategory;

/// The number of a file's last lines that the stage shows.
const LINES_SHOWN: usize = 5;

/// The number of lines before a shown line that are searched for its faults.
const LINES_COMPARED: usize = 64;

/// A cluster at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) losses: Vec<LostPacket>,
    /// Recent decisions of a live server, whose packets are not visible.
    pub(crate) decisions: Vec<Decision>,
    /// The number of clients that are not shown.
    pub(crate) more_clients: usize,
    /// Deadlocks: in each cycle, every client waits for its lock, which the next client holds.
    pub(crate) wait_cycles: Vec<Vec<(NodeId, LockId)>>,
    /// The number of locks and files that are not shown.
    pub(crate) more_locks: usize,
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
    /// The number of events that are not durable yet.
    pub(crate) unflushed_events: usize,
    /// Totals of its state; `None` if the server is not running.
    pub(crate) counts: Option<Counts>,
}

/// Totals of the server's state.
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
    /// Whether the link to the server is cut, and whether the link from the server is cut.
    pub(crate) is_cut_off: (bool, bool),
    pub(crate) clock: ClockView,
    /// The lease as the server has it.
    pub(crate) server_lease: Option<LeaseTerm>,
    /// The lease as the client believes it.
    pub(crate) belief: Option<ClientBelief>,
    /// A phrase that follows the client's name, such as "holds file_0".
    pub(crate) activity: String,
    /// Whether it holds a lock according to the server.
    pub(crate) holds_lock: bool,
}

/// A lease with its end and its full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerm {
    pub(crate) until: VirtualTime,
    pub(crate) length_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientBelief {
    pub(crate) term: LeaseTerm,
    pub(crate) lock: LockId,
    pub(crate) token: Token,
    /// The belief is inferred from the server's replies; the client itself is not visible.
    pub(crate) is_inferred: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lock {
    pub(crate) id: LockId,
    pub(crate) name: Name,
    pub(crate) holder: Option<Holder>,
    pub(crate) wait_queue: Vec<String>,
    /// The number of lines in its file, or of new lines if `is_partial_count`.
    pub(crate) line_count: usize,
    /// Whether the contents from before the page connected are unknown.
    pub(crate) is_partial_count: bool,
    /// Its last lines.
    pub(crate) last_lines: Vec<FileLine>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileLine {
    /// The fencing token; `None` for a line that was not observed when it was appended.
    pub(crate) token: Option<Token>,
    /// The client that appended it, if that is known.
    pub(crate) client: Option<NodeId>,
    /// The name of the client, or the content of a line that was not observed.
    pub(crate) text: String,
    pub(crate) fault: LineFault,
}

/// What is wrong with a line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    None,
    /// A line with a higher token precedes it.
    Stale,
    /// The same request is in the file already.
    Duplicate,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) client: String,
    /// Distinguishes clients with the same name.
    pub(crate) node: NodeId,
    pub(crate) token: Token,
}

/// A packet in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) id: PacketId,
    pub(crate) selector: PacketSelector,
    pub(crate) message: Message,
    pub(crate) lock: LockId,
    pub(crate) number: Number,
    pub(crate) sent_at: VirtualTime,
    pub(crate) arrives_at: VirtualTime,
    pub(crate) will_be_lost: bool,
    /// A heartbeat or a repeated acquire request: traffic that never pauses.
    pub(crate) is_routine: bool,
}

/// A packet that was lost recently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostPacket {
    pub(crate) packet: PacketId,
    pub(crate) link: LinkId,
    pub(crate) at: VirtualTime,
    /// It arrived, but the receiver was down.
    pub(crate) is_at_receiver: bool,
}

/// A recent decision of the server about a client.
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
    /// Returns the fraction of its way that it has travelled, from 0 to 1.
    pub(crate) fn progress(&self, now: VirtualTime) -> f64 {
        elapsed_fraction(self.sent_at, self.arrives_at, now)
    }
}

impl LeaseTerm {
    /// Returns the fraction that remains, from 0 to 1.
    pub(crate) fn remaining_fraction(self, now: VirtualTime) -> f64 {
        let remaining = self.until.as_micros().saturating_sub(now.as_micros());
        ratio(remaining, self.length_us).min(1.0)
    }

    /// Returns the remaining time as text.
    pub(crate) fn remaining_text(self, now: VirtualTime) -> String {
        let remaining = self.until.as_micros().saturating_sub(now.as_micros());
        VirtualTime::from_micros(remaining).to_string()
    }
}

/// Describes the fault of a clock. Returns `None` for a clock within 0.1 % and 0.5 s of the true
/// time.
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

/// Returns the fraction of the interval that has passed at `now`, from 0 to 1.
pub(crate) fn elapsed_fraction(from: VirtualTime, to: VirtualTime, now: VirtualTime) -> f64 {
    let length = to.as_micros().saturating_sub(from.as_micros());
    ratio(now.as_micros().saturating_sub(from.as_micros()), length).min(1.0)
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn ratio(part: u64, length: u64) -> f64 {
    part as f64 / length.max(1) as f64
}

impl Scene {
    pub(crate) fn client(&self, node: NodeId) -> Option<&Client> {
        self.clients.iter().find(|client| client.node == node)
    }
}

/// Returns the client's most recent open session.
pub(crate) fn latest_session<'a>(
    state: &'a State,
    client: &Name,
) -> Option<(SessionId, &'a Session)> {
    let mut sessions = state.sessions().iter().filter(|(_, session)| session.client == *client);
    sessions.next_back().map(|(session_id, session)| (*session_id, session.as_ref()))
}

/// Returns the deadlocks in a state. `client_of` returns the client of a session.
fn wait_cycles(
    state: &State,
    run: &Run,
    client_of: impl Fn(SessionId) -> Option<NodeId>,
) -> Vec<Vec<(NodeId, LockId)>> {
    let lock_id = |name: &Name| {
        let index = run.config.locks.iter().position(|it| it == name)?;
        u8::try_from(index).ok().map(LockId)
    };
    let edges = |cycle: Vec<WaitEdge<SessionId, &Name>>| {
        let edges =
            cycle.into_iter().map(|edge| Some((client_of(edge.waiter)?, lock_id(edge.lock)?)));
        edges.collect::<Option<Vec<_>>>()
    };
    WaitGraph::from_state(state).cycles().into_iter().filter_map(edges).collect()
}

/// Describes the first wait of a session, if it has one.
fn waiting_text(state: &State, session: &Session) -> Option<String> {
    let wait = session.waits.first()?;
    let lock = state.locks().get(&wait.lock);
    let mut waiters = lock.into_iter().flat_map(leasehold_core::state::Lock::wait_queue);
    let position = waiters.position(|waiter| waiter.ticket == wait.ticket).unwrap_or(0);
    Some(format!("queued for {}, position {}", wait.lock, position + 1))
}

/// The file of a lock.
struct FileSummary {
    line_count: usize,
    /// Whether further lines are not known.
    is_partial: bool,
    last_lines: Vec<FileLine>,
}

/// Builds the view of a lock and its file. `node_of` returns the client of a session.
fn lock_view(
    state: &State,
    (id, name): (LockId, &Name),
    node_of: impl Fn(SessionId, &Session) -> NodeId,
    file: FileSummary,
) -> Lock {
    let lock = state.locks().get(name);
    let session_client = |session_id| {
        let session = state.session(session_id);
        session.map_or_else(String::new, |session| session.client.to_string())
    };
    let holder = lock.and_then(|lock| lock.tenure()).map(|tenure| Holder {
        client: session_client(tenure.session_id),
        node: state
            .session(tenure.session_id)
            .map_or(NodeId::UNKNOWN, |session| node_of(tenure.session_id, session)),
        token: tenure.token,
    });
    let wait_queue = lock.into_iter().flat_map(leasehold_core::state::Lock::wait_queue);
    Lock {
        id,
        name: name.clone(),
        holder,
        wait_queue: wait_queue.map(|waiter| session_client(waiter.session_id)).collect(),
        line_count: file.line_count,
        is_partial_count: file.is_partial,
        last_lines: file.last_lines,
    }
}

impl FileLine {
    /// Returns an observed line of a run. `earlier` are the observed lines before it.
    fn observed<'a>(
        line: &Line,
        mut earlier: impl Iterator<Item = &'a Line> + Clone,
        run: &Run,
    ) -> Self {
        let client = usize::from(line.client.0).checked_sub(1);
        let client = client.and_then(|index| run.config.clients.get(index));
        let fault = if earlier.clone().any(|it| it.request == line.request) {
            LineFault::Duplicate
        } else if earlier.any(|it| it.token > line.token) {
            LineFault::Stale
        } else {
            LineFault::None
        };
        Self {
            token: Some(line.token),
            client: client.map(|_| line.client),
            text: client.map_or_else(String::new, |client| client.name.to_string()),
            fault,
        }
    }

    /// Returns a line that was not observed when it was appended.
    fn unobserved(text: impl Into<String>) -> Self {
        Self { token: None, client: None, text: text.into(), fault: LineFault::None }
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
        assert_eq!(
            client.server_lease, None,
            "the server has ended the session of a paused client"
        );
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
