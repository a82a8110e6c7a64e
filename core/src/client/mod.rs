//! The client as a machine without I/O: what it sends, when it sends it again, and what it may
//! believe.
//!
//! - S7: it believes that it holds a lock only while the server says so, as long as clock rates
//!   differ by no more than the bound. When the belief ends it says so once, and for good: a lock
//!   that was lost is not found again, it is given back.
//! - What became of a call is said only where it is known. An append of which nobody can tell is
//!   [`Verdict::Unknown`].
//! - Nothing that it may hold without knowing is left behind: a grant that nobody waits for any
//!   more is given back.
//!
//! Inputs: the methods that begin a call, [`LockClient::receive`], [`LockClient::wake`]. Outputs,
//! to be drained after each input: [`LockClient::request`], [`LockClient::notice`]. When to wake
//! it: [`LockClient::next_wake`].

mod answers;
mod belief;
mod call;
mod sending;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use call::{CallId, Pending, Verdict};

use crate::data::Data;
use crate::id::{Name, Seq, SessionId, Token};
use crate::limits::{DRIFT_PPM, RETRANSMIT_FIRST, WINDOW};
use crate::protections::Protections;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Span, Time};
use crate::wire::{Operation, Reply, Request};
use belief::{Belief, HeldLock};
use call::{Call, Kind};
use sending::Sending;
use session::Phase;

/// Numbers begin somewhere below this, so that a late reply to a former life of the same program,
/// which comes to the same address, is not taken for an answer in this one.
const FIRST_SEQ_MAX: u64 = 1 << 30;

/// How a client is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, for people.
    pub name: Name,
    /// The lease to ask for; unset for the server's default.
    pub lease: Option<Span>,
    /// The bound on clock rates that it assumes, in parts per million.
    pub drift_ppm: u64,
    /// How long it waits for an answer before it asks again; after that twice as long each time.
    pub first_pause: Span,
}

/// What the client has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It has a session.
    Opened {
        /// The lease that the server gave.
        lease: Span,
    },
    /// The server would not open a session. The next call asks again.
    NotOpened {
        /// Why.
        refusal: Refusal,
    },
    /// A call waits in line.
    Queued {
        /// Which.
        call: CallId,
        /// Its place: 1 is next.
        position: u64,
    },
    /// A call has come to its end.
    Answered {
        /// Which.
        call: CallId,
        /// What came of it.
        verdict: Verdict,
    },
    /// A lock may not be believed in any more. Said before the server can give it to another.
    Lost {
        /// Which lock.
        lock: Name,
        /// The token of the tenure that is over.
        token: Token,
    },
    /// The server does not know the session any more. The next call opens another.
    SessionLost,
}

/// A client of the lock service. Cloning it is taking a snapshot.
#[derive(Clone, Debug)]
pub struct LockClient {
    config: Config,
    protections: Protections,
    rng: Rng,
    phase: Phase,
    calls: BTreeMap<CallId, Call>,
    last_call: CallId,
    /// Counts over all sessions, so that a late reply is never taken for that of another session.
    last_seq: Seq,
    held: BTreeMap<Name, HeldLock>,
    belief: Belief,
    requests: VecDeque<Request>,
    notices: VecDeque<Notice>,
}

impl Config {
    /// A client of this name, with the server's lease and the usual bound on clock rates.
    pub const fn new(name: Name) -> Self {
        Self { name, lease: None, drift_ppm: DRIFT_PPM, first_pause: RETRANSMIT_FIRST }
    }
}

impl LockClient {
    /// A client without a session. `seed` decides its nonces and its jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        Self::new_with(Protections::ALL, config, seed)
    }

    /// The same, where the simulator takes protections away.
    #[doc(hidden)]
    pub fn new_with(protections: Protections, config: Config, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let last_seq = Seq::new(rng.below(FIRST_SEQ_MAX));
        Self {
            config,
            protections,
            rng,
            phase: Phase::Closed,
            calls: BTreeMap::new(),
            last_call: CallId::default(),
            last_seq,
            held: BTreeMap::new(),
            belief: Belief::default(),
            requests: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Opens a session, where there is none.
    pub fn open(&mut self, now: Time) {
        if matches!(self.phase, Phase::Closed) {
            self.begin_hello(now);
        }
    }

    /// Asks for a lock, and waits for it in line for up to `wait`. Ends by `deadline` in any case;
    /// what may have been granted by then is given back.
    pub fn acquire(
        &mut self,
        now: Time,
        lock: Name,
        wait: Span,
        hold: Option<Span>,
        deadline: Time,
    ) -> CallId {
        self.begin(now, Kind::Acquire { lock, wait, hold, queued: false }, deadline)
    }

    /// No longer wants what this call asked for. What is granted all the same is given back.
    pub fn cancel(&mut self, now: Time, call: CallId) {
        self.abandon(now, call);
        self.pump(now);
    }

    /// Gives a lock back.
    pub fn release(&mut self, now: Time, lock: Name, token: Token, deadline: Time) -> CallId {
        // It may believe no longer from the moment on at which the server may have released it.
        self.held.remove(&lock);
        self.begin(now, Kind::Release { lock, token }, deadline)
    }

    /// Appends to the file that a lock guards. The caller looks at
    /// [`LockClient::believes`] first: that spares a refusal, and nothing else rests on it.
    pub fn append(
        &mut self,
        now: Time,
        file: Name,
        token: Token,
        data: Data,
        deadline: Time,
    ) -> CallId {
        self.begin(now, Kind::Append { file, token, data, refused: None }, deadline)
    }

    /// Ends the session, and with it all that it holds and waits for.
    pub fn close(&mut self, now: Time, deadline: Time) -> CallId {
        self.held.clear();
        self.begin(now, Kind::Close, deadline)
    }

    /// Takes in a reply of the server's.
    pub fn receive(&mut self, now: Time, reply: Reply) {
        // What has lapsed by now is lost, whatever the reply says.
        self.lapse(now);
        self.take_in(now, reply);
        self.pump(now);
    }

    /// Does what is due: transmissions, heartbeats, deadlines, and beliefs that end.
    pub fn wake(&mut self, now: Time) {
        self.lapse(now);
        self.expire_calls(now);
        self.pump(now);
    }

    /// The next request to send.
    pub fn request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// The next thing to tell.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When to call [`LockClient::wake`] at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        let calls = self.calls.values().filter_map(Call::due);
        let beliefs = self.held.values().map(|held| self.believed_until(held));
        calls.chain(beliefs).chain(self.phase.due()).min()
    }

    /// Whether it may believe, at this moment, that it holds the lock under this token.
    pub fn believes(&self, now: Time, lock: &Name, token: Token) -> bool {
        self.until(lock, token).is_some_and(|until| now < until)
    }

    /// Until when it may believe, from what it knows so far, that it holds the lock under this
    /// token.
    pub fn until(&self, lock: &Name, token: Token) -> Option<Time> {
        let held = self.held.get(lock).filter(|held| held.token == token)?;
        Some(self.believed_until(held))
    }

    /// The locks that it believes to hold, or believed to hold when it was last awake.
    pub fn held(&self) -> impl Iterator<Item = (&Name, Token)> + Clone {
        self.held.iter().map(|(lock, held)| (lock, held.token))
    }

    /// Whether it has a session, as far as it knows.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The requests that have no answer yet, in the order of being asked.
    pub fn pending(&self) -> impl Iterator<Item = Pending> {
        self.calls.values().filter_map(Call::pending)
    }

    /// When its next heartbeat is due, on its own clock, as long as it has a session.
    pub const fn next_beat(&self) -> Option<Time> {
        self.phase.next_beat()
    }

    /// Whether nothing is under way any more but the heartbeats of its session.
    pub fn is_settled(&self) -> bool {
        self.calls.is_empty()
    }

    fn begin(&mut self, now: Time, kind: Kind, deadline: Time) -> CallId {
        self.last_call = self.last_call.next();
        let call = Call::new(kind, deadline);
        self.calls.insert(self.last_call, call);
        self.pump(now);
        self.last_call
    }

    /// Begins what nobody waits for, and what ends only with an answer or with the session.
    fn begin_unattended(&mut self, now: Time, kind: Kind) {
        self.last_call = self.last_call.next();
        let mut call = Call::new(kind, Time::NEVER);
        call.unattended = true;
        self.calls.insert(self.last_call, call);
        self.pump(now);
    }

    /// Sends whatever is to be sent by now.
    fn pump(&mut self, now: Time) {
        self.pump_session(now);
        let Phase::Open(session) = &self.phase else {
            // What belongs to a session that is gone goes on without one.
            self.transmit_calls(now, None);
            return;
        };
        let id = session.id;
        self.transmit_calls(now, Some(id));
    }

    fn transmit_calls(&mut self, now: Time, session: Option<Secret<SessionId>>) {
        let mut oldest = self.oldest_outstanding();
        // A call that is alone is in no other's way.
        let leaving = if self.calls.len() > 1 { self.leaving() } else { BTreeSet::new() };
        let first_pause = self.config.first_pause;
        let backoff = self.protections.backoff;
        for call in self.calls.values_mut() {
            if call.not_before <= now {
                call.not_before = Time::ZERO;
            }
            if call.request.is_none() {
                let Some(session) = session.filter(|_| call.not_before == Time::ZERO) else {
                    continue;
                };
                // The word that takes a wait back names the lock: it would take the new one back.
                if call.asks_for().is_some_and(|lock| leaving.contains(lock)) {
                    continue;
                }
                let next = self.last_seq.next();
                let behind = oldest.map_or(0, |oldest| next.number() - oldest.number());
                if behind >= WINDOW as u64 {
                    continue;
                }
                self.last_seq = next;
                oldest = oldest.or(Some(next));
                call.assign(session, next);
            }
            if let Some(request) = call.transmit(now, first_pause, backoff, &mut self.rng) {
                self.requests.push_back(request);
            }
        }
    }

    /// The locks that it no longer wants, of which the server may not know that yet.
    fn leaving(&self) -> BTreeSet<Name> {
        let mut leaving = BTreeSet::new();
        leaving.extend(self.calls.values().filter_map(Call::leaves).cloned());
        leaving
    }

    /// The oldest request that the server may not have answered: what comes after it has to stay
    /// within the window, so that its answer is kept.
    fn oldest_outstanding(&self) -> Option<Seq> {
        let waits = |call: &&Call| !matches!(call.kind, Kind::Acquire { queued: true, .. });
        self.calls.values().filter(waits).filter_map(|call| Some(call.request.as_ref()?.1)).min()
    }

    fn notify(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    fn next_seq(&mut self) -> Seq {
        self.last_seq = self.last_seq.next();
        self.last_seq
    }

    fn send(
        &mut self,
        session: Option<Secret<SessionId>>,
        seq: Seq,
        sending: &Sending,
        operation: Operation,
    ) {
        self.requests.push_back(Request { session, seq, attempt: sending.attempt(), operation });
    }
}
