//! The client as a machine without I/O: what it sends, when it sends it again, and what it may
//! believe.
//!
//! - S7: it believes that it holds a lock only while the server says so, as long as clock rates
//!   differ by no more than the bound. When the belief ends it says so once, and for good: a lock
//!   that was lost is not found again, it is given back.
//! - What became of a call is said only where it is known. An append of which nobody can tell is
//!   [`CallOutcome::OutcomeUnknown`].
//! - Nothing that it may hold without knowing is left behind: a grant that nobody waits for any
//!   more is given back.
//!
//! Inputs: the methods that begin a call, [`LockClient::handle_reply`], [`LockClient::handle_timers`]. Outputs,
//! to be drained after each input: [`LockClient::poll_request`], [`LockClient::poll_notification`]. When to wake
//! it: [`LockClient::next_deadline`].

mod belief;
mod call;
mod replies;
mod retransmission;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use call::{CallId, CallOutcome, PendingRequest};

use crate::data::Data;
use crate::id::{Name, Seq, SessionKey, Token};
use crate::limits::{DRIFT_PPM, RETRANSMIT_DELAY_FIRST, WINDOW};
use crate::protections::Protections;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Millis, Time};
use crate::wire::{Operation, Reply, Request};
use belief::{Belief, HeldLock};
use call::{Call, CallKind};
use retransmission::Transmissions;
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
    pub lease: Option<Millis>,
    /// The bound on clock rates that it assumes, in parts per million.
    pub drift_ppm: u64,
    /// How long it waits for an answer before it asks again; after that twice as long each time.
    pub retransmit_delay: Millis,
}

/// What the client has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It has a session.
    SessionOpened {
        /// The lease that the server gave.
        lease: Millis,
    },
    /// The server would not open a session. The next call asks again.
    SessionRefused {
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
    Completed {
        /// Which.
        call: CallId,
        /// What came of it.
        outcome: CallOutcome,
    },
    /// A lock may not be believed in any more. Said before the server can give it to another.
    LockLost {
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
    last_call_id: CallId,
    /// Counts over all sessions, so that a late reply is never taken for that of another session.
    last_seq: Seq,
    held: BTreeMap<Name, HeldLock>,
    belief: Belief,
    requests: VecDeque<Request>,
    notifications: VecDeque<Notification>,
}

impl Config {
    /// A client of this name, with the server's lease and the usual bound on clock rates.
    pub const fn new(name: Name) -> Self {
        Self { name, lease: None, drift_ppm: DRIFT_PPM, retransmit_delay: RETRANSMIT_DELAY_FIRST }
    }
}

impl LockClient {
    /// A client without a session. `seed` decides its nonces and its jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        Self::with_protections(Protections::ALL, config, seed)
    }

    /// The same, where the simulator takes protections away.
    #[doc(hidden)]
    pub fn with_protections(protections: Protections, config: Config, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let last_seq = Seq::new(rng.below(FIRST_SEQ_MAX));
        Self {
            config,
            protections,
            rng,
            phase: Phase::Closed,
            calls: BTreeMap::new(),
            last_call_id: CallId::default(),
            last_seq,
            held: BTreeMap::new(),
            belief: Belief::default(),
            requests: VecDeque::new(),
            notifications: VecDeque::new(),
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
        wait: Millis,
        hold: Option<Millis>,
        deadline: Time,
    ) -> CallId {
        self.begin_call(now, CallKind::Acquire { lock, wait, hold, queued: false }, deadline)
    }

    /// No longer wants what this call asked for. What is granted all the same is given back.
    pub fn cancel(&mut self, now: Time, call: CallId) {
        self.abandon_acquire(now, call);
        self.send_due(now);
    }

    /// Gives a lock back.
    pub fn release(&mut self, now: Time, lock: Name, token: Token, deadline: Time) -> CallId {
        // It may believe no longer from the moment on at which the server may have released it.
        self.held.remove(&lock);
        self.begin_call(now, CallKind::Release { lock, token }, deadline)
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
        self.begin_call(now, CallKind::Append { file, token, data, refused: None }, deadline)
    }

    /// Ends the session, and with it all that it holds and waits for.
    pub fn close(&mut self, now: Time, deadline: Time) -> CallId {
        self.held.clear();
        self.begin_call(now, CallKind::Close, deadline)
    }

    /// Takes in a reply of the server's.
    pub fn receive(&mut self, now: Time, reply: Reply) {
        // What has lapsed by now is lost, whatever the reply says.
        self.expire_beliefs(now);
        self.handle_reply(now, reply);
        self.send_due(now);
    }

    /// Does what is due: transmissions, heartbeats, deadlines, and beliefs that end.
    pub fn handle_timers(&mut self, now: Time) {
        self.expire_beliefs(now);
        self.expire_calls(now);
        self.send_due(now);
    }

    /// The next request to send.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// The next thing to tell.
    pub fn poll_notification(&mut self) -> Option<Notification> {
        self.notifications.pop_front()
    }

    /// When to call [`LockClient::handle_timers`] at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        let calls = self.calls.values().filter_map(Call::next_deadline);
        let beliefs = self.held.values().map(|held| self.belief_end(held));
        calls.chain(beliefs).chain(self.phase.next_deadline()).min()
    }

    /// Whether it may believe, at this moment, that it holds the lock under this token.
    pub fn believes(&self, now: Time, lock: &Name, token: Token) -> bool {
        self.believed_until(lock, token).is_some_and(|until| now < until)
    }

    /// Until when it may believe, from what it knows so far, that it holds the lock under this
    /// token.
    pub fn believed_until(&self, lock: &Name, token: Token) -> Option<Time> {
        let held = self.held.get(lock).filter(|held| held.token == token)?;
        Some(self.belief_end(held))
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
    pub fn pending_requests(&self) -> impl Iterator<Item = PendingRequest> {
        self.calls.values().filter_map(Call::pending_request)
    }

    /// When its next heartbeat is due, on its own clock, as long as it has a session.
    pub const fn next_heartbeat(&self) -> Option<Time> {
        self.phase.next_heartbeat()
    }

    /// Whether nothing is under way any more but the heartbeats of its session.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    fn begin_call(&mut self, now: Time, kind: CallKind, deadline: Time) -> CallId {
        self.last_call_id = self.last_call_id.next();
        let call = Call::new(kind, deadline);
        self.calls.insert(self.last_call_id, call);
        self.send_due(now);
        self.last_call_id
    }

    /// Begins what nobody waits for, and what ends only with an answer or with the session.
    fn begin_detached_call(&mut self, now: Time, kind: CallKind) {
        self.last_call_id = self.last_call_id.next();
        let mut call = Call::new(kind, Time::NEVER);
        call.detached = true;
        self.calls.insert(self.last_call_id, call);
        self.send_due(now);
    }

    /// Sends whatever is to be sent by now.
    fn send_due(&mut self, now: Time) {
        self.send_due_session_request(now);
        let Phase::Open(session) = &self.phase else {
            // What belongs to a session that is gone goes on without one.
            self.transmit_calls(now, None);
            return;
        };
        let key = session.key;
        self.transmit_calls(now, Some(key));
    }

    fn transmit_calls(&mut self, now: Time, session_key: Option<Secret<SessionKey>>) {
        let mut oldest = self.oldest_outstanding();
        // A call that is alone is in no other's way.
        let locks_being_released =
            if self.calls.len() > 1 { self.locks_being_released() } else { BTreeSet::new() };
        let retransmit_delay = self.config.retransmit_delay;
        let backoff = self.protections.backoff;
        for call in self.calls.values_mut() {
            if call.not_before <= now {
                call.not_before = Time::ZERO;
            }
            if call.assignment.is_none() {
                let Some(session_key) = session_key.filter(|_| call.not_before == Time::ZERO)
                else {
                    continue;
                };
                // The word that takes a wait back names the lock: it would take the new one back.
                if call.lock_to_acquire().is_some_and(|lock| locks_being_released.contains(lock)) {
                    continue;
                }
                let next = self.last_seq.next();
                let distance = oldest.map_or(0, |oldest| next.number() - oldest.number());
                if distance >= WINDOW as u64 {
                    continue;
                }
                self.last_seq = next;
                oldest = oldest.or(Some(next));
                call.assign(session_key, next);
            }
            if let Some(request) = call.transmit(now, retransmit_delay, backoff, &mut self.rng) {
                self.requests.push_back(request);
            }
        }
    }

    /// The locks that it no longer wants, of which the server may not know that yet.
    fn locks_being_released(&self) -> BTreeSet<Name> {
        let mut locks = BTreeSet::new();
        locks.extend(self.calls.values().filter_map(Call::lock_being_released).cloned());
        locks
    }

    /// The oldest request that the server may not have answered: what comes after it has to stay
    /// within the window, so that its answer is kept.
    fn oldest_outstanding(&self) -> Option<Seq> {
        let is_outstanding =
            |call: &&Call| !matches!(call.kind, CallKind::Acquire { queued: true, .. });
        self.calls
            .values()
            .filter(is_outstanding)
            .filter_map(|call| Some(call.assignment.as_ref()?.1))
            .min()
    }

    fn notify(&mut self, notification: Notification) {
        self.notifications.push_back(notification);
    }

    fn next_seq(&mut self) -> Seq {
        self.last_seq = self.last_seq.next();
        self.last_seq
    }

    fn push_request(
        &mut self,
        session_key: Option<Secret<SessionKey>>,
        seq: Seq,
        transmissions: &Transmissions,
        operation: Operation,
    ) {
        self.requests.push_back(Request {
            session_key,
            seq,
            attempt: transmissions.last_attempt(),
            operation,
        });
    }
}
